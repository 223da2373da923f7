//! What a rollback takes out of live, and what it brings back: rows, and values of columns, that
//! one of the two databases has and the other has not.

use crate::{
    base::{
        allow::Allow,
        error::{Context, Result, sqlite_message},
        options::Options,
    },
    rehearse::questions,
    release::virtual_rows::{self, Unlike},
    schema::{
        Schema, Table, diff, introspect,
        plan::{
            self,
            model::{Plan, Statement},
        },
    },
    sqlite::{
        differing_rows::{Pages, Rows},
        quote::ident,
    },
};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// What a rollback changes.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// What would turn live's schema into the one that comes back, with what each statement takes
    /// away. None of it is run.
    pub(crate) statements: Vec<Statement>,
    pub(crate) set_aside: Vec<SetAside>,
    pub(crate) comes_back: Vec<ComesBack>,
    /// For each table that cannot be counted here: its rows may need a function or collation that
    /// the application alone has.
    pub(crate) warnings: Vec<String>,
}

/// The name by which the other database is attached.
const THEN: &str = "remy_then";

/// Compares `now`, which holds what live does, with the database at `then`, which is to come back.
/// `pages` are those in which the two differ, where that tells which rows need not be compared.
///
/// Tables are compared by their keys over the columns that both have. Tables without any such row
/// are left out, and so are virtual tables, whose rows stand in tables of their own.
pub(crate) fn compare(
    now: &Connection,
    then: &Path,
    pages: Option<&Pages<'_>>,
    libraries: &[PathBuf],
) -> Result<Difference> {
    let doing = || format!("comparing live with {}", then.display());
    let old = Connection::open_with_flags(then, OpenFlags::SQLITE_OPEN_READ_ONLY).context(doing)?;
    let mut difference = Difference::default();
    let read = introspect::read_with(&old, &[], libraries)
        .and_then(|old| Ok((old, introspect::read_with(now, &[], libraries)?)));
    let (old, current) = match read {
        Ok(both) => both,
        Err(e) => {
            difference
                .warnings
                .push(format!("what goes and what comes back is not known: {e}"));
            return Ok(difference);
        }
    };
    match statements(now, &current, &old) {
        Ok(statements) => difference.statements = statements,
        Err(e) => difference.warnings.push(format!(
            "the schema that comes back cannot be compared with live's: {e}"
        )),
    }
    now.execute("ATTACH ?1 AS remy_then", [then.to_string_lossy()])
        .context(doing)?;
    let comparison = Comparison {
        conn: now,
        current: &current,
        old: &old,
        pages,
        difference: &mut difference,
        uncounted: BTreeSet::new(),
    };
    let counted = comparison.run();
    now.execute_batch("DETACH remy_then").context(doing)?;
    counted.map(|()| difference)
}

fn statements(now: &Connection, current: &Schema, old: &Schema) -> Result<Vec<Statement>> {
    let changes = diff::diff(current, old, &[])?;
    let plan: Plan = plan::plan(current, old, &changes, rusqlite::version_number())?;
    let allow = BTreeSet::from([Allow::TypeChange, Allow::Lossy, Allow::Drop]);
    // What it refuses is about rows that a plan would have to carry over: none is carried over.
    let survey = questions::survey(
        now,
        &plan,
        &Options {
            allow,
            ..Options::default()
        },
    )?;
    let free = |statement| Statement {
        needs: None,
        ..statement
    };
    Ok(survey.statements.into_iter().map(free).collect())
}

/// Both databases, and what is found in them.
struct Comparison<'a> {
    conn: &'a Connection,
    current: &'a Schema,
    old: &'a Schema,
    pages: Option<&'a Pages<'a>>,
    difference: &'a mut Difference,
    /// Tables that cannot be counted, in lower case: that is said once of each.
    uncounted: BTreeSet<String>,
}

