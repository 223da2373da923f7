//! Plans: the cheapest statement that the engine at hand has, and what a change takes away.
use remy_db::{Allow, Options, Outcome, Progress, Remy, StatementKind, Strategy};
use remy_tests::{cases, live::App, moments};

const ROWS: &str = "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 20000)
    INSERT INTO orders (id, total, note, state) SELECT i, i, 'note ' || i, CASE i % 2 WHEN 0 THEN 'paid' END FROM c;";

/// `orders` with these columns and constraints, and 20,000 rows.
fn orders(body: &str) -> App {
    App::on(&format!(
        "CREATE TABLE orders ({body}); CREATE INDEX by_total ON orders (total); {ROWS}"
    ))
}

fn schema(body: &str) -> String {
    format!("CREATE TABLE orders ({body}); CREATE INDEX by_total ON orders (total);")
}

/// `kind object` of each statement, and whether all are SQLite's own.
fn plan(outcome: &Outcome) -> (Vec<String>, bool) {
    let kinds = outcome
        .statements
        .iter()
        .map(|s| format!("{} {}", s.kind, s.object))
        .collect();
    (
        kinds,
        outcome
            .statements
            .iter()
            .all(|s| s.strategy == Strategy::Direct),
    )
}

const PLAIN: &str = "id INTEGER PRIMARY KEY, total INTEGER, note TEXT, state TEXT";

