//! Databases of dev sessions: copies of live that may be written to.

use super::{
    Answer, Context,
    calling::{methods, one_call, printed, settle, until_called_off},
    owner, tools,
};
use crate::{
    arguments::{Dev, DevCommand as Command, Isolation, Methods},
    failure::{Failure, Result, usage},
    name::called,
    output, screen,
    show::{
        plan::{brief, plan},
        table::{Table, number, text},
        text::{one_line, time, took},
    },
    signals,
};
use remy_db::{Options, Synced, internals::text::human};
use remy_db_app::project::{DEFAULT, Followed, Prepared, Project, Shown, Watch, Workbench};
use remy_db_runtime::{dev::seed::Seed, runtime::Runtime, served::Settings};
use remy_db_server::{self as server, Development, Printed, ShowCode, Told, bind, bind_near};
use serde_json::{Value, json};
use std::{
    io::{IsTerminal as _, stderr},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Where a session is served: for this machine alone, and from this port on.
const HOST: &str = "127.0.0.1";
const PORT: u16 = 3000;

pub(super) fn run(at: &Context<'_>, given: &Dev) -> Result<Answer> {
    match (&given.command, &given.name, given.port) {
        (None, name, _) => serve(at, name.as_deref().unwrap_or(DEFAULT), given),
        (Some(_), Some(_), _) => Err(usage(format!(
            "--name is of {0} dev alone: after a command the name stands by itself, as in {0} dev reset NAME",
            called()
        ))),
        (Some(_), None, Some(_)) => Err(usage(format!(
            "--port is of {0} dev alone: a command serves nothing",
            called()
        ))),
        (Some(_), None, None) if given.methods != Methods::default() => Err(usage(format!(
            "what stands before the command is of {0} dev alone, which runs methods: --no-isolation of a seed stands after it",
            called()
        ))),
        (Some(command), None, None) => on_session(at, command),
    }
}

fn on_session(at: &Context<'_>, command: &Command) -> Result<Answer> {
    let project = at.project()?;
    let (dev, told) = match command {
        Command::List => return listed(at, &project.dev_list()?),
        Command::Start(session) => {
            let dev = project.dev_start(&session.name, at.quietly())?;
            let told = format!("{}: {} [{}]", dev.name, dev.path, human(dev.bytes));
            (dev, told)
        }
        Command::Sync {
            session,
            allow,
            renames,
            extensions,
            patience,
        } => {
            let mut options = Options::default();
            allow.set(&mut options);
            options.renames.clone_from(renames);
            extensions.set(&mut options);
            patience.set(&mut options);
            let synced = project.dev_sync(&session.name, &options, at.quietly())?;
            return Answer::of(&synced, told_of(at, &synced));
        }
        Command::Reset(session) => {
            let dev = project.dev_reset(&session.name, at.quietly())?;
            let told = format!("{} is as live is: {}", dev.name, dev.path);
            (dev, told)
        }
        Command::Truncate {
            session,
            extensions,
            patience,
        } => {
            let mut options = Options::default();
            extensions.set(&mut options);
            patience.set(&mut options);
            let dev = project.dev_truncate(&session.name, &options, at.quietly())?;
            let told = format!("{} is empty: {}", dev.name, dev.path);
            (dev, told)
        }
        Command::Seed {
            scenario,
            session,
            isolation,
        } => {
            return seeded(at, project, (scenario, &session.name), *isolation);
        }
        Command::Stop(session) => {
            let dev = project.dev_stop(&session.name)?;
            let told = format!("{} is stopped, its database removed", dev.name);
            (dev, told)
        }
    };
    Answer::of(&dev, vec![told])
}

/// Serves a dev session that follows the working tree, until a signal calls that off.
fn serve(at: &Context<'_>, name: &str, given: &Dev) -> Result<Answer> {
    let project = Arc::new(at.project()?);
    let settings = settings(methods(project.place(), &given.methods));
    // Before there is a session: where it is taken, nothing is begun.
    let listener = match given.port {
        Some(port) => bind(HOST, port)?,
        None => bind_near(HOST, PORT)?,
    };
    let follow = at.quietly().hearing(at.on_said);
    let workbench = Workbench::serving(Arc::clone(&project), tools());
    let watch = Watch::begin(workbench, name, follow)?;
    // It made live's store, where there was none.
    owner::become_who_runs(&project)?;
    let port = listener.local_addr().map(|address| address.port());
    let port = port.map_err(|e| usage(format!("the socket has no address: {e}")))?;
    let dev = Development::open(project, watch, settings)?;
    let screen = Screen {
        json: at.json,
        url: format!("http://localhost:{port}"),
        shown: Mutex::default(),
    };
    dev.run(listener, &|told| screen.tell(&told), follow)?;
    match signals::called_off() {
        Some(signal) => Err(Failure::CalledOff(signal)),
        None => Ok(Answer::shown()),
    }
}

/// Who sees what is shown here may sign in as anybody, and may as well read the database.
fn settings(methods: Settings) -> server::Settings {
    let mut settings = server::Settings {
        methods,
        ..server::Settings::default()
    };
    if stderr().is_terminal() {
        let show = |address: &str, code: &str| {
            screen::say(&format!("The code of {} is {code}\n", one_line(address)));
        };
        settings.show_code = Some(ShowCode(Arc::new(show)));
    }
    settings
}

/// What is shown of a session that is served.
struct Screen {
    json: bool,
    url: String,
    shown: Mutex<Known>,
}

/// What was shown before.
#[derive(Default)]
struct Known {
    warnings: Vec<String>,
    scheduled: Vec<String>,
    is_served: bool,
}

impl Screen {
    fn tell(&self, told: &Told) {
        match told {
            Told::Followed(followed) => self.followed(followed),
            Told::Shown(shown) => self.shown(shown),
            Told::Printed(printed) => self.printed(printed),
        }
    }

    fn event(&self, event: &Value) {
        if self.json {
            output::write(format!("{event}\n").as_bytes());
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn followed(&self, Followed { came, took }: &Followed) {
        match came {
            Ok(prepared) => {
                let Prepared { synced, built } = prepared;
                let all = built.warnings.iter().chain(&synced.warnings);
                let all: Vec<String> = all.cloned().collect();
                // The same at every change would hide what is new.
                if all != self.known().warnings {
                    warn(&all);
                    self.known().warnings = all;
                }
                if built.scheduled != self.known().scheduled {
                    self.known().scheduled.clone_from(&built.scheduled);
                    say_scheduled(&synced.dev.name, &built.scheduled);
                }
                self.event(&event(prepared, *took));
                if !self.json {
                    let line = one_line(&line(prepared, *took));
                    output::write(format!("{line}\n").as_bytes());
                }
            }
            Err(e) => {
                let failure = Failure::from(e.clone());
                self.event(&json!({ "event": "error", "error": failure.json() }));
                screen::say(&format!("{}\n", failure.lines().join("\n")));
            }
        }
        // Once: pages wait for the first build, whatever comes of it.
        if !std::mem::replace(&mut self.known().is_served, true) {
            self.event(&json!({ "event": "listening", "url": self.url }));
            if !self.json {
                screen::say(&format!("Served at {}\n", self.url));
            }
        }
    }

    /// A line of a method, which may be anything.
    fn printed(&self, printed: &Printed) {
        match self.json {
            true => {
                let mut event = json!(printed);
                event["event"] = "printed".into();
                self.event(&event);
            }
            false => {
                let line = format!("{}: {}", printed.method, printed.text);
                screen::say(&format!("{}\n", one_line(&line)));
            }
        }
    }

    fn shown(&self, shown: &Shown) {
        let (event, told) = match shown {
            Shown::Built => return,
            Shown::Installs(folder) => ("installs", format!("installing packages of {folder}")),
            Shown::Starts(command) => ("starts", format!("starting {command}")),
            Shown::By(address) => ("shows", format!("pages are shown by {address}")),
            Shown::Ended(why) => ("ended", format!("error: pages are not shown: {why}")),
        };
        self.event(&json!({ "event": event, "message": told }));
        // Where pages come from is of no use where they are served.
        if !self.json && !matches!(shown, Shown::By(_)) {
            screen::say(&format!("{told}\n"));
        }
    }
}

/// That what is to run by the clock does not.
fn say_scheduled(session: &str, methods: &[String]) {
    let Some(first) = methods.first() else {
        return;
    };
    let line = format!(
        "cron jobs do not run in a dev session ({}): {} invoke {first} --dev {session} runs one",
        methods.join(", "),
        called()
    );
    screen::say(&format!("{}\n", one_line(&line)));
}

fn event(Prepared { synced, built }: &Prepared, took: Duration) -> Value {
    let warnings: Vec<_> = built.warnings.iter().chain(&synced.warnings).collect();
    json!({
        "event": "synced", "name": synced.dev.name, "path": synced.dev.path, "compiled": built.compiled,
        "statements": synced.statements, "warnings": warnings,
        "durationMs": took.as_secs_f64() * 1e3,
    })
}

/// What was done, and how long it took: `default: compiled add; schema: add column things.size; 84 ms`.
fn line(Prepared { synced, built }: &Prepared, took: Duration) -> String {
    /// How many of them are named.
    const NAMED: usize = 3;
    let compiled = match built.compiled.as_slice() {
        [] => None,
        few if few.len() <= NAMED => Some(format!("compiled {}", few.join(", "))),
        many => Some(format!("compiled {} methods and scenarios", many.len())),
    };
    let changes = brief(&synced.statements);
    let schema = match changes.as_slice() {
        [] => None,
        few if few.len() <= NAMED => Some(format!("schema: {}", few.join(", "))),
        many => Some(format!("schema: {} changes", many.len())),
    };
    let all: Vec<_> = [compiled, schema].into_iter().flatten().collect();
    let all = match all.as_slice() {
        [] => "as the working tree is".to_owned(),
        all => all.join("; "),
    };
    let ms = self::took(took.as_secs_f64() * 1e3);
    format!("{}: {all}; {ms}", synced.dev.name)
}

/// Makes a dev session what the working tree is, and says what there is to know of that. Returns where
/// its methods are.
pub(super) fn prepared(at: &Context<'_>, project: Project, name: &str) -> Result<PathBuf> {
    let workbench = Workbench::new(Arc::new(project), tools());
    let Prepared { synced, built } = workbench.prepare(name, at.quietly())?;
    warn(&built.warnings);
    warn(&synced.warnings);
    // What a method returns is all of stdout.
    for line in brief(&synced.statements) {
        screen::say(&format!("{}\n", one_line(&line)));
    }
    Ok(built.dir)
}

fn seeded(
    at: &Context<'_>,
    project: Project,
    (scenario, name): (&str, &str),
    isolation: Isolation,
) -> Result<Answer> {
    owner::become_who_runs(&project)?;
    let (live, settings) = (
        project.place().path.clone(),
        one_call(project.place(), isolation),
    );
    let seed = Seed {
        name: name.to_owned(),
        built: prepared(at, project, name)?,
        scenario: scenario.to_owned(),
    };
    let runtime = Runtime::open(&live, settings)?;
    let seeded = until_called_off(|cancel| runtime.seed(&seed, &printed(), cancel))?;
    settle(&runtime);
    let roles = match (&seeded.user, seeded.roles.as_slice()) {
        (None, _) => String::new(),
        (_, []) => "; the test user has no role".to_owned(),
        (_, [role]) => format!("; the test user has the role {role}"),
        (_, roles) => format!("; the test user has the roles {}", roles.join(", ")),
    };
    Answer::of(
        &seeded,
        vec![format!("{name} is seeded by {scenario}{roles}")],
    )
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        screen::say(&format!("warning: {}\n", one_line(warning)));
    }
}

/// What ran, and what there is to know of it.
fn told_of(at: &Context<'_>, synced: &Synced) -> Vec<String> {
    let (dev, ran) = (&synced.dev, &synced.statements);
    warn(&synced.warnings);
    let mut lines = plan(&ran.iter().collect::<Vec<_>>(), at.room());
    lines.push(match ran.is_empty() {
        true => format!("{} has the schema that is declared: {}", dev.name, dev.path),
        false => format!(
            "{} has the schema that is declared now: {}",
            dev.name, dev.path
        ),
    });
    lines
}

fn listed(at: &Context<'_>, all: &[remy_db::Dev]) -> Result<Answer> {
    if all.is_empty() {
        let none = format!("No dev session: {} dev start takes one", called());
        return Answer::of(&all, vec![none]);
    }
    let mut table = Table::new([
        text("NAME"),
        text("STATUS"),
        number("RELEASE"),
        text("STARTED"),
        number("SIZE"),
        text("PATH"),
    ]);
    for dev in all {
        table.row([
            dev.name.clone(),
            dev.status.to_string(),
            dev.release
                .map_or_else(String::new, |release| release.to_string()),
            time(dev.created_at),
            human(dev.bytes),
            dev.path.clone(),
        ]);
    }
    Answer::of(&all, table.lines(at.room()))
}
