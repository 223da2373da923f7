//! Publish, stage and build: what is to be released is found, built where it is an app, and given to
//! the database with all that it declares.

use super::{
    folder::{Follow, Project, Result},
    live::May,
    progressed::{Progressed, described},
};
use crate::{
    AppError, FILE,
    build::{
        log,
        release::{Build, Built},
    },
    package::{self, Unpacked},
    place,
    secrets::Target,
    variables,
};
use remy_db::{
    BuildFailure, BuildStep, Error, OptionName, Options, Outcome, Remedy, Remy, State, VerbName,
    remedy,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The app in this folder.
    App(PathBuf),
    /// An app that was built elsewhere.
    Package(String),
    /// Tables alone.
    Schema(String),
}

/// What is published, and how.
#[derive(Debug, Clone, Default)]
pub struct Publish {
    /// A package or a schema; the folder itself declares what is published, where nothing is named.
    pub schema: Option<String>,
    /// Make the database, where it was named and is not there.
    pub create: bool,
    /// Those of the database's own verb. An app declares its artifacts, effects and migrations
    /// itself.
    pub options: Options,
    /// What its build may use.
    pub tools: Tools,
}

/// What a face has at hand for builds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tools {
    /// A program of esbuild's.
    pub esbuild: Option<PathBuf>,
    /// The generation of Node.js that is to run the methods.
    pub node: Option<u32>,
}

/// A package that was built.
#[derive(Debug, Serialize)]
pub struct Package {
    /// Where it is; nothing where the build was only tried.
    pub package: Option<PathBuf>,
    /// Its size.
    pub bytes: Option<u64>,
    /// The commit that it is of.
    pub commit: Option<String>,
    /// What is odd.
    pub warnings: Vec<String>,
}

/// What is done with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Staged,
    Live,
}

impl Project {
    /// Makes live what the folder, or `publish.schema`, declares. An app is built before.
    ///
    /// A failure leaves live as it was. One of the build is recorded as a release that failed, where
    /// it is not of what was given, or of the first declaration.
    pub fn publish(&self, publish: &Publish, follow: Follow<'_>) -> Result<Outcome> {
        self.release(publish, Until::Live, follow)
    }

    /// Publishes up to the switch.
    pub fn stage(&self, publish: &Publish, follow: Follow<'_>) -> Result<Outcome> {
        self.release(publish, Until::Staged, follow)
    }

    /// Builds the app, and packs it where `out` names a package.
    pub fn build(
        &self,
        out: Option<&str>,
        commit: Option<&str>,
        tools: &Tools,
        follow: Follow<'_>,
    ) -> Result<Package> {
        let Some(root) = &self.place.root else {
            let hint = remedy![
                VerbName::Init,
                " makes an app; a schema alone needs no build"
            ];
            return Err(self.no_manifest(hint).into());
        };
        let build = Build {
            commit: commit.map(str::to_owned),
            without: out.map(package::beside).transpose()?.unwrap_or_default(),
            ..self.build_of(root, tools)
        };
        let (_work, built) = self.built(root, build, &Progressed::new(follow))?;
        let bytes = out.map(|out| package::pack(&built.dir, Path::new(out), follow.cancel()));
        Ok(Package {
            bytes: bytes.transpose()?,
            package: out.map(PathBuf::from),
            commit: built.commit,
            warnings: built.warnings,
        })
    }

    fn release(&self, publish: &Publish, until: Until, follow: Follow<'_>) -> Result<Outcome> {
        let source = self.source(publish.schema.as_deref())?;
        let options = self.settled(&publish.options);
        let create = publish.create;
        // Before a build, which takes longer.
        self.is_to_be(May::Make { create })?;
        let may = match options.dry_run {
            true => May::Try { create },
            false => May::Make { create },
        };
        let run = |path: &str, options: &Options| {
            self.on_live(may, |remy| {
                Ok(follow.with(|progress| match until {
                    Until::Staged => remy.stage(path, options, progress),
                    Until::Live => remy.publish(path, options, progress),
                })?)
            })
        };
        match &source {
            Source::Schema(path) => run(path, &options),
            Source::Package(file) => {
                not_declared(&options)?;
                if options.commit.is_some() {
                    return Err(says_its_commit(file).into());
                }
                let (_work, unpacked) = self.unpacked(file, follow.cancel())?;
                let options = of_package(options, &unpacked);
                let options = self.warned(options, &unpacked.dir, &Progressed::new(follow));
                run(&manifest_of(&unpacked.dir), &options)
            }
            Source::App(root) => {
                not_declared(&options)?;
                self.foreseen(root, &options, follow)?;
                let build = Build {
                    commit: options.commit.clone(),
                    ..self.build_of(root, &publish.tools)
                };
                let progress = Progressed::new(follow);
                let (_work, built) = self.built(root, build, &progress).inspect_err(|e| {
                    if !options.dry_run {
                        self.record(e, &progress, &options, create);
                    }
                })?;
                let options = self.warned(of_built(options, &built), &built.dir, &progress);
                run(&manifest_of(&built.dir), &options)
            }
        }
    }