fn a_constraint_comes_or_goes_in_the_tables_statement_alone(
    from: &str,
    to: &str,
    kinds: Vec<&str>,
) {
    let app = orders(from);
    let before = app.ask("SELECT id, total, note, state FROM orders");
    let published = app.publish(&schema(to), "").unwrap();
    assert_eq!(
        plan(&published),
        (kinds.iter().map(|k| (*k).to_owned()).collect(), true)
    );
    if !kinds.iter().any(|kind| kind.contains("column")) {
        assert!(
            published.switch.as_ref().unwrap().pages_written < 12,
            "{published:?}"
        );
    }
    assert_eq!(
        app.ask("SELECT id, total, note, state FROM orders; PRAGMA integrity_check"),
        format!("{before}\nok")
    );
    assert_eq!(
        app.remy()
            .diff(&schema(to), &Options::default())
            .unwrap()
            .len(),
        0
    );
    assert!(
        app.publish(&schema(from), r#"{"allow": ["drop"]}"#).is_ok(),
        "and back: {from}"
    );
}

cases! { a_constraint_comes_or_goes_in_the_tables_statement_alone:
    {
        named_check(
            PLAIN,
            "id INTEGER PRIMARY KEY, total INTEGER, note TEXT, state TEXT, CONSTRAINT positive CHECK (total > 0)",
            vec!["add_constraint orders.positive"],
        ),
        // Of a NULL a CHECK says NULL, and lets it in.
        check_of_a_column(
            PLAIN,
            "id INTEGER PRIMARY KEY, total INTEGER, note TEXT, state TEXT CHECK (orders.state IN ('paid', 'open') -- or NULL\n)",
            vec!["add_constraint orders"],
        ),
        not_null(
            PLAIN,
            "id INTEGER PRIMARY KEY, total INTEGER NOT NULL, note TEXT, state TEXT",
            vec!["set_not_null orders.total"],
        ),
        not_null_on_conflict(
            PLAIN,
            "id INTEGER PRIMARY KEY, total INTEGER NOT NULL ON CONFLICT FAIL, note TEXT, state TEXT",
            vec!["set_not_null orders.total"],
        ),
        named_not_null_goes(
            "id INTEGER PRIMARY KEY, total INTEGER CONSTRAINT \"it is\" NOT NULL, note TEXT, state TEXT",
            PLAIN,
            vec!["drop_not_null orders.total"],
        ),
        named_check_goes(
            "id INTEGER PRIMARY KEY, total INTEGER CONSTRAINT \"a \"\"b\" CHECK (total > 0), note TEXT, state TEXT",
            PLAIN,
            vec!["drop_constraint orders.a \"b"],
        ),
        // Another expression under the same name.
        another_expression_of_one_name(
            "id INTEGER PRIMARY KEY, total INTEGER CONSTRAINT positive CHECK (total > -1), note TEXT, state TEXT",
            "id INTEGER PRIMARY KEY, total INTEGER CONSTRAINT positive CHECK (total > 0), note TEXT, state TEXT",
            vec![
                "drop_constraint orders.positive",
                "add_constraint orders.positive",
            ],
        ),
        // Beside columns that come and go, and are named by what goes.
        beside_columns_that_come_and_go(
            "id INTEGER PRIMARY KEY, total INTEGER, note TEXT, state TEXT, old TEXT CHECK (old <> ''), CONSTRAINT named CHECK (old <> note)",
            "id INTEGER PRIMARY KEY, total INTEGER NOT NULL, note TEXT, state TEXT, new INTEGER CHECK (new > 0)",
            vec![
                "drop_constraint orders.named",
                "drop_column orders.old",
                "add_column orders.new",
                "set_not_null orders.total",
            ],
        ),
    }
}

fn what_sqlite_has_no_statement_for_is_a_rebuild(from: &str, to: String) {
    let app = orders(from);
    let before = app.ask("SELECT * FROM orders");
    let published = app.publish(&schema(&to), "").unwrap();
    assert!(
        published
            .statements
            .iter()
            .any(|s| s.kind == StatementKind::RebuildTable),
        "{:?}",
        plan(&published)
    );
    assert_eq!(
        app.ask("SELECT * FROM orders; PRAGMA integrity_check"),
        format!("{before}\nok")
    );
    assert_eq!(
        app.remy()
            .diff(&schema(&to), &Options::default())
            .unwrap()
            .len(),
        0
    );
}

cases! { what_sqlite_has_no_statement_for_is_a_rebuild:
    {
        // CHECKs without a name, a DEFAULT besides, and what SQLite would edit in the wrong place.
        check_without_a_name_goes(
            "id INTEGER PRIMARY KEY, total INTEGER CHECK (total > 0), note TEXT, state TEXT",
            PLAIN.to_owned(),
        ),
        default_besides(
            PLAIN,
            PLAIN.replace("note TEXT", "note TEXT DEFAULT 'x' NOT NULL"),
        ),
        not_deferrable_not_null(
                "id INTEGER PRIMARY KEY, total INTEGER REFERENCES orders (id) NOT DEFERRABLE NOT NULL, note TEXT, state TEXT",
                "id INTEGER PRIMARY KEY, total INTEGER REFERENCES orders (id) NOT DEFERRABLE, note TEXT, state TEXT"
                    .to_owned(),
            ),
        one_name_twice(
                "id INTEGER PRIMARY KEY CONSTRAINT c CHECK (id > 0), total INTEGER CONSTRAINT c CHECK (total > 0), note TEXT, state TEXT",
                "id INTEGER PRIMARY KEY CONSTRAINT c CHECK (id > 0), total INTEGER, note TEXT, state TEXT".to_owned(),
            ),
    }
}

#[test]
fn the_order_of_constraints_and_their_place_are_no_change() {
    let app = orders(
        "id INTEGER PRIMARY KEY, total INTEGER CHECK (total > 0), note TEXT, state TEXT, CHECK (id > 0)",
    );
    let other = "id INTEGER PRIMARY KEY CHECK (id > 0), total INTEGER, note TEXT, state TEXT, CHECK (orders.total > 0)";
    assert_eq!(
        app.remy()
            .diff(&schema(other), &Options::default())
            .unwrap()
            .len(),
        0
    );
}

#[test]
fn rows_that_a_new_constraint_does_not_let_in_are_counted() {
    let app = orders(PLAIN);
    let with = |column: &str, as_: &str| schema(&PLAIN.replace(column, as_));
    let check = with("total INTEGER", "total INTEGER CHECK (total > 3)");
    app.refuses(
        "ddl_failed",
        &[
            "CHECK constraint failed: total > 3",
            "3 of 20000 rows do not pass",
        ],
        |app| app.publish(&check, ""),
    );
    let named = with(
        "total INTEGER",
        "total INTEGER CONSTRAINT large CHECK (total > 1)",
    );
    app.refuses(
        "ddl_failed",
        &[
            "CHECK constraint failed: large",
            "1 of 20000 rows does not pass",
        ],
        |app| app.publish(&named, ""),
    );
    let required = with("state TEXT", "state TEXT NOT NULL");
    app.refuses(
        "check_failed",
        &["orders.state would be NOT NULL", "10000 rows"],
        |app| app.publish(&required, ""),
    );
}

#[test]
fn nulls_are_filled_in_for_those_who_allow_it_and_no_trigger_hears_of_it() {
    let app = App::on(&format!(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER, note TEXT, state TEXT DEFAULT 'open');
         CREATE TABLE heard (id); CREATE TRIGGER hears AFTER UPDATE ON orders BEGIN INSERT INTO heard VALUES (new.id); END; {ROWS}"
    ));
    let to = "CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER, note TEXT, state TEXT NOT NULL DEFAULT 'open');
         CREATE TABLE heard (id); CREATE TRIGGER hears AFTER UPDATE ON orders BEGIN INSERT INTO heard VALUES (new.id); END;";
    app.refuses("lossy_change", &["10000 rows", "'open'"], |app| {
        app.publish(to, "")
    });
    let published = app.publish(to, r#"{"allow": ["lossy"]}"#).unwrap();
    assert_eq!(
        plan(&published),
        (vec!["set_not_null orders.state".to_owned()], true)
    );
    assert_eq!(
        app.ask("SELECT state, count(*) FROM orders GROUP BY 1; SELECT count(*) FROM heard; PRAGMA integrity_check"),
        "open|10000\npaid|10000\n0\nok"
    );
}

fn rows_of_others_are_asked_again_under_the_lock(
    table: &str,
    mode: &str,
    to: &str,
    act: &str,
    code: Option<&str>,
) {
    // A row without a value for its key is what only a rowid's alias fills in.
    let act = act.replace("(total) VALUES (-1)", "(id, total) VALUES (77777, -1)");
    let app = App::on(&format!("PRAGMA journal_mode = {mode}; {table} {ROWS}"));
    let options = Options::from_json(r#"{"journal_mode": "keep"}"#).unwrap();
    let write = "UPDATE orders SET note = 'to catch up with' WHERE id = 5";
    let on_line = moments::before_the_lock(&app.live, write, || drop(app.ask(&act)));
    let schema = table.replace("total INTEGER", to);
    let published = Remy::open(&app.live).unwrap().publish(
        &schema,
        &options,
        Progress::none().on_line(&on_line),
    );
    match code {
        Some(code) => assert_eq!(published.unwrap_err().code(), code),
        None => {
            let published = published.unwrap();
            assert!(published.switch.unwrap().ran_again);
        }
    }
    let differs = usize::from(code.is_some());
    assert_eq!(
        app.remy()
            .diff(&schema, &Options::default())
            .map_or(1, |rows| rows.len()),
        differs
    );
    assert_eq!(app.ask("PRAGMA integrity_check"), "ok");
}

const KEYLESS: &str = "CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER, note TEXT, state TEXT) WITHOUT ROWID;";
const SHADOWED: &str = "CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER, note TEXT, state TEXT, rowid, oid, _rowid_);";
const ORDERS: &str =
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER, note TEXT, state TEXT);";

cases! { rows_of_others_are_asked_again_under_the_lock:
    [plain: ORDERS, keyless: KEYLESS, shadowed: SHADOWED]
    [wal: "wal", delete: "delete"]
    {
        updated_against_a_check(
            "total INTEGER CHECK (total > 0)",
            "UPDATE orders SET total = 0 WHERE id = 12345",
            Some("ddl_failed"),
        ),
        inserted_against_a_check(
            "total INTEGER CHECK (total > 0)",
            "INSERT INTO orders (total) VALUES (-1)",
            Some("ddl_failed"),
        ),
        updated_within_a_check(
            "total INTEGER CHECK (total > 0)",
            "UPDATE orders SET total = 7 WHERE id % 100 = 1",
            None,
        ),
        null_within_a_check(
            "total INTEGER CHECK (total > 0)",
            "UPDATE orders SET total = NULL WHERE id = 12345",
            None,
        ),
        null_against_not_null(
            "total INTEGER NOT NULL",
            "UPDATE orders SET total = NULL WHERE id = 12345",
            Some("check_failed"),
        ),
        updated_within_not_null(
            "total INTEGER NOT NULL",
            "UPDATE orders SET total = 0 WHERE id = 12345",
            None,
        ),
    }
}

#[test]
fn a_rollback_lists_what_goes_and_what_comes_back_before_and_after() {
    let app = App::on(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, fax TEXT); CREATE TABLE old (a);
         INSERT INTO users VALUES (1, 'Ann', '555'), (2, 'Bob', NULL), (3, 'Cy', NULL); INSERT INTO old VALUES (1), (2);",
    );
    let schema =
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, mail TEXT); CREATE TABLE new (a);";
    app.publish(schema, r#"{"allow": ["drop"]}"#).unwrap();
    app.ask(
        "UPDATE users SET mail = 'a@b' WHERE id = 1; INSERT INTO users (name) VALUES ('Dee'); DELETE FROM users WHERE id = 3;
         INSERT INTO new VALUES (1), (2), (3);",
    );
    let listed = |outcome: &Outcome| {
        let statements: Vec<_> = outcome
            .statements
            .iter()
            .map(|s| (s.kind.to_string(), s.object.clone(), s.loses.clone()))
            .collect();
        let aside: Vec<_> = outcome
            .set_aside
            .iter()
            .map(|a| (a.table.clone(), a.rows))
            .collect();
        let back: Vec<_> = outcome
            .comes_back
            .iter()
            .map(|b| (b.table.clone(), b.column.clone(), b.rows))
            .collect();
        (statements, aside, back)
    };
    let text = |text: &str| text.to_owned();
    let expected = (
        vec![
            (text("drop_table"), text("new"), Some(text("3 rows"))),
            (
                text("drop_column"),
                text("users.mail"),
                Some(text("3 rows, 1 with a value in mail")),
            ),
            (text("add_column"), text("users.fax"), None),
            (text("create_table"), text("old"), None),
        ],
        vec![(text("users"), 1), (text("new"), 3)],
        vec![
            (text("users"), None, 1),
            (text("users"), Some(text("fax")), 1),
            (text("old"), None, 2),
        ],
    );
    let dry_run = Options::from_json(r#"{"dry_run": true}"#).unwrap();
    let dry = app
        .remy()
        .rollback(None, &dry_run, Progress::none())
        .unwrap();
    assert_eq!(listed(&dry), expected);
    assert!(
        dry.statements
            .iter()
            .all(|statement| statement.needs.is_none()),
        "nobody is asked for leave"
    );
    let done = app.rollback(None).unwrap();
    assert_eq!((done.status.as_str(), listed(&done)), ("live", expected));
    assert_eq!(app.ask("SELECT * FROM users"), "1|Ann|555\n2|Bob|\n3|Cy|");
    assert!(
        done.log
            .iter()
            .any(|line| line.message.starts_with("Goes: new (3 rows)")),
        "{:?}",
        done.log
    );
}

#[test]
fn a_comment_of_a_rename_beside_what_has_no_rows_is_passed_over() {
    let app =
        App::on("CREATE TABLE t (a, b); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1, 2);");
    let schema = "CREATE TABLE t (a, b); -- @renamed from=i\nCREATE INDEX j ON t (a); /* @renamed from=w */ CREATE VIEW v AS SELECT a FROM t;";
    app.publish(schema, "").unwrap();
    assert_eq!(
        app.ask("SELECT group_concat(name) FROM sqlite_schema WHERE type IN ('index', 'view')"),
        "j,v"
    );
}

fn what_is_renamed_takes_the_place_of_what_goes_with_that_name(
    from: &str,
    to: &str,
    renames: &str,
    ask: &str,
    expected: &str,
) {
    let app = App::on(from);
    let published = app
        .publish(to, &format!(r#"{{"renames": ["{renames}"]}}"#))
        .unwrap();
    assert!(
        published.statements.iter().any(|s| s.loses.is_some()),
        "{:?}",
        published.statements
    );
    assert_eq!(
        app.ask(&format!("{ask}; PRAGMA integrity_check")),
        format!("{expected}\nok")
    );
    // Told once more, it is done.
    assert!(
        app.publish(to, &format!(r#"{{"renames": ["{renames}"]}}"#))
            .unwrap()
            .statements
            .is_empty()
    );
}

cases! { what_is_renamed_takes_the_place_of_what_goes_with_that_name:
    {
        column_of_an_index(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1, 'old', 'new'), (2, 'x', 'y');",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE INDEX i ON t (a);",
            "t.b=a",
            "SELECT id, a FROM t ORDER BY a",
            "1|new\n2|y",
        ),
        column_of_a_check(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT CHECK (b <> a)); INSERT INTO t VALUES (1, 'old', 'new');",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);",
            "t.b=a",
            "SELECT id, a FROM t",
            "1|new",
        ),
        table_of_a_view(
            "CREATE TABLE a (x); CREATE TABLE b (y); INSERT INTO a VALUES ('old'); INSERT INTO b VALUES ('new'); CREATE VIEW v AS SELECT y FROM b;",
            "CREATE TABLE a (y); CREATE VIEW v AS SELECT y FROM a;",
            "b=a",
            "SELECT y FROM v",
            "new",
        ),
    }
}

#[test]
fn a_comment_of_a_rename_does_not_say_which_of_the_two_is_to_go() {
    // A comment stays when its rename is done, and does not say which of the two is to go.
    let app = App::on("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2);");
    app.refuses(
        "ambiguous_rename",
        &["t.a", "t.b", "option renames"],
        |app| app.publish("CREATE TABLE t (a -- @renamed from=b\n);", ""),
    );
}

#[test]
fn a_foreign_key_that_no_row_has_may_refer_to_what_is_not_unique() {
    let app = App::on(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY, code TEXT); INSERT INTO parents VALUES (1, 'a');",
    );
    let schema = "CREATE TABLE parents (id INTEGER PRIMARY KEY, code TEXT); CREATE TABLE children (id INTEGER PRIMARY KEY, code TEXT REFERENCES parents (code));";
    let published = app.publish(schema, "").unwrap();
    assert!(
        published
            .warnings
            .iter()
            .any(|w| w.contains("children") && w.contains("UNIQUE")),
        "{:?}",
        published.warnings
    );
    // With a row it is as before.
    let app = App::on(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY, code TEXT); CREATE TABLE children (id INTEGER PRIMARY KEY, code TEXT); INSERT INTO children VALUES (1, 'b');",
    );
    app.refuses(
        "check_failed",
        &["neither a primary key nor UNIQUE"],
        |app| app.publish(schema, ""),
    );
}

#[test]
fn a_type_that_changes_no_value_needs_no_leave() {
    let app = App::on(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, done BOOLEAN, n TEXT); INSERT INTO t VALUES (1, 1, 'x'), (2, 0, NULL), (3, NULL, 'y');",
    );
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, done INTEGER, n BLOB);";
    let rows = app.remy().diff(schema, &Options::default()).unwrap();
    assert!(
        rows.iter()
            .all(|row| row.needs.is_none() && row.loses.is_none()),
        "{rows:?}"
    );
    app.publish(schema, "").unwrap();
    assert_eq!(
        app.ask("SELECT done, typeof(done), n FROM t"),
        "1|integer|x\n0|integer|\n|null|y"
    );
    app.refuses("lossy_change", &["t.done"], |app| {
        app.publish(&schema.replace("done INTEGER", "done TEXT"), "")
    });
}

