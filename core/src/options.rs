//! The options of every verb: one JSON object, the same in every face.
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

/// What a change may do beyond what is always allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allow {
    /// Change the type of a column that has values.
    TypeChange,
    /// Change values so that they cannot be changed back.
    Lossy,
    /// Take a column or table that goes, beside one that comes, as a drop and not as a rename.
    Drop,
}

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

/// Options of a verb. Every field has a default; an unknown one is an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What the change may do beyond what is always allowed.
    pub allow: BTreeSet<Allow>,
    /// `"table=new_table"` and `"table.column=new_column"`.
    pub renames: Vec<String>,
    /// The declared effects, as one JSON object: `roles`, `cron_jobs`, `webhooks`, `email_routes`, `bot_commands`.
    /// Absent: those of the live release stay.
    pub effects: Option<serde_json::Value>,
    /// A folder or file that is kept with the release.
    pub artifacts: Option<PathBuf>,
    /// A folder of `NNNN_name.sql` files, run once each, in order, before the diff is taken.
    pub migrations: Option<PathBuf>,
    /// Globs of tables that are left alone. Absent: those of other migration tools.
    pub ignore: Option<Vec<String>>,
    /// Libraries to load that bring the functions, collations and modules that a schema needs.
    pub extensions: Vec<PathBuf>,
    /// Age in days from which `prune` drops a snapshot.
    pub retention_days: u32,
    /// Most snapshots to keep.
    pub keep_releases: Option<u32>,
    /// Most bytes of snapshots to keep.
    pub keep_bytes: Option<u64>,
    /// Go through everything but the switch.
    pub dry_run: bool,
    /// A name for the release.
    pub label: Option<String>,
    /// The commit that the release was made from.
    pub commit: Option<String>,
    /// How long to wait for live's write lock.
    pub lock_timeout_ms: u64,
    /// The longest that writers may be held up.
    pub max_pause_ms: u64,
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
            migrations: None,
            ignore: None,
            extensions: Vec::new(),
            retention_days: 30,
            keep_releases: None,
            keep_bytes: None,
            dry_run: false,
            label: None,
            commit: None,
            lock_timeout_ms: 5000,
            max_pause_ms: 4000,
            journal_mode: JournalMode::Wal,
            margin_bytes: 256 << 20,
        }
    }
}

/// Tables of other migration tools, which no diff touches unless `ignore` says otherwise.
const FOREIGN_TABLES: &[&str] = &[
    "_prisma_migrations",
    "__drizzle_migrations",
    "knex_migrations*",
    "django_migrations",
    "alembic_version",
    "schema_migrations",
    "ar_internal_metadata",
];

impl Options {
    /// Reads the options of a verb. An empty text is `{}`.
    ///
    /// Fails with `invalid_argument`, naming the key, where the text is not an object of known options.
    pub fn from_json(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map_err(|e| {
            Error::invalid_argument(format!("the options are not understood: {e}"))
                .state("Nothing was done")
                .hint(r#"Options are one JSON object, such as {"allow":["type_change"],"label":"v2"}"#)
        })
    }

    /// The globs of tables that are left alone.
    pub fn ignored_tables(&self) -> Vec<String> {
        match &self.ignore {
            Some(globs) => globs.clone(),
            None => FOREIGN_TABLES.iter().map(|glob| (*glob).to_owned()).collect(),
        }
    }

    pub(crate) fn lock_timeout(&self) -> Duration {
        Duration::from_millis(self.lock_timeout_ms)
    }

    pub(crate) fn max_pause(&self) -> Duration {
        Duration::from_millis(self.max_pause_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_names() {
        let options = Options::from_json(r#"{"allow":["type_change","drop"],"max_pause_ms":50}"#).unwrap();
        assert_eq!(options.allow, BTreeSet::from([Allow::TypeChange, Allow::Drop]));
        assert_eq!((options.max_pause_ms, options.lock_timeout_ms, options.retention_days), (50, 5000, 30));
        assert_eq!(Options::from_json(" ").unwrap().margin_bytes, 256 << 20);
    }

    #[test]
    fn an_unknown_option_is_named() {
        let e = Options::from_json(r#"{"lable":"v2"}"#).unwrap_err();
        assert_eq!(e.code(), "invalid_argument");
        assert!(e.to_string().contains("lable") && e.to_string().contains("label"), "{e}");
    }
}
