//! The npm packages: `remy-db`, what it has for this machine, and the extension.

use crate::{Making, Package, VERSION, tree::Tree};
use serde_json::{Map, Value, json};
use std::{fs, io, path::Path};

/// What Node.js calls this machine.
const CPU: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "x64"
};

/// Of a checkout alone: what builds the package, and what is for who works on it.
const OF_THE_CHECKOUT: [&str; 5] = ["//", "config", "devDependencies", "napi", "scripts"];

pub(crate) fn tarballs(making: &Making<'_>) -> io::Result<[Package; 3]> {
    Ok([main(making)?, platform(making)?, extension(making)?])
}

/// `remy-db`, which asks npm for the package of the machine that it is installed on.
fn main(making: &Making<'_>) -> io::Result<Package> {
    let mut manifest = manifest(making, "node-binding")?;
    let platforms = platforms(making)?;
    manifest.insert("optionalDependencies".to_owned(), Value::Object(platforms));
    let mut tree = Tree::default();
    let repository = making.settings.repository;
    // In a checkout `js/sdk` is a copy, made by npm, of what is packed here as it stands.
    add_folder(
        &mut tree,
        &repository.join("node-binding/js"),
        "js",
        &["sdk"],
    )?;
    add_folder(
        &mut tree,
        &repository.join("core/app/js"),
        "js/sdk",
        &[".prettierrc.json"],
    )?;
    pack(making, manifest, tree)
}

/// The addon and the program, for this machine.
fn platform(making: &Making<'_>) -> io::Result<Package> {
    let platform = format!("linux-{CPU}-gnu");
    let manifest = manifest(making, &format!("node-binding/npm/{platform}"))?;
    let mut tree = Tree::default();
    tree.program(
        format!("remy.{platform}.node"),
        fs::read(&making.parts.addon)?,
    );
    tree.program("remy", fs::read(&making.parts.program)?);
    pack(making, manifest, tree)
}

/// The extension, for this machine.
fn extension(making: &Making<'_>) -> io::Result<Package> {
    let mut manifest = manifest(making, "sqlite-ext/npm")?;
    manifest.insert("cpu".to_owned(), json!([CPU]));
    let mut tree = Tree::default();
    for name in ["index.js", "index.d.ts"] {
        tree.file(name, making.read(&format!("sqlite-ext/npm/{name}"))?);
    }
    tree.program(
        format!("remy0.linux-{CPU}-gnu.so"),
        fs::read(&making.parts.extension)?,
    );
    pack(making, manifest, tree)
}

/// A package's own description, without what is of the checkout.
fn manifest(making: &Making<'_>, folder: &str) -> io::Result<Map<String, Value>> {
    let mut manifest = described(&making.settings.repository.join(folder))?;
    manifest.retain(|key, _| !OF_THE_CHECKOUT.contains(&&**key));
    Ok(manifest)
}

fn described(folder: &Path) -> io::Result<Map<String, Value>> {
    let path = folder.join("package.json");
    let manifest: Map<String, Value> = serde_json::from_slice(&fs::read(&path)?)?;
    if manifest.get("version") != Some(&json!(VERSION)) {
        let what = format!("{} is not of version {VERSION}", path.display());
        return Err(io::Error::other(what));
    }
    Ok(manifest)
}

/// The packages of all machines, of the very version.
fn platforms(making: &Making<'_>) -> io::Result<Map<String, Value>> {
    let folder = making.settings.repository.join("node-binding/npm");
    let mut folders: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    folders.sort_by_key(fs::DirEntry::file_name);
    let mut platforms = Map::new();
    for entry in folders {
        let manifest = described(&entry.path())?;
        platforms.insert(name(&manifest), json!(VERSION));
    }
    Ok(platforms)
}

fn name(manifest: &Map<String, Value>) -> String {
    manifest
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn add_folder(tree: &mut Tree, folder: &Path, within: &str, but: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| {
            io::Error::other(format!("{} is no name for a package", name.display()))
        })?;
        if but.contains(&&*name) {
            continue;
        }
        let (path, packed) = (entry.path(), format!("{within}/{name}"));
        if path.is_dir() {
            add_folder(tree, &path, &packed, &[])?;
        } else if packed == "js/command.js" {
            tree.program(packed, fs::read(path)?);
        } else {
            tree.file(packed, fs::read(path)?);
        }
    }
    Ok(())
}

fn pack(making: &Making<'_>, manifest: Map<String, Value>, mut tree: Tree) -> io::Result<Package> {
    let name = format!("{}-{VERSION}.tgz", name(&manifest));
    tree.file("package.json", format!("{:#}\n", Value::Object(manifest)));
    tree.file("README.md", making.read("docs/node.md")?);
    making.add_licences(&mut tree, "")?;
    Ok(Package {
        name,
        bytes: tree.tar_gz("package/", making.settings)?,
    })
}
