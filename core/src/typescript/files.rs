//! The TypeScript files of an app: parsed once each, with what they declare, import and export, and
//! where things stand.

use crate::typescript::{Fault, depth, globals};
use oxc_allocator::Allocator;
use oxc_ast::ast::{
    BindingPattern, Class, Comment, Declaration, ExportDefaultDeclarationKind, Expression,
    Function, ImportDeclarationSpecifier, ModuleExportName, Program, Statement, TSEnumDeclaration,
    TSInterfaceDeclaration, TSNamespaceDeclarationBody, TSTypeAliasDeclaration,
    VariableDeclarationKind, VariableDeclarator,
};
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

/// Every file that was read so far.
pub(super) struct Files<'a> {
    arena: &'a Allocator,
    /// The folder that messages name files from.
    root: PathBuf,
    read: RefCell<HashMap<PathBuf, Opened<'a>>>,
    /// Which names the app declares for all files, as far as that was asked.
    ambient: RefCell<HashMap<String, bool>>,
    /// Imports that lead out of that folder.
    outside: RefCell<Vec<Fault>>,
}

/// A file that was opened, or why it could not be.
type Opened<'a> = Result<Rc<File<'a>>, Box<Fault>>;

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

/// What a file, or a namespace in it, declares.
#[derive(Default)]
pub(super) struct Scope<'a> {
    types: HashMap<&'a str, TypeDeclaration<'a>>,
    values: HashMap<&'a str, Value<'a>>,
    imports: HashMap<&'a str, Import<'a>>,
    exports: HashMap<&'a str, Export<'a>>,
    /// `export * from`.
    stars: Vec<&'a str>,
    /// What it declares in ways that are not followed: `import x = …`.
    others: HashSet<&'a str>,
}

/// A declaration that a type can refer to.
#[derive(Clone)]
pub(super) enum TypeDeclaration<'a> {
    /// All declarations of one name are one interface.
    Interface(Rc<Vec<&'a TSInterfaceDeclaration<'a>>>),
    Alias(&'a TSTypeAliasDeclaration<'a>),
    Enum(&'a TSEnumDeclaration<'a>),
    Class(&'a Class<'a>),
    Namespace(Rc<Scope<'a>>),
}

/// A declaration that an expression can refer to.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Variable {
        declarator: &'a VariableDeclarator<'a>,
        constant: bool,
        statement: u32,
    },
    Function(&'a Function<'a>),
    Class(&'a Class<'a>),
    Enum(&'a TSEnumDeclaration<'a>),
    Expression(&'a Expression<'a>),
}

struct Import<'a> {
    from: &'a str,
    what: Imported<'a>,
}

enum Imported<'a> {
    Name(&'a str),
    All,
}

