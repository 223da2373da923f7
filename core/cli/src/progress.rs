//! A release while it is made: a live view on a terminal, plain lines elsewhere, events with
//! `--json`. What failed is left to the error that ends it.

use crate::{
    annotations, output, screen,
    show::text::{cut, mark, message, one_line, took},
};
use remy_db::{StepOutcome, internals::NoStops};
use remy_db_app::project::Told;
use serde_json::json;
use std::{
    env,
    io::{self, IsTerminal as _},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME: Duration = Duration::from_millis(80);
/// A line says after so long that there is still work going on.
const BEAT: Duration = Duration::from_secs(15);
/// Times stand at most this far to the right.
const WIDTH: usize = 100;

/// How a verb is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Not at all.
    None,
    /// Without the lines of what went well.
    Quiet,
    /// An event a line, on stdout.
    Events,
    /// A line each.
    Lines,
    /// A line each, and one at work.
    View {
        /// In colours.
        colored: bool,
    },
}

/// Follows a verb.
pub struct Progress {
    style: Style,
    working: Arc<Mutex<Working>>,
    beat: Mutex<Option<Beat>>,
}

/// What is at work, and since when.
struct Working {
    what: &'static str,
    since: Instant,
    /// When a line was shown last.
    heard: Instant,
}

impl Working {
    /// It begins now.
    fn on(what: &'static str) -> Self {
        let since = Instant::now();
        Self {
            what,
            since,
            heard: since,
        }
    }
}

/// The thread that shows what is at work. It ends with its sender.
struct Beat {
    alive: Sender<()>,
    thread: JoinHandle<()>,
}

/// A line, of a build or of a verb.
struct Step<'a> {
    name: &'a str,
    outcome: StepOutcome,
    message: &'a str,
    ms: f64,
}

impl Style {
    /// For people: as their terminal can.
    pub fn for_people() -> Self {
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        if !io::stderr().is_terminal() || is_dumb {
            return Self::Lines;
        }
        let colored = env::var_os("NO_COLOR").is_none_or(|unwanted| unwanted.is_empty());
        Self::View { colored }
    }
}

impl Progress {
    /// Nothing is shown before the first line, or [`Progress::begin`].
    pub fn new(style: Style) -> Self {
        Self {
            style,
            working: Arc::new(Mutex::new(Working::on("Starting"))),
            beat: Mutex::new(None),
        }
    }

    /// The verb begins.
    pub fn begin(&self) {
        let (period, show): (_, fn(&Working, usize, bool)) = match self.style {
            Style::View { .. } => (FRAME, spin),
            Style::Lines => (BEAT, beat),
            _ => return,
        };
        let colored = self.style == Style::View { colored: true };
        let working = Arc::clone(&self.working);
        let (alive, ended) = mpsc::channel::<()>();
        // A stop (Ctrl-Z) is delivered by any thread that lets it in: this is none, so that a verb
        // that holds live's lock is not stopped.
        let _no_stops = NoStops::new();
        let thread = thread::Builder::new().spawn(move || {
            let turn = |n| show(&held(&working), n, colored);
            if period == FRAME {
                turn(0);
            }
            for n in 1.. {
                if ended.recv_timeout(period) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
                turn(n);
            }
        });
        // Without a thread nothing moves, and all else is as it is.
        if let Ok(thread) = thread {
            *held(&self.beat) = Some(Beat { alive, thread });
        }
    }

    /// Shows a line.
    pub fn tell(&self, told: &Told<'_>) {
        match self.style {
            Style::None => {}
            Style::Events => {
                let event = json!({ "event": "line", "line": told });
                output::write(format!("{event}\n").as_bytes());
            }
            _ => self.show(&Step::of(told)),
        }
    }

    fn show(&self, step: &Step<'_>) {
        let is_quiet = self.style == Style::Quiet && step.outcome == StepOutcome::Ok;
        if step.outcome != StepOutcome::Failed && !is_quiet {
            let lines = match self.style {
                Style::View { colored } => step.aligned(colored),
                _ => step.plain(),
            };
            screen::say(&lines);
        }
        if step.outcome == StepOutcome::Warning {
            annotations::warn(step.message);
        }
        *held(&self.working) = Working::on(next(step.name));
        if let Style::View { colored } = self.style
            && held(&self.beat).is_some()
        {
            spin(&held(&self.working), 0, colored);
        }
    }

