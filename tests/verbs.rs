//! Every verb, as its users expect it to work.
use remy_db::{
    Options, Progress, ReleaseId, Remy, Statement, StatementKind, Step, StepOutcome, Strategy,
};
use remy_tests::{Shell, live::App, shell};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

const V1: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);";
const V2: &str =
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, email TEXT);";
const V3: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, email TEXT); CREATE TABLE teams (id INTEGER PRIMARY KEY);";

/// An application with two users, that remy has not seen yet.
fn app_with_users() -> App {
    App::on(&format!(
        "{V1} INSERT INTO users (name) VALUES ('Ann'), ('Bob');"
    ))
}

fn columns(app: &App) -> String {
    app.ask("SELECT group_concat(name) FROM pragma_table_info('users')")
}

fn names(app: &App) -> String {
    app.ask("SELECT group_concat(name) FROM users")
}

/// Release, status and restored from, newest first.
fn statuses(app: &App) -> Vec<(i64, String, Option<i64>)> {
    app.remy()
        .releases()
        .unwrap()
        .into_iter()
        .map(|r| {
            let from = r.restored_from.map(|from| from.0);
            (r.release.0, r.status.to_string(), from)
        })
        .collect()
}

#[test]
fn publish_roll_back_and_forward() {
    let app = app_with_users();
    let two = app
        .publish(V2, &json!({"label": "two", "commit": "a1b2c3d"}))
        .unwrap();
    assert_eq!(
        (two.release, two.previous, two.status.as_str()),
        (ReleaseId(2), Some(ReleaseId(1)), "live")
    );
    shell(
        &app.live,
        "INSERT INTO users (name, email) VALUES ('Cid', 'c@example.com')",
    );
    app.publish(V3, &json!({})).unwrap();
    shell(&app.live, "INSERT INTO users (name) VALUES ('Dee')");

    // One back, then two back: a re-promotion counts as what it brought back.
    let back = app.rollback(None).unwrap();
    assert_eq!(
        (back.release, back.restored_from, back.previous),
        (ReleaseId(4), Some(ReleaseId(2)), Some(ReleaseId(3)))
    );
    assert_eq!(
        (back.label.as_deref(), back.commit.as_deref()),
        (Some("two"), Some("a1b2c3d"))
    );
    assert_eq!(
        (names(&app).as_str(), columns(&app).as_str()),
        ("Ann,Bob,Cid", "id,name,email")
    );
    assert_eq!(
        app.rollback(None).unwrap().restored_from,
        Some(ReleaseId(1))
    );
    assert_eq!(
        (names(&app).as_str(), columns(&app).as_str()),
        ("Ann,Bob", "id,name")
    );

    // Forward again, with what was written while it was live.
    assert_eq!(
        app.promote(Some(3)).unwrap().restored_from,
        Some(ReleaseId(3))
    );
    assert_eq!(names(&app), "Ann,Bob,Cid,Dee");
    let expected = [
        (6, "live", Some(3)),
        (5, "superseded", Some(1)),
        (4, "superseded", Some(2)),
        (3, "superseded", None),
        (2, "superseded", None),
        (1, "superseded", None),
    ];
    assert_eq!(
        statuses(&app),
        expected.map(|(release, status, from)| (release, status.to_owned(), from))
    );
    assert!(app.remy().verify().unwrap().ok);
}

#[test]
fn ids_are_not_used_again() {
    let app = app_with_users();
    app.publish(V2, &json!({})).unwrap();
    shell(
        &app.live,
        "INSERT INTO users (name) VALUES ('Cid'), ('Dee'), ('Eve')",
    );
    app.rollback(None).unwrap();
    let id = shell(
        &app.live,
        "INSERT INTO users (name) VALUES ('Fay') RETURNING id",
    );
    assert_eq!(
        id, "6\n",
        "3 to 5 were given to rows that the rollback set aside"
    );
}

