//! What services outside have not been told yet: who tells them, and who says what is left.
use super::{
    bots::{Services, declare, secrets, until},
    ending::{Program, command},
    http::Request,
    talk::{publish, secret, talk, write},
};
use remy_db_app::outbox::{stamps, wanted};
use remy_tests::{built_program, esbuild, live::App, output, shell};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// What the command says in the app's folder: its output, and what it tells besides.
fn said(app: &App, arguments: &[&str]) -> (String, String) {
    let mut command = Command::new(built_program("remy-command"));
    command
        .current_dir(app.dir.path().join("talk"))
        .env_remove("REMY_DB")
        .env("ESBUILD_BINARY_PATH", esbuild())
        .stdin(Stdio::null())
        .args(arguments)
        .arg("--db")
        .arg(&app.live);
    let out = output(&mut command);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (told, errors) = (text(out.stdout), text(out.stderr));
    assert!(out.status.success(), "{errors}");
    assert!(!told.contains("hush") && !errors.contains("hush"));
    (told, errors)
}

/// What `remy status` has of it, for programs and for people.
fn status(app: &App) -> (Value, Vec<String>) {
    let json: Value = serde_json::from_str(&said(app, &["status", "--json"]).0).unwrap();
    let shown = said(app, &["status"]).0;
    let lines = shown.lines().map(str::trim);
    let lines = lines.filter_map(|line| line.strip_prefix("outbox"));
    let lines = lines.map(|line| line.trim().to_owned()).collect();
    (json["outbox"].clone(), lines)
}

#[test]
fn a_publish_by_the_command_tells_services_and_status_says_what_is_left() {
    let services = Services::start();
    let app = talk();
    assert_eq!(status(&app), (json!([]), Vec::new()));
    secrets(&app, &services);
    services.answer(500);
    declare(&app, "hello");
    // The switch is done, whatever becomes of that.
    let (_, errors) = said(&app, &["publish"]);
    for service in ["discord", "telegram"] {
        let warned = format!("warning: {service} could not be told of the ");
        assert!(errors.contains(&warned), "{errors}");
    }
    assert!(
        errors.contains("of release 2 (attempt 1): it has answered 500"),
        "{errors}"
    );
    let (left, lines) = status(&app);
    let live = app.remy().releases().unwrap()[0].live_at;
    for (at, service) in ["discord", "telegram"].into_iter().enumerate() {
        let mut lag = left[at].clone();
        let next = lag["next_at"].take();
        assert!(next.as_i64() > live, "{lag}");
        assert_eq!(
            lag,
            json!({ "service": service, "release": 2, "since": live, "told": null, "attempts": 1,
                "next_at": null, "error": "it has answered 500", "waits_for": [] })
        );
        let begins = format!("{service} has been told of no release, and 2 is live since ");
        let line = &lines[at];
        assert!(
            line.starts_with(&begins)
                && line.contains(": it has answered 500 (attempt 1, the next at "),
            "{line}"
        );
    }
    services.answer(200);
    declare(&app, "hi");
    let (_, errors) = said(&app, &["publish"]);
    for told in [
        "discord has the 5 commands of release 3",
        "telegram has the 4 commands of release 3",
    ] {
        assert!(errors.contains(told), "{errors}");
    }
    assert_eq!(status(&app), (json!([]), Vec::new()));
    let greets = || {
        let heard = services.heard().into_iter();
        let mut told = heard.filter(|(verb, ..)| verb == "PUT");
        told.next_back().unwrap().2[0]["name"].clone()
    };
    assert_eq!(greets(), "hi");
    said(&app, &["rollback", "--yes"]);
    assert_eq!(greets(), "hello");
    // By another face, which tells nobody.
    app.rollback(None).unwrap();
    let (left, lines) = status(&app);
    assert_eq!(
        (&left[0]["told"], &left[0]["release"]),
        (&json!(4), &json!(5))
    );
    assert!(
        lines[0].starts_with("discord was told of release 4 last, and 5 is live since ")
            && lines[0].ends_with("serve tells it, and so does a publish"),
        "{lines:?}"
    );
}

