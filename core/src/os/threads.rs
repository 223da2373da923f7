//! Threads, of which a user may have as many as may be (`RLIMIT_NPROC`): a panic, where std has
//! one, would say that it is a mistake of remy's.

use crate::base::error::{Context, Result};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, Builder, JoinHandle, Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

/// How long one that was refused is tried again. A thread counts until the kernel has put it away,
/// which is after whoever has joined it goes on: where only one more may be, the next verb was refused.
const LINGERS: Duration = Duration::from_millis(100);

/// Starts a thread that ends with the scope. `doing` is what it is for: `"syncing the clone"`.
pub(crate) fn scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    doing: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    started(doing, work, |work| Builder::new().spawn_scoped(scope, work))
}

/// Starts a thread.
pub(crate) fn start<T: Send + 'static>(
    doing: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    started(doing, work, |work| Builder::new().spawn(work))
}

fn started<'a, T, H>(
    doing: &str,
    work: impl FnOnce() -> T + Send + 'a,
    spawn: impl Fn(Box<dyn FnOnce() -> T + Send + 'a>) -> io::Result<H>,
) -> Result<H> {
    // What could not be started is gone with its work: it stays here.
    let work = Arc::new(Mutex::new(Some(work)));
    let until = Instant::now() + LINGERS;
    let started = loop {
        let work = Arc::clone(&work);
        let once = move || {
            let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
            work.expect("one of all that were tried runs")()
        };
        match spawn(Box::new(once)) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => {
                thread::sleep(Duration::from_millis(1));
            }
            started => break started,
        }
    };
    started
        .context(|| format!("starting a thread for {doing}"))
        .map_err(|e| {
            e.hint(
                "End some processes of this user, or raise their limit (ulimit -u), and try again",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::started;
    use std::{cell::Cell, io};

    #[test]
    fn one_that_is_refused_for_a_moment_is_started_and_runs_once() {
        let (tries, runs) = (Cell::new(0), std::sync::atomic::AtomicU32::new(0));
        let work = || runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let spawn = |work: Box<dyn FnOnce() -> u32 + Send + '_>| {
            tries.set(tries.get() + 1);
            match tries.get() {
                3 => Ok(work()),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            }
        };
        assert_eq!(started("trying", work, spawn).unwrap(), 1);
        assert_eq!(tries.get(), 3);
        let refused = started(
            "trying",
            || 1,
            |_| Err::<u32, _>(io::ErrorKind::OutOfMemory.into()),
        );
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("starting a thread for trying")
        );
    }
}