impl Comparison<'_> {
    fn run(mut self) -> Result<()> {
        let mut unlike = BTreeMap::new();
        for table in &self.current.tables {
            let differing = differing(self.conn, table, self.old, self.pages)?;
            self.goes(table, differing.as_ref())?;
            unlike.insert(table.name.to_ascii_lowercase(), differing);
        }
        for table in &self.old.tables {
            let differing = unlike
                .get(&table.name.to_ascii_lowercase())
                .and_then(Option::as_ref);
            self.comes(table, differing)?;
        }
        self.virtual_tables()
    }

    /// The rows of a table of live that go.
    fn goes(&mut self, table: &Table, differing: Option<&Rows>) -> Result<()> {
        let among = differing.map(|rows| &*rows.now);
        let queries = missing(table, "main", self.old, THEN, among);
        let rows = self.count_all(&table.name, queries)?;
        self.set_aside(&table.name, rows);
        Ok(())
    }

    /// The rows of a table that come back, and the values of columns that live has not.
    fn comes(&mut self, table: &Table, differing: Option<&Rows>) -> Result<()> {
        let among = differing.map(|rows| &*rows.then);
        let queries = missing(table, THEN, self.current, "main", among);
        let rows = self.count_all(&table.name, queries)?;
        self.comes_back(&table.name, None, rows);
        let Some(now) = self.current.table(&table.name) else {
            return Ok(());
        };
        let comes = |name: &str| now.column(name).is_none();
        for column in table
            .columns
            .iter()
            .filter(|column| column.generated.is_none() && comes(&column.name))
        {
            let values = format!(
                "SELECT count({}) FROM {THEN}.{}",
                ident(&column.name),
                ident(&table.name)
            );
            let values = self.count(&table.name, &values)?;
            self.comes_back(&table.name, Some(&column.name), values);
        }
        Ok(())
    }

    fn virtual_tables(&mut self) -> Result<()> {
        let (conn, schemas, pages) = (self.conn, (self.current, self.old), self.pages);
        let of_virtual = virtual_rows::unlike(conn, schemas, THEN, pages, |table, sql| {
            self.count(table, &sql)
        })?;
        for Unlike { table, goes, comes } in of_virtual {
            if goes == 0 && comes == 0 {
                self.difference.warnings.push(format!(
                    "the virtual table {table} does not have what it had: what of it goes and what comes back is not counted"
                ));
            }
            self.set_aside(&table, goes);
            self.comes_back(&table, None, comes);
        }
        Ok(())
    }

    fn set_aside(&mut self, table: &str, rows: u64) {
        if rows > 0 {
            self.difference.set_aside.push(SetAside {
                table: table.to_owned(),
                rows,
            });
        }
    }

    fn comes_back(&mut self, table: &str, column: Option<&str>, rows: u64) {
        if rows > 0 {
            self.difference.comes_back.push(ComesBack {
                table: table.to_owned(),
                column: column.map(str::to_owned),
                rows,
            });
        }
    }

    fn count_all(&mut self, table: &str, queries: Vec<String>) -> Result<u64> {
        queries.iter().map(|sql| self.count(table, sql)).sum()
    }

    fn count(&mut self, table: &str, sql: &str) -> Result<u64> {
        let e = match self.conn.query_row(sql, [], |row| row.get::<_, i64>(0)) {
            Ok(rows) => return Ok(rows.unsigned_abs()),
            Err(e) => e,
        };
        // What calls the verb off, or is wrong with the disk.
        if matches!(
            e.sqlite_error_code(),
            Some(ErrorCode::OperationInterrupted | ErrorCode::DiskFull)
        ) {
            return Err(e).context(|| format!("counting the rows of {table}"));
        }
        // What cannot be counted comes back all the same: the more so where live is damaged. The
        // next table may be counted.
        if self.uncounted.insert(table.to_ascii_lowercase()) {
            let what = sqlite_message(&e);
            self.difference.warnings.push(match e.sqlite_error_code() {
                Some(ErrorCode::Unknown) => format!(
                    "the rows of {table} that would go cannot be counted ({what}): it needs the libraries that its \
                     schema does"
                ),
                _ => format!("the rows of {table} that would go cannot be counted: {what}"),
            });
        }
        Ok(0)
    }
}

/// The rows of a table that may not be alike in both databases. `None` where only comparing all of
/// them tells: also where the same bytes may mean other values, since a column stands elsewhere or
/// is another.
fn differing(
    conn: &Connection,
    table: &Table,
    old: &Schema,
    pages: Option<&Pages<'_>>,
) -> Result<Option<Rows>> {
    let (Some(pages), Some(other)) = (pages, old.table(&table.name)) else {
        return Ok(None);
    };
    let as_written = |table: &Table| {
        table
            .columns
            .iter()
            .map(|column| column.definition.clone())
            .collect::<Vec<_>>()
    };
    let (here, there) = (as_written(table), as_written(other));
    if table.opaque
        || other.opaque
        || !here.iter().zip(&there).all(|(a, b)| a == b)
        || table.primary_key != other.primary_key
    {
        return Ok(None);
    }
    pages.of_table(conn, &table.name, THEN)
}

/// So many rows are named in one statement: a statement may have a million bytes.
const NAMED: usize = 20_000;

