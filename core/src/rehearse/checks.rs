//! What is checked when a plan has run.

use crate::{
    base::{
        error::{Context, Error, Result, State, sqlite_message},
        options::Options,
        text::things,
    },
    declare::{DeclaredSchema, left_alone},
    rehearse::{rows::Rows, survey::Survey},
    schema::{
        diff,
        plan::model::{Plan, Violations},
    },
    sqlite::{
        quote::{ident, literal},
        strangers::Stranger,
    },
};
use rusqlite::Connection;

/// Every table's foreign keys that do not hold.
pub fn violations(conn: &Connection) -> Result<Violations> {
    let doing = || "reading the names of the tables".to_owned();
    let mut statement = conn
        .prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND rootpage > 0")
        .context(doing)?;
    let tables: Vec<String> = statement
        .query_map([], |row| row.get(0))
        .context(doing)?
        .collect::<rusqlite::Result<_>>()
        .context(doing)?;
    violations_of(conn, tables.iter().map(String::as_str))
}

fn violations_of<'a>(
    conn: &Connection,
    tables: impl Iterator<Item = &'a str>,
) -> Result<Violations> {
    let mut found = Violations::new();
    for table in tables {
        let doing = || format!("checking the foreign keys of {table}");
        let child = table.to_ascii_lowercase();
        let checked = (|| {
            let mut statement =
                conn.prepare(&format!("PRAGMA main.foreign_key_check({})", ident(table)))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let parent: String = row.get::<_, String>(2)?.to_ascii_lowercase();
                let n = found.entry((child.clone(), parent)).or_insert(Some(0));
                *n = n.map(|n| n + 1);
            }
            Ok(())
        })();
        match checked {
            Err(e) if sqlite_message(&e).starts_with("foreign key mismatch") => {
                found.insert((child, String::new()), None);
            }
            // Keys that need an application's function or collation to be compared cannot be
            // checked without it.
            Err(e) if Stranger::behind(&e).is_some() => {}
            other => other.context(doing)?,
        }
    }
    Ok(found)
}

/// Fails where a foreign key does not hold that held before. Returns what its caller should know.
fn compare_violations(
    conn: &Connection,
    plan: &Plan,
    before: &Violations,
    now: &Violations,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let name = |name: &String| {
        plan.renamed
            .get(name)
            .map_or_else(|| name.clone(), |name| name.to_ascii_lowercase())
    };
    let before: Violations = before
        .iter()
        .map(|((child, parent), n)| ((name(child), name(parent)), *n))
        .collect();
    for (key @ (child, parent), n) in now {
        let held = before.get(key);
        let named = plan.now(child);
        match (n, held) {
            (None, Some(None)) => {}
            (None, _) if is_empty(conn, child)? => warnings.push(format!(
                "a foreign key of {named} refers to columns that are neither a primary key nor UNIQUE: {named} is empty, and SQLite \
                 takes no row for it where foreign_keys is on"
            )),
            (None, _) => {
                return Err(Error::check_failed(format!(
                    "a foreign key of {named} refers to columns that are neither a primary key nor UNIQUE"
                ))
                .object(named)
                .state(State::OnlyCloneChanged)
                .hint("Declare them UNIQUE, or correct the REFERENCES"));
            }
            (Some(n), Some(Some(before))) if n <= before => {}
            // What was a parent without such a key could not be counted.
            (Some(_), _) if before.contains_key(&(child.clone(), String::new())) => {}
            (Some(n), held) => {
                let before = held.copied().flatten().unwrap_or(0);
                let sample = sample(conn, child, parent);
                return Err(Error::check_failed(format!(
                    "{} of {named} refer to rows of {} that are not there (before: {before}){sample}",
                    things(*n, "row"),
                    plan.now(parent)
                ))
                .object(named)
                .state(State::OnlyCloneChanged)
                .hint("Correct or remove these rows, with a migration or before publishing"));
            }
        }
    }
    Ok(warnings)
}

fn is_empty(conn: &Connection, table: &str) -> Result<bool> {
    let sql = format!("SELECT NOT EXISTS (SELECT 1 FROM main.{})", ident(table));
    conn.query_row(&sql, [], |row| row.get(0))
        .context(|| format!("reading {table}"))
}

fn sample(conn: &Connection, child: &str, parent: &str) -> String {
    let sql = format!(
        "SELECT group_concat(rowid, ', ') FROM (SELECT rowid FROM pragma_foreign_key_check({}) WHERE lower(parent) = {} LIMIT 5)",
        literal(child),
        literal(parent),
    );
    let rowids: Option<String> = conn
        .query_row(&sql, [], |row| row.get(0))
        .unwrap_or_default();
    rowids.map_or_else(String::new, |rowids| format!(", rowid {rowids}"))
}

/// Checks the changed clone: foreign keys, that the schema equals the declared one, and the rows of
/// changed tables.
pub fn check(
    conn: &Connection,
    plan: &Plan,
    survey: &Survey,
    declared: &DeclaredSchema,
    options: &Options,
) -> Result<()> {
    check_schema(conn, plan, survey, declared, options)?;
    Rows::check(conn, plan.changed.iter().map(String::as_str))?
        .refuse(&Rows::default(), &plan.renamed)
}

/// As [`check`], without the rows. Returns what the caller should know.
pub(crate) fn check_schema(
    conn: &Connection,
    plan: &Plan,
    survey: &Survey,
    declared: &DeclaredSchema,
    options: &Options,
) -> Result<Vec<String>> {
    let warnings = compare_violations(conn, plan, &survey.violations, &violations(conn)?)?;
    let mut now = left_alone::current(conn, declared, options)?;
    now.leave_claimed(&declared.schema, &[]);
    let left = diff::diff(&now, &declared.schema, &[])?;
    match left.first() {
        None => Ok(warnings),
        Some(first) => Err(Error::check_failed(format!(
            "the changed schema is not the declared one: {first:?}"
        ))
        .state(State::OnlyCloneChanged)
        .hint("This is a mistake of remy's; please report it with both schemas")),
    }
}

/// The checks of a second run, maybe under live's lock: foreign keys of what the plan touches. A
/// migration may have touched any row: then all of them, against what did not hold `before` it.
pub fn recheck(
    conn: &Connection,
    plan: &Plan,
    survey: &Survey,
    before: Option<&Violations>,
) -> Result<()> {
    let now = match before {
        Some(_) => violations(conn)?,
        None => violations_of(conn, plan.foreign_keys.iter().map(String::as_str))?,
    };
    compare_violations(conn, plan, before.unwrap_or(&survey.violations), &now).map(drop)
}

/// A hash of the schema, statement by statement: equal after a second run of the same plan on the
/// same schema.
pub fn fingerprint(conn: &Connection) -> Result<String> {
    let doing = || "reading the schema".to_owned();
    let sql =
        "SELECT type, name, tbl_name, sql FROM main.sqlite_schema ORDER BY type, name, tbl_name";
    let mut statement = conn.prepare(sql).context(doing)?;
    let mut rows = statement.query([]).context(doing)?;
    let mut hasher = blake3::Hasher::new();
    while let Some(row) = rows.next().context(doing)? {
        for i in 0..4 {
            let part: Option<String> = row.get(i).context(doing)?;
            let part = part.unwrap_or_default();
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}
