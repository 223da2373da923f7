//! One server a database, live or of a dev session: a lock in the store, which the kernel lets go when the process dies.

use remy_db_app::private;
use remy_db_runtime::failure::Failure;
use std::{
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    path::Path,
    time::Duration,
};

/// The lock of live, and of a dev session: its name stands between.
const LIVE: &str = "server.lock";
const DEV: (&str, &str) = ("dev-", ".lock");

/// How long a server may take to be gone. One that was killed while it started a process for methods
/// has left the lock to that until it runs Node.js.
const GONE: Duration = Duration::from_secs(1);

/// Who serves a database. Held until dropped.
#[derive(Debug)]
pub struct Claimed {
    _file: File,
}

impl Claimed {
    /// Live. Fails with `busy` where another process has it.
    pub(crate) fn take(store: &Path) -> Result<Self, Failure> {
        Self::of(&store.join(LIVE), "this database")
    }

    /// The same of a dev session.
    pub(crate) fn take_dev(store: &Path, name: &str) -> Result<Self, Failure> {
        let file = format!("{}{name}{}", DEV.0, DEV.1);
        let what = format!("the dev session {name}");
        Self::of(&store.join("run").join(file), &what)
    }

    fn of(path: &Path, what: &str) -> Result<Self, Failure> {
        let io = |e: std::io::Error| {
            let message = format!("locking {}: {e}. Nothing is served", path.display());
            Failure::new("io", 500, message)
        };
        let locked = private::locked(path, GONE).map_err(io)?;
        let mut file = locked.map_err(|mut file| taken(&mut file, path, what))?;
        // For people alone: nothing is done by what it says.
        let _ = file.set_len(0);
        let _ = write!(file, "{}", std::process::id());
        Ok(Self { _file: file })
    }
}

fn taken(file: &mut File, path: &Path, what: &str) -> Failure {
    let mut text = String::new();
    let _ = file.rewind();
    let _ = file.take(20).read_to_string(&mut text);
    let who = match text.parse::<u32>() {
        Ok(pid) => format!("process {pid}"),
        Err(_) => "another process".to_owned(),
    };
    let message = format!(
        "{who} serves {what} already (it holds {}). Nothing was started. Stop that one first",
        path.display()
    );
    Failure::new("busy", 503, message)
}

#[cfg(test)]
mod tests {
    use super::Claimed;

    #[test]
    fn the_second_is_refused_and_told_whose_it_is() {
        let store = tempfile::tempdir().unwrap();
        let first = Claimed::take(store.path()).unwrap();
        let refused = Claimed::take(store.path()).unwrap_err();
        assert_eq!(refused.code, "busy");
        let pid = format!("process {} ", std::process::id());
        assert!(refused.message.starts_with(&pid), "{refused}");
        drop(first);
        Claimed::take(store.path()).unwrap();
    }
}
