//! The app that programs call, and the clock.
use remy_tests::{live::App, publish_in, repository};
use serde_json::json;
use std::fs;

/// The app, live; its webhook has this secret.
pub fn programs(secret: &str) -> App {
    let app = App::empty();
    write(&app, secret);
    publish(&app);
    app
}

/// Its files.
pub fn write(app: &App, secret: &str) {
    let ids = [
        "echo",
        "nothing",
        "refuse",
        "parts",
        "tick",
        "slow",
        "hook",
        "needs-user",
    ];
    let export = |id: &str| match id {
        "needs-user" => "needsUser".to_owned(),
        id => id.to_owned(),
    };
    let methods: Vec<_> = ids
        .iter()
        .map(|id| json!({ "id": id, "path": "src/programs.ts", "export": export(id) }))
        .collect();
    let manifest = json!({
        "name": "programs",
        "roles": [{ "id": "clerk" }],
        "tables": [{ "path": "src/programs.ts", "export": "Ticks" }],
        "methods": methods,
        "interfaces": [
            { "type": "api", "config": { "name": "Orders & <more>", "routes": [
                { "method": "GET", "path": "/orders/:id", "handler": "echo", "summary": "One <order>",
                  "params": { "path": { "id": { "type": "integer" } }, "query": { "all": { "type": "boolean" } } } },
                { "method": "GET", "path": "/orders/new", "handler": "nothing" },
                { "method": "PUT", "path": "/orders/:id", "handler": "echo",
                  "params": { "path": { "id": { "type": "integer" } } } },
                { "method": "POST", "path": "/refuse", "handler": "refuse" },
                { "method": "POST", "path": "/parts", "handler": "parts" },
                { "method": "GET", "path": "/mine", "handler": "needs-user" },
            ] } },
            { "type": "webhook", "config": { "endpoints": [{ "method": "hook", "secret": secret }] } },
            { "type": "cron", "config": { "jobs": [
                { "method": "tick", "schedule": "* * * * *", "description": "counts" },
                { "method": "slow", "schedule": "0 0 1 1 *" },
            ] } },
        ],
    });
    app.file("programs/mindstudio.json", &manifest.to_string());
    let text = fs::read_to_string(repository("tests/server/programs.ts")).unwrap();
    app.file("programs/src/programs.ts", &text);
}

pub fn publish(app: &App) {
    let folder = app.dir.path().join("programs");
    let outcome = publish_in(&folder, Some(&app.live), None);
    assert_eq!(outcome.unwrap().status.as_str(), "live");
}