    /// Shows a line of a program's.
    pub fn said(&self, program: &str, line: &str) {
        let colored = self.style == Style::View { colored: true };
        let line = format!("  {program} | {}", one_line(line));
        screen::say(&format!("{}\n", painted(colored, "2", &line)));
        // It is not silent.
        held(&self.working).heard = Instant::now();
    }

    /// The verb has ended.
    pub fn end(&self) {
        let beat = held(&self.beat).take();
        if let Some(Beat { alive, thread }) = beat {
            drop(alive);
            let _ = thread.join();
            screen::rest();
        }
    }

    /// Whether there are lines, or events.
    pub fn is_followed(&self) -> bool {
        self.style != Style::None
    }

    /// Whether lines are events on stdout.
    pub fn is_events(&self) -> bool {
        self.style == Style::Events
    }
}

fn held<T>(it: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is at work after a step, until the next line says how it went.
fn next(step: &str) -> &'static str {
    match step {
        "adopt" => "Preparing",
        "build" => "Building",
        "clone" | "rehearse" => "Rehearsing the change",
        "check" => "Catching up with writers",
        "catch_up" => "Switching",
        "switch" | "settle" => "Settling",
        "verify" => "Reading everything again",
        _ => "At work",
    }
}

fn spin(working: &Working, n: usize, colored: bool) {
    let width = output::width(io::stderr()).unwrap_or(80);
    let seconds = working.since.elapsed().as_secs();
    let since = match seconds {
        0 | 1 => String::new(),
        seconds => format!(" {seconds} s"),
    };
    let frame = painted(colored, "36", &FRAMES[n % FRAMES.len()].to_string());
    let text = cut(&format!("{}{since}", working.what), width.saturating_sub(3));
    screen::work(&format!("{frame} {text}"));
}

fn beat(working: &Working, _: usize, _: bool) {
    let seconds = working.since.elapsed().as_secs();
    // Else a line has been there meanwhile.
    if working.heard.elapsed().as_secs() + 1 >= BEAT.as_secs() {
        screen::say(&format!("… {}, {seconds} s\n", working.what));
    }
}

fn painted(colored: bool, color: &str, text: &str) -> String {
    match colored {
        true => format!("\x1b[{color}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

impl<'a> Step<'a> {
    fn of(told: &'a Told<'_>) -> Self {
        match told {
            Told::Build { line, .. } => Self {
                name: line.step.as_str(),
                outcome: line.outcome,
                message: &line.message,
                ms: line.duration_ms,
            },
            Told::Release(line) => Self {
                name: line.step.as_str(),
                outcome: line.outcome,
                message: &line.message,
                ms: line.duration_ms,
            },
        }
    }

    fn plain(&self) -> String {
        let mut lines = message(self.name, self.outcome, self.message);
        let time = took(self.ms);
        if !time.is_empty() {
            lines[0].push_str("  ");
            lines[0].push_str(&time);
        }
        format!("{} {}\n", mark(self.outcome), lines.join("\n"))
    }

    /// With its time at the right.
    fn aligned(&self, colored: bool) -> String {
        let width = output::width(io::stderr()).unwrap_or(80).min(WIDTH);
        let time = took(self.ms);
        // The mark and a space before, two spaces between, and the last column free.
        let room = width.saturating_sub(5 + time.chars().count());
        let lines = message(self.name, self.outcome, self.message);
        let (color, first) = match self.outcome {
            StepOutcome::Ok => ("32", cut(&lines[0], room)),
            // A warning is never cut.
            StepOutcome::Warning => ("33", lines[0].clone()),
            StepOutcome::Failed => ("31", lines[0].clone()),
        };
        let mut text = format!("{} {first}", painted(colored, color, mark(self.outcome)));
        if !time.is_empty() {
            let gap = (room + 2).saturating_sub(first.chars().count()).max(2);
            text.push_str(&" ".repeat(gap));
            text.push_str(&painted(colored, "2", &time));
        }
        for line in &lines[1..] {
            text.push('\n');
            text.push_str(line);
        }
        text.push('\n');
        text
    }
}
