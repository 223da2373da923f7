//! What SQL may do on a connection of the service, and for how long.
//!
//! SQLite asks for each thing that a statement would do when it compiles it. What a statement runs
//! besides (a trigger of the schema's, the tables behind a virtual one) it asks for under the name
//! of the trigger, or while the statement runs; that came with a release, and no method wrote it.

use crate::{
    database::{
        app_sql::{Verb, refused},
        tables::Tables,
    },
    failure::Failure,
};
use remy_db::internals::sqlite::{is_remys, reaches_out, tokens};
use rusqlite::{Connection, config::DbConfig, ffi, limits::Limit};
use std::{
    cell::{Cell, RefCell},
    ffi::{CStr, c_char, c_int, c_void},
    ptr, slice,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// Table-valued functions that read nothing but their arguments.
const PURE: [&str; 2] = ["json_each", "json_tree"];

/// After how many steps of a statement the clock is looked at: far below a millisecond.
const STEPS: c_int = 1_000;

/// A collation: the order of JavaScript, by units of UTF-16. SQLite's own is that of code points,
/// and differs above U+FFFF.
pub(super) const UTF16: &str = "remy_utf16";

/// Who has written a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    /// The service, for itself.
    Service,
    /// The service, for a method; it also stands for what a schema does by itself.
    Parent,
    /// An app.
    App,
}

/// What the callbacks of a connection read and write.
#[derive(Debug)]
pub(super) struct State {
    author: Cell<Author>,
    /// The app's text that is compiled, and what it is.
    text: RefCell<String>,
    verb: RefCell<Option<Verb>>,
    tables: RefCell<Arc<Tables>>,
    denied: RefCell<Option<Failure>>,
    until: Cell<Option<Instant>>,
    /// The service ends, and waits for no request.
    closing: Arc<AtomicBool>,
}

/// While it lives, its connection is guarded.
pub(super) struct Guard<'c> {
    conn: &'c Connection,
    state: Box<State>,
}

impl<'c> Guard<'c> {
    /// Guards `conn`, which holds no statement yet.
    pub(super) fn new(conn: &'c Connection, closing: Arc<AtomicBool>) -> rusqlite::Result<Self> {
        let state = Box::new(State {
            author: Cell::new(Author::Service),
            text: RefCell::default(),
            verb: RefCell::default(),
            tables: RefCell::default(),
            denied: RefCell::default(),
            until: Cell::new(None),
            closing,
        });
        for (setting, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
            // Without it a statement whose LIMIT is a parameter is compiled anew for each value.
            (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
        ] {
            conn.set_db_config(setting, on)?;
        }
        for (limit, most) in [
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 20),
            // One value; also what a function may make.
            (Limit::SQLITE_LIMIT_LENGTH, 64 << 20),
        ] {
            conn.set_limit(limit, most)?;
        }
        let guard = Self { conn, state };
        let data = ptr::from_ref(&*guard.state).cast_mut().cast::<c_void>();
        // SAFETY: the handle is open. `state` has a place of its own that outlives what is
        // registered: drop ends that, and statements are dropped before. The collation has no data.
        let code = unsafe {
            let db = conn.handle();
            ffi::sqlite3_progress_handler(db, STEPS, Some(look_at_the_clock), data);
            let name = c"remy_utf16".as_ptr();
            match ffi::sqlite3_create_collation_v2(
                db,
                name,
                ffi::SQLITE_UTF8,
                ptr::null_mut(),
                Some(by_utf16),
                None,
            ) {
                ffi::SQLITE_OK => ffi::sqlite3_set_authorizer(db, Some(authorize), data),
                code => code,
            }
        };
        match code {
            ffi::SQLITE_OK => Ok(guard),
            code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
        }
    }

    /// What is compiled now is of this author.
    pub(super) fn compiles(&self, author: Author, text: &str, verb: Option<Verb>) {
        self.state.author.set(author);
        self.state.denied.take();
        if author == Author::App {
            text.clone_into(&mut self.state.text.borrow_mut());
        }
        self.state.verb.replace(verb);
    }

    /// What was compiled runs now: what is asked for from here on, its schema does.
    pub(super) fn runs(&self, author: Author) {
        self.state.denied.take();
        let author = match author {
            Author::App => Author::Parent,
            author => author,
        };
        self.state.author.set(author);
    }

    /// What was refused last.
    pub(super) fn denied(&self) -> Option<Failure> {
        self.state.denied.take()
    }

    /// Interrupts what runs after this moment, or nothing.
    pub(super) fn until(&self, moment: Option<Instant>) {
        self.state.until.set(moment);
    }

    /// Whether the time is over.
    pub(super) fn is_late(&self) -> bool {
        self.state
            .until
            .get()
            .is_some_and(|end| Instant::now() >= end)
    }

    /// The tables that an app may name.
    pub(super) fn knows(&self, tables: Arc<Tables>) {
        self.state.tables.replace(tables);
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is open for as long as the connection is borrowed.
        unsafe {
            let db = self.conn.handle();
            ffi::sqlite3_set_authorizer(db, None, ptr::null_mut());
            ffi::sqlite3_progress_handler(db, 0, None, ptr::null_mut());
        }
    }
}

unsafe extern "C" fn look_at_the_clock(data: *mut c_void) -> c_int {
    // SAFETY: `data` is the state that `Guard` keeps for as long as this is registered; this runs on
    // its thread.
    let state = unsafe { &*data.cast::<State>() };
    let Some(until) = state.until.get() else {
        return 0;
    };
    c_int::from(state.closing.load(Ordering::Relaxed) || Instant::now() >= until)
}

