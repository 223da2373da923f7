//! The few calls of SQLite that rusqlite does not wrap.

use crate::{
    base::{
        clock::Moment,
        error::{Context, Error, Result, State},
    },
    sqlite::{routines, tx},
};
use rusqlite::{Connection, ErrorCode, ffi};
use std::{
    ffi::{CStr, CString, c_int, c_void},
    ptr,
    time::Duration,
};

/// The file of a connection, for messages.
pub(crate) fn name(conn: &Connection) -> &str {
    conn.path()
        .filter(|path| !path.is_empty())
        .unwrap_or("a temporary database")
}

/// Whether a database has nothing in it.
pub(crate) fn is_empty(conn: &Connection) -> Result<bool> {
    conn.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })
    .context(|| format!("looking at {}", name(conn)))
}

/// Makes the first page of a database of 0 bytes, and nothing else.
pub(crate) fn make_first_page(conn: &Connection) -> rusqlite::Result<()> {
    let tx = tx::begin_to_write(conn)?;
    tx.execute_batch("PRAGMA user_version = 0")?;
    tx.commit()
}

/// A text that no other call gives.
pub(crate) fn unique(conn: &Connection) -> Result<String> {
    conn.query_row("SELECT lower(hex(randomblob(8)))", [], |row| row.get(0))
        .context(|| "making an id".to_owned())
}

/// What a pragma says.
pub(crate) fn pragma<T: rusqlite::types::FromSql>(conn: &Connection, pragma: &str) -> Result<T> {
    conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
        .context(|| format!("asking {} for its {pragma}", name(conn)))
}

/// Makes a connection wait for locks, a millisecond at a time. SQLite's own `busy_timeout` sleeps
/// for up to 100 ms, and gets in between busy writers by luck only: on a slow disk a reader of a
/// rollback journal was seen to try in vain for 5 s.
pub fn wait_for_locks(conn: &Connection, timeout: Duration) -> Result<()> {
    unsafe extern "C" fn wait(timeout_ms: *mut c_void, tried: c_int) -> c_int {
        let again = usize::try_from(tried).is_ok_and(|tried| tried < timeout_ms.addr());
        if again {
            std::thread::sleep(Duration::from_millis(1));
        }
        c_int::from(again)
    }
    let timeout_ms = usize::try_from(timeout.as_millis()).unwrap_or(usize::MAX);
    // SAFETY: the handle is open. The argument is a number, and nobody takes it for a pointer; the
    // handler calls no SQLite.
    let code = unsafe {
        ffi::sqlite3_busy_handler(
            conn.handle(),
            Some(wait),
            ptr::without_provenance_mut(timeout_ms),
        )
    };
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(failure(conn, code).into())
    }
}

/// Puts a database into WAL mode, and says in which it is then. Tried until `timeout` has passed:
/// the pragma makes a read lock a write lock, where SQLite asks no busy handler.
pub(crate) fn to_wal(conn: &Connection, timeout: Duration) -> rusqlite::Result<String> {
    let start = Moment::now();
    loop {
        match conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Err(e) if is_busy(&e) && start.elapsed() < timeout => {
                std::thread::sleep(Duration::from_millis(1))
            }
            done => return done,
        }
    }
}

