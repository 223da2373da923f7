//! Runs migrations on a clone, inside a transaction of the caller's.
use crate::{
    authorizer::Authorizer,
    error::{Context, Error, Result},
    migration::Migration,
    prepared::{Prepared, Script},
    quote::{cut, ident},
    rehearse::ON_THE_CLONE,
    schema::{lex, plan::Statement},
};
use rusqlite::{Connection, OptionalExtension, config::DbConfig};
use std::{
    ops::Range,
    time::{Duration, Instant, SystemTime},
};

/// A migration file that ran.
#[derive(Debug, Clone)]
pub struct Migrated {
    /// The file's name.
    pub name: String,
    /// The BLAKE3 hash of its text.
    pub hash: String,
    /// The file as a statement of the plan.
    pub statement: Statement,
}

/// Runs the migrations that have not run yet, in order, and records them.
pub fn migrations(
    conn: &Connection,
    files: &[Migration],
    on: &mut dyn FnMut(&Statement, Duration),
) -> Result<Vec<Migrated>> {
    let doing = || "recording the migrations".to_owned();
    let recorded = "CREATE TABLE IF NOT EXISTS _remy_migrations (name TEXT PRIMARY KEY, hash TEXT, applied_at INTEGER)";
    if files.is_empty() {
        return Ok(Vec::new());
    }
    conn.execute_batch(recorded).context(doing)?;
    let mut ran = Vec::new();
    for Migration { name, text } in files {
        let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
        let before: Option<String> = conn
            .query_row("SELECT hash FROM main._remy_migrations WHERE name = ?1", [name], |row| row.get(0))
            .optional()
            .context(doing)?;
        match before {
            Some(before) if before == hash => continue,
            Some(_) => {
                return Err(Error::invalid_argument(format!(
                    "the migration {name} ran before, and its file has changed since"
                ))
                .object(name)
                .state(ON_THE_CLONE)
                .hint("Put the file back as it was, and the change into a new one"));
            }
            None => {}
        }
        let started = Instant::now();
        let own = own_names(conn)?;
        renaming_as_sqlite_does(conn, || run_migration(conn, name, text))?;
        // The one way that SQLite does not tell the new name of.
        if own_names(conn)? != own {
            return Err(Error::ddl_failed(format!(
                "the migration {name} renamed a table to a name that begins with _remy_"
            ))
            .object(name)
            .state(ON_THE_CLONE)
            .hint("Names that begin with _remy_ are remy's own; choose another"));
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let record = "INSERT INTO main._remy_migrations (name, hash, applied_at) VALUES (?1, ?2, ?3)";
        conn.execute(record, (name, &hash, now)).context(doing)?;
        let statement = Statement::migration(u32::try_from(ran.len() + 1).unwrap_or(u32::MAX), name, text);
        on(&statement, started.elapsed());
        ran.push(Migrated { name: name.clone(), hash, statement });
    }
    Ok(ran)
}

fn own_names(conn: &Connection) -> Result<Vec<String>> {
    let doing = || "reading the names of remy's own tables".to_owned();
    let sql = "SELECT name FROM main.sqlite_schema WHERE lower(substr(name, 1, 6)) = '_remy_' ORDER BY 1";
    let mut statement = conn.prepare(sql).context(doing)?;
    statement.query_map([], |row| row.get(0)).context(doing)?.collect::<rusqlite::Result<_>>().context(doing)
}

/// The files of other tools are written for connections as SQLite opens them, where what names a table follows its RENAME. One that says
/// `PRAGMA legacy_alter_table` has it otherwise, for itself.
fn renaming_as_sqlite_does(conn: &Connection, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let legacy = |on| {
        let set = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, on);
        set.context(|| "setting how ALTER TABLE renames".to_owned())
    };
    legacy(false)?;
    let outcome = work();
    legacy(true)?;
    outcome
}

