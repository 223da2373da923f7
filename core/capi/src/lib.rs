//! The C ABI: opaque handles, a status for every error code, JSON through out-parameters.
//!
//! Every function is a thin edge: arguments are checked for NULL and UTF-8, the verb of
//! [`remy_db::Remy`] is called, its result is written as JSON. No panic crosses it. The header
//! `include/remy.h` is generated from this file by `build.rs`, so what is said here is what C
//! programmers read.
#![allow(non_camel_case_types)] // the names are C's
#![warn(missing_docs)]

use remy_db::{Error, Line, Place, Progress, ReleaseId, Remy, Result, State};
use remy_db_helper::{Caller, Lookup, Ran, Verb};
use std::{
    cell::RefCell,
    ffi::{CStr, CString, c_char, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::{
        Mutex, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What a call came to. `remy_errcode` has the same as text, `remy_errmsg` says it in words. The
/// values are stable.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum remy_status {
    /// It was done.
    REMY_OK = 0,
    /// An argument or option is wrong, or the call is made where it cannot be.
    REMY_INVALID_ARGUMENT = 1,
    /// The declared schema or set of effects does not parse, or contradicts itself.
    REMY_SCHEMA_INVALID = 2,
    /// The change is one that cannot be made.
    REMY_UNSUPPORTED_CHANGE = 3,
    /// One thing goes and another comes: it has to be said whether that is a rename.
    REMY_AMBIGUOUS_RENAME = 4,
    /// The change would alter or lose values, and nobody has said that it may.
    REMY_LOSSY_CHANGE = 5,
    /// A statement failed on the clone.
    REMY_DDL_FAILED = 6,
    /// The changed clone did not pass a check.
    REMY_CHECK_FAILED = 7,
    /// Somebody else holds a lock, or the call was called off.
    REMY_BUSY = 8,
    /// The switch would have held writers up for longer than `max_pause_ms`.
    REMY_PAUSE_EXCEEDED = 9,
    /// This process has live open through another SQLite library.
    REMY_LIVE_IN_USE = 10,
    /// No such release, file, session or object.
    REMY_NOT_FOUND = 11,
    /// The release cannot go live.
    REMY_NOT_PROMOTABLE = 12,
    /// The release's database was pruned.
    REMY_PRUNED = 13,
    /// There is nothing to roll back to.
    REMY_NO_PREVIOUS_RELEASE = 14,
    /// A file is not a database, or is damaged.
    REMY_CORRUPT = 15,
    /// The operating system said no.
    REMY_IO = 16,
    /// A mistake of remy's own.
    REMY_INTERNAL = 17,
    /// What was to be published could not be built. Of who builds, not of this library.
    REMY_BUILD_FAILED = 18,
}

use remy_status::*;

/// The statuses in the order of [`remy_db::CODES`].
const STATUSES: [remy_status; 18] = [
    REMY_INVALID_ARGUMENT,
    REMY_SCHEMA_INVALID,
    REMY_UNSUPPORTED_CHANGE,
    REMY_AMBIGUOUS_RENAME,
    REMY_LOSSY_CHANGE,
    REMY_DDL_FAILED,
    REMY_CHECK_FAILED,
    REMY_BUSY,
    REMY_PAUSE_EXCEEDED,
    REMY_LIVE_IN_USE,
    REMY_NOT_FOUND,
    REMY_NOT_PROMOTABLE,
    REMY_PRUNED,
    REMY_NO_PREVIOUS_RELEASE,
    REMY_CORRUPT,
    REMY_IO,
    REMY_INTERNAL,
    REMY_BUILD_FAILED,
];

/// A live database and its store.
///
/// Threads: a handle may be used from any thread, by one call at a time. A call that finds another
/// one running on the same handle does nothing and returns `REMY_BUSY`, as `remy_errmsg(NULL)`
/// says. `remy_cancel` alone may be called while another call runs. Different handles are
/// independent, also on the same database. No handle may be used in a child process after `fork`.
///
/// Strings: `const char *` results belong to the handle and are valid until the next call on it.
/// `char **json` results belong to the caller, who frees them with `remy_free`; where a call fails,
/// `*json` is NULL. All text is UTF-8, ends with NUL, and is copied where it is kept.
pub struct remy {
    opened: Mutex<Opened>,
    pid: u32,
    cancel: AtomicBool,
    progress: Mutex<(remy_progress, usize)>,
    last: Mutex<Last>,
}

/// Where a handle's verbs run.
enum Opened {
    /// In a process of their own.
    Elsewhere(Place),
    /// In this one, and why.
    Here(Remy, String),
}

/// Takes a line of the build log as JSON, while a verb runs and on its thread. The line is valid
/// until the callback returns. It may call `remy_cancel`, and no other function of this handle. It
/// must not unwind (`longjmp`, C++ exceptions).
pub type remy_progress = Option<unsafe extern "C" fn(line: *const c_char, arg: *mut c_void)>;

/// What the last call on a handle, or the last `remy_open` of a thread, failed with.
struct Last {
    code: CString,
    message: CString,
    json: CString,
}

impl Last {
    fn none() -> Self {
        Self {
            code: c_text("ok"),
            message: c_text(""),
            json: c_text("null"),
        }
    }

    fn new(e: &Error) -> Self {
        let json = serde_json::json!(e);
        Self {
            code: c_text(e.code()),
            message: c_text(&e.to_string()),
            json: c_text(&json.to_string()),
        }
    }
}

thread_local! {
    /// Of calls that have no handle.
    static LAST: RefCell<Last> = RefCell::new(Last::none());
}

/// The version of the library: `"0.1.0"`. Never NULL, never freed.
#[unsafe(no_mangle)]
pub extern "C" fn remy_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The version of the library as a number: major * 1000000 + minor * 1000 + patch, as
/// `REMY_VERSION_NUMBER`.
#[unsafe(no_mangle)]
pub extern "C" fn remy_version_number() -> i32 {
    let mut parts = env!("CARGO_PKG_VERSION")
        .split('.')
        .map(|part| part.parse::<i32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    next() * 1_000_000 + next() * 1_000 + next()
}

/// Opens the SQLite database at `path`, on the SQLite that the library carries. `*out` is the
/// handle, or NULL where it fails; `remy_errmsg(NULL)` then says why, on the thread that called.
///
/// Verbs run in a process of their own, which the library starts from its own file: this one may
/// have the database open through any SQLite library. Where none can be started, or the environment
/// variable `REMY_HELPER` is `none`, they run in this process, which then must not have the
/// database open through another SQLite library (`REMY_LIVE_IN_USE`). `remy_debug` says which it
/// is, and why. libremy.a has no file of its own: it starts what `REMY_HELPER` names, a
/// `libremy.so` of this version, or one beside the program.
///
/// # Safety
/// `path` is NULL or a C string; `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_open(path: *const c_char, out: *mut *mut remy) -> remy_status {
    let opened = guard(|| {
        if out.is_null() {
            return Err(wrong("out is NULL"));
        }
        // SAFETY: not NULL, so it may be written to.
        unsafe { *out = ptr::null_mut() };
        // SAFETY: this function's contract.
        let path = unsafe { text(path, "path") }?;
        open(path)
    });
    match opened {
        Ok(opened) => {
            let handle = remy {
                opened: Mutex::new(opened),
                pid: std::process::id(),
                cancel: AtomicBool::new(false),
                progress: Mutex::new((None, 0)),
                last: Mutex::new(Last::none()),
            };
            // SAFETY: `out` is not NULL, or `opened` would be an error.
            unsafe { *out = Box::into_raw(Box::new(handle)) };
            REMY_OK
        }
        Err(e) => without_handle(&e),
    }
}

fn open(path: &str) -> Result<Opened> {
    // The folder of the process may be another at the next call.
    let absolute = match path {
        "" | ":memory:" => path.into(),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.into()),
    };
    // A frame is text.
    let Some(path_text) = absolute.to_str() else {
        let why = "the path of the database is no UTF-8".to_owned();
        return Ok(Opened::Here(Remy::open(path)?, why));
    };
    let mut place = Place {
        path: path_text.to_owned(),
        file: None,
        may_load: true,
    };
    match elsewhere(&Verb::Open, &place, None, &|| false) {
        Ran::Done(file) => {
            place.file = serde_json::from_str(&file?)
                .map_err(|e| Error::internal(format!("reading what was opened: {e}")))?;
            Ok(Opened::Elsewhere(place))
        }
        Ran::NotHere(why) => Ok(Opened::Here(Remy::open(path)?, why)),
    }
}

/// Runs a verb in a process of its own.
fn elsewhere(
    verb: &Verb,
    place: &Place,
    on_line: Option<&dyn Fn(&str)>,
    cancelled: &dyn Fn() -> bool,
) -> Ran {
    remy_db_helper::run(
        verb,
        &Caller {
            lookup: Lookup::OwnOrBeside,
            place,
            features: None,
            on_line,
            cancelled,
        },
    )
}

/// Closes a handle. No other call may be running on it. NULL is nothing to close.
///
/// # Safety
/// `handle` is NULL or came from `remy_open`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_close(handle: *mut remy) {
    if !handle.is_null() {
        // SAFETY: it came from `Box::into_raw` in `remy_open`, and is given back once.
        let handle = unsafe { Box::from_raw(handle) };
        let _ = catch_unwind(AssertUnwindSafe(|| drop(handle)));
    }
}

