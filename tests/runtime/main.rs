//! What was published, run: methods on the database of their release.
mod commands;
mod dev;
mod files;
mod postgres;
mod services;
mod switches;
mod watch;

use remy_db::{Options, Outcome, Progress};
use remy_db_runtime::{
    child::{Listener, Stream},
    failure::Failure,
    pool::Cancel,
    records,
    runtime::{Invoke, Returned, Runtime},
    secrets::{For, Secrets, Whose},
    served::Settings,
    target::Target,
    who::Who,
};
use remy_tests::{live::App, repository, shell};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

const MANIFEST: &str = r#"{
  "name": "lab",
  "roles": [{ "id": "admin" }, { "id": "guest" }],
  "auth": { "enabled": true, "methods": ["email-code"], "table": { "name": "people", "columns": { "email": "email", "roles": "roles" } } },
  "tables": [
    { "path": "src/tables.ts", "export": "Items" },
    { "path": "src/tables.ts", "export": "Notes" },
    { "path": "src/tables.ts", "export": "People" }
  ],
  "methods": [
    { "id": "verbs", "path": "src/lab.ts", "export": "verbs" },
    { "id": "predicates", "path": "src/lab.ts", "export": "predicates" },
    { "id": "about", "path": "src/lab.ts", "export": "about" },
    { "id": "only-admin", "path": "src/lab.ts", "export": "onlyAdmin" },
    { "id": "fails", "path": "src/lab.ts", "export": "fails" },
    { "id": "streams", "path": "src/lab.ts", "export": "streams" }
  ]
}"#;

/// Publishes the app in a folder to `app`.
fn publish(app: &App, folder: &Path) {
    publish_with(app, folder, Options::default());
}

fn publish_with(app: &App, folder: &Path, options: Options) -> Outcome {
    let outcome = remy_tests::publish_with(folder, Some(&app.live), None, options).unwrap();
    assert_eq!(outcome.status.as_str(), "live");
    outcome
}

/// The app of `lab.ts`, live.
fn lab() -> App {
    let app = App::empty();
    app.file("lab/mindstudio.json", MANIFEST);
    for file in ["lab.ts", "tables.ts"] {
        let text = fs::read_to_string(repository("tests/runtime").join(file)).unwrap();
        app.file(&format!("lab/src/{file}"), &text);
    }
    publish(&app, &app.dir.path().join("lab"));
    app
}

fn runtime(app: &App) -> Runtime {
    Runtime::open(&app.live, Settings::default()).unwrap()
}

/// Keeps what it is told.
#[derive(Default)]
struct Heard {
    lines: Mutex<Vec<String>>,
    parts: Mutex<Vec<Value>>,
}

impl Listener for Heard {
    fn line(&self, _: Stream, text: &str) {
        self.lines.lock().unwrap().push(text.to_owned());
    }

    fn part(&self, data: Value) {
        self.parts.lock().unwrap().push(data);
    }
}

fn call(runtime: &Runtime, invoke: Invoke) -> Result<Returned, Failure> {
    let listener: Arc<dyn Listener> = Arc::new(Heard::default());
    runtime.call(invoke, &listener, &Cancel::default())
}

fn output(runtime: &Runtime, method: &str, input: Value) -> Value {
    let returned = call(runtime, Invoke::new(method, input));
    returned
        .unwrap_or_else(|e| panic!("{method}: {e:?}"))
        .output
}

#[test]
fn every_verb_of_a_table() {
    let app = lab();
    assert_eq!(output(&runtime(&app), "verbs", json!({})), "fine");
}

#[test]
fn a_predicate_means_the_same_to_the_database_and_to_javascript() {
    let app = lab();
    let runtime = runtime(&app);
    let rows = json!([
        {}, { "a": "" }, { "a": "x" }, { "a": "X" }, { "a": "xyz", "b": "xyz" }, { "a": "5" }, { "a": "%_\\" },
        { "a": "é" }, { "a": "z\u{e000}" }, { "a": "z\u{1f600}" }, { "b": "x" },
        { "n": 0 }, { "n": -1.5 }, { "n": 5 }, { "n": 9_007_199_254_740_991_i64 }, { "n": 5, "f": true },
        { "f": true }, { "f": false }, { "f": false, "n": 7, "a": "x" },
        { "j": { "a": 1 } }, { "j": [] }, { "j": "x" }, { "j": "5" }, { "j": 0 }, { "j": false },
        { "u": "x" }, { "u": "5", "a": "5" }
    ]);
    let values = [
        json!("x"),
        json!(""),
        json!("5"),
        json!("xy"),
        json!("%"),
        json!("z\u{1f600}"),
        json!(5),
        json!(0),
        json!(-1.5),
        json!(true),
        json!(false),
        json!(null),
        json!([5]),
        json!({}),
    ];
    for v in &values {
        for w in [json!("x"), json!(1), json!(null)] {
            let input = json!({ "rows": rows, "v": v, "w": w, "list": [v, w, "xyz", 7, null] });
            let differ = output(&runtime, "predicates", input);
            assert_eq!(differ, json!([]), "v {v}, w {w}");
        }
    }
}

