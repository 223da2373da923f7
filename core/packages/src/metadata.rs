//! What cargo knows of the workspace: where it builds, and which crates it links in.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The crates that packages are made of, as cargo names them.
pub const FACES: [&str; 4] = [
    "remy-db-cli",
    "remy-db-sqlite",
    "remy-db-capi",
    "remy-db-node",
];

/// What `cargo metadata` says.
#[derive(Debug)]
pub struct Metadata(Value);

impl Metadata {
    /// Asks cargo, which needs no registry for it.
    pub fn of(repository: &Path) -> io::Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(repository).args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
        ]);
        let out = command.output()?;
        if !out.status.success() {
            return Err(io::Error::other(
                String::from_utf8_lossy(&out.stderr).into_owned(),
            ));
        }
        Ok(Self(serde_json::from_slice(&out.stdout)?))
    }

    /// The folder that cargo builds in.
    pub fn target(&self) -> PathBuf {
        PathBuf::from(text(&self.0, "target_directory"))
    }

    /// The licences of the crates that are linked into the faces: which crates have which, and the
    /// text of each, once.
    pub(crate) fn licences(&self) -> io::Result<String> {
        let linked = self.linked();
        let mut crates = BTreeSet::new();
        let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for package in list(&self.0, "packages") {
            // A package without a source is of this workspace.
            if !linked.contains(text(package, "id")) || package["source"].is_null() {
                continue;
            }
            let name = format!("{} {}", text(package, "name"), text(package, "version"));
            crates.insert(format!("{name}: {}", text(package, "license")));
            let manifest = Path::new(text(package, "manifest_path"));
            for licence in licences_in(manifest.parent().unwrap_or(manifest))? {
                texts.entry(licence).or_default().insert(name.clone());
            }
        }
        let mut all = String::from(HEAD);
        for line in crates {
            let _ = writeln!(all, "{line}");
        }
        let mut by_crates: Vec<_> = texts.into_iter().map(|(text, of)| (of, text)).collect();
        by_crates.sort();
        for (of, text) in by_crates {
            let of: Vec<_> = of.into_iter().collect();
            let _ = writeln!(
                all,
                "\n{}\nOf {}:\n\n{}",
                "-".repeat(80),
                of.join(", "),
                text.trim()
            );
        }
        Ok(all)
    }

    /// The ids of what the faces are linked of. What only builds a crate is not in them.
    fn linked(&self) -> HashSet<&str> {
        let nodes: BTreeMap<&str, &Value> = list(&self.0["resolve"], "nodes")
            .iter()
            .map(|node| (text(node, "id"), node))
            .collect();
        let faces = list(&self.0, "packages").iter();
        let faces = faces.filter(|package| FACES.contains(&text(package, "name")));
        let mut open: Vec<&str> = faces.map(|package| text(package, "id")).collect();
        let mut seen = HashSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let dependencies = nodes.get(id).map_or(&[][..], |node| list(node, "deps"));
            open.extend(dependencies.iter().filter_map(|dependency| {
                let kinds = list(dependency, "dep_kinds").iter();
                let is_linked = kinds.into_iter().any(|kind| kind["kind"].is_null());
                is_linked.then(|| text(dependency, "pkg"))
            }));
        }
        seen
    }
}

const HEAD: &str = "remy is linked with SQLite, which is in the public domain, with Rust's standard library (MIT OR Apache-2.0),
and with these crates:

";

/// The texts of the licences in a crate's folder.
fn licences_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    names.sort_by_key(fs::DirEntry::file_name);
    let mut texts = Vec::new();
    for entry in names {
        let name = entry.file_name().to_string_lossy().to_uppercase();
        let is_one = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"]
            .iter()
            .any(|word| name.starts_with(word));
        if is_one && entry.path().is_file() {
            texts.push(String::from_utf8_lossy(&fs::read(entry.path())?).replace("\r\n", "\n"));
        }
    }
    Ok(texts)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}