/// Whether somebody else holds a lock.
pub(crate) fn is_busy(e: &rusqlite::Error) -> bool {
    matches!(
        e.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Commits one page rewritten as it is, after a COMMIT that failed or died. A commit frame that was
/// written but not synced can come alive at the next recovery of the WAL: this takes its place.
pub(crate) fn overwrite_undecided(conn: &Connection) -> Result<()> {
    let version: i64 = pragma(conn, "user_version")?;
    let commit = if conn.is_autocommit() { "" } else { "COMMIT" };
    conn.execute_batch(&format!("PRAGMA user_version = {version}; {commit}"))
        .context(|| format!("burying a commit to {} that failed", name(conn)))
}

/// Commits, and says of an error what became of the transaction: `unchanged`, where that is sure.
pub fn commit(conn: &Connection, unchanged: State) -> Result<()> {
    let Err(e) = conn
        .execute_batch("COMMIT")
        .context(|| format!("committing to {}", name(conn)))
    else {
        return Ok(());
    };
    let rolled_back = if conn.is_autocommit() {
        Ok(())
    } else {
        conn.execute_batch("ROLLBACK")
    };
    // On the same connection: with none open, the next one would read the WAL again.
    Err(
        match rolled_back
            .map_err(Error::from)
            .and_then(|()| overwrite_undecided(conn))
        {
            Ok(()) => e.state(unchanged),
            Err(_) => e
                .state("Whether it is done is not known")
                .hint("Mend what is wrong with the disk, and call it again"),
        },
    )
}

/// What went wrong, in SQLite's words for it.
pub(crate) fn failure(conn: &Connection, code: c_int) -> rusqlite::Error {
    // SAFETY: the handle is open; the message is copied before the next call on it.
    let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(conn.handle())) }
        .to_string_lossy()
        .into_owned();
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(message))
}

fn file_control(conn: &Connection, op: c_int, arg: *mut c_void) -> c_int {
    // SAFETY: the handle is open, "main" always exists, and each caller passes the type that its op
    // documents.
    unsafe { ffi::sqlite3_file_control(conn.handle(), c"main".as_ptr(), op, arg) }
}

/// The bytes that each page keeps for an extension, such as a checksum VFS. 0 where SQLite cannot
/// tell.
pub(crate) fn reserved_bytes(conn: &Connection) -> u8 {
    let mut n: c_int = -1; // negative: ask, do not set
    match file_control(
        conn,
        ffi::SQLITE_FCNTL_RESERVE_BYTES,
        ptr::from_mut(&mut n).cast(),
    ) {
        ffi::SQLITE_OK => u8::try_from(n).unwrap_or(0),
        _ => 0,
    }
}

/// The file of a connection's WAL, which SQLite keeps for as long as the connection is open. NULL
/// where SQLite has none; one that is not open has no methods.
pub(crate) fn wal_file(conn: &Connection) -> *mut ffi::sqlite3_file {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    match file_control(
        conn,
        ffi::SQLITE_FCNTL_JOURNAL_POINTER,
        ptr::from_mut(&mut file).cast(),
    ) {
        ffi::SQLITE_OK => file,
        _ => ptr::null_mut(),
    }
}

/// The main file of a connection, which SQLite keeps open as long as the connection. NULL where
/// SQLite does not give it.
pub(crate) fn main_file(conn: &Connection) -> *mut ffi::sqlite3_file {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    match file_control(
        conn,
        ffi::SQLITE_FCNTL_FILE_POINTER,
        ptr::from_mut(&mut file).cast(),
    ) {
        ffi::SQLITE_OK => file,
        _ => ptr::null_mut(),
    }
}

/// Has everything written that a connection has appended to its WAL: see
/// [`crate::sqlite::vfs::wal_buffer`].
pub(crate) fn write_wal(conn: &Connection) -> Result<()> {
    let file = wal_file(conn);
    if file.is_null() {
        return Err(Error::internal("SQLite did not give its WAL"));
    }
    let mut size = 0;
    // SAFETY: SQLite gave the file and keeps it open as long as the connection; a file that is not
    // open has no methods.
    let code = unsafe {
        match (*file)
            .pMethods
            .as_ref()
            .and_then(|methods| methods.xFileSize)
        {
            Some(x_size) => x_size(file, &raw mut size),
            None => ffi::SQLITE_OK,
        }
    };
    match code {
        ffi::SQLITE_OK => Ok(()),
        // A call on the file, not on the connection, which knows nothing of it.
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
            .context(|| format!("writing the WAL of {}", name(conn))),
    }
}