#[test]
fn who_calls_is_told_and_roles_are_held_to() {
    let app = lab();
    let runtime = runtime(&app);
    shell(
        &app.live,
        r#"INSERT INTO people (id, email, name, roles) VALUES ('1', 'a@x', 'A', '["admin"]'), ('2', 'b@x', 'B', NULL)"#,
    );
    let as_ = |user: Option<&str>, roles: Option<&[&str]>| Who {
        user: user.map(str::to_owned),
        roles: roles.map(|roles| roles.iter().map(|role| (*role).to_owned()).collect()),
    };
    let about = |who: Who| {
        let invoke = Invoke {
            who,
            ..Invoke::new("about", json!({}))
        };
        call(&runtime, invoke).map(|returned| returned.output)
    };
    let nobody = about(Who::default()).unwrap();
    assert_eq!(nobody["user"], Value::Null);
    assert_eq!(nobody["admins"], json!(["1"]));
    let one = about(as_(Some("1"), None)).unwrap();
    assert_eq!(
        (&one["roles"], &one["admin"]),
        (&json!(["admin"]), &json!(true))
    );
    let two = about(as_(Some("2"), Some(&["guest"]))).unwrap();
    assert_eq!(
        (&two["user"], &two["roles"]),
        (&json!("2"), &json!(["guest"]))
    );
    assert_eq!(
        about(as_(Some("3"), None)).unwrap_err().code,
        "user_not_found"
    );
    assert_eq!(
        about(as_(None, Some(&["king"]))).unwrap_err().code,
        "role_not_found"
    );

    let only = |who| {
        let invoke = Invoke {
            who,
            ..Invoke::new("only-admin", json!({}))
        };
        call(&runtime, invoke).map_err(|e| (e.status, e.code))
    };
    assert_eq!(
        only(Who::default()).unwrap_err(),
        (401, "unauthenticated".to_owned())
    );
    assert_eq!(
        only(as_(Some("2"), None)).unwrap_err(),
        (403, "forbidden".to_owned())
    );
    assert_eq!(only(as_(Some("1"), None)).unwrap().output, "let in");
    assert_eq!(only(as_(None, Some(&["admin"]))).unwrap().output, "let in");
}

#[test]
fn why_a_call_fails_comes_through() {
    let app = lab();
    let runtime = runtime(&app);
    let fails = |how: &str| call(&runtime, Invoke::new("fails", json!({ "how": how })));
    let own = fails("own").unwrap_err();
    assert_eq!(
        (
            own.message.as_str(),
            own.code.as_str(),
            own.status,
            own.details.clone()
        ),
        (
            "Not today.",
            "not_today",
            418,
            Some(Box::new(json!({ "until": "tomorrow" })))
        )
    );
    assert!(own.stack.unwrap().contains("lab.ts"), "the map is used");
    let plain = fails("plain").unwrap_err();
    assert_eq!((plain.message.as_str(), plain.status), ("a mistake", 500));
    assert!(fails("odd").unwrap_err().message.contains("just a text"));
    assert_eq!(fails("bigint").unwrap_err().status, 500);
    assert_eq!(fails("managed").unwrap_err().code, "managed_column_write");
    assert!((400..500).contains(&fails("table").unwrap_err().status));
    assert_eq!(fails("nothing").unwrap().output, Value::Null);
    let unknown = call(&runtime, Invoke::new("no-such", json!({}))).unwrap_err();
    assert_eq!(
        (unknown.code.as_str(), unknown.status),
        ("method_not_found", 404)
    );
    let all = records::list(
        &app.store(""),
        &records::Asked {
            failed: true,
            limit: 20,
            ..Default::default()
        },
    );
    drop(runtime);
    drop(all);
    let asked = records::Asked {
        failed: true,
        limit: 20,
        ..Default::default()
    };
    let all = records::list(&app.store(""), &asked).unwrap();
    assert_eq!(all.len(), 7, "{all:#?}");
    assert_eq!(all.last().unwrap().code.as_deref(), Some("not_today"));
}