#[test]
fn status_says_which_secrets_a_service_waits_for() {
    let app = talk();
    declare(&app, "hello");
    said(&app, &["publish"]);
    let (left, lines) = status(&app);
    assert_eq!(left[1]["waits_for"], json!(["TELEGRAM_BOT_TOKEN"]));
    let set = |key: &str| format!("secrets set {key} --server");
    assert!(
        lines[0].contains(&set("DISCORD_APPLICATION_ID"))
            && lines[0].contains(&set("DISCORD_BOT_TOKEN"))
            && lines[1].ends_with(&set("TELEGRAM_BOT_TOKEN")),
        "{lines:?}"
    );
}

#[test]
fn health_and_metrics_show_what_services_have_not_been_told() {
    const TOKEN: &str = "a-token-of-tests";
    let services = Services::start();
    let app = talk();
    secrets(&app, &services);
    secret(&app, "METRICS_TOKEN", TOKEN);
    declare(&app, "hello");
    publish(&app);
    services.answer(500);
    let served = Program::start(&mut command(&app, &["--port", "0", "--metrics", "0"]));
    let watched = served.listening["metrics"].as_str().unwrap();
    let health = || served.ask("GET", "/_/health").send().json();
    let metrics = || {
        let ask = Request::to(watched.parse().unwrap(), "GET", "/metrics");
        ask.bearer(TOKEN).send().text()
    };
    let value = |name: &str, service: &str| -> f64 {
        let begins = format!("{name}{{service=\"{service}\"}} ");
        let text = metrics();
        let found = text.lines().find_map(|line| line.strip_prefix(&begins));
        found.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
    };
    until("both have failed", || {
        health()["lag"]["outbox"]
            .as_array()
            .is_some_and(|all| all.len() == 2)
    });
    let (live, health_now) = (app.remy().releases().unwrap()[0].live_at, health());
    // Who asks is anybody: neither why, nor what is set.
    let lag = |service: &str, attempts: &Value| json!({ "service": service, "release": null, "live": 2, "since": live, "attempts": attempts });
    for (at, service) in ["discord", "telegram"].into_iter().enumerate() {
        let found = &health_now["lag"]["outbox"][at];
        assert!(found["attempts"].as_u64() > Some(0));
        assert_eq!(*found, lag(service, &found["attempts"]));
        assert!(value("remy_outbox_lag_seconds", service) > 0.0);
        assert!(value("remy_outbox_attempts", service) > 0.0);
    }
    assert_eq!(
        (&health_now["status"], &health_now["release"]),
        (&json!("ok"), &json!(2))
    );
    services.answer(200);
    until("both are told", || health()["lag"]["outbox"] == json!([]));
    for service in ["discord", "telegram"] {
        assert_eq!(value("remy_outbox_lag_seconds", service), 0.0);
        assert_eq!(value("remy_outbox_attempts", service), 0.0);
    }
    // A publish and a rollback of others are seen without being asked for.
    services.answer(500);
    write(&app, &json!([]));
    publish(&app);
    until("it is seen that others are told now", || {
        let lag = &health()["lag"]["outbox"][0];
        lag["release"] == 2 && lag["live"] == 3
    });
}

#[test]
fn whoever_looks_changes_nothing_and_whoever_changes_something_is_seen() {
    let app = talk();
    let store = app.store("");
    let mut seen = stamps(&store);
    wanted(&app.remy(), &store).unwrap();
    app.remy().releases().unwrap();
    assert_eq!(stamps(&store), seen);
    let mut is_seen = |what: &str| {
        let now = stamps(&store);
        assert_ne!(now, seen, "{what}");
        seen = now;
    };
    declare(&app, "hello");
    publish(&app);
    is_seen("a publish");
    app.rollback(None).unwrap();
    is_seen("a rollback");
    secret(&app, "TELEGRAM_BOT_TOKEN", "x");
    is_seen("a secret");
    let deliver = Default::default();
    let about = (remy_db::ReleaseId(1), "told", std::time::Duration::ZERO);
    app.remy().outbox().deliver("x", &deliver, about).unwrap();
    is_seen("what a service was told");
    let add = "INSERT INTO work VALUES ('0000000000000000')";
    shell(&app.store("catalog.db"), add);
    is_seen("what another program writes");
}
