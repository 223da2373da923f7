//! The SDK of apps: what methods import from `@mindstudio-ai/agent` and pages from
//! `@mindstudio-ai/interface` is remy's own. No registry has either, so that a build puts them
//! beside the packages that it installs.

use super::{
    Result,
    disk::{self, At},
    path,
};
use serde_json::{Map, Value, json};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// A file of the SDK.
#[derive(Debug)]
pub struct File {
    /// Its name, of no folder.
    pub name: &'static str,
    /// What it says.
    pub text: &'static str,
}

macro_rules! files {
    ($($name:literal)*) => { &[$(File { name: $name, text: include_str!(concat!("../../js/", $name)) }),*] };
}

/// All files of the SDK: modules and their types, and what those import.
pub const FILES: &[File] = files! {
    "agent.d.ts" "agent.js" "interface.d.ts" "interface.js" "modules-interface.d.ts" "modules.d.ts"
    "phone.js" "voice.d.ts" "voice.js"
};

/// The package that methods import.
pub const AGENT: &str = "@mindstudio-ai/agent";

/// The package that pages import.
pub const INTERFACE: &str = "@mindstudio-ai/interface";

/// The SDK's packages.
pub const PACKAGES: [&str; 2] = [AGENT, INTERFACE];

/// remy's own package: it is never installed for a build, and has the types of the SDK for editors.
pub const OWN: &str = "remy-db";

/// The file that says which SDK stands somewhere.
const MARK: &str = ".remy";

/// A module of the SDK.
#[derive(Debug)]
pub struct Module {
    /// How it is imported: of a package, and of a part of it.
    pub specifier: &'static str,
    package: &'static str,
    sub: &'static str,
    /// The file of it, without its ending: there is one of code and one of types.
    pub file: &'static str,
}

/// The modules that an app imports.
pub const MODULES: [Module; 3] = [
    Module {
        specifier: AGENT,
        package: AGENT,
        sub: ".",
        file: "agent",
    },
    Module {
        specifier: INTERFACE,
        package: INTERFACE,
        sub: ".",
        file: "interface",
    },
    Module {
        specifier: "@mindstudio-ai/interface/voice",
        package: INTERFACE,
        sub: "./voice",
        file: "voice",
    },
];

/// Files that modules import.
const SHARED: [&str; 1] = ["phone.js"];

/// What remy's own package exports of the SDK: under which name, which file, and whether as code, too.
const EXPORTS: [(&str, &str, bool); 5] = [
    ("./agent", "agent", true),
    ("./interface", "interface", true),
    ("./interface/voice", "voice", true),
    ("./modules", "modules", false),
    ("./modules/interface", "modules-interface", false),
];

/// What a file of the SDK says; nothing, where it has none of that name.
pub fn text(name: &str) -> Option<&'static str> {
    let file = FILES.iter().find(|file| file.name == name)?;
    Some(file.text)
}

/// What the SDK is, for the keys of what was made with it.
pub fn hash() -> &'static str {
    static HASH: LazyLock<String> = LazyLock::new(|| {
        let all: Vec<_> = FILES.iter().map(|file| (file.name, file.text)).collect();
        disk::hash(json!(all).to_string())
    });
    &HASH
}

/// Puts the SDK's packages beside the installed ones of the folder `at`: web builds and type checkers
/// look for them there.
pub fn put(at: &Path) -> Result<()> {
    let mark = mark(at);
    if fs::read_to_string(&mark).is_ok_and(|of| of == hash()) {
        return Ok(());
    }
    for package in PACKAGES {
        put_package(&packages(at).join(package), package)?;
    }
    put_own_types(&packages(at).join(OWN))?;
    write(&mark, hash())
}

/// Puts the package that pages import beside the packages of a folder of the working tree, where there
/// is no other of that name: what somebody has installed is theirs. Returns whether it is another one
/// than before.
pub fn lend(at: &Path) -> Result<bool> {
    let folder = packages(at).join(INTERFACE);
    let mark = folder.join(MARK);
    let is_ours = disk::exists(&mark);
    let is_same = fs::read_to_string(&mark).is_ok_and(|of| of == hash());
    if is_same || disk::exists(&folder) && !is_ours {
        return Ok(false);
    }
    put_package(&folder, INTERFACE)?;
    write(&mark, hash())?;
    Ok(true)
}

/// Adds to a module beside the packages of `at`, and to its types, until [`put`] puts it there again
/// as it is.
pub fn add(at: &Path, module: &Module, code: &str, types: &str) -> Result<()> {
    disk::remove(&mark(at))?;
    let folder = packages(at).join(module.package);
    for (end, text) in [("js", code), ("d.ts", types)] {
        let path = folder.join(format!("{}.{end}", module.file));
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .at("writing", &path)?;
        write!(file, "\n{text}").at("writing", &path)?;
    }
    Ok(())
}

