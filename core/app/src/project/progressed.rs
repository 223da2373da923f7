//! What a build tells on its way: to who follows it, and for the log of its release.

use super::folder::{Follow, Project, Told};
use crate::{
    build::log::{self, Event},
    place::store_beside,
    secrets::{Secrets, Target},
    variables::{self, Reads},
};
use remy_db::internals::owner;
use std::cell::RefCell;

/// What a build has told.
pub(super) struct Progressed<'a> {
    pub(super) follow: Follow<'a>,
    pub(super) lines: RefCell<Vec<log::Line>>,
    /// What is built, as a release has it.
    pub(super) source: RefCell<Option<String>>,
}

impl<'a> Progressed<'a> {
    pub(super) fn new(follow: Follow<'a>) -> Self {
        Self {
            follow,
            lines: RefCell::default(),
            source: RefCell::default(),
        }
    }

    pub(super) fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Source { commit, dirty } => {
                self.source.replace(described(*commit, *dirty));
            }
            Event::Line(line) => {
                self.lines.borrow_mut().push((*line).clone());
                let told = Told::Build {
                    release: None,
                    seq: None,
                    line,
                };
                owner::as_the_caller(|| (self.follow.on_line)(&told));
            }
        }
    }
}

impl Project {
    /// Tells who follows, in a line for the log, of variables that methods read and that have no value
    /// here. What a release was built without is set later, too: this is no fault.
    pub(super) fn told_without_value(
        &self,
        reads: &Reads,
        of: Target,
        progress: &Progressed<'_>,
    ) -> Option<log::Line> {
        let _acting = self.act(self.place.root.as_deref()).ok()?;
        let secrets = store_beside(&self.place.path).map(|store| Secrets::of(&store));
        let message = variables::warning(reads, secrets.as_ref(), of)?;
        let line = log::Line::warning(message, "secrets");
        progress.tell(&Event::Line(&line));
        Some(line)
    }
}

/// A commit as a release has it: as `git describe --dirty` does.
pub(super) fn described(commit: Option<&str>, dirty: bool) -> Option<String> {
    let end = if dirty { "-dirty" } else { "" };
    commit.map(|commit| format!("{commit}{end}"))
}
