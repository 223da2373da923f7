//! Why a command failed, for people and as JSON.

use crate::{
    show::{
        advice,
        text::{lines, one_line, plain},
    },
    signals::{Signal, called_off},
};
use remy_db::{Error, Remedy, internals::typescript::Fault};
use remy_db_app::AppError;
use remy_db_runtime::failure::Failure as Call;
use serde_json::{Value, json};

/// What every command returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// Why a command failed.
pub enum Failure {
    /// It was refused, or went wrong.
    Error(AppError),
    /// A call of a method failed.
    Call(Box<Call>),
    /// Somebody has called it off.
    CalledOff(Signal),
}

impl From<Call> for Failure {
    fn from(call: Call) -> Self {
        Self::Call(Box::new(call))
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self::Error(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error.into())
    }
}

/// What was typed is not understood.
pub fn usage(what: impl Into<String>) -> Failure {
    Error::invalid_argument(what).into()
}

impl Failure {
    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Self::Error(error) => error.error().exit_code(),
            Self::Call(call) => match (call.code.as_str(), called_off()) {
                ("cancelled", Some(signal)) => signal.status(),
                // Another time it may be answered: the calls that may wait are too many, or live is busy.
                _ if call.status == 503 => 4,
                _ if call.status < 500 => 3,
                _ => 1,
            },
            Self::CalledOff(signal) => signal.status(),
        }
    }

    /// As JSON. Hints are in the words of this command.
    pub fn json(&self) -> Value {
        let error = match self {
            Self::Error(error) => error,
            Self::Call(call) => return self::call(call),
            // A verb that is called off has not committed: one that has, ends.
            Self::CalledOff(_) => {
                return json!({
                    "code": "busy", "message": self.called_off(),
                    "hint": null, "remedy": null, "object": null, "sql": null,
                });
            }
        };
        let detail = error.error().detail();
        let remedy = detail.hint.as_ref();
        let mut json = json!({
            "code": error.error().code(),
            "message": advice::message(&error.to_string(), remedy),
            "hint": remedy.map(advice::worded),
            "remedy": remedy,
            "object": detail.object,
            "sql": detail.sql,
        });
        if !error.faults.is_empty()
            && let Some(members) = json.as_object_mut()
        {
            let faults = error.faults.iter().map(fault);
            members.insert("faults".to_owned(), faults.collect());
        }
        json
    }

    /// For people: `error: code: message`, then what to do.
    pub fn lines(&self) -> Vec<String> {
        let error = match self {
            Self::Error(error) => error,
            Self::Call(call) => return call_lines(call),
            Self::CalledOff(_) => return vec![self.called_off()],
        };
        let code = error.error().code();
        let message = error.to_string();
        let remedy = error.error().detail().hint.as_ref();
        let end = remedy.map(|remedy| format!(". {remedy}"));
        // The message holds the hint, at the end of a line.
        let short = |line: &str| {
            let without = end.as_deref().and_then(|end| line.strip_suffix(end));
            without.unwrap_or(line).to_owned()
        };
        // An app's faults are a line each: elsewhere a line end is a part of a name.
        let text = match error.faults.is_empty() && code != "internal" {
            true => vec![one_line(&short(&message))],
            false => {
                let all: Vec<_> = message.split('\n').map(short).collect();
                lines(&all.join("\n"))
            }
        };
        let mut lines = text;
        lines[0].insert_str(0, &format!("error: {code}: "));
        lines.extend(remedy.map(hint));
        lines
    }

    fn called_off(&self) -> String {
        match self {
            Self::CalledOff(signal) => {
                format!("called off by {}. Live is unchanged", signal.name())
            }
            Self::Error(error) => error.to_string(),
            Self::Call(call) => call.message.clone(),
        }
    }
}

/// Of a call there is more: its status, what the method gave besides, and where it threw it.
fn call(call: &Call) -> Value {
    let mut json = json!({
        "code": call.code, "message": call.message,
        "hint": call.hint, "remedy": call.hint.as_ref().map(|hint| [hint]), "object": null, "sql": null, "status": call.status,
    });
    if let Some(members) = json.as_object_mut() {
        let details = call.details.as_deref().cloned();
        members.extend(details.map(|details| ("details".to_owned(), details)));
        let stack = call.stack.clone();
        members.extend(stack.map(|stack| ("stack".to_owned(), stack.into())));
    }
    json
}

/// What a method threw may have several lines, and any text for a code.
fn call_lines(call: &Call) -> Vec<String> {
    let mut all = lines(&call.message);
    all[0].insert_str(0, &format!("error: {}: ", one_line(&call.code)));
    let stack = call.stack.as_deref().unwrap_or_default();
    let places = stack.lines().filter(|line| line.starts_with("    at "));
    all.extend(places.map(one_line));
    let details = call.details.as_deref();
    all.extend(details.map(|details| one_line(&format!("details: {details}"))));
    let hint = call.hint.as_deref();
    all.extend(hint.map(|hint| one_line(&format!("hint: {hint}"))));
    all
}

/// A fault. A place has a line of the source where that holds no secret.
fn fault(fault: &Fault) -> Value {
    let pointer = fault.pointer.as_deref().unwrap_or_default();
    let mut json = json!({ "file": fault.file, "pointer": pointer, "message": fault.message });
    if let (Some(line), Some(members)) = (fault.line, json.as_object_mut()) {
        members.insert("line".to_owned(), line.into());
        members.insert("column".to_owned(), fault.column.unwrap_or(1).into());
        if let Some(source) = &fault.source {
            members.insert("source".to_owned(), source.as_str().into());
        }
    }
    json
}

fn hint(remedy: &Remedy) -> String {
    format!("hint: {}", plain(&advice::worded(remedy)))
}
