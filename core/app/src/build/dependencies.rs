//! Installs the packages of a folder with a package.json, in the staged copy, when what asks for them
//! changed.
//!
//! Packages' own install scripts run unless the user's npm says otherwise: a package with a native
//! part has none before its script ran, and whoever publishes an app has run `npm install` in it, with
//! the same trust.

use super::{
    Cancel, Files, Result, cache,
    disk::{self, At},
    environment::with_a_home,
    node,
    npmrc::Npmrc,
    path,
    run::{self, Failed, Ran},
    sdk,
    tools::{TOOLS, Tool, WITHOUT_LOCK},
    workspaces::{installed_with, within},
};
use crate::AppError;
use regex::Regex;
use remy_db::internals::typescript::Fault;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Where an app's packages are installed.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The user's folder, for an .npmrc that is no part of a release.
    pub root: &'a Path,
    /// The staged copy.
    pub tree: &'a Path,
    /// Where it is kept what was installed.
    pub cache: &'a Path,
    /// The release's files, which the staged copy has.
    pub files: &'a Files,
}

/// Packages that are installed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Install {
    /// The folder that the install runs in, '' for the app itself.
    pub folder: String,
    /// The folders that it is for: itself, or all of its workspace.
    pub folders: Vec<String>,
    /// Of what asked for it.
    pub key: String,
    /// Of this very install: without a lock, two of one key may differ.
    pub id: String,
    /// How many there are.
    pub packages: usize,
    /// Those that cannot be bundled, as far as was seen.
    pub beside: Vec<String>,
    /// Whether they were there.
    #[serde(default)]
    pub reused: bool,
    /// What is odd, and does no harm.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Where a package.json names packages.
const KINDS: [&str; 4] = [
    "dependencies",
    "devDependencies",
    "optionalDependencies",
    "peerDependencies",
];

/// What no build needs: the SDK, which is put there, and remy itself, which an app has to be published
/// with, perhaps by a path of this machine.
const NOT_INSTALLED: [&str; 3] = [sdk::AGENT, sdk::INTERFACE, sdk::OWN];

/// A package.json.
struct Asking {
    folder: String,
    /// Its path.
    named: String,
    text: String,
    /// What it says, without what is not installed.
    wanted: Map<String, Value>,
}

/// Installs the packages of a folder with a package.json, '' for the app's own.
pub fn install(folder: &str, place: Place<'_>, cancel: Cancel<'_>) -> Result<Install> {
    let Place {
        root,
        tree,
        cache,
        files,
    } = place;
    let folders = installed_with(folder, tree, files)?;
    let top = folders[0].clone();
    let at = tree.join(&top);
    let asking = folders
        .iter()
        .map(|folder| Asking::read(tree, folder))
        .collect::<Result<Vec<_>>>()?;
    let tool = TOOLS
        .iter()
        .find(|tool| files.contains_key(&within(&top, tool.lock)))
        .unwrap_or(&WITHOUT_LOCK);
    let npmrc = Npmrc::read(root, tree, &top)?;
    let mut read = Vec::new();
    for one in &asking {
        read.push(json!([
            one.folder,
            one.wanted,
            one.inputs(tool.lock, files)?
        ]));
    }
    let is_asked = asking.iter().any(Asking::asks);
    let node = if is_asked {
        node::version(cancel)?
    } else {
        String::new()
    };
    let key = json!([read, tool, node, std::env::consts::ARCH, npmrc.text]);
    let key = disk::hash(key.to_string());
    let state_path = state_path(cache, &top);
    let before: Option<Install> = cache::read(&state_path);
    let mut state = match before {
        Some(before) if before.key == key && disk::exists(&at.join("node_modules")) => Install {
            reused: true,
            ..before
        },
        _ => {
            disk::remove(&state_path)?;
            remove_packages(tree, &asking)?;
            if is_asked {
                let work = Work {
                    tree,
                    cache,
                    at: &at,
                    asking: &asking,
                    tool,
                };
                work.install(&npmrc, cancel)?;
            }
            Install {
                id: fresh_id(&key),
                packages: count(&at),
                folder: top,
                folders,
                key,
                beside: Vec::new(),
                reused: false,
                warnings: Vec::new(),
            }
        }
    };
    if is_asked && tool.lock.is_empty() {
        state.warnings.push(format!(
            "{} has no lock beside it: its packages are the newest that it takes, and may be others next \
             time. Keep one, such as npm's package-lock.json",
            asking[0].named
        ));
    }
    sdk::put(&at)?;
    if !state.reused {
        remember(cache, &state)?;
    }
    Ok(state)
}

