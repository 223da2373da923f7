//! What a call asks the runtime for, besides the code that it is.

use crate::{
    child::Service,
    database::{
        Caller, Database,
        request::{Filter, Operation},
    },
    failure::Failure,
    protocol::{Answer, AuthTable, Call, Request},
    who::runtime,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The services of one release.
pub(crate) struct Services {
    pub(crate) database: Arc<Database>,
    pub(crate) auth: Option<AuthTable>,
}

impl Service for Services {
    fn answer(&self, call: &Call, request: Request) -> Answer {
        let answer = match request {
            Request::Database { operations } => self.on_database(call, &operations),
            Request::ResolveUsers { ids } => self.users(ids),
            Request::Service { name, .. } => Err(not_supported(&name)),
            // It goes to the call's listener.
            Request::Stream { .. } => Ok(Value::Null),
        };
        match answer {
            Ok(value) => Answer::Value(value),
            Err(failure) => Answer::Error(failure),
        }
    }
}

impl Services {
    fn on_database(&self, call: &Call, operations: &[Operation]) -> Result<Value, Failure> {
        let caller = Caller::user(call.auth.user_id.as_deref());
        let replies = self.database.run(&caller, operations)?;
        serde_json::to_value(replies).map_err(|e| Failure::new("internal", 500, e.to_string()))
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
