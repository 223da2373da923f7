//! A project without a build is its files, but for those that tools keep in it.

use super::{
    interface::{Built, PAGE, Web},
    output,
};
use crate::{
    AppError,
    build::{Cancel, Result, tools::TOOLS, workspaces::within},
};
use remy_db::internals::typescript::Fault;
use std::{collections::BTreeSet, path::Path};

pub(super) fn build(web: Web<'_>, to: &Path, cancel: Cancel<'_>) -> Result<Built> {
    let folder = web.folder;
    let found = files_of(web);
    let named = web.manifest();
    let unbuilt = if web.files.contains_key(&named) {
        format!("{named} has no script \"build\"")
    } else {
        format!("there is no {named} with a script \"build\"")
    };
    if !found.iter().any(|path| path == PAGE) {
        let message = format!(
            "is not there, and {unbuilt}: the web interface has nothing to serve. Add this file, or a \
             script \"build\" that writes to {}",
            output::folders()
        );
        let fault = Fault::of_file(&within(folder, PAGE), message);
        return Err(AppError::does_not_build(vec![fault]));
    }
    let bytes = output::copy(&web.tree.join(folder), to, &found, cancel)?;
    let mut others = found.iter().filter(|path| *path != PAGE);
    let mut taken = vec![PAGE.to_owned()];
    taken.extend(others.by_ref().take(3).cloned());
    match others.count() {
        0 => {}
        more => taken.push(format!("{more} more")),
    }
    let taken = taken.join(", ");
    let told = format!("{unbuilt}: the files of {folder} are served as they are: {taken}");
    Ok(Built {
        files: found.len(),
        bytes,
        reused: false,
        warnings: vec![told],
        unsupported: Vec::new(),
    })
}

/// What is served of the project, seen from its folder.
fn files_of(web: Web<'_>) -> Vec<String> {
    let locks = TOOLS.iter().map(|tool| tool.lock);
    let ours: BTreeSet<String> = locks
        .chain(["package.json"])
        .map(|name| within(web.folder, name))
        .chain(web.settings.iter().cloned())
        .collect();
    let is_hidden = |path: &str| {
        path.split('/')
            .any(|name| name.starts_with('.') && name != ".well-known")
    };
    let is_file = |path: &str| {
        web.tree
            .join(path)
            .metadata()
            .is_ok_and(|found| found.is_file())
    };
    let inside = web.files.keys().filter(|path| !ours.contains(*path));
    inside
        .filter_map(|path| {
            let inner = match web.folder {
                "." => path.as_str(),
                folder => path.strip_prefix(folder)?.strip_prefix('/')?,
            };
            (!is_hidden(inner) && is_file(path)).then(|| inner.to_owned())
        })
        .collect()
}