unsafe extern "C" fn by_utf16(
    _: *mut c_void,
    a_bytes: c_int,
    a: *const c_void,
    b_bytes: c_int,
    b: *const c_void,
) -> c_int {
    let text = |bytes: c_int, at: *const c_void| {
        let bytes = usize::try_from(bytes).unwrap_or(0);
        if bytes == 0 {
            return "".into();
        }
        // SAFETY: SQLite gives as many bytes as it says, which live during the call.
        let bytes = unsafe { slice::from_raw_parts(at.cast::<u8>(), bytes) };
        String::from_utf8_lossy(bytes)
    };
    text(a_bytes, a)
        .encode_utf16()
        .cmp(text(b_bytes, b).encode_utf16()) as c_int
}

unsafe extern "C" fn authorize(
    data: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    _database: *const c_char,
    context: *const c_char,
) -> c_int {
    // SAFETY: SQLite gives NULL or a text that lives during the call.
    let text = |at: *const c_char| unsafe {
        (!at.is_null()).then(|| CStr::from_ptr(at).to_string_lossy())
    };
    // SAFETY: as above.
    let state = unsafe { &*data.cast::<State>() };
    if state.author.get() == Author::Service {
        return ffi::SQLITE_OK;
    }
    let (first, second, context) = (
        text(first).unwrap_or_default(),
        text(second).unwrap_or_default(),
        text(context),
    );
    let by_schema = state.author.get() == Author::Parent
        || context.is_some_and(|trigger| state.is_by_trigger(&trigger));
    let refusal = if by_schema {
        of_schema(action, &first, &second)
    } else {
        state.of_app(action, &first, &second)
    };
    let Some(why) = refusal else {
        return ffi::SQLITE_OK;
    };
    state.denied.replace(Some(why));
    ffi::SQLITE_DENY
}

/// What a trigger, a module or the parent's own SQL may not do.
fn of_schema(action: c_int, first: &str, second: &str) -> Option<Failure> {
    let allowed = match action {
        ffi::SQLITE_SELECT | ffi::SQLITE_RECURSIVE | ffi::SQLITE_SAVEPOINT => true,
        ffi::SQLITE_FUNCTION => !reaches_out(second),
        ffi::SQLITE_READ => !is_remys(first) || first.eq_ignore_ascii_case("_remy_session"),
        ffi::SQLITE_INSERT | ffi::SQLITE_UPDATE | ffi::SQLITE_DELETE => !is_remys(first),
        // Modules ask for `data_version`.
        ffi::SQLITE_PRAGMA => second.is_empty(),
        _ => false,
    };
    (!allowed).then(|| refused(&format!("{first} {second} is not for it")))
}

impl State {
    /// Whether a name is that of a trigger that runs, and none that the app has given to a part of
    /// its statement.
    fn is_by_trigger(&self, name: &str) -> bool {
        self.tables.borrow().has_trigger(name)
            && !tokens(&self.text.borrow()).iter().any(|token| {
                token
                    .name()
                    .is_some_and(|word| word.eq_ignore_ascii_case(name))
            })
    }

    fn of_app(&self, action: c_int, first: &str, second: &str) -> Option<Failure> {
        let tables = self.tables.borrow();
        let on_table = |doing: &str| {
            (!tables.has(first)).then(|| {
                refused(&format!(
                    "{doing} {first}, which is no table of the release's, is not allowed"
                ))
            })
        };
        match action {
            ffi::SQLITE_SELECT | ffi::SQLITE_RECURSIVE => None,
            ffi::SQLITE_FUNCTION => {
                reaches_out(second).then(|| refused(&format!("{second}() is not allowed")))
            }
            ffi::SQLITE_READ if PURE.iter().any(|name| name.eq_ignore_ascii_case(first)) => None,
            // Of what no column is read from; the columns of a WITH are not asked for.
            ffi::SQLITE_READ if second.is_empty() && tables.is_of_statement(first) => None,
            ffi::SQLITE_READ => on_table("reading"),
            ffi::SQLITE_DELETE => on_table("deleting from"),
            ffi::SQLITE_UPDATE => on_table("changing")
                .or_else(|| tables.table(first).ok()?.writable(second, false).err()),
            ffi::SQLITE_INSERT => on_table("inserting into").or_else(|| {
                let verb = self.verb.borrow();
                let columns = match verb.as_ref() {
                    // The same table as was read: its columns are those that are named.
                    Some(Verb::Insert { table, columns }) if table.eq_ignore_ascii_case(first) => {
                        columns.as_ref()
                    }
                    _ => return Some(refused("this INSERT is not readable")),
                };
                let table = tables.table(first).ok()?;
                let Some(columns) = columns else {
                    return Some(Failure::new(
                        "managed_column_write",
                        400,
                        format!(
                            "an INSERT that names no columns would write \"{}.id\" and the others that remy fills in: name the columns",
                            table.name
                        ),
                    ));
                };
                columns
                    .iter()
                    .find_map(|column| table.writable(column, false).err())
            }),
            _ => Some(refused(&format!("{} is not allowed", named(action, first)))),
        }
    }
}

/// What an action is called in SQL.
fn named(action: c_int, first: &str) -> String {
    match action {
        ffi::SQLITE_PRAGMA => format!("PRAGMA {first}"),
        ffi::SQLITE_TRANSACTION | ffi::SQLITE_SAVEPOINT => "control of transactions".into(),
        ffi::SQLITE_ATTACH | ffi::SQLITE_DETACH => "ATTACH, or what does it,".into(),
        _ => "a change of the schema".into(),
    }
}
