//! Secrets: values that an app needs and that are no part of a release. They stand in the store, beside
//! the history and outside of it: no release, log, snapshot or package has them, and a rollback leaves
//! them as they are.
//!
//! ```text
//! app.db-remy/
//!   secrets.json   0600   {"format": 1, "app": {"KEY": {"prod": …, "dev": …}}, "server": {…}}
//!   secrets.lock   0600   held by who changes it
//! ```
//!
//! The secrets of the app are the environment of its methods. Those of the server (an SMTP_URL, a bot's
//! token) never reach a process that runs methods.

use crate::{private, stamp::Stamp};
use remy_db::{Context as _, Error, Result, State};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The format that this version writes.
const FORMAT: u32 = 1;

/// The most bytes of a value: what Linux takes as one string of an environment, with room for its name.
const LONGEST: usize = 100 << 10;

/// Whose secret it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Of the app: its methods have it as a variable.
    App,
    /// Of the server alone.
    Server,
}

/// For what a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// Live, previews and releases.
    Prod,
    /// Dev sessions.
    Dev,
    /// All of it.
    Both,
}

/// A value for each. One serves both, where the other is not set.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Values {
    #[serde(skip_serializing_if = "Option::is_none")]
    prod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dev: Option<String>,
}

impl Values {
    fn of(&self, of: Target) -> Option<&String> {
        match of {
            Target::Prod => self.prod.as_ref().or(self.dev.as_ref()),
            Target::Dev => self.dev.as_ref().or(self.prod.as_ref()),
        }
    }
}

/// Not a word of a value: this may be printed by a mistake.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |value: &Option<String>| if value.is_some() { "set" } else { "unset" };
        write!(f, "prod {}, dev {}", set(&self.prod), set(&self.dev))
    }
}

/// Who asks for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A release.
    Prod,
    /// A dev session.
    Dev,
}

/// The file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: u32,
    #[serde(default)]
    app: BTreeMap<String, Values>,
    #[serde(default)]
    server: BTreeMap<String, Values>,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            format: FORMAT,
            app: BTreeMap::new(),
            server: BTreeMap::new(),
        }
    }
}

/// A secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name.
    pub key: String,
    /// Whether it is the server's.
    pub server: bool,
    /// Whether there is a value for live.
    pub prod: bool,
    /// Whether there is one for dev sessions.
    pub dev: bool,
}

/// The secrets of a database.
#[derive(Debug, Clone)]
pub struct Secrets {
    store: PathBuf,
}

impl Secrets {
    /// Those in the store `store`, which is there.
    pub fn of(store: &Path) -> Self {
        Self {
            store: store.to_owned(),
        }
    }

    /// Sets a value. [`For::Both`] takes the place of both.
    ///
    /// Fails with `invalid_argument` for a name that is none, and for a value that no variable can
    /// have.
    pub fn set(&self, key: &str, whose: Whose, of: For, value: &str) -> Result<()> {
        check_key(key, whose)?;
        check_value(key, value)?;
        self.change(|content| {
            let values = content.of_mut(whose).entry(key.to_owned()).or_default();
            let value = Some(value.to_owned());
            match of {
                For::Prod => values.prod = value,
                For::Dev => values.dev = value,
                For::Both => {
                    *values = Values {
                        prod: value,
                        dev: None,
                    };
                }
            }
            Ok(())
        })
    }

    /// Removes a value, or both. Fails with `not_found` where there is none.
    pub fn delete(&self, key: &str, whose: Whose, of: For) -> Result<()> {
        self.change(|content| {
            let all = content.of_mut(whose);
            let none = || {
                Error::not_found(format!("there is no secret {key}"))
                    .object(key)
                    .state(State::NothingDone)
                    .hint("remy secrets list shows the names of all")
            };
            let values = all.get_mut(key).ok_or_else(none)?;
            let gone = match of {
                For::Prod => values.prod.take().is_some(),
                For::Dev => values.dev.take().is_some(),
                For::Both => {
                    *values = Values::default();
                    true
                }
            };
            if values.of(Target::Prod).is_none() {
                all.remove(key);
            }
            if gone { Ok(()) } else { Err(none()) }
        })
    }

