//! What each command does, and how it is shown.

mod calling;
mod calls;
mod cron;
mod database;
mod dev;
mod events;
mod files;
mod follow;
mod history;
mod init;
mod invoke;
mod itself;
mod owner;
mod release;
mod requests;
mod runtime;
mod secrets;
mod serve;
mod sql;
mod users;

use crate::{
    arguments::{Command, Place},
    failure::Result,
    output,
    progress::{Progress, Style},
    signals,
};
use remy_db::{Options, Remy, internals::json::of_result};
use remy_db_app::{
    build::OnSaid,
    project::{Follow, Project, Told, Tools},
};
use serde::Serialize;
use std::{
    env,
    io::{self, IsTerminal as _},
    path::PathBuf,
};

/// What every command has at hand.
pub struct Context<'a> {
    place: &'a Place,
    /// Whether JSON is asked for.
    json: bool,
    progress: &'a Progress,
    on_line: &'a (dyn Fn(&Told<'_>) + Send + Sync),
    on_said: Option<OnSaid<'a>>,
    quiet: bool,
}

/// What came of a command.
pub struct Answer {
    /// As JSON.
    pub json: String,
    /// For people.
    pub shown: Shown,
    /// What was found is as it should be.
    pub is_ok: bool,
}

/// What people see.
pub enum Shown {
    /// Lines, which may hold anything.
    Lines(Vec<String>),
    /// All has been shown already, of JSON as well.
    Nothing,
    /// Bytes as they are.
    Bytes(Vec<u8>),
}

impl<'a> Context<'a> {
    /// Of what was typed. `on_line` is given the lines of a verb that is followed.
    pub fn new(
        place: &'a Place,
        json: bool,
        progress: &'a Progress,
        on_line: &'a (dyn Fn(&Told<'_>) + Send + Sync),
    ) -> Self {
        Self {
            place,
            json,
            progress,
            on_line,
            on_said: None,
            quiet: false,
        }
    }

    /// Without what tells how it goes.
    pub fn quiet(mut self, quiet: bool) -> Self {
        self.quiet = quiet;
        self
    }

    /// Tells `on_said` what programs of a build say.
    pub fn hearing(mut self, on_said: OnSaid<'a>) -> Self {
        self.on_said = Some(on_said);
        self
    }

    /// The folder that the command is about, and its database.
    fn project(&self) -> Result<Project> {
        let project = Project::find(self.place.folder(), &self.place.named(), |live| {
            Remy::open(live)
        })?;
        Ok(project)
    }

    /// For a verb that is followed, which begins now.
    fn follow(&self) -> Follow<'a> {
        self.progress.begin();
        Follow::new(self.on_line, signals::cancel()).hearing(self.on_said)
    }

    /// For one that is not.
    fn quietly(&self) -> Follow<'static> {
        Follow::new(&|_| {}, signals::cancel())
    }

    /// How wide a table may be.
    fn room(&self) -> Option<usize> {
        output::room()
    }
}

impl Answer {
    /// Of a command that has shown by itself what came of it.
    fn shown() -> Self {
        Self {
            json: String::new(),
            shown: Shown::Nothing,
            is_ok: true,
        }
    }

    fn of(result: &impl Serialize, lines: Vec<String>) -> Result<Self> {
        Ok(Self {
            json: json(result)?,
            shown: Shown::Lines(lines),
            is_ok: true,
        })
    }
}

fn json(result: &impl Serialize) -> Result<String> {
    Ok(of_result(result)?)
}

/// What is at hand for builds. esbuild's program is the one that the environment names, as its own
/// npm package takes it; which Node.js is to run the methods nobody says here.
fn tools() -> Tools {
    let esbuild = env::var_os("ESBUILD_BINARY_PATH").filter(|path| !path.is_empty());
    Tools {
        esbuild: esbuild.map(PathBuf::from),
        node: None,
    }
}

/// How a command is followed.
pub fn style(command: &Command, json: bool, quiet: bool) -> Style {
    match command {
        Command::Publish { .. }
        | Command::Stage { .. }
        | Command::Promote { .. }
        | Command::Rollback { .. }
        | Command::Build { .. } => match json {
            true => Style::Events,
            false if quiet => Style::Quiet,
            false => Style::for_people(),
        },
        // It has no log to keep: it says for how long it has been reading.
        Command::Verify { .. } if !json && !quiet && io::stderr().is_terminal() => {
            Style::for_people()
        }
        _ => Style::None,
    }
}

/// Runs a command.
pub fn run(command: &Command, at: &Context<'_>) -> Result<Answer> {
    match command {
        Command::Init { dir, sql, from } => init::init(dir.as_deref(), *sql, from.as_deref()),
        Command::Diff {
            schema,
            sql,
            warnings,
            exit_code,
            between,
            clients,
            change,
        } => {
            let shown = release::Compared {
                is_sql: *sql,
                with_warnings: *warnings,
                is_judged: *exit_code,
                between,
            };
            release::diff(at, schema.as_deref(), (clients, change), shown)
        }
        Command::Publish {
            publish,
            stage,
            if_changed,
        } => {
            let options = Options {
                if_changed: *if_changed,
                ..publish.options()
            };
            release::publish(at, publish, options, *stage)
        }
        Command::Stage { publish } => release::publish(at, publish, publish.options(), true),
        Command::Promote {
            release,
            allow,
            switch,
        } => release::promote(at, *release, allow, switch),
        Command::Rollback {
            release,
            message,
            yes,
            switch,
        } => {
            let mut options = Options {
                label: message.clone(),
                ..Options::default()
            };
            switch.set(&mut options);
            release::rollback(at, *release, *yes, options)
        }
        Command::Releases { limit } => history::releases(at, *limit),
        Command::Log { release } => history::log(at, *release),
        Command::Schema { release } => history::schema(at, *release),
        Command::Sql {
            sql,
            which,
            extensions,
        } => sql::sql(at, sql.as_deref(), which, extensions),
        Command::Invoke(given) => invoke::invoke(at, given),
        Command::Secrets(secrets) => secrets::run(at, secrets),
        Command::Calls(given) => calls::calls(at, given),
        Command::Requests(given) => requests::requests(at, given),
        Command::Users(given) => users::users(at, given),
        Command::Events(given) => events::run(at, given),
        Command::Cron { run } => cron::cron(at, run.as_ref()),
        Command::Serve(given) => serve::serve(at, given),
        Command::Runtime(given) => runtime::serve(at, given),
        Command::Status => history::status(at),
        Command::Verify { extensions } => database::verify(at, extensions),
        Command::Prune(prune) => database::prune(at, prune),
        Command::Files { release, path } => files::files(at, *release, path.as_deref()),
        Command::Checkout { release, dir } => files::checkout(at, *release, dir),
        Command::Build { out, commit } => files::build(at, out.as_deref(), commit.as_deref()),
        Command::Clone { path } => database::clone(at, path),
        Command::Dev(dev) => dev::run(at, dev),
        Command::Detach { yes } => database::detach(at, *yes),
        Command::Debug => database::debug(at),
        Command::Completions { shell } => itself::completions(*shell),
        Command::Version => itself::version(),
    }
}
