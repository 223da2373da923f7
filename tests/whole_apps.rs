//! An app, published whole by the faces that have no command: from SQL, from C and from Rust.
use remy_db::Remy;
use remy_db_app::{
    place::Named,
    project::{Follow, Project, Publish},
};
use remy_tests::{
    Shell, built, built_program, esbuild, faults, live::App, not_covered, publish_in, repository,
    shell, stdout,
};
use serde_json::Value;
use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, lchown},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex, atomic::AtomicBool},
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

/// [`shop`], with a web interface whose build says what it finds of its process.
fn shop_with_a_page() -> (App, PathBuf) {
    let (app, manifest) = shop();
    let with_web = MANIFEST.replace(
        r#"{ "type": "cron""#,
        r#"{ "type": "web", "path": "web/web.json" }, { "type": "cron""#,
    );
    app.file("shop/mindstudio.json", &with_web);
    app.file("shop/web/web.json", "{}");
    app.file(
        "shop/web/package.json",
        r#"{ "scripts": { "build": "mkdir dist && id -u > dist/index.html && env > dist/env && ls -l /proc/self/fd > dist/descriptors" } }"#,
    );
    (app, manifest)
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
    let outcome = publish_in(manifest.parent().unwrap(), Some(&app.live), None).unwrap();
    assert_eq!(outcome.status.as_str(), "live");
    is_whole(&app);
}

/// Somebody who is not root, without an account.
const OWNER: u32 = 4321;

fn is_root() -> bool {
    // SAFETY: geteuid takes nothing and cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        not_covered("another user's app", "only root can be several users");
    }
    root
}

/// All that is in a folder, and below.
fn all(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() && !path.is_symlink() {
            true => found.extend(all(&path)),
            false => found.push(path),
        }
    }
    found
}

fn give(folder: &Path) {
    for path in all(folder) {
        lchown(&path, Some(OWNER), Some(OWNER)).unwrap();
    }
}

fn is_all_of(uid: u32, folder: &Path) {
    for path in all(folder) {
        let found = path.symlink_metadata().unwrap();
        assert_eq!(found.uid(), uid, "{}", path.display());
    }
}

/// What the build of a release has said of its process.
fn said(store: &Path, name: &str) -> String {
    fs::read_to_string(store.join("releases/1/interfaces/web").join(name)).unwrap()
}

#[test]
fn root_builds_the_app_of_lives_owner_as_that_owner() {
    if !is_root() {
        return;
    }
    let (app, manifest) = shop_with_a_page();
    give(app.dir.path());
    let mut command = Command::new(built_program("remy-command"));
    command
        .args(["publish", "--app"])
        .arg(manifest.parent().unwrap())
        .arg("--db")
        .arg(&app.live)
        .env("ESBUILD_BINARY_PATH", esbuild())
        .env("SECRET", "of root's")
        .env("VITE_TITLE", "shop");
    stdout(&mut command);
    is_whole(&app);
    is_all_of(OWNER, app.dir.path());
    assert_eq!(said(&app.store(""), "index.html"), format!("{OWNER}\n"));
    let variables = said(&app.store(""), "env");
    assert!(!variables.contains("of root's"), "{variables}");
    assert!(!variables.contains("HOME=/root"), "{variables}");
    assert!(variables.contains("VITE_TITLE=shop"), "{variables}");
}

#[test]
fn root_builds_somebodys_app_as_them_where_live_is_not_there_yet() {
    if !is_root() {
        return;
    }
    let (app, manifest) = shop_with_a_page();
    let folder = manifest.parent().unwrap();
    give(app.dir.path());
    publish_in(folder, None, None).unwrap();
    is_all_of(OWNER, folder);
    let store = folder.join(".remy/live.db-remy");
    assert_eq!(said(&store, "index.html"), format!("{OWNER}\n"));
    // Once more, in what is there by now.
    publish_in(folder, None, None).unwrap();
    is_all_of(OWNER, folder);
}

#[test]
fn root_builds_somebodys_app_as_them_for_a_database_of_roots() {
    if !is_root() {
        return;
    }
    let (app, manifest) = shop_with_a_page();
    let folder = manifest.parent().unwrap();
    fs::set_permissions(app.dir.path(), Permissions::from_mode(0o755)).unwrap();
    give(folder);
    publish_in(folder, Some(&app.live), None).unwrap();
    is_whole(&app);
    is_all_of(OWNER, folder);
    is_all_of(0, &app.store(""));
    assert_eq!(said(&app.store(""), "index.html"), format!("{OWNER}\n"));
    // What root has made there before is named, before anything is run.
    for path in all(&folder.join(".remy")) {
        lchown(&path, Some(0), Some(0)).unwrap();
    }
    let e = publish_in(folder, Some(&app.live), None).unwrap_err();
    let told = e.to_string();
    assert!(
        told.contains(".remy belongs to the user `root` (uid 0), and root builds this app as")
            && told.contains("chown -R 4321"),
        "{told}"
    );
    assert_eq!(app.remy().releases().unwrap()[0].status.as_str(), "live");
}

