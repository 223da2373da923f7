//! The few calls of SQLite that rusqlite does not wrap.
use crate::{
    engine,
    error::{Context, Error, Result},
};
use rusqlite::{Connection, ffi};
use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    ptr,
};

/// What went wrong, in SQLite's words for it.
pub(crate) fn failure(conn: &Connection, code: c_int) -> rusqlite::Error {
    // SAFETY: the handle is open; the message is copied before the next call on it.
    let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(conn.handle())) }.to_string_lossy().into_owned();
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(message))
}

fn file_control(conn: &Connection, op: c_int, arg: *mut c_void) -> c_int {
    // SAFETY: the handle is open, "main" always exists, and each caller passes the type that its op documents.
    unsafe { ffi::sqlite3_file_control(conn.handle(), c"main".as_ptr(), op, arg) }
}

/// The bytes that each page keeps for an extension, such as a checksum VFS. 0 where SQLite cannot tell.
pub(crate) fn reserved_bytes(conn: &Connection) -> u8 {
    let mut n: c_int = -1; // negative: ask, do not set
    match file_control(conn, ffi::SQLITE_FCNTL_RESERVE_BYTES, ptr::from_mut(&mut n).cast()) {
        ffi::SQLITE_OK => u8::try_from(n).unwrap_or(0),
        _ => 0,
    }
}

/// Reads from the main database file through SQLite's own descriptor: closing one of ours would drop every lock that
/// this process holds on the file. Gives how many bytes there were.
pub(crate) fn read_main_file(conn: &Connection, at: u64, buffer: &mut [u8]) -> Result<usize> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    let code = file_control(conn, ffi::SQLITE_FCNTL_FILE_POINTER, ptr::from_mut(&mut file).cast());
    if code != ffi::SQLITE_OK || file.is_null() {
        return Err(Error::internal("SQLite did not give its file"));
    }
    let offset = i64::try_from(at).map_err(|_| Error::internal("offset over 2^63"))?;
    // SAFETY: SQLite gave the file and keeps it open as long as the connection; its methods are set while it is open.
    let (size, read) = unsafe {
        let methods = &*(*file).pMethods;
        let (Some(x_size), Some(x_read)) = (methods.xFileSize, methods.xRead) else {
            return Err(Error::internal("SQLite's file has no methods"));
        };
        let mut size = 0;
        let code = x_size(file, &raw mut size);
        if code != ffi::SQLITE_OK {
            return Err(failure(conn, code)).context(|| "reading the size of live".into());
        }
        (size, x_read)
    };
    let n = usize::try_from((size - offset).max(0)).map_or(buffer.len(), |left| left.min(buffer.len()));
    let amount = c_int::try_from(n).map_err(|_| Error::internal("a read of over 2 GiB"))?;
    // SAFETY: as above; the buffer holds `amount` bytes.
    match unsafe { read(file, buffer.as_mut_ptr().cast(), amount, offset) } {
        ffi::SQLITE_OK => Ok(n),
        code => Err(failure(conn, code)).context(|| "reading live".into()),
    }
}

/// Whether the connection is in a transaction, on any database: also as a statement that writes, outside of BEGIN. A
/// statement that reads a table is in one that reads; `writing` asks for more than that.
pub(crate) fn in_transaction(conn: &Connection, writing: bool) -> bool {
    // SAFETY: the handle is open; a null schema asks for all of them.
    let state = unsafe { ffi::sqlite3_txn_state(conn.handle(), ptr::null()) };
    // A BEGIN alone has no state yet.
    if writing { state > ffi::SQLITE_TXN_READ } else { state > ffi::SQLITE_TXN_NONE || !conn.is_autocommit() }
}

/// What `PRAGMA data_version` would say, without reading: it can be asked inside a lock.
pub(crate) fn file_data_version(conn: &Connection) -> Result<u32> {
    let mut version = 0u32;
    match file_control(conn, ffi::SQLITE_FCNTL_DATA_VERSION, ptr::from_mut(&mut version).cast()) {
        ffi::SQLITE_OK => Ok(version),
        code => Err(failure(conn, code)).context(|| "reading data_version of live".into()),
    }
}

