//! A key of all that a build may read: the same key, the same page.
//!
//! The project itself counts whole, with the settings in the folders above it, the packages of all
//! folders that what is read is in, and the build's variables ([`VOLATILE`] are not). Of the rest of the
//! app counts:
//!
//! - where the builds of before were watched, what they opened (seen.rs), and what the project's sources
//!   import by a relative path, for those imports of which a bundle keeps nothing, such as types. What a
//!   type check reads besides is no input of the page;
//! - where they were not, what texts name: every path that goes up is looked for in every text of the
//!   project, and in the texts that those lead to. One that leads to a file counts as that file, under
//!   any ending; to a folder, as all of it; to a folder above the project, as the whole app, since what
//!   is put behind it when the build runs cannot be known. A member of a workspace counts as all of it
//!   where its name stands.
//!
//! That a file is *not* there is read as well, and no watch tells it. So names count where a build may
//! look for one: in the place of what it opened, in folders that it listed, and where texts name a path.
//!
//! Of this machine's files counts what a text names by its whole path, such as a configuration of a
//! build. No watch tells of others: it would have to be of every folder that there is.

use super::{interface::Web, seen::Seen, texts};
use crate::build::{
    Cancel, Entry, Mode, Result, cache,
    disk::{self, At},
    environment::with_a_home,
    node, path, sdk,
    workspaces::within,
};
use serde_json::{Value, json};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::Path,
    rc::Rc,
};

/// Variables that say where and when a build is called, and not what it makes. Who reads one of them
/// into a page has a page of any time. A name that ends with `_` stands for all that begin so.
const VOLATILE: [&str; 41] = [
    // What a shell sets for each program.
    "_",
    "PWD",
    "OLDPWD",
    "SHLVL",
    // The terminal, and the multiplexer that it is one of.
    "TERM",
    "TERM_",
    "COLORTERM",
    "COLUMNS",
    "LINES",
    "LS_COLORS",
    "VTE_VERSION",
    "WINDOWID",
    "GPG_TTY",
    "TMUX",
    "TMUX_",
    "STY",
    "WINDOW",
    "KITTY_",
    "ITERM_",
    "WT_",
    // The session, and who is logged in how.
    "SSH_",
    "XDG_SESSION_",
    "XDG_RUNTIME_DIR",
    "XDG_VTNR",
    "XDG_SEAT",
    "DBUS_",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "SUDO_",
    "MAIL",
    // A unit of systemd's.
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "SYSTEMD_EXEC_PID",
    "MEMORY_PRESSURE_",
    // What npm sets for each run: the build's own npm sets them again.
    "NODE",
    "COLOR",
    "EDITOR",
    "npm_config_user_agent",
    "npm_config_npm_version",
    "npm_node_execpath",
];

fn is_volatile(name: &str) -> bool {
    VOLATILE.iter().any(|volatile| {
        name == *volatile
            || volatile.len() > 1 && volatile.ends_with('_') && name.starts_with(volatile)
    })
}

/// Folders of the system's own, whose files change with the system: what is there is asked for by its
/// version elsewhere, or is no file of anybody's.
const SYSTEM: [&str; 9] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/proc",
    "/sys",
    "/dev",
    "/nix/store",
];

pub(super) struct Inputs<'a> {
    web: Web<'a>,
    /// Variables that builds have.
    variables: BTreeMap<String, String>,
    node: String,
    /// Members of workspaces: the folder, and the name that they are imported by.
    members: Vec<(String, String)>,
    texts: RefCell<BTreeMap<String, Rc<str>>>,
}

impl<'a> Inputs<'a> {
    pub fn new(web: Web<'a>, cancel: Cancel<'_>) -> Result<Self> {
        let variables = with_a_home(web.cache).into_iter().map(|(name, value)| {
            let text = |text: OsString| text.to_string_lossy().into_owned();
            (text(name), text(value))
        });
        let variables = variables.filter(|(name, _)| !is_volatile(name));
        let members = web
            .installs
            .iter()
            .filter(|(at, install)| **at != install.folder);
        let members = members.map(|(at, _)| {
            let package: Option<Value> = cache::read(&web.tree.join(within(at, "package.json")));
            let name = package
                .as_ref()
                .and_then(|package| package["name"].as_str());
            (at.clone(), name.unwrap_or(path::name(at)).to_owned())
        });
        Ok(Self {
            variables: variables.collect(),
            node: node::version(cancel)?,
            members: members.collect(),
            texts: RefCell::default(),
            web,
        })
    }