fn messages_name_a_renamed_table_as_it_is_now(to: &str, code: &str, words: &str) {
    let app = App::on(
        "CREATE TABLE clients (id INTEGER PRIMARY KEY, age INTEGER, parent INTEGER); INSERT INTO clients VALUES (1, 5, 7), (2, 50, NULL);",
    );
    let renamed = r#"{"renames": ["clients=customers"]}"#;

    let e = app.refuses(code, &[words], |app| {
        app.publish(
            &format!("CREATE TABLE customers (id INTEGER PRIMARY KEY, {to});"),
            renamed,
        )
    });
    assert!(!e.to_string().contains("customers"), "{e}");
}

cases! { messages_name_a_renamed_table_as_it_is_now:
    {
        check(
            "age INTEGER CHECK (age > 30), parent INTEGER",
            "ddl_failed",
            "add_constraint of clients failed",
        ),
        check_beside_a_default(
            "age INTEGER DEFAULT 1 CHECK (age > 30), parent INTEGER",
            "ddl_failed",
            "rebuild_table of clients failed",
        ),
        foreign_key(
            "age INTEGER, parent INTEGER REFERENCES customers (id)",
            "check_failed",
            "1 row of clients refer to rows of clients",
        ),
    }
}

#[test]
fn where_a_column_stands_is_said_and_changes_nothing() {
    let app = App::on("CREATE TABLE t (a, b, c); INSERT INTO t VALUES (1, 2, 3);");
    let said = |schema: &str| app.publish(schema, "").unwrap().warnings.join("; ");
    assert_eq!(said("CREATE TABLE t (a, b, c, d);"), "");
    assert!(
        said("CREATE TABLE t (a, between_, b, c, d);")
            .contains("t.between_ is declared before b, and is added last")
    );
    let order = said("CREATE TABLE t (c, a, between_, b, d);");
    assert!(
        order.contains("another order in live (a, b, c, d, between_)")
            && order.contains("migration"),
        "{order}"
    );
    assert_eq!(app.ask("SELECT * FROM t"), "1|2|3||");
}

