//! The environment that installs and builds run in.

use super::{Cancel, Result, disk, run};
use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Variables by their names.
pub type Environment = BTreeMap<OsString, OsString>;

/// The caller's environment, without what is remy's own, without what an outer npm or git says about
/// another project, and without a NODE_ENV that would leave build tools out.
pub fn environment() -> Environment {
    let mut variables: Environment = env::vars_os()
        .filter(|(name, _)| !is_of_another(&name.to_string_lossy()))
        .collect();
    variables.insert("CI".into(), "true".into());
    variables
}

fn is_of_another(name: &str) -> bool {
    const OTHERS: [&str; 5] = [
        "INIT_CWD",
        "NODE_ENV",
        "NODE_TEST_CONTEXT",
        "NODE_CHANNEL_FD",
        "NODE_CHANNEL_SERIALIZATION_MODE",
    ];
    name.starts_with("REMY_")
        || name.starts_with("GIT_")
        || OTHERS.contains(&name)
        || is_of_outer_npm(&name.to_ascii_lowercase())
}

/// What an outer npm (`npx remy-db …`, a script) says about its own project: an inner npm would take
/// it for this one.
fn is_of_outer_npm(name: &str) -> bool {
    const SETTINGS: [&str; 14] = [
        "local_prefix",
        "prefix",
        "package",
        "call",
        "workspace",
        "workspaces",
        "include_workspace_root",
        "global",
        "dry_run",
        "omit",
        "include",
        "only",
        "production",
        "if_present",
    ];
    let Some(rest) = name.strip_prefix("npm_") else {
        return false;
    };
    match rest.strip_prefix("config_") {
        Some(setting) => SETTINGS.contains(&setting),
        None => {
            rest.starts_with("package_")
                || rest.starts_with("lifecycle_")
                || ["command", "execpath"].contains(&rest)
        }
    }
}

/// Where a program of this name is, as `PATH` has it.
pub fn found(program: &str, variables: &Environment) -> Option<PathBuf> {
    let folders = variables.get(OsStr::new("PATH"))?;
    env::split_paths(folders)
        .filter(|folder| !folder.as_os_str().is_empty())
        .map(|folder| folder.join(program))
        .find(|path| {
            path.metadata()
                .is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
        })
}

/// Which Node.js programs of a build are run by: packages are compiled for one, and what a build makes
/// may depend on it. Nothing, where there is none.
pub fn node(cancel: Cancel<'_>) -> Result<String> {
    let variables = environment();
    let Some(path) = found("node", &variables) else {
        return Ok(String::new());
    };
    if let Some(known) = known(&path) {
        return Ok(known);
    }
    let ran = run::run("node", &["--version"], Path::new("/"), &variables, cancel)?;
    Ok(ran.map(|ran| ran.output).unwrap_or_default())
}

/// Node.js by its file: as large as it is, it has not to be started. What is small is a shim, which
/// starts one or another.
fn known(path: &Path) -> Option<String> {
    const SMALLEST: u64 = 16 << 20;
    let path = path.canonicalize().ok()?;
    let mut file = fs::File::open(&path).ok()?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic).ok()?;
    let found = file.metadata().ok()?;
    let is_node = magic == *b"\x7fELF" && found.len() >= SMALLEST;
    let looks = (found.len(), found.mtime(), found.mtime_nsec());
    is_node.then(|| disk::hash(format!("{} {looks:?}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_outer_npm_or_git_says_is_not_passed_on() {
        for name in [
            "npm_package_name",
            "npm_config_prefix",
            "NPM_CONFIG_OMIT",
            "GIT_DIR",
        ] {
            assert!(is_of_another(name), "{name}");
        }
        for name in [
            "npm_config_registry",
            "npm_config_cache",
            "PATH",
            "NPM_TOKEN",
            "npm_command2",
        ] {
            assert!(!is_of_another(name), "{name}");
        }
    }
}
