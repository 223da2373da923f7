//! The environment of a program that root has started, and that becomes another's.

use super::owner::is_harmless;
use std::{env, ffi::OsString};

unsafe extern "C" {
    static mut environ: *mut *mut libc::c_char;
}

/// Overwrites all of the environment but what is harmless. Whose the process becomes may read it:
/// in `/proc`, and in its memory.
///
/// No other thread may be at work on the environment meanwhile.
pub fn forget() {
    let kept: Vec<(OsString, OsString)> = env::vars_os()
        .filter(|(name, _)| name.to_str().is_some_and(is_harmless))
        .collect();
    // SAFETY: the texts are the process's own, each ends with a zero, and the list with a null;
    // nobody else looks at them: the programs that call this have one other thread at most, which
    // waits for a socket or a signal.
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
