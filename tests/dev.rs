//! Dev sessions whose schema follows what is declared, under those who have their database open.
use remy_db::{Options, Progress, Result, Synced};
use remy_tests::{Shell, client::Client, live::App, shell};
use std::path::Path;

const NOTES: &str = "import { db } from '@mindstudio-ai/agent';
export const T = db.defineTable<{ title: string; done?: boolean }>('notes');";

/// Syncs the session `d`; `options` as of a publish.
fn sync(app: &App, schema: &str, options: &str) -> Result<Synced> {
    let options = Options::from_json(options)?;
    app.remy().dev_sync("d", schema, &options, Progress::none())
}

fn columns(db: &str, table: &str) -> String {
    let sql = format!("SELECT group_concat(name) FROM pragma_table_info('{table}')");
    shell(Path::new(db), &sql).trim().to_owned()
}

#[test]
fn an_app_is_tried_before_it_is_published() {
    let app = App::empty();
    let dev = app.remy().dev_start("d").unwrap();
    assert_eq!(dev.release, None);
    let manifest = app.declares(&[("notes", NOTES)]);
    let synced = sync(&app, &manifest, "").unwrap();
    assert!(!synced.statements.is_empty());
    assert_eq!(
        columns(&dev.path, "notes"),
        "id,created_at,updated_at,last_updated_by,title,done"
    );
    let types =
        "SELECT group_concat(type) FROM _remy_columns WHERE column_name IN ('title', 'done')";
    assert_eq!(shell(Path::new(&dev.path), types).trim(), "boolean,text");
    // Live is none the wiser, there is no release, and a reset brings nothing back.
    assert_eq!(app.ask("SELECT count(*) FROM sqlite_schema"), "0");
    assert!(app.remy().releases().unwrap().is_empty());
    assert!(sync(&app, &manifest, "").unwrap().statements.is_empty());
    app.remy().dev_reset("d").unwrap();
    assert_eq!(columns(&dev.path, "notes"), "");
    sync(&app, &manifest, "").unwrap();
    // And the first publish is one as any.
    app.publish(&manifest, "{}").unwrap();
    assert_eq!(app.remy().releases().unwrap().len(), 1);
}

#[test]
fn who_has_it_open_sees_the_new_schema_and_keeps_working() {
    let app = App::on("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);");
    app.publish(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);",
        "{}",
    )
    .unwrap();
    let dev = app.remy().dev_start("d").unwrap();
    let mut server = Shell::open(Path::new(&dev.path));
    let mut python = Client::python(Path::new(&dev.path));
    server.run("INSERT INTO users VALUES (7, 'Ann');");
    // A reader in the middle of it reads on.
    python.ask("c.execute('BEGIN')");
    assert_eq!(
        python.ask("c.execute('SELECT * FROM users').fetchall()"),
        "[(7, 'Ann')]"
    );
    let wider = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT);
                 CREATE TABLE teams (id INTEGER PRIMARY KEY);";
    let synced = sync(&app, wider, "").unwrap();
    assert!(synced.statements.len() >= 2, "{:?}", synced.statements);
    assert_eq!(
        python.ask("c.execute('SELECT * FROM users').fetchall()"),
        "[(7, 'Ann')]"
    );
    python.ask("c.execute('COMMIT')");
    assert_eq!(
        python.ask("c.execute('SELECT * FROM users').fetchall()"),
        "[(7, 'Ann', None)]"
    );
    let bob = "INSERT INTO users (id, name, email) VALUES (8, 'Bob', 'b@example.com');";
    assert_eq!(server.run(bob), "");
    assert_eq!(
        server.run("SELECT group_concat(id), (SELECT count(*) FROM teams) FROM users;"),
        "7,8|0"
    );
    assert_eq!(server.run("PRAGMA integrity_check;"), "ok");
    // Live is as it was, and the history, too.
    assert_eq!(
        app.ask("SELECT count(*) FROM pragma_table_info('users')"),
        "2"
    );
    let releases = app.remy().releases().unwrap().len();
    app.remy().dev_reset("d").unwrap();
    assert_eq!(
        server.run("SELECT count(*) FROM pragma_table_info('users');"),
        "2"
    );
    assert_eq!(app.remy().releases().unwrap().len(), releases);
}