#[test]
fn leave_is_needed_by_each_row_that_takes_something_and_the_rename_that_fits_is_advised() {
    let app = App::on(
        "CREATE TABLE a (x, y); CREATE TABLE b (p INTEGER, q TEXT, r TEXT); CREATE TABLE empty (z);
         INSERT INTO a VALUES (1, 2); INSERT INTO b VALUES (1, 2, 3);",
    );
    let schema = "CREATE TABLE d (k, l); CREATE TABLE c (p INTEGER, q TEXT, r TEXT);";
    let rows = app.remy().diff(schema, &Options::default()).unwrap();
    let needs: Vec<_> = rows
        .iter()
        .filter(|row| row.needs == Some(Allow::Drop))
        .map(|row| row.object.as_str())
        .collect();
    assert_eq!(needs, ["a", "b"]);
    app.refuses("ambiguous_rename", &["\"renames\":[\"b=c\"]"], |app| {
        app.publish(schema, "")
    });

    let app = App::on(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, fax TEXT, at REAL, kept); INSERT INTO t VALUES (1, '5', 2.5, 0);",
    );
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, kept, made_at REAL, note INTEGER);";
    let rows = app.remy().diff(schema, &Options::default()).unwrap();
    let needs: Vec<_> = rows
        .iter()
        .filter(|row| row.needs == Some(Allow::Drop))
        .map(|row| row.object.as_str())
        .collect();
    assert_eq!(needs, ["t.fax", "t.at"]);
    app.refuses(
        "ambiguous_rename",
        &["\"renames\":[\"t.at=made_at\"]"],
        |app| app.publish(schema, ""),
    );
}

