//! What the parent and a process that runs methods say to each other: frames of four bytes (the
//! length, little-endian) and JSON, on one socket.
//!
//! ```text
//! parent → child    load, call, answer
//! child → parent    ready | failed, request, returned | threw, idle
//! ```
//!
//! A child is loaded once. Then it runs one call after the other: `call`, any number of `request`
//! and `answer`, `returned` or `threw`, and `idle` as soon as nothing is left to do. Only then it is
//! called again. It may send requests until it is idle: work goes on after an answer.

use crate::{database::request::Operation, failure::Failure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};

/// From the parent.
#[derive(Debug, Serialize)]
#[serde(tag = "t", rename_all = "camelCase")]
pub enum ToChild<'a> {
    /// The first frame.
    Load(&'a Load),
    /// Run a method.
    Call(&'a Call),
    /// What became of a request.
    Answer {
        /// Of the request.
        id: u64,
        /// What it asked for, or why there is none.
        #[serde(flatten)]
        answer: Answer,
    },
}

/// What a process is made for.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Each method that it may be asked to run.
    pub methods: BTreeMap<String, Module>,
    /// The tables of its database, by name.
    pub tables: BTreeMap<String, Table>,
    /// Where users are, if the app has any.
    pub auth: Option<AuthTable>,
}

/// A method's module.
#[derive(Debug, Clone, Serialize)]
pub struct Module {
    /// Its file, as the child sees it.
    pub file: PathBuf,
    /// The name of its export.
    pub export: String,
}

/// A table, as the release declares it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Table {
    /// Its columns, the system columns among them, with the logical type of each: `text`, `number`,
    /// `boolean`, `json`, `user`.
    pub columns: BTreeMap<String, String>,
}

/// The table of an app's users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthTable {
    /// Its name.
    pub table: String,
    /// Which column is what: `email`, `phone`, `roles`, `apiKey`.
    pub columns: BTreeMap<String, String>,
}

/// A call of a method.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Counts up.
    pub id: u64,
    /// Which one.
    pub method: String,
    /// What it gets.
    pub input: Value,
    /// Who calls.
    pub auth: Auth,
    /// What `session` of the SDK is.
    pub session: Value,
    /// What `getRequestContext` of the SDK returns.
    pub request: Option<Value>,
    /// Whether somebody reads what it streams.
    pub stream: bool,
    /// The origin of the request that it is made by, where that is one of the server's own: links
    /// begin with it.
    #[serde(skip)]
    pub origin: Option<String>,
    /// Where it calls back by HTTP, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
}

/// Where a call calls back by HTTP.
#[derive(Debug, Clone, Serialize)]
pub struct Callback {
    /// By which it is known.
    pub token: String,
    /// What the paths stand below.
    pub url: String,
}

/// Who calls, and who has which role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// The id of the caller's row in the auth table.
    pub user_id: Option<String>,
    /// The roles of all users.
    pub role_assignments: Vec<RoleAssignment>,
}

/// That a user has a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleAssignment {
    /// Who.
    pub user_id: String,
    /// The role's id.
    pub role_name: String,
}

/// What became of a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// What was asked for.
    Value(Value),
    /// Why there is none.
    Error(Failure),
}

/// From a child. None of it is to be trusted.
#[derive(Debug, Deserialize)]
#[serde(tag = "t", rename_all = "camelCase")]
pub enum FromChild {
    /// Every module is loaded.
    Ready,
    /// A module cannot be loaded.
    Failed {
        /// Why.
        error: Failure,
    },
    /// It asks the parent for something.
    Request {
        /// Counts up; of the answer.
        id: u64,
        /// What.
        #[serde(flatten)]
        request: Request,
    },
    /// The call has returned.
    Returned {
        /// Of the call.
        call: u64,
        /// What, `null` for nothing.
        output: Value,
    },
    /// The call has thrown.
    Threw {
        /// Of the call.
        call: u64,
        /// What.
        error: Failure,
    },
    /// Nothing that the call has begun is left.
    Idle {
        /// Of the call.
        call: u64,
    },
}

/// What a child may ask for.
#[derive(Debug, Deserialize)]
#[serde(tag = "ask", rename_all = "camelCase")]
pub enum Request {
    /// To work on the database: all of it in one transaction.
    Database {
        /// In this order.
        operations: Vec<Operation>,
    },
    /// To send a part of an answer.
    Stream {
        /// The part.
        data: Value,
    },
    /// Who some users are, for showing.
    ResolveUsers {
        /// Their ids.
        ids: Vec<String>,
    },
    /// A service of the runtime's: `email.send`, `events.publish`, an AI action.
    Service {
        /// Its name.
        name: String,
        /// What it gets.
        arguments: Vec<Value>,
    },
}
