//! The database of the methods: what its operations mean, what an app's SQL may do, and what is left
//! of what was answered when others break a transaction, the process is killed, or the release
//! changes.
use remy_db::{Options, Progress, ReleaseId};
use remy_db_runtime::{
    database::{
        Bound, Caller, Database, Durability, Settings,
        request::{Comparison, Filter, Measure, Operation, Order, Place, Reply},
    },
    failure::Failure,
    protocol::AuthTable,
};
use remy_tests::{built_program, live::App, rounds::Random, shell};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

const USERS: &str = "import { db } from '@mindstudio-ai/agent';
export const T = db.defineTable<{ email?: string; phone?: string; roles?: string[]; key?: string; name?: string }>(
  'users', { unique: [['name']] });
";

const THINGS: &str = "import { db, type User } from '@mindstudio-ai/agent';
export const T = db.defineTable<{
  title?: string; n?: number; m?: number; flag?: boolean; other?: string; data?: unknown; owner?: User; 'odd \"name': string;
}>('things', { unique: [['title'], ['n', 'other']] });
";

/// An app whose first release is live.
fn app() -> App {
    app_with("")
}

/// The same, with SQL that its database has besides.
fn app_with(sql: &str) -> App {
    let app = App::on("");
    publish(&app);
    if !sql.is_empty() {
        shell(&app.live, sql);
    }
    app
}

fn publish(app: &App) -> i64 {
    let manifest = app.declares(&[("users", USERS), ("things", THINGS)]);
    let options = Options::default();
    let done = app.remy().publish(&manifest, &options, Progress::none());
    done.unwrap_or_else(|e| panic!("{e}")).release.0
}

fn settings(bound: Bound) -> Settings {
    let columns = [
        ("email", "email"),
        ("phone", "phone"),
        ("roles", "roles"),
        ("apiKey", "key"),
    ];
    Settings {
        auth: Some(AuthTable {
            table: "users".into(),
            columns: columns.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
        }),
        ..Settings::new(bound)
    }
}

fn open_with(app: &App, settings: Settings) -> Database {
    Database::open(&app.remy().place(), settings).unwrap_or_else(|e| panic!("{e}"))
}

fn open(app: &App) -> Database {
    open_with(app, settings(Bound::Release(ReleaseId(live(app)))))
}

fn live(app: &App) -> i64 {
    app.ask("SELECT release FROM _remy_release")
        .parse()
        .unwrap()
}

fn row(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(row) => row,
        other => panic!("{other}"),
    }
}

fn insert(table: &str, value: Value) -> Operation {
    let table = table.into();
    Operation::Insert {
        table,
        row: row(value),
    }
}

fn upsert(value: Value, keys: &[&str]) -> Operation {
    Operation::Upsert {
        table: "things".into(),
        row: row(value),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    }
}

fn update(id: &Value, set: Value) -> Operation {
    Operation::Update {
        table: "things".into(),
        id: id.as_str().expect("an id").into(),
        set: row(set),
    }
}

fn select(filter: Filter) -> Operation {
    Operation::Select {
        table: "things".into(),
        filter,
        order: vec![],
        limit: None,
        offset: 0,
    }
}

fn sql(text: &str, params: &[Value]) -> Operation {
    Operation::Sql {
        text: text.into(),
        params: params.to_vec(),
        reads: false,
    }
}

fn equal(column: &str, value: impl Into<Value>) -> Filter {
    Filter::Equal(column.into(), value.into())
}

/// Does one thing, as nobody.
fn one(database: &Database, operation: Operation) -> Result<Reply, Failure> {
    as_user(database, None, operation)
}

fn as_user(
    database: &Database,
    user: Option<&str>,
    operation: Operation,
) -> Result<Reply, Failure> {
    let mut replies = database.run(&Caller::user(user), &[operation])?;
    assert_eq!(replies.len(), 1);
    Ok(replies.remove(0))
}

#[track_caller]
fn done(database: &Database, operation: Operation) -> Reply {
    one(database, operation).unwrap_or_else(|e| panic!("{e:?}"))
}

#[track_caller]
fn code(result: Result<Reply, Failure>) -> (String, u16) {
    let e = result.expect_err("it was done");
    (e.code, e.status)
}

/// The rows of a reply as JavaScript has them.
fn objects(reply: &Reply) -> Vec<Map<String, Value>> {
    let object = |row: &Vec<Value>| {
        reply
            .columns
            .iter()
            .cloned()
            .zip(row.iter().cloned())
            .collect()
    };
    reply.rows.iter().map(object).collect()
}

#[track_caller]
fn the_row(reply: &Reply) -> Map<String, Value> {
    assert_eq!(reply.rows.len(), 1, "{reply:?}");
    objects(reply).remove(0)
}

#[test]
fn a_row_is_added_read_changed_and_removed() {
    let app = app();
    let database = open(&app);
    let ada = Some("ada");
    let added = as_user(
        &database,
        ada,
        insert(
            "things",
            json!({"title": "a", "n": 1.5, "flag": true, "odd \"name": "x", "id": "mine", "createdAt": 1, "updated_at": 2}),
        ),
    );
    let added = the_row(&added.unwrap());
    let id = &added["id"];
    assert_eq!(id.as_str().unwrap().len(), 36, "system columns are not set");
    assert!(added["created_at"].as_i64().unwrap() > 1_600_000_000_000);
    assert_eq!(added["last_updated_by"], "ada");
    assert_eq!(
        (&added["n"], &added["flag"], &added["other"]),
        (&json!(1.5), &json!(1), &json!(null))
    );

    // What the trigger makes of it is in the answer.
    let changed = as_user(
        &database,
        Some("bob"),
        update(id, json!({"n": 2, "last_updated_by": "eve"})),
    );
    let changed = the_row(&changed.unwrap());
    assert!(changed["updated_at"].as_i64() > added["updated_at"].as_i64());
    assert_eq!(
        (&changed["last_updated_by"], &changed["n"]),
        (&json!("bob"), &json!(2))
    );
    assert_eq!(
        app.ask("SELECT user_id IS NULL FROM _remy_session"),
        "1",
        "who writes next is not bob"
    );

    let same = done(&database, update(id, json!({})));
    assert_eq!((same.changes, the_row(&same)), (0, changed.clone()));
    assert_eq!(
        done(&database, update(&json!("nobody"), json!({"n": 1})))
            .rows
            .len(),
        0
    );
    assert_eq!(
        the_row(&done(&database, insert("things", json!({}))))["title"],
        json!(null)
    );

    assert_eq!(
        the_row(&done(&database, select(equal("id", id.clone())))),
        changed
    );
    let remove = |filter| Operation::Remove {
        table: "things".into(),
        filter,
    };
    assert_eq!(
        done(&database, remove(equal("title", "nothing"))).changes,
        0
    );
    assert_eq!(done(&database, remove(equal("title", "a"))).changes, 1);
    assert_eq!(done(&database, remove(Filter::All)).changes, 1);
    assert_eq!(app.ask("SELECT count(*) FROM things"), "0");
}

