//! What the rows have to say before a plan runs.

use crate::{
    base::{
        allow::Allow,
        error::{Context, Error, Result, State, sqlite_message},
        options::Options,
        remedy::Part,
        text::things,
    },
    rehearse::{checks::violations, count, failed, survey::Survey},
    remedy,
    schema::{
        logical::Cast,
        plan::model::{Group, Plan, Question, Statement, StatementKind, Violations},
    },
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

/// Asks the rows what the plan has to know, before any of its statements runs: counts what each
/// takes away, and refuses what the rows do not allow, or what nobody has said may be done.
pub fn measure(conn: &Connection, plan: &Plan, options: &Options) -> Result<Survey> {
    let violations = violations(conn)?;
    let survey = survey(conn, plan, options)?;
    Survey {
        violations,
        ..survey
    }
    .allowed()
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
    let asking = Asking {
        conn,
        options,
        only: rows.as_ref(),
    };
    for (_, question) in &plan.questions {
        let refusal = match question {
            // These only count, whatever it takes.
            Question::Rows { .. } | Question::Values { .. } => None,
            // Nothing that they find is refused.
            Question::Columns { .. } | Question::Tables { .. } | Question::Kind { .. }
                if asking.allows(Allow::Drop) =>
            {
                None
            }
            question => asking.ask(question)?.refusal,
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

/// As [`measure`], but returns what it would refuse, and asks nothing about foreign keys.
pub fn survey(conn: &Connection, plan: &Plan, options: &Options) -> Result<Survey> {
    let asking = Asking {
        conn,
        options,
        only: None,
    };
    let fills = asking.allows(Allow::Lossy);
    let run = plan
        .statements
        .iter()
        .map(|statement| statement.as_it_runs(fills));
    let mut statements: Vec<Statement> = run.collect();
    let mut refusals = Vec::new();
    for (at, question) in &plan.questions {
        let mut answer = asking.ask(question)?;
        if answer.needed_at.is_empty() {
            answer.needed_at.push(*at);
        }
        for at in answer.needed_at {
            if let Some(statement) = statements.get_mut(at)
                && answer.needs.map(Allow::rank) > statement.needs.map(Allow::rank)
            {
                statement.needs = answer.needs;
            }
        }
        let Some(statement) = statements.get_mut(*at) else {
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
    // What has to be decided by a person comes before what the rows do not allow.
    refusals.sort_by_key(|e| !matches!(e, Error::AmbiguousRename(_)));
    Ok(Survey {
        statements,
        refusals,
        violations: Violations::new(),
    })
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
    needs: Option<Allow>,
    /// The statements that need it: that of the question, where there are no others.
    needed_at: Vec<usize>,
    refusal: Option<Error>,
}

/// Who asks the rows.
struct Asking<'a> {
    conn: &'a Connection,
    options: &'a Options,
    /// Of the questions that one row answers by itself, these rows alone are asked.
    only: Option<&'a BTreeSet<i64>>,
}

impl Asking<'_> {
    fn allows(&self, what: Allow) -> bool {
        self.options.allow.contains(&what)
    }

    fn count(&self, sql: &str, table: &str) -> Result<u64> {
        count(self.conn, sql).context(|| format!("counting the rows of {table}"))
    }

    fn rows(&self, table: &str) -> Result<u64> {
        self.count(&format!("SELECT count(*) FROM {}", ident(table)), table)
    }

    fn values(&self, table: &str, column: &str) -> Result<u64> {
        let sql = format!("SELECT count({}) FROM {}", ident(column), ident(table));
        self.count(&sql, table)
    }

    /// Counts the rows for which `condition` holds, by `rowid` where only some are asked.
    fn failing(&self, from: &str, condition: &str, rowid: Option<&str>) -> rusqlite::Result<u64> {
        let sql = format!("SELECT count(*) FROM {from} WHERE ({condition})");
        let Some((rowid, rows)) = rowid.zip(self.only) else {
            return count(self.conn, &sql);
        };
        let mut one = self.conn.prepare(&format!("{sql} AND {rowid} = ?1"))?;
        let mut found = 0;
        for row in rows {
            found += one
                .query_row([row], |row| row.get::<_, i64>(0))?
                .unsigned_abs();
        }
        Ok(found)
    }

    fn ask(&self, question: &Question) -> Result<Answer> {
        match question {
            Question::Rows { table } => Ok(self.rows_that_go(table)),
            Question::Values { table, column } => self.values_that_go(table, column),
            Question::Retype {
                table,
                column,
                from,
                to,
                affinities,
            } => self.retyped((table, column), (from, to), *affinities),
            Question::Cast {
                table,
                column,
                cast,
            } => self.cast(table, column, cast),
            Question::Computed {
                table,
                column,
                expr,
            } => self.computed(table, column, expr),
            Question::Nulls {
                table,
                column,
                default,
                rowid,
            } => self.nulls((table, column), default.as_deref(), *rowid),
            Question::Check {
                table,
                new_name,
                named,
                expr,
                sql,
                rowid,
            } => {
                let named = named.as_ref().unwrap_or(expr);
                self.check((table, new_name), (named, expr), sql, *rowid)
            }
            Question::Rowids { table, column } => self.rowids(table, column),
            Question::NoValue { table, column } => self.no_value(table, column),
            Question::Unique {
                table,
                object,
                columns,
                condition,
            } => Ok(Answer {
                refusal: duplicates(self.conn, table, object, columns, condition.as_deref()),
                ..Answer::default()
            }),
            Question::Columns { table, group } => self.columns(table, group),
            Question::Kind { table, becomes } => self.kind(table, becomes),
            Question::Tables { group, app } => self.tables(group, *app),
        }
    }

    fn rows_that_go(&self, table: &str) -> Answer {
        // A virtual table may be of a module that is not here; dropping it says so.
        let n = self.rows(table).unwrap_or(0);
        Answer {
            loses: (n > 0).then(|| things(n, "row")),
            ..Answer::default()
        }
    }

    fn values_that_go(&self, table: &str, column: &str) -> Result<Answer> {
        let mut answer = Answer::default();
        let n = self.values(table, column).unwrap_or(0);
        if n > 0 {
            let rows = things(self.rows(table)?, "row");
            answer.loses = Some(format!("{rows}, {n} with a value in {column}"));
        }
        Ok(answer)
    }

    fn retyped(
        &self,
        (table, column): (&str, &str),
        (from, to): (&str, &str),
        affinities: (&str, &str),
    ) -> Result<Answer> {
        let mut answer = Answer::default();
        let n = self.values(table, column)?;
        if n == 0 {
            return Ok(answer);
        }
        let (changed, lost) = retype(self.conn, table, column, affinities)?;
        if changed == 0 {
            return Ok(answer);
        }
        let (from, to) = (named_type(from), named_type(to));
        let back = match lost {
            0 => "which can be converted back".to_owned(),
            lost => format!("{lost} of which cannot be converted back"),
        };
        let counts = format!("{} of {n}, {back}", things(changed, "value"));
        let leave = if lost > 0 {
            Allow::Lossy
        } else {
            Allow::TypeChange
        };
        answer.needs = Some(leave);
        answer.loses = Some(format!("{counts}: {column} from {from} to {to}"));
        if !self.allows(Allow::Lossy) && !self.allows(leave) {
            let what = format!(
                "the type of {table}.{column} would change from {from} to {to}, which changes {counts}"
            );
            let hint = remedy![
                "Allow it with ",
                leave,
                ", declare it as a rename of another column, or convert the values in a migration",
            ];
            answer.refusal = Some(of_column(Error::lossy_change(what), table, column).hint(hint));
        }
        Ok(answer)
    }

    fn cast(&self, table: &str, column: &str, cast: &Cast) -> Result<Answer> {
        let (t, c) = (ident(table), ident(column));
        let new = cast.sql(&c);
        let changed = format!("SELECT count(*) FROM {t} WHERE ({new}) IS NOT {c}");
        let changed = self.count(&changed, table)?;
        let not = format!("SELECT count(*) FROM {t} WHERE {c} IS NOT NULL AND ({new}) IS NULL");
        let not = self.count(&not, table)?;
        let Cast { from, to, .. } = cast;
        Ok(Answer {
            loses: (changed > 0).then(|| {
                let values = things(changed, "value");
                format!("{values} converted: {column} from {from} to {to}")
            }),
            refusal: (not > 0).then(|| {
                let what = format!(
                    "{table}.{column} would become {to} from {from}, and {} cannot be converted",
                    things(not, "value")
                );
                of_column(Error::check_failed(what), table, column)
                    .hint("Correct these values before publishing, or convert them in a migration")
            }),
            ..Answer::default()
        })
    }

    fn computed(&self, table: &str, column: &str, expr: &str) -> Result<Answer> {
        let differ = format!(
            "SELECT count(*) FROM {} WHERE {} IS NOT ({expr})",
            ident(table),
            ident(column)
        );
        let n = count(self.conn, &differ).or_else(|_| self.values(table, column))?;
        if n == 0 {
            return Ok(Answer::default());
        }
        let values = things(n, "value");
        Ok(Answer {
            needs: Some(Allow::Lossy),
            loses: Some(format!(
                "{values} in {column}, which is computed from now on"
            )),
            refusal: (!self.allows(Allow::Lossy)).then(|| {
                let what = format!(
                    "{table}.{column} would be computed as ({expr}), and {values} of it are others"
                );
                of_column(Error::lossy_change(what), table, column).hint(remedy![
                    "Allow it with ",
                    Allow::Lossy,
                    ", or give the computed column another name",
                ])
            }),
            ..Answer::default()
        })
    }

    fn nulls(
        &self,
        (table, column): (&str, &str),
        default: Option<&str>,
        rowid: Option<&str>,
    ) -> Result<Answer> {
        let is_null = format!("{} IS NULL", ident(column));
        let n = self
            .failing(&ident(table), &is_null, rowid)
            .context(|| format!("counting the rows of {table}"))?;
        if n == 0 {
            return Ok(Answer::default());
        }
        let what = format!(
            "{table}.{column} would be NOT NULL, and is NULL in {}",
            things(n, "row")
        );
        let Some(default) = default else {
            let error = of_column(Error::check_failed(what), table, column);
            return Ok(Answer {
                refusal: Some(error.hint("Give it a DEFAULT, or fill it in with a migration")),
                ..Answer::default()
            });
        };
        Ok(Answer {
            needs: Some(Allow::Lossy),
            loses: Some(format!(
                "{} in {column}, which becomes {default}",
                things(n, "NULL")
            )),
            refusal: (!self.allows(Allow::Lossy)).then(|| {
                of_column(Error::lossy_change(what), table, column).hint(remedy![
                    "Allow it with ",
                    Allow::Lossy,
                    format!(" to fill in {default}, or fill it in with a migration"),
                ])
            }),
            ..Answer::default()
        })
    }

    /// The CHECK speaks of the table by its new name.
    fn check(
        &self,
        (table, new_name): (&str, &str),
        (named, expr): (&str, &str),
        sql: &str,
        rowid: Option<&str>,
    ) -> Result<Answer> {
        let from = format!("main.{} AS {}", ident(table), ident(new_name));
        let n = self
            .failing(&from, &format!("NOT ({expr})"), rowid)
            .map_err(|e| could_not_check(table, expr, sql, &e))?;
        if n == 0 {
            return Ok(Answer::default());
        }
        // Of rows that others have just written it is not worth while to count all.
        let of = match self.only {
            Some(_) => String::new(),
            None => format!(" of {}", things(self.rows(table)?, "row")),
        };
        let does = if n == 1 { "does" } else { "do" };
        let error = Error::ddl_failed(format!(
            "{} of {table} failed: CHECK constraint failed: {named}: {n}{of} {does} not pass",
            StatementKind::AddConstraint
        ));
        Ok(Answer {
            refusal: Some(
                error
                    .object(table)
                    .sql(sql)
                    .state(State::NothingChanged)
                    .hint("Correct the declared schema, or the rows that stand in its way"),
            ),
            ..Answer::default()
        })
    }

    fn rowids(&self, table: &str, column: &str) -> Result<Answer> {
        let c = ident(column);
        let is =
            format!("typeof({c}) IN ('integer', 'real', 'text') AND {c} = CAST({c} AS INTEGER)");
        let sql = format!("SELECT count(*) FROM {} WHERE NOT ({is})", ident(table));
        let n = self.count(&sql, table)?;
        Ok(Answer {
            refusal: (n > 0).then(|| {
                let what = format!(
                    "{table}.{column} would be INTEGER PRIMARY KEY, and is no integer in {}",
                    things(n, "row")
                );
                of_column(Error::check_failed(what), table, column)
                    .hint("Give these rows an integer, with a migration or before publishing")
            }),
            ..Answer::default()
        })
    }

    fn no_value(&self, table: &str, column: &str) -> Result<Answer> {
        let n = self.rows(table)?;
        Ok(Answer {
            refusal: (n > 0).then(|| {
                let what = format!(
                    "the new column {table}.{column} is NOT NULL without a DEFAULT, and {table} has {}",
                    things(n, "row")
                );
                of_column(Error::check_failed(what), table, column).hint(
                    "Give it a DEFAULT, or add it without NOT NULL, fill it in with a migration, and require it then",
                )
            }),
            ..Answer::default()
        })
    }

    fn columns(&self, table: &str, group: &Group) -> Result<Answer> {
        let (mut answer, gone) = with_data(group, |column| Ok(self.values(table, column)? > 0))?;
        let fit = group.fits.iter().find(|(from, _)| gone.contains(from));
        if let Some((from, to)) = fit.filter(|_| !self.allows(Allow::Drop)) {
            let error = Error::ambiguous_rename(format!(
                "{table} loses {}, which {} values, and gains {}",
                gone.join(", "),
                have(&gone),
                group.come.join(", ")
            ));
            let error = of_column(error, table, from);
            let from = told(from);
            let rename = format!("{}.{from}={}", told(table), told(to));
            let hint = remedy![
                "Say that it is a rename, with ",
                Part::Rename { rename },
                format!(
                    " or a comment @renamed from={from} beside the column, or that the drop is meant, with "
                ),
                Allow::Drop,
            ];
            answer.refusal = Some(error.hint(hint));
        }
        Ok(answer)
    }

    fn kind(&self, table: &str, becomes: &str) -> Result<Answer> {
        let n = self.rows(table)?;
        if n == 0 {
            return Ok(Answer::default());
        }
        Ok(Answer {
            needs: Some(Allow::Drop),
            refusal: (!self.allows(Allow::Drop)).then(|| {
                Error::lossy_change(format!(
                    "{table} has {}, and is declared as {becomes}: nothing carries them over",
                    things(n, "row")
                ))
                .object(table)
                .state(State::NothingChanged)
                .hint(remedy![
                    "Declare it under another name and move the rows with a migration, or say that they may go, with ",
                    Allow::Drop,
                ])
            }),
            ..Answer::default()
        })
    }

    fn tables(&self, group: &Group, app: bool) -> Result<Answer> {
        let (mut answer, gone) = with_data(group, |table| Ok(self.rows(table)? > 0))?;
        let fit = group.fits.iter().find(|(from, _)| gone.contains(from));
        if let Some((object, to)) = fit.filter(|_| !self.allows(Allow::Drop)) {
            let from = told(object);
            let (whose, place) = if app {
                let place = format!("/** @renamed from={from} */ above the table's export");
                ("app", place)
            } else {
                let place = format!("a comment @renamed from={from} before the table");
                ("schema", place)
            };
            let error = Error::ambiguous_rename(format!(
                "the {whose} loses {}, which {} rows, and gains {}",
                gone.join(", "),
                have(&gone),
                group.come.join(", ")
            ));
            let rename = format!("{from}={}", told(to));
            let hint = remedy![
                "Say that it is a rename, with ",
                Part::Rename { rename },
                format!(" or {place}, or that the drop is meant, with "),
                Allow::Drop,
            ];
            answer.refusal = Some(error.object(object).state(State::NothingChanged).hint(hint));
        }
        Ok(answer)
    }
}

/// An error about a column, before anything has changed.
fn of_column(error: Error, table: &str, column: &str) -> Error {
    error
        .object(format!("{table}.{column}"))
        .state(State::NothingChanged)
}

/// A CHECK that SQLite cannot ask the rows about: it calls what nobody has here, say.
fn could_not_check(table: &str, expr: &str, sql: &str, e: &rusqlite::Error) -> Error {
    let statement = Statement::new(
        StatementKind::AddConstraint,
        table.to_owned(),
        sql.to_owned(),
    );
    failed(&statement, table, e)
        .state(State::NothingChanged)
        .more(format!("CHECK ({expr})"))
}

fn have(names: &[String]) -> &'static str {
    if names.len() == 1 { "has" } else { "have" }
}

/// What goes and has data, each of whose statements needs leave.
fn with_data(group: &Group, has: impl Fn(&str) -> Result<bool>) -> Result<(Answer, Vec<String>)> {
    let (mut answer, mut found) = (Answer::default(), Vec::new());
    for (name, at) in &group.gone {
        if has(name)? {
            found.push(name.clone());
            answer.needs = Some(Allow::Drop);
            answer.needed_at.push(*at);
        }
    }
    Ok((answer, found))
}

fn named_type(declared: &str) -> &str {
    if declared.is_empty() {
        "no type"
    } else {
        declared
    }
}

/// A connection that only reads, and writes as long as this lives.
struct Writes<'c>(&'c Connection);

impl<'c> Writes<'c> {
    fn on(conn: &'c Connection) -> Self {
        let _ = conn.execute_batch("PRAGMA query_only = OFF");
        Self(conn)
    }
}

impl Drop for Writes<'_> {
    fn drop(&mut self) {
        let _ = self.0.execute_batch("PRAGMA query_only = ON");
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
    // Where live is only read, this is still to be written: SQLite counts temporary tables in.
    let only_reads: bool = conn
        .query_row("PRAGMA query_only", [], |row| row.get(0))
        .context(doing)?;
    let _writes = only_reads.then(|| Writes::on(conn));
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
        .state(State::NothingChanged)
        .hint("Make the rows differ, with a migration or before publishing, or leave UNIQUE out")
    })
}
