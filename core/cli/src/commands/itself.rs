//! The command itself.

use super::{Answer, Shown, json};
use crate::{arguments, failure::Result};
use clap_complete::Shell;
use remy_db::VERSION;
use serde_json::json;

/// A script for a shell, by which it completes what is typed.
pub(super) fn completions(shell: Shell) -> Result<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut arguments::command(), "remy", &mut script);
    let text = String::from_utf8_lossy(&script);
    Ok(Answer {
        json: json(&json!({ "shell": shell.to_string(), "script": text }))?,
        shown: Shown::Bytes(script),
        is_ok: true,
    })
}

pub(super) fn version() -> Result<Answer> {
    Answer::of(&json!({ "version": VERSION }), vec![VERSION.to_owned()])
}
