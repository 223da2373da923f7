//! What is wrong with an app, collected so that all of it is told at once.

use remy_db::remedy;
use remy_db::{
    Detail, Error, Remedy, State, VerbName,
    internals::{json, text::things, typescript::Fault},
};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Why an app cannot be published: a refusal with all of its faults, each a line of the message.
#[derive(Debug, Clone)]
pub struct AppError {
    error: Box<Error>,
    /// Each of them, with its place as far as that is known.
    pub faults: Vec<Fault>,
    /// The faults as lines below the message, where it does not tell of them itself.
    lines: String,
    /// All that a program said which failed, for the log.
    output: Option<String>,
}

impl AppError {
    /// An app that is declared wrongly.
    pub(crate) fn declared_wrongly(faults: Vec<Fault>) -> Self {
        Self::of(Error::schema_invalid, "the app is declared wrongly", faults)
    }

    /// There is no app where it is looked for. `why` says what `file` is missing there.
    pub(crate) fn no_app(place: &str, file: &str, why: String) -> Self {
        let error = Error::not_found(format!("{place} has no app: {why}"))
            .state(State::DatabaseUnchanged)
            .hint(remedy![
                "Run this in the folder of an app, or make one: ",
                VerbName::Init,
                " does",
            ])
            .object(file);
        Self {
            error: Box::new(error),
            faults: vec![Fault::of_file(file, why)],
            lines: String::new(),
            output: None,
        }
    }

    fn of(kind: fn(String) -> Error, what: &str, faults: Vec<Fault>) -> Self {
        let (things, lines) = told(&faults);
        let mut error = kind(format!("{what}: {things}"))
            .state(State::DatabaseUnchanged)
            .hint(HINT);
        if let Some(first) = faults.first() {
            error = error.object(&first.file);
        }
        Self {
            error: Box::new(error),
            faults,
            lines,
            output: None,
        }
    }

    /// An app that does not build.
    pub fn does_not_build(faults: Vec<Fault>) -> Self {
        Self::of(Error::build_failed, "the app does not build", faults)
    }

    /// With all that a program said which failed.
    #[must_use]
    pub fn with_output(mut self, output: String) -> Self {
        self.output = Some(output);
        self
    }

    /// With a message that is changed by whoever knows better what was done, or is to be done.
    #[must_use]
    pub(crate) fn telling(self, change: impl FnOnce(&mut Detail)) -> Self {
        let mut detail = self.error.detail().clone();
        change(&mut detail);
        Self {
            error: Box::new(Error::of(self.error.code(), detail)),
            ..self
        }
    }

    /// All that a program said which failed, for the log.
    pub fn output(&self) -> Option<&str> {
        self.output.as_deref()
    }

    /// Whether it says that nothing was done to a database: of a build, always.
    pub fn is_without_effect(&self) -> bool {
        !matches!(self.error.detail().state, None | Some(State::Other(_)))
    }

    /// As an error of the database's own verbs, with all that is wrong in what happened.
    pub fn into_error(self) -> Error {
        let mut detail = self.error.detail().clone();
        detail.what.push_str(&self.lines);
        Error::of(self.error.code(), detail)
    }

    /// The code, the hint and the object.
    pub fn error(&self) -> &Error {
        &self.error
    }
}

const HINT: &str = "Correct what is named and try again";

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.error, self.lines)
    }
}

impl std::error::Error for AppError {}

/// What fails besides the app itself: the disk, a program, the caller's patience.
impl From<Error> for AppError {
    fn from(error: Error) -> Self {
        Self {
            error: Box::new(error),
            faults: Vec::new(),
            lines: String::new(),
            output: None,
        }
    }
}

/// As [`Error`] is, with `faults`.
impl Serialize for AppError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("AppError", 7)?;
        fields.serialize_field("code", self.error.code())?;
        fields.serialize_field("message", &self.to_string())?;
        let remedy = &self.error.detail().hint;
        fields.serialize_field("hint", &remedy.as_ref().map(Remedy::to_string))?;
        fields.serialize_field("remedy", remedy)?;
        fields.serialize_field("object", &self.error.detail().object)?;
        fields.serialize_field("sql", &self.error.detail().sql)?;
        fields.serialize_field("faults", &self.faults)?;
        fields.serialize_field("output", &self.output)?;
        fields.end()
    }
}