/// Notes what is installed, for the next build.
pub fn remember(cache: &Path, install: &Install) -> Result<()> {
    let state = Install {
        reused: false,
        warnings: Vec::new(),
        ..install.clone()
    };
    // The packages are in the staged copy, which is in the cache.
    cache::describe(&state_path(cache, &install.folder), &state, cache)
}

fn state_path(cache: &Path, folder: &str) -> PathBuf {
    let name = disk::hash(folder);
    cache.join("installs").join(format!("{}.json", &name[..16]))
}

/// What no other install has: the time is part of it.
fn fresh_id(key: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_nanos();
    disk::hash(format!("{key} {now} {}", std::process::id()))
}

fn remove_packages(tree: &Path, asking: &[Asking]) -> Result<()> {
    asking
        .iter()
        .try_for_each(|one| disk::remove(&tree.join(&one.folder).join("node_modules")))
}

impl Asking {
    fn read(tree: &Path, folder: &str) -> Result<Self> {
        let named = within(folder, "package.json");
        let refused = |why: String| {
            let message = format!("is not JSON that npm reads: {why}");
            AppError::does_not_build(vec![Fault::of_file(&named, message)])
        };
        let path = tree.join(&named);
        let text = fs::read(&path).at("reading", &path)?;
        let text = String::from_utf8(text).map_err(|e| refused(e.to_string()))?;
        let plain = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let json: Value = serde_json::from_str(plain).map_err(|e| refused(e.to_string()))?;
        let Value::Object(mut wanted) = json else {
            return Err(refused("it is no object".to_owned()));
        };
        for kind in KINDS {
            if let Some(Value::Object(packages)) = wanted.get_mut(kind) {
                for name in NOT_INSTALLED {
                    packages.shift_remove(name);
                }
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            named,
            text,
            wanted,
        })
    }

    /// What it asks for: of which kind, by which name, in which version.
    fn all(&self) -> impl Iterator<Item = (&'static str, &String, &Value)> {
        KINDS.into_iter().flat_map(|kind| {
            let packages = self.wanted.get(kind).and_then(Value::as_object);
            let packages = packages.into_iter().flatten();
            packages.map(move |(name, range)| (kind, name, range))
        })
    }

    fn asks(&self) -> bool {
        self.all().next().is_some()
    }

    /// Files that decide what an install gives, with their hashes: the lock, packages that are files of
    /// the app, and what package.json files of folders ask for.
    fn inputs<'a>(&self, lock: &str, files: &'a Files) -> Result<Vec<(String, Option<&'a str>)>> {
        let settings = [
            ".yarnrc",
            ".yarnrc.yml",
            ".pnpmfile.cjs",
            "pnpm-workspace.yaml",
        ];
        let settings = settings
            .into_iter()
            .chain((!lock.is_empty()).then_some(lock));
        let mut paths: Vec<String> = settings.map(|name| within(&self.folder, name)).collect();
        for (kind, name, range) in self.all() {
            let spec = range.as_str().unwrap_or_default();
            let local = ["file:", "link:", "portal:"]
                .iter()
                .find_map(|how| spec.strip_prefix(how));
            let Some(local) = local else { continue };
            let path = path::normalize(&format!("./{}/{local}", self.folder));
            if path::leaves(&path) {
                let message = format!("is {spec}, outside of the app: a release would not have it");
                let fault = Fault::of_field(&self.named, pointer(kind, name), message);
                return Err(AppError::does_not_build(vec![fault]));
            }
            paths.push(path::join(&path, "package.json"));
            paths.push(path);
        }
        // Patches are put on packages by their install scripts.
        let patches = within(&self.folder, "patches");
        paths.extend(
            files
                .keys()
                .filter(|path| path::is_in(path, &patches))
                .cloned(),
        );
        let hash = |path: &String| files.get(path).map(|file| file.hash.as_str());
        Ok(paths
            .into_iter()
            .map(|path| (path.clone(), hash(&path)))
            .collect())
    }
}

