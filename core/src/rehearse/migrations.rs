//! Runs migrations on a clone, inside a transaction of the caller's.

use crate::{
    base::{
        error::{Context, Error, Result, State},
        text::cut,
    },
    rehearse::{migration_files::Migration, migration_names},
    schema::plan::model::Statement,
    sqlite::{
        authorizer::{Authorizer, Policy},
        lex,
        quote::ident,
        script::{PreparedStatement, Script},
        strangers::Stranger,
    },
};
use rusqlite::{Connection, config::DbConfig};
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

/// What came of a folder of migrations.
#[derive(Debug, Default)]
pub struct Ran {
    /// Those that ran now, in order.
    pub migrated: Vec<Migrated>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// Runs the migrations that have not run yet, in order, and records them.
///
/// One that ran under another name, which no file has any more, does not run again: it is a
/// warning. Fails with `invalid_argument`, naming the file, where one has changed since it ran, or
/// has a number that another one has.
pub fn migrations(
    conn: &Connection,
    files: &[Migration],
    on: &mut dyn FnMut(&Statement, Duration),
) -> Result<Ran> {
    let doing = || "recording the migrations".to_owned();
    let table = "CREATE TABLE IF NOT EXISTS _remy_migrations (name TEXT PRIMARY KEY, hash TEXT, applied_at INTEGER)";
    let mut ran = Ran::default();
    if files.is_empty() {
        return Ok(ran);
    }
    conn.execute_batch(table).context(doing)?;
    let mut before = Before::read(conn, files)?;
    for file in files {
        let Migration { name, text, .. } = file;
        let hash = hash_of(file);
        match before.knows(file, files, &hash)? {
            Known::Ran => continue,
            Known::Renamed(old) => {
                let sql = "UPDATE main._remy_migrations SET name = ?1 WHERE name = ?2";
                conn.execute(sql, (name, &old)).context(doing)?;
                ran.warnings.push(format!(
                    "The migration {name} ran before, as {old}, which is not there any more: it was not run again. Where it is to, \
                     change its text"
                ));
                continue;
            }
            Known::No => {}
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
            .state(State::OnlyCloneChanged)
            .hint("Names that begin with _remy_ are remy's own; choose another"));
        }
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let record =
            "INSERT INTO main._remy_migrations (name, hash, applied_at) VALUES (?1, ?2, ?3)";
        conn.execute(record, (name, &hash, now)).context(doing)?;
        let ord = u32::try_from(ran.migrated.len() + 1).unwrap_or(u32::MAX);
        let statement = Statement::migration(ord, name, text);
        on(&statement, started.elapsed());
        ran.migrated.push(Migrated {
            name: name.clone(),
            hash,
            statement,
        });
    }
    Ok(ran)
}

/// Whether one of the migrations has still to run, or to be refused.
pub fn are_pending(conn: &Connection, files: &[Migration]) -> Result<bool> {
    if files.is_empty() {
        return Ok(false);
    }
    let is_recorded = conn
        .table_exists(Some("main"), "_remy_migrations")
        .context(|| "looking for the record of migrations".to_owned())?;
    if !is_recorded {
        return Ok(true);
    }
    let mut before = Before::read(conn, files)?;
    let ran = |file| matches!(before.knows(file, files, &hash_of(file)), Ok(Known::Ran));
    Ok(!files.iter().all(ran))
}

fn hash_of(file: &Migration) -> String {
    blake3::hash(file.text.as_bytes()).to_hex().to_string()
}

/// The migrations that ran on a database before.
struct Before {
    /// Name and hash of those whose files are there.
    there: Vec<(String, String)>,
    /// Of those whose files are not.
    gone: Vec<(String, String)>,
}

/// What is known of a migration.
enum Known {
    No,
    Ran,
    /// It ran under this name, which no file has any more.
    Renamed(String),
}

impl Before {
    fn read(conn: &Connection, files: &[Migration]) -> Result<Self> {
        let doing = || "reading the record of migrations".to_owned();
        let mut query = conn
            .prepare("SELECT name, hash FROM main._remy_migrations ORDER BY rowid")
            .context(doing)?;
        let recorded: Vec<(String, String)> = query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .context(doing)?
            .collect::<rusqlite::Result<_>>()
            .context(doing)?;
        let (there, gone) = recorded
            .into_iter()
            .partition(|(name, _)| files.iter().any(|file| file.name == *name));
        Ok(Self { there, gone })
    }

