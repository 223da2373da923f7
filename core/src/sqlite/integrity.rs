//! What SQLite's own checks find, `integrity_check` and `quick_check`, and what of it holds.

use crate::{
    base::error::{Context, Result, sqlite_message},
    sqlite::{
        quote::ident,
        strangers::{self, StandIns, Stranger},
    },
};
use rusqlite::{Connection, ffi};
use std::collections::{BTreeMap, BTreeSet};

/// At most this many findings of a whole database are reported: they tell what is the matter.
const ENOUGH: usize = 10;

/// The result of checking a whole database.
#[derive(Debug, Default)]
pub(crate) struct IntegrityReport {
    /// What is wrong.
    pub wrong: Vec<String>,
    /// Tables of which only the pages were checked, and what was missing for more.
    pub unchecked: Vec<(String, Stranger)>,
}

/// Runs one of the checks, of a table (`quick_check("t")`) or of all there is, and leaves out what
/// is no fault. Counts how often it says the same. Fails where the check cannot be compiled or run.
pub(crate) fn findings(
    conn: &Connection,
    check: &str,
) -> rusqlite::Result<BTreeMap<String, usize>> {
    let of_all = !check.contains('(');
    // A limit would count false alarms, too, of which each row may raise one.
    let limit = if of_all {
        format!("({})", i32::MAX)
    } else {
        String::new()
    };
    let mut query = conn.prepare(&format!("PRAGMA main.{check}{limit}"))?;
    let mut rows = query.query([])?;
    let mut found = BTreeMap::new();
    let mut false_alarms = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if let Some(n) = found.get_mut(&line) {
            *n += 1;
        } else if line == "ok" || false_alarms.contains(&line) {
        } else if is_false_alarm(conn, &line) {
            false_alarms.insert(line);
        } else if of_all && found.len() == ENOUGH {
            break;
        } else {
            found.insert(line, 1);
        }
    }
    Ok(found)
}

/// What a check says of a value, and when that is so, of a column `{}`.
const OF_VALUES: &[(&str, &str)] = &[
    ("NULL value in ", "typeof({}) = 'null'"),
    ("NUMERIC value in ", "typeof({}) IN ('integer', 'real')"),
    ("TEXT value in ", "typeof({}) = 'text'"),
    ("non-INT value in ", "typeof({}) NOT IN ('integer', 'null')"),
    (
        "non-INTEGER value in ",
        "typeof({}) NOT IN ('integer', 'null')",
    ),
    ("non-REAL value in ", "typeof({}) NOT IN ('real', 'null')"),
    ("non-TEXT value in ", "typeof({}) NOT IN ('text', 'null')"),
    ("non-BLOB value in ", "typeof({}) NOT IN ('blob', 'null')"),
];

/// Whether no row has the value that a finding tells of. SQLite 3.40 reads the columns of a table
/// WITHOUT ROWID in the order in which they are declared, and not as they lie, when it looks for
/// NULLs.
fn is_false_alarm(conn: &Connection, line: &str) -> bool {
    let of_value = OF_VALUES
        .iter()
        .find_map(|(words, when)| Some((line.strip_prefix(words)?, when)));
    let Some((place, when)) = of_value else {
        return false;
    };
    let mut there = false;
    // Names may have dots.
    for (dot, _) in place.match_indices('.') {
        let (table, column) = (ident(&place[..dot]), ident(&place[dot + 1..]));
        let condition = when.replace("{}", &format!("T.{column}"));
        let sql = format!("SELECT EXISTS (SELECT 1 FROM main.{table} AS T WHERE {condition})");
        let Ok(mut query) = conn.prepare(&sql) else {
            continue;
        };
        match query.query_row([], |row| row.get(0)) {
            Ok(false) => there = true,
            _ => return false,
        }
    }
    there
}

/// Checks a whole database. Where it names functions, collations, modules or tokenizers that are
/// not here, everything else is checked.
pub(crate) fn whole(conn: &Connection) -> Result<IntegrityReport> {
    let doing = || {
        format!(
            "running integrity_check on {}",
            crate::sqlite::calls::name(conn)
        )
    };
    match findings(conn, "integrity_check") {
        Ok(wrong) => Ok(IntegrityReport {
            wrong: wrong.into_keys().collect(),
            unchecked: Vec::new(),
        }),
        Err(e) if cannot_run(&e) => in_parts(conn),
        Err(e) => Err(e).context(doing),
    }
}

