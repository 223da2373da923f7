//! The TypeScript files of an app: parsed once each, with what they declare, import and export, and
//! where things stand.

use crate::typescript::{
    Fault, depth, globals,
    scope::{Export, ImportName, Scope, TypeDeclaration, Value},
};
use oxc_allocator::Allocator;
use oxc_ast::ast::{Comment, Program};
use oxc_parser::Parser;
use oxc_span::SourceType;
use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    path::{Component, Path, PathBuf},
    rc::Rc,
};

/// The module that apps import `db` and `User` from.
pub(super) const SDK: &str = "@mindstudio-ai/agent";

/// All files that have been read.
pub(super) struct Files<'a> {
    arena: &'a Allocator,
    /// The folder that messages name files from.
    root: PathBuf,
    read: RefCell<HashMap<PathBuf, FileResult<'a>>>,
    /// Which names the app declares for all files, as far as that was asked.
    ambient: RefCell<HashMap<String, bool>>,
    /// Imports that lead out of that folder.
    outside: RefCell<Vec<Fault>>,
}

/// A file that was opened, or why it could not be.
type FileResult<'a> = Result<Rc<File<'a>>, Box<Fault>>;

/// A parsed file.
pub(super) struct File<'a> {
    pub path: PathBuf,
    /// What messages call it.
    pub shown: String,
    pub text: &'a str,
    pub scope: Scope<'a>,
    /// JSDoc comments, by the places of the tokens that they stand before.
    docs: HashMap<u32, Vec<String>>,
    /// JSDoc comments with a tag of ours that stand before nothing on their line.
    pub stray: Vec<u32>,
}

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Resolution<'a> {
    Type(Rc<File<'a>>, TypeDeclaration<'a>),
    Value(Rc<File<'a>>, Value<'a>),
    /// `import * as name`.
    Module(Rc<File<'a>>),
    /// A name that the SDK exports; `*` is all of it.
    Sdk(String),
    /// Nothing in the file: it neither declares nor imports the name.
    Undeclared(String),
    /// It cannot be resolved, and why.
    Unresolved(String),
}

/// Types and values have names of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Type,
    Value,
}

impl<'a> Files<'a> {
    pub fn new(arena: &'a Allocator, root: &Path) -> Self {
        let root = if root.as_os_str().is_empty() {
            Path::new(".")
        } else {
            root
        };
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        Self {
            arena,
            root,
            read: RefCell::default(),
            ambient: RefCell::default(),
            outside: RefCell::default(),
        }
    }

    /// The imports met so far that lead out of the root: a release has no such file, and remy may
    /// not read what is there.
    pub fn outside(&self) -> Vec<Fault> {
        self.outside.borrow().clone()
    }

