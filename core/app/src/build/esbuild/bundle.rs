//! A bundle: what is asked of esbuild, and what it answers.

use super::packet::Value;
use std::path::{Path, PathBuf};

/// What is to be bundled, and how.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// The folder that paths are seen from.
    pub folder: &'a Path,
    /// What is bundled, each as it is named to be resolved, and as its output is called.
    pub entries: Vec<(String, String)>,
    /// As the program takes them: `--format=esm`.
    pub flags: Vec<String>,
}

/// Who resolves and loads what esbuild does not find by itself.
pub trait Plugins {
    /// The imports that [`Plugins::resolve`] is asked about.
    fn resolves(&self) -> Vec<Filter>;

    /// The paths that [`Plugins::load`] is asked about.
    fn loads(&self) -> Vec<Filter>;

    /// Where an import leads; nothing, where esbuild is to find that out.
    fn resolve(&mut self, import: &str) -> Option<Resolved>;

    /// The JavaScript behind a path; nothing, where esbuild is to read a file.
    fn load(&mut self, path: &str) -> Option<String>;
}

/// Which imports or paths somebody is asked about.
#[derive(Debug, Clone)]
pub struct Filter {
    /// As a regular expression of Go.
    pub pattern: String,
    /// Those of this namespace; of every one, where it is empty.
    pub namespace: &'static str,
}

/// Where an import leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// A path of the namespace.
    pub path: String,
    /// `file` for files.
    pub namespace: &'static str,
    /// Whether the module does anything when nothing of it is used.
    pub side_effects: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// Why there are no outputs.
    pub errors: Vec<Message>,
    /// What is odd, and does no harm.
    pub warnings: Vec<Message>,
    /// What was read and written, as JSON text. Nothing, where not all files could be read.
    pub metafile: Option<Vec<u8>>,
    /// The files that it made, and did not write.
    pub outputs: Vec<OutputFile>,
}

/// A file that esbuild made.
#[derive(Debug, Clone)]
pub struct OutputFile {
    /// Where it would be.
    pub path: PathBuf,
    /// What it holds.
    pub content: Vec<u8>,
}

/// What esbuild says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What is the matter.
    pub text: String,
    /// Where.
    pub location: Option<Location>,
    /// What belongs to it.
    pub notes: Vec<Note>,
}

/// What belongs to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it says.
    pub text: String,
    /// Where, if that is another place.
    pub location: Option<Location>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Seen from [`Options::folder`].
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 0, in bytes.
    pub column: usize,
    /// The line itself.
    pub text: String,
}

impl Output {
    pub(super) fn of(answer: &Value) -> Self {
        let messages = |key| answer.list(key).iter().map(Message::of).collect();
        let metafile = match answer.get("metafile") {
            Some(Value::Bytes(json)) => Some(json.clone()),
            Some(Value::Text(json)) => Some(json.clone().into_bytes()),
            _ => None,
        };
        let outputs = answer.list("outputFiles").iter();
        Self {
            errors: messages("errors"),
            warnings: messages("warnings"),
            metafile: metafile.filter(|json| !json.is_empty()),
            outputs: outputs.filter_map(OutputFile::of).collect(),
        }
    }
}

impl OutputFile {
    fn of(file: &Value) -> Option<Self> {
        let Some(Value::Bytes(content)) = file.get("contents") else {
            return None;
        };
        Some(Self {
            path: file.text("path").into(),
            content: content.clone(),
        })
    }
}

impl Message {
    fn of(message: &Value) -> Self {
        Self {
            text: message.text("text").to_owned(),
            location: message.get("location").and_then(Location::of),
            notes: message.list("notes").iter().map(Note::of).collect(),
        }
    }
}

impl Note {
    fn of(note: &Value) -> Self {
        Self {
            text: note.text("text").to_owned(),
            location: note.get("location").and_then(Location::of),
        }
    }
}

impl Location {
    fn of(place: &Value) -> Option<Self> {
        matches!(place, Value::Map(_)).then(|| Self {
            file: place.text("file").to_owned(),
            line: place.number("line"),
            column: place.number("column"),
            text: place.text("lineText").to_owned(),
        })
    }
}
