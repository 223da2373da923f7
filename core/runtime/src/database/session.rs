//! A connection of the service's to a database: its statements, which are compiled once, and what
//! each transaction looks at first.

use crate::{
    database::{
        app_sql::{Statement as AppStatement, refused},
        failures,
        guard::{Author, Guard},
        settings::{Bound, Durability, Settings},
        tables::Tables,
        values,
    },
    failure::Failure,
};
use remy_db::internals::{
    live::{Live, LiveConnection, release},
    sqlite::wait_for_locks,
};
use rusqlite::{Connection, Statement, types::Value as Stored};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

/// How many statements of an author are kept. Beyond, all are compiled anew.
const KEPT: usize = 256;

/// A connection, for one thread.
pub(super) struct Session<'c> {
    /// Before the guard: they go first.
    statements: [HashMap<String, Statement<'c>>; 3],
    guard: Guard<'c>,
    pub(super) conn: &'c Connection,
    live: &'c Live,
    settings: Arc<Settings>,
    seen: Option<Seen>,
    tables: Arc<Tables>,
    /// What is left of the reply's bytes.
    left: usize,
}

/// The database that the statements and tables are of.
#[derive(PartialEq)]
struct Seen {
    switch: Option<String>,
    schema: i64,
}

/// What running a statement gave.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Value>>,
    pub(super) changes: u64,
}