#[test]
fn what_is_streamed_comes_in_parts_and_work_goes_on_after_the_answer() {
    let app = lab();
    let runtime = runtime(&app);
    let heard = Arc::new(Heard::default());
    let listener: Arc<dyn Listener> = heard.clone();
    let invoke = Invoke {
        stream: true,
        ..Invoke::new("streams", json!({ "n": 3 }))
    };
    let returned = runtime.call(invoke, &listener, &Cancel::default()).unwrap();
    assert_eq!(returned.output, 3);
    let parts = heard.parts.lock().unwrap().clone();
    assert_eq!(
        parts,
        [
            json!("part 0"),
            json!("part 1"),
            json!("part 2"),
            json!({ "done": true })
        ]
    );
    // A second call waits for the first one's work, where it has its process.
    output(&runtime, "about", json!({}));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while shell(&app.live, "SELECT text FROM notes WHERE slug = 'later'")
        != "written after the answer\n"
    {
        assert!(std::time::Instant::now() < until, "it was never written");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn secrets_are_variables_of_methods_and_are_shown_nowhere() {
    let app = lab();
    let secrets = Secrets::of(&app.store(""));
    secrets
        .set("API_TOKEN", Whose::App, For::Both, "hush-hush-1")
        .unwrap();
    secrets
        .set("SMTP_URL", Whose::Server, For::Both, "smtp://u:geheim12@h")
        .unwrap();
    let runtime = runtime(&app);
    assert_eq!(
        output(&runtime, "about", json!({}))["secret"],
        "hush-hush-1"
    );
    let heard = Arc::new(Heard::default());
    let listener: Arc<dyn Listener> = heard.clone();
    let invoke = Invoke {
        who: Who {
            user: None,
            roles: Some(vec!["admin".to_owned()]),
        },
        ..Invoke::new("only-admin", json!({}))
    };
    runtime.call(invoke, &listener, &Cancel::default()).unwrap();
    // What a method gives besides its message is shown to whoever called, and kept, as well.
    let leak = call(&runtime, Invoke::new("fails", json!({ "how": "leak" }))).unwrap_err();
    let details = json!({ "asked": [{ "url": "https://api/?token=[secret]", "[secret]": 1 }] });
    assert_eq!(
        (&*leak.code, leak.details.as_deref()),
        ("no_[secret]", Some(&details))
    );
    assert!(!format!("{leak:?}").contains("hush-hush"), "{leak:?}");
    secrets
        .set("API_TOKEN", Whose::App, For::Both, "hush-hush-2")
        .unwrap();
    assert_eq!(
        output(&runtime, "about", json!({}))["secret"],
        "hush-hush-2"
    );
    drop(runtime);
    assert_eq!(*heard.lines.lock().unwrap(), ["token [secret]"]);
    let asked = records::Asked {
        method: Some("only-admin".to_owned()),
        limit: 5,
        ..Default::default()
    };
    let all = records::list(&app.store(""), &asked).unwrap();
    assert_eq!(all[0].output, "token [secret]\n");
    // No release, snapshot or log has it.
    let grep = std::process::Command::new("grep")
        .args(["-rlE", "hush-hush|geheim12"])
        .arg(app.store(""))
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&grep.stdout).into_owned();
    assert_eq!(found.lines().count(), 1, "{found}");
    assert!(found.contains("secrets.json"), "{found}");
}

#[test]
fn code_and_data_change_together_and_come_back_together() {
    let app = App::empty();
    let manifest = r#"{ "name": "n", "tables": [{ "path": "t.ts", "export": "T" }], "methods": [{ "id": "m", "path": "m.ts", "export": "m" }] }"#;
    app.file("n/mindstudio.json", manifest);
    let version = |columns: &str, body: &str| {
        app.file("n/t.ts", &format!("import {{ db }} from '@mindstudio-ai/agent';\nexport const T = db.defineTable<{{ {columns} }}>('t');\n"));
        app.file(
            "n/m.ts",
            &format!(
                "import {{ T }} from './t';\nexport async function m(input: any) {{ {body} }}\n"
            ),
        );
        publish(&app, &app.dir.path().join("n"));
    };
    version(
        "a: string",
        "await T.push({ a: 'one' }); return ['v1', (await T.toArray()).map((r) => r.a)];",
    );
    let runtime = runtime(&app);
    let returned = call(&runtime, Invoke::new("m", json!({}))).unwrap();
    assert_eq!(
        (returned.output, returned.release.unwrap().0),
        (json!(["v1", ["one"]]), 1)
    );
    version(
        "a: string; b?: string",
        "await T.push({ a: 'two', b: 'b' }); return ['v2', (await T.sortBy((r) => r.created_at)).map((r) => r.b)];",
    );
    let returned = call(&runtime, Invoke::new("m", json!({}))).unwrap();
    assert_eq!(
        (returned.output, returned.release.unwrap().0),
        (json!(["v2", [null, "b"]]), 2)
    );
    // What a release was is there to be read; what is written there stays nowhere.
    let earlier = Invoke {
        target: Target::Release(remy_db::ReleaseId(1)),
        ..Invoke::new("m", json!({}))
    };
    assert_eq!(
        call(&runtime, earlier).unwrap().output,
        json!(["v1", ["one", "one"]])
    );
    app.remy()
        .rollback(None, &Options::default(), Progress::none())
        .unwrap();
    let returned = call(&runtime, Invoke::new("m", json!({}))).unwrap();
    assert_eq!(
        (returned.output, returned.release.unwrap().0),
        (json!(["v1", ["one", "one"]]), 3)
    );
}