#[test]
fn root_unpacks_a_package_for_lives_owner() {
    if !is_root() {
        return;
    }
    let (app, manifest) = shop();
    let mut command = Command::new(built_program("remy-command"));
    let package = app.dir.path().join("shop.tgz");
    command
        .args(["build", "--out"])
        .arg(&package)
        .arg("--app")
        .arg(manifest.parent().unwrap())
        .env("ESBUILD_BINARY_PATH", esbuild());
    stdout(&mut command);
    fs::set_permissions(&package, Permissions::from_mode(0o600)).unwrap();
    give(app.dir.path());
    // It is read as who names it.
    lchown(&package, Some(0), Some(0)).unwrap();
    publish_in(app.dir.path(), Some(&app.live), Some(&package)).unwrap();
    assert!(app.store("releases/1/methods/add-note.mjs").exists());
    is_all_of(OWNER, &app.store(""));
}

#[test]
fn what_a_build_of_a_hosts_starts_has_no_descriptor_of_remys() {
    let (app, manifest) = shop_with_a_page();
    let out = sql(&app, "SELECT 1", &publish(&manifest));
    let complaints = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{complaints}");
    let descriptors = said(&app.store(""), "descriptors");
    assert!(
        !descriptors.contains("pidfd") && !descriptors.contains("socket:"),
        "{descriptors}"
    );
}

#[test]
fn what_is_kept_of_a_build_is_on_the_disk_before_its_description() {
    let (app, manifest) = shop_with_a_page();
    app.file(
        "shop/web/package.json",
        r#"{ "scripts": { "build": "mkdir dist && date > dist/index.html" }, "dependencies": { "own": "file:../own" } }"#,
    );
    app.file(
        "shop/own/package.json",
        r#"{ "name": "own", "version": "1.0.0" }"#,
    );
    let log = app.dir.path().join("settled");
    let mut command = Command::new(built_program("remy-command"));
    command
        .args(["build", "--app"])
        .arg(manifest.parent().unwrap())
        .env("ESBUILD_BINARY_PATH", esbuild())
        .env("LD_PRELOAD", faults("settled"))
        .env("SETTLED", &log);
    stdout(&mut command);
    let log = fs::read_to_string(log).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    for described in ["/web/", "/installs/"] {
        let is_it = |line: &&str| {
            line.starts_with("rename ")
                && line.contains("/.remy/cache/")
                && line.contains(described)
                && line.ends_with(".json")
        };
        let at = lines.iter().position(is_it);
        let at = at.unwrap_or_else(|| panic!("{described}: {log}"));
        assert_eq!(lines[at - 1].trim(), "syncfs", "{described}: {log}");
    }
}

/// A first publish that is refused. `meanwhile` is done between the making of live and the verb.
fn first_publish_refused(app: &App, meanwhile: impl Fn(&Path) + Send + Sync + 'static) {
    let named = Named {
        db: Some(app.live.clone()),
        ..Named::default()
    };
    let open = move |path: &Path| {
        meanwhile(path);
        Remy::open(path)
    };
    let project = Project::find(app.dir.path(), &named, open).unwrap();
    let publish = Publish {
        schema: Some("CREATE TABLE t (a, a);".to_owned()),
        create: true,
        ..Publish::default()
    };
    let never = AtomicBool::new(false);
    let refused = project.publish(&publish, Follow::new(&|_| (), &never));
    assert_eq!(refused.unwrap_err().error().code(), "schema_invalid");
}

#[test]
fn a_database_that_somebody_else_has_begun_on_meanwhile_stays() {
    let app = App::empty();
    fs::remove_file(&app.live).unwrap();
    first_publish_refused(&app, |_| ());
    assert!(!app.live.exists(), "nothing is left of it");
    let other = Arc::new(Mutex::new(None));
    let theirs = Arc::clone(&other);
    first_publish_refused(&app, move |path| {
        let mut shell = Shell::open(path);
        shell.ask("BEGIN IMMEDIATE; CREATE TABLE theirs (x); INSERT INTO theirs VALUES (7);");
        theirs.lock().unwrap().replace(shell);
    });
    let mut other = other.lock().unwrap().take().unwrap();
    assert_eq!(other.run("COMMIT;"), "");
    assert_eq!(app.ask("SELECT x FROM theirs"), "7");
}
