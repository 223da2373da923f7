//! A release, built from an app's folder: the source is staged, packages are installed, methods and
//! the web interface compiled. Nothing of a database is touched, and nothing of the user's folder
//! but the cache.
//!
//! Paths of a release are text with `/` between the names, seen from the app's folder (path.rs);
//! [`std::path::Path`] is where a file is on this machine.

pub mod aliases;
pub mod cache;
pub mod changes;
pub mod dependencies;
pub mod disk;
pub mod environment;
pub mod esbuild;
mod git;
mod ignored;
pub mod kept;
mod leash;
pub mod listening;
pub mod lock;
pub mod log;
pub mod methods;
pub mod node;
mod npmrc;
pub mod path;
mod private;
pub mod release;
pub(crate) mod run;
mod said;
pub mod sdk;
pub mod source;
pub mod stubs;
pub(crate) mod tools;
pub mod tree;
pub mod web;
pub mod workspaces;

use crate::AppError;
use remy_db::{Error, State};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

/// What every step of a build returns.
pub type Result<T, E = AppError> = std::result::Result<T, E>;

/// The files of a release's source, by their paths in it.
pub type Files = BTreeMap<String, Entry>;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Of the content, or of where a link points.
    pub hash: String,
    /// What it is.
    pub mode: Mode,
}

/// What a file of a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Data.
    File,
    /// A program.
    Executable,
    /// A symbolic link.
    Link,
}

/// Whether the caller calls the build off; and who hears what its programs say meanwhile.
#[derive(Clone, Copy)]
pub struct Cancel<'a> {
    flag: &'a AtomicBool,
    on_said: Option<OnSaid<'a>>,
}

/// Is told each line that a program of a build writes, as it is written: by which program, and the
/// line, without what it keeps secret.
pub type OnSaid<'a> = &'a (dyn Fn(&str, &str) + Send + Sync);

impl<'a> Cancel<'a> {
    /// It is called off once `flag` is true. Nobody hears what its programs say.
    pub fn new(flag: &'a AtomicBool) -> Self {
        Self {
            flag,
            on_said: None,
        }
    }

    /// Tells `on_said` what its programs say.
    #[must_use]
    pub fn telling(mut self, on_said: Option<OnSaid<'a>>) -> Self {
        self.on_said = on_said;
        self
    }

    /// Whether it is called off.
    pub fn is_set(self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// `busy` where it is.
    pub fn check(self) -> Result<()> {
        if !self.is_set() {
            return Ok(());
        }
        let called_off = Error::called_off().state(State::DatabaseUnchanged);
        Err(called_off.into())
    }
}