/// Frees a string that came through a `char **json`. NULL is nothing to free.
///
/// # Safety
/// `json` is NULL or came from a function of this library, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_free(json: *mut c_char) {
    if !json.is_null() {
        // SAFETY: it came from `CString::into_raw` in `run`, and is given back once.
        drop(unsafe { CString::from_raw(json) });
    }
}

/// What the last call on `handle` failed with, in words: `""` where it did not fail. With NULL: of
/// the last call of this thread that had no handle.
///
/// # Safety
/// `handle` is NULL or an open handle that no call is running on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_errmsg(handle: *const remy) -> *const c_char {
    // SAFETY: this function's contract.
    unsafe { last(handle, |last| last.message.as_ptr()) }
}

/// The stable code of what `remy_errmsg` says: `"busy"`; `"ok"` where the call did not fail.
///
/// # Safety
/// As `remy_errmsg`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_errcode(handle: *const remy) -> *const c_char {
    // SAFETY: this function's contract.
    unsafe { last(handle, |last| last.code.as_ptr()) }
}

/// All of what `remy_errmsg` says, as JSON: `{"code", "message", "hint", "remedy", "object", "sql"}`;
/// `"null"` where the call did not fail.
///
/// # Safety
/// As `remy_errmsg`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_errjson(handle: *const remy) -> *const c_char {
    // SAFETY: this function's contract.
    unsafe { last(handle, |last| last.json.as_ptr()) }
}

