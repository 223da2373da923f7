//! A schema change on a clone: settings, migrations, what the rows have to say, the plan, and the
//! checks.
//!
//! Everything works on any plain connection. But for [`prepare`], all of it runs inside a
//! transaction of the caller's.
use crate::{
    constrain,
    error::{Context, Error, Result, sqlite_message},
    job::Looked,
    options::{Allow, Options},
    quote::{ident, literal, told},
    rows::Rows,
    schema::{
        self, Declared, diff,
        plan::{Group, Plan, Question, Statement, Violations},
    },
    sqlite,
    strangers::{self, Stranger},
    touched,
};
use rusqlite::{Connection, config::DbConfig, ffi};
use std::{
    collections::BTreeSet,
    ffi::{CStr, CString, c_int},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr,
    time::{Duration, Instant},
};

pub use crate::migrate::{Migrated, Ran, migrations};

/// Sets a connection up for changing a schema, and loads `libraries` into it. Outside any
/// transaction.
pub fn prepare(conn: &Connection, libraries: &[PathBuf]) -> Result<()> {
    let doing = || "preparing the connection to the clone".to_owned();
    if !conn.is_autocommit() {
        return Err(Error::internal(
            "a connection was to be prepared inside a transaction, where foreign_keys cannot be set",
        ));
    }
    use DbConfig as C;
    for (setting, on) in [
        (C::SQLITE_DBCONFIG_ENABLE_FKEY, false),
        (C::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, true),
        (C::SQLITE_DBCONFIG_DEFENSIVE, false),
        (C::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        (C::SQLITE_DBCONFIG_ENABLE_TRIGGER, true),
        (C::SQLITE_DBCONFIG_ENABLE_VIEW, true),
        // Schemas with "strings" in double quotes are about, and have to load.
        (C::SQLITE_DBCONFIG_DQS_DDL, true),
        (C::SQLITE_DBCONFIG_DQS_DML, true),
    ] {
        conn.set_db_config(setting, on).context(doing)?;
    }
    conn.execute_batch("PRAGMA recursive_triggers = OFF; PRAGMA ignore_check_constraints = OFF")
        .context(doing)?;
    // One of two arguments takes an address for a module of functions, and calls it. A host may
    // have it on.
    let _ = conn.set_db_config(C::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false);
    load_extensions(conn, libraries)
}

/// Loads libraries, which are those that [`crate::live::Live::libraries`] gave, wherever there is a
/// live database.
pub(crate) fn load_extensions(conn: &Connection, libraries: &[PathBuf]) -> Result<()> {
    for library in libraries {
        load_extension(conn, library).map_err(|why| {
            Error::invalid_argument(format!("the extension {} cannot be loaded: {why}", library.display()))
                .object(library.display().to_string())
                .state("Live is unchanged")
                .hint(
                    "Check `extensions`: a library of this machine's kind, with the entry point that SQLite looks for",
                )
        })?;
    }
    Ok(())
}

/// Loads a library. Loading is on for no longer than that.
fn load_extension(conn: &Connection, library: &Path) -> std::result::Result<(), String> {
    let path = CString::new(library.as_os_str().as_bytes()).map_err(|e| e.to_string())?;
    let allow = |on: c_int| {
        // SAFETY: the handle is open; this verb takes an int and a pointer that may be NULL.
        unsafe {
            ffi::sqlite3_db_config(
                conn.handle(),
                ffi::SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION,
                on,
                ptr::null_mut::<c_int>(),
            )
        }
    };
    let mut why = ptr::null_mut();
    allow(1);
    // SAFETY: as above; a message that SQLite gives is freed below.
    let code =
        unsafe { ffi::sqlite3_load_extension(conn.handle(), path.as_ptr(), ptr::null(), &mut why) };
    allow(0);
    if code == ffi::SQLITE_OK {
        return Ok(());
    }
    if why.is_null() {
        return Err(format!("SQLite's error {code}"));
    }
    // SAFETY: SQLite gave a NUL-terminated text that is the caller's to free.
    let message = unsafe {
        let message = CStr::from_ptr(why).to_string_lossy().into_owned();
        ffi::sqlite3_free(why.cast());
        message
    };
    // SQLite tries the name with .so behind it as well, and tells of that only: the file's own
    // fault is the loader's to tell.
    Err(if library.is_file() {
        loader_says(&path).unwrap_or(message)
    } else {
        message
    })
}

/// Why a library cannot be loaded; `None` where it can.
fn loader_says(path: &CStr) -> Option<String> {
    // SAFETY: the path ends in NUL; dlerror gives a text that stays until the next call on this
    // thread, and is copied before.
    unsafe {
        if !libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL).is_null() {
            return None;
        }
        let why = libc::dlerror();
        (!why.is_null()).then(|| CStr::from_ptr(why).to_string_lossy().into_owned())
    }
}