    /// All names, by the alphabet, the app's first.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let content = self.read()?;
        let listed = |server: bool| {
            move |(key, values): (&String, &Values)| Listed {
                key: key.clone(),
                server,
                prod: values.prod.is_some(),
                dev: values.dev.is_some(),
            }
        };
        let app = content.app.iter().map(listed(false));
        Ok(app.chain(content.server.iter().map(listed(true))).collect())
    }

    /// The variables of the app's methods.
    pub fn environment(&self, of: Target) -> Result<BTreeMap<String, String>> {
        let content = self.read()?;
        let one = |(key, values): (String, Values)| Some((key, values.of(of)?.clone()));
        Ok(content.app.into_iter().filter_map(one).collect())
    }

    /// A secret of the server's.
    pub fn server(&self, key: &str, of: Target) -> Result<Option<String>> {
        Ok(self
            .read()?
            .server
            .get(key)
            .and_then(|values| values.of(of))
            .cloned())
    }

    /// Another one, once anything has been changed.
    pub fn stamp(&self) -> Stamp {
        Stamp::of(&self.path())
    }

    fn path(&self) -> PathBuf {
        self.store.join("secrets.json")
    }

    fn read(&self) -> Result<Content> {
        let path = self.path();
        let doing = || format!("reading {}", path.display());
        let file = match OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
        {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Content::default()),
            other => other.context(doing)?,
        };
        let mode = file.metadata().context(doing)?.mode();
        if mode & 0o077 != 0 {
            return Err(Error::io(format!(
                "{} may be read or written by others than its owner (its mode is {:o})",
                path.display(),
                mode & 0o777
            ))
            .object(path.display().to_string())
            .state(State::NothingDone)
            .hint("Set it right with chmod 600, and give new values to what stands in it"));
        }
        let text = std::io::read_to_string(file).context(doing)?;
        // What it says is never part of a message.
        let content: Content = serde_json::from_str(&text).map_err(|e| {
            Error::corrupt(format!(
                "{} is not as remy writes it: line {}, column {}",
                path.display(),
                e.line(),
                e.column()
            ))
            .object(path.display().to_string())
            .state(State::NothingDone)
            .hint("Restore it, or remove it and set the secrets again")
        })?;
        if content.format > FORMAT {
            return Err(Error::invalid_argument(format!(
                "{} was written by a newer remy",
                path.display()
            ))
            .state(State::NothingDone)
            .hint("Use that version, or a newer one"));
        }
        Ok(content)
    }

    /// Changes the file as a whole: who reads it sees it before or after, also when the power goes.
    fn change(&self, change: impl FnOnce(&mut Content) -> Result<()>) -> Result<()> {
        let path = self.path();
        let doing = || format!("writing {}", path.display());
        let lock = private::file(&self.store.join("secrets.lock"), false).context(doing)?;
        lock.lock().context(doing)?;
        let mut content = self.read()?;
        change(&mut content)?;
        let text = serde_json::to_string_pretty(&content)
            .map_err(|e| Error::internal(format!("writing the secrets: {e}")))?;
        let new = self.store.join("secrets.json.new");
        let written = (|| {
            let mut file = private::file(&new, true)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.store)?.sync_all()
        })();
        written.context(doing)
    }
}

impl Content {
    fn of_mut(&mut self, whose: Whose) -> &mut BTreeMap<String, Values> {
        match whose {
            Whose::App => &mut self.app,
            Whose::Server => &mut self.server,
        }
    }
}

/// Variables that decide how the method's own process is run.
const RESERVED: [&str; 8] = [
    "CALLBACK_TOKEN",
    "HOME",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NODE_OPTIONS",
    "PATH",
    "REMOTE_HOSTNAME",
    "TMPDIR",
];

/// Refuses a name that is not `[A-Z][A-Z0-9_]*`.
/// What every process that runs methods has besides, whoever sets what.
const GIVEN: [&str; 2] = ["LANG", "NODE_ENV"];

/// Whether a variable has a value only where a secret of its name has one.
pub fn is_to_be_set(name: &str) -> bool {
    !GIVEN.contains(&name) && check_key(name, Whose::App).is_ok()
}