/// Gives each line of the build log to `progress`, together with `arg`, from the next verb on. NULL
/// ends that.
///
/// # Safety
/// `handle` is NULL or an open handle; `progress` may be called with `arg` on any thread that runs
/// a verb on it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_set_progress(
    handle: *mut remy,
    progress: remy_progress,
    arg: *mut c_void,
) -> remy_status {
    // SAFETY: this function's contract.
    let Some(handle) = (unsafe { handle.as_ref() }) else {
        return without_handle(&wrong("handle is NULL"));
    };
    *lock(&handle.progress) = (progress, arg as usize);
    REMY_OK
}

/// Calls off the verb that is running on `handle`: it stops at its next step and returns
/// `REMY_BUSY`, unless it has come as far as committing, from where on it ends as it would. Does
/// nothing where none is running. May be called from any thread, also by a progress callback, at
/// any time before `remy_close`.
///
/// # Safety
/// `handle` is NULL or an open handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_cancel(handle: *mut remy) {
    // SAFETY: this function's contract; the flag is atomic, and nothing else of the handle is
    // touched.
    if let Some(handle) = unsafe { handle.as_ref() } {
        handle.cancel.store(true, Ordering::Relaxed);
    }
}

/// What remy runs on: `*json` is *debug*.
///
/// # Safety
/// Of this function and all below: `handle` is NULL or an open handle; texts are NULL or C strings;
/// `json` is NULL or may be written to. A NULL where there has to be something is
/// `REMY_INVALID_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_debug(handle: *mut remy, json: *mut *mut c_char) -> remy_status {
    // SAFETY: this function's contract.
    unsafe { run(handle, json, || Ok(Verb::Debug)) }
}

