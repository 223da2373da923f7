//! Whatever two schemas are, applying the plan from one to the other gives the other, and keeps
//! what both have.
use proptest::prelude::*;
use remy_db::{
    Error, Options, engine,
    internals::{
        declare::declared,
        rehearse,
        schema::{Schema, Table, diff::diff, introspect, plan::plan},
    },
};
use rusqlite::{Connection, types::Value};
use std::collections::BTreeMap;

const TABLES: &[&str] = &["t", "we\"ird", "Order", "it's", "sqlite1", "таб"];
const COLUMNS: &[&str] = &["a", "b", "select", "c d", "rowid", "q\"é", "oid"];
const TYPES: &[&str] = &[
    "TEXT",
    "INT",
    "REAL",
    "BLOB",
    "",
    "VARCHAR(10)",
    "NUMERIC",
    "DATE",
];
const STRICT_TYPES: &[&str] = &[
    "TEXT", "INT", "REAL", "BLOB", "ANY", "TEXT", "INTEGER", "TEXT",
];
const DEFAULTS: &[&str] = &[
    "0",
    "'it''s, (x)'",
    "-5",
    "NULL",
    "(1 + 1)",
    "CURRENT_TIMESTAMP",
    "x'00ff'",
    "(lower('A'))",
    "TRUE",
    "'-- no'",
];

fn q(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Decisions, one after the other; once they run out, always the first choice, so that shrinking
/// makes schemas simple.
struct Tape<'a>(std::slice::Iter<'a, u16>);

impl Tape<'_> {
    fn pick(&mut self, n: usize) -> usize {
        self.0.next().map_or(0, |&x| usize::from(x) % n)
    }
    fn chance(&mut self, in_n: usize) -> bool {
        self.pick(in_n) == in_n - 1
    }
    fn of<'s>(&mut self, from: &[&'s str]) -> &'s str {
        from[self.pick(from.len())]
    }
}

fn reference(tape: &mut Tape<'_>, parent: &str, column: Option<&str>) -> String {
    let column = column.map(|c| format!("({})", q(c))).unwrap_or_default();
    let delete = tape.of(&[
        "",
        " ON DELETE CASCADE",
        " ON DELETE SET NULL",
        " ON UPDATE CASCADE ON DELETE RESTRICT",
    ]);
    let defer = tape.of(&[
        "",
        " DEFERRABLE INITIALLY DEFERRED",
        " DEFERRABLE",
        " NOT DEFERRABLE INITIALLY IMMEDIATE",
    ]);
    format!("REFERENCES {}{column}{delete}{defer}", q(parent))
}

/// What stands between the brackets of a table.
#[derive(Default)]
struct Body {
    columns: Vec<String>,
    constraints: Vec<String>,
    /// The columns that rows are written to.
    names: Vec<&'static str>,
}

impl Body {
    /// With the key of that number, if any.
    fn new(key: usize) -> Self {
        let mut body = Self::default();
        match key {
            1 => body.columns.push("id INTEGER PRIMARY KEY".into()),
            2 => body
                .columns
                .push("id INTEGER PRIMARY KEY AUTOINCREMENT".into()),
            3 => body.columns.push("id TEXT PRIMARY KEY".into()),
            4 => body.columns.push("id INTEGER PRIMARY KEY DESC".into()),
            5 => {
                body.columns.push("id INT NOT NULL".into());
                body.constraints.push("PRIMARY KEY (id)".into());
            }
            6 => {
                body.columns.push("id INTEGER".into());
                body.constraints
                    .push("CONSTRAINT pk PRIMARY KEY (id ASC)".into());
            }
            _ => {}
        }
        body
    }

