//! What is kept beside the bundles: packages that cannot be bundled, with all that they need, each
//! where it is in its `node_modules`, so that it finds the same others there.

use super::{
    metafile::Package,
    what::{Compile, manifest_of},
};
use crate::{
    AppError,
    build::{
        Cancel, Result, cache,
        disk::{self, At},
        path,
        workspaces::package_folder,
    },
};
use remy_db::internals::typescript::Fault;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    fs,
    path::{Path, PathBuf},
};

/// An import of a package that is kept beside a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Import {
    /// The file of the staged copy that imports it: a member of a workspace may have another version
    /// than its top.
    pub importer: String,
    /// The package.
    pub name: String,
}

impl Import {
    /// Whether it can be what it says it is.
    pub fn is_sound(&self) -> bool {
        !path::leaves(&self.importer) && is_package(&self.name)
    }
}

/// Whether a name can be a package's: what a package.json names becomes a path here.
fn is_package(name: &str) -> bool {
    let names: Vec<&str> = name.split('/').collect();
    let is_name = |name: &&str| !matches!(*name, "" | "." | ".." | "node_modules");
    let count = if name.starts_with('@') { 2 } else { 1 };
    names.len() == count && names.iter().all(is_name)
}

/// Copies what imports leave out of their bundles into the release.
pub(super) fn keep<'a>(
    imports: impl Iterator<Item = &'a Import>,
    what: &Compile<'_>,
    cancel: Cancel<'_>,
) -> Result<()> {
    let mut along = Along::default();
    along.find(imports, what.tree);
    let faults = along.faults(what);
    if !faults.is_empty() {
        disk::remove(&what.out.join("methods"))?;
        return Err(AppError::does_not_build(faults));
    }
    let to = what.out.join("methods/node_modules");
    let mut files = Vec::new();
    for (place, (found, _)) in &along.taken {
        copied(&what.tree.join(found), &to.join(place), &mut files, true)?;
    }
    disk::together(files, cancel, |(from, to)| disk::copy(&from, &to))?;
    Ok(())
}

/// What goes along with a release.
#[derive(Default)]
struct Along {
    /// Where each package was found, and which version it is, by where it goes.
    taken: BTreeMap<String, (String, String)>,
    /// Packages whose place another version has taken, with both.
    clashes: Vec<(String, String)>,
    missing: Vec<Import>,
}

impl Along {
    fn find<'a>(&mut self, imports: impl Iterator<Item = &'a Import>, tree: &Path) {
        let mut seen = BTreeSet::new();
        let of = |import: &'a Import| {
            (
                import.name.clone(),
                path::parent(&import.importer).to_owned(),
                Some(import),
            )
        };
        let mut rest: Vec<_> = imports.map(of).collect();
        while let Some((name, from, import)) = rest.pop() {
            let Some(found) = find_package(tree, &name, &from) else {
                self.missing.extend(import.cloned());
                continue;
            };
            if !seen.insert(found.clone()) {
                continue;
            }
            let manifest: Map<String, Value> =
                cache::read(&tree.join(&found).join("package.json")).unwrap_or_default();
            self.take(&found, &manifest);
            for kind in ["dependencies", "optionalDependencies", "peerDependencies"] {
                let names = manifest.get(kind).and_then(Value::as_object);
                let names = names.into_iter().flat_map(Map::keys);
                rest.extend(
                    names
                        .filter(|name| is_package(name))
                        .map(|name| (name.clone(), found.clone(), None)),
                );
            }
        }
    }

    fn take(&mut self, found: &str, manifest: &Map<String, Value>) {
        let text = |key| {
            manifest
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or("undefined")
        };
        let version = format!("{}@{}", text("name"), text("version"));
        let inside = format!("/{found}");
        let in_modules = inside.split_once("/node_modules/");
        let place = in_modules.map_or(found, |(_, place)| place).to_owned();
        match self.taken.entry(place) {
            btree_map::Entry::Vacant(free) => {
                free.insert((found.to_owned(), version));
            }
            btree_map::Entry::Occupied(other) if other.get().1 != version => {
                let versions = format!("{version} and {}", other.get().1);
                self.clashes.push((found.to_owned(), versions));
            }
            btree_map::Entry::Occupied(_) => {}
        }
    }

    fn faults(&self, what: &Compile<'_>) -> Vec<Fault> {
        let clash = |(found, versions): &(String, String)| {
            let inside = format!("{found}/");
            let folder = Package::of(&inside).map(|package| package.folder);
            let message = format!(
                "two packages that cannot be bundled want the same place: {versions}. Ask for one \
                 version in all package.json files"
            );
            Fault::of_file(&manifest_of(folder), message)
        };
        let missing = |Import { importer, name }: &Import| {
            let named = manifest_of(package_folder(what.files, importer).as_deref());
            let name = Value::from(name.as_str());
            let message = format!(
                "imports {name}, which cannot be bundled and is not installed for it: the release \
                 would lack it. Name it in {named}"
            );
            Fault::of_file(importer, message)
        };
        let clashes = self.clashes.iter().map(clash);
        clashes.chain(self.missing.iter().map(missing)).collect()
    }
}

