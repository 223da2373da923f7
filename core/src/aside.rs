//! What a rollback takes out of live, and what it brings back: rows, and values of columns, that one of the two databases has and
//! the other has not.
use crate::{
    ComesBack, SetAside,
    error::{Context, Result, sqlite_message},
    options::{Allow, Options},
    quote::ident,
    rehearse,
    schema::{
        self, Schema, Table, introspect,
        plan::{Plan, Statement},
    },
};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// What a rollback changes.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// What would turn live's schema into the one that comes back, with what each statement takes away. None of it is run.
    pub(crate) statements: Vec<Statement>,
    pub(crate) set_aside: Vec<SetAside>,
    pub(crate) comes_back: Vec<ComesBack>,
    /// For each table that cannot be counted here: its rows may need a function or collation that the application alone has.
    pub(crate) warnings: Vec<String>,
}

/// The name by which the other database is attached.
const THEN: &str = "remy_then";

/// Compares `now`, which holds what live does, with the database at `then`, which is to come back.
///
/// Tables are compared by their keys over the columns that both have. Tables without any such row are left out, and so are
/// virtual tables, whose rows stand in tables of their own.
pub(crate) fn compare(now: &Connection, then: &Path, libraries: &[PathBuf]) -> Result<Difference> {
    let doing = || format!("comparing live with {}", then.display());
    let old = Connection::open_with_flags(then, OpenFlags::SQLITE_OPEN_READ_ONLY).context(doing)?;
    let mut difference = Difference::default();
    let read = introspect::read_with(&old, &[], libraries)
        .and_then(|old| Ok((old, introspect::read_with(now, &[], libraries)?)));
    let (old, current) = match read {
        Ok(both) => both,
        Err(e) => {
            difference.warnings.push(format!("what goes and what comes back is not known: {e}"));
            return Ok(difference);
        }
    };
    match statements(now, &current, &old) {
        Ok(statements) => difference.statements = statements,
        Err(e) => difference.warnings.push(format!("the schema that comes back cannot be compared with live's: {e}")),
    }
    now.execute("ATTACH ?1 AS remy_then", [then.to_string_lossy()]).context(doing)?;
    let counted = rows(now, &current, &old, &mut difference);
    now.execute_batch("DETACH remy_then").context(doing)?;
    counted.map(|()| difference)
}

fn statements(now: &Connection, current: &Schema, old: &Schema) -> Result<Vec<Statement>> {
    let changes = schema::diff::diff(current, old, &[])?;
    let mut plan: Plan = schema::plan::plan(current, old, &changes, rusqlite::version_number())?;
    plan.violations = Some(Default::default()); // nothing is going to be checked against them
    let allow = BTreeSet::from([Allow::TypeChange, Allow::Lossy, Allow::Drop]);
    // What it refuses is about rows that a plan would have to carry over: none is carried over.
    rehearse::survey(now, &mut plan, &Options { allow, ..Options::default() })?;
    let free = |statement| Statement { needs: None, ..statement };
    Ok(plan.statements.into_iter().map(free).collect())
}

fn rows(conn: &Connection, current: &Schema, old: &Schema, difference: &mut Difference) -> Result<()> {
    let Difference { set_aside, comes_back, warnings, .. } = difference;
    let mut uncounted = BTreeSet::new();
    let mut count = |table: &str, sql: &str| -> Result<u64> {
        match conn.query_row(sql, [], |row| row.get::<_, i64>(0)) {
            Ok(rows) => Ok(rows.unsigned_abs()),
            // What calls the verb off, or is wrong with the disk.
            Err(e) if matches!(e.sqlite_error_code(), Some(ErrorCode::OperationInterrupted | ErrorCode::DiskFull)) => {
                Err(e).context(|| format!("counting the rows of {table}"))
            }
            // What cannot be counted comes back all the same: the more so where live is damaged. The next table may be counted.
            Err(e) => {
                if uncounted.insert(table.to_ascii_lowercase()) {
                    let what = sqlite_message(&e);
                    warnings.push(match e.sqlite_error_code() {
                        Some(ErrorCode::Unknown) => format!(
                            "the rows of {table} that would go cannot be counted ({what}): name the libraries that its schema needs in \
                             the option extensions"
                        ),
                        _ => format!("the rows of {table} that would go cannot be counted: {what}"),
                    });
                }
                Ok(0)
            }
        }
    };
    for table in &current.tables {
        let rows = count(&table.name, &missing(table, "main", old, THEN))?;
        if rows > 0 {
            set_aside.push(SetAside { table: table.name.clone(), rows });
        }
    }
    for table in &old.tables {
        let mut back = |column: Option<&str>, rows| {
            if rows > 0 {
                let (table, column) = (table.name.clone(), column.map(str::to_owned));
                comes_back.push(ComesBack { table, column, rows });
            }
        };
        back(None, count(&table.name, &missing(table, THEN, current, "main"))?);
        let Some(now) = current.table(&table.name) else { continue };
        let comes = |name: &str| now.column(name).is_none();
        for column in table.columns.iter().filter(|column| column.generated.is_none() && comes(&column.name)) {
            let values = format!("SELECT count({}) FROM {THEN}.{}", ident(&column.name), ident(&table.name));
            back(Some(&column.name), count(&table.name, &values)?);
        }
    }
    Ok(())
}

/// Counts the rows of a table of the database `here` that the table of that name in the database `there` does not have.
fn missing(table: &Table, here: &str, others: &Schema, there: &str) -> String {
    let name = ident(&table.name);
    let all = format!("SELECT count(*) FROM {here}.{name} AS n");
    let Some(other) = others.table(&table.name) else { return all };
    let key = |table: &Table| -> Option<Vec<String>> {
        match (&table.primary_key, table.without_rowid, table.rowid_name()) {
            (Some(key), true, _) => Some(key.columns.iter().map(|column| column.name.clone()).collect()),
            (_, false, Some(rowid)) => Some(vec![rowid.to_owned()]),
            _ => None,
        }
    };
    let (Some(keys), Some(other_keys)) = (key(table), key(other)) else { return all };
    if table.without_rowid != other.without_rowid || (table.without_rowid && keys != other_keys) {
        return all;
    }
    // By `=`, which finds the row by its key; keys are never NULL.
    let keys = keys.iter().zip(&other_keys).map(|(here, there)| format!("t.{} = n.{}", ident(there), ident(here)));
    let common =
        table.columns.iter().filter(|column| column.generated.is_none() && other.column(&column.name).is_some());
    let equal: Vec<_> =
        keys.chain(common.map(|column| format!("t.{0} IS n.{0} COLLATE BINARY", ident(&column.name)))).collect();
    format!("{all} WHERE NOT EXISTS (SELECT 1 FROM {there}.{name} AS t WHERE {})", equal.join(" AND "))
}
