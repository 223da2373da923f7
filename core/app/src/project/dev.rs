//! Dev sessions: the folder's declared tables and its methods, tried on a database that is not live.

use super::{
    change::{Source, Tools},
    folder::{Follow, Project, Result},
    live::May,
    progressed::Progressed,
};
use crate::{
    build::{
        disk::{self, At},
        release::Build,
    },
    place,
};
use remy_db::{Dev, Error, Options, Remy, State, Synced};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The session that is meant where none is named.
pub const DEFAULT: &str = "default";

/// How many builds are kept: processes that run an earlier one may still read it.
const KEPT: usize = 8;

/// The app's methods and scenarios as the working tree has them.
#[derive(Debug)]
pub struct DevBuilt {
    /// A folder with `app.json` and `methods/`, as a release's is. What is built of the same has the
    /// same.
    pub dir: PathBuf,
    /// What is odd.
    pub warnings: Vec<String>,
}

impl Project {
    /// Takes a copy of live for a dev session: an empty one before the first publish.
    pub fn dev_start(&self, name: &str, follow: Follow<'_>) -> Result<Dev> {
        self.on_live(May::Make { create: false }, |remy| {
            Ok(remy.dev_start_with(name, follow.quietly())?)
        })
    }

    /// Makes the schema of a dev session what the folder declares.
    ///
    /// Fails with `invalid_argument` where it declares nothing, and as a publish does; the session is
    /// as it was then.
    pub fn dev_sync(&self, name: &str, options: &Options, follow: Follow<'_>) -> Result<Synced> {
        let (path, options) = self.declared(&self.source(None)?, options)?;
        self.on_it(|remy| remy.dev_sync(name, &path, &options, follow.quietly()))
    }

    /// Makes the database of a dev session as live is now, and its schema what the folder declares,
    /// where it declares one.
    pub fn dev_reset(&self, name: &str, follow: Follow<'_>) -> Result<Dev> {
        let dev = self.on_it(|remy| remy.dev_reset_with(name, follow.quietly()))?;
        let place = self.place();
        if place.root.is_none() && place.schema.is_none() {
            return Ok(dev);
        }
        Ok(self.dev_sync(name, &Options::default(), follow)?.dev)
    }

    /// Empties the tables of a dev session.
    pub fn dev_truncate(&self, name: &str, options: &Options, follow: Follow<'_>) -> Result<Dev> {
        let options = self.settled(options);
        self.on_it(|remy| remy.dev_truncate_with(name, &options, follow.quietly()))
    }

    /// Ends a dev session and removes its database.
    pub fn dev_stop(&self, name: &str) -> Result<Dev> {
        self.on_it(|remy| remy.dev_stop(name))
    }

    /// The dev sessions, newest first.
    pub fn dev_list(&self) -> Result<Vec<Dev>> {
        self.on_it(Remy::dev_list)
    }

    /// Builds the methods and scenarios of the working tree, into `.remy/dev`.
    ///
    /// Fails as the build of a publish does, and with `invalid_argument` where the folder is no app.
    pub fn dev_build(&self, tools: &Tools, follow: Follow<'_>) -> Result<DevBuilt> {
        let Source::App(root) = self.source(None)? else {
            return Err(Error::invalid_argument("a schema alone has no methods")
                .state(State::NothingDone)
                .hint("Go to the folder of an app")
                .into());
        };
        let build = Build {
            for_dev: true,
            ..self.build_of(&root, tools)
        };
        let (_work, built) = self.built(&root, build, &Progressed::new(follow))?;
        let _acting = self.act(Some(&root))?;
        // It is the working tree's.
        disk::remove(&built.dir.join("source"))?;
        let folder = place::own_folder(&root)?.join("dev");
        fs::create_dir_all(&folder).at("making the folder", &folder)?;
        let dir = folder.join(hash_of(&built.dir)?);
        if disk::exists(&dir) {
            let now = SystemTime::now();
            let touched = File::open(&dir).and_then(|dir| dir.set_modified(now));
            touched.at("touching", &dir)?;
        } else {
            fs::rename(&built.dir, &dir).at("moving a build to", &dir)?;
        }
        forget(&folder);
        Ok(DevBuilt {
            dir,
            warnings: built.warnings,
        })
    }
}

/// Of all that is in a folder, names and content.
fn hash_of(folder: &Path) -> Result<String> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).at("reading", &at)? {
            let path = entry.at("reading", &at)?.path();
            let kind = path.symlink_metadata().at("looking at", &path)?;
            let content = if kind.is_dir() {
                folders.push(path.clone());
                continue;
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).at("reading", &path)?;
                target.display().to_string()
            } else {
                disk::hash_of(&path)?
            };
            let name = path.strip_prefix(folder).unwrap_or(&path);
            all.push(format!("{} {content}", name.display()));
        }
    }
    all.sort();
    Ok(disk::hash(all.join("\n")))
}

/// Removes all builds but the newest. One that cannot be removed is in nobody's way.
fn forget(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    all.sort();
    let old = all.len().saturating_sub(KEPT);
    for (_, path) in &all[..old] {
        let _ = disk::remove(path);
    }
}
