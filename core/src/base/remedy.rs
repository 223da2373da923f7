//! What to do next, as a value: a sentence whose verbs and options each face names in its own way.

use crate::base::{
    allow::Allow,
    ids::ReleaseId,
    words::{Words, words},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeStruct};
use std::fmt;

words! {
    /// A verb of remy's, and of who publishes apps with it.
    #[allow(missing_docs, reason = "docs/contract.md says what each verb does")]
    pub enum VerbName, "verb" {
        Build = "build",
        BuildLog = "build_log",
        Clone = "clone",
        Debug = "debug",
        Detach = "detach",
        DevList = "dev_list",
        DevStart = "dev_start",
        DevSync = "dev_sync",
        Diff = "diff",
        Files = "files",
        Init = "init",
        Promote = "promote",
        Prune = "prune",
        Publish = "publish",
        Releases = "releases",
        Rollback = "rollback",
        Stage = "stage",
        Status = "status",
        Verify = "verify",
    }
}

words! {
    /// An option of a verb.
    #[allow(missing_docs, reason = "docs/contract.md says what each option does")]
    pub enum OptionName, "option" {
        Allow = "allow",
        App = "app",
        Artifacts = "artifacts",
        Clients = "clients",
        Commit = "commit",
        Create = "create",
        Db = "db",
        DrainMs = "drain_ms",
        DryRun = "dry_run",
        Effects = "effects",
        Extensions = "extensions",
        Ignore = "ignore",
        JournalMode = "journal_mode",
        KeepBytes = "keep_bytes",
        KeepReleases = "keep_releases",
        LockTimeoutMs = "lock_timeout_ms",
        MarginBytes = "margin_bytes",
        MaxPauseMs = "max_pause_ms",
        Migrations = "migrations",
        Out = "out",
        Renames = "renames",
    }
}

/// What to do about an error. [`fmt::Display`] words it for no face in particular, and so does the
/// message of the error; who has names of its own for verbs and options asks for
/// [`Remedy::worded`], or reads the parts: in JSON they are texts, and objects with the members of
/// [`Part`].
///
/// ```
/// use remy_db::{Part, Remedy, VerbName, remedy};
///
/// let remedy = remedy![VerbName::Releases, " lists them"];
/// assert_eq!(remedy.to_string(), "The verb releases lists them");
/// let shell = remedy.worded(&|part| match part {
///     Part::Verb { verb, .. } => Some(format!("remy {verb}")),
///     _ => None,
/// });
/// assert_eq!(shell, "remy releases lists them");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Remedy(Vec<Part>);

/// A piece of a [`Remedy`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Part {
    /// Words, the same in every face.
    Text(String),
    /// A verb that is to be called.
    Verb {
        /// Which one.
        verb: VerbName,
        /// On which release.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<ReleaseId>,
        /// With which option.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        option: Option<OptionName>,
    },
    /// Leave that is to be given, by the option `allow`.
    Allow {
        /// For what.
        allow: Vec<Allow>,
    },
    /// A rename that is to be told, by the option `renames`.
    Rename {
        /// `old=new`, as the option takes it.
        rename: String,
    },
    /// An option that is to be set, or left out.
    Option {
        /// Which one.
        option: OptionName,
    },
}

impl Remedy {
    /// Of pieces, in their order. [`crate::remedy!`] is the short way.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// The pieces.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// As a text, with what `word` has for a piece in the place of the general words.
    pub fn worded(&self, word: &dyn Fn(&Part) -> Option<String>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            let own = word(part);
            let begins = text.is_empty();
            text.push_str(&own.unwrap_or_else(|| part.in_general(begins)));
        }
        text
    }
}

