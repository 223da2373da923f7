//! What the frames hold.

use crate::verb::Verb;
use remy_db::{Detail, Error, Object, Place, Result, VERSION, client::Features};
use remy_db_app::{place, project};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::PathBuf;

/// What the program is, which it says first: one of another build is not spoken to.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hello {
    pub(crate) remy: String,
    pub(crate) build: String,
}

impl Hello {
    pub(crate) fn of_this() -> Self {
        Self {
            remy: VERSION.to_owned(),
            build: env!("REMY_BUILD").to_owned(),
        }
    }
}

/// What the program says first, as text: Node.js compares it.
pub fn hello() -> Result<String> {
    write(&Hello::of_this())
}

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) on: On,
    /// Whether the host wants the lines of the log.
    pub(crate) lines: bool,
}

/// A verb, and on what.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum On {
    /// A database that a host of SQL or C has open.
    Host {
        verb: Verb,
        place: Place,
        /// What the host's SQLite has, where the host has one of its own and is asked whether it
        /// can read a schema.
        features: Option<Features>,
    },
    /// A database, for Node.js: the result is what [`project::told`] returns.
    Path { verb: Verb, path: PathBuf },
    /// A folder that is published, for Node.js.
    Project {
        call: project::Call,
        place: place::Place,
    },
}

/// A schema that is about to go live, and what the engine that reads it has.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schema {
    pub(crate) objects: Vec<Object>,
    pub(crate) engine: Features,
}

/// An error with its parts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failed {
    code: String,
    detail: Detail,
}

impl Failed {
    pub(crate) fn new(e: &Error) -> Self {
        Self {
            code: e.code().to_owned(),
            detail: e.detail().clone(),
        }
    }

    pub(crate) fn error(self) -> Error {
        Error::of(&self.code, self.detail)
    }
}

pub(crate) fn write(what: &impl Serialize) -> Result<String> {
    serde_json::to_string(what).map_err(|e| Error::internal(format!("writing a frame: {e}")))
}

/// Reads the text of a frame of the kind that `what` names.
pub(crate) fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|e| crate::frame::malformed(&format!("{what} that is not understood: {e}")))
}
