//! What a bundle was made of: files that were read, settings that were looked for, and the places that
//! imports were looked for at.

use super::{
    beside::Import,
    bundle::Bundle,
    earlier::{Earlier, names_at},
    metafile::{self, Package, file_of},
    what::{Compile, Installs},
};
use crate::Method;
use crate::build::{
    Files, Mode, Result,
    aliases::Aliases,
    disk::At,
    esbuild::Message,
    path::{self, is_script, parent},
    stubs,
};
use regex::{Regex, bytes};
use remy_db::internals::typescript;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::LazyLock,
};

/// Files that decide how code is compiled, and where its imports lead.
const SETTINGS: [&str; 3] = ["package.json", "tsconfig.json", "jsconfig.json"];

/// A bundle, and all that could be in it.
pub(super) struct MadeOf<'a> {
    pub what: &'a Compile<'a>,
    pub bundle: &'a Bundle,
    pub installs: &'a Installs,
    /// The folder of its packages.
    pub folder: Option<&'a str>,
}

impl MadeOf<'_> {
    /// What is kept of a method of the bundle, so that a later build knows whether to compile it again.
    pub fn earlier(&self, method: &Method, key: String, code: &[u8]) -> Result<Earlier> {
        let files = self.what.files;
        let inputs = self.bundle.metafile.reachable(&method.path);
        let (read, stems) = self.read(&inputs)?;
        let own = read.iter().filter(|path| Package::of(path).is_none());
        let hash_of = |path: &String| files.get(path).map(|entry| entry.hash.clone());
        let named = stems.into_iter().map(|stem| (names_at(&stem, files), stem));
        let code = String::from_utf8_lossy(code);
        let mut warnings = self.said_of(&inputs);
        warnings.extend(self.looks_beside(&inputs)?);
        Ok(Earlier {
            key,
            files: own.map(|path| (path.clone(), hash_of(path))).collect(),
            names: named.map(|(names, stem)| (stem, names)).collect(),
            installs: self.used(&read),
            beside: self.beside(method, &inputs),
            warnings,
            unsupported: stubs::used_in(&code),
            variables: self.variables(&inputs, &code)?,
            bytes: code.len() as u64,
        })
    }

    /// The installs that what was read is of, and the folder's own.
    fn used(&self, read: &BTreeSet<String>) -> BTreeMap<String, String> {
        let install = self.folder.and_then(|folder| self.installs.get(folder));
        let own = install.map(|install| install.folder.as_str());
        let folders = read.iter().filter_map(|path| Package::of(path));
        let folders = folders.map(|package| package.folder).chain(own);
        let id_of = |folder| self.installs.get(folder).map_or("", |install| &install.id);
        folders
            .map(|folder| (folder.to_owned(), id_of(folder).to_owned()))
            .collect()
    }

    /// The imports of packages that are left out of the method's bundle, and go along with it.
    fn beside(&self, method: &Method, inputs: &BTreeSet<&str>) -> Vec<Import> {
        let metafile = &self.bundle.metafile;
        let Some(install) = self.folder.and_then(|folder| self.installs.get(folder)) else {
            return Vec::new();
        };
        let output = metafile.output(&method.id);
        let left_out = output
            .map(|output| outside(&output.imports))
            .unwrap_or_default();
        let of = |importer: &&str| {
            let names = outside(metafile.imports(importer)).into_iter();
            let kept = names.filter(|name| {
                left_out.contains(name) && install.beside.iter().any(|kept| kept == name)
            });
            let import = |name: &str| Import {
                importer: (*importer).to_owned(),
                name: name.to_owned(),
            };
            kept.map(import).collect::<Vec<_>>()
        };
        inputs.iter().flat_map(of).collect()
    }

    /// The files that were read or looked for, and the beginnings of those that could be taken instead.
    fn read(&self, inputs: &BTreeSet<&str>) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
        let files = self.what.files;
        let (mut read, mut stems, mut settings) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        // Imports that are no relative path, with where each led to last.
        let mut named = BTreeMap::new();
        for input in inputs.iter().filter(|input| !is_sdk(input)) {
            let file = file_of(input);
            read.insert(file.to_owned());
            if Package::of(file).is_some() {
                continue;
            }
            for folder in path::folders_above(file) {
                settings.extend(SETTINGS.map(|name| path::join(folder, name)));
            }
            for import in self.bundle.metafile.imports(input) {
                if is_sdk(&import.path) {
                    continue;
                }
                let written = import.written();
                let to = if import.external { "" } else { &import.path };
                // `./x.js` may be `./x.ts`.
                if !written.starts_with('.') {
                    named.insert(written, to);
                } else if !import.external {
                    stems.insert(stem_of(&path::join(parent(file), written), files));
                }
            }
        }
        let (settings, aliases) = self.aliases(settings)?;
        for (written, to) in named {
            stems.extend(stems_of(written, to, aliases.as_deref(), files));
        }
        read.extend(settings);
        Ok((read, stems))
    }

    /// The settings with those that they extend, and what they say of where imports lead; nothing where
    /// that cannot be told.
    fn aliases(
        &self,
        mut settings: BTreeSet<String>,
    ) -> Result<(BTreeSet<String>, Option<Vec<Aliases>>)> {
        static LEADS: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r#""(\.{1,2}/[^"]+|\.{1,2})""#).expect("an expression that is written here")
        });
        let mut found = Some(Vec::new());
        let mut rest: Vec<String> = settings.iter().cloned().collect();
        while let Some(file) = rest.pop() {
            if file.ends_with("package.json") || !self.what.files.contains_key(&file) {
                continue;
            }
            let at = self.what.tree.join(&file);
            let text = fs::read(&at).at("reading", &at)?;
            let text = String::from_utf8_lossy(&text);
            found = found.zip(Aliases::of(&file, &text)).map(|(mut all, one)| {
                all.push(one);
                all
            });
            for lead in LEADS.captures_iter(&text) {
                let to = path::join(parent(&file), &lead[1]);
                for other in [format!("{to}.json"), to] {
                    if other.ends_with(".json")
                        && !path::leaves(&other)
                        && settings.insert(other.clone())
                    {
                        rest.push(other);
                    }
                }
            }
        }
        Ok((settings, found))
    }

    /// What esbuild says of the app's own files.
    fn said_of(&self, inputs: &BTreeSet<&str>) -> Vec<String> {
        let said = |Message { text, location, .. }: &Message| {
            let location = location.as_ref()?;
            let file = location.file.as_str();
            let is_own = inputs.contains(file) && Package::of(file).is_none();
            is_own.then(|| format!("{file}:{}: {text}", location.line))
        };
        self.bundle.warnings.iter().filter_map(said).collect()
    }

    /// The variables that a bundle reads and a file of the app's names. What packages alone ask for
    /// (`DEBUG`, `NO_COLOR`) is not the app's.
    fn variables(&self, inputs: &BTreeSet<&str>, code: &str) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for input in self.own_scripts(inputs) {
            let at = self.what.tree.join(input);
            let text = fs::read(&at).at("reading", &at)?;
            texts.push(String::from_utf8_lossy(&text).into_owned());
        }
        texts.retain(|text| text.contains("env"));
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let mut read = typescript::variables_read(code);
        read.retain(|name| texts.iter().any(|text| text.contains(name.as_str())));
        Ok(read.into_iter().collect())
    }

    /// The files of the app that are programs.
    fn own_scripts<'s>(&self, inputs: &BTreeSet<&'s str>) -> Vec<&'s str> {
        let all = inputs.iter().copied();
        all.filter(|input| !is_sdk(input) && Package::of(input).is_none() && is_script(input))
            .collect()
    }

    /// The app's own code is bundled, whatever it looks for.
    fn looks_beside(&self, inputs: &BTreeSet<&str>) -> Result<Vec<String>> {
        static LOOKS: LazyLock<bytes::Regex> = LazyLock::new(|| {
            bytes::Regex::new(
                r"(?-u)\b__(dirname|filename)\b|\bimport\.meta\.(url|dirname|filename)\b",
            )
            .expect("an expression that is written here")
        });
        let mut warnings = Vec::new();
        for input in self.own_scripts(inputs) {
            let at = self.what.tree.join(input);
            let text = fs::read(&at).at("reading", &at)?;
            let looks = |line: &[u8]| {
                let line = line.trim_ascii_start();
                let is_comment = line.starts_with(b"//") || line.starts_with(b"*");
                !is_comment && LOOKS.is_match(line)
            };
            if let Some(line) = text.split(|byte| *byte == b'\n').position(looks) {
                warnings.push(format!(
                    "{input}:{}: looks for files where it stands; a compiled method stands elsewhere. Import them instead",
                    line + 1
                ));
            }
        }
        Ok(warnings)
    }
}

