//! What other connections have open across a switch: cursors half way, statements that are
//! prepared, blob handles, temporary triggers and views. Each behaves as it does when an ordinary
//! writer of another process makes the same change.
use remy_db::{Options, Progress, ReleaseId, Remy};
use remy_tests::{Shell, cases, client::Client, live::App, shell};
use std::path::Path;

const ONE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, body BLOB, twice INTEGER GENERATED ALWAYS AS (id * 2));
CREATE INDEX by_name ON t (name);
CREATE TABLE kv (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE s (id INTEGER PRIMARY KEY, n INTEGER) STRICT;
CREATE TABLE gone (a);
CREATE TABLE log (what);
CREATE VIEW v AS SELECT id, name FROM t WHERE id < 200;
CREATE TRIGGER logged AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.name); END;
CREATE VIRTUAL TABLE five USING fts5 (words);
CREATE VIRTUAL TABLE four USING fts4 (words);
CREATE VIRTUAL TABLE box USING rtree (id, x0, x1);";
const ROWS: &str = "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 300) INSERT INTO t (name, body) SELECT 'n' || i, zeroblob(i * 40) FROM c;
INSERT INTO kv SELECT name, id FROM t; INSERT INTO s SELECT id, id FROM t; INSERT INTO gone SELECT id FROM t;
INSERT INTO five SELECT 'common ' || name FROM t; INSERT INTO four SELECT 'common ' || name FROM t; INSERT INTO box SELECT id, id, id + 1 FROM t;";

/// A change, declared for remy and as an ordinary writer does it; what the writer does to take it
/// back.
struct Change {
    declared: String,
    there: String,
    back: String,
}

/// Columns and tables by SQLite's own statements; and rebuilds, so that every root page is another.
fn changes() -> [Change; 2] {
    let direct = ONE
        .replace("CREATE TABLE gone (a);", "")
        .replace(
            "WITHOUT ROWID",
            "WITHOUT ROWID; CREATE INDEX by_v ON kv (v)",
        )
        .replace("n INTEGER)", "n INTEGER, extra TEXT DEFAULT 'e')");
    let rebuilt = ONE
        .replace("v) WITHOUT", "v CHECK (v > 0)) WITHOUT")
        .replace("body BLOB,", "body BLOB CHECK (id > 0),");
    // In the place of the old, in one transaction, as SQLite's documentation has it.
    let rebuild = |table: &str, to: &str, from: &str| {
        let create = |schema: &str| {
            let at = schema.find(&format!("CREATE TABLE {table} ")).unwrap();
            schema[at..]
                .split(";\n")
                .next()
                .unwrap()
                .replacen(table, "fresh", 1)
        };
        let columns = if table == "t" {
            "id, name, body"
        } else {
            "k, v"
        };
        let of_t =
            "DROP VIEW v; CREATE INDEX by_name ON t (name); CREATE VIEW v AS SELECT id, name FROM t WHERE id < 200;
            CREATE TRIGGER logged AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.name); END;";
        let (first, last) = if table == "t" {
            of_t.split_at(of_t.find("CREATE").unwrap())
        } else {
            ("", "")
        };
        assert_ne!(to, from);
        format!(
            "{first} {}; INSERT INTO fresh ({columns}) SELECT {columns} FROM {table}; DROP TABLE {table}; ALTER TABLE fresh RENAME TO {table}; {last}",
            create(to)
        )
    };
    let both = |to: &str, from: &str| {
        format!(
            "BEGIN; {} {} COMMIT;",
            rebuild("t", to, from),
            rebuild("kv", to, from)
        )
    };
    [
        Change {
            there: "BEGIN; DROP TABLE gone; CREATE INDEX by_v ON kv (v); ALTER TABLE s ADD COLUMN extra TEXT DEFAULT 'e'; COMMIT;".into(),
            back: "BEGIN; CREATE TABLE gone (a); INSERT INTO gone SELECT value FROM json_each((SELECT json_group_array(id) FROM s WHERE id < 301));
                   DROP INDEX by_v; ALTER TABLE s DROP COLUMN extra; COMMIT;".into(),
            declared: direct,
        },
        Change { there: both(&rebuilt, ONE), back: both(ONE, &rebuilt), declared: rebuilt },
    ]
}