    /// The key, by what was seen of builds before; by texts alone, where that is nothing.
    pub fn key(&self, seen: Option<&Seen>) -> Result<String> {
        let web = self.web;
        let reach = Reach::of(self, seen)?;
        let looks = |path: &str| web.files.get(path).map(|Entry { hash, mode }| (hash, mode));
        let mut read: Vec<&str> = match seen {
            None if reach.is_whole => web.files.keys().map(String::as_str).collect(),
            _ => reach.counted.iter().copied().collect(),
        };
        let mut names = Vec::new();
        if let Some(seen) = seen {
            read.extend(seen.files.iter().map(String::as_str));
            names = reach.names(seen);
        }
        let is_used = |at: &str| {
            let targets = reach.targets.iter().map(String::as_str);
            at.is_empty()
                || read
                    .iter()
                    .copied()
                    .chain(targets)
                    .any(|path| path == at || path::is_in(path, at))
        };
        let installs = web.installs.iter().filter(|(at, _)| is_used(at));
        let installs: Vec<_> = installs.map(|(at, install)| (at, &install.id)).collect();
        let read: Vec<_> = read.into_iter().map(|path| (path, looks(path))).collect();
        let all = json!([
            web.folder,
            self.node,
            sdk::hash(),
            installs,
            self.variables,
            self.outside(&reach),
            read,
            names,
            seen.is_some()
        ]);
        Ok(disk::hash(all.to_string()))
    }

    /// Files of this machine that texts name, with what they hold. What may not be read, a build does
    /// not read either.
    fn outside<'r>(&self, reach: &'r Reach<'_>) -> Vec<(&'r str, String)> {
        let mut found = Vec::new();
        for path in reach.outside.iter().map(String::as_str) {
            let Ok(real) = Path::new(path).canonicalize() else {
                continue;
            };
            let is_known = SYSTEM.iter().any(|folder| real.starts_with(folder))
                || real.starts_with(self.web.tree);
            if !is_known && real.is_file() {
                found.push((path, disk::hash_of(&real).unwrap_or_default()));
            }
        }
        found
    }

    fn text(&self, path: &str) -> Result<Rc<str>> {
        if let Some(text) = self.texts.borrow().get(path) {
            return Ok(text.clone());
        }
        let at = self.web.tree.join(path);
        let bytes = fs::read(&at).at("reading", &at)?;
        let text: Rc<str> = String::from_utf8_lossy(&bytes).into();
        let mut texts = self.texts.borrow_mut();
        texts.insert(path.to_owned(), text.clone());
        Ok(text)
    }
}

/// What counts, and what its texts lead to.
struct Reach<'a> {
    web: Web<'a>,
    /// Whether builds were watched: then a path in a text counts only where it is imported.
    is_watched: bool,
    counted: BTreeSet<&'a str>,
    /// Of those, the ones whose texts are still to be read.
    rest: Vec<&'a str>,
    /// The paths that texts name.
    targets: BTreeSet<String>,
    /// Whether one of them is a folder above the project.
    is_whole: bool,
    /// Those that texts name from the root of this machine.
    outside: BTreeSet<String>,
}

impl<'a> Reach<'a> {
    fn of<'b: 'a>(inputs: &'a Inputs<'b>, seen: Option<&Seen>) -> Result<Self> {
        let web: Web<'a> = inputs.web;
        let mut reach = Self {
            web,
            is_watched: seen.is_some(),
            counted: BTreeSet::new(),
            rest: Vec::new(),
            targets: BTreeSet::new(),
            is_whole: false,
            outside: BTreeSet::new(),
        };
        for path in web.files.keys() {
            let is_above =
                || web.is_above(path::parent(path)) && texts::is_setting(path::name(path));
            let is_seen = || seen.is_some_and(|seen| seen.files.contains(path));
            if web.is_inside(path) || is_above() || is_seen() {
                reach.count(path);
            }
        }
        while let Some(path) = reach.rest.pop() {
            if web
                .files
                .get(path)
                .is_some_and(|file| file.mode == Mode::Link)
            {
                let at = web.tree.join(path);
                let to = fs::read_link(&at).at("reading", &at)?;
                reach.lead(path, &path::join(path::parent(path), &to.to_string_lossy()));
            } else if texts::is_text(path) && path::name(path) != "package-lock.json" {
                reach.read(path, &inputs.text(path)?, inputs);
            }
        }
        Ok(reach)
    }