#[test]
fn an_upsert_adds_or_changes() {
    let app = app();
    let database = open(&app);
    let first = the_row(&done(
        &database,
        upsert(json!({"title": "a", "n": 1}), &["title"]),
    ));
    let again = as_user(
        &database,
        Some("bob"),
        upsert(json!({"title": "a", "n": 2}), &["title"]),
    );
    let again = the_row(&again.unwrap());
    assert_eq!(
        (&again["id"], &again["n"], &again["last_updated_by"]),
        (&first["id"], &json!(2), &json!("bob"))
    );
    // Nothing besides the key: the row is as it was.
    let same = done(&database, upsert(json!({"title": "a"}), &["title"]));
    assert_eq!((same.changes, the_row(&same)), (0, again));
    done(
        &database,
        upsert(json!({"n": 5, "other": "x", "title": "b"}), &["other", "n"]),
    );

    for (operation, expected) in [
        (upsert(json!({"title": "a"}), &[]), "missing_conflict_key"),
        (upsert(json!({"n": 1}), &["title"]), "missing_conflict_key"),
        (
            upsert(json!({"id": "x", "title": "a"}), &["id"]),
            "missing_conflict_key",
        ),
        (
            upsert(json!({"title": "z", "other": "x"}), &["other"]),
            "no_unique_constraint",
        ),
        (
            upsert(json!({"title": "z"}), &["nothing"]),
            "invalid_column",
        ),
    ] {
        assert_eq!(code(one(&database, operation)), (expected.into(), 400));
    }
    assert_eq!(app.ask("SELECT count(*) FROM things"), "2");
}

#[test]
fn rows_come_in_order_and_by_pages() {
    let app = app();
    let database = open(&app);
    for (title, n) in [
        ("b", json!(2)),
        ("a", json!(2)),
        ("c", json!(null)),
        ("B", json!(1)),
    ] {
        done(&database, insert("things", json!({"title": title, "n": n})));
    }
    let titles = |order: &[(&str, bool)], limit, offset| {
        let order = order.iter().map(|(column, descending)| Order {
            column: (*column).into(),
            descending: *descending,
        });
        let operation = Operation::Select {
            table: "things".into(),
            filter: Filter::All,
            order: order.collect(),
            limit,
            offset,
        };
        let rows = objects(&done(&database, operation));
        rows.iter()
            .map(|row| row["title"].as_str().unwrap().to_owned())
            .collect::<String>()
    };
    assert_eq!(titles(&[("title", false)], None, 0), "Babc");
    assert_eq!(titles(&[("n", true), ("title", false)], None, 0), "abBc");
    assert_eq!(titles(&[("n", true), ("title", false)], Some(2), 1), "bB");
    assert_eq!(titles(&[("title", true)], None, 3), "B");
    assert_eq!(titles(&[("title", true)], Some(0), 0), "");
}

/// Computes over all things.
fn aggregate(
    by: &[&str],
    select: &[(&str, Measure)],
    order: Option<(&str, bool)>,
    limit: Option<u64>,
) -> Operation {
    let named = |(name, measure): &(&str, Measure)| ((*name).to_owned(), measure.clone());
    Operation::Aggregate {
        table: "things".into(),
        filter: Filter::Not(Box::new(equal("other", "left out"))),
        by: by.iter().map(|by| (*by).to_owned()).collect(),
        select: select.iter().map(named).collect(),
        order: order.map(|(column, descending)| Order {
            column: column.into(),
            descending,
        }),
        limit,
    }
}

#[test]
fn aggregates_leave_out_nulls_and_are_of_groups() {
    let app = app();
    let database = open(&app);
    let n = || "n".to_owned();
    let all = [
        ("count", Measure::Count),
        ("sum", Measure::Sum(n())),
        ("avg", Measure::Avg(n())),
        ("min", Measure::Min(n())),
        ("max", Measure::Max(n())),
        ("different", Measure::CountDistinct(n())),
    ];
    let whole = done(&database, aggregate(&[], &all, None, None));
    assert_eq!(
        whole.columns,
        ["count", "sum", "avg", "min", "max", "different"]
    );
    let nothing = [
        json!(0),
        json!(0),
        Value::Null,
        Value::Null,
        Value::Null,
        json!(0),
    ];
    assert_eq!(whole.rows, [nothing]);

    for (other, n) in [
        ("x", json!(1)),
        ("x", json!(2)),
        ("y", json!(2)),
        ("y", json!(null)),
        ("left out", json!(4)),
    ] {
        done(
            &database,
            insert("things", json!({"other": other, "m": n, "n": null})),
        );
    }
    let m = || "m".to_owned();
    let select = [
        ("count", Measure::Count),
        ("total", Measure::Sum(m())),
        ("mean", Measure::Avg(m())),
    ];
    let groups = aggregate(&["other"], &select, Some(("total", true)), None);
    let groups = done(&database, groups);
    assert_eq!(groups.columns, ["other", "count", "total", "mean"]);
    assert_eq!(
        groups.rows,
        [
            [json!("x"), json!(2), json!(3), json!(1.5)],
            [json!("y"), json!(2), json!(2), json!(2)]
        ]
    );
    let most = [("m", Measure::Max(m()))];
    let first = aggregate(&["other"], &most, Some(("other", false)), Some(1));
    assert_eq!(done(&database, first).rows, [[json!("x"), json!(2)]]);
}

#[test]
fn what_is_wrong_with_an_aggregate_is_told() {
    let app = app();
    let database = open(&app);
    let count = |name: &'static str| [(name, Measure::Count)];
    let text = [("c", Measure::Sum("title".into()))];
    for (operation, expected) in [
        (aggregate(&[], &[], None, None), "invalid_aggregate_spec"),
        (
            aggregate(&["other"], &count("other"), None, None),
            "invalid_aggregate_alias",
        ),
        (
            aggregate(&["other"], &count("c"), Some(("n", false)), None),
            "invalid_aggregate_order",
        ),
        (
            aggregate(&["nothing"], &count("c"), None, None),
            "invalid_column",
        ),
        (aggregate(&[], &text, None, None), "invalid_column"),
    ] {
        let result = one(&database, operation);
        assert_eq!(code(result), (expected.into(), 400));
    }
}

