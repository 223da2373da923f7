//! What a release declares as its interfaces: files that are kept with it, and so data.

use crate::{answer::Refusal, asked::Asked, context::Context};
use remy_db::ReleaseId;
use remy_db_runtime::target::Target;
use serde::de::DeserializeOwned;
use std::{fs, io, path::Path};

/// An interface of what is served, and where that is.
pub(crate) struct Declared<T> {
    pub interface: T,
    pub target: Target,
    pub release: Option<ReleaseId>,
}

/// The interface of what a request is for. Fails with `not_found` where the app has none.
pub(crate) fn declared<T: DeserializeOwned>(
    at: &Context,
    asked: &Asked,
    name: &str,
) -> Result<Declared<T>, Refusal> {
    let target = at.target(&asked.judged.place)?;
    let (release, app) = at.runtime.serving(&target)?;
    Ok(Declared {
        interface: read(&app.kept, name)?.ok_or_else(Refusal::not_found)?,
        target,
        release,
    })
}

/// The interface of the folder that is kept with a release: `mcp`. None, where the app has none.
pub(crate) fn read<T: DeserializeOwned>(kept: &Path, name: &str) -> Result<Option<T>, Refusal> {
    let path = kept.join(format!("interfaces/{name}.json"));
    let unreadable =
        |why: String| Refusal::internal(format!("{} cannot be read: {why}", path.display()));
    let text = match fs::read(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(e.to_string())),
        Ok(text) => text,
    };
    let read = serde_json::from_slice(&text).map_err(|e| unreadable(e.to_string()))?;
    Ok(Some(read))
}