    fn count(&mut self, path: &'a str) {
        if self.counted.insert(path) {
            self.rest.push(path);
        }
    }

    fn read(&mut self, path: &'a str, text: &str, inputs: &'a Inputs<'_>) {
        let web = self.web;
        let from = path::parent(path);
        let is_inside = web.is_inside(path);
        for way in texts::upward(text) {
            self.lead(path, &path::join(from, way));
            // A path that is given to a tool is taken from where the tool runs.
            if is_inside && way != ".." {
                self.lead(path, &path::join(web.folder, way));
            }
        }
        // What is outside of the project may lead to more beside it. A setting that names a folder
        // above the project is no such lead.
        if !is_inside {
            for way in texts::beside(text) {
                let target = path::join(from, way);
                if !web.is_above(&target) {
                    self.lead(path, &target);
                }
            }
        }
        for (at, name) in &inputs.members {
            if texts::imports(text, name) {
                self.lead(path, at);
            }
        }
        self.outside
            .extend(texts::absolute(text).map(str::to_owned));
    }

    /// Follows a path that the text of the file `by` names.
    fn lead(&mut self, by: &str, target: &str) {
        let web = self.web;
        if path::leaves(target) || web.is_inside(target) || target == web.folder {
            return;
        }
        self.is_whole |= web.is_above(target);
        let is_import = texts::is_source(by) && !texts::is_configuration(path::name(by));
        if !self.targets.insert(target.to_owned()) && self.is_watched && !is_import {
            return;
        }
        let stem = format!("{}.", stem_of(target));
        let (below, index) = (format!("{target}/"), format!("{target}/index."));
        for path in web.files.keys() {
            let is_file = path == target || path.starts_with(&stem);
            let is_meant = match self.is_watched {
                false => is_file || path.starts_with(&below),
                true => is_import && (is_file || path.starts_with(&index)),
            };
            if is_meant {
                self.count(path);
            }
        }
    }

    /// The names that a build may look for, with where links lead: what could be taken in the place of
    /// what was opened or named, settings around it, and all of what was listed.
    fn names(&self, seen: &Seen) -> Vec<(&'a str, Option<&'a str>)> {
        let above: BTreeSet<&str> = seen
            .files
            .iter()
            .flat_map(|path| path::folders_above(path))
            .collect();
        let targets = self.targets.iter().map(|target| stem_of(target));
        let stems: BTreeSet<&str> = targets
            .chain(self.targets.iter().map(String::as_str))
            .chain(seen.files.iter().map(|path| first_of(path)))
            .collect();
        let is_meant = |path: &str| {
            let (folder, name) = (path::parent(path), path::name(path));
            let mut parts = path.match_indices(['.', '/']);
            self.is_whole
                || seen.folders.contains(folder)
                || above.contains(folder) && texts::is_setting(name)
                || stems.contains(path)
                || parts.any(|(at, sign)| {
                    let head = &path[..at];
                    // `a.ts` comes before `a/index.ts`.
                    stems.contains(head) || sign == "." && above.contains(head)
                })
        };
        let all = self.web.files.iter();
        all.filter_map(|(path, file)| {
            let leads = (file.mode == Mode::Link).then_some(file.hash.as_str());
            (leads.is_some() || is_meant(path)).then_some((path.as_str(), leads))
        })
        .collect()
    }
}

/// A path up to the first `.` of its name: `x.d.ts` may be taken for `x.ts`.
fn first_of(path: &str) -> &str {
    let begin = path.len() - path::name(path).len();
    match path[begin..].find('.') {
        None | Some(0) => path,
        Some(at) => &path[..begin + at],
    }
}

/// A path without an ending of JavaScript: `./x.js` may be `./x.ts`.
fn stem_of(path: &str) -> &str {
    const ENDS: [&str; 6] = [".js", ".mjs", ".cjs", ".jsx", ".mjsx", ".cjsx"];
    ENDS.iter()
        .find_map(|end| path.strip_suffix(end))
        .unwrap_or(path)
}
