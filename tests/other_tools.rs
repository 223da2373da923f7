//! What other tools leave: their migration files, their bookkeeping tables, their dumps.
use remy_db::{Error, Outcome, Result, StatementKind};
use remy_tests::{built, cases, live::App, stdout};
use serde_json::json;
use std::{path::Path, process::Command};

/// Publishes `schema` with the migrations in `folder`.
fn migrate(app: &App, schema: &str, folder: &str) -> Result<Outcome> {
    app.publish(
        schema,
        &json!({"migrations": app.dir.path().join(folder)}).to_string(),
    )
}

/// The names of the migrations that ran.
fn ran(outcome: &Outcome) -> Vec<&str> {
    let migrations = outcome
        .statements
        .iter()
        .filter(|statement| statement.kind == StatementKind::Migration);
    migrations
        .map(|statement| statement.object.as_str())
        .collect()
}

/// The same by the `sqlite3` shell, on its own SQLite.
fn migrate_in_the_shell(app: &App, schema: &str, folder: &str) -> String {
    let options = json!({"migrations": app.dir.path().join(folder)}).to_string();
    let sql = format!(
        "SELECT remy_publish({}, {}) ->> '$.status'",
        quoted(schema),
        quoted(&options)
    );
    let load = format!(
        ".load {}",
        built("libremy0.so").with_extension("").display()
    );
    stdout(
        Command::new("sqlite3")
            .args(["-batch", "-bail"])
            .env("REMY_HELPER", "none")
            .arg(&app.live)
            .arg(load)
            .arg(sql),
    )
    .trim_end()
    .to_owned()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

const T: &str = "CREATE TABLE t (a, n INTEGER NOT NULL DEFAULT 0);";
/// Every part that goes up adds 1, and every part that goes back takes the rows.
const UP: &str = "UPDATE t SET n = n + 1;";
const DOWN: &str = "DELETE FROM t;";

fn app_with_rows() -> App {
    App::on(&format!("{T} INSERT INTO t (a) VALUES ('x'), ('y');"))
}

fn the_part_of_a_file_that_undoes_it_does_not_run(text: &str) {
    let app = app_with_rows();
    app.file(
        "m/0001_x.sql",
        &text.replace("{up}", UP).replace("{down}", DOWN),
    );
    let outcome = migrate(&app, T, "m").unwrap();
    let left = app.ask("SELECT count(*), sum(n) FROM t");
    assert_eq!((ran(&outcome), left), (vec!["0001_x.sql"], "2|2".into()),);
    assert!(outcome.warnings.is_empty(), "{:?}", outcome.warnings);
}

cases! { the_part_of_a_file_that_undoes_it_does_not_run:
    {
        goose("-- +goose Up\n{up}\n-- +goose Down\n{down}\n"),
        goose_without_a_transaction(
            "-- +goose NO TRANSACTION\n-- +goose Up\n{up}\n\n-- +goose Down\n{down}\n",
        ),
        goose_with_a_statement_of_several(
            "-- +goose Up\n-- +goose StatementBegin\nCREATE TRIGGER r AFTER DELETE ON t BEGIN SELECT 1; END;\n-- +goose StatementEnd\n\
             DROP TRIGGER r; {up}\n-- +goose Down\n-- +goose StatementBegin\n{down}\n-- +goose StatementEnd\n",
        ),
        sql_migrate("\u{feff}-- +migrate Up\r\n{up}\r\n-- +migrate Down\r\n{down}\r\n"),
        dbmate("-- migrate:up transaction:false\n{up}\n\n-- migrate:down\n{down}"),
        node_sqlite("--------\n-- Up\n--------\n{up}\n--------\n-- Down\n--------\n{down}"),
        node_pg_migrate("-- Up Migration\n{up}\n-- Down Migration\n{down}"),
        tern("{up}\n---- create above / drop below ----\n{down}"),
        by_hand_the_other_way_around("-- DOWN\n{down}\n-- UP\n{up}"),
        a_transaction_in_a_part(
            "-- +goose Up\nBEGIN;\n{up}\nCOMMIT;\n-- +goose Down\nBEGIN;\n{down}\nCOMMIT;",
        ),
    }
}

fn a_file_that_does_not_tell_what_is_to_run_is_refused_by_name(text: String, word: &str) {
    let app = app_with_rows();
    app.file("m/0001_x.sql", &text);
    app.refuses("invalid_argument", &["0001_x.sql", word], |app| {
        migrate(app, T, "m")
    });
}

cases! { a_file_that_does_not_tell_what_is_to_run_is_refused_by_name:
    {
        up_without_its_word(format!("{UP}\n-- Down\n{DOWN}"), "line 2"),
        down_alone(format!("-- +goose Down\n{DOWN}"), "line 1"),
        up_twice(
            format!("{UP}\n-- migrate:up\n{UP}\n-- migrate:down\n{DOWN}"),
            "line 2",
        ),
        variables(
            "-- +goose Up\n-- +goose ENVSUB ON\nINSERT INTO t VALUES ('${HOME}', 1);\n".to_owned(),
            "line 2",
        ),
    }
}

fn files_and_folders_run_as_their_tool_names_them(files: &[(&str, &str)], expected: &[&str]) {
    let app = app_with_rows();
    for (name, text) in files {
        app.file(&format!("m/{name}"), text);
    }
    let outcome = migrate(&app, T, "m").unwrap();
    assert_eq!(ran(&outcome), expected);
    assert_eq!(
        app.ask("SELECT count(*), sum(n) FROM t"),
        format!("2|{}", 2 * expected.len()),
    );
    assert!(outcome.warnings.is_empty(), "{:?}", outcome.warnings);
    assert!(ran(&migrate(&app, T, "m").unwrap()).is_empty(), "once");
}

const JOURNAL: &str = r#"{"version":"7","dialect":"sqlite","entries":[{"idx":0,"tag":"0000_b"},{"idx":1,"tag":"0001_a"}]}"#;

cases! { files_and_folders_run_as_their_tool_names_them:
    {
        golang_migrate_and_sqlx(
            &[
                ("2_b.up.sql", UP),
                ("2_b.down.sql", DOWN),
                ("10_c.up.sql", UP),
                ("1_a.up.sql", UP),
                ("1_a.down.sql", DOWN),
            ],
            &["1_a.up.sql", "2_b.up.sql", "10_c.up.sql"],
        ),
        prisma(
            &[
                ("20240201000000_b/migration.sql", UP),
                ("20240101000000_a/migration.sql", UP),
                ("20240101000000_a/down.sql", DOWN),
                ("migration_lock.toml", "provider = \"sqlite\""),
            ],
            &[
                "20240101000000_a/migration.sql",
                "20240201000000_b/migration.sql",
            ],
        ),
        diesel(
            &[
                ("2024-10-01-000000_b/up.sql", UP),
                ("2024-02-01-000000_a/up.sql", UP),
                ("2024-02-01-000000_a/down.sql", DOWN),
            ],
            &["2024-02-01-000000_a/up.sql", "2024-10-01-000000_b/up.sql"],
        ),
        flyway(
            &[
                ("V10__c.sql", UP),
                ("V2__a.sql", UP),
                ("V2_1__b.sql", UP),
                ("U2__a.sql", DOWN),
                ("U10__c.sql", DOWN),
            ],
            &["V2__a.sql", "V2_1__b.sql", "V10__c.sql"],
        ),
        drizzle(
            &[
                ("meta/_journal.json", JOURNAL),
                ("meta/0000_snapshot.json", "{}"),
                ("0001_a.sql", UP),
                (
                    "0000_b.sql",
                    "UPDATE t SET n = n;--> statement-breakpoint\nUPDATE t SET n = n + 1;",
                ),
            ],
            &["0000_b.sql", "0001_a.sql"],
        ),
        drizzle_after_a_merge(
            &[
                (
                    "meta/_journal.json",
                    r#"{"entries":[{"tag":"0001_slow_down"},{"tag":"0001_a"}]}"#,
                ),
                ("0001_a.sql", UP),
                ("0001_slow_down.sql", UP),
            ],
            &["0001_slow_down.sql", "0001_a.sql"],
        ),
        prisma_twice_in_a_second(
            &[
                ("20240101000000_b/migration.sql", UP),
                ("20240101000000_a/migration.sql", UP),
            ],
            &[
                "20240101000000_a/migration.sql",
                "20240101000000_b/migration.sql",
            ],
        ),
        by_days(
            &[
                ("20240101_b.sql", UP),
                ("20240101_a.sql", UP),
                ("2024-01-02_d.sql", UP),
                ("2024-01-02_c.sql", UP),
            ],
            &[
                "2024-01-02_c.sql",
                "2024-01-02_d.sql",
                "20240101_a.sql",
                "20240101_b.sql",
            ],
        ),
        postgrator(
            &[("001.do.first.sql", UP), ("001.undo.first.sql", DOWN)],
            &["001.do.first.sql"],
        ),
        yoyo(
            &[("0001.a.sql", UP), ("0001.a.rollback.sql", DOWN)],
            &["0001.a.sql"],
        ),
        by_hand(
            &[
                ("1.sql", UP),
                ("2-b.sql", UP),
                ("2-b-down.sql", DOWN),
                ("3_cool_down.up.sql", UP),
                ("down.sql", DOWN),
            ],
            &["1.sql", "2-b.sql", "3_cool_down.up.sql"],
        ),
        what_editors_and_systems_leave(
            &[
                ("001_a.SQL", UP),
                ("._001_a.sql", "\0"),
                (".DS_Store", ""),
                ("README.md", ""),
            ],
            &["001_a.SQL"],
        ),
    }
}

fn what_cannot_run_among_migrations_is_refused_by_name(files: &[(&str, &str)]) {
    let app = app_with_rows();
    for (name, text) in files {
        app.file(&format!("m/{name}"), text);
    }
    let name = files[0].0.split('/').next().unwrap();
    app.refuses("invalid_argument", &[name], |app| migrate(app, T, "m"));
}

cases! { what_cannot_run_among_migrations_is_refused_by_name:
    {
        javascript_beside(&[("20240101_users.js", "exports.up = 1"), ("0001_a.sql", UP)]),
        python(&[("0001_initial.py", "")]),
        ruby(&[("20240101000000_create_users.rb", "")]),
        repeatable_of_flyway(&[("R__views.sql", UP)]),
        baseline_of_flyway(&[("B3__all.sql", UP), ("V4__b.sql", UP)]),
        undo_of_flyway(&[("U2__a.sql", DOWN), ("V1__a.sql", UP)]),
        no_number(&[("init.sql", UP)]),
        folder_without_a_number(&[("create_users/up.sql", UP)]),
        folder_without_sql(&[("20240101_empty/readme.txt", ""), ("0001_a.sql", UP)]),
        down_by_its_name(&[
            ("0001_drop_users_down.sql", DOWN),
            ("0001_create_users.sql", UP),
        ]),
        one_number_twice(&[("0001_b.sql", UP), ("0001_a.sql", UP)]),
        one_number_written_in_two_ways(&[
            ("1_b.up.sql", UP),
            ("1_b.down.sql", DOWN),
            ("0001_a.sql", UP),
        ]),
        one_version_of_flyway_twice(&[("V1_1__b.sql", UP), ("V1.1__a.sql", UP)]),
        one_day_twice(&[
            ("2024-01-31-000000_b/up.sql", UP),
            ("2024-01-31-000000_a/up.sql", UP),
        ]),
        journal_that_leads_out(&[
            (
                "meta/_journal.json",
                r#"{"entries":[{"tag":"../../0000_a"}]}"#,
            ),
            ("0000_a.sql", UP),
        ]),
        journal_that_lacks_a_file(&[
            ("meta/_journal.json", r#"{"entries":[]}"#),
            ("0000_a.sql", UP),
        ]),
    }
}

fn a_folder_without_migrations_is_a_warning(files: &[&str]) {
    let app = app_with_rows();
    std::fs::create_dir(app.dir.path().join("m")).unwrap();
    for name in files {
        app.file(&format!("m/{name}"), UP);
    }
    let outcome = migrate(&app, T, "m").unwrap();
    let [warning] = outcome.warnings.as_slice() else {
        panic!("{files:?}: {:?}", outcome.warnings)
    };
    assert!(
        warning.contains("/m ") && warning.contains("nothing of it was run"),
        "{warning}"
    );
}

cases! { a_folder_without_migrations_is_a_warning:
    {
        nothing(&[]),
        files_of_prisma(&["schema.prisma", "seed.ts"]),
        a_folder_within(&["sqlite/0001_a.sql"]),
    }
}

#[test]
fn what_undoes_a_migration_by_its_name_never_runs() {
    for names in [
        &["0001_init_down.sql"][..],
        &["0001-init-down.sql"],
        &["0001_init.down.sql"],
        &["0001_down.sql"],
        &["down.sql"],
        &[
            "0001_init.undo.sql",
            "0002_more_rollback.sql",
            "0003_more-REVERT.SQL",
        ],
        &["0001_init/down.sql"],
        &["V1__init.down.sql"],
    ] {
        for up in [None, Some("0009_up.sql")] {
            let app = app_with_rows();
            for name in names {
                app.file(&format!("m/{name}"), DOWN);
            }
            if let Some(up) = up {
                app.file(&format!("m/{up}"), UP);
            }
            let outcome = migrate(&app, T, "m").unwrap_or_else(|e| panic!("{names:?}: {e}"));
            assert_eq!(ran(&outcome), Vec::from_iter(up), "{names:?}");
            assert_eq!(app.ask("SELECT count(*) FROM t"), "2", "{names:?}");
            if up.is_none() {
                let [warning] = outcome.warnings.as_slice() else {
                    panic!("{names:?}: {:?}", outcome.warnings)
                };
                assert!(
                    warning.contains("only what undoes") && warning.contains(names[0]),
                    "{warning}"
                );
            }
        }
    }
    // A word that may be a part of the name: it is said that it did not run, and how it does.
    let app = app_with_rows();
    app.file("m/0001_a.sql", UP);
    app.file("m/0002_cool_down.sql", UP);
    let outcome = migrate(&app, T, "m").unwrap();
    let [warning] = outcome.warnings.as_slice() else {
        panic!("{:?}", outcome.warnings)
    };
    assert!(
        warning.contains("0002_cool_down.sql was not run")
            && warning.contains("0002_cool_down.up.sql"),
        "{warning}"
    );
}

#[test]
fn a_migration_that_was_renamed_does_not_run_again() {
    let names = [
        ("0001_a.sql", "0004_a.sql"),
        ("1_a.sql", "1_a.up.sql"),
        (
            "20240101000000_a/migration.sql",
            "20240102000000_b/migration.sql",
        ),
    ];
    for (before, after) in names {
        let app = app_with_rows();
        let path = app.file(&format!("m/{before}"), UP);
        // Of the same text, and another one.
        app.file("m/0002_b.sql", UP);
        migrate(&app, T, "m").unwrap();
        std::fs::remove_file(&path).unwrap();
        let _ = std::fs::remove_dir(path.parent().unwrap());
        app.file(&format!("m/{after}"), UP);
        let outcome = migrate(&app, T, "m").unwrap();
        assert_eq!(ran(&outcome), Vec::<&str>::new(), "{after}");
        let [warning] = outcome.warnings.as_slice() else {
            panic!("{after}: {:?}", outcome.warnings)
        };
        assert!(
            warning.contains(before) && warning.contains(after),
            "{warning}"
        );
        // Said once; and what has the text now under one more name is another migration.
        app.file("m/0007_c.sql", UP);
        let outcome = migrate(&app, T, "m").unwrap();
        assert_eq!(
            (ran(&outcome), outcome.warnings.len()),
            (vec!["0007_c.sql"], 0),
            "{after}: {:?}",
            outcome.warnings
        );
        assert_eq!(app.ask("SELECT count(*), sum(n) FROM t"), "2|6", "{after}");
        // A release that knew it under the name of before comes back, with that name. Of one text,
        // it is the same which of them runs.
        app.rollback(Some(2)).unwrap();
        assert_eq!(ran(&migrate(&app, T, "m").unwrap()).len(), 1, "{after}");
        assert_eq!(app.ask("SELECT count(*), sum(n) FROM t"), "2|6", "{after}");
    }
    let app = app_with_rows();
    let path = app.file("m/0001_a.sql", UP);
    migrate(&app, T, "m").unwrap();
    std::fs::remove_file(path).unwrap();
    app.file("m/0001_b.sql", &format!("{UP} {UP}"));
    app.refuses("invalid_argument", &["0001_a.sql", "0001_b.sql"], |app| {
        migrate(app, T, "m")
    });
}

#[test]
fn migrations_of_one_number_that_ran_before_it_was_refused_stay_where_they_are() {
    let app = app_with_rows();
    app.file("m/0001_a.sql", UP);
    migrate(&app, T, "m").unwrap();
    app.file("m/0001_b.sql", DOWN);
    app.refuses(
        "invalid_argument",
        &["0001_a.sql", "0001_b.sql", "one number"],
        |app| migrate(app, T, "m"),
    );
    let hash = blake3::hash(DOWN.as_bytes()).to_hex();
    app.ask(&format!(
        "INSERT INTO _remy_migrations VALUES ('0001_b.sql', '{hash}', 1)"
    ));
    app.file("m/0002_c.sql", UP);
    assert_eq!(ran(&migrate(&app, T, "m").unwrap()), ["0002_c.sql"]);
}

#[test]
fn a_transaction_around_a_whole_file_is_passed_over_and_any_other_refused() {
    for text in [
        "BEGIN; {} COMMIT;",
        "-- by hand\nPRAGMA foreign_keys = OFF;\nBEGIN IMMEDIATE TRANSACTION;\n{}\nEND TRANSACTION;\nPRAGMA foreign_keys = ON;;\n-- end",
        "begin exclusive;{}CREATE TRIGGER r AFTER DELETE ON t BEGIN SELECT 1; END; DROP TRIGGER r; end",
        "PRAGMA optimize; PRAGMA foreign_keys(0); PRAGMA legacy_alter_table = ON; {} PRAGMA optimize(0x10002); ANALYZE; ANALYZE t;",
    ] {
        let app = app_with_rows();
        app.file("m/0001_x.sql", &text.replace("{}", UP));
        migrate(&app, T, "m").unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(app.ask("SELECT count(*), sum(n) FROM t"), "2|2", "{text}");
    }
    for text in [
        "{} COMMIT;",
        "BEGIN; {}",
        "BEGIN; {} COMMIT; BEGIN; {} COMMIT;",
        "BEGIN; {} COMMIT; {}",
        "{} BEGIN; {} COMMIT;",
        "BEGIN; {} ROLLBACK;",
        "BEGIN; {} SAVEPOINT a; RELEASE a; COMMIT;",
        "BEGIN; CREATE TRIGGER r AFTER DELETE ON t BEGIN SELECT 1; END",
        "BEGIN; BEGIN; {} COMMIT; COMMIT;",
    ] {
        let app = app_with_rows();
        app.file("m/0001_x.sql", &text.replace("{}", UP));
        app.refuses(
            "ddl_failed",
            &["0001_x.sql", "is not allowed in a migration"],
            |app| migrate(app, T, "m"),
        );
    }
}

#[test]
fn what_a_module_was_refused_is_not_blamed_for_a_later_error() {
    let app = App::on(&format!(
        "{T} CREATE VIRTUAL TABLE f USING fts4(a); CREATE VIRTUAL TABLE r USING rtree(id, x, y);"
    ));
    app.file(
        "m/0001_x.sql",
        "INSERT INTO f VALUES ('a'); INSERT INTO r VALUES (1, 2, 3);\nINSERT INTO nowhere VALUES (1);",
    );
    let schema = format!(
        "{T} CREATE VIRTUAL TABLE f USING fts4(a); CREATE VIRTUAL TABLE r USING rtree(id, x, y);"
    );
    let e = app.refuses("ddl_failed", &["line 2", "no such table: nowhere"], |app| {
        migrate(app, &schema, "m")
    });
    assert!(!e.to_string().contains("PRAGMA"), "{e}");
}

/// Statements of every module that SQLite is built with, each of which makes statements of its own.
const MODULES: &str = "
CREATE VIRTUAL TABLE f5 USING fts5(a, b, content='');
INSERT INTO f5 (rowid, a, b) VALUES (1, 'one', 'two'); INSERT INTO f5 (f5, rowid, a, b) VALUES ('delete', 1, 'one', 'two');
CREATE VIRTUAL TABLE e5 USING fts5(a, content='t', content_rowid='rowid');
INSERT INTO e5 (e5) VALUES ('delete-all'); INSERT INTO e5 (e5) VALUES ('rebuild'); INSERT INTO e5 (e5) VALUES ('integrity-check');
CREATE VIRTUAL TABLE p5 USING fts5(a, prefix='2 3', tokenize='porter ascii', columnsize=0);
INSERT INTO p5 (a) VALUES ('running'), ('ran'); UPDATE p5 SET a = 'run' WHERE rowid = 1; DELETE FROM p5 WHERE rowid = 2;
INSERT INTO p5 (p5) VALUES ('optimize'); INSERT INTO p5 (p5, rank) VALUES ('merge', 16); INSERT INTO p5 (p5, rank) VALUES ('automerge', 4);
INSERT INTO p5 (p5, rank) VALUES ('pgsz', 512); INSERT INTO p5 (p5, rank) VALUES ('rank', 'bm25(10.0)');
INSERT INTO p5 (p5) VALUES ('rebuild'); CREATE TABLE hits AS SELECT a, highlight(p5, 0, '[', ']') AS h, bm25(p5) AS s FROM p5 ('run');
ALTER TABLE p5 RENAME TO q5; INSERT INTO q5 (q5) VALUES ('optimize'); DROP TABLE q5;
CREATE VIRTUAL TABLE d5 USING fts5(a); INSERT INTO d5 (a) VALUES ('x y'); DELETE FROM d5;
CREATE VIRTUAL TABLE v5 USING fts5vocab('e5', 'row'); CREATE TABLE terms AS SELECT * FROM v5; DROP TABLE v5;
CREATE VIRTUAL TABLE f4 USING fts4(a, b, prefix='2', languageid='l', notindexed=b, order=desc);
INSERT INTO f4 (a, b) VALUES ('one two', 'x'), ('two', 'y'); UPDATE f4 SET a = 'three' WHERE rowid = 1; DELETE FROM f4 WHERE rowid = 2;
INSERT INTO f4 (f4) VALUES ('optimize'); INSERT INTO f4 (f4) VALUES ('rebuild'); INSERT INTO f4 (f4) VALUES ('integrity-check');
INSERT INTO f4 (f4) VALUES ('merge=4,4');
SELECT optimize(f4) FROM f4 LIMIT 1; CREATE TABLE optimized AS SELECT snippet(f4) AS s, offsets(f4) AS f, matchinfo(f4) AS m FROM f4 WHERE f4 MATCH 'three' AND l = 0;
CREATE VIRTUAL TABLE c4 USING fts4(content='t', a); INSERT INTO c4 (c4) VALUES ('rebuild'); INSERT INTO c4 (c4) VALUES ('automerge=4');
CREATE VIRTUAL TABLE x4 USING fts4aux(f4); CREATE TABLE terms4 AS SELECT * FROM x4; DROP TABLE x4;
ALTER TABLE f4 RENAME TO g4; INSERT INTO g4 (g4) VALUES ('optimize'); DROP TABLE g4;
CREATE VIRTUAL TABLE f3 USING fts3(a, tokenize=porter); INSERT INTO f3 VALUES ('running'); INSERT INTO f3 (f3) VALUES ('optimize');
DELETE FROM f3; DROP TABLE f3;
CREATE VIRTUAL TABLE tok USING fts3tokenize('porter'); CREATE TABLE toks AS SELECT token FROM tok WHERE input = 'a running b'; DROP TABLE tok;
CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, y0, y1, +label);
INSERT INTO r VALUES (1, 0, 1, 0, 1, 'a'), (2, 1, 2, 1, 2, 'b'); UPDATE r SET x1 = 3, label = 'c' WHERE id = 1; DELETE FROM r WHERE id = 2;
CREATE TABLE found AS SELECT id, label FROM r WHERE x1 > 2; CREATE TABLE fine AS SELECT rtreecheck('r') AS c;
ALTER TABLE r RENAME TO s; INSERT INTO s VALUES (3, 0, 1, 0, 1, 'd'); DROP TABLE s;
CREATE VIRTUAL TABLE ri USING rtree_i32(id, a, b); INSERT INTO ri VALUES (1, 2, 3); DROP TABLE ri;
CREATE TABLE sizes AS SELECT name, sum(pgsize) AS size FROM dbstat WHERE aggregate = TRUE GROUP BY name;
CREATE TABLE js AS SELECT value FROM json_each('[1,2]'); CREATE TABLE cols AS SELECT name FROM pragma_table_info('t');
CREATE TABLE pages AS SELECT page_size FROM pragma_page_size; PRAGMA page_count; PRAGMA data_version; PRAGMA journal_mode; PRAGMA encoding;
ANALYZE; ANALYZE main; ANALYZE t; REINDEX; PRAGMA integrity_check; PRAGMA optimize;
DROP TABLE hits; DROP TABLE terms; DROP TABLE optimized; DROP TABLE terms4; DROP TABLE toks; DROP TABLE found; DROP TABLE fine;
DROP TABLE sizes; DROP TABLE js; DROP TABLE cols; DROP TABLE pages; DROP TABLE f5; DROP TABLE e5; DROP TABLE d5; DROP TABLE c4;
UPDATE t SET n = n + 1;
";
/// What a host's build need not have.
const GEOPOLY: &str = "
CREATE VIRTUAL TABLE g USING geopoly(label); INSERT INTO g (_shape, label) VALUES ('[[0,0],[1,0],[1,1],[0,0]]', 'a');
UPDATE g SET label = 'b'; CREATE TABLE area AS SELECT geopoly_area(_shape) AS a FROM g WHERE geopoly_overlap(_shape, '[[0,0],[1,0],[1,1],[0,0]]');
ALTER TABLE g RENAME TO h; DELETE FROM h; DROP TABLE h; DROP TABLE area;
";

#[test]
fn every_module_works_in_a_migration() {
    let app = app_with_rows();
    app.file("m/0001_modules.sql", MODULES);
    app.file("m/0002_geopoly.sql", GEOPOLY);
    migrate(&app, T, "m").unwrap_or_else(|e| panic!("{e}"));
    // Whoever writes meanwhile has the statements run again, under the lock.
    assert_eq!(
        app.ask("SELECT count(*), sum(n) FROM t; PRAGMA integrity_check"),
        "2|2\nok"
    );
}

#[test]
fn every_module_works_in_a_migration_of_another_sqlite() {
    let app = app_with_rows();
    let has = |option: &str| {
        app.ask("PRAGMA compile_options")
            .lines()
            .any(|line| line == option)
    };
    app.file("m/0001_modules.sql", MODULES);
    if has("ENABLE_GEOPOLY") {
        app.file("m/0002_geopoly.sql", GEOPOLY);
    }
    assert_eq!(migrate_in_the_shell(&app, T, "m"), "live");
    assert_eq!(
        app.ask("SELECT count(*), sum(n) FROM t; PRAGMA integrity_check"),
        "2|2\nok"
    );
}

const BEFORE: &str =
    "CREATE TABLE old (id INTEGER PRIMARY KEY, a); CREATE TABLE log (x); CREATE TABLE child (o REFERENCES old (id));
CREATE VIEW v AS SELECT a FROM old; CREATE INDEX i ON old (a);
CREATE TRIGGER r AFTER INSERT ON old BEGIN INSERT INTO log SELECT max(id) FROM old; END;
CREATE TRIGGER l AFTER DELETE ON log BEGIN DELETE FROM old WHERE id = old.x; END;";

#[test]
fn what_names_a_table_follows_its_rename_in_a_migration() {
    for by_shell in [false, true] {
        let app = App::on(&format!(
            "{BEFORE} INSERT INTO old VALUES (1, 'x'); INSERT INTO child VALUES (1);"
        ));
        app.file(
            "m/0001_rename.sql",
            "ALTER TABLE old RENAME TO people; ALTER TABLE people RENAME COLUMN a TO name;",
        );
        let schema = "CREATE TABLE people (id INTEGER PRIMARY KEY, name); CREATE TABLE log (x);
            CREATE TABLE child (o REFERENCES people (id)); CREATE VIEW v AS SELECT name FROM people; CREATE INDEX i ON people (name);
            CREATE TRIGGER r AFTER INSERT ON people BEGIN INSERT INTO log SELECT max(id) FROM people; END;
            CREATE TRIGGER l AFTER DELETE ON log BEGIN DELETE FROM people WHERE id = old.x; END;";
        if by_shell {
            assert_eq!(migrate_in_the_shell(&app, schema, "m"), "live");
        } else {
            let outcome = migrate(&app, schema, "m").unwrap_or_else(|e| panic!("{e}"));
            assert!(
                outcome
                    .statements
                    .iter()
                    .all(|s| ["migration", "drop_view", "create_view"]
                        .contains(&s.kind.to_string().as_str())),
                "{:?}",
                outcome.statements
            );
        }
        app.ask("DELETE FROM log WHERE x = 99; INSERT INTO people VALUES (2, 'y'); DELETE FROM log WHERE x = 2");
        assert_eq!(
            app.ask("SELECT * FROM people; SELECT * FROM child; PRAGMA foreign_key_check"),
            "1|x\n1"
        );
    }
}

/// A table that is made anew under a view, as SQLite's own page on ALTER TABLE has it for such.
#[test]
fn a_migration_says_itself_that_names_stay() {
    let app = App::on(&format!(
        "{BEFORE} INSERT INTO old VALUES (1, 'x'); INSERT INTO child VALUES (1);"
    ));
    let rebuild = "CREATE TABLE new_old (id INTEGER PRIMARY KEY, a, b); INSERT INTO new_old SELECT id, a, 1 FROM old; DROP TABLE old;
        ALTER TABLE new_old RENAME TO old; CREATE INDEX i ON old (a);
        CREATE TRIGGER r AFTER INSERT ON old BEGIN INSERT INTO log SELECT max(id) FROM old; END;";
    app.file(
        "m/0001_rebuild.sql",
        &format!("PRAGMA foreign_keys=OFF; PRAGMA legacy_alter_table=ON; BEGIN; {rebuild} COMMIT;"),
    );
    let schema = BEFORE.replace("PRIMARY KEY, a)", "PRIMARY KEY, a, b)");
    migrate(&app, &schema, "m").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        app.ask("SELECT * FROM v; SELECT * FROM old; PRAGMA foreign_key_check"),
        "x\n1|x|1"
    );
    // It is for that file only.
    app.file(
        "m/0002_rename.sql",
        "ALTER TABLE old RENAME TO people; ALTER TABLE people RENAME TO old;",
    );
    migrate(&app, &schema, "m").unwrap_or_else(|e| panic!("{e}"));
    assert!(
        app.ask("SELECT sql FROM sqlite_schema WHERE name = 'child'")
            .contains("\"old\""),
        "it followed"
    );
}

