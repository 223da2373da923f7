//! What the rows have to say before a plan runs.

use crate::{
    base::{
        error::{Context, Error, Result, sqlite_message},
        options::{Allow, Options},
        text::things,
    },
    rehearse::{UNTOUCHED, checks::violations, count, failed},
    schema::plan::model::{Group, Plan, Question, Statement},
    sqlite::{
        calls,
        quote::{ident, told},
        touched_rows,
    },
};
use rusqlite::Connection;
use std::collections::BTreeSet;

/// What a change has looked at of all that it has to do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// All of it: what it has not read does not matter to it.
    AtAll,
    /// Of some tables only at rows that others had written: any commit may matter to it.
    AtSome,
}

/// The option that tells of a rename.
fn renames(rename: &str) -> String {
    format!("\"renames\":{}", serde_json::json!([rename]))
}

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
        Some(pages) => touched_rows::rowids(conn, pages)?,
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

/// As [`measure`], but returns what it would refuse.
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
            calls::name(conn)
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
