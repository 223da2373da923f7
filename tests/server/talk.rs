//! The app that agents, bots and people talk to, and that keeps files.
use super::{Serving, shop::BUILD, token};
use remy_db_app::secrets::{For, Secrets, Whose};
use remy_db_server::{Settings, ShowCode};
use remy_tests::{live::App, publish_in, repository};
use serde_json::{Value, json};
use std::{
    fs,
    sync::{Arc, Mutex},
};

const METHODS: [&str; 10] = [
    "echo", "greet", "refuse", "nothing", "vendor", "slow", "keep", "mine", "tell", "papers",
];

/// The app, live.
pub fn talk() -> App {
    let app = App::empty();
    write(&app, &json!([]));
    publish(&app);
    app
}

/// Its files; its interfaces are the web, and these.
pub fn write(app: &App, interfaces: &Value) {
    let methods: Vec<_> = METHODS
        .iter()
        .map(|id| json!({ "id": id, "path": "src/talk.ts", "export": id, "description": format!("Does {id}.") }))
        .collect();
    let mut all = vec![json!({ "type": "web", "path": "web/web.json" })];
    all.extend(interfaces.as_array().unwrap().iter().cloned());
    let manifest = json!({
        "name": "talk",
        "roles": [{ "id": "admin" }],
        "auth": { "enabled": true, "methods": ["email-code", "api-key"],
            "table": { "name": "people", "columns": { "email": "email", "roles": "roles", "apiKey": "apiKey" } } },
        "tables": [{ "path": "src/talk.ts", "export": "People" }, { "path": "src/talk.ts", "export": "Kept" }],
        "methods": methods,
        "interfaces": all,
    });
    app.file("talk/mindstudio.json", &manifest.to_string());
    let text = fs::read_to_string(repository("tests/server/talk.ts")).unwrap();
    app.file("talk/src/talk.ts", &text);
    app.file("talk/web/web.json", r#"{ "web": {} }"#);
    app.file(
        "talk/web/package.json",
        r#"{ "name": "talk-web", "type": "module", "scripts": { "build": "node build.mjs" } }"#,
    );
    app.file("talk/web/build.mjs", BUILD);
    app.file("talk/web/public/robots.txt", "User-agent: *\n");
    app.file("talk/web/main.js", "console.log('x')");
}

pub fn publish(app: &App) {
    let outcome = publish_in(&app.dir.path().join("talk"), Some(&app.live), None);
    assert_eq!(outcome.unwrap().status.as_str(), "live");
}

/// Sets a secret of the server's.
pub fn secret(app: &App, key: &str, value: &str) {
    let secrets = Secrets::of(&app.store(""));
    secrets.set(key, Whose::Server, For::Both, value).unwrap();
}

/// The server of an app, at which anybody may sign in.
pub struct Club {
    pub serving: Serving,
    codes: Arc<Mutex<String>>,
}

/// Serves an app.
pub fn club(app: &App) -> Club {
    club_by(app, Settings::default())
}

/// Serves an app, set up so.
pub fn club_by(app: &App, settings: Settings) -> Club {
    let codes = Arc::<Mutex<String>>::default();
    let shown = Arc::clone(&codes);
    let show = move |_: &str, code: &str| code.clone_into(&mut shown.lock().unwrap());
    let settings = Settings {
        show_code: Some(ShowCode(Arc::new(show))),
        ..settings
    };
    let serving = Serving::of(&app.live, settings);
    Club { serving, codes }
}

impl Club {
    /// A page on which somebody has signed in: `{ user, token }`.
    pub fn member(&self, email: &str) -> Value {
        self.signs_in(&self.serving.page(), email)
    }

    /// The same, on a page that is there: `{ token }`.
    pub fn signs_in(&self, page: &Value, email: &str) -> Value {
        let post = |path: &str, body: &Value| {
            let request = self.serving.ask("POST", path).bearer(token(page));
            let reply = request.json(body).send();
            assert_eq!(reply.status, 200, "{reply:?}");
            reply.json()
        };
        let sent = post("/_/auth/email/send", &json!({ "email": email }));
        let code = self.codes.lock().unwrap().clone();
        let verify = json!({ "verificationId": sent["verificationId"], "code": code });
        post("/_/auth/email/verify", &verify)
    }

    /// The key of who has signed in on a page.
    pub fn key(&self, page: &Value) -> String {
        let create = self.serving.ask("POST", "/_/auth/api-key/create");
        let made = create.bearer(token(page)).json(&json!({})).send();
        made.json()["key"].as_str().unwrap().to_owned()
    }
}
