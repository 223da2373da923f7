//! The working tree, made what a dev session is, again and again: what one build had at hand, the next
//! one has.

use super::{
    change::Tools,
    dev::for_a_sync,
    dev_build::DevBuilt,
    folder::{Follow, Project, Result},
};
use crate::build::kept::Kept;
use remy_db::{Options, Synced};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// A dev session that is what the working tree is.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What became of its schema.
    pub synced: Synced,
    /// The methods and scenarios.
    pub built: DevBuilt,
}

/// Makes dev sessions what the working tree is. May be used from any number of threads at once.
pub struct Workbench {
    project: Arc<Project>,
    tools: Tools,
    is_served: bool,
    at_hand: Mutex<AtHand>,
}

/// What earlier work has left.
#[derive(Default)]
struct AtHand {
    kept: Kept,
    /// What came of the last time, by sessions, and when that began.
    last: BTreeMap<String, (Instant, Result<Prepared>)>,
}

impl Workbench {
    /// Of a folder, with nothing at hand yet.
    pub fn new(project: Arc<Project>, tools: Tools) -> Self {
        Self {
            project,
            tools,
            is_served: false,
            at_hand: Mutex::default(),
        }
    }

    /// Of a folder whose sessions are served: interfaces are built as well.
    pub fn serving(project: Arc<Project>, tools: Tools) -> Self {
        Self {
            is_served: true,
            ..Self::new(project, tools)
        }
    }

    /// The folder.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Builds the methods and scenarios of the working tree, and makes the schema of a dev session what
    /// it declares. Those who wait here for others' work to end share what is then done once.
    ///
    /// Fails as [`Project::dev_session`], [`Project::dev_build`] and [`Project::dev_sync`] do, and the
    /// session is as it was.
    pub fn prepare(&self, name: &str, follow: Follow<'_>) -> Result<Prepared> {
        let asked = Instant::now();
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        // What began since has read the tree as it was then, or later.
        if let Some((began, done)) = at_hand.last.get(name)
            && *began >= asked
        {
            return done.clone();
        }
        let began = Instant::now();
        let done = self.prepare_now(&mut at_hand.kept, name, follow);
        // That somebody called it off is nothing to whoever waits.
        if !follow.cancel().is_set() {
            at_hand.last.insert(name.to_owned(), (began, done.clone()));
        }
        done
    }

    fn prepare_now(&self, kept: &mut Kept, name: &str, follow: Follow<'_>) -> Result<Prepared> {
        // An install takes long, and is not for a session that is not there.
        self.project.dev_session(name)?;
        // What does not build is told before a table is touched.
        let with = (&self.tools, self.is_served);
        let built = self.project.dev_build_with(kept, with, follow)?;
        let options = Options::default();
        let synced = self.project.dev_sync(name, &options, follow);
        let synced = synced.map_err(for_a_sync)?;
        Ok(Prepared { synced, built })
    }
}
