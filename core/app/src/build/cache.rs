//! What the cache says of earlier builds: JSON files, whose loss costs time alone.

use super::{Result, disk};
use remy_db::Error;
use serde::{Serialize, de::DeserializeOwned};
use std::{fs, path::Path};

/// What a file of the cache says. One that is not there, not whole, or of another remy says nothing.
pub fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes a file of the cache that describes what stands in `kept`, or below. All of that is on the
/// disk before: a power cut leaves no description of what is not there as it says.
pub fn describe(path: &Path, value: &impl Serialize, kept: &Path) -> Result<()> {
    disk::settle(kept)?;
    write(path, value)
}

/// Writes a file of the cache.
pub fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec(value)
        .map_err(|e| Error::internal(format!("writing {}: {e}", path.display())))?;
    disk::write_whole(path, &text)
}
