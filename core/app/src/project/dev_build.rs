//! The methods and scenarios of the working tree, built for dev sessions.

use super::{
    change::{Source, Tools},
    folder::{Follow, Project, Result},
    progressed::Progressed,
};
use crate::{
    build::{
        disk::{self, At},
        kept::Kept,
        release::{Build, Built},
    },
    files, place,
    secrets::Target,
    variables,
};
use remy_db::{Error, State};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// How many builds are kept: processes that run an earlier one may still read it.
const KEPT: usize = 8;

/// The app's methods and scenarios as the working tree has them.
#[derive(Debug, Clone)]
pub struct DevBuilt {
    /// A folder with `app.json` and `methods/`, as a release's is. What is built of the same has the
    /// same.
    pub dir: PathBuf,
    /// The methods and scenarios that no earlier build had compiled, by their ids.
    pub compiled: Vec<String>,
    /// The hash of the web interface, where it was built.
    pub web: Option<String>,
    /// The methods that live would run by the clock.
    pub scheduled: Vec<String>,
    /// What is odd.
    pub warnings: Vec<String>,
}

impl Project {
    /// Builds the methods and scenarios of the working tree, into `.remy/dev`.
    ///
    /// Fails as the build of a publish does, and with `invalid_argument` where the folder is no app.
    pub fn dev_build(&self, tools: &Tools, follow: Follow<'_>) -> Result<DevBuilt> {
        self.dev_build_with(&mut Kept::default(), (tools, false), follow)
    }

    /// The same, with what an earlier build has left at hand; with interfaces, where `is_served`.
    pub(super) fn dev_build_with(
        &self,
        kept: &mut Kept,
        (tools, is_served): (&Tools, bool),
        follow: Follow<'_>,
    ) -> Result<DevBuilt> {
        let Source::App(root) = self.source(None)? else {
            return Err(Error::invalid_argument("a schema alone has no methods")
                .state(State::NothingDone)
                .hint("Go to the folder of an app")
                .into());
        };
        let build = Build {
            for_dev: true,
            is_served,
            ..self.build_of(&root, tools)
        };
        let progress = Progressed::new(follow);
        let (_work, built) = self.built_with(kept, &root, build, &progress)?;
        let read = built.compiled.iter();
        let read = read.map(|done| (done.id.clone(), done.variables.clone()));
        let reads = variables::to_be_set(read);
        let odd = self.told_without_value(&reads, Target::Dev, &progress);
        let _acting = self.act(Some(&root))?;
        // It is the working tree's.
        disk::remove(&built.dir.join("source"))?;
        let folder = place::own_folder(&root)?.join("dev");
        fs::create_dir_all(&folder).at("making the folder", &folder)?;
        let (hash, web) = hash_of(&built)?;
        let dir = folder.join(hash);
        if disk::exists(&dir) {
            let now = SystemTime::now();
            let touched = File::open(&dir).and_then(|dir| dir.set_modified(now));
            touched.at("touching", &dir)?;
        } else {
            fs::rename(&built.dir, &dir).at("moving a build to", &dir)?;
        }
        forget(&folder);
        let compiled = built.compiled.iter().filter(|done| !done.reused);
        Ok(DevBuilt {
            dir,
            compiled: compiled.map(|done| done.id.clone()).collect(),
            web,
            scheduled: scheduled(&built.effects),
            warnings: built
                .warnings
                .into_iter()
                .chain(odd.map(|line| line.message))
                .collect(),
        })
    }
}

/// The methods of cron jobs, each once.
fn scheduled(effects: &Value) -> Vec<String> {
    let jobs = effects["cron_jobs"].as_array().into_iter().flatten();
    let methods = jobs.filter_map(|job| job["method"].as_str());
    let methods: BTreeSet<&str> = methods.collect();
    methods.into_iter().map(str::to_owned).collect()
}

/// Of all that a build was made of: what is built of the same is the same. And of its web interface,
/// where it has one.
fn hash_of(built: &Built) -> Result<(String, Option<String>)> {
    let at = built.dir.join("app.json");
    let mut all = vec![disk::hash_of(&at)?];
    let compiled = built.compiled.iter();
    all.extend(compiled.map(|done| format!("{} {}", done.id, done.made_of)));
    let interfaces = built.dir.join("interfaces");
    let mut web = Vec::new();
    if interfaces.is_dir() {
        for file in files::list(&interfaces, None)? {
            let hash = disk::hash_of(&interfaces.join(&file.path))?;
            let line = format!("{} {hash}", file.path);
            if file.path.starts_with("web/") {
                web.push(line.clone());
            }
            all.push(line);
        }
    }
    let web = (!web.is_empty()).then(|| disk::hash(web.join("\n")));
    Ok((disk::hash(all.join("\n")), web))
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