fn pointer(kind: &str, name: &str) -> String {
    format!("/{kind}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// An install.
struct Work<'a> {
    tree: &'a Path,
    cache: &'a Path,
    /// Where the tool runs.
    at: &'a Path,
    /// The first of it asks there.
    asking: &'a [Asking],
    tool: &'a Tool,
}

impl Work<'_> {
    /// Runs the tool in the staged copy, without our own packages in package.json. What only the lock
    /// has, `npm ci` does not install.
    fn install(&self, npmrc: &Npmrc, cancel: Cancel<'_>) -> Result<()> {
        let lock_path = self.at.join(self.tool.lock);
        let lock = match self.tool.lock {
            "" => None,
            _ => Some(fs::read(&lock_path).at("reading", &lock_path)?),
        };
        let done = self
            .prepare(npmrc)
            .and_then(|()| self.run(lock.as_deref(), cancel));
        // What builds read is the app's own again, and no token stays behind.
        let restored = self.restore(lock.as_deref(), npmrc);
        if done.is_err() {
            remove_packages(self.tree, self.asking)?;
        }
        done.and(restored)
    }

    fn prepare(&self, npmrc: &Npmrc) -> Result<()> {
        for one in self.asking {
            let path = self.tree.join(&one.named);
            let text = format!("{:#}\n", Value::Object(one.wanted.clone()));
            fs::write(&path, text).at("writing", &path)?;
        }
        npmrc.put()
    }

    fn restore(&self, lock: Option<&[u8]>, npmrc: &Npmrc) -> Result<()> {
        let settings = npmrc.take_away();
        for one in self.asking {
            let path = self.tree.join(&one.named);
            fs::write(&path, &one.text).at("writing", &path)?;
        }
        match lock {
            Some(lock) => {
                let path = self.at.join(self.tool.lock);
                fs::write(&path, lock).at("writing", &path)?;
            }
            None => {
                for tool in &TOOLS {
                    disk::remove(&self.at.join(tool.lock))?;
                }
            }
        }
        settings
    }

    fn run(&self, lock: Option<&[u8]>, cancel: Cancel<'_>) -> Result<()> {
        // yarn 1 finds nothing in a lock of newer ones, and would take other versions without a word.
        if self.tool.program == "yarn" && lock.is_some_and(is_of_newer_yarn) {
            let version = self.start(&["--version"], cancel)?.output;
            let version = version.trim();
            if version.starts_with("1.") {
                return Err(self.refused(format!(
                    "is of yarn 2 or newer, and yarn on this machine is {version}. Run \"corepack \
                     enable\", or use npm and its package-lock.json instead"
                )));
            }
        }
        let for_workspace = match self.asking {
            [_] => &[],
            _ => self.tool.for_workspace,
        };
        let Tool {
            arguments, flags, ..
        } = self.tool;
        let ran = self.start(&[arguments, flags, for_workspace].concat(), cancel)?;
        if ran.is_well() {
            Ok(())
        } else {
            Err(self.not_installed(&ran))
        }
    }

    fn start(&self, arguments: &[&str], cancel: Cancel<'_>) -> Result<Ran> {
        let mut variables = with_a_home(self.cache);
        let more = self.tool.variables.iter();
        variables.extend(more.map(|(name, value)| (name.into(), value.into())));
        let program = self.tool.program;
        let ran = run::run(program, arguments, self.at, &variables, cancel)?;
        ran.ok_or_else(|| {
            let instead = match program {
                "npm" => "",
                _ => ", or use npm and its package-lock.json instead",
            };
            self.refused(format!(
                "needs {program}, which is not on this machine. Install it{instead}"
            ))
        })
    }

    /// The folder that the tool runs in.
    fn top(&self) -> &str {
        &self.asking[0].folder
    }

    fn refused(&self, message: String) -> AppError {
        let name = match self.tool.lock {
            "" => "package.json",
            lock => lock,
        };
        let fault = Fault::of_file(&within(self.top(), name), message);
        AppError::does_not_build(vec![fault])
    }

    /// What went wrong, with the name of the package that could not be had where there is one.
    fn not_installed(&self, ran: &Ran) -> AppError {
        let name = missing_package(&ran.output);
        let place = self.asking.iter().find_map(|one| {
            let found = one.all().find(|(_, other, _)| name.as_ref() == Some(other));
            found.map(|found| (one, found))
        });
        let asked = place.map_or_else(String::new, |(_, (.., range))| {
            format!(" (asked for as {range})")
        });
        let before = name.as_ref().map_or_else(String::new, |name| {
            format!("the dependency {name}{asked} cannot be fetched: ")
        });
        ran.fault(&Failed {
            file: &place.map_or(&self.asking[0], |(one, _)| one).named,
            pointer: &place.map_or_else(String::new, |(_, (kind, name, _))| pointer(kind, name)),
            program: &format!("{} {}", self.tool.program, self.tool.arguments[0]),
            tree: self.tree,
            before: &before,
        })
    }
}

