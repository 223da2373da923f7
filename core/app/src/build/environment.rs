//! The environment that installs and builds run in.

use remy_db::internals::owner;
use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

/// Variables by their names.
pub type Environment = BTreeMap<OsString, OsString>;

/// The caller's environment. Where root builds for the owner of an app, it is what that owner may
/// know of it, with their own home, and with what is public, as it becomes part of a page.
pub fn callers() -> Environment {
    let all = env::vars_os();
    if owner::becoming().is_none() {
        return all.collect();
    }
    let may = |name: &OsString| {
        name.to_str()
            .is_some_and(|name| owner::is_harmless(name) || name.starts_with("VITE_"))
    };
    let mut variables: Environment = all.filter(|(name, _)| may(name)).collect();
    if let Some(account) = owner::account(owner::user()) {
        let name = OsStr::from_bytes(account.name.to_bytes());
        variables.insert("HOME".into(), account.home.into());
        variables.insert("USER".into(), name.into());
        variables.insert("LOGNAME".into(), name.into());
    }
    variables
}

/// As [`environment`], for programs that keep something at home: below `cache`, where the user has
/// no account here, as in a container.
pub fn with_a_home(cache: &Path) -> Environment {
    let mut variables = environment();
    if owner::becoming().is_some() {
        let home = || cache.join("home").into();
        variables.entry("HOME".into()).or_insert_with(home);
    }
    variables
}

/// The caller's environment, without what is remy's own, without what an outer npm or git says about
/// another project, and without a NODE_ENV that would leave build tools out.
pub fn environment() -> Environment {
    let mut variables: Environment = callers()
        .into_iter()
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
