//! Which program of esbuild's is run: one that the caller has at hand, one of the app's own packages
//! (its vite brings one), or one that npm installs into the cache, once.

use crate::build::{
    Cancel, Result, cache,
    disk::{self, At},
    environment::with_a_home,
    run::{self, Failed},
    tools::NPM,
};
use remy_db::{Error, State};
use serde::Deserialize;
use serde_json::json;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The version that remy reads the messages of.
pub const VERSION: &str = "0.28.2";

/// The package that has the program for this machine, and the hash of what the registry has of it.
#[cfg(target_arch = "x86_64")]
const PACKAGE: (&str, &str) = (
    "@esbuild/linux-x64",
    "sha512-4xTZr1FUmSoQW4XIWmit3tzQrUTZM+N3P0XV8xROKYF50XfI7xeO90+1bZvNwxIufQ9hDQVRJH5YhgPVF8A/HQ==",
);
#[cfg(target_arch = "aarch64")]
const PACKAGE: (&str, &str) = (
    "@esbuild/linux-arm64",
    "sha512-pW4AC0P3it8c7do9MVM4p51FzHzdM/TZrerurgRcHJ2WTa1VQ1CIq18xncfpBJw4ojkiZZrKW2yIBWBP92j6Ug==",
);

/// The program, of exactly [`VERSION`] as far as its package tells. `packages` are folders of packages
/// that the app has.
pub fn find(
    at_hand: Option<&Path>,
    packages: impl Iterator<Item = PathBuf>,
    cache: &Path,
    cancel: Cancel<'_>,
) -> Result<PathBuf> {
    // As esbuild's own package has it.
    let named = env::var_os("ESBUILD_BINARY_PATH").filter(|named| !named.is_empty());
    if let Some(program) = named.map(PathBuf::from).or(at_hand.map(Path::to_owned)) {
        return Ok(program);
    }
    let folder = cache.join("esbuild").join(VERSION);
    let kept = folder.join("node_modules");
    let mut all = packages.chain([kept.clone()]);
    if let Some(program) = all.find_map(|packages| of_version(&packages)) {
        return Ok(program);
    }
    install(&folder, cache, cancel)?;
    of_version(&kept).ok_or_else(|| {
        let (package, _) = PACKAGE;
        let what = format!("npm installed {package} {VERSION}, and its program is not there");
        refused(Error::build_failed(what), &folder).into()
    })
}

/// The program of a folder of packages, if it has one of the version.
fn of_version(packages: &Path) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Manifest {
        version: String,
    }
    let package = packages.join(PACKAGE.0);
    let manifest: Manifest = cache::read(&package.join("package.json"))?;
    let program = package.join("bin/esbuild");
    (manifest.version == VERSION && program.is_file()).then_some(program)
}

/// Installs the program's package: no other content than that of the hash, and none of its scripts.
fn install(folder: &Path, cache: &Path, cancel: Cancel<'_>) -> Result<()> {
    let (package, integrity) = PACKAGE;
    let making = folder.with_added_extension("new");
    disk::remove(&making)?;
    fs::create_dir_all(&making).at("making the folder", &making)?;
    let wanted = json!({ "dependencies": { package: VERSION } });
    let locked = json!({ "version": VERSION, "integrity": integrity });
    let lock = json!({
        "lockfileVersion": 3,
        "requires": true,
        "packages": { "": wanted, format!("node_modules/{package}"): locked },
    });
    cache::write(&making.join("package.json"), &wanted)?;
    cache::write(&making.join(NPM.lock), &lock)?;
    let arguments = [NPM.arguments, NPM.flags, &["--ignore-scripts"]].concat();
    let ran = run::run(
        NPM.program,
        &arguments,
        &making,
        &with_a_home(cache),
        cancel,
    )?;
    let Some(ran) = ran else {
        let what = format!(
            "esbuild {VERSION}, which bundles methods, is not on this machine, and npm, which would \
             install it, neither"
        );
        return Err(refused(Error::not_found(what), folder).into());
    };
    if !ran.is_well() {
        let before = format!("esbuild {VERSION}, which bundles methods, cannot be installed: ");
        return Err(ran.fault(&Failed {
            file: crate::FILE,
            pointer: "/methods",
            program: "npm ci",
            tree: &making,
            before: &before,
        }));
    }
    disk::remove(folder)?;
    fs::rename(&making, folder).at("moving", &making)
}

fn refused(error: Error, folder: &Path) -> Error {
    let (package, _) = PACKAGE;
    error.state(State::DatabaseUnchanged).hint(format!(
        "Install npm, or unpack {package} {VERSION} of the registry to {}",
        folder.join("node_modules").join(package).display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    /// A package of the program's, of a version.
    fn put(packages: &Path, version: &str) {
        let package = packages.join(PACKAGE.0);
        let program = package.join("bin/esbuild");
        disk::write_whole(&program, b"#!/bin/sh").unwrap();
        cache::write(
            &package.join("package.json"),
            &json!({ "version": version }),
        )
        .unwrap();
    }

    #[test]
    fn the_one_at_hand_comes_before_the_apps_own_and_the_caches() {
        let folder = tempfile::tempdir().unwrap();
        let (app, cache) = (folder.path().join("app"), folder.path().join("cache"));
        let never = AtomicBool::new(false);
        let found = |at_hand: Option<&Path>| {
            find(
                at_hand,
                [app.clone()].into_iter(),
                &cache,
                Cancel::new(&never),
            )
            .unwrap()
        };
        let kept = cache.join("esbuild").join(VERSION).join("node_modules");
        put(&kept, VERSION);
        assert!(found(None).starts_with(&kept));
        put(&app, "0.1.0");
        assert!(
            found(None).starts_with(&kept),
            "the app's is of another version"
        );
        put(&app, VERSION);
        assert!(found(None).starts_with(&app));
        let at_hand = Path::new("/opt/esbuild");
        assert_eq!(found(Some(at_hand)), at_hand);
    }
}
