//! Runs a project's own build.

use super::{
    interface::Web,
    output::{self, FOLDERS},
    scripts,
    seen::{History, Seen},
    watch::{Opened, Sight, Watch, is_of_type_check},
};
use crate::{
    AppError,
    build::{
        Cancel, Result,
        disk::{self, At},
        environment::with_a_home,
        path,
        run::{self, Failed},
        workspaces::within,
    },
};
use remy_db::internals::typescript::Fault;
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Runs the build. Returns the folder that it wrote, and what was seen of it.
pub(super) fn build(
    web: Web<'_>,
    scripts: &Value,
    cancel: Cancel<'_>,
) -> Result<(PathBuf, Option<Seen>)> {
    let at = web.tree.join(web.folder);
    // An output of before is none of this build; what the release itself has under these names stays.
    for name in FOLDERS {
        let folder = within(web.folder, name);
        if !web.files.keys().any(|path| path::is_in(path, &folder)) {
            disk::remove(&at.join(name))?;
        }
    }
    let before = output::stamps(&at)?;
    let seen = run(web, scripts, cancel)?;
    let after = output::stamps(&at)?;
    let wrote = FOLDERS.into_iter().find(|name| {
        let head = format!("{name}/");
        let mut of_it = after.iter().filter(|(path, _)| path.starts_with(&head));
        of_it.any(|(path, stamp)| before.get(path) != Some(stamp))
    });
    match wrote {
        Some(name) => Ok((at.join(name), seen)),
        None => Err(refused(
            web,
            format!(
                "npm run build wrote nothing to {} of {}",
                output::folders(),
                web.folder
            ),
        )),
    }
}

/// Where a fault of the build is.
const POINTER: &str = "/scripts/build";

fn refused(web: Web<'_>, message: String) -> AppError {
    let fault = Fault::of_field(&web.manifest(), POINTER, message);
    AppError::does_not_build(vec![fault])
}

fn run(web: Web<'_>, scripts: &Value, cancel: Cancel<'_>) -> Result<Option<Seen>> {
    let marker = scripts::bundler(scripts).and_then(|program| program_of(web, program));
    let history = History::begin(web)?;
    let began = stamp(web)?;
    let at = web.tree.join(web.folder);
    let mut variables = with_a_home(web.cache);
    variables.insert("NODE_ENV".into(), "production".into());
    let build = || run::run("npm", &["run", "build"], &at, &variables, cancel);
    let (ran, sight) = match Watch::begin(web.tree, marker.as_deref())? {
        Some(watch) => watch.during(build),
        None => (build(), None),
    };
    // Of a build that fails, too: what it opened, a tool may have kept.
    let seen = history.end(web, sight.and_then(|sight| inputs_of(web, sight, began)))?;
    let Some(ran) = ran? else {
        let message = "needs npm, which is not on this machine. Install it";
        return Err(refused(web, message.to_owned()));
    };
    if ran.is_well() {
        return Ok(seen);
    }
    Err(ran.fault(&Failed {
        file: &web.manifest(),
        pointer: POINTER,
        program: "npm run build",
        tree: web.tree,
        before: "",
    }))
}

/// Where a program of the project's packages is, as npm finds it.
fn program_of(web: Web<'_>, name: &str) -> Option<PathBuf> {
    let around = path::folders_above(web.folder).filter(|folder| *folder != web.folder);
    std::iter::once(web.folder)
        .chain(around)
        .map(|folder| web.tree.join(folder).join("node_modules/.bin").join(name))
        .find_map(|program| program.canonicalize().ok())
}

/// What made the page, of what was opened: all of it, or what was opened from the begin of the program
/// that makes it, where all before it checked types and left nothing behind. Nothing, where the watch
/// has not even seen what npm opens first.
fn inputs_of(web: Web<'_>, sight: Sight, began: SystemTime) -> Option<Opened> {
    let manifest = web.manifest();
    let is_seen = [&sight.before, &sight.after]
        .iter()
        .any(|opened| opened.files.contains(&manifest));
    if !is_seen {
        return None;
    }
    let is_divided = !sight.wrote_before
        && sight
            .began
            .is_some_and(|until| !wrote_packages(web, began, until));
    Some(if is_divided {
        sight.after
    } else {
        sight.before.with(sight.after)
    })
}

/// The time of the staged copy's file system: of a file that is written now.
fn stamp(web: Web<'_>) -> Result<SystemTime> {
    let path = web.cache.join("web-begins");
    fs::write(&path, "").at("writing", &path)?;
    let looks = path.metadata().at("reading", &path)?;
    Ok(changed(&looks))
}

fn changed(looks: &fs::Metadata) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(looks.ctime()).unwrap_or_default());
    let rest = Duration::from_nanos(u64::try_from(looks.ctime_nsec()).unwrap_or_default());
    SystemTime::UNIX_EPOCH + seconds + rest
}

/// Whether something was written among the packages in this time, other than what type checks keep
/// for themselves. What cannot be looked at may have been.
fn wrote_packages(web: Web<'_>, began: SystemTime, until: SystemTime) -> bool {
    let top = web.install().map_or(web.folder, |install| &install.folder);
    [web.folder, top].iter().any(|folder| {
        let packages = web.tree.join(folder).join("node_modules");
        packages.exists() && has_changed(&packages, began, until).unwrap_or(true)
    })
}

fn has_changed(folder: &Path, began: SystemTime, until: SystemTime) -> std::io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let looks = entry.metadata()?;
        let name = entry.file_name();
        let changed = changed(&looks);
        let is_new = changed > began && changed <= until;
        if looks.is_dir() {
            if has_changed(&entry.path(), began, until)? {
                return Ok(true);
            }
        } else if is_new && !is_of_type_check(&name.to_string_lossy()) {
            return Ok(true);
        }
    }
    Ok(false)
}