    /// With a line for the log of what the methods in a folder read and nobody has set here.
    fn warned(&self, mut options: Options, dir: &Path, progress: &Progressed<'_>) -> Options {
        let reads = variables::reads_of(dir);
        let odd = self.told_without_value(&reads, Target::Prod, progress);
        options.build.extend(odd.as_ref().map(step));
        options
    }

    /// Refuses before a build what concerns the database alone, as it would be refused behind one:
    /// what nobody has given leave for, and what its rows do not allow. An install and a build take
    /// longer, and would end in a release that failed. What else is wrong the build says better, with
    /// its place.
    fn foreseen(&self, root: &Path, options: &Options, follow: Follow<'_>) -> Result<()> {
        // What another commit declares is not here to be read.
        if options.commit.is_some() || !place::is_there(&self.place.path) {
            return Ok(());
        }
        let remy = (self.open)(&self.place.path)?;
        let path = root.join(FILE).display().to_string();
        let asked = Options {
            allow: options.allow.clone(),
            renames: options.renames.clone(),
            ignore: options.ignore.clone(),
            extensions: options.extensions.clone(),
            ..Options::default()
        };
        // Most publishes change no table, and a diff is quick; it refuses what the rows do not allow
        // by itself.
        let rows = of_the_database(remy.diff(&path, &asked))?.unwrap_or_default();
        follow.cancel().check()?;
        if rows.is_empty() {
            return Ok(());
        }
        // Code and effects are not looked at by what is asked here; without them the tables of an app
        // may be refused as such.
        let all = Options {
            artifacts: Some(root.to_owned()),
            effects: Some(serde_json::json!({})),
            dry_run: true,
            ..asked
        };
        of_the_database(remy.publish(&path, &all, follow.quietly()))?;
        follow.cancel().check()
    }

    /// Records a build that failed as a release that did. What is refused for what it was given is no
    /// release, and the first one is not of an app that is declared wrongly. What went wrong first is
    /// what has to be told, so that this fails in silence.
    fn record(&self, e: &AppError, progress: &Progressed<'_>, options: &Options, create: bool) {
        let code = e.error().code();
        let is_none = match code {
            "busy" | "invalid_argument" | "not_found" => true,
            "schema_invalid" => !place::is_there(&self.place.path),
            _ => progress.follow.cancel().is_set(),
        };
        if is_none {
            return;
        }
        let failure = BuildFailure {
            code: code.to_owned(),
            message: e.to_string(),
            object: e.error().detail().object.clone(),
        };
        let options = Options {
            build: progress.lines.borrow().iter().map(step).collect(),
            label: options.label.clone(),
            commit: progress.source.borrow().clone(),
            ..Options::default()
        };
        let fail = |remy: &Remy| {
            Ok(progress
                .follow
                .with(|progress| remy.fail(&failure, &options, progress))?)
        };
        let _ = self.on_live(May::Make { create }, fail);
    }

    pub(super) fn build_of(&self, root: &Path, tools: &Tools) -> Build {
        Build {
            root: root.to_owned(),
            out_dir: PathBuf::new(),
            commit: None,
            cache_dir: None,
            live: Some(self.place.path.clone()),
            without: Vec::new(),
            esbuild: tools.esbuild.clone(),
            node: tools.node,
            for_dev: false,
            is_served: false,
        }
    }

    /// What is to be published.
    pub(super) fn source(&self, schema: Option<&str>) -> Result<Source> {
        let (root, from) = (self.place.root.as_deref(), self.place.from);
        if let Some(schema) = schema {
            if package::is_package(schema) {
                return Ok(Source::Package(schema.to_owned()));
            }
            let path = Path::new(schema);
            if path.file_name().is_some_and(|name| name == FILE) {
                return Err(is_a_manifest(schema, path).into());
            }
            // A schema is the whole truth: published by mistake to an app's database, it would drop
            // what the app has.
            if let Some(root) = root.filter(|_| from != place::From::Caller) {
                return Err(is_declared(schema, root).into());
            }
            return Ok(Source::Schema(schema.to_owned()));
        }
        if let Some(root) = root {
            return Ok(Source::App(root.to_owned()));
        }
        let Some(named) = &self.place.schema else {
            return Err(self
                .no_manifest(remedy![
                    "Name a schema, and its database with ",
                    OptionName::Db,
                    ". Or make an app: ",
                    VerbName::Init,
                    " does"
                ])
                .into());
        };
        let shown = named.display().to_string();
        if !named.exists() {
            let error =
                Error::not_found(format!("there is no file {shown}, the schema of remy.json"))
                    .state(State::NothingDone)
                    .hint("Correct the path there")
                    .object(shown);
            return Err(error.into());
        }
        Ok(Source::Schema(shown))
    }