/// Statements that together count the rows of a table of the database `here` that the table of that
/// name in the database `there` does not have. `among` names the rows by their rowids that may be
/// such.
fn missing(
    table: &Table,
    here: &str,
    others: &Schema,
    there: &str,
    among: Option<&[i64]>,
) -> Vec<String> {
    let name = ident(&table.name);
    let all = format!("SELECT count(*) FROM {here}.{name} AS n");
    let Some(other) = others.table(&table.name) else {
        return vec![all];
    };
    let key = |table: &Table| -> Option<Vec<String>> {
        match (&table.primary_key, table.without_rowid, table.rowid_name()) {
            (Some(key), true, _) => Some(
                key.columns
                    .iter()
                    .map(|column| column.name.clone())
                    .collect(),
            ),
            (_, false, Some(rowid)) => Some(vec![rowid.to_owned()]),
            _ => None,
        }
    };
    let (Some(keys), Some(other_keys)) = (key(table), key(other)) else {
        return vec![all];
    };
    if table.without_rowid != other.without_rowid || (table.without_rowid && keys != other_keys) {
        return vec![all];
    }
    // By `=`, which finds the row by its key; keys are never NULL.
    let keys = keys
        .iter()
        .zip(&other_keys)
        .map(|(here, there)| format!("t.{} = n.{}", ident(there), ident(here)));
    let common = table
        .columns
        .iter()
        .filter(|column| column.generated.is_none() && other.column(&column.name).is_some());
    let equal: Vec<_> = keys
        .chain(common.map(|column| format!("t.{0} IS n.{0} COLLATE BINARY", ident(&column.name))))
        .collect();
    let unlike = format!(
        "{all} WHERE NOT EXISTS (SELECT 1 FROM {there}.{name} AS t WHERE {})",
        equal.join(" AND ")
    );
    match (among, table.rowid_name()) {
        (Some([]), _) => Vec::new(),
        (Some(rows), Some(rowid)) => rows
            .chunks(NAMED)
            .map(|rows| {
                let rows: Vec<_> = rows.iter().map(i64::to_string).collect();
                format!("{unlike} AND n.{} IN ({})", ident(rowid), rows.join(","))
            })
            .collect(),
        _ => vec![unlike],
    }
}

/// Rows of a table that a rollback would take out of live. They stay in the outgoing release's
/// snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetAside {
    /// The table.
    pub table: String,
    /// How many of its rows the release that comes back has not, or has otherwise.
    pub rows: u64,
}

