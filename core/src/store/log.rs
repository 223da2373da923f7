//! The build log of a verb that is at work: every step with start, duration, outcome and context.

use crate::{
    base::{
        clock::{self, Moment},
        error::{Error, Result},
        history::{Line, Step},
        ids::ReleaseId,
        options::{BuildFailure, BuildStep, StepOutcome},
        progress::Progress,
        remedy::Remedy,
    },
    schema::plan::model::{Statement, StatementKind},
    store::catalog::Catalog,
};
use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

pub(crate) struct Log<'a> {
    /// Where lines are kept; a dry run keeps none.
    catalog: Option<&'a Catalog>,
    progress: Progress<'a>,
    release: Cell<ReleaseId>,
    lines: RefCell<Vec<Line>>,
    /// When the last line ended: each is of the time since then, so that all of a verb's time is in
    /// one.
    since: Cell<Moment>,
}

impl<'a> Log<'a> {
    pub(crate) fn new(
        catalog: Option<&'a Catalog>,
        release: ReleaseId,
        progress: Progress<'a>,
    ) -> Self {
        Self {
            catalog,
            progress,
            release: Cell::new(release),
            lines: RefCell::default(),
            since: Cell::new(Moment::now()),
        }
    }

    /// Of a verb that began before there was a log of it.
    pub(crate) fn since(self, start: Moment) -> Self {
        self.since.set(start);
        self
    }

    /// Does a step and writes down how it went. `done` says what was done.
    pub(crate) fn step<T>(
        &self,
        step: Step,
        work: impl FnOnce() -> Result<T>,
        done: impl FnOnce(&T) -> String,
    ) -> Result<T> {
        self.progress.check()?;
        self.last_step(step, work, done)
    }

    /// As [`Log::step`], for what comes after COMMIT: nothing calls that off.
    pub(crate) fn last_step<T>(
        &self,
        step: Step,
        work: impl FnOnce() -> Result<T>,
        done: impl FnOnce(&T) -> String,
    ) -> Result<T> {
        let result = work();
        match &result {
            Ok(value) => self.add(Entry::new(step, StepOutcome::Ok, done(value))),
            Err(e) => self.failed_at(step, e),
        }
        result
    }

    /// A statement of the plan, which has just been run. A migration is a whole file, with the rows
    /// that it has: it is told by its name.
    pub(crate) fn statement(&self, statement: &Statement) {
        let Statement {
            kind, object, sql, ..
        } = statement;
        let message = match *kind {
            StatementKind::Migration => object.clone(),
            _ => sql.lines().map(str::trim).collect::<Vec<_>>().join(" "),
        };
        self.add(Entry {
            object: Some(object.clone()),
            sql: Some(sql.clone()),
            ..Entry::new(Step::Rehearse, StepOutcome::Ok, message)
        });
    }

    /// What is so, and took no time: what there was before it belongs to the line that comes next.
    pub(crate) fn fact(&self, step: Step, message: impl Into<String>) {
        self.put(
            clock::now(),
            Duration::ZERO,
            Entry::new(step, StepOutcome::Ok, message.into()),
        );
    }

    /// What has just been done.
    pub(crate) fn note(&self, step: Step, message: impl Into<String>) {
        self.add(Entry::new(step, StepOutcome::Ok, message.into()));
    }

    /// A warning is said once: who built the release may have said it.
    pub(crate) fn warn(&self, step: Step, message: impl Into<String>) {
        let message = message.into();
        let said = self
            .lines
            .borrow()
            .iter()
            .any(|line| line.outcome == StepOutcome::Warning && line.message == message);
        if !said {
            self.add(Entry::new(step, StepOutcome::Warning, message));
        }
    }

    /// Steps that the caller took before, and knows of: nobody is told of them.
    pub(crate) fn before(&self, steps: &[BuildStep]) {
        for step in steps {
            let took = Duration::try_from_secs_f64(step.duration_ms / 1000.0).unwrap_or_default();
            let entry = Entry {
                object: step.object.clone(),
                ..Entry::new(Step::Build, step.outcome, step.message.clone())
            };
            self.keep(step.at, took, entry);
        }
    }

    /// Writes down why a verb ended, unless a step has done so: at the step that it had come to.
    pub(crate) fn end(&self, e: &Error) {
        let last = self
            .lines
            .borrow()
            .last()
            .map(|line| (line.step, line.outcome == StepOutcome::Failed));
        match last {
            Some((_, true)) => {}
            Some((step, false)) => self.failed_at(step, e),
            None => self.failed_at(Step::Build, e),
        }
    }

    /// Writes down why a build ended.
    pub(crate) fn give_up(&self, failure: &BuildFailure) {
        let message = format!("{}: {}", failure.code, failure.message);
        self.add(Entry {
            object: failure.object.clone(),
            ..Entry::new(Step::Build, StepOutcome::Failed, message)
        });
    }

    /// Writes down that a step failed.
    pub(crate) fn failed_at(&self, step: Step, e: &Error) {
        let detail = e.detail();
        self.add(Entry {
            object: detail.object.clone(),
            sql: detail.sql.clone(),
            remedy: detail.hint.clone(),
            ..Entry::new(step, StepOutcome::Failed, format!("{}: {e}", e.code()))
        });
    }

    /// Writes down what ends now, and began when the line before it ended.
    fn add(&self, entry: Entry) {
        let took = self.since.replace(Moment::now()).elapsed();
        let at = clock::now() - i64::try_from(took.as_millis()).unwrap_or(0);
        self.put(at, took, entry);
    }

    fn put(&self, at: i64, took: Duration, entry: Entry) {
        let line = self.keep(at, took, entry);
        self.progress.line(&line);
    }

    fn keep(&self, at: i64, took: Duration, entry: Entry) -> Line {
        let mut line = Line {
            release: self.release.get(),
            seq: i64::try_from(self.lines.borrow().len()).unwrap_or(0) + 1,
            at,
            step: entry.step,
            outcome: entry.outcome,
            message: entry.message,
            object: entry.object,
            sql: entry.sql,
            remedy: entry.remedy,
            duration_ms: clock::ms(took),
        };
        // A log that cannot be written is no reason to stop what it is about.
        if let Some(seq) = self
            .catalog
            .and_then(|catalog| catalog.add_line(&line).ok())
        {
            line.seq = seq;
        }
        self.lines.borrow_mut().push(line.clone());
        line
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.lines.borrow().clone()
    }

    pub(crate) fn progress(&self) -> Progress<'a> {
        self.progress
    }
}

/// What a line says.
struct Entry {
    step: Step,
    outcome: StepOutcome,
    message: String,
    object: Option<String>,
    sql: Option<String>,
    remedy: Option<Remedy>,
}

impl Entry {
    fn new(step: Step, outcome: StepOutcome, message: String) -> Self {
        Self {
            step,
            outcome,
            message,
            object: None,
            sql: None,
            remedy: None,
        }
    }
}
