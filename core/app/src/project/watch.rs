//! A dev session follows the working tree: what changes there is built, and its schema synced.

use super::{
    change::Source,
    folder::{Follow, Result},
    workbench::{Prepared, Workbench},
};
use crate::build::changes::Changes;
use remy_db::{Error, State};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// When it is tried again where somebody held a lock: no change of the tree tells of its end.
const AGAIN: Duration = Duration::from_secs(1);

/// A session that follows the working tree.
pub struct Watch {
    workbench: Workbench,
    name: String,
    changes: Changes,
    /// What came of the last time; nothing before the first.
    last: Option<Last>,
}

/// What came of the working tree as it was.
enum Last {
    /// The build that the session has.
    Built(PathBuf),
    /// Why it could not follow; and whether it may, without a change.
    Fault { message: String, may_pass: bool },
}

/// What came of a change of the working tree.
#[derive(Debug)]
pub struct Followed {
    /// The session as it is now; or why it is as it was.
    pub came: Result<Prepared>,
    /// How long that took.
    pub took: Duration,
}

impl Watch {
    /// Begins to watch the working tree for a dev session, which is started where it is not there.
    ///
    /// Fails with `invalid_argument` where the folder is no app, with `io` where it cannot be watched,
    /// and as [`super::Project::dev_start`] does.
    pub fn begin(workbench: Workbench, name: &str, follow: Follow<'_>) -> Result<Self> {
        let project = workbench.project();
        let Source::App(root) = project.source(None)? else {
            return Err(Error::invalid_argument("a schema alone has no methods")
                .state(State::NothingDone)
                .hint("Go to the folder of an app")
                .into());
        };
        let is_there = project.dev_session(name);
        if is_there.is_err_and(|e| e.error().code() == "not_found") {
            project.dev_start(name, follow)?;
        }
        // Before the first build: what changes during it is told.
        let changes = Changes::watch(&root, &project.place().path)?;
        Ok(Self {
            workbench,
            name: name.to_owned(),
            changes,
            last: None,
        })
    }

    /// The session.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for the next change of the working tree, and makes the session what that is by then; at
    /// once, where it is the first time. What makes no difference is passed over. A session that cannot
    /// follow is as it was, and goes on to be called as that. Nothing, once the caller calls it off.
    ///
    /// Fails where the folder cannot be watched any more.
    pub fn next(&mut self, follow: Follow<'_>) -> Result<Option<Followed>> {
        loop {
            let limit = match &self.last {
                None => Some(Duration::ZERO),
                Some(Last::Fault { may_pass: true, .. }) => Some(AGAIN),
                Some(_) => None,
            };
            if !self.changes.wait(limit, follow.cancel())? {
                return Ok(None);
            }
            let began = Instant::now();
            let came = self.workbench.prepare(&self.name, follow);
            if follow.cancel().is_set() {
                return Ok(None);
            }
            let took = began.elapsed();
            if self.is_told(&came) {
                return Ok(Some(Followed { came, took }));
            }
        }
    }

    /// Whether it makes a difference.
    fn is_told(&mut self, came: &Result<Prepared>) -> bool {
        let now = match came {
            Ok(prepared) => Last::Built(prepared.built.dir.clone()),
            Err(e) => Last::Fault {
                message: e.to_string(),
                may_pass: e.error().code() == "busy",
            },
        };
        let is_same = match (&self.last, &now) {
            (Some(Last::Built(before)), Last::Built(now)) => before == now,
            // The same lock that is still held is told once; who saves a file that is still wrong is
            // told again.
            (
                Some(Last::Fault { message, may_pass }),
                Last::Fault {
                    message: again,
                    may_pass: true,
                },
            ) => *may_pass && message == again,
            _ => false,
        };
        let is_synced = came
            .as_ref()
            .is_ok_and(|prepared| !prepared.synced.statements.is_empty());
        self.last = Some(now);
        !is_same || is_synced
    }
}