/// Where BEGIN and COMMIT stand that are a file's first and last statement, but for pragmas: a migration has a transaction around it
/// anyway. What ends one anywhere else would leave the clone's, and is refused.
fn own_transaction(tokens: &[lex::Token<'_>]) -> Option<[Range<usize>; 2]> {
    let pieces = tokens.split(|token| token.is(";"));
    let mut pieces = pieces.filter(|piece| piece.first().is_some_and(|first| !first.is("PRAGMA")));
    let (first, last) = (pieces.next()?, pieces.next_back()?);
    let is = |piece: &[lex::Token<'_>], verbs: &[&str], words: &[&str]| {
        verbs.iter().any(|verb| piece[0].is(verb))
            && piece[1..].iter().all(|token| words.iter().any(|word| token.is(word)))
    };
    let begins = is(first, &["BEGIN"], &["DEFERRED", "IMMEDIATE", "EXCLUSIVE", "TRANSACTION"]);
    let commits = is(last, &["COMMIT", "END"], &["TRANSACTION"]);
    let range = |piece: &[lex::Token<'_>]| piece[0].start..piece[piece.len() - 1].end();
    (begins && commits).then(|| [range(first), range(last)])
}

fn run_migration(conn: &Connection, name: &str, text: &str) -> Result<()> {
    let failed = |why: &str, at: usize, sql: &str| {
        let line = text[..at].matches('\n').count() + 1;
        Error::ddl_failed(format!("the migration {name} failed in line {line}: {why}: {}", cut(sql, 200)))
            .object(name)
            .sql(sql)
            .state(ON_THE_CLONE)
            .hint("Correct the file and try again")
    };
    let script = Script::new(text).map_err(|(why, at)| failed(&why, at, text.lines().next().unwrap_or_default()))?;
    let guard = Authorizer::new(conn)?;
    let tokens = lex::tokens(text);
    if let Some(at) = lex::too_deep(&tokens) {
        let line = text[..at].lines().next_back().unwrap_or_default();
        return Err(failed("this is nested too deep to be read", at, line));
    }
    let (around, mut passed_over) = (own_transaction(&tokens), 0);
    let mut start = 0;
    while let Some(first) = tokens.get(tokens.partition_point(|token| token.start < start)) {
        start = first.end();
        if first.is(";") {
            continue;
        }
        if let Some(found) = around.iter().flatten().find(|found| found.start == first.start) {
            (start, passed_over) = (found.end, passed_over + 1);
            continue;
        }
        let failure = match Prepared::new(conn, &script, first.start) {
            Ok(mut statement) => {
                start = statement.end;
                guard.run(&mut statement).err().map(|why| (why, first.start))
            }
            Err(failure) => Some(failure),
        };
        let ended = conn.is_autocommit().then(|| "it ended the transaction".to_owned());
        if let Some((why, at)) = failure.or_else(|| ended.map(|why| (why, first.start))) {
            let rest = tokens.iter().find(|token| token.start >= first.start && token.is(";"));
            let end = start.max(first.end()).max(rest.map_or(text.len(), lex::Token::end));
            let sql = text[first.start..end].trim();
            let why = match guard.denied() {
                Some(denied) => format!("{denied} is not allowed in a migration"),
                None => why,
            };
            return Err(failed(&why, at, sql));
        }
    }
    drop(guard);
    // What looked like its COMMIT was the END of a trigger.
    if let Some([begin, _]) = around.filter(|_| passed_over == 1) {
        let why = "BEGIN is not allowed in a migration unless COMMIT is its last statement";
        return Err(failed(why, begin.start, &text[begin]));
    }
    drop_temporary(conn)
}

/// Temporary tables of a migration would stand before those of the clone.
fn drop_temporary(conn: &Connection) -> Result<()> {
    let doing = || "dropping a migration's temporary tables".to_owned();
    let sql = "SELECT type, name FROM temp.sqlite_schema WHERE type IN ('table', 'view', 'trigger') AND name NOT GLOB 'sqlite_*'
               ORDER BY type DESC";
    let mut statement = conn.prepare(sql).context(doing)?;
    let found: Vec<(String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .context(doing)?
        .collect::<rusqlite::Result<_>>()
        .context(doing)?;
    for (kind, name) in found {
        conn.execute_batch(&format!("DROP {kind} IF EXISTS temp.{}", ident(&name))).context(doing)?;
    }
    Ok(())
}