    fn add_column(&mut self, tape: &mut Tape<'_>, table: &str, column: &'static str, strict: bool) {
        let mut text = format!(
            "{} {}",
            q(column),
            if strict {
                tape.of(STRICT_TYPES)
            } else {
                tape.of(TYPES)
            }
        );
        match tape.pick(12) {
            0..=7 => {}
            n if n <= 10 && !self.names.is_empty() => {
                let expr = tape
                    .of(&["length(X)", "X || ', )'", "X + 1", "coalesce(X, 'X')"])
                    .replacen('X', &q(self.names[0]), 1);
                text += &format!(
                    " GENERATED ALWAYS AS ({expr}) {}",
                    tape.of(&["VIRTUAL", "STORED"])
                );
                self.columns.push(text);
                return;
            }
            _ => {
                text += &format!(
                    " UNIQUE{}",
                    tape.of(&["", " ON CONFLICT REPLACE", " ON CONFLICT IGNORE"])
                )
            }
        }
        if tape.chance(4) {
            text += " NOT NULL";
            text += tape.of(&["", " ON CONFLICT REPLACE", " ON CONFLICT IGNORE"]);
        }
        if tape.chance(3) {
            text += &format!(" DEFAULT {}", tape.of(DEFAULTS));
        }
        if tape.chance(4) {
            text += tape.of(&[" COLLATE NOCASE", " COLLATE RTRIM", " COLLATE BINARY"]);
        }
        if tape.chance(6) {
            text += &format!(
                " CHECK ({}.{} IS NOT 'CREATE TABLE t.')",
                q(table),
                q(column)
            );
        }
        if tape.chance(6) {
            text += " ";
            let column = if tape.pick(2) == 0 { Some("id") } else { None };
            text += &reference(tape, "p", column);
        }
        self.columns.push(text);
        self.names.push(column);
    }

    fn add_constraints(&mut self, tape: &mut Tape<'_>, table: &str, key: usize) {
        if tape.chance(4) {
            self.constraints.push(format!(
                "CONSTRAINT {} CHECK ({} <> 'a, b' OR 1)",
                q("ch k"),
                q(self.names[0])
            ));
        }
        if tape.chance(4) && self.names.len() > 1 {
            let conflict = tape.of(&["", " ON CONFLICT FAIL"]);
            self.constraints.push(format!(
                "UNIQUE ({}, {} COLLATE NOCASE DESC){conflict}",
                q(self.names[1]),
                q(self.names[0])
            ));
        }
        if tape.chance(5) && [1, 2, 3].contains(&key) {
            let key = reference(tape, table, Some("id"));
            self.constraints
                .push(format!("FOREIGN KEY ({}) {key}", q(self.names[0])));
        }
    }
}

fn table(tape: &mut Tape<'_>, name: &str, sql: &mut String) {
    let strict = tape.chance(4);
    let key = tape.pick(7);
    let mut body = Body::new(key);
    let without_rowid = key > 2 && tape.chance(3);
    for &column in COLUMNS {
        if body.names.is_empty() || tape.pick(2) == 1 {
            body.add_column(tape, name, column, strict);
        }
    }
    body.add_constraints(tape, name, key);
    if tape.chance(3) {
        body.columns.reverse();
    }
    let first = q(body.names[0]);
    let definitions = body
        .columns
        .into_iter()
        .chain(body.constraints)
        .collect::<Vec<_>>()
        .join(",\n  ");
    let options = match (without_rowid, strict) {
        (true, true) => " WITHOUT ROWID, STRICT",
        (true, false) => " WITHOUT ROWID",
        (false, true) => " STRICT",
        _ => "",
    };
    *sql += &format!("CREATE TABLE {} (\n  {definitions}\n){options};\n", q(name));
    indexes(tape, name, &first, sql);
    trigger(tape, name, &first, sql);
    view(tape, name, sql);
}