fn packages(at: &Path) -> PathBuf {
    at.join("node_modules")
}

/// The file that says which SDK stands there.
fn mark(at: &Path) -> PathBuf {
    packages(at).join("@mindstudio-ai").join(MARK)
}

fn put_package(folder: &Path, package: &str) -> Result<()> {
    empty(folder)?;
    let mut exports = Map::new();
    for module in MODULES.iter().filter(|module| module.package == package) {
        let (code, types) = (
            format!("{}.js", module.file),
            format!("{}.d.ts", module.file),
        );
        copy(&code, folder)?;
        copy(&types, folder)?;
        exports.insert(module.sub.to_owned(), entry("./", module.file, true));
    }
    for name in SHARED {
        copy(name, folder)?;
    }
    let top = exports["."].clone();
    let manifest = json!({
        "name": package, "version": "0.0.0", "type": "module", "sideEffects": false,
        "exports": exports, "types": top["types"], "main": top["default"],
    });
    write_json(&folder.join("package.json"), &manifest)
}

/// Puts what type checkers ask remy itself for, and no more of it: an app's tsconfig.json may name it
/// (`remy-db/modules`).
fn put_own_types(folder: &Path) -> Result<()> {
    let files = folder.join("js/sdk");
    empty(folder)?;
    empty(&files)?;
    for file in FILES {
        copy(file.name, &files)?;
    }
    let exports: Map<_, _> = EXPORTS
        .iter()
        .map(|(sub, file, is_code)| ((*sub).to_owned(), entry("./js/sdk/", file, *is_code)))
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    let manifest = json!({ "name": OWN, "version": version, "type": "module", "exports": exports });
    write_json(&folder.join("package.json"), &manifest)
}

/// What a package.json says of an export.
fn entry(folder: &str, file: &str, is_code: bool) -> Value {
    let types = format!("{folder}{file}.d.ts");
    if is_code {
        json!({ "types": types, "default": format!("{folder}{file}.js") })
    } else {
        json!({ "types": types })
    }
}

fn copy(name: &str, folder: &Path) -> Result<()> {
    write(
        &folder.join(path::name(name)),
        text(name).unwrap_or_default(),
    )
}

fn empty(folder: &Path) -> Result<()> {
    disk::remove(folder)?;
    fs::create_dir_all(folder).at("making the folder", folder)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).at("writing", path)
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    write(path, &format!("{value:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_has_its_code_and_its_types() {
        for file in MODULES.iter().map(|module| module.file).chain(
            EXPORTS
                .iter()
                .filter(|(.., code)| *code)
                .map(|(_, file, _)| *file),
        ) {
            assert!(text(&format!("{file}.js")).is_some_and(|text| !text.is_empty()));
        }
        for file in EXPORTS.iter().map(|(_, file, _)| file) {
            assert!(text(&format!("{file}.d.ts")).is_some_and(|text| !text.is_empty()));
        }
        assert!(SHARED.iter().all(|name| text(name).is_some()));
    }

    #[test]
    fn all_files_of_the_folder_are_embedded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("js");
        let mut there: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort();
        assert_eq!(
            there,
            FILES.iter().map(|file| file.name).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_somebody_has_installed_is_not_replaced() {
        let at = tempfile::tempdir().unwrap();
        assert!(lend(at.path()).unwrap());
        assert!(!lend(at.path()).unwrap());
        let folder = at.path().join("node_modules").join(INTERFACE);
        fs::write(folder.join(MARK), "an older one").unwrap();
        assert!(lend(at.path()).unwrap());
        fs::remove_file(folder.join(MARK)).unwrap();
        fs::write(folder.join("interface.js"), "theirs").unwrap();
        assert!(!lend(at.path()).unwrap());
        let text = fs::read_to_string(folder.join("interface.js")).unwrap();
        assert_eq!(text, "theirs");
    }

    #[test]
    fn what_is_added_to_a_module_goes_when_it_is_put_again() {
        let at = tempfile::tempdir().unwrap();
        put(at.path()).unwrap();
        let file = at
            .path()
            .join("node_modules/@mindstudio-ai/interface/voice.js");
        add(at.path(), &MODULES[2], "export const more = 1;", "").unwrap();
        assert!(
            fs::read_to_string(&file)
                .unwrap()
                .ends_with("\nexport const more = 1;")
        );
        put(at.path()).unwrap();
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            text("voice.js").unwrap()
        );
    }
}