/// What a publish of `schema` would do to live as it is now: `*json` is a list of *statement*.
///
/// # Safety
/// As `remy_debug`. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_diff(
    handle: *mut remy,
    schema: *const c_char,
    options: *const c_char,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let (schema, options) = (text(schema, "schema")?.to_owned(), options_of(options)?);
            Ok(Verb::Diff { schema, options })
        })
    }
}

/// Copies live, as of one committed transaction, to `path`, which must not be there: `*json` is
/// *clone*.
///
/// # Safety
/// As `remy_debug`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_clone(
    handle: *mut remy,
    path: *const c_char,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let path = text(path, "path")?.to_owned();
            Ok(Verb::Clone { path })
        })
    }
}

/// Publishes up to the switch, and leaves the release `compiled`: `*json` is *outcome*.
///
/// # Safety
/// As `remy_debug`. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_stage(
    handle: *mut remy,
    schema: *const c_char,
    options: *const c_char,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let (schema, options) = (text(schema, "schema")?.to_owned(), options_of(options)?);
            Ok(Verb::Stage { schema, options })
        })
    }
}

/// Makes live what `schema` declares: `*json` is *outcome*.
///
/// # Safety
/// As `remy_debug`. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_publish(
    handle: *mut remy,
    schema: *const c_char,
    options: *const c_char,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let (schema, options) = (text(schema, "schema")?.to_owned(), options_of(options)?);
            Ok(Verb::Publish { schema, options })
        })
    }
}

/// Makes a kept or staged release live: `*json` is *outcome*. `release` 0 is the newest `compiled`
/// one.
///
/// # Safety
/// As `remy_debug`. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_promote(
    handle: *mut remy,
    release: i64,
    options: *const c_char,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let (release, options) = (numbered(release), options_of(options)?);
            Ok(Verb::Promote { release, options })
        })
    }
}

/// Makes an earlier release live again: `*json` is *outcome*. `release` 0 is the one that was live
/// before the live one.
///
/// # Safety
/// As `remy_debug`. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_rollback(
    handle: *mut remy,
    release: i64,
    options: *const c_char,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let (release, options) = (numbered(release), options_of(options)?);
            Ok(Verb::Rollback { release, options })
        })
    }
}

/// The history, newest first: `*json` is a list of *release*.
///
/// # Safety
/// As `remy_debug`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_releases(handle: *mut remy, json: *mut *mut c_char) -> remy_status {
    // SAFETY: this function's contract.
    unsafe { run(handle, json, || Ok(Verb::Releases)) }
}

/// The build log of a release: `*json` is a list of *line*. `release` 0 is the newest.
///
/// # Safety
/// As `remy_debug`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_build_log(
    handle: *mut remy,
    release: i64,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let release = numbered(release);
            Ok(Verb::BuildLog { release })
        })
    }
}

/// Takes a copy of live for a dev session: `*json` is *dev*.
///
/// # Safety
/// As `remy_debug`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_dev_start(
    handle: *mut remy,
    name: *const c_char,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let name = text(name, "name")?.to_owned();
            Ok(Verb::DevStart { name })
        })
    }
}

