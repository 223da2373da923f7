//! Which release live is: by its switch, never by its number or a clock, and what the catalog does
//! not know is set aside.
use remy_db::{Debug, Options, Outcome, Progress, Release, ReleaseId, Remy, StepOutcome};
use remy_tests::{
    Shell, built_program, cases, faults,
    live::{App, older_catalog},
    moments, output, shell, stdout,
};
use rusqlite::Connection;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const V1: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);";
const V2: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";
const V3: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT, age INTEGER);";

/// An application with one user and two releases: as it was adopted, and V2.
fn published() -> App {
    let app = App::on(&format!("{V1} INSERT INTO users VALUES (1, 'Ann')"));
    app.publish(V2, r#"{"label":"two","commit":"c2"}"#).unwrap();
    app
}

fn now() -> i64 {
    i64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis(),
    )
    .unwrap()
}

fn releases(app: &App) -> Vec<Release> {
    app.remy().releases().unwrap()
}

fn release(app: &App, release: i64) -> Release {
    releases(app)
        .into_iter()
        .find(|found| found.release == release)
        .unwrap_or_else(|| panic!("no release {release}"))
}

fn debug(app: &App) -> Debug {
    app.remy().debug().unwrap()
}

fn statuses(app: &App) -> String {
    releases(app)
        .iter()
        .rev()
        .map(|r| format!("{} {}", r.release, r.status))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Everything of a WAL is in its database, and the WAL is gone: it may be copied.
fn close(db: &Path) {
    shell(db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

/// Puts a database in another one's place, by hand.
fn put(from: &Path, to: &Path) {
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", to.display()));
    }
    fs::copy(from, to).unwrap();
}

/// A copy of live and its store, in a folder of its own.
fn copy(app: &App) -> App {
    close(&app.live);
    close(&app.store("catalog.db"));
    let dir = tempfile::tempdir().unwrap();
    stdout(
        Command::new("cp")
            .arg("-a")
            .arg(format!("{}/.", app.dir.path().display()))
            .arg(dir.path()),
    );
    let live = dir.path().join("app.db");
    App { dir, live }
}

/// Two histories that have releases 1 and 2 in common, and a release 3 each. Of each the live
/// database, as a file.
fn forked() -> (App, App, [PathBuf; 2]) {
    let ours = published();
    let theirs = copy(&ours);
    ours.publish(V3, r#"{"label":"ours","commit":"o3"}"#)
        .unwrap();
    shell(&ours.live, "INSERT INTO users (name) VALUES ('ours')");
    theirs
        .publish(V1, r#"{"label":"theirs","commit":"t3","allow":["drop"]}"#)
        .unwrap();
    shell(&theirs.live, "INSERT INTO users (name) VALUES ('theirs')");
    let kept = [&ours, &theirs].map(|app| {
        close(&app.live);
        let kept = app.dir.path().join("kept.db");
        fs::copy(&app.live, &kept).unwrap();
        kept
    });
    (ours, theirs, kept)
}

#[test]
fn a_release_of_another_history_is_known_by_its_switch_and_gets_a_number_of_its_own() {
    let (ours, _theirs, [_, live_of_theirs]) = forked();
    put(&live_of_theirs, &ours.live);
    let verified = ours.remy().verify().unwrap();
    assert!(!verified.ok, "{verified:?}");

    // Theirs says that it is release 3, and so is one of ours, which it is not.
    assert_eq!(
        statuses(&ours),
        "1 superseded, 2 superseded, 3 superseded, 4 live"
    );
    let live = release(&ours, 4);
    assert_eq!(
        (
            debug(&ours).release,
            live.label.as_deref(),
            live.commit.as_deref()
        ),
        (Some(ReleaseId(4)), Some("theirs"), Some("t3"))
    );
    assert_eq!(release(&ours, 3).label.as_deref(), Some("ours"));
    assert!(ours.remy().verify().unwrap().ok);
    assert_eq!(
        ours.remy()
            .clone_to(ours.dir.path().join("clone.db"))
            .unwrap()
            .release,
        Some(ReleaseId(4))
    );

    // What was live here and is not any more has no database, and no other one is taken for it.
    ours.refuses("not_promotable", &["release 3 has no database"], |app| {
        app.rollback(Some(3))
    });
    ours.refuses("no_previous_release", &["release 4 is live"], |app| {
        app.rollback(None)
    });
    let back = ours.rollback(Some(1)).unwrap();
    assert_eq!(
        (back.release, back.previous),
        (ReleaseId(5), Some(ReleaseId(4)))
    );
    let snapshot = ours.store(&release(&ours, 4).database.unwrap());
    assert_eq!(
        shell(&snapshot, "SELECT name FROM users ORDER BY id"),
        "Ann\ntheirs\n"
    );
}

#[test]
fn a_release_that_is_put_back_is_the_one_that_it_was() {
    let (ours, _theirs, [live_of_ours, live_of_theirs]) = forked();
    put(&live_of_theirs, &ours.live);
    assert_eq!(debug(&ours).release, Some(ReleaseId(4)));
    put(&live_of_ours, &ours.live);
    assert_eq!(debug(&ours).release, Some(ReleaseId(3)));
    assert_eq!(
        statuses(&ours),
        "1 superseded, 2 superseded, 3 live, 4 superseded"
    );
    let next = ours.publish(V2, r#"{"allow":["drop"]}"#).unwrap();
    assert_eq!(
        (next.release, next.previous),
        (ReleaseId(5), Some(ReleaseId(3)))
    );
    // And theirs once more: it is known by now.
    put(&live_of_theirs, &ours.live);
    assert_eq!(debug(&ours).release, Some(ReleaseId(4)));
    assert!(ours.remy().verify().unwrap().ok);
}

#[test]
fn a_store_of_another_history_is_not_mixed_with_live() {
    let (ours, theirs, _) = forked();
    let (our_store, their_store) = (ours.store(""), theirs.store(""));
    fs::rename(&our_store, ours.dir.path().join("away")).unwrap();
    stdout(
        Command::new("cp")
            .arg("-a")
            .arg(their_store)
            .arg(&our_store),
    );
    assert_eq!(debug(&ours).release, Some(ReleaseId(4)));
    let live = release(&ours, 4);
    assert_eq!(
        (live.label.as_deref(), live.commit.as_deref()),
        (Some("ours"), Some("o3"))
    );
    assert_eq!(release(&ours, 3).label.as_deref(), Some("theirs"));
    assert_eq!(
        ours.publish(V2, r#"{"allow":["drop"]}"#).unwrap().previous,
        Some(ReleaseId(4))
    );
}

#[test]
fn a_number_that_a_marker_says_is_taken_over_only_where_it_comes_next() {
    let moved = published();
    fs::remove_dir_all(moved.store("")).unwrap();
    assert_eq!(moved.publish(V3, "{}").unwrap().release, 3);
    let says = |said: i64| {
        let app = published();
        fs::remove_dir_all(app.store("")).unwrap();
        shell(
            &app.live,
            &format!("UPDATE _remy_release SET release = {said}"),
        );
        app
    };
    for said in [i64::MAX, 1_000_000_000_000_000, 0, -7] {
        says(said).refuses("invalid_argument", &["no release has that number"], |app| {
            app.publish(V3, "{}")
        });
    }
    for (said, adopted) in [(999_999_999_999_999, 1), (1 << 40, 1 << 40)] {
        let app = says(said);
        let done = app.publish(V3, "{}").unwrap();
        assert_eq!(
            (done.previous, done.release),
            (Some(ReleaseId(adopted)), ReleaseId(adopted + 1)),
            "{said}"
        );
        assert_eq!(
            app.rollback(None).unwrap().restored_from,
            Some(ReleaseId(adopted)),
            "{said}"
        );
    }
}

/// A catalog of the format before this one: releases are known by their switches in it, too.
#[test]
fn a_catalog_of_format_2_is_brought_up_to_date() {
    let app = published();
    app.publish(V3, "{}").unwrap();
    close(&app.store("catalog.db"));
    older_catalog(&app.store("catalog.db"), 2);
    let before = statuses(&app);
    assert_eq!(before, "1 superseded, 2 superseded, 3 live");
    assert_eq!(debug(&app).drift, None);
    assert_eq!(
        shell(
            &app.store("catalog.db"),
            "PRAGMA user_version; SELECT count(switch_id) FROM releases"
        ),
        "6\n2\n"
    );
    assert_eq!(
        app.rollback(None).unwrap().restored_from,
        Some(ReleaseId(2))
    );
    assert!(app.remy().verify().unwrap().ok);
}

/// A catalog of an older format that somebody has written into: one row of it keeps nobody out.
#[test]
fn a_switch_that_two_releases_claim_is_that_of_one() {
    for (forged, of_2) in [
        // What the row of the switch says counts.
        (
            "UPDATE snapshots SET switch_id = (SELECT switch_id FROM switches WHERE release = 2 AND state = 'done')",
            Some(2),
        ),
        // Nobody's.
        (
            "UPDATE snapshots SET switch_id = '0123456789abcdef'; DELETE FROM switches WHERE release < 3",
            None,
        ),
        (
            "DELETE FROM switches; UPDATE snapshots SET switch_id = '0123456789abcdef'",
            None,
        ),
    ] {
        let app = published();
        app.publish(V3, "{}").unwrap();
        let its = shell(
            &app.store("catalog.db"),
            "SELECT switch_id FROM releases WHERE release = 2",
        );
        older_catalog(&app.store("catalog.db"), 2);
        shell(&app.store("catalog.db"), forged);
        assert!(releases(&app).len() >= 3, "{forged}");
        let kept = shell(
            &app.store("catalog.db"),
            &format!(
                "SELECT release FROM releases WHERE switch_id = '{}'",
                its.trim()
            ),
        );
        assert_eq!(kept.trim().parse().ok(), of_2, "{forged}");
        app.publish(V2, r#"{"allow": ["drop"]}"#).unwrap();
        app.rollback(None).unwrap();
    }
}

#[test]
fn a_catalog_that_is_no_catalog_is_named_with_the_way_out() {
    for (forged, words) in [
        ("PRAGMA user_version = 1", "Move the catalog aside"),
        (
            "DROP TABLE switches; PRAGMA user_version = 2",
            "Move the catalog aside",
        ),
        ("UPDATE releases SET created_at = 'yesterday'", "catalog.db"),
        (
            "UPDATE releases SET status = x'00' WHERE release = 1",
            "catalog.db",
        ),
    ] {
        let app = published();
        shell(&app.store("catalog.db"), forged);
        let e = app.remy().releases().unwrap_err();
        assert!(
            e.code() == "corrupt" && e.to_string().contains(words),
            "{forged}: {e}"
        );
    }
}

/// Every file of a store, but for the catalog's own, by its place.
fn files(app: &App) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if entry.file_type().unwrap().is_dir() {
                walk(root, &path, found);
            } else if entry.file_type().unwrap().is_file()
                && !name.starts_with("catalog")
                && name != "lock"
            {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&app.store(""), &app.store(""), &mut found);
    found
}

/// Everything that a store had is there still, wherever it stands.
fn nothing_is_gone(app: &App, before: &BTreeMap<String, Vec<u8>>) {
    let after = files(app);
    for (name, bytes) in before {
        let end = name.split_once('/').map_or(name.as_str(), |(_, end)| end);
        let there = after
            .iter()
            .any(|(now, found)| now.ends_with(end) && found == bytes);
        assert!(
            there,
            "{name} is gone; there is {:?}",
            after.keys().collect::<Vec<_>>()
        );
    }
}

/// Dev sessions, a preview, a snapshot, files of releases and a clone at work that a catalog of
/// before does not know.
fn more_than_the_catalog_knows(app: &App) -> BTreeMap<String, Vec<u8>> {
    let remy = app.remy();
    remy.dev_stop("again").unwrap();
    remy.dev_start("again").unwrap();
    remy.dev_start("new").unwrap();
    shell(
        &app.store("dev/again.db"),
        "INSERT INTO users (name) VALUES ('dev')",
    );
    app.file("build/code.mjs", "export default 3");
    let kept = format!(
        r#"{{"artifacts":{:?},"label":"three"}}"#,
        app.dir.path().join("build")
    );
    app.publish(V3, &kept).unwrap();
    remy.stage(
        V2,
        &Options::from_json(r#"{"preview":"try","allow":["drop"]}"#).unwrap(),
        Progress::none(),
    )
    .unwrap();
    for db in ["dev/again.db", "dev/new.db", "previews/try.db"] {
        close(&app.store(db));
    }
    close(&app.live);
    fs::write(
        app.store("work/0123456789abcdef.db"),
        "a clone that was live",
    )
    .unwrap();
    files(app)
}

#[test]
fn what_an_older_catalog_does_not_know_is_set_aside() {
    for verb in ["publish", "prune", "dev_start other"] {
        let app = published();
        app.remy().dev_start("again").unwrap();
        close(&app.store("catalog.db"));
        let older = fs::read(app.store("catalog.db")).unwrap();
        let before = more_than_the_catalog_knows(&app);
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(app.store(&format!("catalog.db{suffix}")));
        }
        fs::write(app.store("catalog.db"), older).unwrap();
        match verb {
            "publish" => drop(app.publish(V3, "{}").unwrap()),
            "prune" => drop(app.remy().prune(Some(30), &Options::default()).unwrap()),
            _ => drop(app.remy().dev_start("other").unwrap()),
        }
        nothing_is_gone(&app, &before);
        // Live's release is the same one, with its number; what was set aside is told.
        let log = app.remy().build_log(Some(ReleaseId(3))).unwrap();
        assert!(
            log.iter()
                .any(|line| line.message.contains("set aside as")
                    && line.message.contains("dev/new.db")),
            "{log:?}"
        );
        assert_eq!(release(&app, 3).label.as_deref(), Some("three"));
        let verified = app.remy().verify().unwrap();
        assert!(verified.ok, "{verified:?}");
        assert!(
            verified
                .warnings
                .iter()
                .any(|warning| warning.contains("aside/1")),
            "{verified:?}"
        );
    }
}

#[test]
fn what_a_lost_catalog_does_not_know_is_set_aside() {
    let app = published();
    app.remy().dev_start("again").unwrap();
    let before = more_than_the_catalog_knows(&app);
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(app.store(&format!("catalog.db{suffix}")));
    }
    let done = app.publish(V2, r#"{"allow":["drop"]}"#).unwrap();
    assert_eq!(
        (done.release, done.previous),
        (ReleaseId(4), Some(ReleaseId(3)))
    );
    assert!(
        done.warnings
            .iter()
            .any(|warning| warning.contains("set aside as")),
        "{:?}",
        done.warnings
    );
    nothing_is_gone(&app, &before);
    // Nothing is set aside twice, and what is known goes as ever.
    app.remy().dev_start("again").unwrap();
    app.remy().dev_stop("again").unwrap();
    assert!(!app.store("dev/again.db").exists() && !app.store("aside/2").exists());
}

#[test]
fn the_files_of_a_number_that_the_catalog_does_not_know_make_way() {
    let app = published();
    fs::create_dir(app.store("releases/3")).unwrap();
    fs::write(app.store("releases/3/code.mjs"), "whose?").unwrap();
    app.file("build/code.mjs", "ours");
    let kept = format!(r#"{{"artifacts":{:?}}}"#, app.dir.path().join("build"));
    assert_eq!(app.publish(V3, &kept).unwrap().release, 3);
    assert_eq!(
        fs::read_to_string(app.store("releases/3/code.mjs")).unwrap(),
        "ours"
    );
    assert_eq!(
        fs::read_to_string(app.store("aside/1/releases/3/code.mjs")).unwrap(),
        "whose?"
    );
}

/// A verb of a process whose clock is `days` ahead.
fn on_day(app: &App, days: i64, arguments: &[&str]) -> Value {
    let mut driver = Command::new(built_program("remy-driver"));
    driver
        .arg(&app.live)
        .args(arguments)
        .env("LD_PRELOAD", faults("clock"))
        .env("CLOCK_DAYS", days.to_string());
    serde_json::from_str(&stdout(&mut driver)).unwrap()
}

/// The releases whose databases are kept.
fn kept(app: &App) -> Vec<i64> {
    releases(app)
        .iter()
        .rev()
        .filter(|r| r.database.is_some())
        .map(|r| r.release.0)
        .collect()
}

fn says(done: &Value, words: &str) -> bool {
    done["log"]
        .as_array()
        .unwrap()
        .iter()
        .any(|line| line["message"].as_str().unwrap().contains(words))
}

const JUMPED: &str = "nothing of then is pruned by age";

#[test]
fn a_publish_under_the_year_2090_prunes_nothing_and_says_so() {
    let app = published();
    for schema in [V3, V2, V3] {
        app.publish(schema, r#"{"allow":["drop"]}"#).unwrap();
    }
    let done = on_day(&app, 23_300, &["publish", V2, r#"{"allow":["drop"]}"#]);
    assert!(says(&done, JUMPED), "{done}");
    assert_eq!(kept(&app), [1, 2, 3, 4, 5]);
    // It goes on, and is put right.
    let done = on_day(&app, 23_301, &["publish", V3, r#"{"allow":["drop"]}"#]);
    assert!(says(&done, JUMPED), "{done}");
    app.publish(V2, r#"{"allow":["drop"]}"#).unwrap();
    assert_eq!(kept(&app), [1, 2, 3, 4, 5, 6, 7]);
    let pruned = on_day(&app, 23_300, &["prune", "30"]);
    assert!(
        pruned["warnings"][0].as_str().unwrap().contains(JUMPED),
        "{pruned}"
    );
    // A clock that goes on from there for so many days is believed.
    on_day(&app, 10, &["publish", V3, r#"{"allow":["drop"]}"#]);
    let done = on_day(&app, 45, &["publish", V2, r#"{"allow":["drop"]}"#]);
    assert!(!says(&done, JUMPED), "{done}");
    assert_eq!(kept(&app), [9]);
}

#[test]
fn a_clock_that_went_back_drops_no_snapshot_that_another_one_is_older_than() {
    let app = published();
    on_day(&app, -4000, &["publish", V3, "{}"]);
    on_day(&app, -3999, &["publish", V2, r#"{"allow":["drop"]}"#]);
    assert_eq!(kept(&app), [1, 2, 3]);
    // Right again: the last two look as old as ten years.
    let done = app.publish(V3, "{}").unwrap();
    assert_eq!(kept(&app), [1, 2, 3, 4]);
    assert!(
        done.log.iter().any(|line| line.message.contains(JUMPED)),
        "{:?}",
        done.log
    );
    app.remy()
        .prune(None, &Options::from_json(r#"{"keep_releases":2}"#).unwrap())
        .unwrap();
    assert_eq!(kept(&app), [3, 4]);
}

/// Starts a verb whose syncs take their time.
fn slowly(app: &App, arguments: &[&str], ms: u32) -> Child {
    Command::new(built_program("remy-driver"))
        .arg(&app.live)
        .args(arguments)
        .env("LD_PRELOAD", faults("slow_sync"))
        .env("SLOW_DIR", app.dir.path())
        .env("SLOW_MS", ms.to_string())
        // A terminal does not stop a process of a group that nobody looks after, as this one may
        // be.
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until somebody holds live's write lock.
fn until_locked(app: &App) {
    let start = Instant::now();
    loop {
        let tried = output(
            Command::new("sqlite3")
                .arg(&app.live)
                .arg("BEGIN IMMEDIATE; ROLLBACK"),
        );
        if !tried.status.success() {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "nobody takes the lock"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn state(process: &Child) -> char {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    stat.rsplit(") ").next().unwrap().chars().next().unwrap()
}

fn send(process: &Child, signal: i32) {
    let id = i32::try_from(process.id()).unwrap();
    // SAFETY: a child of ours that was not waited for.
    assert_eq!(unsafe { libc::kill(id, signal) }, 0);
}

fn who_holds_the_write_lock_is_not_stopped_by_a_terminal(signal: i32, mode: &str, verb: &[&str]) {
    let app = App::on(&format!("PRAGMA journal_mode = {mode}; {V1}"));
    app.publish(V2, r#"{"journal_mode":"keep"}"#).unwrap();
    let mut child = slowly(&app, verb, 300);
    until_locked(&app);
    send(&child, signal);
    let start = Instant::now();
    shell(&app.live, "INSERT INTO users (name) VALUES ('after')");
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "writers waited for a process that is stopped"
    );
    // The stop is not lost: it comes when the lock is gone.
    let start = Instant::now();
    while state(&child) != 'T' && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(state(&child), 'T');
    send(&child, libc::SIGCONT);
    assert!(child.wait().unwrap().success());
}

cases! { who_holds_the_write_lock_is_not_stopped_by_a_terminal:
    [stop: libc::SIGTSTP, input: libc::SIGTTIN, output: libc::SIGTTOU]
    {
        publish("wal", &["publish", V3]),
        detach("wal", &["detach"]),
        publish_in_delete("delete", &["publish", V3]),
    }
}

#[test]
fn what_was_changed_outside_remy_is_said() {
    let app = published();
    let remy = app.remy();
    shell(
        &app.live,
        "INSERT INTO users (name) VALUES ('rows are no drift'); ANALYZE; CREATE TABLE schema_migrations (id)",
    );
    assert_eq!(debug(&app).drift, None);
    assert_eq!(remy.verify().unwrap().warnings, Vec::<String>::new());
    shell(
        &app.live,
        "CREATE TABLE scratch (a); ALTER TABLE users ADD COLUMN note TEXT; CREATE INDEX by_name ON users (name);
         CREATE VIEW names AS SELECT name FROM users; CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END;",
    );
    let said = "changed outside remy since release 2: column users.note was added, index by_name was made, table scratch was made, \
                trigger t was made, view names was made";
    assert_eq!(debug(&app).drift.as_deref(), Some(said));
    assert!(debug(&app).notes.iter().any(|note| note == said));
    let verified = remy.verify().unwrap();
    assert!(verified.ok && verified.warnings == [said], "{verified:?}");
    let dry = app
        .publish(V3, r#"{"dry_run":true,"allow":["drop"]}"#)
        .unwrap();
    assert!(
        dry.warnings.iter().any(|warning| warning == said),
        "{:?}",
        dry.warnings
    );
    let done = app.publish(V3, r#"{"allow":["drop"]}"#).unwrap();
    assert!(
        done.warnings.iter().any(|warning| warning == said),
        "{:?}",
        done.warnings
    );
    assert!(
        done.log
            .iter()
            .any(|line| line.outcome == StepOutcome::Warning && line.message == said),
        "{:?}",
        done.log
    );
    // What is live now is what was published.
    assert_eq!(debug(&app).drift, None);
    assert!(
        !app.publish(V3, "{}")
            .unwrap()
            .warnings
            .iter()
            .any(|warning| warning.contains("changed outside"))
    );

    shell(
        &app.live,
        "ALTER TABLE users DROP COLUMN age; ALTER TABLE users RENAME COLUMN email TO mail",
    );
    let said = "changed outside remy since release 4: column users.age was dropped, column users.email was dropped, \
                column users.mail was added";
    assert_eq!(debug(&app).drift.as_deref(), Some(said));
    let back = app.rollback(None).unwrap();
    assert!(
        back.warnings.iter().any(|warning| warning == said),
        "{:?}",
        back.warnings
    );
    assert_eq!(debug(&app).drift, None);
}

#[test]
fn an_adopted_database_is_compared_with_what_it_was_then() {
    let app = App::on(V1);
    let staged = app
        .remy()
        .stage(V2, &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(
        (staged.previous, debug(&app).drift),
        (Some(ReleaseId(1)), None)
    );
    shell(&app.live, "CREATE TABLE more (a)");
    let said = "changed outside remy since release 1: table more was made";
    assert_eq!(debug(&app).drift.as_deref(), Some(said));
    shell(&app.live, "DROP TABLE more");
    assert_eq!(debug(&app).drift, None);
}

/// All of a verb's time is in a line of its log.
fn all_is_told(done: &Outcome, what: &str) {
    let told: f64 = done.log.iter().map(|line| line.duration_ms).sum();
    assert!(
        told <= done.total_ms + 2.0 && told > done.total_ms * 0.9 - 20.0,
        "{what}: {told} of {} ms",
        done.total_ms
    );
    let switch = done
        .log
        .iter()
        .find(|line| moments::is_switched(line))
        .unwrap();
    assert!(
        switch.duration_ms >= done.switch.as_ref().unwrap().pause_ms,
        "{what}: {switch:?}"
    );
    let lines: Vec<_> = done
        .log
        .iter()
        .filter(|line| line.duration_ms > 0.0)
        .collect();
    for pair in lines.windows(2) {
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
        let end = pair[0].at + pair[0].duration_ms as i64;
        assert!((pair[1].at - end).abs() <= 3, "{what}: {pair:?}");
    }
}

fn a_release_is_live_from_its_commit_on(mode: &str) {
    let app = App::on(&format!(
        "PRAGMA journal_mode = {mode}; {V1} INSERT INTO users VALUES (1, 'Ann')"
    ));
    app.publish(V2, r#"{"journal_mode":"keep"}"#).unwrap();
    let mut writer = Shell::open(&app.live);
    writer.run("BEGIN IMMEDIATE; INSERT INTO users (name) VALUES ('Bob');");
    let begun = now();
    let (remy, let_go) = (
        app.remy(),
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1500));
            let at = now();
            writer.run("COMMIT;");
            at
        }),
    );
    let done = remy
        .publish(V3, &Options::default(), Progress::none())
        .unwrap();
    let (let_go, ended) = (let_go.join().unwrap(), now());
    assert!(let_go - begun >= 1400);
    let live = release(&app, 3);
    let at = live.live_at.unwrap();
    assert!(
        (let_go..=ended).contains(&at),
        "begun {begun}, let go {let_go}, live {at}, ended {ended}"
    );
    assert_eq!(release(&app, 2).superseded_at, Some(at));
    assert_eq!(
        app.ask("SELECT live_at, release, (SELECT count(*) FROM _remy_release) FROM _remy_release"),
        format!("{at}|3|1")
    );
    all_is_told(&done, mode);
    assert_eq!(
        app.ask("PRAGMA integrity_check; SELECT count(*) FROM users"),
        "ok\n2"
    );
    let back = app.rollback(None).unwrap();
    let at = release(&app, 4).live_at.unwrap();
    assert_eq!(app.ask("SELECT live_at FROM _remy_release"), at.to_string());
    all_is_told(&back, mode);
}

cases! { a_release_is_live_from_its_commit_on:
    [wal: "wal", delete: "delete"]
}

#[test]
fn a_release_is_live_from_its_commit_on_by_the_backup_api() {
    for mode in ["wal", "delete"] {
        let app = App::on(&format!(
            "PRAGMA journal_mode = {mode}; {V1} INSERT INTO users VALUES (1, 'Ann')"
        ));
        let begun = now();
        let mut driver = Command::new(built_program("remy-driver"));
        driver
            .arg(&app.live)
            .args(["publish", V2, r#"{"journal_mode":"keep"}"#])
            .env("REMY_HOST", "1");
        let done: Value = serde_json::from_str(&stdout(&mut driver)).unwrap();
        assert_eq!(done["switch"]["by"], "backup");
        let at = release(&app, 2).live_at.unwrap();
        assert!((begun..=now()).contains(&at));
        assert_eq!(
            app.ask(
                "SELECT live_at FROM _remy_release; PRAGMA integrity_check; SELECT name FROM users"
            ),
            format!("{at}\nok\nAnn")
        );
        assert_eq!(release(&app, 1).superseded_at, Some(at));
    }
}

/// A detach that is killed where live is detached, and the catalog does not know yet.
#[test]
fn a_detach_that_was_cut_off_is_mended() {
    let app = published();
    // As the catalog stands between the two: the intent is written, and live has committed.
    let switch = app.ask("SELECT switch_id FROM _remy_release");
    let tables = app.ask("SELECT group_concat('DROP TABLE ' || name, '; ') FROM sqlite_schema WHERE type = 'table' AND name GLOB '_remy_*'");
    shell(
        &app.store("catalog.db"),
        &format!(
            "INSERT INTO switches (switch_id, old_switch, release, work, snapshot, state, at)
             VALUES ('00000000000000aa', '{switch}', 2, '', '', 'intended', 0)"
        ),
    );
    // Not yet: live carries its marker, and stays what it is.
    app.remy().prune(None, &Options::default()).unwrap();
    assert_eq!(statuses(&app), "1 superseded, 2 live");
    shell(
        &app.store("catalog.db"),
        "UPDATE switches SET state = 'intended' WHERE work = ''",
    );
    shell(&app.live, &tables);
    app.remy().prune(None, &Options::default()).unwrap();
    assert_eq!(statuses(&app), "1 superseded, 2 superseded");
    let next = app.publish(V2, "{}").unwrap();
    assert_eq!(
        (next.release, next.previous),
        (ReleaseId(4), Some(ReleaseId(3)))
    );
    assert!(
        !next.log.iter().any(|line| line
            .message
            .contains("another database was put in its place")),
        "{:?}",
        next.log
    );
}

/// What a rollback journal holds must be gone for good before a verb says that it is done.
#[test]
fn every_verb_that_commits_with_a_rollback_journal_syncs_its_folder_after_it() {
    for verb in [
        &["detach"] as &[&str],
        &["dev_truncate", "d"],
        &["dev_reset", "d"],
    ] {
        let app = App::on(&format!("PRAGMA journal_mode = delete; {V1}"));
        app.publish(V2, r#"{"journal_mode":"keep"}"#).unwrap();
        app.remy().dev_start("d").unwrap();
        shell(&app.live, "INSERT INTO users (name) VALUES ('new')");
        let log = app.dir.path().join("strace");
        let mut strace = Command::new("strace");
        strace
            .args([
                "-f",
                "-y",
                "-e",
                "trace=unlink,unlinkat,fsync,fdatasync,ftruncate,close",
                "-o",
            ])
            .arg(&log);
        let run = strace
            .arg(built_program("remy-driver"))
            .arg(&app.live)
            .args(verb)
            .output();
        if !run.is_ok_and(|run| run.status.success()) {
            remy_tests::not_covered("the order of syncs", "strace does not run here");
            return;
        }
        let text = fs::read_to_string(&log).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let db = if verb[0] == "detach" {
            "app.db-journal"
        } else {
            "dev/d.db-journal"
        };
        let gone = lines
            .iter()
            .rposition(|line| line.contains("unlink") && line.contains(db))
            .expect(db);
        let folder = if verb[0] == "detach" {
            app.dir.path().display().to_string()
        } else {
            app.store("dev").display().to_string()
        };
        let synced = |line: &&str| line.contains("sync(") && line.contains(&format!("<{folder}>"));
        assert!(
            lines[gone..].iter().any(synced),
            "{verb:?}: {folder} is not synced after {}",
            lines[gone]
        );
    }
}

/// What is refused for what was given is refused before there is a store or a number.
#[test]
fn what_is_refused_for_its_options_burns_no_number() {
    let app = App::on("");
    fs::write(&app.live, "").unwrap();
    for (schema, options) in [
        ("CREATE TABLE t (a); nonsense", "{}"),
        (V1, r#"{"artifacts":"/not/there"}"#),
        (V1, r#"{"migrations":"/not/there"}"#),
        (V1, r#"{"extensions":["/not/there.so"]}"#),
        (V1, r#"{"effects":{"roles":7}}"#),
        (V1, r#"{"preview":"no/name"}"#),
        ("/not/there.sql", "{}"),
    ] {
        let e = app.publish(schema, options).unwrap_err();
        assert!(!app.store("").exists(), "{options}: {e}");
        assert_eq!(fs::metadata(&app.live).unwrap().len(), 0, "{options}: {e}");
    }
    assert_eq!(app.publish(V1, "{}").unwrap().release, 1);
}

#[test]
fn a_trigger_on_the_marker_spoils_no_switch() {
    let app = published();
    let audit = "CREATE TABLE audit (seen);";
    app.publish(&format!("{V2} {audit}"), "{}").unwrap();
    // Some tools put one on every table. It grows the image after its pages were counted.
    app.ask(
        "CREATE TRIGGER audited AFTER UPDATE ON _remy_release BEGIN INSERT INTO audit VALUES (randomblob(50000)); END",
    );
    app.publish(&format!("{V3} {audit}"), "{}").unwrap();
    assert_eq!(app.ask("PRAGMA integrity_check"), "ok");
    app.rollback(None).unwrap();
    assert_eq!(
        app.ask("PRAGMA integrity_check; SELECT count(*) FROM audit"),
        "ok\n0"
    );
}

#[test]
fn looking_first_keeps_what_an_older_catalog_does_not_know() {
    let app = published();
    app.file("code/index.js", "whose?");
    let kept = format!(r#"{{"artifacts": {:?}}}"#, app.dir.path().join("code"));
    app.publish(V3, &kept).unwrap();
    // As it was in the middle of that publish, and while its dev database was being made.
    app.remy().dev_start("mine").unwrap();
    close(&app.store("catalog.db"));
    shell(
        &app.store("catalog.db"),
        "DELETE FROM snapshots WHERE release = 2; DELETE FROM switches WHERE release = 3; DELETE FROM dev;
         INSERT INTO removals VALUES ('dev', 'mine');
         UPDATE releases SET status = 'building', switch_id = NULL, live_at = NULL WHERE release = 3;
         UPDATE releases SET status = 'live' WHERE release = 2",
    );
    app.remy().releases().unwrap();
    app.publish(V2, r#"{"allow": ["drop"]}"#).unwrap();
    let found: Vec<_> = ["releases/3/index.js", "dev/mine.db"]
        .into_iter()
        .filter(|place| {
            app.store(place).exists() || app.store(&format!("aside/1/{place}")).exists()
        })
        .collect();
    assert_eq!(found, ["releases/3/index.js", "dev/mine.db"]);
}

#[test]
fn what_a_newer_remy_has_published_is_refused_before_anything_is_written() {
    for store in [true, false] {
        let app = published();
        if !store {
            fs::remove_dir_all(app.store("")).unwrap();
        }
        shell(
            &app.live,
            "ALTER TABLE _remy_release ADD COLUMN more; UPDATE _remy_release SET format = 2",
        );
        let words = ["newer remy", "format", "Nothing was done"];
        let before = store.then(|| fs::read(app.store("catalog.db")).unwrap());
        app.refuses("invalid_argument", &words, |app| app.publish(V3, "{}"));
        app.refuses("invalid_argument", &words, |app| {
            app.publish(V3, r#"{"dry_run": true}"#)
        });
        app.refuses("invalid_argument", &words, |app| app.rollback(Some(1)));
        app.refuses("invalid_argument", &words, |app| app.remy().detach());
        app.refuses("invalid_argument", &words, |app| app.remy().dev_start("d"));
        assert_eq!(app.store("").exists(), store);
        assert_eq!(
            before,
            store.then(|| fs::read(app.store("catalog.db")).unwrap())
        );
        if store {
            app.refuses("invalid_argument", &words, |app| app.remy().releases());
            let verified = app.remy().verify().unwrap();
            assert!(
                !verified.ok && format!("{verified:?}").contains("newer remy"),
                "{verified:?}"
            );
        }
    }
}

#[test]
fn what_has_a_name_of_remys_and_is_no_table_of_its_is_refused_by_name() {
    let (view, fts, columns) = ("CREATE VIEW", "CREATE VIRTUAL TABLE", "CREATE TABLE");
    for (name, made) in [
        (
            "_remy_release",
            format!("{view} _remy_release AS SELECT 1 AS format"),
        ),
        (
            "_remy_release",
            format!("{view} _remy_release AS SELECT * FROM not_there"),
        ),
        (
            "_REMY_RELEASE",
            format!("{view} _REMY_RELEASE AS SELECT 1 AS format"),
        ),
        (
            "_remy_release",
            format!("{fts} _remy_release USING fts5(format, switch_id)"),
        ),
        (
            "_remy_release",
            format!("{columns} _remy_release (a); INSERT INTO _remy_release VALUES (1)"),
        ),
        ("_remy_release", format!("{columns} _remy_release (a)")),
        ("_remy_release", format!("{columns} _REMY_Release (a)")),
        (
            "_remy_migrations",
            format!("{view} _remy_migrations AS SELECT 1 AS name"),
        ),
        ("_remy_roles", format!("{fts} _remy_roles USING fts5(id)")),
    ] {
        let app = App::on(&format!("{V1} {made}"));
        app.refuses("invalid_argument", &[name], |app| app.publish(V2, "{}"));
        assert!(!app.store("").exists(), "{made}");
    }
    // Of other columns, where there is a marker or none.
    for name in ["_remy_roles", "_remy_webhooks", "_remy_migrations"] {
        let app = App::on(&format!(
            "{V1} CREATE TABLE {name} (x); INSERT INTO {name} VALUES (1)"
        ));
        app.file("m/1.sql", "UPDATE users SET name = 'x'");
        let options = format!(r#"{{"migrations": {:?}}}"#, app.dir.path().join("m"));
        let e = app.refuses("invalid_argument", &[name, "not as remy makes it"], |app| {
            app.publish(V2, &options)
        });
        assert!(e.detail().hint.is_some() && !app.store("").exists(), "{e}");
        app.refuses("invalid_argument", &[name], |app| {
            app.remy().diff(V2, &Options::default())
        });
    }
}

/// Empties live in some way. The store stays.
fn emptied(app: &App, how: &str) {
    close(&app.live);
    if how == "dropped" {
        shell(
            &app.live,
            "DROP TABLE users; DROP TABLE IF EXISTS _remy_release; DROP TABLE _remy_roles; DROP TABLE _remy_cron_jobs;
            DROP TABLE _remy_webhooks; DROP TABLE _remy_email_routes; DROP TABLE _remy_bot_commands",
        );
        return;
    }
    for suffix in ["-wal", "-shm", ""] {
        let _ = fs::remove_file(format!("{}{suffix}", app.live.display()));
    }
    fs::write(&app.live, "").unwrap();
    if how == "made anew" {
        shell(
            &app.live,
            "PRAGMA journal_mode = wal; CREATE TABLE t (a); DROP TABLE t",
        );
    }
}

/// SQLite takes the WAL beside a file of 0 bytes for one of a database that is gone, and deletes
/// it: it may hold what was committed last.
#[test]
fn a_wal_beside_a_live_of_no_bytes_stays() {
    let app = published();
    let writer = Connection::open(&app.live).unwrap();
    writer
        .execute_batch("PRAGMA wal_autocheckpoint = 0; INSERT INTO users (name) VALUES ('Bob')")
        .unwrap();
    let wal = PathBuf::from(format!("{}-wal", app.live.display()));
    let (whole, committed) = (fs::read(&app.live).unwrap(), fs::read(&wal).unwrap());
    drop(writer);
    fs::write(&wal, &committed).unwrap();
    fs::write(&app.live, "").unwrap();
    let open = || Remy::open(&app.live);
    let (options, schema) = (Options::default(), V3);
    type Verb<'a> = Box<dyn Fn(&Remy) -> remy_db::Result<()> + 'a>;
    let verbs: [(&str, Verb<'_>); 6] = [
        ("debug", Box::new(|remy| remy.debug().map(drop))),
        ("verify", Box::new(|remy| remy.verify().map(drop))),
        (
            "diff",
            Box::new(|remy| remy.diff(schema, &options).map(drop)),
        ),
        (
            "publish",
            Box::new(|remy| remy.publish(schema, &options, Progress::none()).map(drop)),
        ),
        (
            "rollback",
            Box::new(|remy| remy.rollback(None, &options, Progress::none()).map(drop)),
        ),
        (
            "clone",
            Box::new(|remy| remy.clone_to(app.dir.path().join("copy.db")).map(drop)),
        ),
    ];
    for (verb, run) in verbs {
        let e = open().and_then(|remy| run(&remy)).unwrap_err();
        assert_eq!(e.code(), "corrupt", "{verb}: {e}");
        assert!(
            e.to_string().contains("has 0 bytes") && e.to_string().contains("-wal"),
            "{verb}: {e}"
        );
        assert_eq!(fs::read(&wal).unwrap(), committed, "{verb}");
    }
    // Put back beside its WAL, it has all that was committed.
    fs::write(&app.live, whole).unwrap();
    assert_eq!(shell(&app.live, "SELECT count(*) FROM users"), "2\n");
}

#[test]
fn a_live_that_is_empty_beside_a_store_without_its_catalog_is_lost() {
    for empty in [true, false] {
        let app = published();
        let catalog = app.store("catalog.db");
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{end}", catalog.display()));
        }
        match empty {
            true => fs::write(&catalog, "").unwrap(),
            false => fs::remove_file(&catalog).unwrap(),
        }
        let warnings = debug(&app).warnings;
        assert!(
            warnings
                .iter()
                .any(|warning| warning.contains("is gone, and with it the history")),
            "{warnings:?}"
        );
        shell(&app.live, "PRAGMA wal_checkpoint(TRUNCATE)");
        fs::write(&app.live, "").unwrap();
        let words = [
            "is empty, and",
            "has lost its catalog",
            "/snapshots in live's place",
        ];
        for _ in 0..2 {
            app.refuses("not_found", &words, |app| app.publish(V3, "{}"));
            app.refuses("not_found", &words, |app| app.rollback(None));
        }
    }
}

#[test]
fn a_live_that_is_empty_beside_its_store_is_lost_and_a_release_brings_it_back() {
    for (how, page_size) in [
        ("0 bytes", 4096),
        ("0 bytes", 1024),
        ("made anew", 4096),
        ("dropped", 4096),
    ] {
        let app = App::on(&format!(
            "PRAGMA journal_mode = delete; PRAGMA page_size = {page_size}; VACUUM; PRAGMA journal_mode = wal; {V1} INSERT INTO users VALUES (1, 'Ann')"
        ));
        app.publish(V2, "{}").unwrap();
        app.publish(V3, "{}").unwrap();
        app.remy()
            .stage(
                V1,
                &Options::from_json(r#"{"allow": ["drop"]}"#).unwrap(),
                Progress::none(),
            )
            .unwrap();
        let before = files(&app);
        emptied(&app, how);
        let words = [
            "is empty, and release 3 was live",
            "roll back to release 2",
            "away, to begin anew",
        ];
        app.refuses("not_found", &words, |app| app.publish(V3, "{}"));
        app.refuses("not_found", &words, |app| {
            app.publish(V3, r#"{"dry_run": true}"#)
        });
        app.refuses("not_found", &words, |app| {
            app.remy()
                .promote(None, &Options::default(), Progress::none())
        });
        app.refuses("not_found", &words, |app| app.rollback(None));
        app.refuses("not_found", &words, |app| {
            app.remy().prune(Some(0), &Options::default())
        });
        app.refuses("not_found", &words, |app| app.remy().dev_start("d"));
        let warnings = debug(&app).warnings;
        assert!(
            warnings.len() == 1 && warnings[0].contains(words[0]),
            "{how}: {warnings:?}"
        );
        let verified = app.remy().verify().unwrap();
        assert!(
            !verified.ok && format!("{verified:?}").contains(words[0]),
            "{verified:?}"
        );
        assert_eq!(files(&app), before, "{how}");
        let back = app
            .rollback(Some(2))
            .unwrap_or_else(|e| panic!("{how}, {page_size}: {e}"));
        assert_eq!(
            (
                back.restored_from,
                app.ask("SELECT name FROM users").as_str()
            ),
            (Some(ReleaseId(2)), "Ann"),
            "{how}"
        );
        assert!(app.remy().verify().unwrap().ok, "{how}");
        assert!(
            debug(&app).warnings.is_empty(),
            "{:?}",
            debug(&app).warnings
        );
    }
    // On the SQLite of a host as well.
    let app = published();
    emptied(&app, "0 bytes");
    let done = output(
        Command::new(built_program("remy-driver"))
            .env("REMY_HOST", "1")
            .arg(&app.live)
            .args(["publish", V3]),
    );
    assert!(
        String::from_utf8_lossy(&done.stdout).contains("release 2 was live"),
        "{done:?}"
    );
}

#[test]
fn a_database_that_was_emptied_by_a_detach_begins_anew() {
    let app = published();
    app.remy().detach().unwrap();
    shell(&app.live, "DROP TABLE users");
    assert_eq!(app.publish(V1, "{}").unwrap().release, 3);
}

#[test]
fn what_was_put_in_lives_place_is_said_by_every_verb_that_tells_of_it() {
    let says = |app: &App, words: &[&str]| {
        let (debug, verified) = (
            debug(app).warnings.join("; "),
            app.remy().verify().unwrap().warnings.join("; "),
        );
        let dry = app
            .publish(V2, r#"{"allow": ["drop"], "dry_run": true}"#)
            .unwrap()
            .warnings
            .join("; ");
        for word in words {
            for said in [&debug, &verified, &dry] {
                assert!(said.contains(word), "{word:?} is not in {said:?}");
            }
        }
    };
    let (ours, _theirs, [live_of_ours, live_of_theirs]) = forked();
    assert_eq!(debug(&ours).warnings, Vec::<String>::new());
    // Another history's.
    put(&live_of_theirs, &ours.live);
    says(
        &ours,
        &[
            "release 3 (\"theirs\", commit t3) of another history",
            "adopted as release 4",
            "release 3 (\"ours\", commit o3) was live here",
        ],
    );
    // Also where a verb that tells nothing has looked at it first.
    put(&live_of_ours, &ours.live);
    releases(&ours);
    says(
        &ours,
        &[
            "marker of release 3",
            "release 4 (\"theirs\", commit t3) was live here",
        ],
    );
    // An older copy, by the release's own snapshot.
    put(
        &ours.store(&release(&ours, 2).database.unwrap()),
        &ours.live,
    );
    says(
        &ours,
        &[
            "marker of release 2",
            "release 3 (\"ours\", commit o3) was live here",
        ],
    );
    let done = ours.publish(V3, "{}").unwrap();
    assert!(
        done.warnings
            .iter()
            .any(|warning| warning.contains("marker of release 2")),
        "{:?}",
        done.warnings
    );
    // From then on all is as it should be.
    assert_eq!(debug(&ours).warnings, Vec::<String>::new());
    assert!(ours.publish(V3, "{}").unwrap().warnings.is_empty());
    // One that no remy has published.
    let bare = App::on(V1);
    close(&bare.live);
    put(&bare.live, &ours.live);
    assert!(
        debug(&ours).warnings[0].contains("was live here, and live does not carry its marker"),
        "{:?}",
        debug(&ours)
    );
    let done = ours.publish(V2, "{}").unwrap();
    assert!(
        done.warnings
            .iter()
            .any(|warning| warning.contains("does not carry its marker")),
        "{:?}",
        done.warnings
    );
}

#[test]
fn a_catalog_that_is_gone_is_said_with_what_stands_in_the_store() {
    let app = published();
    app.publish(V3, "{}").unwrap();
    app.remy().dev_start("mine").unwrap();
    close(&app.store("catalog.db"));
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(app.store(&format!("catalog.db{suffix}")));
    }
    let before = files(&app);
    let words = ["the catalog of ", "is gone", "2 snapshots [", "sessions"];
    let has = |said: &str| words.iter().all(|word| said.contains(word));
    let warnings = debug(&app).warnings;
    assert!(warnings.len() == 1 && has(&warnings[0]), "{warnings:?}");
    let verified = app.remy().verify().unwrap();
    assert!(
        !verified.ok && has(&format!("{verified:?}")),
        "{verified:?}"
    );
    assert!(!app.store("catalog.db").exists(), "looking makes none");
    let done = app.publish(V3, "{}").unwrap();
    assert!(
        done.warnings.iter().any(|warning| has(warning)),
        "{:?}",
        done.warnings
    );
    nothing_is_gone(&app, &before);
    // Live that is gone as well is no reason to begin anew.
    let lost = published();
    for path in [lost.live.clone(), lost.store("catalog.db")] {
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", path.display()));
        }
    }
    let e = lost.publish(V3, "{}").unwrap_err();
    assert!(
        e.code() == "not_found" && e.to_string().contains("keeps its releases"),
        "{e}"
    );
}