/// What an ordinary writer does to undo the writes of the clients.
const UNDO: &str = "DELETE FROM gone WHERE rowid > 300; DELETE FROM t WHERE id > 300; DELETE FROM log WHERE rowid > 300; DELETE FROM five WHERE rowid > 300; DELETE FROM four WHERE rowid > 300; DELETE FROM box WHERE id > 300; UPDATE t SET body = zeroblob(id * 40) WHERE id < 10;";

fn app(mode: &str) -> App {
    App::made_by(&format!("PRAGMA journal_mode = {mode}; {ONE} {ROWS}"))
}

const READS: &[&str] = &[
    "SELECT * FROM t ORDER BY id",
    "SELECT id FROM t WHERE name > 'n2' ORDER BY name",
    "SELECT * FROM kv ORDER BY k",
    "SELECT * FROM s ORDER BY id",
    "SELECT * FROM gone ORDER BY a",
    "SELECT * FROM v ORDER BY id",
    "SELECT rowid, words FROM five WHERE five MATCH 'common' ORDER BY rowid",
    "SELECT rowid, words FROM four WHERE four MATCH 'common'",
    "SELECT id FROM box WHERE x0 > 20",
    "SELECT what FROM log ORDER BY rowid",
];
const WRITES: &[&str] = &[
    "INSERT INTO t (name, body) VALUES ('new', x'0102')",
    "UPDATE t SET body = x'ff' WHERE id < 10",
    "INSERT INTO five VALUES ('common new')",
    "INSERT INTO four VALUES ('common new')",
    "INSERT INTO box VALUES (1000, 30, 31)",
    "INSERT INTO five (five) VALUES ('integrity-check')",
    "INSERT INTO four (four) VALUES ('integrity-check')",
];

/// The lines of a client before the first change and after each, where `open`: with statements half
/// way.
fn python(open: bool) -> [Vec<String>; 3] {
    let mut lines = [vec![], vec![], vec![]];
    for (i, sql) in READS.iter().enumerate() {
        for at in &mut lines {
            // On one connection: the statement is the one that was prepared before.
            at.push(format!("c.execute(\"{sql}\").fetchall()"));
        }
        if open {
            for at in 0..2 {
                lines[at].extend([
                    format!("x{i} = connect()"),
                    format!("y{i} = x{i}.execute(\"{sql}\")"),
                    format!("y{i}.fetchone()"),
                ]);
                lines[at + 1].insert(i, format!("y{i}.fetchall()"));
                lines[at + 1].push(format!("x{i}.execute(\"{sql}\").fetchall()"));
            }
        }
    }
    if open {
        for at in 0..2 {
            lines[at].extend([
                "b = connect()".into(),
                "blob = b.blobopen('t', 'body', 5, readonly=True)".into(),
                "blob.read(3)".into(),
            ]);
            // An UPDATE by the same connection makes it stale, a change by another does not.
            let after = [
                "blob.read()",
                "len(blob)",
                "blob.seek(0)",
                "blob.read(2)",
                "blob.close()",
                "b.blobopen('t', 'body', 5, readonly=True).read()",
            ];
            lines[at + 1].splice(0..0, after.map(str::to_owned));
        }
        // A view that stands in a transaction, with new statements in it.
        lines[0].extend([
            "r = connect()".into(),
            "r.execute('BEGIN')".into(),
            "r.execute('SELECT count(*) FROM gone').fetchall()".into(),
        ]);
        let after = [
            "r.execute('SELECT sum(a) FROM gone').fetchall()",
            "r.execute('SELECT * FROM s LIMIT 3').fetchall()",
            "r.execute('UPDATE s SET n = 1')",
            "r.execute('COMMIT')",
            "r.execute('SELECT * FROM s LIMIT 3').fetchall()",
        ];
        lines[1].splice(0..0, after.map(str::to_owned));
    }
    // What lives in another connection only.
    lines[0].extend([
        "w = connect()".to_owned(),
        "w.execute('CREATE TEMP TABLE seen (a)')".into(),
        "w.execute('CREATE TEMP TRIGGER tt AFTER INSERT ON main.t BEGIN INSERT INTO seen VALUES (new.name); END')"
            .into(),
        "w.execute('CREATE TEMP TRIGGER tg AFTER INSERT ON main.gone BEGIN INSERT INTO seen VALUES (new.a); END')"
            .into(),
        "w.execute('CREATE TEMP VIEW tv AS SELECT count(*) FROM main.gone')".into(),
    ]);
    for at in &mut lines {
        at.extend(
            WRITES
                .iter()
                .map(|sql| format!("c.execute(\"{sql}\").rowcount")),
        );
        at.extend(
            [
                "INSERT INTO t (name) VALUES ('seen')",
                "INSERT INTO gone VALUES (1)",
                "SELECT * FROM tv",
                "SELECT * FROM seen",
                "PRAGMA integrity_check",
            ]
            .map(|sql| format!("w.execute(\"{sql}\").fetchall()")),
        );
    }
    lines
}