/// The option that tells of a rename.
fn renames(rename: &str) -> String {
    format!("\"renames\":{}", serde_json::json!([rename]))
}

pub(crate) const ON_THE_CLONE: &str = "Only the clone was changed";

/// Asks the rows what the plan has to know, before any of its statements runs: counts what each
/// takes away, and refuses what the rows do not allow, or what nobody has said may be done.
pub fn measure(conn: &Connection, plan: &mut Plan, options: &Options) -> Result<()> {
    survey(conn, plan, options)?
        .into_iter()
        .next()
        .map_or(Ok(()), Err)
}

/// Asks the rows again, before a second run of the plan: what others have written since may need
/// leave that nobody has given. `pages`: those that they have written since the rows were asked
/// last, where that is known.
pub(crate) fn ask_again(
    conn: &Connection,
    plan: &Plan,
    options: &Options,
    pages: Option<&BTreeSet<u32>>,
) -> Result<Looked> {
    let asks_rows = |(_, question): &(usize, Question)| {
        matches!(question, Question::Nulls { .. } | Question::Check { .. })
    };
    let rows = match pages.filter(|_| plan.questions.iter().any(asks_rows)) {
        Some(pages) => touched::rowids(conn, pages)?,
        None => None,
    };
    for (_, question) in &plan.questions {
        let refusal = match question {
            // These only count, whatever it takes.
            Question::Rows { .. } | Question::Values { .. } => None,
            // Nothing that they find is refused.
            Question::Columns { .. } | Question::Tables { .. } | Question::Kind { .. }
                if options.allow.contains(&Allow::Drop) =>
            {
                None
            }
            question => ask(conn, question, options, rows.as_ref())?.refusal,
        };
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
    }
    Ok(if rows.is_some() {
        Looked::AtSome
    } else {
        Looked::AtAll
    })
}

/// As [`measure`], but gives what it would refuse.
pub fn survey(conn: &Connection, plan: &mut Plan, options: &Options) -> Result<Vec<Error>> {
    if plan.violations.is_none() {
        plan.violations = Some(violations(conn)?);
    }
    let mut refusals = Vec::new();
    for (at, question) in plan.questions.clone() {
        let mut answer = ask(conn, &question, options, None)?;
        if answer.needed_at.is_empty() {
            answer.needed_at.push(at);
        }
        for at in answer.needed_at {
            let Some(statement) = plan.statements.get_mut(at) else {
                continue;
            };
            // What is harder to get leave for stands first.
            let rank = |needs: Option<&str>| {
                ["drop", "type_change", "lossy"]
                    .iter()
                    .position(|n| Some(*n) == needs)
            };
            if rank(answer.needs) > rank(statement.needs) {
                statement.needs = answer.needs;
            }
        }
        let Some(statement) = plan.statements.get_mut(at) else {
            continue;
        };
        if let Some(loses) = answer.loses {
            statement.loses = Some(match statement.loses.take() {
                Some(before) => format!("{before}; {loses}"),
                None => loses,
            });
        }
        refusals.extend(answer.refusal);
    }
    if options.allow.contains(&Allow::Lossy) {
        for statement in &mut plan.statements {
            if let Some(filling) = statement.filling.take() {
                statement.sql = filling;
                statement.fills = true;
            }
        }
    }
    // What has to be decided by a person comes before what the rows do not allow.
    refusals.sort_by_key(|e| e.code() != "ambiguous_rename");
    Ok(refusals)
}