/// Up to two indexes on the column `first`, which is quoted.
fn indexes(tape: &mut Tape<'_>, name: &str, first: &str, sql: &mut String) {
    for n in 0..2 {
        if tape.chance(3) {
            // Index names are few, so that indexes move from table to table; each is made once
            // only.
            let index = format!("i{}", tape.pick(4) * 2 + n);
            let unique = tape.of(&["", "", "UNIQUE "]);
            let on = tape
                .of(&[
                    "X",
                    "X DESC",
                    "X COLLATE NOCASE",
                    "lower(X)",
                    "X || '(,'",
                    "X ASC",
                ])
                .replace('X', first);
            let partial = tape
                .of(&["", " WHERE X IS NOT NULL", " WHERE X > 'it''s'"])
                .replace('X', first);
            if !sql.contains(&format!("INDEX {index} ")) {
                *sql += &format!(
                    "CREATE {unique}INDEX {index} ON {} ({on}){partial};\n",
                    q(name)
                );
            }
        }
    }
}

fn trigger(tape: &mut Tape<'_>, name: &str, first: &str, sql: &mut String) {
    if tape.chance(4) {
        let event = tape.of(&["AFTER INSERT", "BEFORE DELETE", "AFTER UPDATE"]);
        let own = format!("INSERT INTO log SELECT {first}, 1 FROM {}", q(name));
        let what = tape.of(&[
            "INSERT INTO log VALUES ('x;', 1)",
            "DELETE FROM log; SELECT 1",
            "INSERT INTO gone VALUES (1)",
            "INSERT INTO log VALUES (\"a string\", 1)",
            "DELETE FROM \"Order\" WHERE 0",
            "INSERT INTO log SELECT 1, count(*) FROM \"v t\"",
            &own,
        ]);
        *sql += &format!(
            "CREATE TRIGGER {} {event} ON {} BEGIN {what}; END;\n",
            q(&format!("tr {name}")),
            q(name)
        );
    }
}

/// A view of it, and a trigger of that.
fn view(tape: &mut Tape<'_>, name: &str, sql: &mut String) {
    if tape.chance(3) {
        let view = q(&format!("v {name}"));
        let select = tape.of(&[
            "*",
            "count(*) AS n",
            "app_fn(1) AS x",
            "'it''s' AS \"select\"",
        ]);
        *sql += &format!("CREATE VIEW {view} AS SELECT {select} FROM {};\n", q(name));
        if tape.chance(2) {
            let trigger = q(&format!("iv {name}"));
            *sql += &format!(
                "CREATE TRIGGER {trigger} INSTEAD OF INSERT ON {view} BEGIN SELECT 1; END;\n"
            );
        }
    }
}

/// Decisions that a table takes, at most; each has its own, so that a change of one leaves the
/// others as they are.
const DECISIONS: usize = 60;

fn schema(decisions: &[u16]) -> String {
    let mut parts = decisions.chunks(DECISIONS).map(|part| Tape(part.iter()));
    let mut part = || parts.next().unwrap_or(Tape([].iter()));
    let tape = &mut part();
    let mut sql = "CREATE TABLE log(a, b);\n".to_owned();
    let extra = tape.of(&[
        "x INT",
        "x TEXT",
        "x TEXT NOT NULL DEFAULT 'n'",
        "x TEXT UNIQUE, y",
    ]);
    sql += &format!("CREATE TABLE p(id INTEGER PRIMARY KEY, {extra});\n");
    for &name in TABLES {
        let tape = &mut part();
        if tape.pick(3) > 0 || name == TABLES[0] {
            table(tape, name, &mut sql);
        }
    }
    sql += tape.of(&[
        "",
        "CREATE VIRTUAL TABLE ft USING fts5(a, b);\n",
        "CREATE VIRTUAL TABLE ft USING fts5(a);\n",
        "CREATE VIRTUAL TABLE ft USING fts5(b, c UNINDEXED, a, tokenize = 'porter');\n",
    ]);
    sql += tape.of(&[
        "",
        "CREATE VIRTUAL TABLE rt USING rtree(id, x1, x2);\n",
        "CREATE VIRTUAL TABLE rt USING rtree(id, x1, x2, +n);\n",
    ]);
    sql
}