#[test]
fn the_tables_of_the_release_are_told_with_their_types() {
    let app = app_with("CREATE TABLE elsewhere (a)");
    let database = open(&app);
    let tables = database.tables().unwrap();
    assert_eq!(tables.keys().collect::<Vec<_>>(), ["things", "users"]);
    let told: Value = json!(tables["things"].columns);
    assert_eq!(
        told,
        json!({"id": "text", "created_at": "number", "updated_at": "number", "last_updated_by": "text", "title": "text",
            "n": "number", "m": "number", "flag": "boolean", "other": "text", "data": "json", "owner": "user", "odd \"name": "text"})
    );
}

#[test]
fn what_a_request_names_has_to_be_in_the_release() {
    let app = app_with("CREATE TABLE elsewhere (id, a)");
    let database = open(&app);
    for (operation, expected) in [
        (insert("nothing", json!({})), "table_not_found"),
        (insert("elsewhere", json!({"a": 1})), "table_not_found"),
        (
            insert("_remy_release", json!({"release": 1})),
            "table_not_found",
        ),
        (
            insert("sqlite_schema", json!({"sql": "x"})),
            "table_not_found",
        ),
        (insert("things\" --", json!({})), "table_not_found"),
        (insert("things", json!({"nothing": 1})), "invalid_column"),
        (insert("things", json!({"rowid": 1})), "invalid_column"),
        (
            insert("things", json!({"title\") VALUES (1) --": 1})),
            "invalid_column",
        ),
        (
            insert("things", json!({"title": 1, "Title": 2})),
            "invalid_column",
        ),
        (insert("things", json!({"title": [1]})), "invalid_value"),
        (
            insert("things", json!({"title": {"$blob": "%"}})),
            "invalid_value",
        ),
        (
            insert("users", json!({"email": "a@b.c"})),
            "managed_column_write",
        ),
        (
            insert("users", json!({"PHONE": "1"})),
            "managed_column_write",
        ),
        (
            insert("users", json!({"key": "sk_1"})),
            "managed_column_write",
        ),
        (select(equal("nothing", 1)), "invalid_column"),
        (select(equal("things\".\"title", 1)), "invalid_column"),
    ] {
        let shown = format!("{operation:?}");
        assert_eq!(
            code(one(&database, operation)),
            (expected.into(), 400),
            "{shown}"
        );
    }
    assert_eq!(app.ask("SELECT count(*) FROM things"), "0");

    // Roles are an app's to write, and what users sign in with is the runtime's.
    done(
        &database,
        insert("users", json!({"name": "ada", "roles": "[\"admin\"]"})),
    );
    let runtime = Caller {
        user: None,
        is_runtime: true,
    };
    database
        .run(&runtime, &[insert("users", json!({"email": "a@b.c"}))])
        .unwrap();
    assert_eq!(
        app.ask("SELECT name, roles, email FROM users ORDER BY name"),
        "||a@b.c\nada|[\"admin\"]|"
    );
}

/// SQL that no app may send.
const REFUSED: &[&str] = &[
    // The schema.
    "CREATE TABLE x (a)",
    "CREATE TEMP TABLE x (a)",
    "CREATE INDEX i ON things (n)",
    "CREATE VIEW w AS SELECT 1",
    "CREATE TRIGGER r AFTER INSERT ON things BEGIN SELECT 1; END",
    "CREATE VIRTUAL TABLE f USING fts5 (a)",
    "DROP TABLE things",
    "ALTER TABLE things ADD COLUMN z",
    "ALTER TABLE things RENAME TO z",
    "REINDEX",
    "ANALYZE",
    "DROP TRIGGER aloud",
    // Transactions.
    "BEGIN",
    "COMMIT",
    "END",
    "ROLLBACK",
    "SAVEPOINT a",
    "RELEASE request",
    "ROLLBACK TO request",
    // Other files.
    "ATTACH ':memory:' AS x",
    "DETACH main",
    "VACUUM",
    "VACUUM INTO '/tmp/x.db'",
    // Settings.
    "PRAGMA foreign_keys = off",
    "PRAGMA journal_mode",
    "PRAGMA writable_schema = 1",
    "SELECT * FROM pragma_table_info('things')",
    "SELECT * FROM pragma_database_list",
    "PRAGMA user_version = 3",
    // What is not the app's.
    "SELECT * FROM elsewhere",
    "SELECT count(*) FROM elsewhere",
    "SELECT * FROM v",
    "INSERT INTO elsewhere (a) VALUES (1)",
    "UPDATE elsewhere SET a = 1",
    "DELETE FROM elsewhere",
    "SELECT * FROM things WHERE title IN (SELECT a FROM elsewhere)",
    "SELECT (SELECT a FROM elsewhere)",
    "WITH c AS (SELECT * FROM elsewhere) SELECT * FROM c",
    "WITH aloud AS (SELECT * FROM elsewhere) SELECT * FROM aloud",
    "SELECT * FROM (SELECT a FROM elsewhere) AS aloud",
    "UPDATE things SET title = (SELECT a FROM elsewhere)",
    "INSERT INTO things (title) SELECT a FROM elsewhere",
    "INSERT INTO things (title) VALUES ('x') RETURNING (SELECT a FROM elsewhere)",
    "DELETE FROM things WHERE title = (SELECT a FROM elsewhere)",
    // What is remy's.
    "SELECT * FROM _remy_release",
    "SELECT count(*) FROM _REMY_release",
    "SELECT * FROM main.\"_remy_columns\"",
    "UPDATE _remy_release SET release = 9",
    "DELETE FROM _remy_session",
    "INSERT INTO _remy_session (user_id) VALUES ('eve')",
    "UPDATE _remy_session SET user_id = 'eve'",
    "WITH c AS (SELECT release FROM _remy_release) UPDATE things SET n = (SELECT release FROM c)",
    "SELECT user_id FROM _remy_session",
    "WITH things_updated_at AS (SELECT user_id FROM _remy_session) SELECT * FROM things_updated_at",
    // What is SQLite's.
    "SELECT * FROM sqlite_schema",
    "SELECT sql FROM sqlite_master",
    "SELECT * FROM sqlite_temp_schema",
    "DELETE FROM sqlite_schema",
    "SELECT * FROM sqlite_dbpage",
    "UPDATE sqlite_dbpage SET data = data",
    "SELECT * FROM dbstat",
    "DELETE FROM sqlite_stat1",
    "INSERT INTO sqlite_sequence (name) VALUES ('x')",
    // What reaches into the process.
    "SELECT load_extension('/tmp/x.so')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT fts3_tokenizer('simple', x'00')",
    "SELECT Load_Extension('x') FROM things",
    // More than one, none, and others.
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE things",
    "INSERT INTO things (n) VALUES (1); COMMIT",
    "",
    "  -- nothing",
    ";",
    "VALUES (1)",
    "EXPLAIN SELECT 1",
    "EXPLAIN QUERY PLAN SELECT * FROM things",
    "SELECT :a",
    "SELECT $a",
    "INSERT INTO things (title) VALUES (@a)",
];