/// Reads from the main database file through SQLite's own descriptor: closing one of ours would
/// drop every lock that this process holds on the file. Returns how many bytes there were.
pub(crate) fn read_main_file(conn: &Connection, at: u64, buffer: &mut [u8]) -> Result<usize> {
    let file = main_file(conn);
    if file.is_null() {
        return Err(Error::internal("SQLite did not give its file"));
    }
    let offset = i64::try_from(at).map_err(|_| Error::internal("offset over 2^63"))?;
    // SAFETY: SQLite gave the file and keeps it open as long as the connection; its methods are set
    // while it is open.
    let (size, read) = unsafe {
        let methods = &*(*file).pMethods;
        let (Some(x_size), Some(x_read)) = (methods.xFileSize, methods.xRead) else {
            return Err(Error::internal("SQLite's file has no methods"));
        };
        let mut size = 0;
        let code = x_size(file, &raw mut size);
        if code != ffi::SQLITE_OK {
            return Err(failure(conn, code))
                .context(|| format!("reading the size of {}", name(conn)));
        }
        (size, x_read)
    };
    let n =
        usize::try_from((size - offset).max(0)).map_or(buffer.len(), |left| left.min(buffer.len()));
    let amount = c_int::try_from(n).map_err(|_| Error::internal("a read of over 2 GiB"))?;
    // SAFETY: as above; the buffer holds `amount` bytes.
    match unsafe { read(file, buffer.as_mut_ptr().cast(), amount, offset) } {
        ffi::SQLITE_OK => Ok(n),
        code => Err(failure(conn, code)).context(|| format!("reading {}", name(conn))),
    }
}

/// Whether the connection is in a transaction, on any database: also as a statement that writes,
/// outside of BEGIN. A statement that reads a table is in one that reads; `writing` asks for more
/// than that.
pub(crate) fn in_transaction(conn: &Connection, writing: bool) -> bool {
    // SAFETY: the handle is open; a null schema asks for all of them.
    let state = unsafe { ffi::sqlite3_txn_state(conn.handle(), ptr::null()) };
    // A BEGIN alone has no state yet.
    if writing {
        state > ffi::SQLITE_TXN_READ
    } else {
        state > ffi::SQLITE_TXN_NONE || !conn.is_autocommit()
    }
}

/// The statements of a connection that have begun and not ended, as they begin.
pub(crate) fn running(conn: &Connection) -> Vec<String> {
    let mut all = Vec::new();
    let mut statement = ptr::null_mut();
    loop {
        // SAFETY: the handle is open, and used by this thread alone during the call; each statement
        // is one that SQLite has just given, with a text that it keeps as long as the statement.
        unsafe {
            statement = ffi::sqlite3_next_stmt(conn.handle(), statement);
            if statement.is_null() {
                return all;
            }
            let sql = ffi::sqlite3_sql(statement);
            if ffi::sqlite3_stmt_busy(statement) != 0 && !sql.is_null() {
                let sql = CStr::from_ptr(sql).to_string_lossy();
                all.push(format!(
                    "{:?}",
                    sql.trim().chars().take(60).collect::<String>()
                ));
            }
        }
    }
}

/// Whether SQL on this connection may load a library: what `load_extension()` says to it. The C
/// interface alone may be on (better-sqlite3 has it so), which lets code in, and no SQL.
pub(crate) fn sql_may_load(conn: &Connection) -> bool {
    let mut on: c_int = 0;
    // SAFETY: the handle is open; -1 asks, and the answer goes to an int that lives through the
    // call.
    let code = unsafe {
        let setting = ffi::SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION;
        ffi::sqlite3_db_config(conn.handle(), setting, -1 as c_int, ptr::from_mut(&mut on))
    };
    // NULL names no library: all that this does is to fail where it may not.
    code == ffi::SQLITE_OK
        && on != 0
        && conn
            .query_row("SELECT load_extension(NULL)", [], |_| Ok(()))
            .is_ok()
}

/// Whether the main database is open in a transaction that reads and does not write.
pub(crate) fn reads(conn: &Connection) -> bool {
    // SAFETY: the handle is open, and "main" always exists.
    unsafe { ffi::sqlite3_txn_state(conn.handle(), c"main".as_ptr()) == ffi::SQLITE_TXN_READ }
}

