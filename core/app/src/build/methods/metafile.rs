//! What esbuild tells of a bundle: which files it read, and what those import.

use crate::build::path;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// esbuild's metafile. Paths are seen from the staged copy.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Metafile {
    pub inputs: BTreeMap<String, Input>,
    pub outputs: BTreeMap<String, Bundled>,
}

/// A file that was read, or a module of the SDK.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Input {
    #[serde(default)]
    pub imports: Vec<Import>,
}

/// A file that was made.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Bundled {
    #[serde(default)]
    pub imports: Vec<Import>,
    #[serde(default)]
    pub exports: Vec<String>,
}

/// An import.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Import {
    /// Where it leads; as it is written, where nothing was read for it.
    pub path: String,
    /// As it is written, where that is another text.
    #[serde(default)]
    pub original: Option<String>,
    /// Nothing was read for it.
    #[serde(default)]
    pub external: bool,
}

impl Import {
    /// As it is written.
    pub fn written(&self) -> &str {
        self.original.as_deref().unwrap_or(&self.path)
    }
}

impl Metafile {
    /// What a method became.
    pub fn output(&self, method: &str) -> Option<&Bundled> {
        let file = format!("{method}.mjs");
        let mut outputs = self.outputs.iter();
        let found = outputs.find(|(path, _)| path::name(path) == file);
        found.map(|(_, output)| output)
    }

    /// What an input imports.
    pub fn imports(&self, input: &str) -> &[Import] {
        self.inputs.get(input).map_or(&[], |input| &input.imports)
    }

    /// The inputs that a method imports, also those of which nothing is left in its bundle: another
    /// content may leave something.
    pub fn reachable<'a>(&'a self, entry: &'a str) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::from([entry]);
        let mut rest = vec![entry];
        while let Some(input) = rest.pop() {
            for import in self.imports(input) {
                if !import.external && seen.insert(&import.path) {
                    rest.push(&import.path);
                }
            }
        }
        seen
    }
}

/// The file of an input, which may be asked for with something behind it.
pub(super) fn file_of(input: &str) -> &str {
    input.split(['?', '#']).next().unwrap_or(input)
}

/// A package in a folder's `node_modules`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Package<'a> {
    /// The folder; empty for the app itself.
    pub folder: &'a str,
    pub name: &'a str,
}

impl<'a> Package<'a> {
    /// The outermost one that `file` is in.
    pub fn of(file: &'a str) -> Option<Self> {
        const MODULES: &str = "node_modules/";
        if path::leaves(file) {
            return None;
        }
        let mut places = file.match_indices(MODULES).map(|(at, _)| at);
        places.find_map(|at| {
            let folder = match &file[..at] {
                "" => "",
                before => before.strip_suffix('/')?,
            };
            let name = name_of(&file[at + MODULES.len()..])?;
            Some(Self { folder, name })
        })
    }
}

/// The name of the package that a path begins with, which leads into it.
fn name_of(path: &str) -> Option<&str> {
    let first = path.find('/').filter(|end| *end > 0)?;
    let second = path[first + 1..].find('/').filter(|end| *end > 0);
    match second {
        Some(second) if path.starts_with('@') => Some(&path[..=first + second]),
        _ => Some(&path[..first]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_in_the_outermost_package() {
        for (file, of) in [
            ("node_modules/a/i.js", Some(("", "a"))),
            ("m/n/node_modules/@s/a/i.js", Some(("m/n", "@s/a"))),
            ("m/node_modules/a/node_modules/b/i.js", Some(("m", "a"))),
            ("m/node_modules/@s/i.js", Some(("m", "@s"))),
            (
                "m/my_node_modules/node_modules/a/i.js",
                Some(("m/my_node_modules", "a")),
            ),
            ("m/my_node_modules/a/i.js", None),
            ("m/node_modules/a", None),
            ("../node_modules/a/i.js", None),
            ("/node_modules/a/i.js", None),
            ("m/é.ts", None),
        ] {
            let of = of.map(|(folder, name)| Package { folder, name });
            assert_eq!(Package::of(file), of, "{file}");
        }
    }
}