/// Where a package is found from a folder: in its own `node_modules`, or those of the folders around
/// it.
fn find_package(tree: &Path, name: &str, from: &str) -> Option<String> {
    let inside = path::join(from, "_");
    path::folders_above(&inside)
        .filter(|folder| path::name(folder) != "node_modules")
        .map(|folder| path::join(folder, &format!("node_modules/{name}")))
        .find(|found| disk::exists(&tree.join(found).join("package.json")))
}

/// Makes the folders of a package's copy, and finds its files with where they go. A link counts as
/// what it leads to. What the package has in a `node_modules` of its own goes by itself.
fn copied(from: &Path, to: &Path, files: &mut Vec<(PathBuf, PathBuf)>, is_top: bool) -> Result<()> {
    fs::create_dir_all(to).at("making the folder", to)?;
    for entry in fs::read_dir(from).at("reading", from)? {
        let entry = entry.at("reading", from)?;
        let (name, at) = (entry.file_name(), entry.path());
        if name == ".cache" || (is_top && name == "node_modules") {
            continue;
        }
        // A link that leads nowhere, or around in a circle, is nothing that a release could have.
        let Ok(found) = fs::metadata(&at) else {
            continue;
        };
        if found.is_file() {
            files.push((at, to.join(name)));
        } else if found.is_dir() && !leads_up(&entry, from) {
            copied(&at, &to.join(name), files, false)?;
        }
    }
    Ok(())
}

/// Whether this is a link to a folder that it stands in.
fn leads_up(entry: &fs::DirEntry, folder: &Path) -> bool {
    let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
    let real = |path: &Path| path.canonicalize().ok();
    is_link
        && real(&entry.path())
            .zip(real(folder))
            .is_none_or(|(to, folder)| folder.starts_with(to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_becomes_a_path_is_a_packages_name() {
        for name in ["a", "@s/a", "a.b", "...", "@s/@a"] {
            assert!(is_package(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "../a",
            "@s",
            "@s/..",
            "@s/a/b",
            "/a",
            "@/.",
            "a/",
            "node_modules",
        ] {
            assert!(!is_package(name), "{name}");
        }
        let import = |importer: &str, name: &str| Import {
            importer: importer.to_owned(),
            name: name.to_owned(),
        };
        assert!(import("m/a.ts", "a").is_sound());
        assert!(!import("../a.ts", "a").is_sound() && !import("m/a.ts", "../a").is_sound());
    }

    #[test]
    fn a_package_goes_along_with_what_it_needs_and_its_links_lead_around_in_no_circle() -> Result<()>
    {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let write = |path: &str, text: &str| disk::write_whole(&at.join(path), text.as_bytes());
        write(
            "tree/m/node_modules/a/package.json",
            r#"{"name":"a","version":"1","dependencies":{"b":"1","../../../up":"1","gone":"1"}}"#,
        )?;
        write("tree/m/node_modules/a/lib/i.js", "")?;
        write("tree/m/node_modules/a/node_modules/c/package.json", "{}")?;
        write(
            "tree/node_modules/b/package.json",
            r#"{"name":"b","version":"1","peerDependencies":{"a":"1"}}"#,
        )?;
        write("tree/up/package.json", "{}")?;
        for (to, link) in [
            ("..", "lib/circle"),
            ("nowhere", "lib/dangling"),
            ("lib", "same"),
        ] {
            symlink(to, at.join("tree/m/node_modules/a").join(link)).unwrap();
        }
        let import = Import {
            importer: "m/src/x.ts".to_owned(),
            name: "a".to_owned(),
        };
        let mut along = Along::default();
        along.find([&import].into_iter(), &at.join("tree"));
        let places: Vec<&str> = along.taken.keys().map(String::as_str).collect();
        assert_eq!(places, ["a", "b"]);
        assert!(along.missing.is_empty() && along.clashes.is_empty());
        let mut files = Vec::new();
        let from = at.join("tree/m/node_modules/a");
        copied(&from, &at.join("out"), &mut files, true)?;
        let mut to: Vec<_> = files
            .iter()
            .map(|(_, to)| to.strip_prefix(at).unwrap().to_str().unwrap())
            .collect();
        to.sort_unstable();
        assert_eq!(to, ["out/lib/i.js", "out/package.json", "out/same/i.js"]);
        Ok(())
    }
}