/// Whether a check failed over what the schema says, and not over what is on the disk.
fn cannot_run(e: &rusqlite::Error) -> bool {
    e.sqlite_error()
        .is_some_and(|e| e.extended_code == ffi::SQLITE_ERROR)
}

/// What is missing for the check of a table. A full-text table says so of its tokenizer only to
/// those who look for a word in it.
fn missing(conn: &Connection, table: &str, e: &rusqlite::Error) -> Option<Stranger> {
    let looking = || {
        let sql = format!("SELECT 1 FROM main.{0} WHERE {0} MATCH 'a'", ident(table));
        let e = conn
            .prepare(&sql)
            .and_then(|mut query| query.exists([]))
            .err()?;
        Stranger::behind(&e)
    };
    Stranger::behind(e).or_else(|| cannot_run(e).then(looking).flatten())
}

/// Checks each table by itself, and then the pages of all.
fn in_parts(conn: &Connection) -> Result<IntegrityReport> {
    let doing = || {
        format!(
            "running integrity_check on {}",
            crate::sqlite::calls::name(conn)
        )
    };
    let sql =
        "SELECT name, rootpage > 0 FROM main.sqlite_schema WHERE type = 'table' ORDER BY rowid";
    let mut query = conn.prepare(sql).context(doing)?;
    let tables: Vec<(String, bool)> = query
        .query_map([], |row| {
            Ok((row.get(0)?, row.get::<_, Option<bool>>(1)?.unwrap_or(false)))
        })
        .and_then(Iterator::collect)
        .context(doing)?;
    let mut found = IntegrityReport::default();
    let mut wrong = BTreeSet::new();
    for (table, _) in &tables {
        match findings(conn, &format!("integrity_check({})", ident(table))) {
            Ok(lines) => wrong.extend(lines.into_keys()),
            Err(e) => match missing(conn, table, &e) {
                Some(stranger) => found.unchecked.push((table.clone(), stranger)),
                None => return Err(e).context(doing),
            },
        }
    }
    // A stand-in says nothing true of values: of the tables that need one, only what lies on their
    // pages counts.
    let of_values = |line: &String| {
        let unchecked = |(table, _): &(String, Stranger)| {
            line.contains(&format!(" in {table}.")) || line.ends_with(&format!(" in {table}"))
        };
        found.unchecked.iter().any(unchecked)
    };
    strangers::standing_in(conn, |stand_ins| {
        let ignoring = ignoring_checks(conn)?;
        let pages = pages(conn, stand_ins, &tables);
        conn.execute_batch(&format!("PRAGMA ignore_check_constraints = {ignoring}"))
            .context(doing)?;
        wrong.extend(
            pages
                .context(doing)?
                .into_iter()
                .filter(|line| !of_values(line)),
        );
        Ok(())
    })?;
    found.wrong = wrong.into_iter().take(ENOUGH).collect();
    Ok(found)
}

/// Turns CHECK constraints off, and says how they were.
fn ignoring_checks(conn: &Connection) -> Result<i64> {
    let before = crate::sqlite::calls::pragma(conn, "ignore_check_constraints")?;
    conn.execute_batch("PRAGMA ignore_check_constraints = ON")
        .context(|| "checking the pages of all tables".to_owned())?;
    Ok(before)
}

/// `quick_check` of all there is: where a virtual table keeps it from being compiled, of each other
/// table.
fn pages(
    conn: &Connection,
    stand_ins: &StandIns<'_>,
    tables: &[(String, bool)],
) -> rusqlite::Result<Vec<String>> {
    let check = |what: &str| loop {
        match findings(conn, what).map(BTreeMap::into_keys) {
            Err(e) if stand_ins.take_place(&sqlite_message(&e)) => {}
            done => return done.map(|lines| lines.collect::<Vec<_>>()),
        }
    };
    match check("quick_check") {
        Err(e) if cannot_run(&e) => {}
        done => return done,
    }
    let mut found = Vec::new();
    for (table, _) in tables.iter().filter(|(_, ordinary)| *ordinary) {
        found.extend(check(&format!("quick_check({})", ident(table)))?);
    }
    Ok(found)
}
