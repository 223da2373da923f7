//! Dev sessions of an app: its methods and scenarios as the working tree has them.
use super::{
    Heard,
    commands::{remy, said},
    publish, runtime,
};
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

pub(super) const MANIFEST: &str = r#"{
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

pub(super) const TABLES: &str = "import { db } from '@mindstudio-ai/agent';
export const People = db.defineTable<{ email?: string; phone?: string; roles?: string[] }>('people');
export const Things = db.defineTable<{ name: string }>('things');";

pub(super) const FILES: [(&str, &str); 6] = [
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
pub(super) struct Shop {
    pub(super) app: App,
    project: Project,
}

impl Shop {
    /// Without a session.
    pub(super) fn bare() -> Self {
        let app = App::empty();
        app.file("shop/mindstudio.json", MANIFEST);
        for (file, text) in FILES {
            app.file(&format!("shop/{file}"), text);
        }
        let project = Self::project_of(&app);
        Self { app, project }
    }

    fn project_of(app: &App) -> Project {
        let named = Named {
            db: Some(app.live.clone()),
            here: true,
            ..Named::default()
        };
        let folder = app.dir.path().join("shop");
        Project::find(&folder, &named, |path| Remy::open(path)).unwrap()
    }

    /// Another one of the same folder.
    pub(super) fn project(&self) -> Project {
        Self::project_of(&self.app)
    }

    fn new() -> Self {
        let shop = Self::bare();
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

    /// What the command says.
    fn remy(&self, arguments: &[&str]) -> (i32, String, String) {
        let all = [&["--app", "shop"], arguments].concat();
        said(remy(&self.app, &all).env("ESBUILD_BINARY_PATH", esbuild()))
    }

    /// What the command prints, where it does well and has nothing to say.
    fn printed(&self, arguments: &[&str]) -> String {
        let (status, stdout, stderr) = self.remy(arguments);
        assert_eq!((status, stderr.as_str()), (0, ""), "{arguments:?}");
        stdout
    }

    /// What the command says that is refused, with its status.
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let (status, stdout, stderr) = self.remy(arguments);
        assert_eq!(stdout, "", "{arguments:?}");
        (status, stderr)
    }

    pub(super) fn database(&self) -> PathBuf {
        let sessions = self.app.remy().dev_list().unwrap();
        PathBuf::from(&sessions[0].path)
    }

    fn ask(&self, sql: &str) -> String {
        shell(&self.database(), sql).trim().to_owned()
    }
}

pub(super) fn call(
    runtime: &Runtime,
    built: &Path,
    method: &str,
    who: Who,
) -> Result<Value, Failure> {
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

/// What `names` is with a column that is new.
const SIZES: &str = "import { Things } from './tables';
export async function names() { await Things.push({ name: 'd', size: 3 }); return (await Things.toArray()).map((t) => t.size ?? 0); }";

fn with_sizes(shop: &Shop) {
    let tables = TABLES.replace("{ name: string }", "{ name: string; size?: number }");
    shop.app.file("shop/src/tables.ts", &tables);
    shop.app.file("shop/src/names.ts", SIZES);
}

#[test]
fn the_command_seeds_a_session_and_calls_what_the_working_tree_has() {
    let shop = Shop::bare();
    assert!(shop.printed(&["dev", "start"]).starts_with("default: "));
    assert_eq!(
        shop.remy(&["dev", "seed", "full"]),
        (
            0,
            "default is seeded by full; the test user has the roles clerk, buyer\n".to_owned(),
            concat!(
                "create table people\ncreate table things\n",
                "create index people_created_at\ncreate index things_created_at\n",
                "create trigger people_updated_at\ncreate trigger things_updated_at\n"
            )
            .to_owned()
        )
    );
    let names = ["invoke", "names", "--dev"];
    assert_eq!(shop.printed(&names), "[\"a\",\"b\"]\n");
    let (status, stdout, stderr) = shop.remy(&["dev", "seed", "more", "--json"]);
    assert_eq!((status, stderr.as_str()), (0, "one more\n"));
    let seeded: Value = serde_json::from_str(&stdout).unwrap();
    let keys: Vec<_> = seeded.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["name", "scenario", "user", "roles", "call", "durationMs"]
    );
    assert_eq!(seeded["roles"], json!(["buyer"]));
    let me = shop.printed(&["invoke", "me", "{}", "--dev", "default", "--as", "clerk"]);
    let me: Value = serde_json::from_str(&me).unwrap();
    assert_eq!(me, json!({ "user": seeded["user"], "roles": ["clerk"] }));
    // What changed is there with the next call, and what the schema needed is said.
    with_sizes(&shop);
    let (status, stdout, stderr) = shop.remy(&names);
    assert_eq!((status, stdout.as_str()), (0, "[0,0,0,3]\n"), "{stderr}");
    assert_eq!(stderr, "add column things.size\n");
    // Each session has its own.
    shop.printed(&["dev", "start", "alice"]);
    assert_eq!(shop.remy(&["invoke", "names", "--dev", "alice"]).1, "[3]\n");
    let calls = shop.printed(&["calls", "--json", "--limit", "1"]);
    let calls: Value = serde_json::from_str(&calls).unwrap();
    assert_eq!(calls[0]["target"], "dev alice");
    assert!(shop.app.remy().releases().unwrap().is_empty());
}

#[test]
fn what_cannot_be_called_in_dev_is_refused_and_the_session_is_as_it_was() {
    let shop = Shop::new();
    let status = |arguments: &[&str], code: &str| {
        let (status, stderr) = shop.refused(arguments);
        assert!(
            stderr.starts_with(&format!("error: {code}: ")),
            "{arguments:?}: {stderr}"
        );
        (status, stderr)
    };
    shop.remy(&["dev", "seed", "full"]);
    let before = shop.ask(".dump");
    let (_, stderr) = status(&["invoke", "names", "--dev", "nobody"], "not_found");
    assert!(
        stderr.contains("there is no dev session \"nobody\""),
        "{stderr}"
    );
    assert_eq!(status(&["dev", "seed", "full", "nobody"], "not_found").0, 1);
    assert_eq!(status(&["dev", "start", "seed"], "invalid_argument").0, 2);
    assert_eq!(status(&["dev", "seed"], "invalid_argument").0, 2);
    let together = ["invoke", "names", "--dev", "--preview", "x"];
    assert_eq!(
        shop.refused(&together),
        (
            2,
            "error: invalid_argument: --dev and --preview do not go together\n".to_owned()
        )
    );
    let (code, stderr) = status(&["dev", "seed", "fll"], "scenario_not_found");
    assert_eq!(code, 3);
    assert!(stderr.contains("there is fails, full, more"), "{stderr}");
    let (code, stderr) = status(&["dev", "seed", "fails"], "unlucky");
    assert_eq!(code, 3);
    assert!(
        stderr.contains("no luck. The dev session default is as it was before"),
        "{stderr}"
    );
    // A scenario is no method, though its process has it.
    let (code, stderr) = status(&["invoke", "scenario.full", "--dev"], "method_not_found");
    assert_eq!(code, 3);
    assert!(stderr.contains("it has me, names"), "{stderr}");
    assert_eq!(shop.ask(".dump"), before);
    // What does not build, and what cannot be synced.
    shop.app
        .file("shop/src/names.ts", "export async function names( { }");
    let (_, stderr) = status(&["invoke", "me", "--dev"], "build_failed");
    assert!(stderr.contains("src/names.ts:1:"), "{stderr}");
    shop.app.file("shop/src/names.ts", FILES[2].1);
    let text_to_number = TABLES.replace("name: string", "name: number");
    shop.app.file("shop/src/tables.ts", &text_to_number);
    let (code, stderr) = status(&["dev", "seed", "more"], "lossy_change");
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("Nothing was changed"), "{stderr}");
    assert_eq!(shop.ask(".dump"), before);
    shop.app.file("shop/src/tables.ts", TABLES);
    assert_eq!(
        shop.printed(&["invoke", "names", "--dev"]),
        "[\"a\",\"b\"]\n"
    );
}