#[test]
fn a_migration_renames_a_table_of_an_app() {
    let app = App::on("");
    let declare = |name: &str| {
        let text = format!(
            "import {{ db }} from '@mindstudio-ai/agent';\nexport const T = db.defineTable<{{ name: string }}>('{name}');\n"
        );
        app.file("dist/methods/src/tables/t.ts", &text);
        let tables = json!([{"name": name, "path": "dist/methods/src/tables/t.ts", "export": "T"}]);
        app.file(
            "mindstudio.json",
            &json!({"name": "test", "methods": [], "tables": tables}).to_string(),
        )
    };
    let publish = |manifest: &Path| {
        app.publish(&manifest.display().to_string(), "{}")
            .unwrap_or_else(|e| panic!("{e}"))
    };
    publish(&declare("vendors"));
    app.ask("INSERT INTO vendors (name) VALUES ('Ann')");
    app.file(
        "dist/methods/migrations/0001_suppliers.sql",
        "ALTER TABLE vendors RENAME TO suppliers;",
    );
    let manifest = declare("suppliers");
    assert_eq!(ran(&publish(&manifest)), ["0001_suppliers.sql"]);
    app.ask("UPDATE suppliers SET name = 'Bob'");
    assert_eq!(
        app.ask("SELECT name, updated_at > created_at OR updated_at = created_at FROM suppliers"),
        "Bob|1"
    );
    assert_eq!(publish(&manifest).statements.len(), 0, "it is settled");
}

