//! What a change asks, refuses, reports and keeps: one case a test, those that were found the hard
//! way among them.
use remy_db::{
    Allow, Error, Options, engine,
    internals::{
        declare::{Source, current, declared},
        rehearse::{self, dependents, migration_files},
        schema::{Schema, diff::diff, introspect, plan::Plan, plan::plan},
    },
};
use rusqlite::Connection;

fn open(sql: &str) -> Connection {
    engine::init();
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(sql).unwrap();
    conn
}

fn planned(conn: &Connection, to: &str, options: &Options) -> Result<Plan, Error> {
    let declared = declared(to, options)?;
    let mut current = current(conn, &declared, options)?;
    dependents::note(conn, &mut current)?;
    let changes = diff(&current, &declared.schema, &declared.renames)?;
    plan(
        &current,
        &declared.schema,
        &changes,
        rusqlite::version_number(),
    )
}

fn change(conn: &Connection, to: &str, options: &str) -> Result<Plan, Error> {
    let options = Options::from_json(options).unwrap();
    rehearse::prepare(conn, &options.extensions)?;
    conn.execute_batch("BEGIN").unwrap();
    let done = (|| {
        let mut plan = planned(conn, to, &options)?;
        let survey = rehearse::measure(conn, &plan, &options)?;
        rehearse::apply(conn, &plan, &survey, &mut |_, _| {})?;
        rehearse::check(conn, &plan, &survey, &declared(to, &options)?, &options)?;
        plan.statements = survey.statements;
        Ok(plan)
    })();
    conn.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })
        .unwrap();
    done
}

fn refused(conn: &Connection, to: &str, options: &str) -> (String, String) {
    let e = change(conn, to, options).expect_err("it was done");
    (e.code().to_owned(), e.to_string())
}

fn kinds(plan: &Plan) -> Vec<String> {
    plan.statements
        .iter()
        .map(|statement| statement.kind.to_string())
        .collect()
}

fn one<T: rusqlite::types::FromSql>(conn: &Connection, sql: &str) -> T {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn what_an_argument_is_taken_for() {
    assert!(matches!(Source::of("CREATE TABLE t(a)"), Source::Sql(_)));
    assert!(matches!(Source::of("DROP TABLE t;"), Source::Sql(_)));
    assert!(matches!(Source::of("db/schema.SQL"), Source::SqlFile(_)));
    assert!(matches!(Source::of("model.json"), Source::Model(_)));
    assert!(matches!(Source::of("app/mindstudio.json"), Source::App(_)));
    assert!(matches!(Source::of("my app(1).db"), Source::Database(_)));
    engine::init();
    let e = declared("nowhere.sql", &Options::default()).unwrap_err();
    assert!(
        e.code() == "not_found" && e.to_string().contains("the SQL file nowhere.sql"),
        "{e}"
    );
    assert_eq!(
        declared("mindstudio.json", &Options::default())
            .unwrap_err()
            .code(),
        "not_found"
    );
}

#[test]
fn an_error_in_a_declared_schema_has_a_line_and_a_column() {
    engine::init();
    for (sql, place) in [
        (
            "CREATE TABLE t(a);\nCREATE TABLE u(\n  a, b c d CHECK CHECK(1)\n);",
            "line 3, column 18",
        ),
        (
            "CREATE TABLE t(a);\n\n  UPDATE t SET a = 1;",
            "line 3, column 3",
        ),
        (
            "CREATE TABLE t(a); CREATE INDEX i ON t(b);",
            "line 1, column 40",
        ),
        ("CREATE TABLE t(a);\nCREATE TABLE _remy_x(a);", "_remy_x"),
        ("CREATE TABLE t(a);\nATTACH 'x' AS y;", "line 2, column 1"),
    ] {
        let e = declared(sql, &Options::default()).unwrap_err();
        assert!(
            e.code() == "schema_invalid" && e.to_string().contains(place),
            "{sql}: {e}"
        );
    }
    // What the shell prints of a database is a declared schema.
    let dump = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t(a);\nCREATE TABLE sqlite_sequence(name,seq);\nCOMMIT;";
    assert_eq!(
        declared(dump, &Options::default())
            .unwrap()
            .schema
            .tables
            .len(),
        1
    );
}

#[test]
fn the_json_model_is_a_declared_schema() {
    let sql = "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT COLLATE NOCASE CHECK(b <> '') DEFAULT 'x' -- why\n);
        CREATE INDEX i ON t(lower(b)) WHERE b > ''; CREATE VIEW v AS SELECT * FROM t -- last\n;
        CREATE TRIGGER r INSTEAD OF DELETE ON v BEGIN SELECT 1; END; CREATE VIRTUAL TABLE f USING fts5(x);";
    let read = introspect::read(&open(sql), &[]).unwrap();
    let json = serde_json::to_string_pretty(&read).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.json");
    std::fs::write(&path, &json).unwrap();
    let again = declared(path.to_str().unwrap(), &Options::default()).unwrap();
    assert_eq!(diff(&read, &again.schema, &[]).unwrap(), []);
    assert_eq!(again.schema, read);
    assert_eq!(
        serde_json::to_string_pretty(&Schema::from_json(&json).unwrap()).unwrap(),
        json
    );

    std::fs::write(&path, json.replace("NOCASE\"", "RTRIM\"")).unwrap();
    let e = declared(path.to_str().unwrap(), &Options::default()).unwrap_err();
    assert!(
        e.code() == "schema_invalid" && e.to_string().contains('t'),
        "{e}"
    );
}

#[test]
fn another_database_is_a_declared_schema_and_its_own_tables_of_remy_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.db");
    engine::init();
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE t(a, b); CREATE TABLE _remy_release(x); CREATE TABLE knex_migrations_lock(x)")
        .unwrap();
    let conn = open("CREATE TABLE t(a); CREATE TABLE alembic_version(x)");
    // What it declares is never ignored by a default, which only keeps what it lacks.
    assert_eq!(
        kinds(&change(&conn, path.to_str().unwrap(), "{}").unwrap()),
        ["add_column", "create_table"]
    );
}

