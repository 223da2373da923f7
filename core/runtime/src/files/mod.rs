//! Files that people and methods have put here: in a folder of the store, outside of releases, each
//! under a name that nobody has given. Which is whose, `files.db` knows. No rollback takes them.
//!
//! A name is loose for as long as its bytes are nobody's: from before the first of them is written
//! until the row that has them is committed, and from the commit that takes that row away until they
//! are gone. Whoever writes a file has it locked. So what a process has left that was killed is known,
//! and goes ([`Files::sweep`]); what `files.db` has never named is left alone.

mod draft;
mod kind;
mod link;
mod place;
mod stored;
mod sweep;
mod uploads;

pub use draft::Draft;
pub use kind::kind;
pub use link::Signature;
pub use place::{Access, Place};
pub use stored::{Found, Listed};
pub use uploads::{Leave, Terms};

use crate::{failure::Failure, state::State};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// The most bytes that a method puts at once, so that they fit into a frame with base64.
pub(crate) const PUT: u64 = 10 << 20;
/// The most bytes of JSON that say so.
pub const BODY: usize = PUT as usize / 3 * 4 + (64 << 10);

/// Each brings `files.db` from one format to the next.
const STEPS: &[&str] = &["
CREATE TABLE files (
  target TEXT NOT NULL,
  access TEXT NOT NULL,
  store TEXT NOT NULL,
  key TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  hash BLOB NOT NULL,
  made INTEGER NOT NULL,
  PRIMARY KEY (target, access, store, key)
) WITHOUT ROWID;
CREATE TABLE loose (name TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE uploads (
  hash BLOB PRIMARY KEY,
  target TEXT NOT NULL,
  access TEXT NOT NULL,
  store TEXT NOT NULL,
  key TEXT NOT NULL,
  kinds TEXT NOT NULL,
  most INTEGER,
  ends INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX uploads_ends ON uploads (ends);
CREATE TABLE signs (key BLOB NOT NULL);"];

/// All files of an app. Clones are the same.
#[derive(Clone)]
pub struct Files(Arc<Shared>);

struct Shared {
    store: PathBuf,
    state: OnceLock<State>,
    key: OnceLock<link::Key>,
}

impl Files {
    /// Those of a store. Nothing is made before one is asked for.
    pub fn of(store: &Path) -> Self {
        Self(Arc::new(Shared {
            store: store.to_owned(),
            state: OnceLock::new(),
            key: OnceLock::new(),
        }))
    }

    fn state(&self) -> Result<&State, Failure> {
        if let Some(state) = self.0.state.get() {
            return Ok(state);
        }
        let state = State::open(self.0.store.join("files.db"), STEPS)?;
        Ok(self.0.state.get_or_init(|| state))
    }

    /// Where the bytes of a name stand. Many files of one folder are slow on some file systems.
    fn path(&self, name: &str) -> Result<PathBuf, Failure> {
        let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        match name.get(..2) {
            Some(folder) if name.bytes().all(is_ours) => Ok(self.folder().join(folder).join(name)),
            _ => {
                let message = format!("files.db names {name:?}, which is no name of a file");
                Err(Failure::new("corrupt", 500, message))
            }
        }
    }

    fn folder(&self) -> PathBuf {
        self.0.store.join("files")
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files")
    }
}