    /// Reads and parses a file, which has to be in the root, links followed. A file with a syntax
    /// error is refused as a whole.
    pub fn open(&self, path: &Path) -> FileResult<'a> {
        let key = match path.canonicalize() {
            Ok(key) if !key.starts_with(&self.root) => {
                let message = "the file is a link that leads out of the app's folder";
                return Err(Box::new(Fault::of_file(&self.shown(path), message)));
            }
            Ok(key) => key,
            Err(_) => path.to_owned(),
        };
        if let Some(done) = self.read.borrow().get(&key) {
            return done.clone();
        }
        let done = self.parse(&key);
        self.read.borrow_mut().insert(key, done.clone());
        done
    }

    /// Whether a file of the app declares this type for all of them.
    pub fn is_ambient(&self, name: &str) -> bool {
        *self
            .ambient
            .borrow_mut()
            .entry(name.to_owned())
            .or_insert_with(|| globals::is_ambient(&self.root, name))
    }

    /// What messages call a path.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }

    fn parse(&self, path: &Path) -> FileResult<'a> {
        let shown = self.shown(path);
        let text = std::fs::read_to_string(path).map_err(|e| {
            Box::new(Fault::of_file(
                &shown,
                format!("the file cannot be read: {e}"),
            ))
        })?;
        let text = self
            .arena
            .alloc_str(text.strip_prefix('\u{feff}').unwrap_or(&text));
        if let Some(fault) = depth::fault(&shown, text) {
            return Err(Box::new(fault));
        }
        let kind = SourceType::from_path(path).map_err(|_| {
            Box::new(Fault::of_file(
                &shown,
                "the file is neither TypeScript nor JavaScript",
            ))
        })?;
        let parsed = Parser::new(self.arena, text, kind).parse();
        if let Some(first) = parsed.diagnostics.errors().next() {
            let at = first
                .labels
                .first()
                .map_or(0, |label| label.offset() as usize);
            return Err(Box::new(Fault::at(
                &shown,
                text,
                at,
                format!("syntax error: {}", first.message),
            )));
        }
        let program: &'a Program<'a> = self.arena.alloc(parsed.program);
        let scope = Scope::of(&program.body);
        let mut docs: HashMap<u32, Vec<String>> = HashMap::new();
        for comment in program.comments.iter().filter(|comment| comment.is_jsdoc()) {
            let span = comment.content_span();
            let content = text
                .get(span.start as usize + 1..span.end as usize)
                .unwrap_or_default();
            docs.entry(comment.attached_to)
                .or_default()
                .push(without_stars(content));
        }
        let tagged = |comment: &&Comment| {
            let text = text
                .get(comment.span.start as usize..comment.span.end as usize)
                .unwrap_or_default();
            text.starts_with("/**") && ["@cast", "@renamed"].iter().any(|tag| text.contains(tag))
        };
        let behind = program
            .comments
            .iter()
            .filter(|comment| !comment.is_leading());
        let stray = behind
            .filter(tagged)
            .map(|comment| comment.span.start)
            .collect();
        Ok(Rc::new(File {
            path: path.to_owned(),
            shown,
            text,
            scope,
            docs,
            stray,
        }))
    }

    /// The file that `./x` in `file` means: `./x.ts`, `./x.js` for a `./x.ts`, `./x/index.ts`.
    fn relative(&self, file: &File<'a>, specifier: &str) -> Result<Rc<File<'a>>, String> {
        if !specifier.starts_with("./")
            && !specifier.starts_with("../")
            && ![".", ".."].contains(&specifier)
        {
            return Err(format!(
                "comes from {specifier:?}, and only relative imports are read"
            ));
        }
        let base = file.path.parent().unwrap_or(Path::new("")).join(specifier);
        let leads_out = || {
            let fault = Fault::of_file(
                &file.shown,
                format!("imports {specifier:?}, which is outside of the app's folder"),
            );
            let mut outside = self.outside.borrow_mut();
            if !outside.contains(&fault) {
                outside.push(fault);
            }
            Err(format!(
                "comes from {specifier:?}, which is outside of the app's folder"
            ))
        };
        // By its text as well: whether there is a file out there is not told.
        if !normal(&base).starts_with(&self.root) {
            return leads_out();
        }
        let with = |suffix: &str| {
            let mut path = base.clone().into_os_string();
            path.push(suffix);
            PathBuf::from(path)
        };
        let mut candidates = Vec::new();
        let extension = base
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        match extension {
            "ts" | "tsx" | "mts" | "cts" => candidates.push(base.clone()),
            "js" => candidates.extend([
                base.with_extension("ts"),
                base.with_extension("tsx"),
                base.clone(),
            ]),
            "jsx" => candidates.extend([base.with_extension("tsx"), base.clone()]),
            "mjs" => candidates.extend([base.with_extension("mts"), base.clone()]),
            "cjs" => candidates.extend([base.with_extension("cts"), base.clone()]),
            _ => {}
        }
        candidates.extend([".ts", ".tsx", ".mts", ".d.ts", ".js"].map(with));
        candidates.extend(
            ["index.ts", "index.tsx", "index.mts", "index.js"].map(|index| base.join(index)),
        );
        match candidates.iter().find(|path| path.is_file()) {
            Some(path)
                if !path
                    .canonicalize()
                    .is_ok_and(|path| path.starts_with(&self.root)) =>
            {
                leads_out()
            }
            Some(path) => self
                .open(path)
                .map_err(|fault| format!("comes from {specifier:?}: {fault}")),
            None => Err(format!("comes from {specifier:?}, which is not there")),
        }
    }

    /// What `name` stands for in `file`.
    pub fn find(&self, file: &Rc<File<'a>>, name: &str, meaning: Meaning) -> Resolution<'a> {
        self.look(file, name, meaning, &mut HashSet::new())
    }

    /// What `file` exports as `name`.
    pub fn exported(&self, file: &Rc<File<'a>>, name: &str, meaning: Meaning) -> Resolution<'a> {
        self.look_at_exports(file, name, meaning, &mut HashSet::new())
    }

    fn look(
        &self,
        file: &Rc<File<'a>>,
        name: &str,
        meaning: Meaning,
        seen: &mut HashSet<(PathBuf, String)>,
    ) -> Resolution<'a> {
        let scope = &file.scope;
        match meaning {
            Meaning::Type => {
                if let Some(declaration) = scope.types.get(name) {
                    return Resolution::Type(file.clone(), declaration.clone());
                }
            }
            Meaning::Value => {
                if let Some(value) = scope.values.get(name) {
                    return Resolution::Value(file.clone(), *value);
                }
            }
        }
        let Some(import) = scope.imports.get(name) else {
            return Resolution::Undeclared(format!("{name} is not declared in {}", file.shown));
        };
        if import.from == SDK {
            return Resolution::Sdk(match import.what {
                ImportName::Name(name) => name.to_owned(),
                ImportName::All => "*".to_owned(),
            });
        }
        match self.relative(file, import.from) {
            Err(why) => Resolution::Unresolved(format!("{name} {why}")),
            Ok(other) => match import.what {
                ImportName::All => Resolution::Module(other),
                ImportName::Name(name) => self.look_at_exports(&other, name, meaning, seen),
            },
        }
    }

    fn look_at_exports(
        &self,
        file: &Rc<File<'a>>,
        name: &str,
        meaning: Meaning,
        seen: &mut HashSet<(PathBuf, String)>,
    ) -> Resolution<'a> {
        // Files may export from each other in a circle.
        if !seen.insert((file.path.clone(), name.to_owned())) {
            return Resolution::Unresolved(format!("{name} is exported in a circle"));
        }
        let other = |from: &str| {
            self.relative(file, from)
                .map_err(|why| Resolution::Unresolved(format!("{name} {why}")))
        };
        match file.scope.exports.get(name) {
            Some(Export::Local(local)) => {
                return match self.look(file, local, meaning, seen) {
                    // Whoever asks from another file has imported it.
                    Resolution::Undeclared(why) => Resolution::Unresolved(why),
                    found => found,
                };
            }
            Some(Export::From { from, name }) if *from == SDK => {
                return Resolution::Sdk((*name).to_owned());
            }
            Some(Export::From { from, name }) => {
                return other(from).map_or_else(
                    |not| not,
                    |file| self.look_at_exports(&file, name, meaning, seen),
                );
            }
            Some(Export::AllOf(from)) if *from == SDK => return Resolution::Sdk("*".to_owned()),
            Some(Export::AllOf(from)) => {
                return other(from).map_or_else(|not| not, Resolution::Module);
            }
            Some(Export::Value(value)) if meaning == Meaning::Value => {
                return Resolution::Value(file.clone(), *value);
            }
            Some(Export::Value(Value::Class(class))) => {
                return Resolution::Type(file.clone(), TypeDeclaration::Class(class));
            }
            Some(Export::Interface(all)) => {
                return Resolution::Type(file.clone(), TypeDeclaration::Interface(all.clone()));
            }
            Some(Export::Value(_)) | None => {}
        }
        let mut why = format!("{} does not export {name}", file.shown);
        // `export *` leaves the default out.
        for from in file
            .scope
            .stars
            .iter()
            .filter(|from| name != "default" && **from != SDK)
        {
            match other(from) {
                Ok(other) => match self.look_at_exports(&other, name, meaning, seen) {
                    Resolution::Unresolved(_) => {}
                    found => return found,
                },
                Err(Resolution::Unresolved(not)) => why = not,
                Err(found) => return found,
            }
        }
        Resolution::Unresolved(why)
    }

    /// The file that `import('./x')` means.
    pub fn imported(&self, file: &File<'a>, specifier: &str) -> Resolution<'a> {
        if specifier == SDK {
            return Resolution::Sdk("*".to_owned());
        }
        self.relative(file, specifier).map_or_else(
            |why| Resolution::Unresolved(format!("the type {why}")),
            Resolution::Module,
        )
    }
}

/// The path without `.` and `..`, by its text.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

/// The text of a JSDoc comment.
fn without_stars(content: &str) -> String {
    let line = |line: &str| {
        let line = line.trim();
        line.strip_prefix('*').unwrap_or(line).trim().to_owned()
    };
    content
        .lines()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .to_owned()
}

impl<'a> File<'a> {
    /// What is wrong at a place of this file.
    pub fn fault(&self, at: u32, message: impl Into<String>) -> Fault {
        Fault::at(&self.shown, self.text, at as usize, message)
    }

    /// The JSDoc comments right before the token that starts at `at`, without their stars.
    pub fn docs(&self, at: u32) -> &[String] {
        self.docs.get(&at).map_or(&[], Vec::as_slice)
    }

    /// What the JSDoc before a declaration says before its first tag. `at` is where the declaration
    /// stands, or what is exported of it.
    pub fn description(&self, at: u32) -> Option<String> {
        let mut at = at as usize;
        let mut docs = self.docs(at as u32);
        while docs.is_empty() {
            let before = self.text.get(..at)?.trim_end();
            let word = ["export", "default", "declare"]
                .into_iter()
                .find(|word| before.ends_with(word))?;
            at = before.len() - word.len();
            docs = self.docs(u32::try_from(at).ok()?);
        }
        let text = docs.last()?;
        let said = text
            .lines()
            .take_while(|line| !line.starts_with('@'))
            .collect::<Vec<_>>()
            .join("\n");
        Some(said.trim().to_owned()).filter(|said| !said.is_empty())
    }
}