/// Makes a dev session's database equal to live, under open connections: `*json` is *dev*.
///
/// # Safety
/// As `remy_debug`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_dev_reset(
    handle: *mut remy,
    name: *const c_char,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let name = text(name, "name")?.to_owned();
            Ok(Verb::DevReset { name })
        })
    }
}

/// Empties every table of a dev session's database, under open connections: `*json` is *dev*. Of
/// the options it takes `extensions` and `lock_timeout_ms`.
///
/// # Safety
/// As `remy_debug`. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_dev_truncate(
    handle: *mut remy,
    name: *const c_char,
    options: *const c_char,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let (name, options) = (text(name, "name")?.to_owned(), options_of(options)?);
            Ok(Verb::DevTruncate { name, options })
        })
    }
}

/// Ends a dev session and removes its database: `*json` is *dev*.
///
/// # Safety
/// As `remy_debug`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_dev_stop(
    handle: *mut remy,
    name: *const c_char,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let name = text(name, "name")?.to_owned();
            Ok(Verb::DevStop { name })
        })
    }
}

/// The dev sessions, newest first: `*json` is a list of *dev*.
///
/// # Safety
/// As `remy_debug`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_dev_list(handle: *mut remy, json: *mut *mut c_char) -> remy_status {
    // SAFETY: this function's contract.
    unsafe { run(handle, json, || Ok(Verb::DevList)) }
}

/// Drops snapshots that are older than `days`: `*json` is *pruned*. `days` -1 is the option
/// `retention_days`.
///
/// # Safety
/// As `remy_debug`. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_prune(
    handle: *mut remy,
    days: i64,
    options: *const c_char,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let days = (days != -1).then_some(days);
            let options = options_of(options)?;
            Ok(Verb::Prune { days, options })
        })
    }
}

/// Reads everything again: `*json` is *verified*. `REMY_OK` says that it was read; `ok` in it says
/// whether all holds. Of the options it takes `extensions`.
///
/// # Safety
/// As `remy_debug`. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_verify(
    handle: *mut remy,
    options: *const c_char,
    json: *mut *mut c_char,
) -> remy_status {
    // SAFETY: this function's contract.
    unsafe {
        run(handle, json, || {
            let options = options_of(options)?;
            Ok(Verb::Verify { options })
        })
    }
}

/// Drops remy's tables from live in one transaction; the store stays: `*json` is *detached*.
///
/// # Safety
/// As `remy_debug`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_detach(handle: *mut remy, json: *mut *mut c_char) -> remy_status {
    // SAFETY: this function's contract.
    unsafe { run(handle, json, || Ok(Verb::Detach)) }
}

/// Runs a verb, writes its result as JSON, and keeps its error.
///
/// # Safety
/// `handle` is NULL or an open handle; `json` is NULL or may be written to.
unsafe fn run(
    handle: *mut remy,
    json: *mut *mut c_char,
    verb: impl FnOnce() -> Result<Verb>,
) -> remy_status {
    // SAFETY: this function's contract.
    if let Some(json) = unsafe { json.as_mut() } {
        *json = ptr::null_mut();
    }
    // SAFETY: this function's contract. Nothing makes a `&mut` of a handle before `remy_close`.
    let Some(handle) = (unsafe { handle.as_ref() }) else {
        return without_handle(&wrong("handle is NULL"));
    };
    let opened = match handle.opened.try_lock() {
        Ok(opened) => opened,
        // A verb that panicked left nothing half-done in memory: it opens what it needs anew.
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            return without_handle(
                &Error::busy("another call is running on this handle")
                    .state(State::NothingDone)
                    .hint("Use a handle in one thread at a time, or open a second one"),
            );
        }
    };
    handle.cancel.store(false, Ordering::Relaxed);
    let result = guard(|| {
        if json.is_null() {
            return Err(wrong("json is NULL"));
        }
        let verb = verb()?;
        verb.check()?;
        handle.run(&opened, &verb)
    });
    match result {
        Ok(text) => {
            *lock(&handle.last) = Last::none();
            // SAFETY: `json` is not NULL, or the result would be an error.
            unsafe { *json = c_text(&text).into_raw() };
            REMY_OK
        }
        Err(e) => {
            *lock(&handle.last) = Last::new(&e);
            status(&e)
        }
    }
}

