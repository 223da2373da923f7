//! What goes wrong around a server: its disk, its clock, and methods that turn on it.
use super::{
    ending::{Program, command},
    programs::programs,
    shop, token, told,
};
use remy_db::Options;
use remy_db_runtime::secrets::{For, Secrets, Whose};
use remy_tests::{faults, live::App, not_covered, output, publish_with, shell};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A small disk. Unmounted when dropped.
pub struct Disk(pub tempfile::TempDir);

impl Disk {
    pub fn new() -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        let mounted = output(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=24M", "tmpfs"])
                .arg(disk.0.path()),
        );
        if !mounted.status.success() {
            not_covered("a full disk", &String::from_utf8_lossy(&mounted.stderr));
            return None;
        }
        Some(disk)
    }

    pub fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }

    /// Writes until nothing more goes in.
    pub fn fill(&self) {
        let mut file = fs::File::create(self.ballast()).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn on_a_full_disk_nothing_is_acknowledged_that_is_not_written_and_reading_goes_on() {
    let Some(disk) = Disk::new() else { return };
    let mut app = App::empty();
    app.live = disk.0.path().join("app.db");
    fs::write(&app.live, "").unwrap();
    shop::write(&app);
    let room = Options::from_json(r#"{"margin_bytes": 0}"#).unwrap();
    publish_with(&app.dir.path().join("shop"), Some(&app.live), None, room).unwrap();
    let mut served = Program::start(&mut command(&app, &[]));
    let page = told(&served.ask("GET", "/").send());
    let call = |method: &str, input: Value| {
        let call = served.ask("POST", &format!("/_/methods/{method}/invoke"));
        call.bearer(token(&page))
            .json(&json!({ "input": input }))
            .send()
    };
    let mut written = 0;
    let mut add = |n: u64| {
        let item = format!("{n} {}", "x".repeat(4000));
        let reply = call("add-order", json!({ "item": item }));
        written += u64::from(reply.status == 200);
        reply
    };
    assert_eq!(add(0).status, 200);
    disk.fill();
    let refused = (1..500).map(&mut add).find(|reply| reply.status != 200);
    let refused = refused.expect("nothing more goes in");
    let (status, code) = refused.refusal();
    assert!(status >= 500 && !code.is_empty(), "{refused:?}");
    let told = refused.text();
    assert!(!told.contains("app.db-remy"), "{told}");
    // What reads goes on, and so does who watches.
    let count = call("count-orders", json!({}));
    assert_eq!(count.status, 200, "{count:?}");
    assert_eq!(served.ask("GET", "/robots.txt").send().status, 200);
    assert_eq!(served.ask("GET", "/_/health").send().status, 200);
    fs::remove_file(disk.ballast()).unwrap();
    assert_eq!(add(1000).status, 200);
    assert_eq!(served.ask("GET", "/").send().status, 200);
    let count = call("count-orders", json!({})).json();
    assert_eq!(count["output"], written);
    served.signal("TERM");
    assert_eq!(served.ended(), Some(0));
}

const DAY: i64 = 86_400;

/// A clock that can be set.
struct Clock(PathBuf);

impl Clock {
    fn is(&self, ahead: i64) {
        let next = self.0.with_extension("next");
        fs::write(&next, ahead.to_string()).unwrap();
        fs::rename(next, &self.0).unwrap();
    }

    /// So many days ahead, and two seconds before a minute begins.
    fn is_before_a_minute(&self, days: i64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let second = i64::try_from(now.as_secs() % 60).unwrap();
        self.is(days * DAY + 58 - second);
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(90);
    while !is_so() {
        assert!(Instant::now() < until, "{what} never came");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_clock_that_is_set_ahead_and_back_neither_doubles_runs_nor_holds_them_up() {
    let app = programs("s3cret");
    let clock = Clock(app.dir.path().join("clock"));
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    // A server that is started while the clock is days ahead.
    clock.is(3 * DAY);
    let mut serve = command(&app, &[]);
    serve
        .env("LD_PRELOAD", faults("clock"))
        .env("CLOCK_FILE", at(&clock.0));
    let mut served = Program::start(&mut serve);
    let book = |sql: &str| shell(&app.store("catalog.db"), sql).trim().to_owned();
    until("the first look", || {
        book("SELECT count(*) FROM cron_jobs") == "2"
    });
    let ran =
        || book("SELECT count(*) FROM cron_runs WHERE method = 'tick' AND status = 'returned'");
    let is_ran = |least: u32| ran().parse::<u32>().unwrap() >= least;
    let before: u32 = ran().parse().unwrap();
    clock.is_before_a_minute(0);
    until("a run after the clock was set back", || is_ran(before + 1));
    clock.is_before_a_minute(2);
    until("a run after it was set ahead", || is_ran(before + 2));
    clock.is_before_a_minute(1);
    until("a run after it was set back again", || is_ran(before + 3));
    served.signal("TERM");
    assert_eq!(served.ended(), Some(0));
    // Each time has one run, and each run one effect.
    assert_eq!(
        book("SELECT count(*) - count(DISTINCT due) FROM cron_runs WHERE method = 'tick'"),
        "0"
    );
    let runs = book("SELECT count(*) FROM cron_runs WHERE method = 'tick'");
    assert_eq!(
        app.ask("SELECT count(*) FROM ticks WHERE by <> 'slow'"),
        runs
    );
}

#[test]
fn a_method_that_asks_the_servers_own_ports_is_anybody() {
    let app = shop::shop();
    let secrets = Secrets::of(&app.store(""));
    secrets
        .set("METRICS_TOKEN", Whose::Server, For::Both, "a-token")
        .unwrap();
    let arguments = ["--port", "0", "--metrics", "0", "--trust-proxy"];
    let mut served = Program::start(&mut command(&app, &arguments));
    let page = told(&served.ask("GET", "/").send());
    let asks = |input: Value| {
        let call = served.ask("POST", "/_/methods/fetches/invoke");
        let reply = call
            .bearer(token(&page))
            .json(&json!({ "input": input }))
            .send();
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["output"].clone()
    };
    let own = format!("http://{}", served.address);
    let metrics = served.listening["metrics"].as_str().unwrap();
    let at = |url: String, status: u16, code: &str| {
        let told = asks(json!({ "url": url, "method": "POST", "body": "{}" }));
        assert_eq!(told["status"], status, "{url}: {told}");
        assert!(told["text"].as_str().unwrap().contains(code), "{told}");
    };
    at(
        format!("{own}/_/methods/about/invoke"),
        401,
        "auth_required",
    );
    at(format!("{own}/_internal/v2/db/query"), 401, "invalid_token");
    at(format!("{own}/_/auth/api-key/create"), 401, "auth_required");
    let told = asks(json!({ "url": format!("http://{metrics}/metrics") }));
    assert_eq!(told["status"], 401, "{told}");
    served.signal("TERM");
    assert_eq!(served.ended(), Some(0));
}