/// How many faults there are, and each of them as a line.
fn told(faults: &[Fault]) -> (String, String) {
    let files: BTreeSet<_> = faults.iter().map(|fault| &fault.file).collect();
    let count = |n: usize, what: &str| things(n as u64, what);
    let lines = faults
        .iter()
        .map(|fault| format!("\n  {}", line(fault).replace('\n', "\n  ")));
    (
        format!(
            "{} in {}",
            count(faults.len(), "fault"),
            count(files.len(), "file")
        ),
        lines.collect(),
    )
}

/// Collects faults, and warnings of what is odd but does no harm.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub list: Vec<Fault>,
    pub warnings: Vec<String>,
    texts: BTreeMap<String, String>,
}

impl Faults {
    /// Notes the text of a JSON file, so that faults in it are told with their places.
    pub fn reads(&mut self, file: &str, text: &str) {
        self.texts.insert(file.to_owned(), text.to_owned());
    }

    pub fn add(&mut self, fault: Fault) {
        let mut fault = fault;
        if let (None, Some(text)) = (fault.line, self.texts.get(&fault.file)) {
            let at = json::place_of(text, fault.pointer.as_deref().unwrap_or_default());
            // The line itself is not told: it may hold a secret.
            let (line, column, _) = json::place(text, at);
            (fault.line, fault.column) = (Some(line), Some(column));
        }
        self.list.push(fault);
    }

    pub fn warn(&mut self, fault: &Fault) {
        self.warnings.push(line(fault));
    }
}

/// A fault as people read it: `file:line:column: /pointer: message`, as far as that is known, above
/// the line of the source with a caret.
pub fn line(fault: &Fault) -> String {
    let Fault { file, message, .. } = fault;
    let pointer = fault.pointer.as_deref().unwrap_or_default();
    let Some(line) = fault.line else {
        let mark = if pointer.is_empty() { "" } else { "#" };
        return format!("{file}{mark}{pointer}: {message}");
    };
    let column = fault.column.unwrap_or(1);
    let below = if pointer.is_empty() {
        String::new()
    } else {
        format!("{pointer}: ")
    };
    let found = format!("{file}:{line}:{column}: {below}{message}");
    match &fault.source {
        Some(source) => format!("{found}\n{}", with_caret(source, column)),
        None => found,
    }
}

/// The line with a caret below the column. Of a long line (a minified file is one), what is around
/// it.
fn with_caret(source: &str, column: usize) -> String {
    let chars: Vec<char> = source.chars().collect();
    let at = column.saturating_sub(1).min(chars.len());
    let from = column.saturating_sub(60).min(at);
    let to = (column + 40).min(chars.len());
    let cut = |is_cut: bool| if is_cut { "…" } else { "" };
    let left = format!(
        "{}{}",
        cut(from > 0),
        chars[from..at].iter().collect::<String>()
    );
    let right: String = chars[at..to].iter().collect();
    // A tab is as wide above as below.
    let space: String = left
        .chars()
        .map(|c| if c == '\t' { c } else { ' ' })
        .collect();
    format!("  {left}{right}{}\n  {space}^", cut(to < chars.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_as_far_as_it_is_known() {
        let mut fault = Fault::of_field("a.json", "/x", "is missing");
        assert_eq!(line(&fault), "a.json#/x: is missing");
        (fault.line, fault.column) = (Some(2), Some(3));
        assert_eq!(line(&fault), "a.json:2:3: /x: is missing");
        fault.source = Some("\tx = é?".to_owned());
        assert_eq!(
            line(&fault),
            "a.json:2:3: /x: is missing\n  \tx = é?\n  \t ^"
        );
        fault.column = Some(900);
        assert_eq!(
            line(&fault).lines().count(),
            3,
            "a column behind the line is no panic"
        );
    }
}