impl remy {
    /// Runs a verb where this handle's run, and returns its result as JSON.
    fn run(&self, opened: &Opened, verb: &Verb) -> Result<String> {
        let progress = *lock(&self.progress);
        let on_line = |line: &str| {
            if let (Some(callback), arg) = progress {
                // SAFETY: the caller of remy_set_progress promised that this may be called here,
                // with this argument.
                unsafe { callback(c_text(line).as_ptr(), arg as *mut c_void) };
            }
        };
        match opened {
            Opened::Here(remy, why) => self.run_here(remy, verb, &on_line, why),
            Opened::Elsewhere(place) if self.pid == std::process::id() => {
                let on_line = progress.0.map(|_| &on_line as &dyn Fn(&str));
                let cancelled = || self.cancel.load(Ordering::Relaxed);
                match elsewhere(verb, place, on_line, &cancelled) {
                    Ran::Done(done) => done,
                    Ran::NotHere(why) => {
                        let on_line = on_line.unwrap_or(&|_| {});
                        let remy = Remy::at(place)?;
                        self.run_here(&remy, verb, &|line| on_line(line), &why)
                    }
                }
            }
            Opened::Elsewhere(place) => Err(Error::invalid_argument(format!(
                "{} was opened before a fork",
                place.path
            ))
            .state(State::NothingDone)
            .hint("A handle does not survive a fork: open it in this process")),
        }
    }

    fn run_here(
        &self,
        remy: &Remy,
        verb: &Verb,
        on_line: &dyn Fn(&str),
        why: &str,
    ) -> Result<String> {
        /// On its way through core to this thread again.
        struct OfThisThread<'a>(&'a dyn Fn(&str));
        // SAFETY: core calls it on the thread that runs the verb, which is this one.
        unsafe impl Send for OfThisThread<'_> {}
        // SAFETY: as above.
        unsafe impl Sync for OfThisThread<'_> {}
        impl OfThisThread<'_> {
            fn take(&self, line: &Line) {
                if let Ok(line) = serde_json::to_string(line) {
                    (self.0)(&line);
                }
            }
        }
        let here = OfThisThread(on_line);
        let take = |line: &Line| here.take(line);
        let progress = Progress::none().on_line(&take).cancel(&self.cancel);
        remy_db_helper::ran_here(verb, verb.run(remy, progress)?, why)
    }
}

/// A part of the last error.
///
/// # Safety
/// `handle` is NULL or an open handle that no call is running on.
unsafe fn last(handle: *const remy, part: impl FnOnce(&Last) -> *const c_char) -> *const c_char {
    // SAFETY: this function's contract. The pointer is into memory that the handle, or this thread,
    // keeps until its next call.
    match unsafe { handle.as_ref() } {
        Some(handle) => part(&lock(&handle.last)),
        None => LAST.with_borrow(part),
    }
}

/// Keeps the error of a call that has no handle.
fn without_handle(e: &Error) -> remy_status {
    LAST.with_borrow_mut(|last| *last = Last::new(e));
    status(e)
}

fn status(e: &Error) -> remy_status {
    let at = remy_db::CODES.iter().position(|code| *code == e.code());
    at.and_then(|at| STATUSES.get(at))
        .copied()
        .unwrap_or(REMY_INTERNAL)
}

/// Runs `call`, and makes a panic an `internal` error.
fn guard<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|panic| Err(Error::of_panic(panic.as_ref())))
}

