//! Bundles methods of one folder, until all that is bundled can be: a package that cannot is left
//! out, an export that the SDK does not have is made.

use super::{
    faults,
    metafile::{Metafile, Package, file_of},
    what::{Compile, Installs},
};
use crate::Method;
use crate::build::{
    Cancel, Result,
    dependencies::{self, Install},
    disk,
    esbuild::{Filter, Message, Options, Output, Plugins, Resolved, Service},
    path::{self, is_script},
    sdk, stubs,
};
use regex::bytes::Regex;
use remy_db::{Error, internals::typescript::Fault};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::LazyLock,
};

/// How often a bundle may show that it needs something else than was thought.
const ROUNDS: usize = 8;

/// How a method is named to esbuild, with its id behind: esbuild takes a `*` in a path, in the
/// folder's or the file's own name, for a pattern.
const ENTRY: &str = "remy-method:";

/// The namespace of the SDK's modules.
const SDK: &str = "remy";

/// How esbuild compiles whatever method, for this generation of Node.js.
pub(super) fn flags(node: Option<u32>) -> Vec<String> {
    // What this Node.js runs, as far as all of its generation do.
    let target = if node >= Some(22) { "node22" } else { "node20" };
    let mut flags = vec![format!("--target={target}")];
    flags.extend(
        [
            "--log-level=silent",
            "--log-limit=0",
            "--bundle",
            "--metafile",
            "--platform=node",
            "--format=esm",
            "--charset=utf8",
            "--sourcemap=linked",
            "--out-extension:.js=.mjs",
            "--loader:.txt=text",
            "--loader:.md=text",
            "--loader:.sql=text",
            "--loader:.html=text",
            "--loader:.csv=text",
            "--loader:.node=empty",
            // CommonJS packages ask for Node.js' own modules by `require`, which ESM has none of.
            "--banner:js=import { createRequire as remyCreateRequire } from 'node:module';\n\
             const require = remyCreateRequire(import.meta.url);",
        ]
        .map(str::to_owned),
    );
    flags
}

/// What came of bundling some methods.
#[derive(Default)]
pub(super) struct Bundle {
    pub faults: Vec<Fault>,
    pub metafile: Metafile,
    pub warnings: Vec<Message>,
    outputs: BTreeMap<String, Vec<u8>>,
}

impl Bundle {
    /// A method's code and its source map.
    pub fn take(&mut self, method: &str) -> (Vec<u8>, Vec<u8>) {
        let mut of = |ending| self.outputs.remove(&format!("{method}.{ending}"));
        (
            of("mjs").unwrap_or_default(),
            of("mjs.map").unwrap_or_default(),
        )
    }
}

/// Bundles the methods of a folder.
pub(super) struct Bundler<'a> {
    what: &'a Compile<'a>,
    service: &'a mut Service,
    installs: &'a mut Installs,
    /// The folder of their packages.
    folder: Option<&'a str>,
}

impl<'a> Bundler<'a> {
    pub fn new(
        what: &'a Compile<'a>,
        service: &'a mut Service,
        installs: &'a mut Installs,
        folder: Option<&'a str>,
    ) -> Self {
        Self {
            what,
            service,
            installs,
            folder,
        }
    }

    pub fn bundle(&mut self, group: &[&Method], cancel: Cancel<'_>) -> Result<Bundle> {
        let mut lacks = Lacks::of(self.beside());
        for round in 0.. {
            cancel.check()?;
            let mut parts = Parts::of(group, self.what, &lacks.exports);
            let options = self.options(group, &lacks.beside);
            let output = self.service.build(&options, &mut parts, cancel)?;
            let metafile = metafile_of(&output)?;
            let again = round < ROUNDS
                && (lacks.learn(&output)
                    || lacks.cannot_bundle(metafile.as_ref(), self.what, cancel)?);
            if !again {
                return self.made(group, output, metafile, lacks);
            }
        }
        Ok(Bundle::default())
    }

