//! What an app says in TypeScript: its tables ([`tables`]), and what its methods take
//! ([`method_input`]).
//!
//! Nothing here is compiled or checked as a compiler would. Types are followed through the app's
//! own files as far as they can be with certainty; what cannot be known is said, with file, line
//! and column, and never guessed.

pub(crate) mod constants;
pub(crate) mod depth;
pub(crate) mod files;
pub(crate) mod globals;
pub(crate) mod json_schema;
pub(crate) mod manifest;
pub(crate) mod plans;
pub(crate) mod scope;
pub(crate) mod table;
pub(crate) mod types;
pub(crate) mod variables;

use crate::base::{
    json::NotJson,
    text::{cut, place},
};
pub use depth::nested_too_deep;
pub use json_schema::{MethodInput, method_input};
pub use manifest::{Tables, tables, within};
pub use plans::{FORMAT as PLAN_FORMAT, with_plans};
use serde::{Deserialize, Serialize};
use std::fmt;
pub use variables::variables_read;

/// Runs `work` on a thread with a large stack: the parser recurses as deep as a file is nested, and
/// a host's thread may have little room. Stack that is not used takes no memory.
pub(crate) fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    const STACK: usize = 256 << 20;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, work);
        // No thread to be had is a panic of its own, which every face turns into an error.
        let done = thread.expect("a thread to read TypeScript on").join();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Something wrong, or worth knowing, in a file of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The file, seen from the app's folder.
    pub file: String,
    /// Where in the manifest: a JSON pointer.
    pub pointer: Option<String>,
    /// From 1.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// The line itself, or the beginning of a long one.
    pub source: Option<String>,
    /// What is the matter.
    pub message: String,
}

impl Fault {
    /// About a whole file.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            pointer: None,
            line: None,
            column: None,
            source: None,
            message: message.into(),
        }
    }

    /// About a field of a JSON file.
    pub fn of_field(file: &str, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: Some(pointer.into()),
            ..Self::of_file(file, message)
        }
    }

    /// About a text that is no JSON. The line is shown with its keys alone, and whole.
    pub fn not_json(file: &str, text: &str, why: &NotJson) -> Self {
        let (line, column, source) = why.place(text);
        Self {
            line: Some(line),
            column: Some(column),
            source: Some(source),
            ..Self::of_file(file, &why.message)
        }
    }

    /// About the byte `at` of a text.
    fn at(file: &str, text: &str, at: usize, message: impl Into<String>) -> Self {
        let (line, column, source) = place(text, at);
        let source = cut(source.trim_end(), 200);
        Self {
            line: Some(line),
            column: Some(column),
            source: Some(source),
            ..Self::of_file(file, message)
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(pointer) = &self.pointer {
            write!(f, " {pointer}")?;
        }
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", self.message)?;
        match self.source.as_deref().map(str::trim) {
            Some(source) if !source.is_empty() => write!(f, ": {}", cut(source, 200)),
            _ => Ok(()),
        }
    }
}