fn check_key(key: &str, whose: Whose) -> Result<()> {
    let mut letters = key.bytes();
    let fine = letters.next().is_some_and(|c| c.is_ascii_uppercase())
        && letters.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
    let refuse = |what: String, hint: &str| {
        Err(Error::invalid_argument(what)
            .object(key)
            .state(State::NothingDone)
            .hint(hint.to_owned()))
    };
    if !fine {
        return refuse(
            format!("{key:?} is no name of a secret"),
            "A name begins with A to Z, and goes on with these, digits and _",
        );
    }
    if whose == Whose::App && RESERVED.contains(&key) {
        return refuse(
            format!("{key} is a variable of the process that runs methods"),
            "Choose another name",
        );
    }
    Ok(())
}

fn check_value(key: &str, value: &str) -> Result<()> {
    let what = if value.is_empty() {
        "is empty".to_owned()
    } else if value.contains('\0') {
        "has a NUL byte in it, which no variable can have".to_owned()
    } else if value.len() > LONGEST {
        format!(
            "has {} bytes, and a variable has {LONGEST} at most",
            value.len()
        )
    } else {
        return Ok(());
    };
    Err(
        Error::invalid_argument(format!("the value of the secret {key} {what}"))
            .object(key)
            .state(State::NothingDone),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> (tempfile::TempDir, Secrets) {
        let store = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(store.path());
        (store, secrets)
    }

    #[test]
    fn one_value_serves_both_until_the_other_is_set() {
        let (store, secrets) = secrets();
        assert_eq!(secrets.list().unwrap(), []);
        secrets.set("KEY", Whose::App, For::Prod, "a").unwrap();
        secrets.set("TOKEN", Whose::Server, For::Both, "t").unwrap();
        let value = |of| secrets.environment(of).unwrap().get("KEY").cloned();
        assert_eq!(value(Target::Dev).as_deref(), Some("a"));
        secrets.set("KEY", Whose::App, For::Dev, "b").unwrap();
        assert_eq!(value(Target::Dev).as_deref(), Some("b"));
        assert_eq!(value(Target::Prod).as_deref(), Some("a"));
        assert_eq!(secrets.environment(Target::Prod).unwrap().len(), 1);
        let token = secrets.server("TOKEN", Target::Dev).unwrap();
        assert_eq!(token.as_deref(), Some("t"));
        secrets.delete("KEY", Whose::App, For::Prod).unwrap();
        assert_eq!(value(Target::Prod).as_deref(), Some("b"));
        secrets.delete("KEY", Whose::App, For::Both).unwrap();
        assert_eq!(value(Target::Prod), None);
        let gone = secrets.delete("KEY", Whose::App, For::Both).unwrap_err();
        assert_eq!(gone.code(), "not_found");
        let mode = fs::metadata(store.path().join("secrets.json")).unwrap();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused_and_no_message_has_a_value() {
        let (_store, secrets) = secrets();
        let long = "x".repeat(LONGEST + 1);
        for (key, value) in [
            ("key", "v"),
            ("1A", "v"),
            ("A-B", "v"),
            ("", "v"),
            ("PATH", "v"),
            ("A", ""),
            ("A", "hush\0hush"),
            ("A", &long),
        ] {
            let e = secrets.set(key, Whose::App, For::Both, value).unwrap_err();
            assert_eq!(e.code(), "invalid_argument", "{key}");
            assert!(!e.to_string().contains("hush"), "{e}");
        }
        // The server has an environment of its own making.
        secrets.set("PATH", Whose::Server, For::Both, "v").unwrap();
    }

    #[test]
    fn a_file_that_others_may_read_or_that_is_damaged_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let (store, secrets) = secrets();
        let at = store.path().join("secrets.json");
        fs::write(&at, "{\"format\": 1, \"app\": {\"A\": hush}}").unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(secrets.list().unwrap_err().code(), "io");
        fs::set_permissions(&at, fs::Permissions::from_mode(0o600)).unwrap();
        let e = secrets.list().unwrap_err();
        assert_eq!(e.code(), "corrupt");
        assert!(!e.to_string().contains("hush"), "{e}");
    }

    #[test]
    fn who_changes_it_at_once_loses_nothing() {
        let (_store, secrets) = secrets();
        std::thread::scope(|scope| {
            for i in 0..8 {
                let secrets = secrets.clone();
                scope.spawn(move || {
                    let key = format!("K{i}");
                    secrets.set(&key, Whose::App, For::Both, "value").unwrap();
                });
            }
        });
        assert_eq!(secrets.list().unwrap().len(), 8);
    }
}
