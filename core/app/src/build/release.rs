//! Builds a release from an app's folder: reads what is declared, stages the source, installs,
//! compiles, and writes the folder that is published or packed. Nothing of a database is touched, and
//! nothing of the user's folder but the cache.

use super::{
    Cancel, Files, Result,
    dependencies::{self, Place},
    disk::{self, At},
    kept::Kept,
    lock::{self, Lock},
    log::{Event, Line, Log},
    methods::{self, Compile, Installs},
    path,
    source::{self, Staged},
    stubs::{self, Unsupported, Use},
    tree, web,
    workspaces::{folder_of, package_folder, within},
};
use crate::{App, FILE, Interface, Manifest, Method, Type};
use remy_db::{
    StepOutcome,
    internals::{
        text::{human, things},
        typescript,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// What the line is about that says which source was staged: it is found by this, and not by its
/// words.
pub const SOURCE: &str = "source";

/// Files that a web build would read and that are no part of a release.
const SECRETS: [&str; 4] = [
    ".env",
    ".env.production",
    ".env.local",
    ".env.production.local",
];

/// What is built, and to where.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// The app's folder.
    pub root: PathBuf,
    /// The release's, which must not be there.
    pub out_dir: PathBuf,
    /// Build this commit, and not the working tree.
    pub commit: Option<String>,
    /// Where it is kept what builds can reuse; `.remy/cache` of the app, where none is named.
    pub cache_dir: Option<PathBuf>,
    /// The live database: it, and what belongs to it, is no part of a release, wherever it lies.
    pub live: Option<PathBuf>,
    /// Other paths that are no part of it.
    #[serde(default)]
    pub without: Vec<PathBuf>,
    /// A program of esbuild's that the caller has at hand.
    pub esbuild: Option<PathBuf>,
    /// The generation of Node.js that is to run the methods.
    pub node: Option<u32>,
    /// It is for a dev session: with scenarios, which are no part of a release, and without
    /// interfaces.
    #[serde(default)]
    pub for_dev: bool,
    /// The dev session is served: with interfaces, and with the web interface, where no dev server of
    /// its own shows it.
    #[serde(default)]
    pub is_served: bool,
}

/// What a scenario is called among the methods of a build for a dev session. No method has such an
/// id: theirs are kebab-case.
pub fn scenario_id(scenario: &str) -> String {
    format!("scenario.{scenario}")
}

/// Whether it is what a scenario is called.
pub fn is_scenario(id: &str) -> bool {
    id.starts_with(&scenario_id(""))
}

/// A release that is built.
#[derive(Debug, Serialize)]
pub struct Built {
    /// Its folder.
    pub dir: PathBuf,
    /// What it declares.
    pub manifest: Manifest,
    /// The commit that its source is of, if it is of one.
    pub commit: Option<String>,
    /// Whether the files are other than the commit's.
    pub dirty: bool,
    /// What it declares besides tables, as the option `effects` of the verbs takes it.
    pub effects: Value,
    /// The log.
    pub lines: Vec<Line>,
    /// What is odd, as the log has it.
    pub warnings: Vec<String>,
    /// The methods, and of a build for a dev session the scenarios.
    #[serde(skip)]
    pub compiled: Vec<methods::Compiled>,
}

impl Build {
    /// Builds. Where that fails or is called off, the release's folder is gone again.
    pub fn run(&self, tell: &dyn Fn(&Event<'_>), cancel: Cancel<'_>) -> Result<Built> {
        self.run_with(&mut Kept::default(), tell, cancel)
    }

    /// The same, with what an earlier build of this app has left at hand.
    pub fn run_with(
        &self,
        kept: &mut Kept,
        tell: &dyn Fn(&Event<'_>),
        cancel: Cancel<'_>,
    ) -> Result<Built> {
        let root = self.root.canonicalize().at("looking for", &self.root)?;
        // A folder without an app, which may be a whole home, is not copied to find that out.
        if self.commit.is_none() && !root.join(FILE).is_file() {
            crate::read(&root, None)?;
        }
        let dir = std::path::absolute(&self.out_dir).at("looking for", &self.out_dir)?;
        let cache = self.cache(&root)?;
        let log = Log::new(tell);
        let waits = || {
            let message = "Waits for another build of this app to end";
            log.line(StepOutcome::Ok, message.to_owned(), None);
        };
        let _lock = Lock::take(&cache, lock::LIMIT, cancel, &waits)?;
        if let Some(above) = dir.parent() {
            fs::create_dir_all(above).at("making the folder", above)?;
        }
        fs::create_dir(&dir).at("making the folder", &dir)?;
        let work = Work {
            build: self,
            root: &root,
            dir: &dir,
            cache: &cache,
            tree: &cache.join("source"),
            log: &log,
            cancel,
        };
        match work.run(kept) {
            Ok(made) => Ok(made.built(dir, log.into_lines())),
            Err(e) => {
                if let Some(output) = e.output() {
                    let object = e.error().detail().object.as_deref();
                    log.line(StepOutcome::Failed, output.to_owned(), object);
                }
                // Why it failed is what there is to say.
                let _ = disk::remove(&dir);
                Err(e)
            }
        }
    }

    fn cache(&self, root: &Path) -> Result<PathBuf> {
        let own = root.join(".remy/cache");
        let cache = self.cache_dir.as_ref().unwrap_or(&own);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(cache).at("making the folder", cache)?;
        cache.canonicalize().at("looking for", cache)
    }
}

/// What the steps made.
struct Made {
    app: App,
    staged: Staged,
    compiled: Vec<methods::Compiled>,
}

impl Made {
    fn built(self, dir: PathBuf, lines: Vec<Line>) -> Built {
        let odd = lines
            .iter()
            .filter(|line| line.outcome == StepOutcome::Warning);
        Built {
            dir,
            effects: crate::effects(&self.app.manifest, &self.app.interfaces),
            manifest: self.app.manifest,
            commit: self.staged.commit,
            dirty: self.staged.dirty,
            warnings: odd.map(|line| line.message.clone()).collect(),
            lines,
            compiled: self.compiled,
        }
    }
}

/// A build on its way.
struct Work<'a> {
    build: &'a Build,
    root: &'a Path,
    dir: &'a Path,
    cache: &'a Path,
    /// The staged copy that packages are installed and all is compiled in.
    tree: &'a Path,
    log: &'a Log<'a>,
    cancel: Cancel<'a>,
}

impl Work<'_> {
    fn run(&self, kept: &mut Kept) -> Result<Made> {
        let source = self.dir.join("source");
        let staged = self.stage(&source)?;
        let app = self.read(&source, staged.commit.as_deref())?;
        let files = &staged.files;
        tree::sync(&source, self.tree, files, self.cancel)?;
        let methods = self.methods(&app.manifest);
        let web = app
            .interfaces
            .iter()
            .find(|it| it.kind == Type::Web && it.enabled && self.builds(it));
        let mut installs = self.install(files, &methods, web)?;
        let compiled = self.compile(&methods, files, &mut installs, kept)?;
        let mut uses: Vec<Use> = Vec::new();
        for done in &compiled {
            uses.extend(used(&done.unsupported, &done.id));
        }
        if let Some(web) = web {
            uses.extend(used(&self.web(web, files, &installs)?, "web"));
        }
        // Once for the release, not with each method.
        self.log.warn(stubs::warning(&uses), None);
        let interfaces = match self.build.for_dev && !self.build.is_served {
            true => Vec::new(),
            false => self.interfaces(&app, &methods, &source)?,
        };
        self.cancel.check()?;
        self.describe(&app.manifest, &staged, (&compiled, &interfaces))?;
        Ok(Made {
            app,
            staged,
            compiled,
        })
    }

    /// Whether a web interface is built.
    fn builds(&self, web: &Interface) -> bool {
        match (self.build.for_dev, self.build.is_served) {
            (false, _) => true,
            (true, is_served) => is_served && web::dev_command(self.tree, web).is_none(),
        }
    }

    fn stage(&self, source: &Path) -> Result<Staged> {
        self.log.begin();
        let mut without = self.build.without.clone();
        without.extend([self.dir.to_owned(), self.cache.to_owned()]);
        let wanted = source::Wanted {
            root: self.root.to_owned(),
            commit: self.build.commit.clone(),
            live: self.build.live.clone(),
            without,
            without_commit: self.build.for_dev,
        };
        let mut staged = source::stage(&wanted, source, self.cancel)?;
        let (commit, dirty) = (staged.commit.as_deref(), staged.dirty);
        self.log.tell(&Event::Source { commit, dirty });
        let changed = if dirty { " (working tree dirty)" } else { "" };
        let from = commit.map_or_else(String::new, |commit| {
            format!(" of commit {}{changed}", short(commit))
        });
        let files = count(staged.files.len(), "file");
        self.log.done(format!("Staged {files}{from}"), Some(SOURCE));
        self.log.warn(std::mem::take(&mut staged.warnings), None);
        Ok(staged)
    }

    fn read(&self, source: &Path, commit: Option<&str>) -> Result<App> {
        self.log.begin();
        let root = self.root.display();
        let called = match (&self.build.commit, commit) {
            (Some(_), Some(commit)) => format!("commit {} of {root}", short(commit)),
            _ => format!("what git takes of {root}"),
        };
        let app = crate::read(source, Some(&called))?;
        let parts = [
            count(app.manifest.methods.len(), "method"),
            count(app.manifest.tables.len(), "table"),
            count(app.interfaces.len(), "interface"),
        ];
        self.log
            .done(format!("Read {FILE}: {}", parts.join(", ")), None);
        self.log.warn(app.warnings.iter().cloned(), None);
        Ok(app)
    }

    /// What is compiled.
    fn methods(&self, manifest: &Manifest) -> Vec<Method> {
        let scenarios = manifest.scenarios.iter().filter(|_| self.build.for_dev);
        let scenarios = scenarios.map(|scenario| Method {
            id: scenario_id(&scenario.id),
            name: scenario.name.clone(),
            description: scenario.description.clone(),
            path: scenario.path.clone(),
            export: scenario.export.clone(),
            rest: serde_json::Map::new(),
        });
        let methods = manifest.methods.iter().cloned();
        methods.chain(scenarios).map(normal).collect()
    }

    /// Installs packages, for every folder that methods or the web project need.
    fn install(
        &self,
        files: &Files,
        methods: &[Method],
        web: Option<&Interface>,
    ) -> Result<Installs> {
        let place = Place {
            root: self.root,
            tree: self.tree,
            cache: self.cache,
            files,
        };
        let mut installs = Installs::new();
        let of_methods = methods
            .iter()
            .filter_map(|method| package_folder(files, &method.path));
        let of_web = web
            .map(project)
            .filter(|at| files.contains_key(&within(at, "package.json")));
        for folder in of_methods.chain(of_web.map(|at| folder_of(&at).to_owned())) {
            if installs.contains_key(&folder) {
                continue;
            }
            self.log.begin();
            let install = dependencies::install(&folder, place, self.cancel)?;
            let object = Some(install.folder.as_str());
            if install.packages > 0 {
                let how = if install.reused {
                    "Reused"
                } else {
                    "Installed"
                };
                let packages = count(install.packages, "package");
                let at = if install.folder.is_empty() {
                    "the app"
                } else {
                    &install.folder
                };
                self.log.done(format!("{how} {packages} for {at}"), object);
            }
            self.log.warn(install.warnings.iter().cloned(), object);
            for each in &install.folders {
                installs.insert(each.clone(), install.clone());
            }
        }
        Ok(installs)
    }

    fn compile(
        &self,
        methods: &[Method],
        files: &Files,
        installs: &mut Installs,
        kept: &mut Kept,
    ) -> Result<Vec<methods::Compiled>> {
        self.log.begin();
        let compile = Compile {
            methods,
            files,
            tree: self.tree,
            cache: self.cache,
            out: self.dir,
            esbuild: self.build.esbuild.as_deref(),
            node: self.build.node,
        };
        compile.run(installs, kept, self.cancel, &|done| {
            let how = if done.reused { "Reused" } else { "Compiled" };
            let size = human(done.bytes);
            self.log
                .done(format!("{how} {} [{size}]", done.id), Some(&done.id));
            self.log.warn(done.warnings.iter().cloned(), Some(&done.id));
            self.log.begin();
        })
    }

    fn web(&self, it: &Interface, files: &Files, installs: &Installs) -> Result<Vec<Unsupported>> {
        let (folder, object) = (project(it), Some("web"));
        let secrets = SECRETS.iter().filter(|_| self.build.commit.is_none());
        for name in secrets.filter(|name| disk::exists(&self.root.join(&folder).join(name))) {
            let message = format!(
                "{} is no part of a release, and the web build does not see it: give its variables \
                 in the environment",
                path::join(&folder, name)
            );
            self.log.line(StepOutcome::Warning, message, object);
        }
        self.log.begin();
        let project = web::Web {
            folder: &folder,
            settings: std::slice::from_ref(&it.file),
            files,
            tree: self.tree,
            cache: self.cache,
            installs,
        };
        let built = web::build(project, &self.dir.join("interfaces/web"), self.cancel)?;
        let how = if built.reused { "Reused" } else { "Compiled" };
        let count = count(built.files, "file");
        self.log
            .done(format!("{how} web interface [{count}]"), object);
        self.log.warn(built.warnings, object);
        Ok(built.unsupported)
    }

    /// Writes what interfaces become. Returns how each is described.
    fn interfaces(&self, app: &App, methods: &[Method], source: &Path) -> Result<Vec<Value>> {
        let mut schemas = self.schemas(methods, source);
        let mut described = Vec::new();
        for it in &app.interfaces {
            self.log.begin();
            let made = crate::compile(it, &app.manifest, &mut schemas);
            for (path, text) in &made.files {
                disk::write_whole(&self.dir.join(path), text.as_bytes())?;
            }
            let kind = it.kind.name();
            let mut description = json!({ "type": kind, "enabled": it.enabled });
            let file = format!("interfaces/{kind}.json");
            if made.files.iter().any(|(path, _)| *path == file) {
                description["file"] = Value::from(file);
            }
            let is_web = it.kind == Type::Web && it.enabled;
            if is_web {
                description["dir"] = Value::from("interfaces/web");
            } else if it.enabled {
                self.log
                    .done(format!("Compiled {kind} interface"), Some(kind));
            }
            self.log.warn(made.warnings, Some(kind));
            described.push(description);
        }
        Ok(described)
    }

    /// The JSON Schemas of what methods take, by their ids. What cannot be known is said, and `{}`.
    fn schemas<'s>(
        &'s self,
        methods: &'s [Method],
        source: &'s Path,
    ) -> impl FnMut(&str) -> Value + 's {
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        move |id| {
            if let Some(schema) = known.get(id) {
                return schema.clone();
            }
            let Some(method) = methods.iter().find(|method| method.id == id) else {
                return json!({});
            };
            let read = typescript::method_input(source, method.path.as_ref(), &method.export);
            let told = read.errors.iter().chain(&read.warnings).map(crate::line);
            self.log.warn(told, Some(id));
            known.insert(id.to_owned(), read.schema.clone());
            read.schema
        }
    }

    /// Writes what the release says of itself.
    fn describe(
        &self,
        manifest: &Manifest,
        staged: &Staged,
        (compiled, interfaces): (&[methods::Compiled], &[Value]),
    ) -> Result<()> {
        let methods = compiled.iter().filter_map(|done| {
            let method = manifest.method(&done.id)?;
            let mut described = json!({
                "id": method.id, "name": method.name, "description": method.description,
                "export": method.export, "file": done.file, "bytes": done.bytes,
            });
            if !done.variables.is_empty() {
                described["variables"] = json!(done.variables);
            }
            Some(described)
        });
        let described = json!({
            "format": 1, "name": manifest.name, "appId": manifest.app_id,
            "description": manifest.description, "commit": staged.commit, "dirty": staged.dirty,
            "methods": methods.collect::<Vec<_>>(), "roles": manifest.roles, "tables": manifest.tables,
            "interfaces": interfaces, "scenarios": manifest.scenarios, "auth": manifest.auth,
        });
        let at = self.dir.join("app.json");
        fs::write(&at, format!("{described:#}\n")).at("writing", &at)
    }
}

/// A method with its path as the release's files have it.
fn normal(method: Method) -> Method {
    Method {
        path: path::normalize(&method.path),
        ..method
    }
}

/// The web project's folder.
fn project(it: &Interface) -> String {
    path::normalize(&it.dir)
}

fn used(unsupported: &[Unsupported], by: &str) -> Vec<Use> {
    let of = |what: &Unsupported| Use {
        what: what.clone(),
        by: by.to_owned(),
    };
    unsupported.iter().map(of).collect()
}

/// A commit as people name it.
fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

fn count(n: usize, what: &str) -> String {
    things(n as u64, what)
}