/// SQL that would write what remy fills in, or what users sign in with.
const MANAGED: &[&str] = &[
    "INSERT INTO things (id) VALUES ('x')",
    "INSERT INTO things (\"ID\", title) VALUES ('x', 'y')",
    "INSERT INTO things ('id') VALUES ('x')",
    "INSERT INTO things ([created_at]) VALUES (1)",
    "INSERT INTO things (`updated_at`) VALUES (1)",
    "INSERT INTO things (last_updated_by) VALUES ('eve')",
    "INSERT INTO things VALUES ('x', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)",
    "INSERT INTO things SELECT * FROM things",
    "REPLACE INTO things (id, n) VALUES ('x', 1)",
    "INSERT OR IGNORE INTO main.things AS t (title, id) VALUES ('x', 'y')",
    "UPDATE things SET id = 'x'",
    "UPDATE things SET updated_at = 1",
    "UPDATE things SET (n, last_updated_by) = (1, 'eve')",
    "INSERT INTO things (title) VALUES ('x') ON CONFLICT (title) DO UPDATE SET created_at = 1",
    "WITH c AS (SELECT 1) INSERT INTO things (created_at) SELECT * FROM c",
    "WITH c AS (SELECT 1) UPDATE things SET id = 1",
    "INSERT INTO users (email) VALUES ('a@b.c')",
    "INSERT INTO users (name, Phone) VALUES ('a', 'b')",
    "UPDATE users SET email = 'x'",
    "UPDATE users SET name = 'a', key = 'sk_1'",
    "INSERT INTO users (name) VALUES ('a') ON CONFLICT (name) DO UPDATE SET email = 'x'",
    "INSERT INTO users SELECT * FROM users",
    "UPDATE OR REPLACE users SET [email] = 'x'",
];

/// What an app's SQL may not do, and nothing of which leaves a trace.
#[test]
fn sql_of_an_app_reaches_its_tables_and_nothing_else() {
    let app = app_with(
        "CREATE TABLE elsewhere (a); INSERT INTO elsewhere VALUES ('secret'); CREATE VIEW v AS SELECT * FROM elsewhere;
         CREATE TRIGGER aloud AFTER UPDATE ON things BEGIN INSERT INTO elsewhere VALUES (new.title); END",
    );
    let database = open(&app);
    let before = app.seen();
    for text in REFUSED {
        let e = one(&database, sql(text, &[])).expect_err(text);
        // What is not there is not refused, and not found either.
        let absent = ["no such", "may not be modified"]
            .iter()
            .any(|why| e.message.contains(why))
            && e.code == "db_query_error";
        assert!(
            absent || (e.code == "sql_refused" && e.status == 400),
            "{text}: {e:?}"
        );
    }
    for text in MANAGED {
        assert_eq!(
            code(one(&database, sql(text, &[]))),
            ("managed_column_write".into(), 400),
            "{text}"
        );
    }
    for text in [
        "INSERT INTO things (rowid) VALUES (1)",
        "UPDATE things SET rowid = 1",
        "UPDATE things SET _rowid_ = 1",
    ] {
        assert_eq!(
            code(one(&database, sql(text, &[]))),
            ("invalid_column".into(), 400),
            "{text}"
        );
    }
    assert_eq!(app.seen(), before);
}

#[test]
fn sql_of_an_app_does_what_it_says() {
    let app = app_with(
        "CREATE TABLE log (title); CREATE VIRTUAL TABLE found USING fts5 (title);
         CREATE TRIGGER logs AFTER INSERT ON things BEGIN
           INSERT INTO log VALUES (new.title); INSERT INTO found VALUES (new.title); UPDATE things SET m = 7 WHERE id = new.id; END",
    );
    let database = open(&app);
    let run = |text: &str, params: &[Value]| {
        one(&database, sql(text, params)).unwrap_or_else(|e| panic!("{text}: {e:?}"))
    };
    let added = run(
        "INSERT INTO things (title, n) VALUES (?, ?), (?2, ?1) RETURNING *",
        &[json!("a"), json!(1)],
    );
    assert_eq!((added.changes, added.rows.len()), (2, 2));
    // RETURNING alone shows what was there before the trigger.
    assert!(objects(&added).iter().all(|row| row["m"] == 7), "{added:?}");
    let changed = as_user(
        &database,
        Some("ada"),
        sql(
            "UPDATE things SET n = n + 1 WHERE title = 'a' RETURNING id, n, last_updated_by",
            &[],
        ),
    );
    let changed = changed.unwrap();
    assert_eq!(
        (changed.changes, &changed.rows[0][1..]),
        (1, &[json!(2), json!("ada")][..])
    );
    assert_eq!(
        app.ask("SELECT count(*) FROM log; SELECT count(*) FROM found WHERE found MATCH 'a'"),
        "2\n1"
    );
    assert_eq!(
        run(
            "SELECT t.title, j.value FROM things t, json_each('[1,2]') j WHERE t.n = ? ORDER BY 2",
            &[json!(2)]
        )
        .rows
        .len(),
        2
    );
    assert_eq!(run("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5) SELECT sum(x) AS s FROM c;", &[]).rows, [[json!(15)]]);
    assert_eq!(
        run(
            "WITH c AS (SELECT 'b' AS t) INSERT INTO things (title) SELECT t FROM c",
            &[]
        )
        .changes,
        1
    );
    run(
        "INSERT INTO things (title) VALUES ('b') ON CONFLICT (title) DO UPDATE SET n = 9",
        &[],
    );
    run("INSERT INTO things DEFAULT VALUES", &[]);
    run("UPDATE users SET roles = '[]'", &[]);
    assert_eq!(
        run("DELETE FROM things WHERE title = 'b' RETURNING n", &[]).rows,
        [[json!(9)]]
    );
}