    fn options(&self, group: &[&Method], beside: &BTreeSet<String>) -> Options<'a> {
        let what = self.what;
        let mut flags = flags(what.node);
        flags.push(format!("--outdir={}", what.cache.join("methods").display()));
        flags.extend(beside.iter().map(|name| format!("--external:{name}")));
        // A folder above the app has no say in how it compiles, and settings there that are broken none
        // either, as far as that can be helped.
        let is_setting = |file| matches!(path::name(file), "tsconfig.json" | "jsconfig.json");
        if !what.files.keys().any(|file| is_setting(file)) {
            flags.push("--tsconfig-raw={}".to_owned());
        }
        let entry = |method: &&Method| (format!("{ENTRY}{}", method.id), method.id.clone());
        Options {
            folder: what.tree,
            entries: group.iter().map(entry).collect(),
            flags,
        }
    }

    /// The packages that cannot be bundled, as far as was seen.
    fn beside(&self) -> &[String] {
        let install = self.folder.and_then(|folder| self.installs.get(folder));
        install.map_or(&[], |install| &install.beside)
    }

    fn made(
        &mut self,
        group: &[&Method],
        output: Output,
        metafile: Option<Metafile>,
        lacks: Lacks,
    ) -> Result<Bundle> {
        let files = self.what.files;
        let messages = output.errors.iter();
        let mut faults: Vec<_> = messages.map(|message| faults::of(message, files)).collect();
        let Some(metafile) = metafile else {
            return Ok(Bundle {
                faults,
                ..Bundle::default()
            });
        };
        let install = self.folder.and_then(|folder| self.installs.get(folder));
        faults.extend(faults::strangers(
            &metafile,
            install.map(|install| install.folder.as_str()),
        ));
        faults.extend(faults::wrong_exports(group, &metafile, self.what.tree));
        self.remember(lacks.beside)?;
        let outputs = output.outputs.into_iter().filter_map(|file| {
            let name = file.path.file_name()?.to_str()?.to_owned();
            Some((name, file.content))
        });
        Ok(Bundle {
            faults,
            metafile,
            warnings: output.warnings,
            outputs: outputs.collect(),
        })
    }

    /// Notes what cannot be bundled with the install that it is of, for all folders that have it.
    fn remember(&mut self, beside: BTreeSet<String>) -> Result<()> {
        let install = self.folder.and_then(|folder| self.installs.get(folder));
        let Some(install) = install.filter(|install| beside.len() > install.beside.len()) else {
            return Ok(());
        };
        let install = Install {
            beside: beside.into_iter().collect(),
            ..install.clone()
        };
        dependencies::remember(self.what.cache, &install)?;
        for folder in &install.folders {
            self.installs.insert(folder.clone(), install.clone());
        }
        Ok(())
    }
}

/// What esbuild tells that it read and made; nothing where it made nothing.
fn metafile_of(output: &Output) -> Result<Option<Metafile>> {
    let Some(json) = output
        .metafile
        .as_ref()
        .filter(|_| output.errors.is_empty())
    else {
        return Ok(None);
    };
    serde_json::from_slice(json)
        .map_err(|e| Error::internal(format!("reading what esbuild tells of a bundle: {e}")).into())
}

/// What is found to be lacking as bundles are made.
struct Lacks {
    /// Names that the SDK's packages are asked for and do not have.
    exports: BTreeMap<&'static str, BTreeSet<String>>,
    /// Packages that cannot be bundled.
    beside: BTreeSet<String>,
    /// Files of packages that were looked at.
    seen: BTreeSet<String>,
}

impl Lacks {
    fn of(beside: &[String]) -> Self {
        Self {
            exports: sdk::PACKAGES
                .map(|package| (package, BTreeSet::new()))
                .into(),
            beside: beside.iter().cloned().collect(),
            seen: BTreeSet::new(),
        }
    }

    /// Learns what errors and warnings say that another round can help: names that the SDK does not
    /// export, packages that esbuild cannot read.
    fn learn(&mut self, output: &Output) -> bool {
        let mut more = false;
        for Message { text, .. } in output.errors.iter().chain(&output.warnings) {
            let Some((name, package)) = no_export(text) else {
                continue;
            };
            if let Some(names) = self.exports.get_mut(package) {
                more |= names.insert(name.to_owned());
            }
        }
        for location in output
            .errors
            .iter()
            .filter_map(|error| error.location.as_ref())
        {
            if let Some(package) = Package::of(&location.file) {
                more |= self.beside.insert(package.name.to_owned());
            }
        }
        more
    }

    /// The rule for what is kept beside the release: a package is, if a file of it that would be
    /// bundled is a native addon, or looks for files or modules where it stands. With a package that
    /// another has to itself, the other one is kept, since that is where it finds it.
    fn cannot_bundle(
        &mut self,
        metafile: Option<&Metafile>,
        what: &Compile<'_>,
        cancel: Cancel<'_>,
    ) -> Result<bool> {
        let inputs = metafile
            .into_iter()
            .flat_map(|metafile| metafile.inputs.keys());
        let mut rest = Vec::new();
        for input in inputs {
            let file = file_of(input);
            let Some(package) = Package::of(file) else {
                continue;
            };
            if !self.beside.contains(package.name) && self.seen.insert(file.to_owned()) {
                rest.push((file, package.name));
            }
        }
        let cannot = disk::together(rest, cancel, |(file, name)| {
            Ok(looks_beside(file, what).then_some(name))
        })?;
        let before = self.beside.len();
        self.beside
            .extend(cannot.into_iter().flatten().map(str::to_owned));
        Ok(self.beside.len() > before)
    }
}