fn is_of_newer_yarn(lock: &[u8]) -> bool {
    lock.split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"__metadata:"))
}

/// The package that npm's error is about: a name and range in quotes, or an address of the registry.
fn missing_package(output: &str) -> Option<String> {
    const NAME: &str = "((?:@[A-Za-z0-9_.~-]+/)?[A-Za-z0-9_.~-]+)";
    let expression = |text: String| Regex::new(&text).expect("an expression that is written here");
    let said = expression(format!(
        "'{NAME}@[^']*' is not in this registry|No matching version found for {NAME}@"
    ));
    if let Some(said) = said.captures(output) {
        return said
            .iter()
            .skip(1)
            .flatten()
            .next()
            .map(|name| name.as_str().to_owned());
    }
    let asked = expression(
        "(?:request to|GET|timeout at:|trying to fetch) https?://[^\\t-\\r /]+(/[^\\t-\\r ?#]*)"
            .to_owned(),
    );
    let path = asked.captures(output)?.get(1)?.as_str();
    let path = path.strip_suffix(':').unwrap_or(path);
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    // …/name, …/@scope%2fname, …/name/-/name-1.0.0.tgz
    let path = path.split("/-/").next()?;
    let name = expression(format!("/{NAME}$")).captures(path)?;
    Some(name[1].to_owned())
}

/// How many packages there are.
fn count(at: &Path) -> usize {
    let modules = at.join("node_modules");
    let hidden: Option<Value> = cache::read(&modules.join(".package-lock.json"));
    if let Some(packages) = hidden
        .as_ref()
        .and_then(|lock| lock["packages"].as_object())
    {
        // Links are folders of the app.
        let is_link = |package: &Value| package["link"] == Value::Bool(true);
        return packages
            .iter()
            .filter(|(path, package)| path.contains("node_modules/") && !is_link(package))
            .count();
    }
    let names = |at: &Path| -> Vec<String> {
        let entries = fs::read_dir(at).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    };
    names(&modules)
        .iter()
        .filter(|name| !name.starts_with('.'))
        .map(|name| {
            if name.starts_with('@') {
                names(&modules.join(name)).len()
            } else {
                1
            }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_that_cannot_be_had_is_found_in_what_npm_says() {
        for (said, name) in [
            (
                "404  '@no/such@^1.0.0' is not in this registry.",
                "@no/such",
            ),
            ("No matching version found for old@^2.0.0.", "old"),
            (
                "network request to http://127.0.0.1:9/far-away failed, reason",
                "far-away",
            ),
            (
                "404 Not Found - GET http://r.example/x/@no%2fsuch - Not found",
                "@no/such",
            ),
            ("GET http://r.example/old/-/old-1.0.0.tgz - 404", "old"),
            ("network timeout at: http://127.0.0.1:9/a", "a"),
        ] {
            assert_eq!(missing_package(said).as_deref(), Some(name), "{said}");
        }
        assert_eq!(missing_package("npm error code EUSAGE"), None);
    }
}
