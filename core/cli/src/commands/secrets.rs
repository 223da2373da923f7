//! Secrets: their values come from stdin or a prompt, and are shown nowhere.

use super::{Answer, Context, owner};
use crate::{
    arguments::{Secret, Secrets as Command},
    failure::{Result, usage},
    name::called,
    screen,
    show::table::{Table, text},
    stdin,
};
use remy_db::{Error, State};
use remy_db_app::place::store_beside;
use remy_db_runtime::secrets::{For, Listed, Secrets, Whose};
use rustix::{
    stdio,
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};
use serde_json::json;

pub(super) fn run(at: &Context<'_>, command: &Command) -> Result<Answer> {
    if let Command::Set { secret, never } = command
        && !never.is_empty()
    {
        return Err(usage(format!(
            "a value is never an argument: whoever lists the processes of this machine reads those. Nothing was set. Give it \
             on stdin: {} secrets set {} < FILE; and where it was a real one, replace it",
            called(),
            secret.key
        )));
    }
    let project = at.project()?;
    let live = &project.place().path;
    let Some(store) = store_beside(live) else {
        return Err(Error::not_found(format!(
            "there is no release of {} yet, and secrets are kept beside the releases",
            live.display()
        ))
        .object(live.display().to_string())
        .state(State::NothingDone)
        .hint(format!("{} publish makes the first", called()))
        .into());
    };
    owner::become_owner(&project)?;
    let secrets = Secrets::of(&store);
    match command {
        Command::List => listed(at, &secrets.list()?),
        Command::Set { secret, .. } => {
            let value = value(&secret.key)?;
            secrets.set(&secret.key, whose(secret), for_what(secret), &value)?;
            told(secret, "is set")
        }
        Command::Delete(secret) => {
            secrets.delete(&secret.key, whose(secret), for_what(secret))?;
            told(secret, "is deleted")
        }
    }
}

fn whose(secret: &Secret) -> Whose {
    if secret.server {
        Whose::Server
    } else {
        Whose::App
    }
}

fn for_what(secret: &Secret) -> For {
    match (secret.prod, secret.dev) {
        (true, _) => For::Prod,
        (_, true) => For::Dev,
        _ => For::Both,
    }
}

fn told(secret: &Secret, what: &str) -> Result<Answer> {
    let of = match for_what(secret) {
        For::Both => "",
        For::Prod => " for releases and previews",
        For::Dev => " for dev sessions",
    };
    let done = json!({ "key": secret.key, "server": secret.server });
    Answer::of(&done, vec![format!("{} {what}{of}", secret.key)])
}

fn listed(at: &Context<'_>, all: &[Listed]) -> Result<Answer> {
    if all.is_empty() {
        let none = format!("No secret: {} secrets set KEY sets one", called());
        return Answer::of(&all, vec![none]);
    }
    let mut table = Table::new([text("KEY"), text("WHOSE"), text("PROD"), text("DEV")]);
    for secret in all {
        let of = |is_set, other| if is_set { "set" } else { other };
        table.row([
            secret.key.clone(),
            if secret.server { "server" } else { "app" }.to_owned(),
            of(secret.prod, "as dev").to_owned(),
            of(secret.dev, "as prod").to_owned(),
        ]);
    }
    Answer::of(&all, table.lines(at.room()))
}

/// What stdin has, without the end of its last line; what is typed is not shown.
fn value(key: &str) -> Result<String> {
    let mut value = if stdin::is_terminal() {
        screen::say(&format!("Value of {key}, which is not shown: "));
        let line = {
            let _hidden = Hidden::new();
            stdin::line()
        };
        screen::say("\n");
        line?
    } else {
        String::from_utf8(stdin::all()?).map_err(|_| {
            Error::invalid_argument(format!("the value of the secret {key} is not UTF-8"))
                .object(key)
                .state(State::NothingDone)
        })?
    };
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    Ok(value)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Option<Termios>);

impl Hidden {
    fn new() -> Self {
        let before = tcgetattr(stdio::stdin()).ok();
        if let Some(mut hidden) = before.clone() {
            hidden.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(stdio::stdin(), OptionalActions::Flush, &hidden);
        }
        Self(before)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(stdio::stdin(), OptionalActions::Now, before);
        }
    }
}