fn node(open: bool) -> [Vec<String>; 3] {
    let mut lines = [vec![], vec![], vec![]];
    for (i, sql) in READS.iter().enumerate() {
        lines[0].push(format!("p{i} = c.prepare(\"{sql}\").raw(), 0"));
        for at in &mut lines {
            at.push(format!("p{i}.all()"));
        }
        if open {
            for at in 0..2 {
                lines[at].extend([
                    format!("y{i} = connect().prepare(\"{sql}\").raw().iterate(), 0"),
                    format!("y{i}.next()"),
                ]);
                lines[at + 1].insert(i, format!("[...y{i}]"));
            }
        }
    }
    for at in &mut lines {
        at.extend(
            WRITES
                .iter()
                .map(|sql| format!("c.prepare(\"{sql}\").run().changes")),
        );
        at.push("c.pragma('integrity_check')".into());
    }
    lines
}

/// What a client answers to its lines, with `act` between one list and the next.
fn answers(
    client: &mut Client,
    lines: &[Vec<String>; 3],
    mut act: impl FnMut(usize),
) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (n, lines) in lines.iter().enumerate() {
        if n > 0 {
            act(n);
        }
        all.extend(
            lines
                .iter()
                .map(|line| (format!("{n}: {line}"), client.ask(line))),
        );
    }
    all
}

fn across(start: impl Fn(&Path) -> Option<Client>, lines: impl Fn(bool) -> [Vec<String>; 3]) {
    for (mode, open) in [("wal", true), ("wal", false), ("delete", false)] {
        for (n, change) in changes().iter().enumerate() {
            let (ours, theirs) = (app(mode), app(mode));
            let lines = lines(open);
            let Some(mut client) = start(&theirs.live) else {
                return;
            };
            let want = answers(&mut client, &lines, |n| {
                let sql = if n == 1 {
                    change.there.clone()
                } else {
                    format!("{} {UNDO}", change.back)
                };
                shell(&theirs.live, &sql);
            });
            let mut client = start(&ours.live).unwrap();
            let remy = Remy::open(&ours.live).unwrap();
            let options = Options::from_json(
                r#"{"journal_mode": "keep", "allow": ["drop"], "max_pause_ms": 60000}"#,
            )
            .unwrap();
            // Release 1, so that a rollback goes to what the lists before the change have written.
            let got = answers(&mut client, &lines, |n| {
                let go = Progress::none();
                let done = if n == 1 {
                    remy.publish(&change.declared, &options, go)
                } else {
                    remy.rollback(None, &options, go)
                };
                done.unwrap();
                if n == 2 {
                    shell(&ours.live, UNDO);
                }
            });
            assert_eq!(got.len(), want.len());
            for ((line, got), (_, want)) in got.iter().zip(&want) {
                let seen = got.chars().count();
                assert_eq!(got, want, "{mode}, change {n}, {line} ({seen} characters)");
            }
            // Something was at stake.
            let all: String = want.iter().map(|(_, answer)| answer.as_str()).collect();
            assert!(
                all.contains("n299")
                    && want
                        .iter()
                        .filter(|(_, answer)| answer.len() > 1000)
                        .count()
                        > 20
            );
        }
    }
}

#[test]
fn pythons_statements_cursors_and_blobs() {
    across(|db| Some(Client::python(db)), python);
}

#[test]
fn better_sqlite3s_statements_and_iterators() {
    across(Client::node, node);
}

