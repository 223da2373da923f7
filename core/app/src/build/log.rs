//! The log of a build: a line for each step, with the time since it began.

use remy_db::{Step, StepOutcome};
use serde::Serialize;
use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A line of it, in the shape of those that verbs write.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// When it was written, in milliseconds since 1970.
    pub at: i64,
    /// Which part of a release's way it is of: always `build`.
    pub step: Step,
    /// How the step ended.
    pub outcome: StepOutcome,
    /// What was done.
    pub message: String,
    /// To what.
    pub object: Option<String>,
    /// By which statement: none.
    pub sql: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
}

impl Line {
    /// What is odd, which took no time.
    pub fn warning(message: String, object: &str) -> Self {
        let log = Log::new(&|_| ());
        log.write(StepOutcome::Warning, message, Some(object), Duration::ZERO);
        log.into_lines().remove(0)
    }
}

/// What a build tells on its way.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event<'a> {
    /// A line of its log.
    Line(&'a Line),
    /// What is built, once that is known.
    Source {
        /// The commit that the source is of, if it is of one.
        commit: Option<&'a str>,
        /// Whether the files are other than the commit's.
        dirty: bool,
    },
}

/// A log that is written.
pub(super) struct Log<'a> {
    lines: RefCell<Vec<Line>>,
    began: Cell<Instant>,
    tell: &'a dyn Fn(&Event<'_>),
}

impl<'a> Log<'a> {
    /// An empty one, of which every line is told.
    pub fn new(tell: &'a dyn Fn(&Event<'_>)) -> Self {
        Self {
            lines: RefCell::default(),
            began: Cell::new(Instant::now()),
            tell,
        }
    }

    /// Tells what is no line.
    pub fn tell(&self, event: &Event<'_>) {
        (self.tell)(event);
    }

    /// A step begins.
    pub fn begin(&self) {
        self.began.set(Instant::now());
    }

    /// The step that began last is done.
    pub fn done(&self, message: String, object: Option<&str>) {
        self.write(StepOutcome::Ok, message, object, self.began.get().elapsed());
    }

    /// What took no time.
    pub fn line(&self, outcome: StepOutcome, message: String, object: Option<&str>) {
        self.write(outcome, message, object, Duration::ZERO);
    }

    /// What is odd.
    pub fn warn(&self, warnings: impl IntoIterator<Item = String>, object: Option<&str>) {
        for warning in warnings {
            self.line(StepOutcome::Warning, warning, object);
        }
    }

    fn write(&self, outcome: StepOutcome, message: String, object: Option<&str>, took: Duration) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let line = Line {
            at: now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX)),
            step: Step::Build,
            outcome,
            message,
            object: object.map(str::to_owned),
            sql: None,
            duration_ms: (took.as_secs_f64() * 1_000_000.0).round() / 1000.0,
        };
        (self.tell)(&Event::Line(&line));
        self.lines.borrow_mut().push(line);
    }

    /// All lines that were written.
    pub fn into_lines(self) -> Vec<Line> {
        self.lines.into_inner()
    }
}