/// The VFS of a host's main database, and what, if anything, keeps SQLite from locking it: a
/// parameter of the URI.
pub(crate) fn host_file(conn: &Connection) -> (Option<CString>, Option<&'static str>) {
    // Not SQLITE_FCNTL_VFSNAME: a VFS that hands file controls down to the one below it would go by
    // that one's name.
    let mut vfs: *mut ffi::sqlite3_vfs = ptr::null_mut();
    let code = file_control(
        conn,
        ffi::SQLITE_FCNTL_VFS_POINTER,
        ptr::from_mut(&mut vfs).cast(),
    );
    let vfs = (code == ffi::SQLITE_OK && !vfs.is_null()).then(|| {
        // SAFETY: the VFS of an open connection, which keeps its name as long as it is registered.
        unsafe { CStr::from_ptr((*vfs).zName) }.to_owned()
    });
    // SAFETY: the handle is open, "main" always exists, and its filename is one that
    // sqlite3_uri_boolean takes.
    let parameter = unsafe {
        let file = ffi::sqlite3_db_filename(conn.handle(), c"main".as_ptr());
        [("nolock=1", c"nolock"), ("immutable=1", c"immutable")]
            .into_iter()
            .find(|(_, parameter)| {
                !file.is_null() && ffi::sqlite3_uri_boolean(file, parameter.as_ptr(), 0) != 0
            })
            .map(|(name, _)| name)
    };
    let without_locks = vfs.as_deref() == Some(c"unix-none");
    (vfs, parameter.or(without_locks.then_some("vfs=unix-none")))
}

/// The name of the VFS of a host's main database, where it is none that another process has as
/// well: SQLite's own for this system, which the host has by default.
pub(crate) fn own_vfs(conn: &Connection) -> Option<String> {
    let (vfs, _) = host_file(conn);
    // SAFETY: a null name asks for the default one, which keeps its name as long as it is
    // registered.
    let default = unsafe {
        let default = ffi::sqlite3_vfs_find(ptr::null());
        (!default.is_null()).then(|| CStr::from_ptr((*default).zName))
    };
    match vfs {
        Some(vfs) if vfs.as_c_str() == c"unix" && default == Some(c"unix") => None,
        Some(vfs) => Some(vfs.to_string_lossy().into_owned()),
        None => Some("unknown".to_owned()),
    }
}

/// The 48 bytes of the snapshot that the open transaction reads; begins to read where it has only
/// said BEGIN. `None` for `SQLITE_ERROR`, which says that no frame of the WAL counts, or that there
/// is no transaction or no WAL. The embedded engine's only.
pub(crate) fn snapshot(conn: &Connection) -> Result<Option<[u8; 48]>> {
    let routines = routines::routines()?;
    let mut out = ptr::null_mut();
    // SAFETY: the handle is open, and of the engine whose routine this is: a process has one or the
    // other.
    match unsafe { (routines.snapshot_get)(conn.handle(), c"main".as_ptr(), &raw mut out) } {
        ffi::SQLITE_OK => {
            // SAFETY: on success `out` is a snapshot, 48 bytes, ours to free.
            let bytes = unsafe {
                let bytes = *out;
                (routines.snapshot_free)(out);
                bytes
            };
            Ok(Some(bytes))
        }
        ffi::SQLITE_ERROR => Ok(None),
        code => Err(failure(conn, code))
            .context(|| format!("asking for the read mark of {}", name(conn))),
    }
}

/// How many descriptors the embedded engine itself has on a file.
pub(crate) fn descriptors(device: u64, inode: u64) -> Result<usize> {
    // SAFETY: takes two numbers and looks at the engine's own list under its mutex.
    let n = unsafe { (routines::routines()?.descriptors)(device, inode) };
    Ok(usize::try_from(n).unwrap_or(0))
}

/// Keeps COMMIT from moving pages: without this a database in `auto_vacuum=FULL` loses its last
/// pages when an image is written into it, with no error. The embedded engine's only.
pub(crate) fn keep_free_pages(conn: &Connection) -> Result<()> {
    // SAFETY: the handle is open, and of the engine whose routine this is.
    match unsafe { (routines::routines()?.keep_free_pages)(conn.handle()) } {
        ffi::SQLITE_OK => Ok(()),
        code => Err(failure(conn, code)).context(|| format!("preparing to write {}", name(conn))),
    }
}