impl<'c> Session<'c> {
    pub(super) fn new(
        conn: &'c Connection,
        live: &'c Live,
        settings: Arc<Settings>,
        closing: Arc<AtomicBool>,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            statements: Default::default(),
            guard: Guard::new(conn, closing)?,
            conn,
            live,
            settings,
            seen: None,
            tables: Arc::default(),
            left: 0,
        })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The tables of the release, as of the last [`Session::look`].
    pub(super) fn tables(&self) -> Arc<Tables> {
        Arc::clone(&self.tables)
    }

    /// Looks, first in a transaction, whether the database is still the one that the service is for:
    /// `release_changed` where another release is live, `database_busy` where another file is at its
    /// path.
    pub(super) fn look(&mut self) -> Result<(), Failure> {
        self.live.same_file().map_err(|e| failures::of_remy(&e))?;
        let now = self.now();
        if now.is_some() && now == self.seen {
            return Ok(());
        }
        self.forget();
        let live = release(self.conn).map_err(|e| failures::of_remy(&e))?;
        if let Bound::Release(bound) = self.settings.bound
            && live != Some(bound)
        {
            let now = live.map_or("no release is live".into(), |now| {
                format!("release {now} is live")
            });
            return Err(Failure::new(
                "release_changed",
                409,
                format!(
                    "this call began on release {bound}, and now {now}: nothing was read or written. Call it again"
                ),
            ));
        }
        let tables = Tables::read(self.conn, self.settings.auth.as_ref());
        self.tables = Arc::new(tables.map_err(|e| failures::of_remy(&e))?);
        self.guard.knows(self.tables());
        self.seen = self.now();
        Ok(())
    }

    /// Which database this is. `None` where it cannot be told: the whole is read then.
    fn now(&mut self) -> Option<Seen> {
        let mut ask = |sql: &str| self.service(sql, &[]).ok()?.rows.into_iter().next();
        let mut schema = ask("PRAGMA schema_version")?;
        let schema = schema.pop()?.as_i64()?;
        let switch = ask("SELECT switch_id FROM main._remy_release")
            .and_then(|row| Some(row.first()?.as_str()?.to_owned()));
        Some(Seen { switch, schema })
    }

    /// Forgets what is of another database, or may be.
    pub(super) fn forget(&mut self) {
        self.seen = None;
        for statements in &mut self.statements {
            statements.clear();
        }
    }

    /// Begins a request: how long what it runs may take, and that its reply is empty so far.
    pub(super) fn begin_request(&mut self, time: Duration) {
        self.guard.until(Instant::now().checked_add(time));
        self.left = self.settings.limits.reply_bytes;
    }

    /// Ends a request: what follows is not interrupted.
    pub(super) fn end_request(&mut self) {
        self.guard.until(None);
    }

    /// Runs a statement of the service's own.
    pub(super) fn service(&mut self, sql: &str, values: &[Stored]) -> rusqlite::Result<Ran> {
        let left = std::mem::replace(&mut self.left, usize::MAX);
        let ran = self.run(Author::Service, sql, values, None);
        self.left = left;
        match ran {
            Ok(Ok(ran)) => Ok(ran),
            // A reply of the service's own has no limit.
            Ok(Err(_)) => Err(rusqlite::Error::InvalidQuery),
            Err(e) => Err(e),
        }
    }

    /// Runs a statement that the parent has written for a method.
    pub(super) fn parents(
        &mut self,
        sql: &str,
        values: &[Stored],
        doing: &dyn Fn() -> String,
    ) -> Result<Ran, Failure> {
        match self.run(Author::Parent, sql, values, None) {
            Ok(ran) => ran,
            Err(e) => Err(self.failure(e, &doing())),
        }
    }

    /// Runs a statement of an app's. `reads`: refuse what does not only read.
    pub(super) fn apps(
        &mut self,
        sql: &str,
        statement: AppStatement,
        values: &[Stored],
        reads: bool,
    ) -> Result<Ran, Failure> {
        let app = App {
            statement: Some(statement),
            reads,
        };
        match self.run(Author::App, sql, values, Some(app)) {
            Ok(ran) => ran,
            Err(e) => Err(self.failure(e, "running the app's SQL")),
        }
    }

    /// What an error of SQLite's is: SQLite tells only that something was refused, or interrupted.
    fn failure(&self, e: rusqlite::Error, doing: &str) -> Failure {
        if let Some(denied) = self.guard.denied() {
            return denied;
        }
        if e.sqlite_error_code() != Some(rusqlite::ErrorCode::OperationInterrupted) {
            return failures::of_statement(e, doing);
        }
        if !self.guard.is_late() {
            return failures::closed();
        }
        Failure::new(
            failures::LATE,
            504,
            format!("{doing} took longer than it may, and was ended; nothing was changed"),
        )
    }

    fn run(
        &mut self,
        author: Author,
        sql: &str,
        values: &[Stored],
        app: Option<App>,
    ) -> rusqlite::Result<Result<Ran, Failure>> {
        let kept = self.statements[author as usize].remove_entry(sql);
        let reads = app.as_ref().is_some_and(|app| app.reads);
        let (sql, mut statement) = match kept {
            Some(kept) => kept,
            None => {
                let verb = app.and_then(|app| app.statement).map(|app| app.verb);
                self.guard.compiles(author, sql, verb);
                (sql.to_owned(), self.conn.prepare(sql)?)
            }
        };
        if author == Author::App
            && let Err(failure) = fits(&statement, values, reads)
        {
            return Ok(Err(failure));
        }
        self.guard.runs(author);
        let ran = self.step(&mut statement, values);
        let kept = &mut self.statements[author as usize];
        if kept.len() >= KEPT {
            kept.clear();
        }
        statement.clear_bindings();
        kept.insert(sql, statement);
        ran
    }

    fn step(
        &mut self,
        statement: &mut Statement<'c>,
        values: &[Stored],
    ) -> rusqlite::Result<Result<Ran, Failure>> {
        for (i, value) in values.iter().enumerate() {
            statement.raw_bind_parameter(i + 1, value)?;
        }
        let columns = statement.column_names();
        let columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
        let (width, only_reads) = (columns.len(), statement.readonly());
        let mut ran = Ran {
            columns,
            ..Ran::default()
        };
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let mut values = Vec::with_capacity(width);
            for i in 0..width {
                let value = row.get_ref(i)?;
                let Some(left) = self.left.checked_sub(values::json_bytes(value)) else {
                    return Ok(Err(self.too_large()));
                };
                self.left = left;
                values.push(values::json(value));
            }
            ran.rows.push(values);
        }
        drop(rows);
        if !only_reads {
            ran.changes = self.conn.changes();
        }
        Ok(Ok(ran))
    }

    fn too_large(&self) -> Failure {
        let most = self.settings.limits.reply_bytes >> 20;
        Failure::new(
            "reply_too_large",
            413,
            format!("what was asked for is larger than {most} MiB: ask for fewer rows, or columns"),
        )
    }
}

/// Opens a connection of the service's, for whoever acts as live's owner.
pub(super) fn opened<'l>(
    live: &'l Live,
    settings: &Settings,
) -> remy_db::Result<LiveConnection<'l>> {
    let conn = live.connect()?;
    wait_for_locks(&conn, settings.limits.lock)?;
    let synchronous = match settings.durability {
        // Beyond FULL, where there is no WAL: the journal's removal is synced as well.
        Durability::Full => "EXTRA",
        Durability::Normal => "NORMAL",
    };
    conn.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))?;
    Ok(conn)
}

/// What an app's statement is, where it is to be compiled, and may do.
struct App {
    statement: Option<AppStatement>,
    reads: bool,
}

/// Whether an app's compiled statement is what it is said to be.
fn fits(statement: &Statement<'_>, values: &[Stored], reads: bool) -> Result<(), Failure> {
    if statement.is_explain() != 0 {
        return Err(refused("EXPLAIN is not allowed"));
    }
    if reads && !statement.readonly() {
        return Err(refused("this one writes, and was to read alone"));
    }
    let wanted = statement.parameter_count();
    if wanted != values.len() {
        return Err(Failure::new(
            "invalid_params",
            400,
            format!(
                "the SQL has {wanted} places for values, and {} were given",
                values.len()
            ),
        ));
    }
    Ok(())
}