/// How large the tables are, with their indexes, whose rows the plan writes again: those that are
/// rebuilt or lose a column. As far as this SQLite can tell.
pub(crate) fn rewritten_bytes(conn: &Connection, plan: &Plan) -> Result<u64> {
    let now = |declared: &String| {
        let renamed = plan.renamed.iter().find(|(_, to)| *to == declared);
        renamed
            .map_or(declared, |(from, _)| from)
            .to_ascii_lowercase()
    };
    let loses = plan
        .questions
        .iter()
        .filter_map(|(_, question)| match question {
            Question::Values { table, .. } => Some(table.to_ascii_lowercase()),
            _ => None,
        });
    let tables: BTreeSet<String> = plan.rebuilt.iter().map(now).chain(loses).collect();
    if tables.is_empty() {
        return Ok(0);
    }
    let doing = || {
        format!(
            "measuring the tables of {} that the plan writes again",
            sqlite::name(conn)
        )
    };
    let sql = "SELECT coalesce(sum(pgsize), 0) FROM dbstat
               WHERE aggregate = TRUE AND name IN (SELECT name FROM main.sqlite_schema WHERE lower(tbl_name) = ?1)";
    let mut query = match conn.prepare(sql) {
        Ok(query) => query,
        // A host's SQLite need not have dbstat.
        Err(e) if sqlite_message(&e).contains("dbstat") => return Ok(0),
        Err(e) => return Err(e).context(doing),
    };
    let mut bytes = 0;
    for table in tables {
        bytes += query
            .query_row([table], |row| row.get::<_, i64>(0))
            .context(doing)?
            .unsigned_abs();
    }
    Ok(bytes)
}

#[derive(Default)]
struct Answer {
    loses: Option<String>,
    needs: Option<&'static str>,
    /// The statements that need it: that of the question, where there are no others.
    needed_at: Vec<usize>,
    refusal: Option<Error>,
}