/// A handle that may write holds the write lock: a publish waits for it, as any writer does.
#[test]
fn a_blob_that_is_open_for_writing() {
    let app = app("wal");
    let remy = Remy::open(&app.live).unwrap();
    let publish = |options: &str, schema: &str| {
        remy.publish(
            schema,
            &Options::from_json(options).unwrap(),
            Progress::none(),
        )
    };
    publish("", ONE).unwrap();
    let mut client = Client::python(&app.live);
    assert_eq!(client.ask("blob = c.blobopen('t', 'body', 7)"), "None");
    assert_eq!(client.ask("blob.write(b'abc')"), "None");
    let more = format!("{ONE} CREATE TABLE more (a);");
    assert_eq!(
        publish(r#"{"lock_timeout_ms": 200}"#, &more)
            .unwrap_err()
            .code(),
        "busy"
    );
    assert_eq!(client.ask("blob.write(b'def')"), "None");
    client.ask("blob.close()");
    publish("", &more).unwrap();
    assert_eq!(
        shell(&app.live, "SELECT substr(body, 1, 6) FROM t WHERE id = 7"),
        "abcdef\n"
    );
}

/// A cookie that comes back would have an open connection read by a schema that is not the one.
fn a_cookie_is_not_used_again(host: bool, first: Option<i64>, then: Option<i64>) {
    let cookie = |app: &App| {
        shell(&app.live, "PRAGMA schema_version")
            .trim()
            .parse::<i64>()
            .unwrap()
    };

    let app = app("wal");
    let set = |to: Option<i64>| {
        if let Some(to) = to {
            shell(&app.live, &format!("PRAGMA schema_version = {to}"));
        }
    };
    set(first);
    remy_db::engine::init();
    let conn = host.then(|| rusqlite::Connection::open(&app.live).unwrap());
    let remy = match &conn {
        // SAFETY: the connection is of the engine that rusqlite is bound to, and stays open
        // during the call.
        Some(conn) => unsafe { Remy::on_host(conn.handle()) }.unwrap(),
        None => Remy::open(&app.live).unwrap(),
    };
    // Two schemas of as many statements each, that put another table at the same place.
    let with = |table: &str| {
        format!("{ONE} CREATE TABLE {table} (a INTEGER PRIMARY KEY, b TEXT DEFAULT '{table}');")
    };
    let options = Options::from_json(r#"{"allow": ["drop"]}"#).unwrap();
    let mut seen = vec![cookie(&app)];
    let mut clients: Vec<(Client, Shell)> = Vec::new();
    for n in 0..6 {
        let table = format!("x{n}");
        if n == 3 {
            set(then);
            seen.push(cookie(&app));
        }
        // Each client has prepared its statement under another cookie, and sleeps until it
        // is back.
        for (step, verb) in ["publish", "rollback"].iter().enumerate() {
            let what = format!("{n} {verb}");
            let go = Progress::none();
            let done = if step == 0 {
                remy.publish(&with(&table), &options, go)
            } else {
                remy.rollback(Some(ReleaseId(1)), &options, go)
            };
            done.unwrap_or_else(|e| panic!("{what}: {e}"));
            let now = cookie(&app);
            assert!(
                !seen[seen.len().saturating_sub(4)..].contains(&now),
                "{what}: {now} after {seen:?}"
            );
            seen.push(now);
            if step == 0 {
                shell(&app.live, &format!("INSERT INTO {table} (a) VALUES ({n})"));
                for (python, open) in &mut clients {
                    let missing = python.ask("c.execute('SELECT * FROM x0').fetchall()")
                        + &open.ask("SELECT * FROM x0;");
                    let there =
                        python.ask(&format!("c.execute('SELECT * FROM {table}').fetchall()"));
                    assert_eq!(
                        missing.contains("no such table: x0"),
                        n != 0,
                        "{what}: {missing}"
                    );
                    assert_eq!(there, format!("[({n}, '{table}')]"), "{what}");
                }
                let (mut python, mut open) = (Client::python(&app.live), Shell::open(&app.live));
                assert_eq!(
                    python.ask(&format!("c.execute('SELECT * FROM {table}').fetchall()")),
                    format!("[({n}, '{table}')]")
                );
                open.ask(&format!("SELECT * FROM {table};"));
                clients.push((python, open));
            }
        }
    }
}

// Live's and the image's, near the end of 32 bits too, where they become negative.
cases! { a_cookie_is_not_used_again:
    [embedded: false, host: true]
    {
        as_they_come(None, None),
        near_the_end(Some(2_147_483_640), None),
        at_the_end(Some(2_147_483_647), None),
        negative(Some(-5), None),
        back_from_a_million(Some(1_000_000), Some(5)),
        on_to_a_million(Some(5), Some(1_000_000)),
        over_the_end(Some(2_147_483_647), Some(-2_147_483_648)),
    }
}
