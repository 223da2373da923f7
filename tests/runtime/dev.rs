//! Dev sessions of an app: its methods and scenarios as the working tree has them.
use super::{Heard, runtime};
use remy_db::{Options, Remy};
use remy_db_app::{
    place::Named,
    project::{Follow, Project, Tools},
};
use remy_db_runtime::{
    child::Listener,
    dev::seed::{Seed, Seeded},
    failure::Failure,
    pool::Cancel,
    runtime::{Invoke, Runtime},
    target::Target,
    who::Who,
};
use remy_tests::{Shell, esbuild, live::App, shell};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

const MANIFEST: &str = r#"{
  "name": "shop",
  "roles": [{ "id": "buyer" }, { "id": "clerk" }],
  "auth": { "enabled": true, "methods": ["email-code"], "table": { "name": "people", "columns": { "email": "email", "phone": "phone", "roles": "roles" } } },
  "tables": [{ "path": "src/tables.ts", "export": "People" }, { "path": "src/tables.ts", "export": "Things" }],
  "methods": [
    { "id": "me", "path": "src/me.ts", "export": "me" },
    { "id": "names", "path": "src/names.ts", "export": "names" }
  ],
  "scenarios": [
    { "id": "full", "path": ".scenarios/full.ts", "export": "full", "roles": ["clerk", "buyer"] },
    { "id": "more", "path": ".scenarios/more.ts", "export": "more", "roles": ["buyer"], "skipTruncate": true },
    { "id": "fails", "path": ".scenarios/fails.ts", "export": "fails", "roles": [] }
  ]
}"#;

const TABLES: &str = "import { db } from '@mindstudio-ai/agent';
export const People = db.defineTable<{ email?: string; phone?: string; roles?: string[] }>('people');
export const Things = db.defineTable<{ name: string }>('things');";

const FILES: [(&str, &str); 6] = [
    ("src/tables.ts", TABLES),
    (
        "src/me.ts",
        "import { auth } from '@mindstudio-ai/agent';
         export async function me() { return { user: auth.userId, roles: [...auth.roles].sort() }; }",
    ),
    (
        "src/names.ts",
        "import { Things } from './tables';
         export async function names() { return (await Things.sortBy((t) => t.name)).map((t) => t.name); }",
    ),
    (
        ".scenarios/full.ts",
        "import { Things } from '../src/tables';
         export async function full() { await Things.push([{ name: 'a' }, { name: 'b' }]); }",
    ),
    (
        ".scenarios/more.ts",
        "import { Things } from '../src/tables';
         export async function more() { console.log('one more'); await Things.push({ name: 'c' }); }",
    ),
    (
        ".scenarios/fails.ts",
        "import { MindStudioError } from '@mindstudio-ai/agent';
         import { Things } from '../src/tables';
         export async function fails() { await Things.push({ name: 'x' }); throw new MindStudioError('no luck', 'unlucky', 418); }",
    ),
];

/// The app in a folder, which was never published, and its session `default`.
struct Shop {
    app: App,
    project: Project,
}

impl Shop {
    fn new() -> Self {
        let app = App::empty();
        app.file("shop/mindstudio.json", MANIFEST);
        for (file, text) in FILES {
            app.file(&format!("shop/{file}"), text);
        }
        let named = Named {
            db: Some(app.live.clone()),
            here: true,
            ..Named::default()
        };
        let folder = app.dir.path().join("shop");
        let project = Project::find(&folder, &named, |path| Remy::open(path)).unwrap();
        let shop = Self { app, project };
        let never = AtomicBool::new(false);
        let quiet = Follow::new(&|_| (), &never);
        shop.project.dev_start("default", quiet).unwrap();
        shop.sync();
        shop
    }

    fn sync(&self) {
        let never = AtomicBool::new(false);
        let quiet = Follow::new(&|_| (), &never);
        let options = Options::default();
        self.project.dev_sync("default", &options, quiet).unwrap();
    }

    fn build(&self) -> PathBuf {
        let never = AtomicBool::new(false);
        let tools = Tools {
            esbuild: Some(esbuild()),
            node: None,
        };
        let built = self
            .project
            .dev_build(&tools, Follow::new(&|_| (), &never))
            .unwrap();
        built.dir
    }

    fn database(&self) -> PathBuf {
        let sessions = self.app.remy().dev_list().unwrap();
        PathBuf::from(&sessions[0].path)
    }

    fn ask(&self, sql: &str) -> String {
        shell(&self.database(), sql).trim().to_owned()
    }
}

fn call(runtime: &Runtime, built: &Path, method: &str, who: Who) -> Result<Value, Failure> {
    let invoke = Invoke {
        target: Target::Dev {
            name: "default".to_owned(),
            built: built.to_owned(),
        },
        who,
        ..Invoke::new(method, json!({}))
    };
    let returned = super::call(runtime, invoke)?;
    assert_eq!(returned.release, None);
    Ok(returned.output)
}