enum Export<'a> {
    /// Something of this file, under its own name there.
    Local(&'a str),
    From {
        from: &'a str,
        name: &'a str,
    },
    AllOf(&'a str),
    Value(Value<'a>),
    Interface(Rc<Vec<&'a TSInterfaceDeclaration<'a>>>),
}

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Found<'a> {
    Type(Rc<File<'a>>, TypeDeclaration<'a>),
    Value(Rc<File<'a>>, Value<'a>),
    /// `import * as name`.
    Module(Rc<File<'a>>),
    /// A name that the SDK exports; `*` is all of it.
    Sdk(String),
    /// Nothing in the file: it neither declares nor imports the name.
    Undeclared(String),
    /// Not to be had, and why.
    Not(String),
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

    /// The imports met so far that lead out of the root: a release has no such file, and what is
    /// there is nobody's to read.
    pub fn outside(&self) -> Vec<Fault> {
        self.outside.borrow().clone()
    }

    /// Reads and parses a file, which has to be in the root, links followed. One with an error in
    /// its syntax is not taken by halves.
    pub fn open(&self, path: &Path) -> Opened<'a> {
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

    fn parse(&self, path: &Path) -> Opened<'a> {
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
    pub fn find(&self, file: &Rc<File<'a>>, name: &str, meaning: Meaning) -> Found<'a> {
        self.look(file, name, meaning, &mut HashSet::new())
    }

    /// What `file` exports as `name`.
    pub fn exported(&self, file: &Rc<File<'a>>, name: &str, meaning: Meaning) -> Found<'a> {
        self.look_at_exports(file, name, meaning, &mut HashSet::new())
    }

    fn look(
        &self,
        file: &Rc<File<'a>>,
        name: &str,
        meaning: Meaning,
        seen: &mut HashSet<(PathBuf, String)>,
    ) -> Found<'a> {
        let scope = &file.scope;
        match meaning {
            Meaning::Type => {
                if let Some(declaration) = scope.types.get(name) {
                    return Found::Type(file.clone(), declaration.clone());
                }
            }
            Meaning::Value => {
                if let Some(value) = scope.values.get(name) {
                    return Found::Value(file.clone(), *value);
                }
            }
        }
        let Some(import) = scope.imports.get(name) else {
            return Found::Undeclared(format!("{name} is not declared in {}", file.shown));
        };
        if import.from == SDK {
            return Found::Sdk(match import.what {
                Imported::Name(name) => name.to_owned(),
                Imported::All => "*".to_owned(),
            });
        }
        match self.relative(file, import.from) {
            Err(why) => Found::Not(format!("{name} {why}")),
            Ok(other) => match import.what {
                Imported::All => Found::Module(other),
                Imported::Name(name) => self.look_at_exports(&other, name, meaning, seen),
            },
        }
    }

    fn look_at_exports(
        &self,
        file: &Rc<File<'a>>,
        name: &str,
        meaning: Meaning,
        seen: &mut HashSet<(PathBuf, String)>,
    ) -> Found<'a> {
        // Files may export from each other in a circle.
        if !seen.insert((file.path.clone(), name.to_owned())) {
            return Found::Not(format!("{name} is exported in a circle"));
        }
        let other = |from: &str| {
            self.relative(file, from)
                .map_err(|why| Found::Not(format!("{name} {why}")))
        };
        match file.scope.exports.get(name) {
            Some(Export::Local(local)) => {
                return match self.look(file, local, meaning, seen) {
                    // Whoever asks from another file has imported it.
                    Found::Undeclared(why) => Found::Not(why),
                    found => found,
                };
            }
            Some(Export::From { from, name }) if *from == SDK => {
                return Found::Sdk((*name).to_owned());
            }
            Some(Export::From { from, name }) => {
                return other(from).map_or_else(
                    |not| not,
                    |file| self.look_at_exports(&file, name, meaning, seen),
                );
            }
            Some(Export::AllOf(from)) if *from == SDK => return Found::Sdk("*".to_owned()),
            Some(Export::AllOf(from)) => return other(from).map_or_else(|not| not, Found::Module),
            Some(Export::Value(value)) if meaning == Meaning::Value => {
                return Found::Value(file.clone(), *value);
            }
            Some(Export::Value(Value::Class(class))) => {
                return Found::Type(file.clone(), TypeDeclaration::Class(class));
            }
            Some(Export::Interface(all)) => {
                return Found::Type(file.clone(), TypeDeclaration::Interface(all.clone()));
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
                    Found::Not(_) => {}
                    found => return found,
                },
                Err(Found::Not(not)) => why = not,
                Err(found) => return found,
            }
        }
        Found::Not(why)
    }

    /// The file that `import('./x')` means.
    pub fn imported(&self, file: &File<'a>, specifier: &str) -> Found<'a> {
        if specifier == SDK {
            return Found::Sdk("*".to_owned());
        }
        self.relative(file, specifier)
            .map_or_else(|why| Found::Not(format!("the type {why}")), Found::Module)
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

fn name_of<'a>(name: &ModuleExportName<'a>) -> &'a str {
    name.name().as_str()
}

impl<'a> Scope<'a> {
    fn of(statements: &'a [Statement<'a>]) -> Self {
        let mut scope = Self::default();
        for statement in statements {
            scope.statement(statement);
        }
        scope
    }

    /// Whether it declares this name in a way that is not followed, or a namespace in it declares
    /// it: there it is known without the namespace's name.
    pub fn has_unfollowed(&self, name: &str) -> bool {
        let inner = |of: &TypeDeclaration<'a>| match of {
            TypeDeclaration::Namespace(space) => {
                space.types.contains_key(name) || space.has_unfollowed(name)
            }
            _ => false,
        };
        self.others.contains(name) || self.types.values().any(inner)
    }

    /// What a namespace exports.
    pub fn exported_type(&self, name: &str) -> Option<TypeDeclaration<'a>> {
        self.types
            .get(name)
            .filter(|_| self.exports.contains_key(name))
            .cloned()
    }

    fn statement(&mut self, statement: &'a Statement<'a>) {
        match statement {
            Statement::ImportDeclaration(import) => {
                let from = import.source.value.as_str();
                for specifier in import.specifiers.iter().flatten() {
                    let (local, what) = match specifier {
                        ImportDeclarationSpecifier::ImportSpecifier(s) => {
                            (s.local.name.as_str(), Imported::Name(name_of(&s.imported)))
                        }
                        ImportDeclarationSpecifier::ImportDefaultSpecifier(s) => {
                            (s.local.name.as_str(), Imported::Name("default"))
                        }
                        ImportDeclarationSpecifier::ImportNamespaceSpecifier(s) => {
                            (s.local.name.as_str(), Imported::All)
                        }
                    };
                    self.imports.insert(local, Import { from, what });
                }
            }
            Statement::ExportAllDeclaration(export) => {
                let from = export.source.value.as_str();
                match &export.exported {
                    Some(name) => drop(self.exports.insert(name_of(name), Export::AllOf(from))),
                    None => self.stars.push(from),
                }
            }
            Statement::ExportNamedDeclaration(export) => {
                for specifier in &export.specifiers {
                    self.exports.insert(
                        name_of(&specifier.exported),
                        Export::Local(name_of(&specifier.local)),
                    );
                }
            }
            Statement::ExportFromDeclaration(export) => {
                let from = export.source.value.as_str();
                for specifier in &export.specifiers {
                    let name = name_of(&specifier.local);
                    self.exports
                        .insert(name_of(&specifier.exported), Export::From { from, name });
                }
            }
            Statement::ExportDeclaration(export) => {
                for name in self.declaration(&export.declaration, export.span.start) {
                    self.exports.insert(name, Export::Local(name));
                }
            }
            Statement::ExportDefaultDeclaration(export) => {
                let exported = match &export.declaration {
                    ExportDefaultDeclarationKind::FunctionDeclaration(f) => {
                        Export::Value(Value::Function(f))
                    }
                    ExportDefaultDeclarationKind::ClassDeclaration(c) => {
                        Export::Value(Value::Class(c))
                    }
                    ExportDefaultDeclarationKind::TSInterfaceDeclaration(i) => {
                        Export::Interface(Rc::new(vec![&**i]))
                    }
                    other => match other.as_expression() {
                        Some(Expression::Identifier(name)) => Export::Local(name.name.as_str()),
                        Some(expression) => Export::Value(Value::Expression(expression)),
                        None => return,
                    },
                };
                self.exports.insert("default", exported);
            }
            other => {
                if let Some(declaration) = other.as_declaration() {
                    self.declaration(declaration, declaration_start(declaration));
                }
            }
        }
    }

    /// Takes up a declaration; returns the names that it declares.
    fn declaration(&mut self, declaration: &'a Declaration<'a>, statement: u32) -> Vec<&'a str> {
        match declaration {
            Declaration::VariableDeclaration(variables) => {
                let constant = variables.kind == VariableDeclarationKind::Const;
                let mut names = Vec::new();
                for declarator in &variables.declarations {
                    if let BindingPattern::BindingIdentifier(id) = &declarator.id {
                        let name = id.name.as_str();
                        self.values.insert(
                            name,
                            Value::Variable {
                                declarator,
                                constant,
                                statement,
                            },
                        );
                        names.push(name);
                    }
                }
                names
            }
            Declaration::FunctionDeclaration(function) => {
                let Some(id) = &function.id else {
                    return Vec::new();
                };
                // Of overloads, the one with the body is called.
                let name = id.name.as_str();
                if function.body.is_some() || !self.values.contains_key(name) {
                    self.values.insert(name, Value::Function(function));
                }
                vec![name]
            }
            Declaration::ClassDeclaration(class) => {
                let Some(id) = &class.id else {
                    return Vec::new();
                };
                let name = id.name.as_str();
                self.values.insert(name, Value::Class(class));
                self.types.insert(name, TypeDeclaration::Class(class));
                vec![name]
            }
            Declaration::TSTypeAliasDeclaration(alias) => {
                let name = alias.id.name.as_str();
                self.types.insert(name, TypeDeclaration::Alias(alias));
                vec![name]
            }
            Declaration::TSInterfaceDeclaration(interface) => {
                let name = interface.id.name.as_str();
                match self.types.get_mut(name) {
                    Some(TypeDeclaration::Interface(all)) => {
                        let mut more = (**all).clone();
                        more.push(&**interface);
                        *all = Rc::new(more);
                    }
                    _ => {
                        self.types.insert(
                            name,
                            TypeDeclaration::Interface(Rc::new(vec![&**interface])),
                        );
                    }
                }
                vec![name]
            }
            Declaration::TSEnumDeclaration(declared) => {
                let name = declared.id.name.as_str();
                self.types.insert(name, TypeDeclaration::Enum(declared));
                self.values.insert(name, Value::Enum(declared));
                vec![name]
            }
            Declaration::TSNamespaceDeclaration(namespace) => {
                let name = namespace.id.name.as_str();
                if let TSNamespaceDeclarationBody::TSModuleBlock(block) = &namespace.body {
                    self.types.insert(
                        name,
                        TypeDeclaration::Namespace(Rc::new(Scope::of(&block.body))),
                    );
                }
                vec![name]
            }
            Declaration::TSImportEqualsDeclaration(import) => {
                self.others.insert(import.id.name.as_str());
                vec![import.id.name.as_str()]
            }
            _ => Vec::new(),
        }
    }
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

fn declaration_start(declaration: &Declaration<'_>) -> u32 {
    oxc_span::GetSpan::span(declaration).start
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
