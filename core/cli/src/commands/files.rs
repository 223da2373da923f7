//! The files of a release, and a package of them.

use super::{Answer, Context, Shown, json, tools};
use crate::{
    failure::Result,
    show::table::{Table, number, text},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use remy_db::{
    ReleaseId,
    internals::text::{human, things},
};
use serde_json::json;
use std::path::Path;

pub(super) fn files(at: &Context<'_>, release: ReleaseId, path: Option<&str>) -> Result<Answer> {
    let project = at.project()?;
    let found = project.files(release, path)?;
    if let (Some(path), [file]) = (path, found.as_slice())
        && file.path == path
    {
        let content = project.read_file(release, path)?;
        let json = match at.json {
            true => json(&json!({
                "path": file.path, "bytes": file.bytes, "base64": BASE64_STANDARD.encode(&content),
            }))?,
            false => String::new(),
        };
        return Ok(Answer {
            json,
            shown: Shown::Bytes(content),
            is_ok: true,
        });
    }
    let mut table = Table::new([text("PATH"), number("SIZE")]);
    for file in &found {
        table.row([file.path.clone(), human(file.bytes)]);
    }
    Answer::of(&found, table.lines(None))
}

pub(super) fn checkout(at: &Context<'_>, release: ReleaseId, dir: &Path) -> Result<Answer> {
    let out = at.project()?.checkout(release, dir, at.quietly())?;
    let files = things(out.files as u64, "file");
    let line = format!(
        "Wrote {files} of release {release} to {}",
        out.dir.display()
    );
    Answer::of(&out, vec![line])
}

pub(super) fn build(at: &Context<'_>, out: Option<&str>, commit: Option<&str>) -> Result<Answer> {
    let built = at.project()?.build(out, commit, &tools(), at.follow())?;
    // Its warnings were shown as lines.
    let line = match (&built.package, built.bytes) {
        (Some(package), Some(bytes)) => format!("Packed {} [{}]", package.display(), human(bytes)),
        _ => "It builds".to_owned(),
    };
    Answer::of(&built, vec![line])
}
