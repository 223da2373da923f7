//! No panic crosses into the host.

use remy_db::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `call`, and makes a panic an `internal` error.
pub fn guard<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    // Nothing that a panic may have left half-done is looked at again: every verb opens what it
    // needs anew.
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|panic| Err(Error::of_panic(panic.as_ref())))
}

/// An error as SQL raises it: its code, and its message.
pub fn raised(e: &Error) -> String {
    format!("{}: {e}", e.code())
}