/// The VFS of a host's main database, and the URI parameter, if any, that keeps SQLite from locking it.
pub(crate) fn host_file(conn: &Connection) -> (Option<CString>, Option<&'static str>) {
    let mut name: *mut c_char = ptr::null_mut();
    let code = file_control(conn, ffi::SQLITE_FCNTL_VFSNAME, ptr::from_mut(&mut name).cast());
    let vfs = if code == ffi::SQLITE_OK && !name.is_null() {
        // SAFETY: SQLite gave a string that is ours to free, from its own allocator.
        unsafe {
            let vfs = CStr::from_ptr(name).to_owned();
            ffi::sqlite3_free(name.cast());
            // A stack of VFSes is named "top/bottom"; the top one is the one to open with.
            let top = vfs.to_bytes().split(|&byte| byte == b'/').next().unwrap_or_default();
            CString::new(top).ok()
        }
    } else {
        None
    };
    // SAFETY: the handle is open, "main" always exists, and its filename is one that sqlite3_uri_boolean takes.
    let unsafe_parameter = unsafe {
        let file = ffi::sqlite3_db_filename(conn.handle(), c"main".as_ptr());
        [("nolock", c"nolock"), ("immutable", c"immutable")]
            .into_iter()
            .find(|(_, parameter)| !file.is_null() && ffi::sqlite3_uri_boolean(file, parameter.as_ptr(), 0) != 0)
            .map(|(name, _)| name)
    };
    (vfs, unsafe_parameter)
}

/// The 48 bytes of the snapshot that the open transaction reads. `None` for `SQLITE_ERROR`, which says that there is no WAL
/// to speak of, or that the database is not in WAL mode. The embedded engine's only.
pub(crate) fn snapshot(conn: &Connection) -> Result<Option<[u8; 48]>> {
    let routines = engine::routines()?;
    let mut out = ptr::null_mut();
    // SAFETY: the handle is open, and of the engine whose routine this is: a process has one or the other.
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
        code => Err(failure(conn, code)).context(|| "asking for the read mark of live".into()),
    }
}

/// How many descriptors the embedded engine itself has on a file.
pub(crate) fn descriptors(device: u64, inode: u64) -> Result<usize> {
    // SAFETY: takes two numbers and looks at the engine's own list under its mutex.
    let n = unsafe { (engine::routines()?.descriptors)(device, inode) };
    Ok(usize::try_from(n).unwrap_or(0))
}

/// Keeps COMMIT from moving pages: without this a database in `auto_vacuum=FULL` loses its last pages when an image is
/// written into it, with no error. The embedded engine's only.
pub(crate) fn keep_free_pages(conn: &Connection) -> Result<()> {
    // SAFETY: the handle is open, and of the engine whose routine this is.
    match unsafe { (engine::routines()?.keep_free_pages)(conn.handle()) } {
        ffi::SQLITE_OK => Ok(()),
        code => Err(failure(conn, code)).context(|| "preparing to write live".into()),
    }
}

/// Ends every statement of a connection once a moment has passed, as long as this lives.
pub(crate) struct Deadline<'a> {
    conn: &'a Connection,
    state: Box<(crate::clock::Moment, std::time::Duration)>,
}

impl<'a> Deadline<'a> {
    pub(crate) fn new(conn: &'a Connection, since: crate::clock::Moment, limit: std::time::Duration) -> Self {
        unsafe extern "C" fn passed(state: *mut c_void) -> c_int {
            // SAFETY: the state of the Deadline that set this handler; its Drop takes the handler off first.
            let (since, limit) = unsafe { *state.cast::<(crate::clock::Moment, std::time::Duration)>() };
            c_int::from(since.elapsed() > limit)
        }
        let mut deadline = Self { conn, state: Box::new((since, limit)) };
        let state = ptr::from_mut(deadline.state.as_mut()).cast();
        // SAFETY: the handle is open, and the state stays where it is until the handler is taken off.
        unsafe { ffi::sqlite3_progress_handler(conn.handle(), 1000, Some(passed), state) };
        deadline
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.state.0.elapsed() > self.state.1
    }
}

impl Drop for Deadline<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is open, as it is borrowed.
        unsafe { ffi::sqlite3_progress_handler(self.conn.handle(), 0, None, ptr::null_mut()) };
    }
}
