//! Why a process is gone, as the caller of its call is told.

use crate::failure::Failure;
use rustix::process::WaitIdStatus;

/// `tail` is the end of what it wrote to stderr.
pub(super) fn failure(status: Option<WaitIdStatus>, tail: &str, loading: bool) -> Failure {
    if is_out_of_memory(tail) && status.is_some_and(|status| status.terminating_signal().is_some())
    {
        return out_of_memory();
    }
    let how = how(status);
    let code = if loading {
        "not_started"
    } else {
        "process_ended"
    };
    let what = if loading {
        "The process of the methods ended while it loaded them"
    } else {
        "The method's process ended in the middle of the call"
    };
    let mut message = format!(
        "{what}: {how}. What the call has written to the database stays; other calls are not concerned"
    );
    let last = tail.trim_end();
    if loading && !last.is_empty() {
        message.push_str(". It said last: ");
        message.push_str(last);
    }
    Failure::new(code, 500, message)
}

/// V8 says this and ends the process, when its heap is full.
fn is_out_of_memory(tail: &str) -> bool {
    let tail = tail.to_ascii_lowercase();
    ["out of memory", "javascript oom", "allocation failed"]
        .iter()
        .any(|words| tail.contains(words))
}

/// The same where a method can catch it is made in `js/failures.mjs`.
fn out_of_memory() -> Failure {
    let message = "The method used more memory than a process has (768 MiB of objects, 1280 MiB in \
                   all). Its process was ended; what the call has written to the database stays. \
                   Work on fewer rows at once";
    Failure::new("memory_exceeded", 500, message)
}

fn how(status: Option<WaitIdStatus>) -> String {
    let Some(status) = status else {
        return "somebody else has waited for it".to_owned();
    };
    if let Some(signal) = status.terminating_signal() {
        return format!("by signal {signal}{}", name_of(signal));
    }
    match status.exit_status() {
        Some(0) => "it has exited, or nothing was left to wait for".to_owned(),
        Some(status) => format!("it has exited with status {status}"),
        None => "in a way that is not known".to_owned(),
    }
}

fn name_of(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => " (SIGABRT)",
        libc::SIGBUS => " (SIGBUS)",
        libc::SIGFPE => " (SIGFPE)",
        libc::SIGILL => " (SIGILL)",
        libc::SIGKILL => " (SIGKILL: the system does that when it runs out of memory)",
        libc::SIGSEGV => " (SIGSEGV)",
        libc::SIGTERM => " (SIGTERM)",
        libc::SIGTRAP => " (SIGTRAP)",
        _ => "",
    }
}
