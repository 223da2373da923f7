//! Why a call failed, as its caller sees it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Why a call failed: what the method threw, or why the runtime ended it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// For people.
    pub message: String,
    /// Stable: what programs should look at. A method's own may be any text.
    pub code: String,
    /// The HTTP status that a caller gets, 400 to 599.
    pub status: u16,
    /// What a method gave besides. In a box: failures are returned all the way up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<Value>>,
    /// The variables that a method has asked for without finding a value, as its process says: to be
    /// told only as far as they are known.
    #[serde(default, skip_serializing)]
    pub missed: Box<[String]>,
    /// What to do, as the runtime knows it: no method says it.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Box<str>>,
    /// Where the method threw it, as Node.js shows it, for the call's record; a page never gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
}

impl Failure {
    /// One of the runtime's own.
    pub fn new(code: &str, status: u16, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: code.to_owned(),
            status,
            details: None,
            missed: Box::default(),
            hint: None,
            stack: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