#[test]
fn sql_that_is_to_read_does_not_write() {
    let app = app();
    let database = open(&app);
    done(&database, insert("things", json!({"title": "a"})));
    // What is in the cache is what it was for whoever sends it again.
    for _ in 0..3 {
        let counted = done(&database, sql("SELECT count(*) AS c FROM things", &[]));
        assert_eq!(counted.rows, [[json!(1)]]);
    }
    assert_eq!(
        code(one(&database, sql("SELECT ?", &[]))),
        ("invalid_params".into(), 400)
    );
    assert_eq!(
        code(one(&database, sql("SELECT nothing FROM things", &[]))),
        ("db_query_error".into(), 500)
    );
    assert_eq!(
        code(one(&database, sql("SELEC 1", &[]))),
        ("sql_refused".into(), 400)
    );

    let reads = |text: &str| Operation::Sql {
        text: text.into(),
        params: vec![],
        reads: true,
    };
    assert_eq!(
        done(
            &database,
            reads("WITH c AS (SELECT 1 AS x) SELECT x FROM c")
        )
        .rows,
        [[json!(1)]]
    );
    for text in [
        "DELETE FROM things",
        "WITH c AS (SELECT 1) DELETE FROM things",
        "INSERT INTO things (n) VALUES (1) RETURNING n",
    ] {
        assert_eq!(
            code(one(&database, reads(text))),
            ("sql_refused".into(), 400),
            "{text}"
        );
    }
    assert_eq!(app.ask("SELECT count(*) FROM things"), "1");
}

/// The service's own statements are compiled without a guard: an app's of the same text are not
/// those.
#[test]
fn an_app_does_not_get_a_statement_of_the_service() {
    let app = app();
    let database = open(&app);
    done(&database, insert("things", json!({"title": "a"})));
    for text in [
        "SELECT switch_id FROM main._remy_release",
        "PRAGMA schema_version",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT request",
        "UPDATE main._remy_session SET user_id = ?1 WHERE user_id IS NOT ?1",
    ] {
        assert_eq!(
            code(one(&database, sql(text, &[]))).0,
            "sql_refused",
            "{text}"
        );
    }
    let own =
        "INSERT INTO \"things\" (\"title\", \"last_updated_by\") VALUES (?, ?) RETURNING \"id\"";
    as_user(
        &database,
        Some("ada"),
        insert("things", json!({"title": "b"})),
    )
    .unwrap();
    assert_eq!(
        code(one(&database, sql(own, &[json!("c"), json!("eve")]))).0,
        "managed_column_write"
    );
}

#[test]
fn values_come_back_as_they_were() {
    let app = app();
    let database = open(&app);
    for (column, value) in [
        ("title", json!("a\u{0}b 😀 'q'")),
        ("n", json!(0.1)),
        ("n", json!(1e300)),
        ("n", json!({"$number": "-Infinity"})),
        ("n", json!(9_007_199_254_740_991_i64)),
        ("data", json!("{\"a\":[1]}")),
        ("data", json!({"$blob": "AP8="})),
        ("m", json!(null)),
    ] {
        let row = the_row(&done(&database, insert("things", json!({column: value}))));
        assert_eq!(row[column], value);
    }
    let big = done(
        &database,
        sql(
            "SELECT 9007199254740993 AS a, 9e999 AS b, x'00ff' AS c, CAST(x'ff' AS TEXT) AS d",
            &[],
        ),
    );
    assert_eq!(
        big.rows,
        [[
            json!(9_007_199_254_740_993_i64),
            json!({"$number": "Infinity"}),
            json!({"$blob": "AP8="}),
            json!("\u{fffd}")
        ]]
    );
}

#[test]
fn what_breaks_a_rule_of_the_schema_is_named() {
    let app = app_with(
        "CREATE TRIGGER no AFTER INSERT ON things WHEN new.title = 'never' BEGIN SELECT RAISE(ABORT, 'not on a Sunday'); END;
         CREATE TRIGGER kept BEFORE INSERT ON things WHEN new.title = 'kept' BEGIN SELECT RAISE(IGNORE); END",
    );
    let database = open(&app);
    done(&database, insert("things", json!({"title": "a"})));
    let e = one(&database, insert("things", json!({"title": "a"}))).unwrap_err();
    assert_eq!((&*e.code, e.status), ("unique_violation", 409));
    assert!(
        e.message.contains("things.title") && e.message.contains("\"things\""),
        "{e}"
    );
    let e = one(&database, insert("things", json!({"title": "never"}))).unwrap_err();
    assert_eq!((&*e.code, e.status), ("trigger_refused", 400));
    assert!(e.message.contains("not on a Sunday"), "{e}");
    assert_eq!(
        code(one(&database, insert("things", json!({"title": "kept"})))),
        ("insert_failed".into(), 500)
    );
    assert_eq!(
        code(one(
            &database,
            upsert(json!({"title": "kept", "n": 1}), &["title"])
        )),
        ("upsert_failed".into(), 500)
    );
    assert_eq!(app.ask("SELECT count(*) FROM things"), "1");
}

#[test]
fn a_request_is_done_whole_or_not_at_all() {
    let app = app();
    let database = open(&app);
    let batch = [
        insert("things", json!({"title": "a"})),
        sql("UPDATE things SET n = 1", &[]),
        insert("things", json!({"title": "a"})),
    ];
    let e = database.run(&Caller::default(), &batch).unwrap_err();
    assert_eq!(e.code, "unique_violation");
    assert_eq!(app.ask("SELECT count(*) FROM things"), "0");
    let replies = database.run(&Caller::default(), &batch[..2]).unwrap();
    assert_eq!((replies.len(), replies[1].changes), (2, 1));
    assert_eq!(database.run(&Caller::default(), &[]).unwrap(), []);
}

/// How a value of a column is seen by JavaScript.
#[derive(Debug, Clone, PartialEq)]
enum Js {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// Compared by identity.
    Array(Vec<Js>),
    Object,
}

fn js(value: &Value) -> Js {
    match value {
        Value::Null => Js::Null,
        Value::Bool(truth) => Js::Bool(*truth),
        Value::Number(number) => Js::Number(number.as_f64().unwrap()),
        Value::String(text) => Js::Text(text.clone()),
        Value::Array(all) => Js::Array(all.iter().map(js).collect()),
        Value::Object(_) => Js::Object,
    }
}

/// A stored value, as the SDK hands it to a predicate.
fn seen(kind: &str, value: &Value) -> Js {
    match (kind, value) {
        ("flag", Value::Number(number)) => Js::Bool(number.as_f64() != Some(0.0)),
        ("owner", Value::String(text)) => {
            Js::Text(text.strip_prefix("@@user@@").unwrap_or(text).into())
        }
        ("data", Value::String(text)) => {
            serde_json::from_str(text).map_or_else(|_| Js::Text(text.clone()), |value| js(&value))
        }
        (_, value) => js(value),
    }
}

fn strictly_equal(a: &Js, b: &Js) -> bool {
    !matches!(a, Js::Array(_) | Js::Object) && a == b
}