/// What a rollback brings back: rows that live has not, or has otherwise, or values of a column
/// that live has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComesBack {
    /// The table.
    pub table: String,
    /// The column whose values are counted; rows are, where there is none.
    pub column: Option<String>,
    /// How many.
    pub rows: u64,
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use super::*;

    const MADE: &str = "
        CREATE TABLE wide (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB);
        CREATE TABLE plain (a, b);
        CREATE INDEX by_a ON plain (a);
        CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
        CREATE TABLE still (id INTEGER PRIMARY KEY, v);
        WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 3000)
          INSERT INTO wide SELECT i, 'name ' || i, zeroblob(CASE i % 50 WHEN 0 THEN 9000 ELSE 200 END) FROM c;
        INSERT INTO plain SELECT id, name FROM wide;
        INSERT INTO keyed SELECT name, id FROM wide;
        INSERT INTO still SELECT id, name FROM wide;
        CREATE VIRTUAL TABLE f USING fts5 (body);
        INSERT INTO f (rowid, body) SELECT id, name FROM wide WHERE id < 90;
        CREATE VIRTUAL TABLE r USING rtree (id, low, high);
        INSERT INTO r SELECT id, id, id FROM wide WHERE id < 90;";

    /// What may happen to a database between two releases. `?` is a number that differs from time
    /// to time.
    const CHANGES: &[&str] = &[
        "UPDATE wide SET name = 'other' WHERE id = ?",
        "DELETE FROM wide WHERE id BETWEEN ? AND ? + 70",
        "INSERT INTO wide (name, body) SELECT name, zeroblob(300) FROM wide WHERE id < ?",
        "UPDATE wide SET body = randomblob(length(body)) WHERE id = ? / 50 * 50",
        "UPDATE wide SET body = CAST(substr(body, 1, length(body) - 1) || 'x' AS BLOB) WHERE id = ? / 50 * 50",
        "DELETE FROM plain WHERE rowid % 7 = ? % 7",
        "UPDATE keyed SET v = 0 WHERE v = ?",
        "DELETE FROM keyed WHERE v = ?",
        "ALTER TABLE plain ADD COLUMN c",
        "ALTER TABLE wide ADD COLUMN note DEFAULT 'x'",
        "ALTER TABLE wide DROP COLUMN body",
        "DELETE FROM wide",
        "CREATE TABLE more AS SELECT * FROM still WHERE id < ?",
        "DROP TABLE plain",
        "VACUUM",
        "INSERT INTO f (body) SELECT name FROM wide WHERE id < ? % 100; DELETE FROM r WHERE id < ? % 80",
        "DELETE FROM wide WHERE id > ?; INSERT INTO plain (a, b) SELECT id, v FROM still",
    ];

    struct Two {
        now: Connection,
        now_path: PathBuf,
        then: PathBuf,
        _dir: tempfile::TempDir,
    }

    /// A database as it was, and as it is after `changes`.
    fn two(changes: &[String]) -> Two {
        crate::sqlite::engine::init();
        let dir = tempfile::tempdir().unwrap();
        let (now_path, then) = (dir.path().join("now.db"), dir.path().join("then.db"));
        let now = Connection::open(&now_path).unwrap();
        now.execute_batch(MADE).unwrap();
        std::fs::copy(&now_path, &then).unwrap();
        for change in changes {
            let _ = now.execute_batch(change); // a column or table may have gone before
        }
        Two {
            now,
            now_path,
            then,
            _dir: dir,
        }
    }

    impl Two {
        /// What goes and what comes back, with the help of the pages and without.
        fn both(&self) -> [(Vec<SetAside>, Vec<ComesBack>); 2] {
            let differ = crate::os::copy::differing_files(&self.now_path, &self.then, 4096)
                .unwrap()
                .into_iter()
                .collect();
            let pages = Pages::new(&self.now_path, &self.then, 4096, &differ).unwrap();
            [pages.as_ref(), None].map(|pages| {
                let found = compare(&self.now, &self.then, pages, &[]).unwrap();
                assert_eq!(found.warnings, Vec::<String>::new());
                (found.set_aside, found.comes_back)
            })
        }
    }

    #[test]
    fn the_pages_tell_the_same_as_all_rows() {
        let mut number = 12345u64;
        let mut next = move |below: usize| {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(number >> 33).unwrap() % below
        };
        for round in 0..60 {
            let changes: Vec<String> = (0..=next(3))
                .map(|_| {
                    CHANGES[if round < CHANGES.len() {
                        round
                    } else {
                        next(CHANGES.len())
                    }]
                    .replace('?', &(next(3000) + 1).to_string())
                })
                .collect();
            let [by_pages, by_rows] = two(&changes).both();
            assert_eq!(by_pages, by_rows, "{changes:?}");
        }
    }

    #[test]
    fn a_table_that_nobody_touched_is_not_read() {
        let two = two(&["UPDATE wide SET name = 'other' WHERE id = 7".to_owned()]);
        let differ = crate::os::copy::differing_files(&two.now_path, &two.then, 4096)
            .unwrap()
            .into_iter()
            .collect();
        let pages = Pages::new(&two.now_path, &two.then, 4096, &differ)
            .unwrap()
            .expect("told by the pages");
        let old = introspect::read(&two.now, &[]).unwrap();
        two.now
            .execute("ATTACH ?1 AS remy_then", [two.then.to_string_lossy()])
            .unwrap();
        let rows = |table: &str| {
            let table = old.table(table).unwrap();
            differing(&two.now, table, &old, Some(&pages))
                .unwrap()
                .map(|rows| (rows.now.len(), rows.then.len()))
        };
        assert_eq!(
            [rows("still"), rows("keyed"), rows("plain")],
            [Some((0, 0)); 3]
        );
        let (now, then) = rows("wide").unwrap();
        assert!(
            now == then && (1..40).contains(&now),
            "the rows of one leaf, not {now} and {then}"
        );
    }

    #[test]
    fn rows_of_virtual_tables_are_counted() {
        let two = two(&[
            "INSERT INTO f (body) VALUES ('new'); UPDATE f SET body = 'other' WHERE rowid = 3"
                .to_owned(),
            "DELETE FROM r WHERE id IN (5, 6)".to_owned(),
        ]);
        for (set_aside, comes_back) in two.both() {
            let goes: Vec<_> = set_aside
                .iter()
                .map(|s| (s.table.as_str(), s.rows))
                .collect();
            let comes: Vec<_> = comes_back
                .iter()
                .map(|c| (c.table.as_str(), c.rows))
                .collect();
            assert_eq!((goes, comes), (vec![("f", 2)], vec![("f", 1), ("r", 2)]));
        }
        two.now.execute_batch("UPDATE r SET high = high + 1 WHERE id = 9; INSERT INTO r VALUES (5, 5, 5), (6, 6, 6)").unwrap();
        let said = compare(&two.now, &two.then, None, &[]).unwrap().warnings;
        assert!(
            matches!(&said[..], [one] if one.starts_with("the virtual table r does not have")),
            "{said:?}"
        );
    }
}
