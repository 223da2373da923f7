//! An agent, as its release has it, and what a turn takes besides.

use super::model::Model;
use crate::state::sessions::Session;
use remy_db_runtime::target::Target;
use serde::Deserialize;
use serde_json::{Value, json as value};

/// What is kept with a release.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Agent {
    pub model: String,
    pub temperature: Option<f64>,
    pub max_tokens: Option<u64>,
    #[serde(default)]
    pub system_prompt: String,
    pub auth: Auth,
    #[serde(default)]
    pub tools: Vec<Tool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Auth {
    #[serde(default)]
    pub require_user: bool,
    #[serde(default)]
    pub require_role: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tool {
    pub name: String,
    #[serde(default)]
    pub description: String,
    /// None of what the client does.
    pub method: Option<String>,
    #[serde(default)]
    pub input_schema: Value,
}

impl Tool {
    /// As a model is told of it.
    pub fn told(&self) -> Value {
        value!({ "type": "function", "function": {
            "name": self.name, "description": self.description, "parameters": self.input_schema,
        } })
    }
}

/// Who talks, and to which model.
pub(super) struct Talking {
    pub target: Target,
    pub session: Session,
    pub model: Model,
    pub model_name: String,
}
