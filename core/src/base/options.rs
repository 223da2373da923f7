//! The options of every verb: one JSON object, the same in every face.

use crate::base::{
    allow::Allow,
    error::{Error, Result, State},
    text::cut,
    version::SqliteVersion,
    words::words,
};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

/// Which journal live has after adoption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalMode {
    /// Write-ahead log: readers and writers do not block each other. The default.
    #[default]
    Wal,
    /// Leave it as it is.
    Keep,
}

/// A step that the caller took before the verb: an app was compiled, say. It stands in the
/// release's log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildStep {
    /// When it began, in Unix milliseconds.
    pub at: i64,
    /// What was done.
    pub message: String,
    /// `ok`, `warning` or `failed`.
    pub outcome: StepOutcome,
    /// To what.
    #[serde(default)]
    pub object: Option<String>,
    /// How long it took.
    pub duration_ms: f64,
}

/// Why a caller could not build what was to be published.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildFailure {
    /// Stable: `build_failed`, or one of this crate's.
    pub code: String,
    /// What happened.
    pub message: String,
    /// On what.
    #[serde(default)]
    pub object: Option<String>,
}

impl BuildFailure {
    /// Reads a failure: an object of `code`, `message` and, perhaps, `object`.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| {
            Error::invalid_argument(format!("the failure is not understood: {e}"))
                .state(State::NothingDone)
                .hint(r#"A failure is one JSON object, such as {"code":"build_failed","message":"…"}"#)
        })
    }
}

words! {
    /// How a step ended.
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum StepOutcome, "outcome" {
        /// Done.
        Ok = "ok",
        /// Done, and the caller should know of something.
        Warning = "warning",
        /// Not done.
        Failed = "failed",
    }
}

/// Options of a verb. Every field has a default; an unknown one is an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What the change may do beyond what is always allowed.
    pub allow: BTreeSet<Allow>,
    /// `"table=new_table"` and `"table.column=new_column"`.
    pub renames: Vec<String>,
    /// The declared effects, as one JSON object: `roles`, `cron_jobs`, `webhooks`, `email_routes`,
    /// `bot_commands`. Absent: those of the live release stay.
    pub effects: Option<Value>,
    /// A folder or file that is kept with the release.
    pub artifacts: Option<PathBuf>,
    /// What was done before, to stand at the top of the release's log.
    pub build: Vec<BuildStep>,
    /// The name of a preview: a staged release is given a database of its own, to try it on.
    pub preview: Option<String>,
    /// A folder of `NNNN_name.sql` files, run once each, in order, before the diff is taken.
    pub migrations: Option<PathBuf>,
    /// Globs of tables that are left alone, beside those in which other tools keep their books.
    pub ignore: Option<Vec<String>>,
    /// Libraries to load that bring the functions, collations and modules that a schema needs.
    pub extensions: Vec<PathBuf>,
    /// The oldest SQLite that is to use live: what it does not read, as far as remy knows, is
    /// refused.
    pub clients: Option<SqliteVersion>,
    /// Age in days from which `prune` drops a snapshot.
    pub retention_days: u32,
    /// Most snapshots to keep.
    pub keep_releases: Option<u32>,
    /// Most bytes of snapshots to keep.
    pub keep_bytes: Option<u64>,
    /// Go through everything but the switch.
    pub dry_run: bool,
    /// `publish` and `stage`: make no release where that would change nothing of the live one:
    /// neither schema and effects nor what its artifacts hold.
    pub if_changed: bool,
    /// `diff`: with what the caller should know, as rows of kind `warning`.
    pub warnings: bool,
    /// In SQL: each line of the build log on stderr, where that is a terminal.
    pub progress: bool,
    /// A name for the release.
    pub label: Option<String>,
    /// The commit that the release was made from.
    pub commit: Option<String>,
    /// How long to wait for live's write lock.
    pub lock_timeout_ms: u64,
    /// The longest that writers may be held up.
    pub max_pause_ms: u64,
    /// How long to wait for calls of methods to end; 0: those who run methods are not told.
    pub drain_ms: u64,
    /// Whether adoption turns on WAL.
    pub journal_mode: JournalMode,
    /// Free space to leave on the disk, beside what the clone and its changes take.
    pub margin_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allow: BTreeSet::new(),
            renames: Vec::new(),
            effects: None,
            artifacts: None,
            build: Vec::new(),
            preview: None,
            migrations: None,
            ignore: None,
            extensions: Vec::new(),
            clients: None,
            retention_days: 30,
            keep_releases: None,
            keep_bytes: None,
            dry_run: false,
            if_changed: false,
            warnings: false,
            progress: false,
            label: None,
            commit: None,
            lock_timeout_ms: 5000,
            max_pause_ms: 4000,
            drain_ms: 1000,
            journal_mode: JournalMode::Wal,
            margin_bytes: 256 << 20,
        }
    }
}