/// A table that goes beside one that comes may be a rename.
fn with_another_table(shop: &Shop) {
    let tables = TABLES.replace("('things')", "('stuff')");
    shop.app.file("shop/src/tables.ts", &tables);
}

#[test]
fn leave_that_a_call_in_dev_lacks_is_given_to_a_sync() {
    let shop = Shop::new();
    shop.remy(&["dev", "seed", "full"]);
    with_another_table(&shop);
    let (status, stderr) = shop.refused(&["invoke", "names", "--dev"]);
    assert_eq!(status, 3, "{stderr}");
    assert!(stderr.starts_with("error: ambiguous_rename: "), "{stderr}");
    assert!(stderr.contains("Nothing was changed"), "{stderr}");
    assert!(
        stderr.contains("--allow drop") && stderr.ends_with("; remy dev sync takes it\n"),
        "{stderr}"
    );
    shop.remy(&["dev", "sync", "--rename", "things=stuff"]);
    let names = shop.printed(&["invoke", "names", "--dev"]);
    assert_eq!(names, "[\"a\",\"b\"]\n");
}

/// The verb is two: it says how far it has come.
#[test]
fn a_reset_whose_sync_is_refused_says_that_the_session_is_as_live_is() {
    let shop = Shop::bare();
    publish(&shop.app, &shop.app.dir.path().join("shop"));
    let insert = "INSERT INTO things (id, name) VALUES ('1', 'live')";
    shell(&shop.app.live, insert);
    shop.printed(&["dev", "start"]);
    shop.remy(&["dev", "seed", "full"]);
    let before = shop.ask(".dump");
    // What is declared wrongly is told before anything is done.
    shop.app.file("shop/mindstudio.json", "{");
    let (_, stderr) = shop.refused(&["dev", "reset"]);
    assert!(stderr.starts_with("error: schema_invalid: "), "{stderr}");
    assert_eq!(shop.ask(".dump"), before);
    shop.app.file("shop/mindstudio.json", MANIFEST);
    with_another_table(&shop);
    let (status, stderr) = shop.refused(&["dev", "reset"]);
    assert_eq!(status, 3, "{stderr}");
    assert!(stderr.starts_with("error: ambiguous_rename: "), "{stderr}");
    let now = "The session default is reset: it has the rows and the schema of live, and not the schema that is declared";
    assert!(
        stderr.contains(now) && !stderr.contains("as it was"),
        "{stderr}"
    );
    assert!(stderr.ends_with("; remy dev sync takes it\n"), "{stderr}");
    assert_eq!(shop.ask("SELECT name FROM things"), "live");
}