#[test]
fn the_line_of_a_migration_is_its_name() {
    let app = app_with_rows();
    let rows = format!("INSERT INTO t VALUES ('{}', 1);", "secret ".repeat(2000));
    app.file("m/0001_rows.sql", &rows);
    let outcome = migrate(&app, T, "m").unwrap();
    let line = outcome
        .log
        .iter()
        .find(|line| line.object.as_deref() == Some("0001_rows.sql"))
        .unwrap();
    assert_eq!(
        (line.message.as_str(), line.sql.as_deref()),
        ("0001_rows.sql", Some(rows.as_str()))
    );
    app.file("m/0002_fails.sql", &rows.replace("INTO t", "INTO nowhere"));
    let e: Error = app.refuses("ddl_failed", &["0002_fails.sql failed in line 1"], |app| {
        migrate(app, T, "m")
    });
    assert!(
        e.to_string().len() < 600 && e.detail().sql.as_ref().unwrap().len() > 10_000,
        "{e}"
    );
}

const BOOKS: &[&str] = &[
    "_litestream_seq",
    "_litestream_lock",
    "goose_db_version",
    "__EFMigrationsHistory",
    "_sqlx_migrations",
    "room_master_table",
    "android_metadata",
    "grdb_migrations",
    "d1_migrations",
    "atlas_schema_revisions",
    "SequelizeMeta",
    "SequelizeData",
    "mojo_migrations",
    "bun_migrations",
    "bun_migration_locks",
    "umzug",
    "typeorm_metadata",
    "__diesel_schema_migrations",
    "seaql_migrations",
    "flyway_schema_history",
    "DATABASECHANGELOG",
    "DATABASECHANGELOGLOCK",
    "kysely_migration",
    "kysely_migration_lock",
    "refinery_schema_history",
    "phinxlog",
    "_migrations",
    "migrations",
    "_prisma_migrations",
    "__drizzle_migrations",
    "knex_migrations",
    "knex_migrations_lock",
    "django_migrations",
    "alembic_version",
    "schema_migrations",
    "ar_internal_metadata",
];

