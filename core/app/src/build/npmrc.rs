//! An app's own .npmrc. Where it stands beside a token that git ignores, it is no part of the release,
//! and the install needs it all the same.

use super::{
    Result,
    disk::{self, At},
};
use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// What it says, and where it has to be for an install.
#[derive(Debug)]
pub struct Npmrc {
    /// Nothing, where there is none.
    pub text: Option<String>,
    at: PathBuf,
    is_of_release: bool,
}

impl Npmrc {
    /// Reads that of a folder: of the staged copy, or of the user's own `root`.
    pub fn read(root: &Path, tree: &Path, folder: &str) -> Result<Self> {
        let at = tree.join(folder).join(".npmrc");
        let is_of_release = disk::exists(&at);
        let of_user = root.join(folder).join(".npmrc");
        let found = [&at, &of_user].into_iter().find(|path| disk::exists(path));
        let text = found
            .map(|path| fs::read_to_string(path).at("reading", path))
            .transpose()?;
        Ok(Self {
            text,
            at,
            is_of_release,
        })
    }

    /// Puts it into the staged copy, where it is not, for its user alone: it may hold a token.
    pub fn put(&self) -> Result<()> {
        let (Some(text), false) = (&self.text, self.is_of_release) else {
            return Ok(());
        };
        let made = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.at);
        made.and_then(|mut file| file.write_all(text.as_bytes()))
            .at("writing", &self.at)
    }

    /// Takes it away again.
    pub fn take_away(&self) -> Result<()> {
        if self.text.is_none() || self.is_of_release {
            return Ok(());
        }
        disk::remove(&self.at)
    }
}