/// # Safety
/// `given` is NULL, or a C string that outlives the use of the result.
unsafe fn text<'a>(given: *const c_char, what: &str) -> Result<&'a str> {
    if given.is_null() {
        return Err(wrong(format!("{what} is NULL")));
    }
    // SAFETY: not NULL, so it is a C string.
    unsafe { CStr::from_ptr(given) }
        .to_str()
        .map_err(|_| wrong(format!("{what} is not valid UTF-8")))
}

/// Options as text.
///
/// # Safety
/// `options` is NULL or a C string.
unsafe fn options_of(options: *const c_char) -> Result<String> {
    if options.is_null() {
        return Ok(String::new());
    }
    // SAFETY: this function's contract.
    let options = unsafe { text(options, "options") }?;
    Ok(options.to_owned())
}

/// A release's number; 0 is none.
fn numbered(release: i64) -> Option<ReleaseId> {
    (release != 0).then_some(ReleaseId(release))
}

fn wrong(what: impl Into<String>) -> Error {
    Error::invalid_argument(what).state(State::NothingDone)
}

/// `text` up to its first NUL. JSON has none.
fn c_text(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Handles wander between threads: what they hold has to be able to.
const _: fn() = || {
    fn sync<T: Sync>() {}
    sync::<remy>();
};

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = include_str!("../../../include/remy.h");

    #[test]
    fn the_header_is_not_stale() {
        let fresh = include_str!(concat!(env!("OUT_DIR"), "/remy.h"));
        assert!(
            HEADER == fresh,
            "include/remy.h is stale: build remy-db-capi without CI set, and commit it"
        );
    }

    #[test]
    fn there_is_a_status_for_every_code() {
        assert_eq!(STATUSES.len(), remy_db::CODES.len());
        for (at, (status, code)) in STATUSES.iter().zip(remy_db::CODES).enumerate() {
            assert_eq!(
                format!("{status:?}"),
                format!("REMY_{}", code.to_uppercase())
            );
            assert_eq!(*status as usize, at + 1);
        }
    }

    #[test]
    fn versions_agree() {
        assert!(HEADER.contains(&format!(
            "#define REMY_VERSION \"{}\"\n",
            env!("CARGO_PKG_VERSION")
        )));
        assert!(HEADER.contains(&format!(
            "#define REMY_VERSION_NUMBER {}\n",
            remy_version_number()
        )));
    }

    #[test]
    fn nulls_are_invalid_arguments() {
        let mut handle = ptr::dangling_mut();
        let mut json = ptr::dangling_mut();
        // SAFETY: NULL is what every function takes, and the out-parameters may be written to.
        unsafe {
            assert_eq!(
                remy_open(ptr::null(), &raw mut handle),
                REMY_INVALID_ARGUMENT
            );
            assert!(handle.is_null());
            assert_eq!(
                CStr::from_ptr(remy_errmsg(ptr::null())).to_str(),
                Ok("path is NULL. Nothing was done")
            );
            assert_eq!(
                CStr::from_ptr(remy_errcode(ptr::null())).to_str(),
                Ok("invalid_argument")
            );
            assert_eq!(
                remy_open(c"\xff".as_ptr(), &raw mut handle),
                REMY_INVALID_ARGUMENT
            );
            assert_eq!(
                remy_open(c"x".as_ptr(), ptr::null_mut()),
                REMY_INVALID_ARGUMENT
            );
            assert_eq!(
                remy_publish(handle, ptr::null(), ptr::null(), &raw mut json),
                REMY_INVALID_ARGUMENT
            );
            assert!(json.is_null());
            assert_eq!(remy_debug(handle, ptr::null_mut()), REMY_INVALID_ARGUMENT);
            assert_eq!(
                remy_set_progress(handle, None, ptr::null_mut()),
                REMY_INVALID_ARGUMENT
            );
            remy_cancel(handle);
            remy_free(json);
            remy_close(handle);
        }
    }
}