    /// What is known of a file. Tools know a migration by its number, and refuse two of one; so
    /// that a renamed one does not run twice.
    fn knows(&mut self, file: &Migration, files: &[Migration], hash: &str) -> Result<Known> {
        let name = &file.name;
        let refused = |what: String, hint: &str| {
            Err(Error::invalid_argument(what)
                .object(name)
                .state(State::OnlyCloneChanged)
                .hint(hint.to_owned()))
        };
        if let Some((_, before)) = self.there.iter().find(|(there, _)| there == name) {
            if before == hash {
                return Ok(Known::Ran);
            }
            return refused(
                format!("the migration {name} ran before, and its file has changed since"),
                "Put the file back as it was, and the change into a new one",
            );
        }
        let has_its_number = |other: &Option<Vec<u64>>| other.is_some() && *other == file.number;
        if let Some(other) = files
            .iter()
            .find(|other| other.name != *name && has_its_number(&other.number))
        {
            return refused(
                format!(
                    "the migrations {} and {name} have one number, which does not tell in which order they run",
                    other.name
                ),
                "Give the one that is to run later a number of its own, above all others",
            );
        }
        if let Some(at) = self.gone.iter().position(|(_, before)| before == hash) {
            return Ok(Known::Renamed(self.gone.swap_remove(at).0));
        }
        let number = |name: &str| migration_names::number(name);
        if let Some((old, _)) = self
            .gone
            .iter()
            .find(|(old, _)| has_its_number(&number(old)))
        {
            return refused(
                format!(
                    "the migration {name} has the number of {old}, which ran before and is not there any more, and another text"
                ),
                "Put the file back as it was, under either name; where this is another migration, give it a number of its own",
            );
        }
        Ok(Known::No)
    }
}

fn own_names(conn: &Connection) -> Result<Vec<String>> {
    let doing = || "reading the names of remy's own tables".to_owned();
    let sql =
        "SELECT name FROM main.sqlite_schema WHERE lower(substr(name, 1, 6)) = '_remy_' ORDER BY 1";
    let mut statement = conn.prepare(sql).context(doing)?;
    statement
        .query_map([], |row| row.get(0))
        .context(doing)?
        .collect::<rusqlite::Result<_>>()
        .context(doing)
}

/// The files of other tools are written for connections as SQLite opens them, where what names a
/// table follows its RENAME. One that says `PRAGMA legacy_alter_table` has it otherwise, for
/// itself.
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

/// Where BEGIN and COMMIT stand that are a file's first and last statement, but for pragmas: a
/// migration has a transaction around it anyway. What ends one anywhere else would leave the
/// clone's, and is refused.
fn own_transaction(tokens: &[lex::Token<'_>]) -> Option<[Range<usize>; 2]> {
    let pieces = tokens.split(|token| token.is(";"));
    let mut pieces = pieces.filter(|piece| piece.first().is_some_and(|first| !first.is("PRAGMA")));
    let (first, last) = (pieces.next()?, pieces.next_back()?);
    let is = |piece: &[lex::Token<'_>], verbs: &[&str], words: &[&str]| {
        verbs.iter().any(|verb| piece[0].is(verb))
            && piece[1..]
                .iter()
                .all(|token| words.iter().any(|word| token.is(word)))
    };
    let begins = is(
        first,
        &["BEGIN"],
        &["DEFERRED", "IMMEDIATE", "EXCLUSIVE", "TRANSACTION"],
    );
    let commits = is(last, &["COMMIT", "END"], &["TRANSACTION"]);
    let range = |piece: &[lex::Token<'_>]| piece[0].start..piece[piece.len() - 1].end();
    (begins && commits).then(|| [range(first), range(last)])
}

fn run_migration(conn: &Connection, name: &str, text: &str) -> Result<()> {
    let failed = |why: &str, at: usize, sql: &str| {
        let line = text[..at].matches('\n').count() + 1;
        failed(name, line, why, sql)
    };
    let script = Script::new(text)
        .map_err(|(why, at)| failed(&why, at, text.lines().next().unwrap_or_default()))?;
    let guard = Authorizer::new(conn, Policy::Migration)?;
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
        if let Some(found) = around
            .iter()
            .flatten()
            .find(|found| found.start == first.start)
        {
            (start, passed_over) = (found.end, passed_over + 1);
            continue;
        }
        let failure = match PreparedStatement::new(conn, &script, first.start) {
            Ok(mut statement) => {
                start = statement.end;
                guard
                    .run(&mut statement)
                    .err()
                    .map(|why| (why, first.start))
            }
            Err(failure) => Some(failure),
        };
        let ended = conn
            .is_autocommit()
            .then(|| "it ended the transaction".to_owned());
        if let Some((why, at)) = failure.or_else(|| ended.map(|why| (why, first.start))) {
            let rest = tokens
                .iter()
                .find(|token| token.start >= first.start && token.is(";"));
            let end = start
                .max(first.end())
                .max(rest.map_or(text.len(), lex::Token::end));
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

fn failed(name: &str, line: usize, why: &str, sql: &str) -> Error {
    let what = format!(
        "the migration {name} failed in line {line}: {why}: {}",
        cut(sql, 200)
    );
    let error = match Stranger::of(why) {
        Some(stranger) => Error::unsupported_change(what).hint(stranger.hint()),
        None => Error::ddl_failed(what).hint("Correct the file and try again"),
    };
    error.object(name).sql(sql).state(State::OnlyCloneChanged)
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
        conn.execute_batch(&format!("DROP {kind} IF EXISTS temp.{}", ident(&name)))
            .context(doing)?;
    }
    Ok(())
}
