//! The environment of the program, which is that of its host.

use std::{env, ffi::OsString};

/// What the owner of a database may know of root's environment: what programs and messages need.
const KEPT: &[&str] = &["PATH", "LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ"];

unsafe extern "C" {
    static mut environ: *mut *mut libc::c_char;
}

/// Overwrites all of the environment but what is harmless. Whose the process becomes may read it:
/// in `/proc`, and in its memory.
pub(crate) fn forget() {
    let kept: Vec<(&str, OsString)> = KEPT
        .iter()
        .filter_map(|name| Some((*name, env::var_os(name)?)))
        .collect();
    // SAFETY: the texts are the process's own, each ends with a zero, and the list with a null;
    // nobody else looks at them: the one other thread reads a socket.
    unsafe {
        let mut text = environ;
        while !text.is_null() && !(*text).is_null() {
            libc::explicit_bzero((*text).cast(), libc::strlen(*text));
            text = text.add(1);
        }
        libc::clearenv();
    }
    for (name, value) in kept {
        // SAFETY: as above.
        unsafe { env::set_var(name, value) };
    }
}
