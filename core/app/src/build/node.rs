//! The Node.js of a build.

use super::{
    Cancel, Result, disk,
    environment::{environment, found},
    run,
};
use std::{fs, io::Read as _, os::unix::fs::MetadataExt as _, path::Path};

/// Which Node.js programs of a build are run by: packages are compiled for one, and what a build makes
/// may depend on it. Nothing, where there is none.
pub fn version(cancel: Cancel<'_>) -> Result<String> {
    let variables = environment();
    let Some(path) = found("node", &variables) else {
        return Ok(String::new());
    };
    if let Some(known) = known(&path) {
        return Ok(known);
    }
    let ran = run::run("node", &["--version"], Path::new("/"), &variables, cancel)?;
    Ok(ran.map(|ran| ran.output).unwrap_or_default())
}

/// Node.js by its file: as large as it is, it has not to be started. What is small is a shim, which
/// starts one or another.
fn known(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let found = program(&path)?;
    let looks = (found.len(), found.mtime(), found.mtime_nsec());
    Some(disk::hash(format!("{} {looks:?}", path.display())))
}

/// What is known of a file that is itself what runs, as large as Node.js is; nothing of a shim.
pub fn program(path: &Path) -> Option<fs::Metadata> {
    const SMALLEST: u64 = 16 << 20;
    let mut file = fs::File::open(path).ok()?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic).ok()?;
    let found = file.metadata().ok()?;
    (magic == *b"\x7fELF" && found.len() >= SMALLEST).then_some(found)
}