/// Puts rows in: those that the constraints let in.
fn fill(conn: &Connection, schema: &Schema, tape: &mut Tape<'_>) {
    conn.execute_batch("INSERT INTO p(id, x) VALUES (1, 'one'), (2, 'two')")
        .unwrap();
    for table in &schema.tables {
        let columns: Vec<_> = table
            .columns
            .iter()
            .filter(|column| column.generated.is_none())
            .collect();
        for n in 0..tape.pick(4) {
            let refers = |name: &str| {
                table
                    .foreign_keys
                    .iter()
                    .any(|key| key.columns.iter().any(|c| c == name))
            };
            let value = |name: &str, tape: &mut Tape<'_>| match () {
                () if refers(name) => tape.of(&["NULL", "1", "2"]).to_owned(),
                () if name == "id" => format!("{}", 3 + 7 * n),
                () => tape
                    .of(&["'v'", "NULL", "1", "'007'", "2.5", "x'61'", "'A'"])
                    .to_owned(),
            };
            let values: Vec<String> = columns
                .iter()
                .map(|column| value(&column.name, tape))
                .collect();
            let names: Vec<String> = columns.iter().map(|column| q(&column.name)).collect();
            let sql = format!(
                "INSERT INTO {} ({}) VALUES ({})",
                q(&table.name),
                names.join(", "),
                values.join(", ")
            );
            let _ = conn.execute_batch(&sql);
        }
        if table.autoincrement {
            let _ = conn.execute(
                "UPDATE sqlite_sequence SET seq = 1000 WHERE name = ?1",
                [&table.name],
            );
        }
    }
    if let Some(fts) = schema
        .virtual_tables
        .iter()
        .find(|table| table.name == "ft")
    {
        conn.execute_batch(&format!(
            "INSERT INTO {} (rowid, a) VALUES (5, 'alpha'), (9, 'beta')",
            q(&fts.name)
        ))
        .unwrap();
    }
    if schema.virtual_tables.iter().any(|table| table.name == "rt") {
        conn.execute_batch("INSERT INTO rt(id, x1, x2) VALUES (4, 1, 2)")
            .unwrap();
    }
}

fn rows(conn: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut statement = conn.prepare(sql).unwrap_or_else(|e| panic!("{e}: {sql}"));
    let width = statement.column_count();
    let rows = statement
        .query_map([], |row| (0..width).map(|i| row.get(i)).collect())
        .unwrap();
    rows.map(Result::unwrap).collect()
}

/// What the pragmas tell of every table, whatever the order of its columns: not by the code under
/// test.
fn told(conn: &Connection, schema: &Schema) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for Table { name, sql, .. } in &schema.tables {
        let t = q(name).replace('\'', "''");
        let t = format!("'{}'", t[1..t.len() - 1].replace("\"\"", "\""));
        let mut told: Vec<String> = Vec::new();
        for query in [
            format!("SELECT name, upper(type), \"notnull\", pk, hidden FROM pragma_table_xinfo({t}) ORDER BY name"),
            format!("SELECT wr, strict FROM pragma_table_list({t})"),
            format!(
                "SELECT \"table\", \"from\", on_update, on_delete FROM pragma_foreign_key_list({t}) ORDER BY 1, 2, 3, 4"
            ),
            format!(
                "SELECT DISTINCT l.\"unique\", l.origin, l.partial, CASE l.origin WHEN 'c' THEN l.name END, x.seqno, x.desc, x.coll, x.key,
                   (SELECT name FROM pragma_table_xinfo({t}) c WHERE c.cid = x.cid)
                 FROM pragma_index_list({t}) l, pragma_index_xinfo(l.name) x WHERE x.key ORDER BY 4, 5, 9, 6, 7, 1, 2, 3"
            ),
        ] {
            told.push(format!("{:?}", rows(conn, &query)));
        }
        let text = sql.to_ascii_lowercase();
        for word in [
            " check ",
            "on conflict",
            "initially deferred",
            "autoincrement",
            " stored",
            "'it''s, (x)'",
            "lower('a')",
        ] {
            told.push(format!("{word}: {}", text.matches(word).count()));
        }
        all.insert(name.clone(), told);
    }
    all
}

