//! What remy's VFSes have in common. Each is a copy of the default one, and puts methods of its own
//! before that one's for some files: [`super::wal_buffer`] for WALs, [`super::read_tracker`] for
//! the main file of an overlay, too.

use rusqlite::ffi;
use std::{
    ffi::{CStr, c_char, c_int, c_void},
    ptr,
    sync::OnceLock,
};

/// A file that is open by methods of ours. SQLite allocates it; the file of the default VFS stands
/// behind it in the same memory.
#[repr(C)]
pub(crate) struct ShimFile {
    head: ffi::sqlite3_file,
    /// A box of what the methods need, theirs to free in xClose.
    pub(crate) state: *mut c_void,
}

/// How a VFS opens a file.
pub(crate) type Open = unsafe extern "C" fn(
    *mut ffi::sqlite3_vfs,
    *const c_char,
    *mut ffi::sqlite3_file,
    c_int,
    *mut c_int,
) -> c_int;

pub(super) struct Base(pub(crate) *mut ffi::sqlite3_vfs);

// SAFETY: SQLite's default VFS lives as long as the process and may be called from any thread.
unsafe impl Send for Base {}

// SAFETY: as above.
unsafe impl Sync for Base {}

pub(super) static BASE: OnceLock<Base> = OnceLock::new();

/// Opens a file as if no VFS of ours were there.
///
/// # Safety
/// The arguments are those that SQLite gave to xOpen of a VFS that [`register`](super::register)
/// made.
pub(crate) unsafe fn open_plain(
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let Some(Base(base)) = BASE.get() else {
        return ffi::SQLITE_ERROR;
    };
    // SAFETY: as the caller promises; the default VFS has an xOpen.
    unsafe {
        match (**base).xOpen {
            Some(open) => open(*base, name, file, flags, out_flags),
            None => ffi::SQLITE_ERROR,
        }
    }
}

/// Opens a file with `methods` before those of the default VFS, and the state that `state` makes of
/// its name.
///
/// # Safety
/// As for [`open_plain`]; the methods take a [`ShimFile`] with that state.
pub(crate) unsafe fn open_with_methods<T>(
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
    methods: &'static ffi::sqlite3_io_methods,
    state: impl FnOnce(Option<&CStr>) -> T,
) -> c_int {
    // SAFETY: SQLite gives memory of szOsFile bytes, which holds a ShimFile and the default VFS's
    // file behind it, and a name that is NUL-terminated where it is not NULL.
    unsafe {
        let wrapped = file.cast::<ShimFile>();
        (*wrapped).head.pMethods = ptr::null(); // SQLite closes only what has methods
        let code = open_plain(name, real(file), flags, out_flags);
        if code == ffi::SQLITE_OK {
            let name = (!name.is_null()).then(|| CStr::from_ptr(name));
            (*wrapped).state = Box::into_raw(Box::new(state(name))).cast();
            (*wrapped).head.pMethods = methods;
        }
        code
    }
}

/// The state of a file, where it is open by `methods`.
///
/// # Safety
/// `file` is NULL, or a file that SQLite keeps open; nothing else uses its state while the
/// reference lives; `T` is what [`open_with_methods`] was given beside `methods`.
pub(crate) unsafe fn state_of<'a, T>(
    file: *mut ffi::sqlite3_file,
    methods: &'static ffi::sqlite3_io_methods,
) -> Option<&'a mut T> {
    // SAFETY: as the caller promises; a file that is not open has no methods, and only one of ours
    // has these.
    unsafe {
        if file.is_null() || !ptr::eq((*file).pMethods, methods) {
            return None;
        }
        (*file.cast::<ShimFile>()).state.cast::<T>().as_mut()
    }
}

/// The default VFS's file.
///
/// # Safety
/// `file` is a [`ShimFile`] in memory that SQLite gave to xOpen.
pub(crate) unsafe fn real(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: that file stands behind it; both are aligned as pointers are.
    unsafe { file.cast::<ShimFile>().add(1).cast() }
}

/// Calls a method of the default VFS's file.
macro_rules! base {
    ($file:ident . $method:ident ($($argument:expr),*)) => {{
        // SAFETY: the file was opened by open_with_methods, so the default VFS has set its methods;
        // the arguments are SQLite's own.
        unsafe {
            let file = $crate::sqlite::vfs::shim::real($file);
            match (*(*file).pMethods).$method {
                Some(method) => method(file $(, $argument)*),
                None => rusqlite::ffi::SQLITE_ERROR,
            }
        }
    }};
}

/// Declares methods that are the default VFS's own.
macro_rules! pass_on {
    ($($name:ident, $method:ident ($($argument:ident: $type:ty),*);)*) => {
        $(unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $type)*) -> c_int {
            base!(file.$method($($argument),*))
        })*
    };
}

pass_on! {
    x_read, xRead(into: *mut c_void, amount: c_int, at: i64);
    x_write, xWrite(from: *const c_void, amount: c_int, at: i64);
    x_truncate, xTruncate(size: i64);
    x_sync, xSync(flags: c_int);
    x_file_size, xFileSize(size: *mut i64);
    x_lock, xLock(level: c_int);
    x_unlock, xUnlock(level: c_int);
    x_check_reserved_lock, xCheckReservedLock(locked: *mut c_int);
    x_file_control, xFileControl(op: c_int, argument: *mut c_void);
    x_sector_size, xSectorSize();
    x_device_characteristics, xDeviceCharacteristics();
}

/// Every method as the default VFS has it, but for those that a file without shared memory and
/// memory mapping does without. Whoever takes them puts an xClose in, that frees its state.
pub(crate) const METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: None,
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xSync: Some(x_sync),
    xFileSize: Some(x_file_size),
    xLock: Some(x_lock),
    xUnlock: Some(x_unlock),
    xCheckReservedLock: Some(x_check_reserved_lock),
    xFileControl: Some(x_file_control),
    xSectorSize: Some(x_sector_size),
    xDeviceCharacteristics: Some(x_device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

pub(crate) use base;