impl Part {
    /// The words of no face in particular, where it begins the sentence or stands in it.
    fn in_general(&self, begins: bool) -> String {
        let the = if begins { "The" } else { "the" };
        match self {
            Self::Text(text) => text.clone(),
            Self::Verb {
                verb,
                release,
                option,
            } => {
                let of =
                    release.map_or_else(String::new, |release| format!(" of release {release}"));
                let with =
                    option.map_or_else(String::new, |option| format!(" with the option {option}"));
                format!("{the} verb {verb}{of}{with}")
            }
            Self::Allow { allow } => format!("\"allow\":{}", json(allow)),
            Self::Rename { rename } => format!("\"renames\":{}", json(&[rename])),
            Self::Option { option } => format!("{the} option {option}"),
        }
    }
}

/// Writes it as the members `hint`, a text, and `remedy`, its parts; as none where there is none.
pub(crate) fn as_members<S: Serializer>(
    remedy: &Option<Remedy>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut members = serializer.serialize_struct("Remedy", 2)?;
    if let Some(remedy) = remedy {
        members.serialize_field("hint", &remedy.to_string())?;
        members.serialize_field("remedy", remedy)?;
    }
    members.end()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.worded(&|_| None))
    }
}

impl VerbName {
    /// The verb, of a release.
    pub fn of(self, release: impl Into<ReleaseId>) -> Part {
        Part::Verb {
            verb: self,
            release: Some(release.into()),
            option: None,
        }
    }

    /// The verb, with an option.
    pub fn with(self, option: OptionName) -> Part {
        Part::Verb {
            verb: self,
            release: None,
            option: Some(option),
        }
    }
}

impl From<VerbName> for Part {
    fn from(verb: VerbName) -> Self {
        Self::Verb {
            verb,
            release: None,
            option: None,
        }
    }
}

impl From<OptionName> for Part {
    fn from(option: OptionName) -> Self {
        Self::Option { option }
    }
}

impl From<Allow> for Part {
    fn from(allow: Allow) -> Self {
        Self::Allow { allow: vec![allow] }
    }
}

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Remedy {
    fn from(text: &str) -> Self {
        Self::new([text.into()])
    }
}

impl From<String> for Remedy {
    fn from(text: String) -> Self {
        Self::new([text.into()])
    }
}

/// A [`Remedy`] of its pieces: texts, verbs, options, leave, parts.
#[macro_export]
macro_rules! remedy {
    ($($part:expr),+ $(,)?) => {
        $crate::Remedy::new([$($crate::Part::from($part)),+])
    };
}

macro_rules! read_by_word {
    ($($name:ident)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                Self::of_word(&word)
                    .ok_or_else(|| de::Error::custom(format!("no {} {word:?}", Self::WHAT)))
            }
        }
    )*};
}
read_by_word! { VerbName OptionName }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_come_back_from_json() {
        let remedy = remedy![
            "Say so with ",
            Allow::Drop,
            ", or ",
            Part::Rename {
                rename: "t.a=b".to_owned()
            },
            "; ",
            VerbName::Files.of(3),
            " or ",
            VerbName::Build.with(OptionName::Out),
            ", not ",
            OptionName::MaxPauseMs,
        ];
        let json = serde_json::to_string(&remedy).unwrap();
        assert_eq!(
            json,
            r#"["Say so with ",{"allow":["drop"]},", or ",{"rename":"t.a=b"},"; ",{"verb":"files","release":3}," or ",{"verb":"build","option":"out"},", not ",{"option":"max_pause_ms"}]"#
        );
        assert_eq!(serde_json::from_str::<Remedy>(&json).unwrap(), remedy);
        assert_eq!(
            remedy.to_string(),
            r#"Say so with "allow":["drop"], or "renames":["t.a=b"]; the verb files of release 3 or the verb build with the option out, not the option max_pause_ms"#
        );
    }

    #[test]
    fn every_option_of_core_has_its_name() {
        for (name, _) in crate::base::options::TAKES {
            let known = OptionName::of_word(name).is_some();
            let never_advised = [
                "build",
                "if_changed",
                "preview",
                "retention_days",
                "warnings",
                "label",
                "progress",
            ];
            assert!(known || never_advised.contains(name), "{name}");
        }
    }
}