fn to_number(value: &Js) -> f64 {
    match value {
        Js::Null => 0.0,
        Js::Bool(truth) => f64::from(u8::from(*truth)),
        Js::Number(number) => *number,
        Js::Text(text) if text.is_empty() => 0.0,
        Js::Text(text) => text.parse().unwrap_or(f64::NAN),
        Js::Array(_) | Js::Object => panic!("not made here"),
    }
}

fn compares(a: &Js, how: Comparison, b: &Js) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let order = match (a, b) {
        (Js::Text(a), Js::Text(b)) => Some(a.encode_utf16().cmp(b.encode_utf16())),
        (a, b) => to_number(a).partial_cmp(&to_number(b)),
    };
    match how {
        Comparison::Less => order == Some(Less),
        Comparison::LessOrEqual => matches!(order, Some(Less | Equal)),
        Comparison::Greater => order == Some(Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Greater | Equal)),
    }
}

/// What JavaScript says of a row.
fn holds(filter: &Filter, row: &Map<String, Value>) -> bool {
    let of = |column: &String| seen(column, &row[column]);
    match filter {
        Filter::All => true,
        Filter::And(all) => all.iter().all(|filter| holds(filter, row)),
        Filter::Or(all) => all.iter().any(|filter| holds(filter, row)),
        Filter::Not(inner) => !holds(inner, row),
        Filter::Equal(column, value) => strictly_equal(&of(column), &js(value)),
        Filter::Compare(column, how, value) => compares(&of(column), *how, &js(value)),
        Filter::Truthy(column) => match of(column) {
            Js::Null => false,
            Js::Bool(truth) => truth,
            Js::Number(number) => number != 0.0,
            Js::Text(text) => !text.is_empty(),
            Js::Array(_) | Js::Object => true,
        },
        Filter::In(column, values) => values
            .iter()
            .any(|value| strictly_equal(&of(column), &js(value))),
        Filter::Text(column, place, text) => match (of(column), place) {
            (Js::Text(whole), Place::Anywhere) => whole.contains(text),
            (Js::Text(whole), Place::Start) => whole.starts_with(text),
            (Js::Text(whole), Place::End) => whole.ends_with(text),
            (Js::Array(all), Place::Anywhere) => all.contains(&Js::Text(text.clone())),
            _ => false,
        },
        Filter::Same(a, b) => strictly_equal(&of(a), &of(b)),
    }
}

const TEXTS: [&str; 16] = [
    "",
    "a",
    "A",
    "ab",
    "ba",
    "aB%",
    "a_",
    "10",
    "9",
    "é",
    "\u{ffff}",
    "😀",
    "\u{e000}x",
    "a\u{0}b",
    "[",
    "it's \"q\"",
];

fn a_text(random: &mut Random) -> Value {
    json!(random.one_of(&TEXTS))
}

fn a_number(random: &mut Random) -> Value {
    let numbers = [
        json!(0),
        json!(1),
        json!(-1),
        json!(2.5),
        json!(10),
        json!(1e20),
        json!(-0.0),
    ];
    numbers[usize::try_from(random.below(7)).unwrap()].clone()
}

/// A value of a column, as it is stored.
fn a_value(column: &str, random: &mut Random) -> Value {
    if random.once_in(4) {
        return Value::Null;
    }
    match column {
        "n" | "m" => a_number(random),
        "flag" => json!([0, 1, 1, 2][usize::try_from(random.below(4)).unwrap()]),
        "owner" if random.once_in(4) => a_text(random),
        "owner" => json!(format!("@@user@@{}", random.one_of(&TEXTS))),
        "data" => match random.below(9) {
            0 => a_text(random),
            1 => json!(a_text(random).to_string()),
            2 => json!(a_number(random).to_string()),
            3 => json!("true"),
            4 => json!("false"),
            5 => json!("null"),
            6 => json!("{\"a\":1}"),
            7 => json!(json!([a_text(random), a_number(random)]).to_string()),
            _ => json!(" [\"a\"] "),
        },
        _ => a_text(random),
    }
}

/// A value that a predicate names.
fn a_literal(random: &mut Random) -> Value {
    match random.below(8) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(false),
        3..=4 => a_number(random),
        _ => a_text(random),
    }
}

const COLUMNS: [&str; 7] = ["title", "other", "n", "m", "flag", "data", "owner"];

fn a_filter(random: &mut Random, depth: u64) -> Filter {
    let column = |random: &mut Random| random.one_of(&COLUMNS).to_owned();
    let several = |random: &mut Random| {
        (0..random.below(4))
            .map(|_| a_filter(random, depth + 1))
            .collect()
    };
    match random.below(if depth > 3 { 7 } else { 11 }) {
        0 | 1 => Filter::Equal(column(random), a_literal(random)),
        2 => {
            use Comparison::{Greater, GreaterOrEqual, Less, LessOrEqual};
            let how = [Less, LessOrEqual, Greater, GreaterOrEqual]
                [usize::try_from(random.below(4)).unwrap()];
            if random.once_in(2) {
                let column = random
                    .one_of(&["title", "other", "owner", "n", "flag"])
                    .to_owned();
                Filter::Compare(column, how, a_text(random))
            } else {
                Filter::Compare(
                    random.one_of(&["n", "m", "flag"]).to_owned(),
                    how,
                    a_literal(random),
                )
            }
        }
        3 => Filter::Truthy(column(random)),
        4 => {
            let column = column(random);
            Filter::In(
                column,
                (0..random.below(5)).map(|_| a_literal(random)).collect(),
            )
        }
        5 => {
            let place = [Place::Anywhere, Place::Start, Place::End]
                [usize::try_from(random.below(3)).unwrap()];
            Filter::Text(column(random), place, random.one_of(&TEXTS).to_owned())
        }
        6 => {
            let plain = ["title", "other", "n", "m", "flag", "owner"];
            Filter::Same(
                random.one_of(&plain).to_owned(),
                random.one_of(&plain).to_owned(),
            )
        }
        7 | 8 => Filter::Not(Box::new(a_filter(random, depth + 1))),
        9 => Filter::And(several(random)),
        _ => Filter::Or(several(random)),
    }
}

