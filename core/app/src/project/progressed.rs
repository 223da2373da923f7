//! What a build tells on its way: to who follows it, and for the log of its release.

use super::folder::{Follow, Told};
use crate::build::log::{self, Event};
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

/// A commit as a release has it: as `git describe --dirty` does.
pub(super) fn described(commit: Option<&str>, dirty: bool) -> Option<String> {
    let end = if dirty { "-dirty" } else { "" };
    commit.map(|commit| format!("{commit}{end}"))
}