/// Whether this is a module of the SDK, and no file.
fn is_sdk(input: &str) -> bool {
    input.starts_with("remy:")
}

/// The packages that imports leave out of a bundle.
fn outside(imports: &[metafile::Import]) -> BTreeSet<&str> {
    let left_out = imports.iter().filter(|import| import.external);
    left_out.map(|import| package_in(&import.path)).collect()
}

/// The package that an import is of.
fn package_in(import: &str) -> &str {
    let mut ends = import.match_indices('/').map(|(at, _)| at);
    let end = if import.starts_with('@') {
        ends.nth(1)
    } else {
        ends.next()
    };
    end.map_or(import, |end| &import[..end])
}

/// The beginnings of the files that could be what an import by a name leads to; that of all files
/// where this cannot be told.
fn stems_of(written: &str, to: &str, aliases: Option<&[Aliases]>, files: &Files) -> Vec<String> {
    let all = vec![String::new()];
    let Some(aliases) = aliases else {
        return all;
    };
    // With `paths` or `baseUrl`, a file of the app may come before a package.
    let places = Aliases::places(aliases, written);
    let places = places.iter().filter(|place| !path::leaves(place));
    let stems: Vec<String> = places.map(|place| stem_of(place, files)).collect();
    let leads_there = |stem: &String| {
        let rest = to.strip_prefix(stem.as_str());
        !stem.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
    };
    // What led to a file of the app otherwise went through a package.json, which may name any.
    if to.is_empty() || Package::of(to).is_some() || stems.iter().any(leads_there) {
        stems
    } else {
        all
    }
}

/// The beginning that all files have which a path could mean; empty where it goes through a link, and
/// so to other names.
fn stem_of(file: &str, files: &Files) -> String {
    let is_link = |folder: &str| {
        files
            .get(folder)
            .is_some_and(|entry| entry.mode == Mode::Link)
    };
    if path::folders_above(file).any(is_link) {
        return String::new();
    }
    match file.rsplit_once('.') {
        Some((stem, "js" | "jsx" | "cjs" | "cjsx" | "mjs" | "mjsx")) => stem.to_owned(),
        _ => file.to_owned(),
    }
}
