//! What a call asks the runtime for, besides the code that it is.

mod actions;
mod email;
mod files;
mod html;
mod published;

use crate::{
    child::{AT_ONCE, Service},
    database::{
        Caller, Database,
        request::{Filter, Operation, Reply},
    },
    events::{Events, World},
    failure::Failure,
    files::Files,
    mail::{Mailer, SMTP_URL},
    protocol::{Answer, AuthTable, Call, Request},
    remote::{Client, Wanted},
    secrets::{self, Secrets},
    target::{Target, of_core},
    who::runtime,
};
use actions::Platform;
use files::Site;
use remy_db_app::outbox::PUBLIC_URL;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What is outside of all releases, and they share.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) secrets: Secrets,
    pub(crate) events: Events,
    pub(crate) files: Files,
    pub(crate) client: Arc<Client>,
}

/// The services of one release.
pub(crate) struct Services {
    pub(crate) database: Arc<Database>,
    pub(crate) auth: Option<AuthTable>,
    pub(crate) outside: Outside,
    /// Whose server secrets count.
    pub(crate) of: secrets::Target,
    /// Where its files stay.
    pub(crate) target: Target,
    /// Where its events stay.
    pub(crate) world: World,
}

impl Service for Services {
    fn answer(&self, call: &Call, request: Request, is_wanted: Wanted<'_>) -> Answer {
        let answer = match request {
            Request::Database { operations } => self.on_database(call, &operations),
            Request::ResolveUsers { ids } => self.users(ids),
            Request::Service { name, arguments } => self.service(call, &name, arguments, is_wanted),
            // It goes to the call's listener.
            Request::Stream { .. } => Ok(Value::Null),
        };
        answered(answer)
    }

    fn answer_at_once(&self, call: &Call, request: &Request) -> Option<Answer> {
        let Request::Database { operations } = request else {
            return None;
        };
        let caller = Caller::user(call.auth.user_id.as_deref());
        let done = self.database.run_within(&caller, operations, AT_ONCE)?;
        Some(answered(done.and_then(|replies| told(&replies))))
    }
}

fn answered(answer: Result<Value, Failure>) -> Answer {
    match answer {
        Ok(value) => Answer::Value(value),
        Err(failure) => Answer::Error(failure),
    }
}

fn told(replies: &[Reply]) -> Result<Value, Failure> {
    serde_json::to_value(replies).map_err(|e| Failure::new("internal", 500, e.to_string()))
}

impl Services {
    fn service(
        &self,
        call: &Call,
        name: &str,
        arguments: Vec<Value>,
        is_wanted: Wanted<'_>,
    ) -> Result<Value, Failure> {
        let Outside { events, client, .. } = &self.outside;
        match name {
            "action" => {
                let (key, base) = (self.secret(actions::KEY)?, self.secret(actions::BASE)?);
                Platform::new(client, key, base)?.run(&arguments, is_wanted)
            }
            "email.send" => {
                let mailer = Mailer::of(self.secret(SMTP_URL)?.as_deref())?;
                email::send(&mailer, arguments)
            }
            "events.publish" => published::publish(events, &self.world, &arguments),
            "events.grant" => published::grant(events, &self.world, &arguments),
            _ => match name.strip_prefix("files.") {
                Some(operation) => self.site(call)?.ask(operation, arguments),
                None => Err(not_supported(name)),
            },
        }
    }

    /// Where a call's files are. What the server of live is known as counts for live, whatever the
    /// request names that the call is made by.
    fn site(&self, call: &Call) -> Result<Site<'_>, Failure> {
        let public = match self.target {
            Target::Live => self.secret(PUBLIC_URL)?,
            _ => None,
        };
        let origin = public.or_else(|| call.origin.clone());
        Ok(Site {
            files: &self.outside.files,
            target: &self.target,
            origin: origin.map(|origin| origin.trim_end_matches('/').to_owned()),
        })
    }

    /// A server secret as it is now: it may be set while a release runs.
    fn secret(&self, key: &str) -> Result<Option<String>, Failure> {
        self.outside.secrets.server(key, self.of).map_err(of_core)
    }

    fn on_database(&self, call: &Call, operations: &[Operation]) -> Result<Value, Failure> {
        let caller = Caller::user(call.auth.user_id.as_deref());
        told(&self.database.run(&caller, operations)?)
    }

    /// Who users are, for showing: in the order asked for, without those that there are not.
    fn users(&self, ids: Vec<String>) -> Result<Value, Failure> {
        let Some(auth) = &self.auth else {
            return Ok(json!([]));
        };
        let wanted = ids.iter().map(|id| id.as_str().into()).collect();
        let read = Operation::select(&auth.table, Filter::In("id".to_owned(), wanted), None);
        let reply = self.database.run(&runtime(), &[read])?;
        let reply = reply.into_iter().next().unwrap_or_default();
        let rows: Vec<Map<String, Value>> = reply
            .rows
            .into_iter()
            .map(|row| reply.columns.iter().cloned().zip(row).collect())
            .collect();
        let email = auth.columns.get("email").map_or("email", String::as_str);
        let shown = |row: &Map<String, Value>| {
            let of = |names: &[&str]| {
                let found = names.iter().find_map(|name| row.get(*name));
                found
                    .filter(|value| value.is_string())
                    .cloned()
                    .unwrap_or(Value::Null)
            };
            json!({
                "id": row.get("id"), "name": of(&["name", "displayName"]), "email": of(&[email]),
                "profilePictureUrl": of(&["profilePictureUrl", "avatarUrl"]),
            })
        };
        let found = ids.iter().filter_map(|id| {
            let is = |row: &&Map<String, Value>| row.get("id").and_then(Value::as_str) == Some(id);
            rows.iter().find(is).map(shown)
        });
        Ok(found.collect())
    }
}

fn not_supported(name: &str) -> Failure {
    let message = format!("remy has nothing behind {name} here");
    Failure::new("not_supported", 501, message)
}