fn seed(runtime: &Runtime, built: &Path, scenario: &str) -> Result<Seeded, Failure> {
    let seed = Seed {
        name: "default".to_owned(),
        built: built.to_owned(),
        scenario: scenario.to_owned(),
    };
    let listener: Arc<dyn Listener> = Arc::new(Heard::default());
    runtime.seed(&seed, &listener, &Cancel::default())
}

#[test]
fn scenarios_seed_a_session_of_an_app_that_was_never_published() {
    let shop = Shop::new();
    let built = shop.build();
    let runtime = runtime(&shop.app);
    // Whoever calls is the test user, who is made once.
    let me = call(&runtime, &built, "me", Who::default()).unwrap();
    let user = me["user"].as_str().unwrap().to_owned();
    assert_eq!(me["roles"], json!([]));
    assert_eq!(
        call(&runtime, &built, "me", Who::default()).unwrap()["user"],
        json!(user)
    );
    assert_eq!(
        shop.ask("SELECT email, phone FROM people"),
        "remy@mindstudio.ai|+15555555555"
    );
    let mut server = Shell::open(&shop.database());
    server.run("INSERT INTO things (name) VALUES ('old');");
    let seeded = seed(&runtime, &built, "full").unwrap();
    assert_eq!(seeded.roles, ["clerk", "buyer"]);
    let names = |runtime| call(runtime, &built, "names", Who::default()).unwrap();
    assert_eq!(names(&runtime), json!(["a", "b"]), "what was there is gone");
    let me = call(&runtime, &built, "me", Who::default()).unwrap();
    assert_eq!(me["roles"], json!(["buyer", "clerk"]));
    assert_eq!(me["user"].as_str(), seeded.user.as_deref());
    // One that adds to what is there. Its roles are all that the test user has.
    seed(&runtime, &built, "more").unwrap();
    assert_eq!(names(&runtime), json!(["a", "b", "c"]));
    let me = call(&runtime, &built, "me", Who::default()).unwrap();
    assert_eq!(me["roles"], json!(["buyer"]));
    assert_eq!(shop.ask("SELECT count(*) FROM people"), "1");
    // Roles that are said go before those in the row.
    let as_clerk = Who {
        roles: Some(vec!["clerk".to_owned()]),
        ..Who::default()
    };
    let me = call(&runtime, &built, "me", as_clerk).unwrap();
    assert_eq!(me["roles"], json!(["clerk"]));
    assert_eq!(server.run("SELECT count(*) FROM things;"), "3");
    assert!(shop.app.remy().releases().unwrap().is_empty());
}

#[test]
fn a_scenario_that_fails_leaves_the_session_as_it_was_under_open_connections() {
    let shop = Shop::new();
    let built = shop.build();
    let runtime = runtime(&shop.app);
    seed(&runtime, &built, "full").unwrap();
    let mut server = Shell::open(&shop.database());
    let before = shop.ask(".dump");
    let failed = seed(&runtime, &built, "fails").unwrap_err();
    assert_eq!((failed.code.as_str(), failed.status), ("unlucky", 418));
    assert!(
        failed.message.starts_with("no luck") && failed.message.contains("as it was before"),
        "{}",
        failed.message
    );
    assert_eq!(shop.ask(".dump"), before);
    assert_eq!(server.run("SELECT group_concat(name) FROM things;"), "a,b");
    server.run("INSERT INTO things (name) VALUES ('z');");
    let names = call(&runtime, &built, "names", Who::default()).unwrap();
    assert_eq!(names, json!(["a", "b", "z"]));
    let unknown = seed(&runtime, &built, "nothing").unwrap_err();
    assert_eq!(unknown.code, "scenario_not_found");
    assert!(
        unknown.message.contains("fails, full, more"),
        "{}",
        unknown.message
    );
    // Nothing is left of what was kept.
    let run = shop.app.store("run");
    let left = std::fs::read_dir(run).unwrap().flatten();
    let left = left.filter(|it| it.file_name().to_string_lossy().starts_with("dev-"));
    assert_eq!(left.count(), 0);
}

#[test]
fn a_changed_method_and_a_changed_table_are_there_with_the_next_call() {
    let shop = Shop::new();
    let first = shop.build();
    assert_eq!(shop.build(), first, "the same is built to the same");
    let runtime = runtime(&shop.app);
    seed(&runtime, &first, "full").unwrap();
    shop.app.file(
        "shop/src/names.ts",
        "import { Things } from './tables';
         export async function names() { await Things.push({ name: 'd', size: 3 }); return (await Things.toArray()).map((t) => t.size ?? 0); }",
    );
    shop.app.file(
        "shop/src/tables.ts",
        &TABLES.replace("{ name: string }", "{ name: string; size?: number }"),
    );
    let began = Instant::now();
    let second = shop.build();
    println!("built anew in {:?}", began.elapsed());
    assert_ne!(first, second);
    shop.sync();
    let sizes = call(&runtime, &second, "names", Who::default()).unwrap();
    assert_eq!(sizes, json!([0, 0, 3]));
    assert!(!second.join("source").exists());
    // Methods are what is said to exist; a release has no scenario.
    let unknown = call(&runtime, &second, "full", Who::default()).unwrap_err();
    assert_eq!(unknown.code, "method_not_found");
}
