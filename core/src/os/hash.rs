//! Hashes of files.

use crate::base::error::{Context, Result};
use std::{
    fs::OpenOptions,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The content of a file, by its hash and size.
pub(crate) struct FileContent {
    /// Its hash, in hex.
    pub(crate) hash: String,
    pub(crate) bytes: u64,
}

/// Copies `from` to `to`, up to its end. Returns what was copied.
pub(crate) fn copy_and_hash(
    from: &mut impl Read,
    to: &mut impl Write,
) -> std::io::Result<FileContent> {
    let (mut hasher, mut buffer, mut bytes) = (blake3::Hasher::new(), vec![0; 256 << 10], 0);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => {
                return Ok(FileContent {
                    hash: hasher.finalize().to_hex().to_string(),
                    bytes,
                });
            }
            Ok(n) => {
                hasher.update(&buffer[..n]);
                to.write_all(&buffer[..n])?;
                bytes += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// The hash of a file, in hex.
pub(crate) fn hash(path: &Path) -> Result<String> {
    // No link: it would lead to another file than the name says.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    let read = opened.and_then(|mut file| copy_and_hash(&mut file, &mut std::io::sink()));
    read.map(|content| content.hash)
        .context(|| format!("reading {}", path.display()))
}