fn count(conn: &Connection, sql: &str) -> rusqlite::Result<u64> {
    conn.query_row(sql, [], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

fn things(n: u64, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}

const UNTOUCHED: &str = "Nothing was changed";

/// Counts the rows for which `condition` holds, of all or of `rows` alone.
fn failing(
    conn: &Connection,
    from: &str,
    condition: &str,
    rowid: Option<&str>,
    rows: Option<&BTreeSet<i64>>,
) -> rusqlite::Result<u64> {
    let sql = format!("SELECT count(*) FROM {from} WHERE ({condition})");
    let Some((rowid, rows)) = rowid.zip(rows) else {
        return count(conn, &sql);
    };
    let mut one = conn.prepare(&format!("{sql} AND {rowid} = ?1"))?;
    let mut found = 0;
    for row in rows {
        found += one
            .query_row([row], |row| row.get::<_, i64>(0))?
            .unsigned_abs();
    }
    Ok(found)
}

/// Of the questions that one row answers by itself, `rows` alone are asked, where they are given.
fn ask(
    conn: &Connection,
    question: &Question,
    options: &Options,
    only: Option<&BTreeSet<i64>>,
) -> Result<Answer> {
    let number = |sql: &str, table: &str| {
        count(conn, sql).context(|| format!("counting the rows of {table}"))
    };
    let rows = |table: &str| number(&format!("SELECT count(*) FROM {}", ident(table)), table);
    let values = |table: &str, column: &str| {
        number(
            &format!("SELECT count({}) FROM {}", ident(column), ident(table)),
            table,
        )
    };
    let mut answer = Answer::default();
    match question {
        Question::Rows { table } => {
            // A virtual table may be of a module that is not here; dropping it says so.
            let n = rows(table).unwrap_or(0);
            answer.loses = (n > 0).then(|| things(n, "row"));
        }
        Question::Values { table, column } => {
            let n = values(table, column).unwrap_or(0);
            if n > 0 {
                answer.loses = Some(format!(
                    "{}, {n} with a value in {column}",
                    things(rows(table)?, "row")
                ));
            }
        }
        Question::Retype {
            table,
            column,
            from,
            to,
            affinities,
        } => {
            let n = values(table, column)?;
            if n == 0 {
                return Ok(answer);
            }
            let (changed, lost) = retype(conn, table, column, *affinities)?;
            if changed == 0 {
                return Ok(answer);
            }
            let (from, to) = (named_type(from), named_type(to));
            let back = match lost {
                0 => "which can be converted back".to_owned(),
                lost => format!("{lost} of which cannot be converted back"),
            };
            let counts = format!("{} of {n}, {back}", things(changed, "value"));
            let leave = if lost > 0 { "lossy" } else { "type_change" };
            answer.needs = Some(leave);
            answer.loses = Some(format!("{counts}: {column} from {from} to {to}"));
            let allowed = options.allow.contains(&Allow::Lossy)
                || (lost == 0 && options.allow.contains(&Allow::TypeChange));
            if !allowed {
                let what = format!(
                    "the type of {table}.{column} would change from {from} to {to}, which changes {counts}"
                );
                let error = Error::lossy_change(what)
                    .object(format!("{table}.{column}"))
                    .state(UNTOUCHED);
                answer.refusal = Some(error.hint(format!(
                    "Allow it with \"allow\":[\"{leave}\"], declare it as a rename of another column, or convert the values in a \
                     migration"
                )));
            }
        }
        Question::Cast {
            table,
            column,
            cast,
        } => {
            let (t, c) = (ident(table), ident(column));
            let new = cast.sql(&c);
            let changed = number(
                &format!("SELECT count(*) FROM {t} WHERE ({new}) IS NOT {c}"),
                table,
            )?;
            let not = number(
                &format!("SELECT count(*) FROM {t} WHERE {c} IS NOT NULL AND ({new}) IS NULL"),
                table,
            )?;
            answer.loses = (changed > 0).then(|| {
                format!(
                    "{} converted: {column} from {} to {}",
                    things(changed, "value"),
                    cast.from,
                    cast.to
                )
            });
            answer.refusal = (not > 0).then(|| {
                Error::check_failed(format!(
                    "{table}.{column} would become {} from {}, and {} cannot be converted",
                    cast.to,
                    cast.from,
                    things(not, "value")
                ))
                .object(format!("{table}.{column}"))
                .state(UNTOUCHED)
                .hint("Correct these values before publishing, or convert them in a migration")
            });
        }
        Question::Computed {
            table,
            column,
            expr,
        } => {
            let differ = format!(
                "SELECT count(*) FROM {} WHERE {} IS NOT ({expr})",
                ident(table),
                ident(column)
            );
            let n = count(conn, &differ).or_else(|_| values(table, column))?;
            if n > 0 {
                answer.needs = Some("lossy");
                answer.loses = Some(format!(
                    "{} in {column}, which is computed from now on",
                    things(n, "value")
                ));
                answer.refusal = (!options.allow.contains(&Allow::Lossy)).then(|| {
                    Error::lossy_change(format!(
                        "{table}.{column} would be computed as ({expr}), and {} of it are others",
                        things(n, "value")
                    ))
                    .object(format!("{table}.{column}"))
                    .state(UNTOUCHED)
                    .hint("Allow it with \"allow\":[\"lossy\"], or give the computed column another name")
                });
            }
        }
        Question::Nulls {
            table,
            column,
            default,
            rowid,
        } => {
            let is_null = format!("{} IS NULL", ident(column));
            let n = failing(conn, &ident(table), &is_null, *rowid, only)
                .context(|| format!("counting the rows of {table}"))?;
            if n == 0 {
                return Ok(answer);
            }
            let what = format!(
                "{table}.{column} would be NOT NULL, and is NULL in {}",
                things(n, "row")
            );
            if let Some(default) = default {
                answer.needs = Some("lossy");
                answer.loses = Some(format!(
                    "{} in {column}, which becomes {default}",
                    things(n, "NULL")
                ));
                answer.refusal = (!options.allow.contains(&Allow::Lossy)).then(|| {
                    Error::lossy_change(what).hint(format!(
                        "Allow it with \"allow\":[\"lossy\"] to fill in {default}, or fill it in with a migration"
                    ))
                });
            } else {
                answer.refusal = Some(
                    Error::check_failed(what)
                        .hint("Give it a DEFAULT, or fill it in with a migration"),
                );
            }
            answer.refusal = answer
                .refusal
                .map(|e| e.object(format!("{table}.{column}")).state(UNTOUCHED));
        }
        Question::Check {
            table,
            new_name,
            named,
            expr,
            sql,
            rowid,
        } => {
            let from = format!("main.{} AS {}", ident(table), ident(new_name));
            let n = failing(conn, &from, &format!("NOT ({expr})"), *rowid, only)
                .map_err(|e| could_not_check(table, expr, sql, &e))?;
            if n == 0 {
                return Ok(answer);
            }
            // Of rows that others have just written it is not worth while to count all.
            let of = if only.is_some() {
                String::new()
            } else {
                format!(" of {}", things(rows(table)?, "row"))
            };
            let named = named.as_ref().unwrap_or(expr);
            let error = Error::ddl_failed(format!(
                "add_constraint of {table} failed: CHECK constraint failed: {named}: {n}{of} {} not pass",
                if n == 1 { "does" } else { "do" }
            ));
            answer.refusal = Some(
                error
                    .object(table)
                    .sql(sql)
                    .state(UNTOUCHED)
                    .hint("Correct the declared schema, or the rows that stand in its way"),
            );
        }
        Question::Rowids { table, column } => {
            let c = ident(column);
            let is = format!(
                "typeof({c}) IN ('integer', 'real', 'text') AND {c} = CAST({c} AS INTEGER)"
            );
            let n = number(
                &format!("SELECT count(*) FROM {} WHERE NOT ({is})", ident(table)),
                table,
            )?;
            answer.refusal = (n > 0).then(|| {
                let what = format!(
                    "{table}.{column} would be INTEGER PRIMARY KEY, and is no integer in {}",
                    things(n, "row")
                );
                let error = Error::check_failed(what)
                    .object(format!("{table}.{column}"))
                    .state(UNTOUCHED);
                error.hint("Give these rows an integer, with a migration or before publishing")
            });
        }
        Question::NoValue { table, column } => {
            let n = rows(table)?;
            answer.refusal = (n > 0).then(|| {
                let what = format!(
                    "the new column {table}.{column} is NOT NULL without a DEFAULT, and {table} has {}",
                    things(n, "row")
                );
                let error = Error::check_failed(what).object(format!("{table}.{column}")).state(UNTOUCHED);
                error.hint(
                    "Give it a DEFAULT, or add it without NOT NULL, fill it in with a migration, and require it then",
                )
            });
        }
        Question::Unique {
            table,
            object,
            columns,
            condition,
        } => {
            answer.refusal = duplicates(conn, table, object, columns, condition.as_deref());
        }
        Question::Columns { table, group } => {
            let gone = with_data(group, &mut answer, |column| {
                values(table, column).map(|n| n > 0)
            })?;
            let fit = group.fits.iter().find(|(from, _)| gone.contains(from));
            if let Some((from, to)) = fit.filter(|_| !options.allow.contains(&Allow::Drop)) {
                let error = Error::ambiguous_rename(format!(
                    "{table} loses {}, which {} values, and gains {}",
                    gone.join(", "),
                    have(&gone),
                    group.come.join(", ")
                ));
                let object = format!("{table}.{from}");
                let from = told(from);
                let hint = format!(
                    "Say that it is a rename, with {} or a comment @renamed from={from} beside the column, \
                     or that the drop is meant, with \"allow\":[\"drop\"]",
                    renames(&format!("{}.{from}={}", told(table), told(to)))
                );
                answer.refusal = Some(error.object(object).state(UNTOUCHED).hint(hint));
            }
        }
        Question::Kind { table, becomes } => {
            let n = rows(table)?;
            if n > 0 {
                answer.needs = Some("drop");
            }
            if n > 0 && !options.allow.contains(&Allow::Drop) {
                let error = Error::lossy_change(format!(
                    "{table} has {}, and is declared as {becomes}: nothing carries them over",
                    things(n, "row")
                ));
                answer.refusal = Some(error.object(table).state(UNTOUCHED).hint(
                    "Declare it under another name and move the rows with a migration, or say that they may go, with \"allow\":[\"drop\"]",
                ));
            }
        }
        Question::Tables { group, app } => {
            let gone = with_data(group, &mut answer, |table| rows(table).map(|n| n > 0))?;
            let fit = group.fits.iter().find(|(from, _)| gone.contains(from));
            if let Some((object, to)) = fit.filter(|_| !options.allow.contains(&Allow::Drop)) {
                let from = told(object);
                let (whose, place) = if *app {
                    (
                        "app",
                        format!("/** @renamed from={from} */ above the table's export"),
                    )
                } else {
                    (
                        "schema",
                        format!("a comment @renamed from={from} before the table"),
                    )
                };
                let error = Error::ambiguous_rename(format!(
                    "the {whose} loses {}, which {} rows, and gains {}",
                    gone.join(", "),
                    have(&gone),
                    group.come.join(", ")
                ));
                let hint = format!(
                    "Say that it is a rename, with {} or {place}, or that the drop is meant, with \"allow\":[\"drop\"]",
                    renames(&format!("{from}={}", told(to)))
                );
                answer.refusal = Some(error.object(object).state(UNTOUCHED).hint(hint));
            }
        }
    }
    Ok(answer)
}

/// A CHECK that SQLite cannot ask the rows about: it calls what nobody has here, say.
fn could_not_check(table: &str, expr: &str, sql: &str, e: &rusqlite::Error) -> Error {
    let statement = Statement::new("add_constraint", table.to_owned(), sql.to_owned());
    failed(&statement, table, e)
        .state(UNTOUCHED)
        .more(format!("CHECK ({expr})"))
}

fn have(names: &[String]) -> &'static str {
    if names.len() == 1 { "has" } else { "have" }
}

/// What goes and has data, each of whose statements needs leave.
fn with_data(
    group: &Group,
    answer: &mut Answer,
    has: impl Fn(&str) -> Result<bool>,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (name, at) in &group.gone {
        if has(name)? {
            found.push(name.clone());
            answer.needs = Some("drop");
            answer.needed_at.push(*at);
        }
    }
    Ok(found)
}

fn named_type(declared: &str) -> &str {
    if declared.is_empty() {
        "no type"
    } else {
        declared
    }
}

/// How many values a column's new affinity changes, and how many of them the old one does not bring
/// back. A temporary table converts them: no expression of SQL does what storing a value does.
fn retype(
    conn: &Connection,
    table: &str,
    column: &str,
    affinities: (&str, &str),
) -> Result<(u64, u64)> {
    let doing = || format!("counting what a new type changes in {table}.{column}");
    let (old, new) = affinities;
    conn.execute_batch(&format!(
        "DROP TABLE IF EXISTS temp._remy_measure;
         CREATE TEMP TABLE _remy_measure (was BLOB, new {new}, back {old});
         INSERT INTO temp._remy_measure (was, new) SELECT {c}, {c} FROM main.{t} WHERE {c} IS NOT NULL;
         DELETE FROM temp._remy_measure WHERE was IS new AND typeof(was) = typeof(new);
         UPDATE temp._remy_measure SET back = new;",
        c = ident(column),
        t = ident(table),
    ))
    .context(doing)?;
    let changed = count(conn, "SELECT count(*) FROM temp._remy_measure").context(doing)?;
    let lost = "SELECT count(*) FROM temp._remy_measure WHERE NOT (was IS back AND typeof(was) = typeof(back))";
    let lost = count(conn, lost).context(doing)?;
    conn.execute_batch("DROP TABLE temp._remy_measure")
        .context(doing)?;
    Ok((changed, lost))
}

/// A refusal where rows stand in the way of a new UNIQUE. What cannot be asked by the names of now,
/// the plan will say.
fn duplicates(
    conn: &Connection,
    table: &str,
    object: &str,
    columns: &[String],
    condition: Option<&str>,
) -> Option<Error> {
    let present: Vec<String> = columns
        .iter()
        .map(|column| format!("({column}) IS NOT NULL"))
        .collect();
    let sql = format!(
        "SELECT count(*), ifnull(sum(n), 0) FROM (SELECT count(*) AS n FROM {} WHERE {} AND ({}) GROUP BY {} HAVING count(*) > 1)",
        ident(table),
        present.join(" AND "),
        condition.unwrap_or("1"),
        columns.join(", "),
    );
    let (groups, rows): (i64, i64) = conn
        .query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .ok()?;
    (groups > 0).then(|| {
        let (rows, groups) = (
            things(rows.unsigned_abs(), "row"),
            things(groups.unsigned_abs(), "value"),
        );
        Error::check_failed(format!(
            "{object} on {table} is not possible: {rows} share {groups}"
        ))
        .object(object)
        .state(UNTOUCHED)
        .hint("Make the rows differ, with a migration or before publishing, or leave UNIQUE out")
    })
}

/// Runs a plan inside the caller's transaction. `on` is told of each statement, and how long it
/// took.
pub fn apply(
    conn: &Connection,
    plan: &Plan,
    on: &mut dyn FnMut(&Statement, Duration),
) -> Result<()> {
    run(conn, plan, on, true)
}

/// Runs a plan once more, maybe while writers wait: what fails is not looked into.
pub fn apply_again(conn: &Connection, plan: &Plan) -> Result<()> {
    run(conn, plan, &mut |_, _| {}, false)
}

fn run(
    conn: &Connection,
    plan: &Plan,
    on: &mut dyn FnMut(&Statement, Duration),
    looks: bool,
) -> Result<()> {
    for statement in &plan.statements {
        let started = Instant::now();
        let once = || match &statement.adds {
            Some(added) => constrain::add(conn, added, statement.fills),
            None if statement.follow_names => following_names(conn, &statement.sql),
            None => conn.execute_batch(&statement.sql),
        };
        let outcome = match once() {
            Err(e) if statement.renames() && Stranger::behind(&e).is_some() => {
                renaming(conn, once)?
            }
            outcome => outcome,
        };
        outcome.map_err(|e| {
            let failed = failed(statement, &plan.now(&statement.object), &e);
            match looks.then(|| rows_that_fail(conn, statement, &e)).flatten() {
                Some(rows) => failed.more(rows),
                None => failed,
            }
        })?;
        on(statement, started.elapsed());
    }
    Ok(())
}

/// How many rows do not come over into the new table, where a constraint kept the copy from being
/// made. What is left on the clone is thrown away with it.
fn rows_that_fail(conn: &Connection, statement: &Statement, e: &rusqlite::Error) -> Option<String> {
    let copy = statement.sql.strip_prefix("INSERT OR ABORT INTO ")?;
    if statement.kind != "rebuild_table"
        || e.sqlite_error_code() != Some(rusqlite::ErrorCode::ConstraintViolation)
    {
        return None;
    }
    let all = count(
        conn,
        &format!("SELECT count(*) FROM main.{}", ident(&statement.object)),
    )
    .ok()?;
    let fit = conn
        .execute(&format!("INSERT OR IGNORE INTO {copy}"), [])
        .ok()?;
    let fail = all.checked_sub(u64::try_from(fit).ok()?)?;
    Some(format!(
        "{fail} of {} {} not pass",
        things(all, "row"),
        if fail == 1 { "does" } else { "do" }
    ))
}

/// Renames something in a schema that names what is not here. To rename, SQLite compiles every
/// index, whatever it is on, and runs none: it writes to its own tables only, so that a stand-in
/// decides nothing.
fn renaming(
    conn: &Connection,
    rename: impl Fn() -> rusqlite::Result<()>,
) -> Result<rusqlite::Result<()>> {
    strangers::standing_in(conn, |stand_ins| {
        loop {
            match rename() {
                Err(e) if stand_ins.take_place(&sqlite_message(&e)) => {}
                outcome => return Ok(outcome),
            }
        }
    })
}

fn following_names(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    let legacy = |on| conn.set_db_config(DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, on);
    legacy(false)?;
    let outcome = conn.execute_batch(sql);
    legacy(true)?;
    outcome
}

/// `object` is what the statement is about, by its name of now.
fn failed(statement: &Statement, object: &str, e: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as C;
    let mut why = sqlite_message(e);
    if let Some((temp, name)) = &statement.stands_for {
        why = why.replace(temp, name);
    }
    let what = format!("{} of {object} failed: {why}", statement.kind);
    let error = match e.sqlite_error_code() {
        Some(
            C::DiskFull
            | C::SystemIoFailure
            | C::DatabaseBusy
            | C::OperationInterrupted
            | C::DatabaseCorrupt,
        ) => {
            return Err::<(), _>(rusqlite::Error::SqliteFailure(
                e.sqlite_error()
                    .copied()
                    .unwrap_or(ffi::Error::new(ffi::SQLITE_ERROR)),
                Some(why),
            ))
            .context(|| format!("{} of {object}", statement.kind))
            .expect_err("made of an error")
            .object(object)
            .sql(&statement.sql)
            .state(ON_THE_CLONE);
        }
        _ => match Stranger::of(&why) {
            Some(stranger) => Error::unsupported_change(what).hint(stranger.hint()),
            None => Error::ddl_failed(what)
                .hint("Correct the declared schema, or the rows that stand in its way"),
        },
    };
    error.object(object).sql(&statement.sql).state(ON_THE_CLONE)
}

/// Every table's foreign keys that do not hold. Give it to a plan made later, where something else
/// changes rows before.
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

/// Fails where a foreign key does not hold that held before. Gives what its caller should know.
fn compare_violations(
    conn: &Connection,
    plan: &Plan,
    before: Option<&Violations>,
    now: &Violations,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let empty = Violations::new();
    let name = |name: &String| {
        plan.renamed
            .get(name)
            .map_or_else(|| name.clone(), |name| name.to_ascii_lowercase())
    };
    let before: Violations = before
        .unwrap_or(&empty)
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
                .state(ON_THE_CLONE)
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
                .state(ON_THE_CLONE)
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
pub fn check(conn: &Connection, plan: &Plan, declared: &Declared, options: &Options) -> Result<()> {
    check_schema(conn, plan, declared, options)?;
    Rows::check(conn, plan.changed.iter().map(String::as_str))?
        .refuse(&Rows::default(), &plan.renamed)
}

/// As [`check`], without the rows. Gives what the caller should know.
pub(crate) fn check_schema(
    conn: &Connection,
    plan: &Plan,
    declared: &Declared,
    options: &Options,
) -> Result<Vec<String>> {
    let warnings = compare_violations(conn, plan, plan.violations.as_ref(), &violations(conn)?)?;
    let mut now = schema::current(conn, declared, options)?;
    now.leave_claimed(&declared.schema, &[]);
    let left = diff::diff(&now, &declared.schema, &[])?;
    match left.first() {
        None => Ok(warnings),
        Some(first) => Err(Error::check_failed(format!(
            "the changed schema is not the declared one: {first:?}"
        ))
        .state(ON_THE_CLONE)
        .hint("This is a mistake of remy's; please report it with both schemas")),
    }
}

/// The checks of a second run, maybe under live's lock: foreign keys of what the plan touches. A
/// migration may have touched any row: then all of them, against what did not hold `before` it.
pub fn recheck(conn: &Connection, plan: &Plan, before: Option<&Violations>) -> Result<()> {
    let now = match before {
        Some(_) => violations(conn)?,
        None => violations_of(conn, plan.foreign_keys.iter().map(String::as_str))?,
    };
    compare_violations(conn, plan, before.or(plan.violations.as_ref()), &now).map(drop)
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
