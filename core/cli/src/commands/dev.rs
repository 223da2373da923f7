//! Databases of dev sessions: copies of live that may be written to.

use super::{Answer, Context};
use crate::{
    arguments::Dev as Command,
    failure::Result,
    name::called,
    screen,
    show::{
        plan::plan,
        table::{Table, number, text},
        text::{one_line, time},
    },
};
use remy_db::{Dev, Options, Synced, internals::text::human};

pub(super) fn run(at: &Context<'_>, command: &Command) -> Result<Answer> {
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
        Command::Stop(session) => {
            let dev = project.dev_stop(&session.name)?;
            let told = format!("{} is stopped, its database removed", dev.name);
            (dev, told)
        }
    };
    Answer::of(&dev, vec![told])
}

/// What ran, and what there is to know of it.
fn told_of(at: &Context<'_>, synced: &Synced) -> Vec<String> {
    let (dev, ran) = (&synced.dev, &synced.statements);
    for warning in &synced.warnings {
        screen::say(&format!("warning: {}\n", one_line(warning)));
    }
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

fn listed(at: &Context<'_>, all: &[Dev]) -> Result<Answer> {
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
