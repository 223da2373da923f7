//! SQL: statements of the caller's on one of live's databases. What is not a dev session's is only
//! read.

use crate::{
    base::{
        error::{Context, Error, Result, State, sqlite_message},
        ids::ReleaseId,
        options::Options,
        progress::Progress,
        remedy::VerbName,
    },
    live::database::Live,
    release::reading::Reading,
    remedy,
    sqlite::{
        authorizer::{Authorizer, Policy},
        libraries, tx,
    },
    store::{Store, place},
    verbs::dev,
};
use rusqlite::{
    Batch, Connection, ErrorCode, Statement, fallible_iterator::FallibleIterator as _,
    types::ValueRef,
};
use std::path::Path;

/// On which database a statement runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// Live, which is only read.
    Live,
    /// What a release was, which is only read.
    Release(ReleaseId),
    /// The database of a preview, which is only read.
    Preview(String),
    /// That of a dev session, which is its own.
    Dev(String),
}

/// What a statement has returned.
#[derive(Debug, Clone, PartialEq)]
pub enum Returned {
    /// The names of its columns, before its rows.
    Columns(Vec<String>),
    /// A row of it.
    Row(Vec<SqlValue>),
}

/// A value. A text that is not UTF-8 has `U+FFFD` in the place of what is wrong.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "SQLite's own types")]
pub enum SqlValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// Who is given what statements return. An error of theirs ends what runs.
pub type OnReturned<'a> = &'a mut dyn FnMut(Returned) -> Result<()>;

/// Runs every statement of `sql`, one after the other.
pub(crate) fn sql(
    live: &Live,
    (database, sql): (&Database, &str),
    options: &Options,
    progress: Progress<'_>,
    on_returned: OnReturned<'_>,
) -> Result<()> {
    let libraries = live.libraries(options)?;
    let reading = match database {
        Database::Live => Reading::live(live)?,
        Database::Release(release) => Reading::release(live, *release)?,
        Database::Preview(name) => Reading::preview(live, name)?,
        Database::Dev(name) => {
            return on_dev(live, name, |conn, path| {
                libraries::load_extensions(conn, libraries)?;
                let run = Run::new(conn, path, Policy::Own)?;
                progress.interrupting(conn, || run.all(sql, on_returned))?;
                run.has_ended()
            });
        }
    };
    libraries::load_extensions(&reading, libraries)?;
    // All statements see the database as of one moment.
    let tx = tx::begin(&reading).context(|| format!("reading {}", reading.path().display()))?;
    let run = Run::new(&tx, reading.path(), Policy::Reading)?;
    progress.interrupting(&tx, || run.all(sql, on_returned))
}

fn on_dev(
    live: &Live,
    name: &str,
    work: impl FnOnce(&Connection, &Path) -> Result<()>,
) -> Result<()> {
    let store = Store::open(live)?.ok_or_else(|| dev::no_session(name))?;
    dev::open(&store, name)?;
    let dev = live.sibling(&store.path(&place::dev(name)))?;
    let _acting = dev.owner.act()?;
    let conn = dev.connect()?;
    // Nobody else checkpoints what is written here.
    conn.execute_batch("PRAGMA wal_autocheckpoint = 1000")
        .context(|| format!("opening {}", dev.shown()))?;
    work(&conn, &dev.path)
}

/// Statements of the caller's at work.
struct Run<'c> {
    conn: &'c Connection,
    path: &'c Path,
    policy: Policy,
    guard: Authorizer<'c>,
}

impl<'c> Run<'c> {
    fn new(conn: &'c Connection, path: &'c Path, policy: Policy) -> Result<Self> {
        Ok(Self {
            conn,
            path,
            policy,
            guard: Authorizer::new(conn, policy)?,
        })
    }

    fn all(&self, sql: &str, on_returned: OnReturned<'_>) -> Result<()> {
        let mut batch = Batch::new(self.conn, sql);
        let mut before = 0;
        loop {
            let statement = batch.next().map_err(|e| self.failed(&e, before))?;
            let Some(mut statement) = statement else {
                return Ok(());
            };
            if self.policy == Policy::Reading && !statement.readonly() {
                return Err(self.refused("a statement that writes"));
            }
            self.one(&mut statement, before, on_returned)?;
            before += 1;
        }
    }

    fn one(
        &self,
        statement: &mut Statement<'_>,
        before: usize,
        on_returned: OnReturned<'_>,
    ) -> Result<()> {
        let names: Vec<String> = statement
            .column_names()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let columns = names.len();
        if columns > 0 {
            on_returned(Returned::Columns(names))?;
        }
        let failed = |e: rusqlite::Error| self.failed(&e, before);
        let mut rows = statement.query([]).map_err(failed)?;
        loop {
            let row = self.guard.running(|| {
                let row = rows.next()?;
                row.map(|row| (0..columns).map(|i| row.get_ref(i).map(value)).collect())
                    .transpose()
            });
            match row.map_err(failed)? {
                Some(row) => on_returned(Returned::Row(row))?,
                None => return Ok(()),
            }
        }
    }

    /// Refuses what was begun and not ended: nobody is there any more to end it.
    fn has_ended(&self) -> Result<()> {
        if self.conn.is_autocommit() {
            return Ok(());
        }
        Err(
            Error::invalid_argument("a transaction was begun, and not ended")
                .object(self.path.display().to_string())
                .state("It was rolled back")
                .hint("End it with COMMIT"),
        )
    }

    fn failed(&self, e: &rusqlite::Error, before: usize) -> Error {
        if let Some(denied) = self.guard.denied() {
            return self.refused(&denied);
        }
        let error = match e.sqlite_error_code() {
            Some(ErrorCode::ReadOnly) => return self.refused("a statement that writes"),
            // What the caller has written, and what rows do not allow.
            Some(
                ErrorCode::Unknown
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::AuthorizationForStatementDenied
                | ErrorCode::ParameterOutOfRange,
            )
            | None => Error::invalid_argument(sqlite_message(e)),
            Some(_) => Error::sqlite(e, &format!("running SQL on {}", self.path.display())),
        };
        match (self.policy, before) {
            (Policy::Reading, _) => error.state(State::NothingChanged),
            (_, 0) => error.state(State::SessionUnchanged),
            _ => error.state("The statements before it were run"),
        }
    }

    fn refused(&self, what: &str) -> Error {
        let path = self.path.display();
        let error = match self.policy {
            Policy::Reading => {
                Error::invalid_argument(format!("{what} is refused: {path} is only read here"))
                    .hint(remedy![
                        VerbName::DevStart,
                        " takes a copy that may be written to"
                    ])
            }
            _ => Error::invalid_argument(format!("{what} is refused here"))
                .hint("SQL works on the one database that is named"),
        };
        error.object(path.to_string()).state(State::NothingChanged)
    }
}

fn value(value: ValueRef<'_>) -> SqlValue {
    match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(number) => SqlValue::Integer(number),
        ValueRef::Real(number) => SqlValue::Real(number),
        ValueRef::Text(text) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_owned()),
    }
}
