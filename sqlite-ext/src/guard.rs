//! No panic crosses into the host.

use remy_core::{Error, Result};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs `call`, and makes a panic an `internal` error.
pub fn guard<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    // Nothing that a panic may have left half-done is looked at again: every verb opens what it
    // needs anew.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let what = panic.downcast_ref::<&str>().copied();
    let what = what
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("of an unknown kind");
    Error::internal(format!("a panic: {what}"))
        .state("Live is as it was, or switched whole")
        .hint("Please report this")
}

/// An error as SQL raises it: its code, and its message.
pub fn raised(e: &Error) -> String {
    format!("{}: {e}", e.code())
}
