//! Builds the web interface: the project's own `npm run build`, in the staged copy, so that what it
//! imports from elsewhere in the app is where it looks for it. Unchanged inputs reuse the output.

mod dev;
mod inputs;
mod interface;
mod kept;
mod output;
mod plain;
mod project;
mod scripts;
mod seen;
mod texts;
mod watch;

use super::{
    Cancel, Mode, Result, cache, sdk,
    stubs::{self, Unsupported},
};
pub use dev::{DevCommand, dev_command};
use inputs::Inputs;
use interface::PAGE;
pub use interface::{Built, Web};
use remy_db::{Error, State};
use serde_json::Value;
use std::{fs, path::Path};

/// Builds the web interface into the folder `to`.
pub fn build(web: Web<'_>, to: &Path, cancel: Cancel<'_>) -> Result<Built> {
    let manifest: Value = cache::read(&web.tree.join(web.manifest())).unwrap_or_default();
    let is_built = manifest["scripts"]["build"]
        .as_str()
        .is_some_and(|script| !script.is_empty());
    if !is_built {
        return plain::build(web, to, cancel);
    }
    let inputs = Inputs::new(web, cancel)?;
    if let Some(earlier) = kept::find(web.cache, |seen| inputs.key(seen))?
        && earlier.copy_to(to, cancel)?
    {
        let unsupported = unknown_names(web, None)?;
        return Ok(built(web, earlier.output, true, unsupported));
    }
    let at = web.install().map(|install| web.tree.join(&install.folder));
    let unsupported = unknown_names(web, at.as_deref())?;
    let (output, seen) = project::build(web, &manifest["scripts"], cancel)?;
    let key = inputs.key(seen.as_ref())?;
    let made = kept::keep(web.cache, &output, kept::Of { key, seen }, cancel)?;
    if !made.copy_to(to, cancel)? {
        let what = format!("the build of {} was altered as it was kept", web.folder);
        let error = Error::io(what).state(State::DatabaseUnchanged);
        return Err(error
            .hint("Look for who writes to .remy/cache, and try again")
            .into());
    }
    Ok(built(web, made.output, false, unsupported))
}

/// What came of a build.
fn built(web: Web<'_>, output: kept::Output, reused: bool, unsupported: Vec<Unsupported>) -> Built {
    let mut warnings = Vec::new();
    if !output.files.contains_key(PAGE) {
        warnings.push(format!(
            "the build of {} wrote no {PAGE}: whoever opens the web interface finds nothing",
            web.folder
        ));
    }
    Built {
        files: output.files.len(),
        bytes: output.bytes,
        reused,
        warnings,
        unsupported,
    }
}

/// The names that are imported from the SDK's modules and that those lack. They are added to the
/// modules beside the packages of `at`: what a tool bundles has to link.
fn unknown_names(web: Web<'_>, at: Option<&Path>) -> Result<Vec<Unsupported>> {
    let sources = web.files.iter().filter(|(path, file)| {
        file.mode != Mode::Link && texts::is_source(path) && web.is_inside(path)
    });
    // What is no text imports nothing.
    let texts: Vec<String> = sources
        .filter_map(|(path, _)| fs::read_to_string(web.tree.join(path)).ok())
        .collect();
    let mut found = Vec::new();
    for module in &sdk::MODULES {
        let names = stubs::lacking(texts.iter().map(String::as_str), module);
        let all = || names.iter().map(String::as_str);
        if let (Some(at), false) = (at, names.is_empty()) {
            let code = stubs::code(module.specifier, all());
            sdk::add(at, module, &code, &stubs::types(all()))?;
        }
        found.extend(all().map(|name| Unsupported {
            module: module.specifier.to_owned(),
            name: name.to_owned(),
        }));
    }
    Ok(found)
}
