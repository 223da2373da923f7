//! An app, published whole by the faces that have no command: from SQL, from C and from Rust.
use remy_db::Remy;
use remy_db_app::{
    place::Named,
    project::{Follow, Project, Publish, Tools},
};
use remy_tests::{built, live::App, repository, shell, stdout};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::AtomicBool,
};

const MANIFEST: &str = r#"{
  "name": "shop",
  "tables": [{ "name": "notes", "path": "src/notes.ts", "export": "Notes" }],
  "methods": [{ "id": "add-note", "path": "src/add.ts", "export": "addNote" }],
  "roles": [{ "id": "buyer", "name": "Buyer" }],
  "interfaces": [{ "type": "cron", "path": "cron.json" }]
}"#;

/// An app of a table, a method, a role and a job, beside a live database that it is not the folder
/// of.
fn shop() -> (App, PathBuf) {
    let app = App::on(
        "CREATE TABLE kept (id INTEGER PRIMARY KEY); INSERT INTO kept VALUES (1); DROP TABLE kept",
    );
    app.file("shop/mindstudio.json", MANIFEST);
    app.file(
        "shop/src/notes.ts",
        "import { db } from '@mindstudio-ai/agent';\nexport const Notes = db.defineTable<{ text: string }>('notes');\n",
    );
    app.file(
        "shop/src/add.ts",
        "import { Notes } from './notes';\nexport async function addNote(input: { text: string }) { return Notes.push(input); }\n",
    );
    app.file(
        "shop/cron.json",
        r#"{ "jobs": [{ "method": "add-note", "schedule": "0 4 * * *" }] }"#,
    );
    let manifest = app.dir.path().join("shop/mindstudio.json");
    (app, manifest)
}

/// esbuild as npm has installed it for the package: nothing is fetched here.
fn esbuild() -> PathBuf {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x64",
        _ => "arm64",
    };
    let packages = repository("node-binding/node_modules/@esbuild");
    let program = packages.join(format!("linux-{arch}/bin/esbuild"));
    if !program.exists() {
        let package = repository("node-binding");
        let install = ["ci", "--no-audit", "--no-fund", "--silent"];
        stdout(Command::new("npm").current_dir(package).args(install));
    }
    program
}

/// The release has all that the app declares.
fn is_whole(app: &App) {
    let kept = app.store("releases/1");
    for file in [
        "app.json",
        "source/mindstudio.json",
        "methods/add-note.mjs",
        "interfaces/cron.json",
    ] {
        assert!(kept.join(file).exists(), "{file}");
    }
    assert_eq!(shell(&app.live, "SELECT id FROM _remy_roles"), "buyer\n");
    assert_eq!(
        shell(&app.live, "SELECT count(*) FROM _remy_cron_jobs"),
        "1\n"
    );
    assert_eq!(shell(&app.live, "SELECT count(*) FROM notes"), "0\n");
    let log = app.remy().build_log(None).unwrap();
    let built = log.iter().filter(|line| line.step.as_str() == "build");
    assert!(built.count() >= 4, "{log:?}");
}

fn sql(app: &App, before: &str, statement: &str) -> Output {
    sql_command(app, before, statement).output().unwrap()
}

fn sql_command(app: &App, before: &str, statement: &str) -> Command {
    let mut shell = Command::new("sqlite3");
    shell
        .args(["-batch", "-bail"])
        .arg(&app.live)
        .arg(format!(
            ".load {}",
            built("libremy0.so").with_extension("").display()
        ))
        .args([before, statement])
        .env("ESBUILD_BINARY_PATH", esbuild());
    shell
}

fn publish(manifest: &Path) -> String {
    format!("SELECT remy_publish('{}') ->> 'status'", manifest.display())
}

#[test]
fn from_sql() {
    let (app, manifest) = shop();
    let out = sql(&app, "SELECT 1", &publish(&manifest));
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "1\nlive\n", "{said}");
    is_whole(&app);
}

#[test]
fn what_is_wrong_with_the_app_is_told_in_sql() {
    let (app, manifest) = shop();
    app.file("shop/src/add.ts", "export async function addNotes() {}\n");
    let out = sql(&app, "SELECT 1", &publish(&manifest));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(
        said.contains("build_failed: the app does not build: 1 fault in 1 file")
            && said.contains("src/add.ts: has no export addNote (method add-note)")
            && said.contains("Did you mean addNotes?"),
        "{said}"
    );
    let releases = app.remy().releases().unwrap();
    assert_eq!(releases[0].status.as_str(), "failed");
}

#[test]
fn a_connection_that_may_not_load_libraries_builds_no_app() {
    let (app, manifest) = shop();
    let out = sql(&app, ".dbconfig load_extension off", &publish(&manifest));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(
        said.contains("invalid_argument: this connection may not load libraries, and the app in")
            && said.contains("Nothing was done"),
        "{said}"
    );
    assert!(
        !app.store("").exists(),
        "nothing was read, and nothing made"
    );
}

#[test]
fn an_app_is_not_built_in_the_process_of_a_host() {
    let (app, manifest) = shop();
    let mut here = sql_command(&app, "SELECT 1", &publish(&manifest));
    let out = here.env("REMY_HELPER", "none").output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(
        said.contains("is built in a process of its own, and verbs run in this one"),
        "{said}"
    );
}

#[test]
fn from_c() {
    let (app, manifest) = shop();
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("publish.c");
    fs::write(
        &source,
        r#"#include <remy.h>
#include <stdio.h>
int main(int argc, char **argv) {
  remy *db;
  char *json;
  (void)argc;
  if (remy_open(argv[1], &db) != REMY_OK || remy_publish(db, argv[2], NULL, &json) != REMY_OK) {
    fprintf(stderr, "%s\n", remy_errmsg(db));
    return 1;
  }
  puts(json);
  remy_free(json);
  remy_close(db);
  return 0;
}
"#,
    )
    .unwrap();
    let libraries = built("libremy.so");
    let libraries = libraries.parent().unwrap();
    std::os::unix::fs::symlink(built("libremy.so"), folder.path().join("libremy.so.0")).unwrap();
    let mut cc = Command::new("cc");
    cc.arg("-I").arg(repository("include")).arg(&source);
    cc.arg(format!("-L{}", libraries.display()))
        .args(["-lremy", "-o"]);
    stdout(cc.arg(folder.path().join("publish")));
    let mut publish = Command::new(folder.path().join("publish"));
    publish
        .arg(&app.live)
        .arg(&manifest)
        .env("LD_LIBRARY_PATH", folder.path())
        .env("ESBUILD_BINARY_PATH", esbuild());
    let outcome: Value = serde_json::from_str(&stdout(&mut publish)).unwrap();
    assert_eq!(outcome["status"], "live");
    is_whole(&app);
}

#[test]
fn from_rust() {
    let (app, manifest) = shop();
    let named = Named {
        db: Some(app.live.clone()),
        here: true,
        ..Named::default()
    };
    let folder = manifest.parent().unwrap();
    let project = Project::find(folder, &named, |path| Remy::open(path)).unwrap();
    let publish = Publish {
        tools: Tools {
            esbuild: Some(esbuild()),
            node: None,
        },
        ..Publish::default()
    };
    let never = AtomicBool::new(false);
    let outcome = project
        .publish(&publish, Follow::new(&|_| (), &never))
        .unwrap();
    assert_eq!(outcome.status.as_str(), "live");
    is_whole(&app);
}