fn attempt(conn: &Connection, to: &str, renames: &[String]) -> Result<(), Error> {
    let options = Options {
        renames: renames.to_vec(),
        ..Options::from_json(r#"{"allow":["type_change","lossy","drop"]}"#).unwrap()
    };
    rehearse::prepare(conn, &options.extensions)?;
    let declared = declared(to, &options)?;
    conn.execute_batch("BEGIN").unwrap();
    let done = (|| {
        let mut current = introspect::read(conn, &[])?;
        rehearse::dependents::note(conn, &mut current)?;
        let changes = diff(&current, &declared.schema, &declared.renames)?;
        let plan = plan(
            &current,
            &declared.schema,
            &changes,
            rusqlite::version_number(),
        )?;
        let survey = rehearse::measure(conn, &plan, &options)?;
        rehearse::apply(conn, &plan, &survey, &mut |_, _| {})?;
        rehearse::check(conn, &plan, &survey, &declared, &options)
    })();
    conn.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })
        .unwrap();
    done
}

/// Renames of a column that goes to one that comes, in some tables.
fn some_renames(a: &Schema, b: &Schema, tape: &mut Tape<'_>) -> Vec<String> {
    let mut renames = Vec::new();
    for (old, new) in a
        .tables
        .iter()
        .filter_map(|old| Some((old, b.table(&old.name)?)))
    {
        let gone = old
            .columns
            .iter()
            .find(|c| new.column(&c.name).is_none() && c.generated.is_none());
        let come = new
            .columns
            .iter()
            .find(|c| old.column(&c.name).is_none() && c.generated.is_none());
        if let (Some(gone), Some(come), true) = (gone, come, tape.chance(3)) {
            renames.push(format!(
                "{}.{}={}",
                q(&old.name),
                q(&gone.name),
                q(&come.name)
            ));
        }
    }
    let gone = a.tables.iter().find(|t| b.table(&t.name).is_none());
    let come = b.tables.iter().find(|t| a.table(&t.name).is_none());
    if let (Some(gone), Some(come), true) = (gone, come, tape.chance(3)) {
        renames.push(format!("{}={}", q(&gone.name), q(&come.name)));
    }
    renames
}

fn kind(declared: &str) -> &'static str {
    match declared {
        "TEXT" | "VARCHAR(10)" => "text",
        "INT" | "INTEGER" => "integer",
        "REAL" => "real",
        "BLOB" | "" => "blob",
        _ => "other",
    }
}

/// The rows of what both schemas have alike, before or after.
fn kept(conn: &Connection, mine: &Schema, other: &Schema) -> BTreeMap<String, Vec<Vec<Value>>> {
    let mut all = BTreeMap::new();
    for table in &mine.tables {
        let Some(twin) = other.table(&table.name) else {
            continue;
        };
        let alike = |name: &str| {
            let (x, y) = (table.column(name).unwrap(), twin.column(name)?);
            let plain = x.generated.is_none() && y.generated.is_none();
            (plain
                && kind(&x.declared_type) == kind(&y.declared_type)
                && table.strict == twin.strict
                && x.not_null == y.not_null)
                .then(|| name.to_owned())
        };
        let mut columns: Vec<String> = table
            .columns
            .iter()
            .filter_map(|c| alike(&c.name))
            .collect();
        columns.sort();
        let mut columns: Vec<String> = columns.iter().map(|c| q(c)).collect();
        let same_alias = match (table.rowid_alias(), twin.rowid_alias()) {
            (None, None) => true,
            (Some(x), Some(y)) => x.name == y.name,
            _ => false,
        };
        let rowids = same_alias && !table.without_rowid && !twin.without_rowid;
        if rowids {
            columns.push("_rowid_".into());
        }
        columns.push("count(*) OVER ()".into());
        let mut found = rows(
            conn,
            &format!("SELECT {} FROM {}", columns.join(", "), q(&table.name)),
        );
        found.sort_by_key(|row| format!("{row:?}"));
        if table.autoincrement && twin.autoincrement {
            found.extend(rows(
                conn,
                &format!(
                    "SELECT seq FROM main.sqlite_sequence WHERE name = '{}'",
                    table.name.replace('\'', "''")
                ),
            ));
        }
        all.insert(table.name.clone(), found);
    }
    if mine.virtual_tables.iter().any(|t| t.name == "ft")
        && other.virtual_tables.iter().any(|t| t.name == "ft")
    {
        all.insert(
            "ft".into(),
            rows(conn, "SELECT rowid, a FROM ft WHERE ft MATCH 'beta'"),
        );
    }
    all
}