#[test]
fn a_diff_shows_effects_behind_its_statements() {
    let app = app_with_users();
    let one = json!({"roles": [{"id": "buyer"}, {"id": "admin"}], "webhooks": [{"secret": "s-old", "method": "paid"}],
                     "email_routes": [{"method": "inbox"}]});
    let two = json!({"roles": [{"id": "buyer", "name": "Buyer"}], "webhooks": [{"secret": "s-new", "method": "paid"}],
                     "cron_jobs": [{"method": "nightly", "schedule": "0 3 * * *"}],
                     "bot_commands": [{"platform": "telegram", "name": "go", "method": "go"}]});
    app.publish(V1, &json!({"effects": one})).unwrap();
    let migrations = app.live.with_file_name("migrations");
    fs::create_dir_all(&migrations).unwrap();
    let rows = |options: serde_json::Value| {
        let options = Options::from_json(&options.to_string()).unwrap();
        app.remy().diff(V2, &options).unwrap()
    };
    let shown = |from: usize, options: serde_json::Value| -> Vec<String> {
        let rows = rows(options);
        let ords = rows.iter().map(|row| row.ord as usize);
        assert!(ords.eq(1..=rows.len()), "{rows:?}");
        let (statements, effects) = rows.split_at(from);
        assert!(
            statements
                .iter()
                .all(|row| row.strategy != Strategy::Effect && !row.sql.is_empty()),
            "{statements:?}"
        );
        let nothing =
            |row: &Statement| row.sql.is_empty() && row.needs.is_none() && row.loses.is_none();
        assert!(
            effects
                .iter()
                .all(|row| row.strategy == Strategy::Effect && nothing(row)),
            "{effects:?}"
        );
        effects
            .iter()
            .map(|row| format!("{} {}", row.kind, row.object))
            .collect()
    };
    let without = rows(json!({})).len();
    assert!(
        without > 0 && shown(without, json!({})).is_empty(),
        "without the option they stay"
    );
    let expected = [
        "update_role buyer",
        "remove_role admin",
        "create_cron_job nightly",
        "update_webhook paid",
        "remove_email_route inbox",
        "create_bot_command telegram/go",
    ];
    assert_eq!(shown(without, json!({"effects": two})), expected);
    assert!(shown(without, json!({"effects": one})).is_empty());
    // So it does where a migration has to run first.
    fs::write(
        migrations.join("0001_x.sql"),
        "CREATE INDEX by_name ON users (name); DROP INDEX by_name;",
    )
    .unwrap();
    assert_eq!(
        shown(
            without + 1,
            json!({"effects": two, "migrations": migrations})
        ),
        expected
    );
    // A publish tells them apart, as before.
    let outcome = app
        .publish(V2, &json!({"effects": two, "dry_run": true}))
        .unwrap();
    assert_eq!(
        (outcome.statements.len(), outcome.effects.len()),
        (without, expected.len())
    );
    let e = app
        .remy()
        .diff(
            V2,
            &Options::from_json(r#"{"effects": {"rolls": []}}"#).unwrap(),
        )
        .unwrap_err();
    assert_eq!(e.code(), "schema_invalid", "{e}");
}

#[test]
fn effects_travel_with_the_release() {
    let app = app_with_users();
    let one = json!({"roles": [{"id": "buyer"}, {"id": "admin"}], "webhooks": [{"secret": "s-old", "method": "paid"}]});
    let two = json!({"roles": [{"id": "buyer", "name": "Buyer"}], "webhooks": [{"secret": "s-new", "method": "paid"}],
                     "cron_jobs": [{"method": "nightly", "schedule": "0 3 * * *"}]});
    app.publish(V2, &json!({"effects": one})).unwrap();
    let outcome = app.publish(V3, &json!({"effects": two})).unwrap();
    let changes: Vec<_> = outcome
        .effects
        .iter()
        .map(|c| (c.kind.as_str(), c.id.as_str(), c.change.as_str()))
        .collect();
    assert_eq!(
        changes,
        [
            ("role", "buyer", "update"),
            ("role", "admin", "remove"),
            ("cron_job", "nightly", "create"),
            ("webhook", "paid", "update"),
        ]
        .into_iter()
        .filter(|c| changes.contains(c))
        .collect::<Vec<_>>()
        .as_slice(),
        "{changes:?}"
    );
    assert_eq!(changes.len(), 4);
    assert_eq!(
        shell(&app.live, "SELECT secret FROM _remy_webhooks"),
        "s-new\n"
    );
    // Without `effects` they stay.
    assert!(
        app.publish(V2, &json!({"allow": ["drop"]}))
            .unwrap()
            .effects
            .is_empty()
    );
    assert_eq!(
        shell(&app.live, "SELECT method FROM _remy_cron_jobs"),
        "nightly\n"
    );
    app.rollback(None).unwrap();
    let back = app.rollback(None).unwrap();
    assert_eq!(
        shell(
            &app.live,
            "SELECT secret FROM _remy_webhooks; SELECT count(*) FROM _remy_cron_jobs"
        ),
        "s-old\n0\n"
    );
    assert!(
        back.warnings.iter().any(|w| w.contains("admin"))
            && back.warnings.iter().any(|w| w.contains("paid")),
        "{back:?}"
    );
    assert!(
        !format!("{back:?}").contains("s-old"),
        "a secret in a result"
    );
    let log: String = app
        .remy()
        .build_log(None)
        .unwrap()
        .iter()
        .map(|line| line.message.clone())
        .collect();
    assert!(
        !log.contains("s-old") && !log.contains("s-new"),
        "a secret in a log: {log}"
    );
}

#[test]
fn a_promote_that_may_be_a_rename_is_told_to_be_staged_again() {
    let users = |column: &str| {
        format!(
            "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, {column} TEXT);"
        )
    };
    let app = App::on(&users("mail"));
    // Nothing has a value yet, so that nothing is lost.
    app.remy()
        .stage(&users("email"), &Options::default(), Progress::none())
        .unwrap();
    shell(&app.live, "INSERT INTO users (mail) VALUES ('a@b')");
    let e = app.promote(None).unwrap_err();
    assert_eq!(e.code(), "ambiguous_rename");
    let hint = e.detail().hint.as_ref().unwrap().to_string();
    assert!(
        hint.starts_with("Stage it again") && !hint.contains("\"renames\""),
        "a promote takes no renames: {hint}"
    );
}

#[test]
fn a_staged_release_goes_live_with_what_was_written_since() {
    let app = app_with_users();
    let options = Options::from_json(r#"{"label": "staged"}"#).unwrap();
    let staged = app.remy().stage(V2, &options, Progress::none()).unwrap();
    assert_eq!(
        (staged.status.as_str(), staged.switch.is_none()),
        ("compiled", true)
    );
    assert_eq!(columns(&app), "id,name");
    shell(&app.live, "INSERT INTO users (name) VALUES ('Cid')");
    let outcome = app.promote(None).unwrap();
    assert_eq!(
        (outcome.release, outcome.label.as_deref()),
        (staged.release, Some("staged"))
    );
    assert_eq!(
        (names(&app).as_str(), columns(&app).as_str()),
        ("Ann,Bob,Cid", "id,name,email")
    );
    assert_eq!(app.promote(None).unwrap_err().code(), "not_found");
}

/// Options of a publish with files, effects and `if_changed`, and what else is given.
fn if_changed(app: &App, more: serde_json::Value) -> serde_json::Value {
    let mut options = json!({
        "artifacts": app.dir.path().join("code"),
        "effects": {"roles": [{"id": "buyer"}], "webhooks": [{"secret": "s", "method": "paid"}]},
        "if_changed": true,
    });
    let all = options.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    options
}

/// An application whose release 2 has files and effects.
fn app_with_code() -> App {
    let app = app_with_users();
    app.file(
        "code/app.json",
        r#"{"format": 1, "commit": "a1", "dirty": false}"#,
    );
    app.file("code/run.sh", "true");
    // What remy has not seen has no release that it could be equal to.
    let options = if_changed(&app, json!({"label": "one", "commit": "a1"}));
    let first = app.publish(V1, &options).unwrap();
    assert_eq!(
        (first.release, first.status.as_str()),
        (ReleaseId(2), "live")
    );
    app
}

#[test]
fn if_changed_makes_no_release_of_what_is_live() {
    let app = app_with_code();
    let before = (statuses(&app), app.seen());
    let is_unchanged = |schema: &str, options: serde_json::Value| {
        let outcome = app.publish(schema, &options).unwrap();
        assert_eq!(outcome.status.as_str(), "unchanged", "{outcome:?}");
        assert_eq!(
            (outcome.release, outcome.previous),
            (ReleaseId(2), Some(ReleaseId(2)))
        );
        assert_eq!(
            (outcome.label.as_deref(), outcome.commit.as_deref()),
            (Some("one"), Some("a1"))
        );
        assert!(outcome.switch.is_none() && outcome.log.is_empty());
        assert_eq!((statuses(&app), app.seen()), before);
    };
    // Neither a commit nor a label is a change, nor how the schema is laid out.
    app.file(
        "code/app.json",
        r#"{"format": 1, "commit": "b2", "dirty": true}"#,
    );
    let laid_out = V1.replace(", ", ",\n  ");
    let named = json!({"label": "two", "commit": "b2"});
    is_unchanged(&laid_out, if_changed(&app, named));
    is_unchanged(V1, if_changed(&app, json!({"dry_run": true})));
    let files = app.dir.path().join("code");
    is_unchanged(V1, json!({"artifacts": files, "if_changed": true}));
    let preview = if_changed(&app, json!({"preview": "try"})).to_string();
    let preview = Options::from_json(&preview).unwrap();
    let staged = app.remy().stage(V1, &preview, Progress::none()).unwrap();
    assert_eq!(staged.status.as_str(), "unchanged");
}

#[test]
fn if_changed_makes_one_of_every_change() {
    let app = app_with_code();
    let mut release = 2;
    let mut is_changed = |schema: &str, options: serde_json::Value| {
        release += 1;
        for status in ["live", "unchanged"] {
            let outcome = app.publish(schema, &options).unwrap();
            let found = (outcome.release.0, outcome.status.as_str());
            assert_eq!(found, (release, status), "{options}");
        }
    };
    let whole = |more| if_changed(&app, more);
    app.file("code/run.sh", "false");
    is_changed(V1, whole(json!({})));
    let files = app.dir.path().join("code");
    let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(files.join("run.sh"), runs).unwrap();
    is_changed(V1, whole(json!({})));
    app.file("code/app.json", r#"{"format": 1, "name": "another"}"#);
    is_changed(V1, whole(json!({})));
    std::os::unix::fs::symlink("run.sh", files.join("link")).unwrap();
    is_changed(V1, whole(json!({})));
    is_changed(V2, whole(json!({})));
    let secret =
        json!({"roles": [{"id": "buyer"}], "webhooks": [{"secret": "t", "method": "paid"}]});
    is_changed(V2, whole(json!({ "effects": secret })));
    // Its files go.
    is_changed(V2, json!({"if_changed": true}));
    // What was changed outside remy is of no release yet.
    shell(&app.live, "CREATE TABLE teams (id INTEGER PRIMARY KEY)");
    is_changed(V3, json!({"if_changed": true}));
    app.file("migrations/0001_a.sql", "SELECT 1;");
    let migrations = app.dir.path().join("migrations");
    is_changed(V3, json!({"if_changed": true, "migrations": migrations}));
    // What was brought back has the files of the release that it was.
    app.rollback(Some(7)).unwrap();
    let back = app.publish(V2, &if_changed(&app, json!({}))).unwrap();
    assert_eq!((back.release.0, back.status.as_str()), (12, "unchanged"));
}

#[test]
fn a_dry_run_leaves_nothing() {
    let app = app_with_users();
    shell(&app.live, "PRAGMA journal_mode = delete");
    let outcome = app.publish(V3, &json!({"dry_run": true})).unwrap();
    assert_eq!(
        (
            outcome.status.as_str(),
            outcome.switch.is_none(),
            outcome.statements.len()
        ),
        ("dry_run", true, 2)
    );
    assert_eq!(columns(&app), "id,name");
    assert_eq!(statuses(&app), []);
    assert_eq!(
        shell(
            &app.live,
            "PRAGMA journal_mode; SELECT count(*) FROM sqlite_schema WHERE name GLOB '_remy_*'"
        ),
        "delete\n0\n"
    );
    app.publish(V2, &json!({})).unwrap();
    let dry = app
        .remy()
        .rollback(
            None,
            &Options::from_json(r#"{"dry_run": true}"#).unwrap(),
            Progress::none(),
        )
        .unwrap();
    assert_eq!(
        (dry.status.as_str(), dry.restored_from),
        ("dry_run", Some(ReleaseId(1)))
    );
    assert_eq!(
        (columns(&app).as_str(), statuses(&app).len()),
        ("id,name,email", 2)
    );
}

#[test]
fn the_journal_mode_may_be_kept() {
    let app = app_with_users();
    shell(&app.live, "PRAGMA journal_mode = delete");
    app.publish(V2, &json!({"journal_mode": "keep"})).unwrap();
    assert_eq!(shell(&app.live, "PRAGMA journal_mode"), "delete\n");
    app.rollback(None).unwrap();
    assert_eq!(
        (names(&app).as_str(), columns(&app).as_str()),
        ("Ann,Bob", "id,name")
    );
    // Adoption is over: the mode stays what it is.
    app.publish(V2, &json!({})).unwrap();
    assert_eq!(
        shell(&app.live, "PRAGMA journal_mode; PRAGMA integrity_check"),
        "delete\nok\n"
    );
}

#[test]
fn migrations_run_once() {
    let app = app_with_users();
    let folder = app.dir.path().join("migrations");
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join("0001_greet.sql"),
        "UPDATE users SET name = 'Hi ' || name;\n",
    )
    .unwrap();
    let options = json!({"migrations": folder});
    let outcome = app.publish(V2, &options).unwrap();
    assert_eq!(outcome.statements[0].kind, StatementKind::Migration);
    assert_eq!(names(&app), "Hi Ann,Hi Bob");
    app.publish(V3, &options).unwrap();
    assert_eq!(names(&app), "Hi Ann,Hi Bob");
    // It goes back with the release, and runs again when it is due again.
    app.rollback(None).unwrap();
    app.rollback(None).unwrap();
    assert_eq!(names(&app), "Ann,Bob");
    app.publish(V2, &options).unwrap();
    assert_eq!(names(&app), "Hi Ann,Hi Bob");
    fs::write(
        folder.join("0001_greet.sql"),
        "UPDATE users SET name = 'Yo';\n",
    )
    .unwrap();
    let options = Options::from_json(&options.to_string()).unwrap();
    let e = app
        .remy()
        .publish(V3, &options, Progress::none())
        .unwrap_err();
    assert!(e.to_string().contains("0001_greet.sql"), "{e}");
    assert_eq!(names(&app), "Hi Ann,Hi Bob");
}

#[test]
fn artifacts_are_kept_and_come_back() {
    let app = app_with_users();
    let build = app.dir.path().join("build");
    fs::create_dir_all(build.join("methods")).unwrap();
    fs::write(build.join("methods/a.js"), "one").unwrap();
    app.publish(V2, &json!({"artifacts": build})).unwrap();
    fs::write(build.join("methods/a.js"), "two").unwrap();
    app.publish(V3, &json!({"artifacts": build})).unwrap();
    let current =
        || fs::read_to_string(format!("{}-remy/current/methods/a.js", app.live.display())).unwrap();
    let marked = || shell(&app.live, "SELECT artifacts FROM _remy_release");
    assert_eq!(
        (current().as_str(), marked().as_str()),
        ("two", "releases/3\n")
    );
    app.rollback(None).unwrap();
    assert_eq!(
        (current().as_str(), marked().as_str()),
        ("one", "releases/2\n")
    );
    let verified = app.remy().verify().unwrap();
    assert!(verified.ok, "{verified:#?}");
    fs::write(
        format!("{}-remy/releases/2/methods/a.js", app.live.display()),
        "three",
    )
    .unwrap();
    assert!(!app.remy().verify().unwrap().ok);
}

#[test]
fn dev_databases_follow_live_under_open_connections() {
    let app = app_with_users();
    app.publish(V2, &json!({})).unwrap();
    let dev = app.remy().dev_start("feature").unwrap();
    assert_eq!(
        (dev.status.as_str(), dev.release),
        ("dev", Some(ReleaseId(2)))
    );
    let mut server = Shell::open(Path::new(&dev.path));
    assert_eq!(
        server
            .run("INSERT INTO users (name) VALUES ('Dev'); SELECT group_concat(name) FROM users;"),
        "Ann,Bob,Dev"
    );
    assert_eq!(
        app.remy().dev_start("feature").unwrap_err().code(),
        "invalid_argument"
    );

    shell(&app.live, "INSERT INTO users (name) VALUES ('Cid')");
    app.publish(V3, &json!({})).unwrap();
    let reset = app.remy().dev_reset("feature").unwrap();
    assert_eq!(
        (reset.release, reset.reset_at.is_some()),
        (Some(ReleaseId(3)), true)
    );
    assert_eq!(
        server.run("SELECT group_concat(name) FROM users; SELECT count(*) FROM teams;"),
        "Ann,Bob,Cid\n0"
    );
    assert_eq!(
        server.run("INSERT INTO users (name) VALUES ('Dev'); PRAGMA integrity_check;"),
        "ok"
    );

    app.remy().dev_truncate("feature").unwrap();
    assert_eq!(
        server.run(
            "SELECT count(*) FROM users; INSERT INTO users (name) VALUES ('First') RETURNING id;"
        ),
        "0\n1"
    );
    assert_eq!(names(&app), "Ann,Bob,Cid", "live is not touched");

    let stopped = app.remy().dev_stop("feature").unwrap();
    assert_eq!(
        (stopped.status.as_str(), stopped.stopped_at.is_some()),
        ("superseded", true)
    );
    assert!(!Path::new(&dev.path).exists());
    assert_eq!(
        app.remy().dev_stop("feature").unwrap_err().code(),
        "not_found"
    );
    assert_eq!(app.remy().dev_list().unwrap().len(), 1);
    for name in ["", "../x", ".hidden", "a b", "-x"] {
        assert_eq!(
            app.remy().dev_start(name).unwrap_err().code(),
            "invalid_argument",
            "{name:?}"
        );
    }
}

#[test]
fn truncate_fires_no_trigger_and_knows_every_kind_of_table() {
    let app = app_with_users();
    shell(
        &app.live,
        "CREATE TABLE log (a); CREATE TRIGGER t AFTER DELETE ON users BEGIN INSERT INTO log VALUES (old.id); END;
         CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (p INTEGER NOT NULL REFERENCES parent (id) ON DELETE RESTRICT);
         INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1);
         CREATE TABLE kv (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO kv VALUES ('a', 1);
         CREATE VIRTUAL TABLE search USING fts5 (body); INSERT INTO search VALUES ('words');
         CREATE VIRTUAL TABLE outside USING fts5 (name, content = 'users', content_rowid = 'id'); INSERT INTO outside (outside) VALUES ('rebuild');
         CREATE VIRTUAL TABLE box USING rtree (id, x0, x1); INSERT INTO box VALUES (1, 0, 1);
         CREATE TABLE search_data_of_mine (a); INSERT INTO search_data_of_mine VALUES (1);
         CREATE TABLE box_data (a); INSERT INTO box_data VALUES (1);",
    );
    let dev = app.remy().dev_start("d").unwrap();
    app.remy().dev_truncate("d").unwrap();
    let left = shell(
        Path::new(&dev.path),
        "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM log) + (SELECT count(*) FROM parent) + (SELECT count(*) FROM child)
              + (SELECT count(*) FROM kv) + (SELECT count(*) FROM search) + (SELECT count(*) FROM box)
              + (SELECT count(*) FROM search_data_of_mine) + (SELECT count(*) FROM box_data);
         SELECT count(*) FROM outside WHERE outside MATCH 'ann'; PRAGMA integrity_check; PRAGMA foreign_key_check;
         INSERT INTO search (search) VALUES ('integrity-check'); INSERT INTO outside (outside) VALUES ('integrity-check');",
    );
    assert_eq!(left, "0\n0\nok\n");
}

#[test]
fn prune_keeps_what_a_rollback_needs() {
    let app = app_with_users();
    for schema in [V2, V3, V2, V3] {
        app.publish(schema, &json!({"allow": ["drop"]})).unwrap();
    }
    let pruned = app
        .remy()
        .prune(
            None,
            &Options::from_json(r#"{"keep_releases": 2}"#).unwrap(),
        )
        .unwrap();
    assert_eq!(
        (
            pruned
                .pruned
                .iter()
                .map(|p| p.release.0)
                .collect::<Vec<_>>(),
            pruned.kept
        ),
        (vec![2, 1], 2)
    );
    let pruned = app.remy().prune(Some(0), &Options::default()).unwrap();
    assert_eq!(
        (
            pruned
                .pruned
                .iter()
                .map(|p| p.release.0)
                .collect::<Vec<_>>(),
            pruned.kept
        ),
        (vec![3], 1)
    );
    let releases = app.remy().releases().unwrap();
    assert!(
        releases
            .iter()
            .find(|r| r.release == 2)
            .is_some_and(|r| r.pruned_at.is_some() && r.database.is_none())
    );
    assert!(
        !app.remy().build_log(Some(ReleaseId(2))).unwrap().is_empty(),
        "a pruned release keeps its log"
    );
    assert_eq!(
        app.rollback(None).unwrap().restored_from,
        Some(ReleaseId(4))
    );
}

#[test]
fn a_publish_prunes_by_its_options() {
    let app = app_with_users();
    for schema in [V2, V3, V2] {
        app.publish(schema, &json!({"allow": ["drop"], "keep_releases": 1}))
            .unwrap();
    }
    let kept: Vec<_> = app
        .remy()
        .releases()
        .unwrap()
        .into_iter()
        .filter_map(|r| r.database.map(|_| r.release))
        .collect();
    assert_eq!(kept, [3]);
}

#[test]
fn live_and_store_move_together() {
    let app = app_with_users();
    app.publish(V2, &json!({})).unwrap();
    let place = app.dir.path().join("elsewhere");
    fs::create_dir(&place).unwrap();
    shell(&app.live, "PRAGMA wal_checkpoint(TRUNCATE)");
    fs::rename(&app.live, place.join("new.db")).unwrap();
    fs::rename(
        format!("{}-remy", app.live.display()),
        place.join("new.db-remy"),
    )
    .unwrap();
    let moved = Remy::open(place.join("new.db")).unwrap();
    assert!(moved.verify().unwrap().ok);
    assert_eq!(
        moved
            .rollback(None, &Options::default(), Progress::none())
            .unwrap()
            .restored_from,
        Some(ReleaseId(1))
    );
}

#[test]
fn a_database_without_its_store_keeps_its_numbering() {
    let app = app_with_users();
    app.publish(V2, &json!({"label": "two"})).unwrap();
    let copy = app.dir.path().join("copy.db");
    app.remy().clone_to(&copy).unwrap();
    let copied = Remy::open(&copy).unwrap();
    let outcome = copied
        .publish(V3, &Options::default(), Progress::none())
        .unwrap();
    assert_eq!(
        (outcome.release, outcome.previous),
        (ReleaseId(3), Some(ReleaseId(2)))
    );
    let releases: Vec<_> = copied
        .releases()
        .unwrap()
        .into_iter()
        .map(|r| (r.release.0, r.label, r.status.to_string()))
        .collect();
    assert_eq!(
        releases,
        [
            (3, None, "live".to_owned()),
            (2, Some("two".into()), "superseded".to_owned())
        ]
    );
    assert_eq!(
        copied
            .rollback(None, &Options::default(), Progress::none())
            .unwrap()
            .restored_from,
        Some(ReleaseId(2))
    );
}

#[test]
fn detach_takes_remy_out_and_a_publish_brings_it_back() {
    let app = app_with_users();
    app.publish(V2, &json!({})).unwrap();
    let detached = app.remy().detach().unwrap();
    assert!(
        detached.dropped.contains(&"_remy_release".to_owned())
            && detached.left[0].contains("-remy"),
        "{detached:?}"
    );
    assert_eq!(
        shell(
            &app.live,
            "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table'"
        ),
        "users,sqlite_sequence\n"
    );
    assert_eq!(names(&app), "Ann,Bob");
    let outcome = app.publish(V3, &json!({})).unwrap();
    assert_eq!(
        outcome.previous,
        Some(ReleaseId(3)),
        "live as it stood was adopted as a release of its own"
    );
    assert_eq!(
        app.rollback(None).unwrap().restored_from,
        Some(ReleaseId(3))
    );
    assert_eq!(columns(&app), "id,name,email");
}

#[test]
fn a_link_to_live_is_live() {
    let app = app_with_users();
    let link = app.dir.path().join("link.db");
    std::os::unix::fs::symlink(&app.live, &link).unwrap();
    Remy::open(&link)
        .unwrap()
        .publish(V2, &Options::default(), Progress::none())
        .unwrap();
    assert!(Path::new(&format!("{}-remy/catalog.db", app.live.display())).exists());
    assert!(!Path::new(&format!("{}-remy", link.display())).exists());
}

#[test]
fn an_empty_file_is_a_database() {
    for mode in ["wal", "keep"] {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("new.db");
        fs::write(&live, "").unwrap();
        let options = Options::from_json(&json!({"journal_mode": mode}).to_string()).unwrap();
        let app = Remy::open(&live).unwrap();
        let outcome = app.publish(V1, &options, Progress::none()).unwrap();
        assert_eq!(
            (outcome.release, outcome.previous, outcome.status.as_str()),
            (ReleaseId(1), None, "live")
        );
        shell(&live, "INSERT INTO users (name) VALUES ('Ann')");
        app.publish(V2, &options, Progress::none()).unwrap();
        app.rollback(None, &options, Progress::none()).unwrap();
        assert_eq!(
            shell(&live, "SELECT * FROM users; PRAGMA integrity_check"),
            "1|Ann\nok\n"
        );
    }
}

#[test]
fn the_files_of_the_store_are_lives() {
    use std::os::unix::fs::PermissionsExt;
    let app = app_with_users();
    fs::set_permissions(&app.live, fs::Permissions::from_mode(0o640)).unwrap();
    app.publish(V2, &json!({})).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let store = PathBuf::from(format!("{}-remy", app.live.display()));
    assert_eq!(mode(&store), 0o700);
    assert_eq!(mode(&store.join("catalog.db")), 0o640);
    let snapshot = fs::read_dir(store.join("snapshots"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert_eq!(mode(&snapshot), 0o440);
    assert_eq!(
        shell(
            &snapshot,
            "PRAGMA journal_mode; SELECT group_concat(name) FROM users"
        ),
        "delete\nAnn,Bob\n"
    );
}

/// Any SQLite tool opens a snapshot where it lies, as a user that may not write there.
#[test]
fn a_snapshot_in_a_folder_that_may_not_be_written() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    let app = app_with_users();
    app.publish(V2, &json!({})).unwrap();
    shell(&app.live, "INSERT INTO users (name) VALUES ('Cid')");
    app.publish(V3, &json!({})).unwrap();
    let store = PathBuf::from(format!("{}-remy", app.live.display()));
    let folder = store.join("snapshots");
    for (path, mode) in [
        (app.dir.path(), 0o755),
        (store.as_path(), 0o755),
        (folder.as_path(), 0o555),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let files = || -> Vec<_> {
        fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect()
    };
    let before = files();
    for (release, names) in [(1, "Ann,Bob"), (2, "Ann,Bob,Cid")] {
        let entry = app
            .remy()
            .releases()
            .unwrap()
            .into_iter()
            .find(|entry| entry.release == release)
            .unwrap();
        let snapshot = store.join(entry.database.unwrap());
        for flags in [&["-batch", "-readonly"][..], &["-batch"]] {
            let mut shell = std::process::Command::new("sqlite3");
            shell
                .args(flags)
                .arg(&snapshot)
                .arg("PRAGMA integrity_check; SELECT group_concat(name) FROM users;");
            let mut write = std::process::Command::new("sqlite3");
            write.args(flags).arg(&snapshot).arg("DELETE FROM users;");
            // SAFETY: geteuid takes nothing and cannot fail.
            if unsafe { libc::geteuid() } == 0 {
                // Permissions do not bind root.
                shell.uid(65534).gid(65534);
                write.uid(65534).gid(65534);
            }
            assert_eq!(
                remy_tests::stdout(&mut shell),
                format!("ok\n{names}\n"),
                "{flags:?}"
            );
            assert!(
                !remy_tests::output(&mut write).status.success(),
                "{flags:?}"
            );
        }
    }
    assert_eq!(files(), before);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(app.remy().verify().unwrap().ok);
}

#[test]
fn what_comes_after_the_commit_is_not_called_off() {
    let app = app_with_users();
    let cancel = std::sync::atomic::AtomicBool::new(false);
    let on_line = |line: &remy_db::Line| {
        if line.step == Step::Switch {
            cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let outcome = app
        .remy()
        .publish(
            V2,
            &Options::default(),
            Progress::none().on_line(&on_line).cancel(&cancel),
        )
        .unwrap();
    assert!(
        outcome
            .log
            .iter()
            .all(|line| line.outcome == StepOutcome::Ok),
        "{:#?}",
        outcome.log
    );
    assert_eq!(statuses(&app)[0], (2, "live".to_owned(), None));
}

#[test]
fn a_dump_of_live_is_a_schema() {
    let app = app_with_users();
    app.publish(V2, &json!({})).unwrap();
    let dump = shell(
        &app.live,
        "SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*'",
    );
    assert!(dump.contains("_remy_release"));
    assert!(
        app.publish(&dump, &json!({}))
            .unwrap()
            .statements
            .is_empty()
    );
}

#[test]
fn a_comment_that_renames_nothing_is_warned_of() {
    let app = app_with_users();
    let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, email TEXT -- @renamed from=mial\n);";
    let outcome = app.publish(schema, &json!({})).unwrap();
    assert!(
        outcome
            .warnings
            .iter()
            .any(|w| w.contains("mial") && w.contains("email")),
        "{:?}",
        outcome.warnings
    );
}

#[test]
fn the_log_is_followed_as_it_is_written() {
    let app = app_with_users();
    let seen = std::sync::Mutex::new(Vec::new());
    let on_line = |line: &remy_db::Line| seen.lock().unwrap().push(line.clone());
    let options = Options::default();
    let outcome = app
        .remy()
        .publish(V2, &options, Progress::none().on_line(&on_line))
        .unwrap();
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen, outcome.log);
    assert_eq!(seen, app.remy().build_log(Some(outcome.release)).unwrap());
    let steps: Vec<_> = seen.iter().map(|line| line.step.as_str()).collect();
    assert!(
        ["build", "clone", "rehearse", "check", "switch", "settle"]
            .iter()
            .all(|step| steps.contains(step)),
        "{steps:?}"
    );
    let cancelled = std::sync::atomic::AtomicBool::new(true);
    let e = app
        .remy()
        .publish(V3, &options, Progress::none().cancel(&cancelled))
        .unwrap_err();
    assert_eq!(e.code(), "busy");
    assert_eq!(columns(&app), "id,name,email");
}

/// Every key of every result stands in the contract.
#[test]
fn the_contract_names_every_key() {
    let contract = fs::read_to_string(remy_tests::repository("docs/contract.md")).unwrap();
    let words: std::collections::BTreeSet<&str> = contract
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    let app = app_with_users();
    let outcome = app
        .publish(V3, &json!({"effects": {"roles": [{"id": "buyer"}]}}))
        .unwrap();
    let remy = app.remy();
    let results = [
        json!(outcome),
        json!(remy.releases().unwrap()),
        json!(remy.build_log(None).unwrap()),
        json!(remy.diff(V2, &Options::default()).unwrap()),
        json!(remy.clone_to(app.dir.path().join("clone.db")).unwrap()),
        json!(remy.dev_start("d").unwrap()),
        json!(remy.debug().unwrap()),
        json!(remy.prune(Some(0), &Options::default()).unwrap()),
        json!(remy.verify().unwrap()),
        json!(remy.build_log(Some(ReleaseId(99))).unwrap_err()),
        json!(remy.detach().unwrap()),
    ];
    let mut keys = 0;
    let mut left: Vec<&serde_json::Value> = results.iter().collect();
    while let Some(value) = left.pop() {
        match value {
            serde_json::Value::Array(values) => left.extend(values),
            serde_json::Value::Object(fields) => {
                for (key, value) in fields {
                    assert!(
                        words.contains(key.as_str()),
                        "{key} is not in docs/contract.md"
                    );
                    keys += 1;
                    left.push(value);
                }
            }
            _ => {}
        }
    }
    assert!(keys > 60, "{keys}");
    for code in remy_db::CODES {
        assert!(words.contains(code), "{code} is not in docs/contract.md");
    }
}