/// Whether a file of a package is a native addon, looks for files where it stands, or loads what is
/// only known when it runs: a bundle stands elsewhere.
fn looks_beside(file: &str, what: &Compile<'_>) -> bool {
    static LOOKS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"(?-u)\b__(?:dirname|filename)\b|\bimport\.meta\.(?:url|dirname|filename)\b",
            r#"|\brequire\.resolve\b|\brequire\(\s*[^\s'"`)]|\.node['"`]"#
        ))
        .expect("an expression that is written here")
    });
    if file.ends_with(".node") || file.ends_with(".wasm") {
        return true;
    }
    // What cannot be read here was not read by esbuild either: it is none of a file's.
    is_script(file) && fs::read(what.tree.join(file)).is_ok_and(|text| LOOKS.is_match(&text))
}

/// The name that a module of the SDK is asked for and does not have, and the module, of a message that
/// says so.
fn no_export(text: &str) -> Option<(&str, &str)> {
    let module = text.split_once(" in \"remy:")?.1.split('"').next()?;
    let name = match text.strip_prefix("No matching export in \"") {
        Some(rest) => rest.split_once("\" for import \"")?.1,
        None => text.strip_prefix("Import \"")?,
    };
    let name = name.split('"').next()?;
    crate::manifest::is_export(name).then_some((name, module))
}

/// The parts of a bundle that esbuild does not find by itself: methods by their ids, and the SDK under
/// any of its sub-paths, remy's own, with the exports that it lacks.
struct Parts<'a> {
    methods: BTreeMap<String, String>,
    exports: &'a BTreeMap<&'static str, BTreeSet<String>>,
}

impl<'a> Parts<'a> {
    fn of(
        group: &[&Method],
        what: &Compile<'_>,
        exports: &'a BTreeMap<&'static str, BTreeSet<String>>,
    ) -> Self {
        let at = |path: &str| what.tree.join(path).to_string_lossy().into_owned();
        let method = |method: &&Method| (format!("{ENTRY}{}", method.id), at(&method.path));
        Self {
            methods: group.iter().map(method).collect(),
            exports,
        }
    }
}

impl Plugins for Parts<'_> {
    fn resolves(&self) -> Vec<Filter> {
        let filter = |pattern, namespace| Filter { pattern, namespace };
        vec![
            filter(format!("^{ENTRY}"), ""),
            filter(format!("^({})(/|$)", sdk::PACKAGES.join("|")), ""),
            filter(r"^\./".to_owned(), SDK),
        ]
    }

    fn loads(&self) -> Vec<Filter> {
        vec![Filter {
            pattern: ".*".to_owned(),
            namespace: SDK,
        }]
    }

    fn resolve(&mut self, import: &str) -> Option<Resolved> {
        if let Some(path) = self.methods.get(import) {
            return Some(Resolved {
                path: path.clone(),
                namespace: "file",
                side_effects: true,
            });
        }
        let is_of = |package: &&&str| path::is_in(import, package) || import == **package;
        let package = sdk::PACKAGES.iter().find(is_of);
        let path = package.copied().unwrap_or_else(|| path::name(import));
        Some(Resolved {
            path: path.to_owned(),
            namespace: SDK,
            side_effects: false,
        })
    }

    fn load(&mut self, module: &str) -> Option<String> {
        let own = match sdk::MODULES.iter().find(|it| it.specifier == module) {
            Some(it) => sdk::text(&format!("{}.js", it.file)),
            None => sdk::text(module),
        };
        let names = self.exports.get(module).into_iter().flatten();
        let stubs = stubs::code(module, names.map(String::as_str));
        Some(format!("{}\n{stubs}", own?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_the_sdk_lacks_is_told_by_esbuilds_messages() {
        let at = "@mindstudio-ai/agent";
        for (text, found) in [
            (
                "No matching export in \"remy:@mindstudio-ai/agent\" for import \"$x\"",
                Some(("$x", at)),
            ),
            (
                "Import \"é\" will always be undefined because there is no matching export in \"remy:@mindstudio-ai/agent\"",
                Some(("é", at)),
            ),
            ("No matching export in \"m/a.ts\" for import \"x\"", None),
            (
                "No matching export in \"remy:@mindstudio-ai/agent\" for import \"a b\"",
                None,
            ),
            ("Could not resolve \"x\"", None),
        ] {
            assert_eq!(no_export(text), found, "{text}");
        }
    }
}