fn holds(from: &str, to: &str, data: &[u16]) {
    engine::init();
    let (before, target) = (
        Connection::open_in_memory().unwrap(),
        Connection::open_in_memory().unwrap(),
    );
    before
        .execute_batch(from)
        .unwrap_or_else(|e| panic!("{e}: {from}"));
    target
        .execute_batch(to)
        .unwrap_or_else(|e| panic!("{e}: {to}"));
    let (a, b) = (
        introspect::read(&before, &[]).unwrap(),
        introspect::read(&target, &[]).unwrap(),
    );
    assert!(
        a.tables.iter().all(|table| !table.opaque),
        "a statement is not understood"
    );
    assert_eq!(
        diff(&a, &a, &[]).unwrap(),
        [],
        "a schema differs from itself"
    );
    let mut tape = Tape(data.iter());
    let renames = some_renames(&a, &b, &mut tape);

    // Without rows, nothing may stand in the way.
    let empty = Connection::open_in_memory().unwrap();
    empty.execute_batch(from).unwrap();
    attempt(&empty, to, &renames).unwrap_or_else(|e| panic!("without rows: {e}\n{:?}", e.detail()));
    assert_eq!(
        told(&empty, &introspect::read(&empty, &[]).unwrap()),
        told(&target, &b)
    );

    fill(&before, &a, &mut tape);
    let (rows_before, schema_before) = (
        kept(&before, &a, &b),
        rehearse::fingerprint(&before).unwrap(),
    );
    match attempt(&before, to, &renames) {
        Ok(()) => {
            let after = introspect::read(&before, &[]).unwrap();
            assert_eq!(told(&before, &after), told(&target, &b));
            assert_eq!(diff(&b, &after, &[]).unwrap(), []);
            if renames.is_empty() {
                assert_eq!(kept(&before, &after, &a), rows_before);
            }
        }
        Err(e) => {
            let because_of_rows = [
                "constraint failed",
                "cannot store",
                "NOT NULL",
                "UNIQUE",
                "not possible",
                "not there",
                "no integer",
            ];
            let of_rows = because_of_rows
                .iter()
                .any(|why| e.to_string().contains(why));
            assert!(
                ["check_failed", "ddl_failed"].contains(&e.code()) && of_rows,
                "{}: {e}\n{:?}",
                e.code(),
                e.detail()
            );
            assert_eq!(rehearse::fingerprint(&before).unwrap(), schema_before);
        }
    }
}

/// Two schemas: one, and either another one or the same with a few decisions taken otherwise.
fn two_schemas() -> impl Strategy<Value = (String, String)> {
    let decisions = || prop::collection::vec(any::<u16>(), 0..DECISIONS * (TABLES.len() + 1));
    let few = prop::collection::vec((any::<prop::sample::Index>(), any::<u16>()), 0..8);
    let near = (decisions(), few).prop_map(|(from, few)| {
        let mut to = from.clone();
        for (at, decision) in few.into_iter().filter(|_| !from.is_empty()) {
            to[at.index(from.len())] = decision;
        }
        (from, to)
    });
    prop_oneof![near, (decisions(), decisions())]
        .prop_map(|(from, to)| (schema(&from), schema(&to)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_plan_gives_the_declared_schema(
        schemas in two_schemas(),
        data in prop::collection::vec(any::<u16>(), 0..80),
    ) {
        holds(&schemas.0, &schemas.1, &data);
    }
}