/// Plan and predicate give the same rows.
#[test]
fn a_filter_means_what_javascript_means() {
    let app = app();
    let database = open_with(
        &app,
        Settings {
            durability: Durability::Normal,
            ..settings(Bound::Release(ReleaseId(1)))
        },
    );
    let mut random = Random::new(1);
    let mut rows = Vec::new();
    for i in 0..300 {
        let mut values: Map<String, Value> = COLUMNS
            .iter()
            .map(|column| ((*column).to_owned(), a_value(column, &mut random)))
            .collect();
        // It is unique.
        if i > 0 && values["title"].is_string() {
            values["title"] = json!(format!("{}{i}", values["title"].as_str().unwrap()));
        }
        if i % 3 == 0 && i > 0 {
            values["title"] = values["other"].clone();
        }
        // What two rows may not share is left out.
        if let Ok(reply) = one(
            &database,
            Operation::Insert {
                table: "things".into(),
                row: values,
            },
        ) {
            rows.push(the_row(&reply));
        }
    }
    assert!(rows.len() > 150, "{}", rows.len());
    let mut found = 0;
    for _ in 0..4_000 {
        let filter = a_filter(&mut random, 0);
        let by_sql = done(&database, select(filter.clone()));
        let ids = |rows: Vec<Map<String, Value>>| {
            rows.iter()
                .map(|row| row["id"].to_string())
                .collect::<BTreeSet<_>>()
        };
        let by_sql = ids(objects(&by_sql));
        let by_javascript = ids(rows
            .iter()
            .filter(|row| holds(&filter, row))
            .cloned()
            .collect());
        found += usize::from(!by_sql.is_empty() && by_sql.len() < rows.len());
        if by_sql != by_javascript {
            let differs = by_sql.symmetric_difference(&by_javascript).next().unwrap();
            let row = rows
                .iter()
                .find(|row| differs.contains(row["id"].as_str().unwrap()));
            panic!(
                "{filter:?} differs on {row:?}, which SQL {}",
                if by_sql.contains(differs) {
                    "finds"
                } else {
                    "does not find"
                }
            );
        }
    }
    assert!(found > 1_500, "filters that find some rows: {found}");
    let odd = Filter::Compare("title".into(), Comparison::Less, json!(5));
    assert_eq!(
        code(one(&database, select(odd))),
        ("filter_unsupported".into(), 400)
    );
    let many = Filter::Or((0..4_000).map(|n| equal("n", n)).collect());
    done(&database, select(many));
    let most = Filter::In("n".into(), (0..20_000).map(Value::from).collect());
    assert_eq!(code(one(&database, select(most))).0, "filter_unsupported");
}

#[test]
fn who_breaks_a_group_gets_its_error_and_the_others_are_done() {
    let app = app_with(
        "CREATE TRIGGER stop AFTER INSERT ON things WHEN new.other = 'raise' BEGIN SELECT RAISE(ROLLBACK, 'all of it'); END;
         CREATE TABLE parents (id INTEGER PRIMARY KEY);
         CREATE TABLE children (parent REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER orphan AFTER INSERT ON things WHEN new.other = 'orphan' BEGIN INSERT INTO children VALUES (7); END",
    );
    let mut settings = settings(Bound::Release(ReleaseId(1)));
    settings.limits.write = Duration::from_millis(300);
    let database = open_with(&app, settings);
    done(&database, insert("things", json!({"title": "taken"})));
    let over = AtomicBool::new(false);
    let (acknowledged, broken) = (AtomicU64::new(0), AtomicU64::new(0));
    let forever = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) UPDATE things SET m = (SELECT count(*) FROM c)";
    thread::scope(|scope| {
        let (database, over, acknowledged, broken) = (&database, &over, &acknowledged, &broken);
        let mut all = Vec::new();
        for pusher in 0..8 {
            scope.spawn(move || {
                for n in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    done(
                        database,
                        insert("things", json!({"title": format!("{pusher}-{n}")})),
                    );
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut breaks = |operation: Operation, expected: &'static str| {
            all.push(scope.spawn(move || {
                for _ in 0..if expected == "query_timed_out" { 4 } else { 40 } {
                    let (code, _) = code(one(database, operation.clone()));
                    assert_eq!(code, expected);
                    broken.fetch_add(1, Ordering::Relaxed);
                }
            }));
        };
        breaks(
            insert("things", json!({"other": "raise"})),
            "trigger_refused",
        );
        breaks(
            sql(
                "INSERT OR ROLLBACK INTO things (title) VALUES ('taken')",
                &[],
            ),
            "unique_violation",
        );
        breaks(sql(forever, &[]), "query_timed_out");
        breaks(
            insert("things", json!({"other": "orphan"})),
            "foreign_key_violation",
        );
        breaks(
            insert("things", json!({"title": "taken"})),
            "unique_violation",
        );
        // Whatever fails must end the pushers.
        let ended: Vec<_> = all
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        over.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(Result::unwrap);
    });
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    assert_eq!(broken.load(Ordering::Relaxed), 4 * 40 + 4);
    assert!(acknowledged > 80, "{acknowledged}");
    // Each that was acknowledged, once, and nothing of those that were not.
    assert_eq!(
        app.ask("SELECT count(*) FROM things"),
        (acknowledged + 1).to_string()
    );
    assert_eq!(
        app.ask("SELECT count(*) FROM children; PRAGMA integrity_check"),
        "0\nok"
    );
}

#[test]
fn what_runs_too_long_or_is_too_large_is_ended() {
    let app = app();
    let mut settings = settings(Bound::Release(ReleaseId(1)));
    // What is too large is to be found so within it, on a busy machine too.
    settings.limits.query = Duration::from_secs(2);
    settings.limits.write = Duration::from_millis(200);
    settings.limits.reply_bytes = 1 << 20;
    let database = open_with(&app, settings);
    let forever =
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
    assert_eq!(
        code(one(&database, sql(forever, &[]))),
        ("query_timed_out".into(), 504)
    );
    let writes = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) INSERT INTO things (n) SELECT x FROM c";
    let start = Instant::now();
    assert_eq!(
        code(one(&database, sql(writes, &[]))),
        ("query_timed_out".into(), 504)
    );
    assert!(start.elapsed() < Duration::from_secs(2));
    let large = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 30000) SELECT x, 'some text or other' FROM c";
    assert_eq!(
        code(one(&database, sql(large, &[]))),
        ("reply_too_large".into(), 413)
    );
    assert_eq!(
        code(one(
            &database,
            sql("SELECT hex(randomblob(100000000))", &[])
        )),
        ("value_too_large".into(), 413)
    );
    // One connection serves on, and nothing is left.
    for _ in 0..8 {
        assert_eq!(done(&database, select(Filter::All)).rows.len(), 0);
    }
    done(&database, insert("things", json!({"title": "a"})));
}

#[test]
fn a_long_query_keeps_nobody_waiting() {
    let app = app();
    let database = open(&app);
    thread::scope(|scope| {
        let forever = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
        let long = scope.spawn(|| one(&database, sql(forever, &[])));
        thread::sleep(Duration::from_millis(50));
        for _ in 0..20 {
            done(&database, insert("things", json!({})));
            done(&database, select(equal("title", "a")));
        }
        assert!(!long.is_finished());
        database.close();
        assert_eq!(code(long.join().unwrap()), ("database_closed".into(), 503));
    });
}