/// It is the way out of a damaged database: what cannot be counted there keeps nobody from going
/// back.
#[test]
fn a_rollback_goes_back_where_live_cannot_be_counted() {
    let app = App::on(
        "CREATE TABLE t (a); CREATE TABLE big (x);
         WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 50)
         INSERT INTO big SELECT randomblob(3000) FROM c;",
    );
    app.publish("CREATE TABLE t (a, b); CREATE TABLE big (x);", "{}")
        .unwrap();
    app.ask("PRAGMA wal_checkpoint(TRUNCATE)");
    let root: u64 = app
        .ask("SELECT rootpage FROM sqlite_schema WHERE name = 'big'")
        .parse()
        .unwrap();
    let mut file = std::fs::read(&app.live).unwrap();
    let at = usize::try_from((root - 1) * 4096).unwrap();
    file[at..at + 4096].fill(0xff);
    std::fs::write(&app.live, file).unwrap();
    let done = app.rollback(None).unwrap();
    assert!(
        done.warnings.iter().any(|w| w.contains("the rows of big")),
        "{:?}",
        done.warnings
    );
    assert_eq!(
        app.ask("PRAGMA integrity_check; SELECT count(*) FROM big"),
        "ok\n50"
    );
}

fn a_table_that_is_declared_as_something_else_loses_its_rows_with_leave_only(
    now: &str,
    declared: &str,
) {
    let app = App::on(&format!("{now} INSERT INTO f VALUES (1, 2), (3, 4);"));
    app.refuses(
        "lossy_change",
        &["f has 2 rows", "\"allow\":[\"drop\"]"],
        |app| app.publish(declared, "{}"),
    );
    let done = app.publish(declared, r#"{"allow":["drop"]}"#).unwrap();
    assert!(
        done.statements
            .iter()
            .any(|s| s.kind == StatementKind::DropTable && s.needs == Some(Allow::Drop))
    );
    // Without rows there is nothing to lose.
    App::on(now).publish(declared, "{}").unwrap();
}

cases! { a_table_that_is_declared_as_something_else_loses_its_rows_with_leave_only:
    {
        table_as_full_text(
            "CREATE TABLE f (a, b);",
            "CREATE VIRTUAL TABLE f USING fts5 (a, b);",
        ),
        table_as_view(
            "CREATE TABLE f (a, b);",
            "CREATE VIEW F AS SELECT 1 AS a, 2 AS b;",
        ),
        full_text_as_table(
            "CREATE VIRTUAL TABLE f USING fts5 (a, b);",
            "CREATE TABLE f (a, b);",
        ),
        full_text_as_view(
            "CREATE VIRTUAL TABLE f USING fts5 (a, b);",
            "CREATE VIEW f AS SELECT 1 AS a, 2 AS b;",
        ),
    }
}

/// The advice is followed to the letter.
fn a_migration_as_it_is_advised_puts_columns_in_order(now: &str, then: &str) {
    let table = |columns: &str| {
        format!(
            "CREATE TABLE \"t\" ({columns},
               g AS (a || b) STORED, -- computed
               FOREIGN KEY (up) REFERENCES t (id));"
        )
    };
    let beside =
        "CREATE TABLE other (x REFERENCES t (id), y); CREATE INDEX i ON t (b); CREATE VIEW v AS SELECT a, b, g FROM t;
                  CREATE TRIGGER own AFTER INSERT ON t BEGIN UPDATE other SET y = new.b; END;
                  CREATE TRIGGER far AFTER INSERT ON other BEGIN UPDATE t SET b = new.y; END;
                  CREATE TRIGGER instead INSTEAD OF INSERT ON v BEGIN INSERT INTO t (a) VALUES (new.a); END;";

    let app = App::on(&format!(
            "{}{beside} INSERT INTO t (id, a, b) VALUES (7, 'a7', 'b7'), (9, 'a9', 'b9'); DELETE FROM t WHERE id = 9;
             INSERT INTO other VALUES (7, 'b7');",
            table(now)
        ));
    let schema = format!("{}{beside}", table(then));
    let done = app.publish(&schema, "{}").unwrap();
    let (_, sql) = done
        .warnings
        .iter()
        .find_map(|w| w.split_once("a migration of these statements: "))
        .unwrap();
    app.file("migrations/0001_order.sql", sql);
    let options = format!(
        r#"{{"migrations":"{}"}}"#,
        app.dir.path().join("migrations").display()
    );
    let objects = "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE '%sqlite_%' AND name NOT GLOB '_remy_*'";
    let before = app.ask(objects);
    let done = app
        .publish(&schema, &options)
        .unwrap_or_else(|e| panic!("{e}: {sql}"));
    assert!(
        done.warnings.iter().all(|w| !w.contains("another order")),
        "{:?}",
        done.warnings
    );
    assert_eq!(
        app.ask("SELECT group_concat(name) FROM pragma_table_info('t')"),
        then.replace(" UNIQUE", "")
            .replace(" INTEGER PRIMARY KEY AUTOINCREMENT", "")
            .replace(", ", ",")
    );
    assert_eq!(
        app.ask("PRAGMA foreign_key_check; SELECT rowid, id, g FROM t"),
        format!("{}|7|a7b7", if now.contains("AUTO") { 7 } else { 1 })
    );
    assert_eq!(app.ask(objects), before);
    if now.contains("AUTO") {
        assert_eq!(
            app.ask("SELECT seq FROM sqlite_sequence WHERE name = 't'"),
            "9"
        );
    }
    assert!(
        app.publish(&schema, &options)
            .unwrap()
            .statements
            .is_empty()
    );
}