#[test]
fn tables_in_which_other_tools_keep_their_books_stay() {
    let book = |name: &&str| {
        format!("CREATE TABLE \"{name}\" (id UNIQUE, b); INSERT INTO \"{name}\" VALUES (1, 'b');")
    };
    let made: String = BOOKS.iter().map(book).collect();
    let hanging = "CREATE INDEX by_b ON migrations (b); CREATE TRIGGER noted AFTER INSERT ON migrations BEGIN SELECT 1; END;";
    let app = App::on(&format!(
        "{T} {made} {hanging} CREATE TABLE scratch_a (a); CREATE TABLE goes (a);"
    ));
    let before = app.ask("SELECT count(*) FROM sqlite_schema WHERE name NOT GLOB '_remy_*'");
    // What `ignore` names comes on top of them.
    let outcome = app
        .publish(T, r#"{"ignore": ["scratch*"]}"#)
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        outcome
            .statements
            .iter()
            .map(|s| s.object.as_str())
            .collect::<Vec<_>>(),
        ["goes"]
    );
    assert!(outcome.warnings.is_empty(), "{:?}", outcome.warnings);
    assert_eq!(
        app.ask("SELECT count(*) + 1 FROM sqlite_schema WHERE name NOT GLOB '*_remy_*'"),
        before
    );
    for name in BOOKS {
        assert_eq!(
            app.ask(&format!("SELECT * FROM \"{name}\"")),
            "1|b",
            "{name}"
        );
    }
}