#[test]
fn what_needs_leave_is_refused_and_leaves_the_session_as_it_was() {
    let app = App::on(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, age TEXT); INSERT INTO users VALUES (1, 'Ann', 'old')",
    );
    let dev = app.remy().dev_start("d").unwrap();
    let before = shell(Path::new(&dev.path), ".dump");
    for (schema, code, name) in [
        (
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, years TEXT);",
            "ambiguous_rename",
            "age",
        ),
        (
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, age TEXT, email TEXT NOT NULL);",
            "",
            "email",
        ),
        ("CREATE TABLE users (", "schema_invalid", ""),
    ] {
        let refusal = match sync(&app, schema, "") {
            Err(refusal) => refusal,
            Ok(synced) => panic!("{schema}: {synced:?}"),
        };
        assert!(
            code.is_empty() || refusal.code() == code,
            "{schema}: {refusal:?}"
        );
        let told = refusal.to_string();
        assert!(told.contains(name), "{told}");
        assert!(
            told.contains("The session is as it was") || told.contains("othing"),
            "{told}"
        );
        assert_eq!(shell(Path::new(&dev.path), ".dump"), before, "{schema}");
    }
    let renamed = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, years TEXT);";
    sync(&app, renamed, r#"{"renames": ["users.age=years"]}"#).unwrap();
    assert_eq!(
        shell(Path::new(&dev.path), "SELECT years FROM users").trim(),
        "old"
    );
    let without = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);";
    sync(&app, without, r#"{"allow": ["drop"]}"#).unwrap();
    assert_eq!(columns(&dev.path, "users"), "id,name");
    // Of a session that is not there, and of a name that is a word of the command.
    let options = Options::default();
    let none = app
        .remy()
        .dev_sync("other", without, &options, Progress::none());
    assert_eq!(none.unwrap_err().code(), "not_found");
    for word in ["start", "sync", "reset", "truncate", "seed", "stop", "list"] {
        let refused = app.remy().dev_start(word).unwrap_err();
        assert_eq!(refused.code(), "invalid_argument", "{word}");
    }
}

#[test]
fn a_type_that_sqlite_does_not_see_has_the_schema_read_anew() {
    let app = App::empty();
    let dev = app.remy().dev_start("d").unwrap();
    sync(&app, &app.declares(&[("notes", NOTES)]), "").unwrap();
    let cookie = || shell(Path::new(&dev.path), "PRAGMA schema_version");
    let before = cookie();
    let required = NOTES.replace("done?: boolean", "done: boolean");
    let manifest = app.declares(&[("notes", &required)]);
    assert!(sync(&app, &manifest, "").unwrap().statements.is_empty());
    let after = cookie();
    assert_ne!(after, before);
    sync(&app, &manifest, "").unwrap();
    assert_eq!(cookie(), after, "nothing is written where nothing changed");
}

#[test]
fn a_migration_runs_once_on_a_session() {
    let app = App::on(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, 'ann')",
    );
    let dev = app.remy().dev_start("d").unwrap();
    app.file(
        "migrations/0001_upper.sql",
        "UPDATE users SET name = upper(name) || '!';",
    );
    let folder = app.dir.path().join("migrations");
    let options = serde_json::json!({"migrations": folder}).to_string();
    let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);";
    for _ in 0..2 {
        sync(&app, schema, &options).unwrap();
        assert_eq!(
            shell(Path::new(&dev.path), "SELECT name FROM users").trim(),
            "ANN!"
        );
    }
    assert_eq!(app.ask("SELECT name FROM users"), "ann");
}

#[test]
fn writers_lose_nothing_to_a_sync() {
    let app = App::on("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);");
    let dev = app.remy().dev_start("d").unwrap();
    let mut python = Client::python(Path::new(&dev.path));
    python.ask("import threading");
    python.ask("n = [0]");
    python.ask("stop = []");
    python.ask(
        "exec(\"def go():\\n d = connect()\\n while not stop:\\n  d.execute('INSERT INTO users (name) VALUES (1)')\\n  n[0] += 1\")",
    );
    python.ask("t = threading.Thread(target=go)");
    python.ask("t.start()");
    for round in 0..10 {
        let email = if round % 2 == 0 { ", email TEXT" } else { "" };
        let schema = format!("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT{email});");
        sync(&app, &schema, r#"{"allow": ["drop"]}"#).unwrap();
    }
    python.ask("stop.append(1)");
    python.ask("t.join()");
    let wrote = python.ask("n[0]");
    assert_ne!(wrote, "0");
    assert_eq!(
        shell(Path::new(&dev.path), "SELECT count(*) FROM users").trim(),
        wrote
    );
}

#[test]
fn what_is_kept_of_a_session_is_put_back_under_open_connections() {
    let app = App::on("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);");
    let dev = app.remy().dev_start("d").unwrap();
    let mut server = Shell::open(Path::new(&dev.path));
    server.run("INSERT INTO users VALUES (1, 'Ann');");
    let kept = app.dir.path().join("kept.db");
    app.remy().dev_keep("d", &kept, Progress::none()).unwrap();
    server.run("DELETE FROM users; CREATE TABLE junk (a);");
    app.remy()
        .dev_put_back("d", &kept, Progress::none())
        .unwrap();
    assert_eq!(server.run("SELECT name FROM users;"), "Ann");
    assert_eq!(
        server.run("SELECT count(*) FROM sqlite_schema WHERE name = 'junk';"),
        "0"
    );
    server.run("INSERT INTO users VALUES (2, 'Bob');");
    assert_eq!(server.run("PRAGMA integrity_check;"), "ok");
}