cases! { a_migration_as_it_is_advised_puts_columns_in_order:
    {
        autoincrement(
            "id INTEGER PRIMARY KEY AUTOINCREMENT, b, a, up",
            "a, id INTEGER PRIMARY KEY AUTOINCREMENT, b, up",
        ),
        unique("id UNIQUE, b, a, up", "a, id UNIQUE, b, up"),
    }
}

/// A release, and an index that somebody has made by hand since.
fn with_an_index_by_hand() -> App {
    let app = App::on("CREATE TABLE t (a, b); CREATE TABLE k (x);");
    app.publish("CREATE TABLE t (a, b); CREATE TABLE k (x);", "{}")
        .unwrap();
    app.ask("CREATE INDEX by_hand ON k (x)");
    app
}

/// Asks for warnings, or not.
fn asking(warnings: bool) -> Options {
    let options = format!(r#"{{"ignore":["mine"],"warnings":{warnings}}}"#);
    Options::from_json(&options).unwrap()
}

/// Rows that somebody counts stay as they are unless they ask.
#[test]
fn a_diff_has_the_warnings_of_a_publish_where_they_are_asked_for() {
    let app = with_an_index_by_hand();
    let schema = "CREATE TABLE t (b, a REFERENCES nowhere); CREATE TABLE k (x); CREATE INDEX by_hand ON k (x);
                  CREATE TABLE mine (a); INSERT INTO t VALUES (1, 2);";
    let rows = app.remy().diff(schema, &asking(true)).unwrap();
    let kinds = |kind: &str| {
        rows.iter()
            .filter(|row| (row.kind == StatementKind::Warning) == (kind == "warning"))
            .collect::<Vec<_>>()
    };
    let warnings: Vec<&str> = kinds("warning")
        .iter()
        .filter_map(|row| row.message.as_deref())
        .collect();
    for words in [
        "`ignore` names mine",
        "INSERT",
        "refers to nowhere",
        "changed outside remy since release 2: index by_hand",
    ] {
        assert!(
            warnings.iter().any(|warning| warning.contains(words)),
            "{words}: {warnings:?}"
        );
    }
    assert!(
        rows.iter().zip(1..).all(|(row, ord)| row.ord == ord),
        "{rows:?}"
    );
    let without = app.remy().diff(schema, &asking(false)).unwrap();
    assert_eq!(without.len(), kinds("").len());
    assert!(
        !serde_json::to_string(&without).unwrap().contains("message"),
        "{without:?}"
    );
    let told = app
        .publish(schema, r#"{"ignore":["mine"],"dry_run":true}"#)
        .unwrap()
        .warnings;
    assert!(
        warnings
            .iter()
            .all(|warning| told.iter().any(|told| told == warning)),
        "{warnings:?} {told:?}"
    );
}

/// Where nothing changes there is nothing but what is told.
#[test]
fn a_diff_without_changes_has_warnings_alone() {
    let app = with_an_index_by_hand();
    let rows = app
        .remy()
        .diff(
            "CREATE TABLE t (b, a); CREATE TABLE k (x); CREATE INDEX by_hand ON k (x);",
            &asking(true),
        )
        .unwrap();
    assert!(
        rows.iter().all(|row| row.kind == StatementKind::Warning
            && row.strategy == Strategy::Warning
            && row.sql.is_empty()),
        "{rows:?}"
    );
    assert!(
        rows.iter().any(|row| row
            .message
            .as_ref()
            .is_some_and(|m| m.contains("another order"))),
        "{rows:?}"
    );
    // A migration has to run first.
    app.file("migrations/0001_x.sql", "INSERT INTO k VALUES (1);");
    let options = format!(
        r#"{{"migrations":"{}","warnings":true}}"#,
        app.dir.path().join("migrations").display()
    );
    let rows = app
        .remy()
        .diff(
            "CREATE TABLE t (b, a); CREATE TABLE k (x);",
            &Options::from_json(&options).unwrap(),
        )
        .unwrap();
    assert!(
        rows.iter().any(|row| row.kind == StatementKind::Warning),
        "{rows:?}"
    );
}