#[test]
fn what_the_schema_declares_is_ignored_only_where_somebody_says_so() {
    let now = "CREATE TABLE migrations (id, name); CREATE TABLE _migrations (id); CREATE INDEX by_name ON migrations (name);";
    let declared =
        "CREATE TABLE migrations (id, name, whose); CREATE INDEX by_name ON migrations (name);";
    let app = App::on(&format!(
        "{now} INSERT INTO migrations VALUES (1, 'birds');"
    ));
    let kinds = |outcome: &Outcome| {
        outcome
            .statements
            .iter()
            .map(|s| format!("{} {}", s.kind, s.object))
            .collect::<Vec<_>>()
    };
    let other = app.dir.path().join("other.db");
    remy_tests::shell(&other, declared);
    for schema in [declared, &other.display().to_string()] {
        let ignoring = app.publish(schema, r#"{"ignore": ["migr*"]}"#).unwrap();
        assert_eq!(
            (kinds(&ignoring), ignoring.warnings.len()),
            (vec![], 1),
            "{:?}",
            ignoring.warnings
        );
        assert!(
            ignoring.warnings[0].contains("`ignore` names migrations, which the"),
            "{:?}",
            ignoring.warnings
        );
    }
    let outcome = app
        .publish(declared, "{}")
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(kinds(&outcome), ["add_column migrations.whose"]);
    // Told of in a rename it is the schema's own, too.
    let renamed =
        "CREATE TABLE journeys (id, name, whose); CREATE INDEX by_name ON journeys (name);";
    let outcome = app
        .publish(renamed, r#"{"renames": ["migrations=journeys"]}"#)
        .unwrap_or_else(|e| panic!("{e}"));
    assert!(
        kinds(&outcome).contains(&"rename_table migrations".to_owned()),
        "{:?}",
        kinds(&outcome)
    );
    assert_eq!(
        app.ask("SELECT * FROM journeys; SELECT count(*) FROM _migrations"),
        "1|birds|\n0"
    );
}

#[test]
fn a_table_that_an_app_declares_is_hidden_by_ignore_with_a_warning() {
    let app =
        App::on("CREATE TABLE vendors (id TEXT PRIMARY KEY, other); CREATE TABLE migrations (a);");
    let define = |name: &str| {
        let text = format!(
            "import {{ db }} from '@mindstudio-ai/agent';\nexport const T = db.defineTable<{{ name: string }}>('{name}');\n"
        );
        app.file(&format!("dist/methods/src/tables/{name}.ts"), &text);
        json!({"name": name, "path": format!("dist/methods/src/tables/{name}.ts"), "export": "T"})
    };
    let tables = [define("vendors"), define("orders")];
    let manifest = app.file(
        "mindstudio.json",
        &json!({"name": "test", "methods": [], "tables": tables}).to_string(),
    );
    for round in 0..2 {
        let outcome = app
            .publish(
                &manifest.display().to_string(),
                r#"{"ignore": ["vendors"]}"#,
            )
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            outcome.statements.iter().any(|s| s.object == "orders"),
            round == 0
        );
        assert_eq!(outcome.warnings.len(), 1, "{:?}", outcome.warnings);
        assert!(
            outcome.warnings[0].contains("`ignore` names vendors"),
            "{:?}",
            outcome.warnings
        );
    }
    assert_eq!(
        app.ask("SELECT group_concat(name) FROM pragma_table_info('vendors')"),
        "id,other"
    );
}

#[test]
fn a_dump_is_a_declared_schema_and_its_rows_are_counted() {
    let app = App::on(
        "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT); CREATE TABLE \"odd; name\" (a UNIQUE);
         CREATE VIRTUAL TABLE f USING fts5(body, tokenize='porter ascii'); CREATE VIRTUAL TABLE r USING rtree(id, x, y);
         CREATE VIEW v AS SELECT note FROM users;
         CREATE TRIGGER g AFTER INSERT ON users BEGIN INSERT INTO \"odd; name\" VALUES (new.note); END;
         INSERT INTO users (note) VALUES ('a; INSERT INTO users VALUES (9);'), ('it''s'); INSERT INTO f VALUES ('x'); INSERT INTO r VALUES (1, 2, 3);
         CREATE INDEX i ON users (note); ANALYZE;",
    );
    let dump = app.file("dump.sql", &remy_tests::shell(&app.live, ".dump"));
    assert!(
        std::fs::read_to_string(&dump)
            .unwrap()
            .contains("PRAGMA writable_schema=ON")
    );
    let outcome = app
        .publish(&dump.display().to_string(), "{}")
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(outcome.statements.len(), 0, "{:?}", outcome.statements);
    let [warning] = outcome.warnings.as_slice() else {
        panic!("{:?}", outcome.warnings)
    };
    assert!(
        warning.contains("(2 into odd; name, 2 into users)") && warning.starts_with("4 INSERTs"),
        "{warning}"
    );
    let empty = App::on("");
    empty
        .publish(&dump.display().to_string(), "{}")
        .unwrap_or_else(|e| panic!("{e}"));
    let schema = "SELECT type, name FROM sqlite_schema WHERE name NOT GLOB '*_remy_*' AND name NOT GLOB 'sqlite_stat*' ORDER BY 1, 2";
    assert_eq!(empty.ask(schema), app.ask(schema));
    assert_eq!(empty.ask("SELECT count(*) FROM users"), "0");
}

fn schemas_as_other_tools_write_them_are_understood(text: &str, warning: &str) {
    let app = App::on("");
    let file = app.file("schema.sql", text);
    let outcome = app.publish(&file.display().to_string(), "{}").unwrap();
    let [told] = outcome.warnings.as_slice() else {
        panic!("{:?}", outcome.warnings)
    };
    assert!(told.contains(warning), "{told}");
    assert_eq!(app.ask("SELECT count(*) FROM t"), "0");
    assert!(
        app.publish(&file.display().to_string(), "{}")
            .unwrap()
            .statements
            .is_empty(),
        "it is settled"
    );
}

cases! { schemas_as_other_tools_write_them_are_understood:
    {
        rails("CREATE TABLE IF NOT EXISTS \"schema_migrations\" (\"version\" varchar NOT NULL PRIMARY KEY);
             CREATE TABLE IF NOT EXISTS \"t\" (\"id\" integer PRIMARY KEY AUTOINCREMENT NOT NULL, \"a\" varchar);
             CREATE TABLE sqlite_sequence(name,seq);
             INSERT INTO \"schema_migrations\" (version) VALUES\n('20240102030405'),\n('20240101030405');",
                "(1 into schema_migrations)"),
        dbmate("CREATE TABLE IF NOT EXISTS \"schema_migrations\" (version varchar(128) primary key);\nCREATE TABLE t (a);
             -- Dbmate schema migrations\nINSERT INTO \"schema_migrations\" (version) VALUES\n  ('20240101030405');",
                "(1 into schema_migrations)"),
        d1("PRAGMA defer_foreign_keys=TRUE;\nCREATE TABLE d1_migrations(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE);
             INSERT INTO \"d1_migrations\" (\"id\",\"name\") VALUES(1,'0001_a.sql');\nCREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT);
             INSERT INTO \"t\" (\"a\") VALUES(1);INSERT INTO \"t\" (\"a\") VALUES(2);
             DELETE FROM sqlite_sequence;\nINSERT INTO \"sqlite_sequence\" (\"name\",\"seq\") VALUES('t',2);",
                "(1 into d1_migrations, 2 into t)"),
        by_hand(
            "BEGIN; CREATE TABLE t (a); REPLACE INTO t VALUES (1); INSERT OR IGNORE INTO main.t SELECT 2; COMMIT;",
            "(2 into t)",
        ),
    }
}

#[test]
fn what_is_more_than_a_schema_in_a_dump_is_refused() {
    let row = "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','u','u',2,'CREATE TABLE u(a)');";
    for (text, line) in [
        ("CREATE TABLE t (a);\nROLLBACK; -- due to errors", "line 2"),
        ("CREATE TABLE t (a);\nUPDATE t SET a = 1;", "line 2"),
        ("CREATE TABLE t (a);\nDELETE FROM t;", "line 2"),
        (
            &format!("CREATE TABLE t (a); PRAGMA writable_schema=ON;\n{row}"),
            "line 2",
        ),
    ] {
        App::on(T).refuses("schema_invalid", &[line], |app| app.publish(text, "{}"));
    }
}