#[test]
fn a_rename_in_a_comment_is_done_once() {
    let conn = open("CREATE TABLE old(a, nm TEXT); INSERT INTO old VALUES(1, 'n')");
    let to =
        "/* @renamed from=old */ CREATE TABLE t(a, -- the a\n name TEXT -- @renamed from=nm\n);";
    assert_eq!(
        kinds(&change(&conn, to, "{}").unwrap()),
        ["rename_table", "rename_column"]
    );
    assert_eq!(one::<String>(&conn, "SELECT name FROM t"), "n");
    assert!(change(&conn, to, "{}").unwrap().is_empty());
    assert!(
        change(&conn, to, r#"{"renames":["old=t","t.nm=name"]}"#)
            .unwrap()
            .is_empty()
    );
    let (code, message) = refused(&conn, to, r#"{"renames":["t.nothing=nowhere"]}"#);
    assert!(
        code == "invalid_argument" && message.contains("t.nothing"),
        "{message}"
    );
}

#[test]
fn a_renamed_parent_is_followed_by_its_children_and_sequence() {
    let conn = open(
        "CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE TABLE c(p REFERENCES p(id));
         CREATE TRIGGER bad AFTER INSERT ON c BEGIN INSERT INTO gone VALUES(1); END;
         INSERT INTO p VALUES(41); DELETE FROM p; INSERT INTO p VALUES(7)",
    );
    let to = "CREATE TABLE q(key INTEGER PRIMARY KEY AUTOINCREMENT); CREATE TABLE c(p REFERENCES q(key));
         CREATE TRIGGER bad AFTER INSERT ON c BEGIN INSERT INTO gone VALUES(1); END;";
    let plan = change(&conn, to, r#"{"renames":["p=q","p.id=key"]}"#).unwrap();
    assert!(plan.rebuilt.is_empty(), "{:?}", kinds(&plan));
    assert_eq!(
        one::<i64>(&conn, "SELECT seq FROM sqlite_sequence WHERE name = 'q'"),
        41
    );
}

#[test]
fn tables_swap_names() {
    let conn = open(
        "CREATE TABLE a(x); CREATE TABLE b(y); INSERT INTO a VALUES(1); INSERT INTO b VALUES(2)",
    );
    change(
        &conn,
        "CREATE TABLE a(y); CREATE TABLE b(x);",
        r#"{"renames":["a=b","b=a"]}"#,
    )
    .unwrap();
    assert_eq!(
        (
            one::<i64>(&conn, "SELECT y FROM a"),
            one::<i64>(&conn, "SELECT x FROM b")
        ),
        (2, 1)
    );
    change(&conn, "CREATE TABLE A(y); CREATE TABLE b(X);", "{}").unwrap();
    assert_eq!(
        one::<String>(
            &conn,
            "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema ORDER BY 1)"
        ),
        "A,b"
    );
}

#[test]
fn what_goes_beside_what_comes_is_asked_about() {
    let conn = open(
        "CREATE TABLE t(a, gone); CREATE TABLE u(a); INSERT INTO t VALUES(1, NULL), (2, 'x'), (3, 'y')",
    );
    let (code, message) = refused(&conn, "CREATE TABLE t(a, come); CREATE TABLE u(a);", "{}");
    assert!(
        code == "ambiguous_rename"
            && message.contains("t.gone=come")
            && message.contains("\"drop\""),
        "{message}"
    );
    let plan = change(
        &conn,
        "CREATE TABLE t(a, come); CREATE TABLE u(a);",
        r#"{"allow":["drop"]}"#,
    )
    .unwrap();
    assert_eq!(kinds(&plan), ["drop_column", "add_column"]);
    assert_eq!(
        plan.statements[0].loses.as_deref(),
        Some("3 rows, 2 with a value in gone")
    );
    assert_eq!(
        (plan.statements[0].needs, plan.statements[1].needs),
        (Some(Allow::Drop), None)
    );
    // An empty table is no loss; one with rows is.
    change(&conn, "CREATE TABLE t(a, come); CREATE TABLE v(b);", "{}").unwrap();
    let (code, message) = refused(&conn, "CREATE TABLE w(a, come); CREATE TABLE v(b);", "{}");
    assert!(
        code == "ambiguous_rename" && message.contains("t=w"),
        "{message}"
    );
    // A drop alone needs no leave.
    let plan = change(&conn, "CREATE TABLE v(b);", "{}").unwrap();
    assert_eq!(plan.statements[0].loses.as_deref(), Some("3 rows"));
}

#[test]
fn a_type_change_is_asked_for_and_counted() {
    let conn = open("CREATE TABLE t(a TEXT); INSERT INTO t VALUES('7'), ('007'), ('x'), (NULL)");
    let (code, message) = refused(&conn, "CREATE TABLE t(a INT);", "{}");
    assert_eq!(code, "lossy_change");
    for part in [
        "t.a",
        "from TEXT to INT",
        "2 values of 3, 1 of which cannot be converted back",
        "lossy",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // '007' would come back as '7': leave to change the type is not leave for that.
    assert_eq!(
        refused(
            &conn,
            "CREATE TABLE t(a INT);",
            r#"{"allow":["type_change"]}"#
        )
        .0,
        "lossy_change"
    );
    let plan = change(&conn, "CREATE TABLE t(a INT);", r#"{"allow":["lossy"]}"#).unwrap();
    assert!(
        plan.statements
            .iter()
            .any(|s| s.needs == Some(Allow::Lossy) && s.loses.is_some())
    );
    // What can be converted back needs no more than that.
    let back = open("CREATE TABLE t(a TEXT); INSERT INTO t VALUES('7'), ('8')");
    let (code, message) = refused(&back, "CREATE TABLE t(a INT);", "{}");
    assert!(
        code == "lossy_change" && message.contains("type_change"),
        "{message}"
    );
    let plan = change(
        &back,
        "CREATE TABLE t(a INT);",
        r#"{"allow":["type_change"]}"#,
    )
    .unwrap();
    assert!(
        plan.statements
            .iter()
            .any(|s| s.needs == Some(Allow::TypeChange) && s.loses.is_some())
    );
    // Without values, or within an affinity, there is nothing to ask.
    change(
        &open("CREATE TABLE t(a TEXT)"),
        "CREATE TABLE t(a INT);",
        "{}",
    )
    .unwrap();
    change(&conn, "CREATE TABLE t(a BIGINT);", "{}").unwrap();
}

#[test]
fn what_rows_do_not_allow_is_named_before_anything_runs() {
    let conn =
        open("CREATE TABLE t(a, b, n INT); INSERT INTO t VALUES(1, 1, 5), (1, 1, 6), (2, NULL, 7)");
    for (to, parts) in [
        (
            "CREATE TABLE t(a, b, n INT, c NOT NULL);",
            ["t.c", "3 rows"],
        ),
        ("CREATE TABLE t(a, b NOT NULL, n INT);", ["t.b", "1 row"]),
        (
            "CREATE TABLE t(a, b, n INT, UNIQUE(a, b));",
            ["UNIQUE", "2 rows share 1 value"],
        ),
        (
            "CREATE TABLE t(a, b, n INT); CREATE UNIQUE INDEX u ON t(a + 1) WHERE a > 0;",
            ["u on t", "2 rows share 1"],
        ),
        (
            "CREATE TABLE t(a, b, n INT REFERENCES p(id)); CREATE TABLE p(id INTEGER PRIMARY KEY);",
            ["3 rows of t", "of p"],
        ),
    ] {
        let (code, message) = refused(&conn, to, "{}");
        assert!(
            code == "check_failed" && parts.iter().all(|part| message.contains(part)),
            "{to}: {message}"
        );
    }
    // NULLs are filled in where that is allowed only.
    let to = "CREATE TABLE t(a, b NOT NULL DEFAULT 'd', n INT);";
    assert_eq!(refused(&conn, to, "{}").0, "lossy_change");
    change(&conn, to, r#"{"allow":["lossy"]}"#).unwrap();
    assert_eq!(one::<i64>(&conn, "SELECT count(*) FROM t WHERE b = 'd'"), 1);
}

#[test]
fn a_column_called_n_does_not_count_duplicates() {
    let conn = open("CREATE TABLE t(a, n INT); INSERT INTO t VALUES(1, 10), (2, 20)");
    change(&conn, "CREATE TABLE t(a UNIQUE, n INT);", "{}").unwrap();
}

#[test]
fn a_broken_trigger_or_view_does_not_stop_drop_column() {
    let rest = "CREATE TABLE w(a); CREATE TRIGGER x AFTER INSERT ON w BEGIN INSERT INTO gone VALUES(1); END;
        CREATE VIEW v AS SELECT app_fn(a) FROM w; CREATE TRIGGER iv INSTEAD OF DELETE ON v BEGIN SELECT 1; END;";
    let conn = open(&format!("CREATE TABLE t(a, b); {rest}"));
    let plan = change(&conn, &format!("CREATE TABLE t(a); {rest}"), "{}").unwrap();
    assert!(kinds(&plan).iter().any(|kind| kind == "drop_column") && plan.rebuilt.is_empty());
    assert_eq!(
        one::<i64>(
            &conn,
            "SELECT count(*) FROM sqlite_schema WHERE type IN ('view', 'trigger')"
        ),
        3
    );
}

#[test]
fn what_names_nothing_that_changes_stays_where_it_is() {
    let rest = "CREATE TABLE u(x, y); CREATE TABLE w(x); CREATE TABLE z(x);
        CREATE VIEW far AS SELECT x FROM u; CREATE VIEW near AS SELECT a FROM t; CREATE VIEW nearer AS SELECT * FROM near;
        CREATE TRIGGER far_u AFTER INSERT ON u BEGIN UPDATE \"u\" SET y = new.\"x\" WHERE x IN (SELECT x FROM far); END;
        CREATE TRIGGER far_v INSTEAD OF INSERT ON far BEGIN INSERT INTO w VALUES (new.x); END;
        CREATE TRIGGER names_t AFTER DELETE ON u BEGIN INSERT INTO 't' (a) VALUES (old.x); END;
        CREATE TRIGGER names_view AFTER UPDATE ON w BEGIN DELETE FROM u WHERE x IN (SELECT a FROM nearer); END;
        CREATE TRIGGER quoted AFTER DELETE ON w BEGIN INSERT INTO u(x) VALUES (\"a string\"); END;
        CREATE TRIGGER broken AFTER INSERT ON z BEGIN INSERT INTO gone VALUES (1); END;";
    let moved = |to: &str, options: &str| {
        let conn = open(&format!("CREATE TABLE t(a, b); CREATE TABLE d(b); {rest}"));
        let plan =
            change(&conn, &format!("{to} {rest}"), options).unwrap_or_else(|e| panic!("{to}: {e}"));
        let before = open(&format!("{to} {rest}"));
        let all = "SELECT group_concat(name || sql) FROM (SELECT name, sql FROM sqlite_schema WHERE type IN ('view', 'trigger') ORDER BY name)";
        assert_eq!(
            one::<String>(&conn, all),
            one::<String>(&before, all),
            "{to}"
        );
        let dropped = plan
            .statements
            .iter()
            .filter(|s| ["drop_view", "drop_trigger"].contains(&s.kind.to_string().as_str()));
        dropped
            .map(|statement| statement.object.clone())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let of_t = "names_t names_view quoted broken near nearer";
    assert_eq!(moved("CREATE TABLE t(a); CREATE TABLE d(b);", "{}"), of_t);
    let renamed = r#"{"renames":["t.b=c"]}"#;
    assert_eq!(
        moved("CREATE TABLE t(a, c); CREATE TABLE d(b);", renamed),
        of_t
    );
    // Names that change places: the texts stay as they are, though SQLite would have them follow.
    assert_eq!(
        moved(
            "CREATE TABLE t(b, a); CREATE TABLE d(b);",
            r#"{"renames":["t.a=b","t.b=a"]}"#
        ),
        of_t
    );
    // Nothing that is whole names the other table.
    let of_d = "quoted broken";
    assert_eq!(
        moved(
            "CREATE TABLE t(a, b); CREATE TABLE d(c);",
            r#"{"renames":["d.b=c"]}"#
        ),
        of_d
    );
    assert_eq!(
        moved(
            "CREATE TABLE t(a, b); CREATE TABLE e(b);",
            r#"{"renames":["d=e"]}"#
        ),
        of_d
    );
    // A column that comes, and a rebuild, need no room.
    assert_eq!(
        moved("CREATE TABLE t(a, b, c); CREATE TABLE d(b UNIQUE);", "{}"),
        ""
    );
}

#[test]
fn strings_in_double_quotes_survive_what_sqlite_makes_of_them() {
    // DROP COLUMN writes them with single quotes.
    let conn =
        open("CREATE TABLE t(a CHECK(a IN (\"x\", \"y\")), b); INSERT INTO t VALUES('x', 1)");
    change(&conn, "CREATE TABLE t(a CHECK(a IN (\"x\", \"y\")));", "{}").unwrap();
    assert!(
        change(&conn, "CREATE TABLE t(a CHECK(a IN ('x', \"y\")));", "{}")
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_copy_ignores_what_a_constraint_says_of_conflicts() {
    let conn = open("CREATE TABLE t(a, b); INSERT INTO t VALUES(1, 'x'), (1, 'y')");
    let (code, _) = refused(
        &conn,
        "CREATE TABLE t(a UNIQUE ON CONFLICT REPLACE, b);",
        "{}",
    );
    assert_eq!(
        (code.as_str(), one::<i64>(&conn, "SELECT count(*) FROM t")),
        ("check_failed", 2)
    );
}

#[test]
fn temporary_names_make_way() {
    let conn = open(
        "CREATE TABLE t(a); CREATE TABLE _remy_new_t(x); INSERT INTO _remy_new_t VALUES(1); INSERT INTO t VALUES(2)",
    );
    change(&conn, "CREATE TABLE t(a UNIQUE);", "{}").unwrap();
    assert_eq!(
        one::<i64>(
            &conn,
            "SELECT (SELECT x FROM _remy_new_t) + (SELECT a FROM t)"
        ),
        3
    );
}

#[test]
fn an_applications_function_is_asked_for_where_it_is_needed() {
    let table = "CREATE TABLE t(a CHECK(app_fn(a))); CREATE INDEX i ON t(a COLLATE app_order);";
    let conn = open("CREATE TABLE u(a)");
    let (code, message) = refused(&conn, &format!("{table} CREATE TABLE u(a);"), "{}");
    assert!(
        code == "unsupported_change"
            && message.contains("app_fn")
            && message.contains("extensions"),
        "{message}"
    );
    let (code, message) = refused(
        &conn,
        "CREATE TABLE u(a); CREATE VIRTUAL TABLE v USING app_module(x);",
        "{}",
    );
    assert!(
        code == "unsupported_change" && message.contains("app_module"),
        "{message}"
    );
    // What is there and stays is none of this change's business.
    conn.execute_batch(
        "PRAGMA writable_schema=ON; CREATE TABLE t(a); CREATE INDEX i ON t(a);
         UPDATE sqlite_schema SET sql='CREATE TABLE t(a CHECK(app_fn(a)))' WHERE name='t';
         INSERT INTO sqlite_schema VALUES('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING app_module(x)');
         PRAGMA writable_schema=RESET",
    )
    .unwrap();
    let to = "CREATE TABLE t(a CHECK(app_fn(a))); CREATE INDEX i ON t(a); CREATE TABLE u(a, b);
        CREATE VIRTUAL TABLE v USING app_module(x);";
    assert_eq!(kinds(&change(&conn, to, "{}").unwrap()), ["add_column"]);
}

#[test]
fn foreign_keys_that_did_not_hold_before_are_no_reason_to_refuse() {
    let conn = open(
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(a REFERENCES p(id), b INT);
        PRAGMA foreign_keys=OFF; INSERT INTO c VALUES(9, 1)",
    );
    let plan = change(
        &conn,
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(a REFERENCES p(id), b INT UNIQUE);",
        "{}",
    );
    assert_eq!(plan.unwrap().foreign_keys, ["c"]);
    // Nor does `REFERENCES p` differ from naming p's key.
    let to =
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(a REFERENCES p, b INT, UNIQUE(b));";
    assert!(change(&conn, to, "{}").unwrap().is_empty());
    let (_, message) = refused(
        &conn,
        "CREATE TABLE p(id); CREATE TABLE c(a REFERENCES p(id), b INT UNIQUE);",
        "{}",
    );
    assert!(
        message.contains("neither a primary key nor UNIQUE"),
        "{message}"
    );
}

#[test]
fn full_text_tables_keep_their_content() {
    let conn = open(
        "CREATE VIRTUAL TABLE f USING fts5(a, b); INSERT INTO f(rowid, a, b) VALUES(7, 'one', 'two')",
    );
    change(
        &conn,
        "CREATE VIRTUAL TABLE f USING fts5(a, c, tokenize=porter);",
        r#"{"allow":["drop"]}"#,
    )
    .unwrap();
    assert_eq!(
        one::<i64>(&conn, "SELECT rowid FROM f WHERE f MATCH 'one'"),
        7
    );
    let (code, message) = refused(
        &conn,
        "CREATE VIRTUAL TABLE f USING fts5(a, content='');",
        "{}",
    );
    assert!(
        code == "unsupported_change" && message.contains('f'),
        "{message}"
    );
}

#[test]
fn an_old_sqlite_rebuilds_instead_of_dropping_a_column() {
    let conn = open("CREATE TABLE t(a, b)");
    let (now, options) = (introspect::read(&conn, &[]).unwrap(), Options::default());
    let to = declared("CREATE TABLE t(a);", &options).unwrap();
    let changes = diff(&now, &to.schema, &[]).unwrap();
    assert_eq!(
        kinds(&plan(&now, &to.schema, &changes, 3_034_001).unwrap())[0],
        "rebuild_table"
    );
    assert_eq!(
        kinds(&plan(&now, &to.schema, &changes, 3_035_000).unwrap()),
        ["drop_column"]
    );
}

#[test]
fn a_second_run_gives_the_same_schema() {
    let (from, to) = (
        "CREATE TABLE t(a, b TEXT)",
        "CREATE TABLE t(a, b TEXT UNIQUE, c); CREATE VIEW v AS SELECT 1;",
    );
    let hashes: Vec<String> = (0..2)
        .map(|_| {
            let conn = open(from);
            change(&conn, to, "{}").unwrap();
            rehearse::fingerprint(&conn).unwrap()
        })
        .collect();
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[0], rehearse::fingerprint(&open(from)).unwrap());
}

#[test]
fn migrations_run_once_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, sql: &str| std::fs::write(dir.path().join(name), sql).unwrap();
    let conn = open("CREATE TABLE t(a, n); INSERT INTO t VALUES('A B', 0)");
    let run = || -> Result<Vec<String>, Error> {
        conn.execute_batch("BEGIN").unwrap();
        let ran = migration_files::read(dir.path())
            .and_then(|found| rehearse::migrations(&conn, &found.files, &mut |_, _| {}));
        conn.execute_batch(if ran.is_ok() { "COMMIT" } else { "ROLLBACK" })
            .unwrap();
        Ok(ran?
            .migrated
            .into_iter()
            .map(|migrated| migrated.name)
            .collect())
    };
    write("10_last.sql", "UPDATE t SET n = n * 2");
    write(
        "2_first.sql",
        "-- one; two\nCREATE TEMP TABLE t(x);\nUPDATE main.t SET n = 1 + n;\n;;",
    );
    write("readme.txt", "nothing");
    assert_eq!(run().unwrap(), ["2_first.sql", "10_last.sql"]);
    assert_eq!(one::<i64>(&conn, "SELECT n FROM t"), 2);
    assert!(run().unwrap().is_empty());

    // A failure at any place takes all of it back, and says where it was.
    write(
        "11_x.sql",
        "UPDATE t SET n = 50;\n\nUPDATE nowhere SET a = 1;\nUPDATE t SET n = 60;",
    );
    let e = run().unwrap_err();
    assert!(
        e.code() == "ddl_failed" && e.to_string().contains("11_x.sql failed in line 3"),
        "{e}"
    );
    assert_eq!(e.detail().sql.as_deref(), Some("UPDATE nowhere SET a = 1;"));
    assert_eq!(one::<i64>(&conn, "SELECT n FROM t"), 2);

    for sql in [
        "COMMIT; ATTACH 'live.db' AS live",
        "ALTER TABLE t RENAME TO _remy_t",
        "VACUUM",
        "INSERT OR ROLLBACK INTO t VALUES (1, 2)",
    ] {
        write("11_x.sql", sql);
        assert_eq!(run().is_err(), !sql.contains("OR ROLLBACK"), "{sql}");
    }
    write("2_first.sql", "UPDATE t SET n = 99");
    let e = run().unwrap_err();
    assert!(
        e.code() == "invalid_argument" && e.to_string().contains("2_first.sql"),
        "{e}"
    );
}

#[test]
fn five_hundred_tables() {
    let sql: String = (0..500)
        .map(|n| {
            format!(
                "CREATE TABLE t{n}(id INTEGER PRIMARY KEY, a TEXT NOT NULL DEFAULT 'x', b INT CHECK(b > 0), c REAL, \
                 d REFERENCES t0(id)); CREATE INDEX i{n} ON t{n}(a, b);"
            )
        })
        .collect();
    let conn = open(&sql);
    let to = declared(&sql.replace("c REAL", "\"C\" real"), &Options::default()).unwrap();
    let now = introspect::read(&conn, &[]).unwrap();
    let changes = diff(&now, &to.schema, &[]).unwrap();
    assert_eq!(
        plan(&now, &to.schema, &changes, rusqlite::version_number())
            .unwrap()
            .statements
            .len(),
        500
    );
}

/// A constraint that comes by ALTER TABLE is made on a table in temp, and with AUTOINCREMENT that
/// brings temp a `sqlite_sequence`, which stands before main's.
#[test]
fn a_constraint_beside_a_rebuild_keeps_the_sequences() {
    for (first, second) in [("a", "z"), ("z", "a")] {
        let schema = |constraint: &str, default: &str| {
            format!(
                "CREATE TABLE {first} (id INTEGER PRIMARY KEY AUTOINCREMENT, v{constraint});
                 CREATE TABLE {second} (id INTEGER PRIMARY KEY AUTOINCREMENT, v{default});"
            )
        };
        let conn = open(&schema("", ""));
        for table in [first, second] {
            conn.execute_batch(&format!(
                "INSERT INTO {table} VALUES (1000, 1), (3, 1); DELETE FROM {table} WHERE id = 1000"
            ))
            .unwrap();
        }
        let plan = change(&conn, &schema(" NOT NULL", " DEFAULT 5"), "{}").unwrap();
        let kinds = kinds(&plan).join(" ");
        assert!(
            kinds.contains("set_not_null") && kinds.contains("rebuild_table"),
            "{kinds:?}"
        );
        for table in [first, second] {
            conn.execute(&format!("INSERT INTO {table} (v) VALUES (2)"), [])
                .unwrap();
            assert_eq!(
                one::<i64>(&conn, &format!("SELECT max(id) FROM {table}")),
                1001,
                "{table}"
            );
        }
    }
}
