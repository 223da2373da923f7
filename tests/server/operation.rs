//! What whoever runs a server sees of it, and what goes by itself.
use super::{
    Serving,
    ending::{Program, command},
    http::Request,
    login::members,
    shop::shop,
    token, told,
};
use remy_db_runtime::secrets::{For, Secrets, Whose};
use remy_db_server::Settings;
use remy_tests::{built_program, live::App, output, shell};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const TOKEN: &str = "a-token-of-tests";

fn remy(app: &App, arguments: &[&str]) -> Command {
    let mut command = Command::new(built_program("remy-command"));
    command
        .current_dir(app.dir.path())
        .env_remove("REMY_DB")
        .stdin(Stdio::null())
        .args(arguments)
        .arg("--db")
        .arg(&app.live);
    command
}

fn said(app: &App, arguments: &[&str]) -> Value {
    let out = output(&mut remy(app, arguments));
    let stdout = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{stdout}");
    serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {stdout}"))
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what} never came");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A command that goes on, and what it prints.
struct Following {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Following {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn next(&mut self) -> Value {
        let line = self.lines.next().unwrap().unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn metrics_are_shown_to_who_has_their_token() {
    let app = shop();
    // One process: a call that waits behind another for long would else have a second one started.
    let arguments = ["--port", "0", "--metrics", "0", "--max-processes", "1"];
    let refused = output(&mut command(&app, &arguments));
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(
        stderr.contains("remy secrets set METRICS_TOKEN --server"),
        "{stderr}"
    );
    let secrets = Secrets::of(&app.store(""));
    secrets
        .set("METRICS_TOKEN", Whose::Server, For::Both, TOKEN)
        .unwrap();
    let mut served = Program::start(&mut command(&app, &arguments));
    let at = served.listening["metrics"].as_str().unwrap();
    let ask = |path: &str| Request::to(at.parse().unwrap(), "GET", path);
    for no in [
        ask("/metrics"),
        ask("/metrics").bearer("a-token-of-testx"),
        ask("/metrics").bearer(""),
        ask("/metrics").header("authorization", TOKEN),
    ] {
        assert_eq!(no.send().refusal(), (401, "invalid_token".to_owned()));
    }
    assert_eq!(ask("/").bearer(TOKEN).send().status, 404);
    let page = told(&served.ask("GET", "/").send());
    for method in ["about", "fail"] {
        let call = served.ask("POST", &format!("/_/methods/{method}/invoke"));
        call.bearer(token(&page)).body("{}").send();
    }
    let reply = ask("/metrics").bearer(TOKEN).send();
    assert_eq!(reply.status, 200);
    let text = reply.text();
    for line in [
        "remy_up 1",
        "remy_release 1",
        "remy_requests_total{status=\"2xx\"} 2",
        "remy_requests_total{status=\"5xx\"} 1",
        "remy_request_seconds_count 3",
        "remy_request_seconds_bucket{le=\"+Inf\"} 3",
        "remy_calls_total{ended=\"returned\"} 1",
        "remy_calls_total{ended=\"failed\"} 1",
        "remy_calls_held 0",
        "remy_processes 1",
        "# TYPE remy_request_seconds histogram",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    // They are nowhere else.
    let elsewhere = served.ask("GET", "/metrics").bearer(TOKEN).send();
    assert!(!elsewhere.text().contains("remy_up"));
    served.signal("TERM");
    assert_eq!(served.ended(), Some(0));
}

#[test]
fn a_request_is_on_record_with_the_call_that_it_made_and_without_secrets() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let page = serving.page();
    let mut follows = Following::start(&mut remy(&app, &["requests", "--follow", "--json"]));
    let id = |reply: &super::http::Reply| reply.header("x-request-id").unwrap().to_owned();
    let fails = id(&serving.call(token(&page), "fail", &json!({ "how": "own" })));
    serving.get("/robots.txt");
    serving.get("/none.js?token=hush-hush");
    let following: Vec<Value> = (0..3).map(|_| follows.next()).collect();
    assert_eq!(following[0]["path"], "/");
    let failed = &following[1];
    assert_eq!(
        (&failed["id"], &failed["status"], &failed["call"]["method"]),
        (&json!(fails), &json!(418), &json!("fail"))
    );
    assert_eq!(failed["client"], "127.0.0.1");
    assert_eq!(
        (&following[2]["path"], &following[2]["call"]),
        (&json!("/none.js"), &Value::Null)
    );
    // The record of the call has the rest.
    let listed = said(&app, &["requests", "--json", "--failed", "--limit", "2"]);
    let call = &listed[1]["call"];
    assert_eq!(
        (&call["status"], &call["code"], &call["message"]),
        (&json!("failed"), &json!("not_today"), &json!("Not today."))
    );
    assert_eq!(said(&app, &["calls", "--json"])[0]["id"], fails);
    let all = said(&app, &["requests", "--json"]).to_string();
    assert!(!all.contains("hush-hush") && !all.contains(token(&page)));
    let shown = output(&mut remy(&app, &["requests"])).stdout;
    let shown = String::from_utf8(shown).unwrap();
    assert!(
        shown.contains("POST /_/methods/fail/invoke") && shown.contains("fail: not_today"),
        "{shown}"
    );
}

#[test]
fn users_and_events_of_what_is_live_are_shown() {
    let app = members();
    shell(
        &app.live,
        "INSERT INTO people (email, roles) VALUES ('ann@example.org', '[\"admin\"]')",
    );
    let users = said(&app, &["users", "--json"]);
    assert_eq!(
        (&users[0]["email"], &users[0]["roles"]),
        (&json!("ann@example.org"), &json!(["admin"]))
    );
    let serving = Serving::of(&app.live, Settings::default());
    let page = serving.page();
    let publish = |channel: &str, n: u64| {
        let input = json!({ "channels": [channel], "data": { "n": n } });
        serving.call(token(&page), "publish", &input);
    };
    publish("chat", 1);
    publish("jobs", 2);
    until("the record", || {
        shell(&app.store("calls.db"), "SELECT count(*) FROM events") == "2\n"
    });
    let mut tail = Following::start(&mut remy(
        &app,
        &["events", "tail", "--channel", "chat", "--json"],
    ));
    let first = tail.next();
    assert_eq!(
        (&first["channel"], &first["data"], &first["target"]),
        (&json!("chat"), &json!({ "n": 1 }), &json!("live"))
    );
    publish("jobs", 3);
    publish("chat", 4);
    assert_eq!(tail.next()["data"]["n"], 4);
}

#[test]
fn what_is_kept_too_long_goes_when_a_server_starts() {
    let app = shop();
    drop(Serving::of(&app.live, Settings::default()));
    let old = "1000000000000";
    shell(
        &app.store("calls.db"),
        &format!(
            "INSERT INTO calls (id, at, method, target, status, process) VALUES ('old', {old}, 'm', 'live', 'returned', '');
             INSERT INTO requests (id, at, method, path, status, ms) VALUES ('old', {old}, 'GET', '/', 200, 1);
             INSERT INTO events (id, at, world, channel, data, delivered) VALUES ('old', {old}, 'live', 'c', '1', 0);"
        ),
    );
    shell(
        &app.store("server.db"),
        &format!(
            "INSERT INTO sessions (hash, target, visitor, ends) VALUES (x'01', 'live', 'v', {old});
             INSERT INTO logins (hash, target, user, ends) VALUES (x'01', 'live', 'u', {old});
             INSERT INTO codes (hash, target, by, address, user, code, ends) VALUES (x'01', 'live', 'email', 'a', '', x'02', {old});
             INSERT INTO tries (what, who, at) VALUES ('send', x'01', {old});"
        ),
    );
    let _serving = Serving::of(&app.live, Settings::default());
    let count = |database: &str, tables: &[&str], when: &str| {
        let counts = tables
            .iter()
            .map(|table| format!("(SELECT count(*) FROM {table} WHERE {when} = {old})"));
        let sql = counts.collect::<Vec<_>>().join(" + ");
        shell(&app.store(database), &format!("SELECT {sql}"))
    };
    until("the end of what is old", || {
        count("calls.db", &["calls", "requests", "events"], "at") == "0\n"
            && count("server.db", &["sessions", "logins", "codes"], "ends") == "0\n"
            && count("server.db", &["tries"], "at") == "0\n"
    });
}
