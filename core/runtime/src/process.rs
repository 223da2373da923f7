//! Processes by their number and when they began: a number comes again.

use remy_db_app::work;

/// This process.
pub fn this() -> String {
    named(std::process::id()).unwrap_or_default()
}

/// Whether a process is there that was named so; more may stand behind the name.
pub fn is_there(name: &str) -> bool {
    let pid = name.split(' ').next().and_then(|pid| pid.parse().ok());
    pid.and_then(named).is_some_and(|now| {
        let rest = name.strip_prefix(&now);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}

/// `None` where there is none.
fn named(pid: u32) -> Option<String> {
    let began = work::started(pid).ok()??;
    Some(format!("{pid} {began}"))
}
