//! A call of a function: its arguments, and the database that it is about.

use crate::terminal;
use remy_db::{Error, Line, Place, Progress, ReleaseId, Remy, Result, State, client::Features};
use remy_db_helper::{Caller, Lookup, Ran, Verb};
use rusqlite::{ffi, types::Value};
use std::ptr;

/// Copies a text that SQLite gave.
pub fn utf8(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_owned()).map_err(|_| {
        Error::invalid_argument("an argument is not valid UTF-8").state(State::NothingDone)
    })
}

/// A call: the connection that makes it, and its arguments. One that is NULL counts as not given.
pub struct Call {
    db: *mut ffi::sqlite3,
    args: Vec<Value>,
}

impl Call {
    /// # Safety
    /// `db` is an open connection of the SQLite that remy is bound to, for as long as the call
    /// lives.
    pub unsafe fn new(db: *mut ffi::sqlite3, args: Vec<Value>) -> Self {
        Self { db, args }
    }

    /// Runs a verb on the main database of the connection, and returns its result as JSON: in a
    /// process of its own, which has the embedded engine; through the SQLite that loaded remy where
    /// that cannot be, or where only that SQLite has what the database needs.
    pub fn run(&self, verb: &Verb) -> Result<String> {
        verb.check()?;
        let only_read = verb.only_reads();
        // SAFETY: what `new` was promised.
        let (place, vfs) = unsafe { Remy::place_of_host(self.db, only_read) }?;
        let why = match vfs {
            None => match self.elsewhere(verb, &place)? {
                Ran::Done(done) => return done,
                Ran::NotHere(why) => why,
            },
            Some(vfs) => format!("this connection reads by the VFS {vfs}"),
        };
        let remy = match only_read {
            // SAFETY: what `new` was promised. The statement of a table function has begun to read
            // the main database when it is called.
            true => unsafe { Remy::on_host_to_read(self.db) },
            // SAFETY: what `new` was promised.
            false => unsafe { Remy::on_host(self.db) },
        }?;
        let interrupted = self.interrupted();
        let on_line = |line: &Line| terminal::show(&serde_json::json!(line));
        let mut progress = Progress::none().ask(&interrupted);
        if is_followed(verb)? {
            progress = progress.on_line(&on_line);
        }
        let json = verb.run(&remy, progress)?;
        remy_db_helper::ran_here(verb, json, &why)
    }

    fn elsewhere(&self, verb: &Verb, place: &Place) -> Result<Ran> {
        // What this SQLite does not take, its clients could not read once it is live.
        verb.is_read_here(place)?;
        let interrupted = self.interrupted();
        let on_line = |line: &str| {
            if let Ok(line) = serde_json::from_str(line) {
                terminal::show(&line);
            }
        };
        Ok(remy_db_helper::run(
            verb,
            &Caller {
                lookup: Lookup::Own,
                place,
                features: Some(Features::here()?),
                on_line: is_followed(verb)?.then_some(&on_line),
                cancelled: &interrupted,
            },
        ))
    }

    /// Whether somebody has interrupted the statement that makes the call, by `sqlite3_interrupt`:
    /// SQLite then lets nothing else run on its connection, and says so. (The call that asks for no
    /// more than that came with 3.41.) To be asked on the thread of the call.
    pub fn interrupted(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        /// A connection, on its way through core to this thread again.
        struct OfThisThread(*mut ffi::sqlite3);
        // SAFETY: core asks on the thread that runs the verb, which is that of the call.
        unsafe impl Send for OfThisThread {}
        // SAFETY: as above.
        unsafe impl Sync for OfThisThread {}
        impl OfThisThread {
            fn is_interrupted(&self) -> bool {
                // SAFETY: the connection is open while it makes the call, which is longer than the
                // verb runs; the statement is one of nothing, whose end leaves the connection as it
                // was.
                unsafe {
                    ffi::sqlite3_exec(
                        self.0,
                        c"SELECT 1".as_ptr(),
                        None,
                        ptr::null_mut(),
                        ptr::null_mut(),
                    ) == ffi::SQLITE_INTERRUPT
                }
            }
        }
        let host = OfThisThread(self.db);
        move || host.is_interrupted()
    }

    /// The argument at `at`.
    pub fn arg(&self, at: usize) -> &Value {
        self.args.get(at).unwrap_or(&Value::Null)
    }

    /// The text at `at`, which has to be there. `what` is what the caller knows it as.
    pub fn text(&self, at: usize, what: &str) -> Result<&str> {
        self.optional_text(at, what)?
            .ok_or_else(|| wrong(format!("the {what} is missing")))
    }

    /// The number at `at`, if there is one: an integer, or text that is one.
    pub fn number(&self, at: usize, what: &str) -> Result<Option<i64>> {
        match self.arg(at) {
            Value::Null => Ok(None),
            Value::Integer(number) => Ok(Some(*number)),
            Value::Text(text) if text.parse::<i64>().is_ok() => Ok(text.parse().ok()),
            other => Err(wrong(format!(
                "the {what} must be a whole number, not {}",
                kind(other)
            ))),
        }
    }

    /// The release at `at`, if one is named.
    pub fn release(&self, at: usize) -> Result<Option<ReleaseId>> {
        Ok(self.number(at, "release")?.map(ReleaseId))
    }

    /// The options at `at`.
    pub fn options(&self, at: usize) -> Result<String> {
        let options = self.optional_text(at, "options")?.unwrap_or_default();
        Ok(options.to_owned())
    }

    fn optional_text(&self, at: usize, what: &str) -> Result<Option<&str>> {
        match self.arg(at) {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(wrong(format!(
                "the {what} must be text, not {}",
                kind(other)
            ))),
        }
    }
}

/// Whether the lines of its log are shown while it runs.
fn is_followed(verb: &Verb) -> Result<bool> {
    Ok(verb.options()?.progress && terminal::is_there())
}

fn wrong(what: String) -> Error {
    Error::invalid_argument(what).state(State::NothingDone)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL",
        Value::Integer(_) => "an integer",
        Value::Real(_) => "a real number",
        Value::Text(_) => "text",
        Value::Blob(_) => "a blob",
    }
}