    /// What a diff looks at.
    pub(super) fn declared(&self, source: &Source, options: &Options) -> Result<(String, Options)> {
        let mut options = self.settled(options);
        match source {
            Source::Schema(path) => Ok((path.clone(), options)),
            Source::Package(file) => Err(Error::invalid_argument(format!("{file} is a package"))
                .state(State::NothingDone)
                .hint(remedy![
                    VerbName::Publish.with(OptionName::DryRun),
                    " shows what it would change"
                ])
                .into()),
            Source::App(root) => {
                not_declared(&options)?;
                let app = crate::read(root, None)?;
                options.effects = Some(crate::effects(&app.manifest, &app.interfaces));
                Ok((root.join(FILE).display().to_string(), options))
            }
        }
    }

    fn no_manifest(&self, hint: Remedy) -> Error {
        Error::invalid_argument(format!(
            "there is no {FILE} in {} or above it, and nothing is named to be published",
            self.place.base.display()
        ))
        .state(State::NothingDone)
        .hint(hint)
    }
}

/// Lets only those errors through that concern the database, not what is declared.
fn of_the_database<T>(result: remy_db::Result<T>) -> remy_db::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(
            e @ (Error::AmbiguousRename(_)
            | Error::LossyChange(_)
            | Error::CheckFailed(_)
            | Error::DdlFailed(_)
            | Error::UnsupportedChange(_)
            | Error::InvalidArgument(_)),
        ) => Err(e),
        Err(_) => Ok(None),
    }
}

/// Refuses an option that an app declares itself.
fn not_declared(options: &Options) -> Result<()> {
    let given = [
        (options.artifacts.is_some(), OptionName::Artifacts),
        (options.effects.is_some(), OptionName::Effects),
        (options.migrations.is_some(), OptionName::Migrations),
    ];
    let Some((_, option)) = given.into_iter().find(|(is_given, _)| *is_given) else {
        return Ok(());
    };
    Err(
        Error::invalid_argument(format!("an app declares its own {option}"))
            .state(State::NothingDone)
            .hint(remedy!["Leave ", option, " out"])
            .into(),
    )
}

fn is_a_manifest(schema: &str, path: &Path) -> Error {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new(".")).display();
    Error::invalid_argument(format!("{schema} is the manifest of an app, not a schema"))
        .state(State::NothingDone)
        .hint(remedy![
            format!("Publish the app from its folder, or name {folder} with "),
            OptionName::App
        ])
        .object(schema)
}

fn is_declared(schema: &str, root: &Path) -> Error {
    let manifest = root.join(FILE);
    Error::invalid_argument(format!(
        "{} declares what is published here",
        manifest.display()
    ))
    .state(State::NothingDone)
    .hint(remedy![
        format!("Leave {schema} out, or name its database with "),
        OptionName::Db
    ])
    .object(schema)
}

fn says_its_commit(file: &str) -> Error {
    Error::invalid_argument(format!("{file} is a package, which says its commit itself"))
        .state(State::NothingDone)
        .hint(remedy![
            "Leave ",
            OptionName::Commit,
            " out, or build the package from it: ",
            VerbName::Build,
            " has it, too"
        ])
        .object(file)
}

/// The manifest of what was built in a folder.
fn manifest_of(dir: &Path) -> String {
    dir.join("source").join(FILE).display().to_string()
}

fn of_package(options: Options, unpacked: &Unpacked) -> Options {
    Options {
        artifacts: Some(unpacked.dir.clone()),
        effects: Some(unpacked.effects.clone()),
        commit: described(unpacked.commit.as_deref(), unpacked.dirty),
        ..options
    }
}

fn of_built(options: Options, built: &Built) -> Options {
    Options {
        artifacts: Some(built.dir.clone()),
        effects: Some(built.effects.clone()),
        commit: described(built.commit.as_deref(), built.dirty),
        build: built.lines.iter().map(step).collect(),
        ..options
    }
}

/// A line of a build, as the database takes it.
fn step(line: &log::Line) -> BuildStep {
    BuildStep {
        at: line.at,
        message: line.message.clone(),
        outcome: line.outcome,
        object: line.object.clone(),
        duration_ms: line.duration_ms,
    }
}
