//! Threads, of which a user may have as many as may be (`RLIMIT_NPROC`): a panic, where std has
//! one, would say that it is a mistake of remy's.

use crate::base::error::{Context, Result};
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

/// Starts a thread that ends with the scope. `doing` is what it is for: `"syncing the clone"`.
pub(crate) fn scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    doing: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    or_refused(Builder::new().spawn_scoped(scope, work), doing)
}

/// Starts a thread.
pub(crate) fn start<T: Send + 'static>(
    doing: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    or_refused(Builder::new().spawn(work), doing)
}

fn or_refused<T>(started: std::io::Result<T>, doing: &str) -> Result<T> {
    started
        .context(|| format!("starting a thread for {doing}"))
        .map_err(|e| {
            e.hint(
                "End some processes of this user, or raise their limit (ulimit -u), and try again",
            )
        })
}
