//! The Node.js that methods run in.

use crate::failure::Failure;
use remy_db_app::build::{
    environment::{Environment, environment, found},
    node::program,
};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest that methods run in. `js/host.mjs` looks for it, before it does anything else.
pub(super) const OLDEST: &str = "20.19";

/// Its program. What `PATH` names may be a script that chooses one: it cannot choose where the
/// process is shut in, and is asked before.
pub(super) fn find() -> Result<PathBuf, Failure> {
    find_in(&environment())
}

fn find_in(variables: &Environment) -> Result<PathBuf, Failure> {
    let missing = |what: String| {
        let message = format!(
            "{what}. Methods run in Node.js {OLDEST} or newer: install it, or put it on PATH. Nothing \
             was started"
        );
        Failure::new("node_missing", 500, message)
    };
    let path = found("node", variables)
        .ok_or_else(|| missing("There is no Node.js (`node`) on PATH".to_owned()))?;
    let real = path.canonicalize().unwrap_or_else(|_| path.clone());
    if program(&real).is_some() {
        return Ok(real);
    }
    let says = Command::new(&path)
        .args(["-p", "process.execPath"])
        .env_clear()
        .envs(variables)
        .output();
    let named = says
        .ok()
        .and_then(|said| String::from_utf8(said.stdout).ok());
    let named = named.map(|said| PathBuf::from(said.trim_end()));
    named
        .filter(|named| program(named).is_some())
        .ok_or_else(|| {
            missing(format!(
                "{} on PATH is no Node.js, and starts none",
                path.display()
            ))
        })
}

/// What it calls its own watch over files. It is asked only where the kernel has none.
pub(super) fn permissions(node: &Path) -> &'static str {
    let said = Command::new(node).arg("--version").env_clear().output();
    let version = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    let version = version.unwrap_or_default();
    let numbers: Vec<u32> = version
        .trim_start_matches('v')
        .split('.')
        .filter_map(|number| number.trim().parse().ok())
        .collect();
    match *numbers {
        [major, minor, ..] if (major, minor) >= (23, 5) || (major == 22 && minor >= 13) => {
            "--permission"
        }
        _ => "--experimental-permission",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    /// `PATH` is a folder with this script as `node`.
    fn with(script: &str) -> Result<PathBuf, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        find_in(&Environment::from([("PATH".into(), folder.path().into())]))
    }

    #[test]
    fn a_script_that_chooses_one_is_asked_and_what_is_none_is_refused() {
        let real = find().unwrap();
        assert!(program(&real).is_some());
        let shim = format!("#!/bin/sh\nexec {} \"$@\"\n", real.display());
        assert_eq!(with(&shim).unwrap(), real);
        let refused = with("#!/bin/sh\necho /bin/sh\n").unwrap_err();
        assert_eq!(refused.code, "node_missing");
        assert!(refused.message.contains("is no Node.js"), "{refused}");
    }

    #[test]
    fn that_there_is_none_is_told() {
        let refused = find_in(&Environment::new()).unwrap_err();
        assert_eq!(refused.code, "node_missing");
        assert!(refused.message.contains("on PATH"), "{refused}");
    }
}