/// Every option, and what it takes.
pub(super) const TAKES: &[(&str, &str)] = &[
    ("allow", r#"a list of "type_change", "lossy" and "drop""#),
    (
        "renames",
        r#"a list of "table=new_table" and "table.column=new_column""#,
    ),
    ("effects", "an object"),
    ("artifacts", "the path of a file or folder"),
    (
        "build",
        r#"a list of {"at", "outcome", "message", "object", "duration_ms"}"#,
    ),
    ("preview", "a name"),
    ("migrations", "the path of a folder"),
    ("ignore", "a list of globs of tables"),
    ("extensions", "a list of paths of libraries"),
    ("clients", r#"the version of an SQLite, such as "3.40""#),
    ("retention_days", "a whole number of days"),
    ("keep_releases", "a whole number"),
    ("keep_bytes", "a whole number of bytes"),
    ("dry_run", "true or false"),
    ("if_changed", "true or false"),
    ("warnings", "true or false"),
    ("progress", "true or false"),
    ("label", "a text"),
    ("commit", "a text"),
    ("lock_timeout_ms", "a whole number of milliseconds"),
    ("max_pause_ms", "a whole number of milliseconds"),
    ("drain_ms", "a whole number of milliseconds"),
    ("journal_mode", r#""wal" or "keep""#),
    ("margin_bytes", "a whole number of bytes"),
];

/// Refuses an option that is not there, or a value that it does not take. serde's own words are
/// those of a program.
fn check(name: &str, value: Value) -> Result<()> {
    let wrong = |what: String| {
        Error::invalid_argument(what)
            .object(name)
            .state(State::NothingDone)
    };
    let Some((_, takes)) = TAKES.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = TAKES.iter().map(|(name, _)| *name).collect();
        return Err(wrong(format!("there is no option {name:?}"))
            .hint(format!("There are {}", known.join(", "))));
    };
    let empty_path = value == "" && takes.contains("path");
    let text = shown(&value);
    let alone = Value::Object([(name.to_owned(), value)].into_iter().collect());
    if empty_path || serde_json::from_value::<Options>(alone).is_err() {
        return Err(
            wrong(format!("the option {name} takes {takes}, and not {text}"))
                .hint("Give it one, or leave the option out"),
        );
    }
    Ok(())
}

/// A value as JSON, for a message: not all of a long one.
fn shown(value: &Value) -> String {
    cut(&value.to_string(), 60)
}

impl Options {
    /// Reads the options of a verb. An empty text is `{}`.
    ///
    /// Fails with `invalid_argument` where the text is not an object of known options: names the
    /// option, what it was given and what it takes.
    pub fn from_json(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let not_understood = |why: String| {
            Error::invalid_argument(format!("the options are not understood: {why}"))
                .state(State::NothingDone)
                .hint(r#"Options are one JSON object, such as {"allow":["type_change"],"label":"v2"}"#)
        };
        let value: Value = serde_json::from_str(text)
            .map_err(|e| not_understood(format!("they are not JSON: {e}")))?;
        let Value::Object(given) = value else {
            return Err(not_understood(format!(
                "{} is not an object",
                shown(&value)
            )));
        };
        for (name, value) in given {
            check(&name, value)?;
        }
        // What is left: an option that is given twice.
        serde_json::from_str(text).map_err(|e| not_understood(e.to_string()))
    }

    /// The globs of tables that are left alone, whatever the schema says of them.
    pub fn ignored_tables(&self) -> &[String] {
        self.ignore.as_deref().unwrap_or_default()
    }

    pub(crate) fn lock_timeout(&self) -> Duration {
        Duration::from_millis(self.lock_timeout_ms)
    }

    pub(crate) fn max_pause(&self) -> Duration {
        Duration::from_millis(self.max_pause_ms)
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_names() {
        let options =
            Options::from_json(r#"{"allow":["type_change","drop"],"max_pause_ms":50}"#).unwrap();
        assert_eq!(
            options.allow,
            BTreeSet::from([Allow::TypeChange, Allow::Drop])
        );
        assert_eq!(
            (
                options.max_pause_ms,
                options.lock_timeout_ms,
                options.retention_days
            ),
            (50, 5000, 30)
        );
        assert_eq!(Options::from_json(" ").unwrap().margin_bytes, 256 << 20);
    }

    #[test]
    fn an_unknown_option_is_named() {
        let e = Options::from_json(r#"{"lable":"v2"}"#).unwrap_err();
        assert_eq!(e.code(), "invalid_argument");
        assert!(
            e.to_string().contains("lable") && e.to_string().contains("label"),
            "{e}"
        );
    }

    #[test]
    fn a_wrong_value_is_shown_with_what_the_option_takes() {
        for (given, message) in [
            ("[]", "the options are not understood: [] is not an object"),
            ("7", "7 is not an object"),
            ("{", "they are not JSON: "),
            (r#"{"label":"a","label":"b"}"#, "duplicate field `label`"),
            (
                r#"{"allow":"drop"}"#,
                r#"the option allow takes a list of "type_change", "lossy" and "drop", and not "drop"."#,
            ),
            (r#"{"allow":["dorp"]}"#, r#", and not ["dorp"]."#),
            (
                r#"{"max_pause_ms":"4s"}"#,
                r#"the option max_pause_ms takes a whole number of milliseconds, and not "4s"."#,
            ),
            (
                r#"{"keep_releases":-1}"#,
                "the option keep_releases takes a whole number, and not -1.",
            ),
            (
                r#"{"dry_run":1}"#,
                "the option dry_run takes true or false, and not 1.",
            ),
            (
                r#"{"journal_mode":"off"}"#,
                r#"the option journal_mode takes "wal" or "keep", and not "off"."#,
            ),
            (
                r#"{"clients":"3"}"#,
                r#"the option clients takes the version of an SQLite, such as "3.40", and not "3"."#,
            ),
            (
                r#"{"artifacts":""}"#,
                r#"the option artifacts takes the path of a file or folder, and not ""."#,
            ),
            (
                r#"{"migrations":""}"#,
                r#"the option migrations takes the path of a folder, and not ""."#,
            ),
        ] {
            let e = Options::from_json(given).unwrap_err();
            assert_eq!(e.code(), "invalid_argument");
            assert!(e.to_string().contains(message), "{given}: {e}");
            assert!(e.detail().hint.is_some(), "{given}: {e}");
        }
    }

    /// Each field has its line above, and no line is without a field.
    #[test]
    fn every_option_is_said_to_take_something() {
        let unknown = serde_json::from_str::<Options>(r#"{"":1}"#)
            .unwrap_err()
            .to_string();
        for (name, _) in TAKES {
            assert!(unknown.contains(&format!("`{name}`")), "{name}: {unknown}");
        }
        assert_eq!(
            unknown.matches('`').count() / 2,
            TAKES.len() + 1,
            "{unknown}"
        );
    }
}