#[test]
fn a_service_that_is_closed_says_so_and_leaves_no_connection() {
    let app = app();
    let database = open(&app);
    done(&database, insert("things", json!({"title": "a"})));
    thread::scope(|scope| {
        let forever = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
        let long = scope.spawn(|| one(&database, sql(forever, &[])));
        thread::sleep(Duration::from_millis(200));
        database.close();
        assert_eq!(code(long.join().unwrap()), ("database_closed".into(), 503));
    });
    assert_eq!(
        code(one(&database, select(Filter::All))),
        ("database_closed".into(), 503)
    );
    assert_eq!(database.tables().unwrap_err().code, "database_closed");
    assert!(!Path::new(&format!("{}-wal", app.live.display())).exists());
    assert_eq!(app.ask("SELECT count(*) FROM things"), "1");
}

#[test]
fn a_request_waits_for_the_lock_of_another_process() {
    let app = app();
    let database = open(&app);
    let mut other = remy_tests::Shell::open(&app.live);
    other.run("BEGIN IMMEDIATE; INSERT INTO things (title) VALUES ('theirs');");
    thread::scope(|scope| {
        let waits = scope.spawn(|| done(&database, insert("things", json!({"title": "ours"}))));
        assert_eq!(
            done(&database, select(Filter::All)).rows.len(),
            0,
            "who reads does not wait"
        );
        thread::sleep(Duration::from_millis(300));
        assert!(!waits.is_finished());
        other.run("COMMIT;");
        waits.join().unwrap();
    });
    assert_eq!(app.ask("SELECT count(*) FROM things"), "2");
}

#[test]
fn a_request_is_refused_where_another_release_is_live() {
    let app = app();
    let database = open(&app);
    done(&database, insert("things", json!({"title": "a"})));
    assert_eq!(publish(&app), 2);
    for operation in [
        insert("things", json!({"title": "b"})),
        select(Filter::All),
        sql("SELECT 1", &[]),
    ] {
        let e = one(&database, operation).unwrap_err();
        assert_eq!((&*e.code, e.status), ("release_changed", 409));
        assert!(
            e.message.contains("release 1") && e.message.contains("release 2"),
            "{e}"
        );
    }
    assert_eq!(database.tables().unwrap_err().code, "release_changed");
    // What comes back is a release of its own.
    app.rollback(Some(1)).unwrap();
    assert_eq!(
        code(one(&database, select(Filter::All))).0,
        "release_changed"
    );
    done(&open(&app), insert("things", json!({"title": "b"})));
    // A session is what its database is.
    let session = open_with(&app, settings(Bound::Session));
    publish(&app);
    assert_eq!(done(&session, select(Filter::All)).rows.len(), 2);
}

#[test]
fn nothing_that_was_answered_is_lost_when_the_process_is_killed() {
    for round in 0..5 {
        let app = app();
        let mut pusher = Command::new(built_program("remy-driver"))
            .arg(&app.live)
            .args(["push", "1"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(pusher.stdout.take().unwrap()).lines();
        let mut acknowledged: Vec<String> = lines
            .by_ref()
            .take(100 + 70 * round)
            .map(Result::unwrap)
            .collect();
        pusher.kill().unwrap();
        pusher.wait().unwrap();
        // The last line may be half of one.
        let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
        rest.pop();
        acknowledged.extend(rest);
        assert!(acknowledged.len() >= 100, "{}", acknowledged.len());
        let there = app.ask("SELECT title FROM things");
        let there: BTreeSet<&str> = there.lines().collect();
        let lost: Vec<_> = acknowledged
            .iter()
            .filter(|title| !there.contains(title.as_str()))
            .collect();
        assert!(lost.is_empty(), "{lost:?}");
        assert_eq!(app.ask("PRAGMA integrity_check"), "ok");
    }
}

/// Adds rows, each with the release that its service is for, until it is over. Returns those that
/// were answered.
fn writes(app: &App, writer: u32, over: &AtomicBool, count: &AtomicU64) -> Vec<String> {
    let mut acknowledged = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let release = live(app);
        let database = open_with(app, settings(Bound::Release(ReleaseId(release))));
        loop {
            let title = format!("{writer}-{}", acknowledged.len());
            let row = json!({"title": title, "n": release, "other": title});
            match one(&database, insert("things", row)) {
                Ok(_) => acknowledged.push(format!("{release} {title}")),
                Err(e) if e.code == "release_changed" => break,
                Err(e) => panic!("{e:?}"),
            }
            count.fetch_add(1, Ordering::Relaxed);
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    acknowledged
}

/// Writers beside 50 publishes and rollbacks: each row that was answered is in live or in the
/// snapshot of a release.
#[test]
fn no_answered_write_is_lost_by_a_switch() {
    let app = app();
    let (over, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let all: Vec<String> = thread::scope(|scope| {
        let (app, over, count) = (&app, &over, &count);
        let writers: Vec<_> = (0..4)
            .map(|writer| scope.spawn(move || writes(app, writer, over, count)))
            .collect();
        // Whatever fails below must end the writers.
        let switched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..50 {
                let before = count.load(Ordering::Relaxed);
                let start = Instant::now();
                while count.load(Ordering::Relaxed) < before + 8
                    && start.elapsed() < Duration::from_secs(20)
                {
                    thread::sleep(Duration::from_millis(2));
                }
                if round % 5 == 4 {
                    let back = 1 + i64::from(round) / 10;
                    app.rollback(Some(back)).unwrap_or_else(|e| panic!("{e}"));
                } else {
                    publish(app);
                }
            }
        }));
        over.store(true, Ordering::Relaxed);
        let acknowledged = writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect();
        switched.unwrap();
        acknowledged
    });
    let mut there = BTreeSet::new();
    let snapshots = std::fs::read_dir(app.store("snapshots")).unwrap();
    let files = snapshots
        .map(|entry| entry.unwrap().path())
        .chain([app.live.clone()]);
    for file in files.filter(|file| file.extension().is_some_and(|end| end == "db")) {
        let text = shell(
            &file,
            "PRAGMA integrity_check; SELECT CAST(n AS INTEGER) || ' ' || title FROM things",
        );
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("ok"), "{}", file.display());
        there.extend(lines.map(str::to_owned));
    }
    let lost: Vec<_> = all.iter().filter(|row| !there.contains(*row)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} lost: {lost:?}",
        lost.len(),
        all.len()
    );
    assert!(all.len() >= 50, "{}", all.len());
}
