//! Pages of the documentation, run as they stand.
//!
//! A block of code whose info string has a name (```` ```c app.c ````) is a file. In a block
//! `console` what follows `$ ` is run, what follows `sqlite> ` is typed into the shell that it
//! started, and the other lines are what came of it: they have to come of it again, but for times,
//! sizes and ids. A line `…` stands for any number of lines. A command with nothing below it has to
//! succeed, whatever it says. With `REMY_WRITE=1` what differs is written into the page, to be read
//! before it is committed; a line `?` asks for it.
use crate::{output, repository};
use regex::Regex;
use std::{fmt::Write as _, fs, iter, path::Path, process::Command, sync::LazyLock};

/// A page, and what of it is not run.
pub struct Page<'a> {
    /// Its path in the repository.
    pub path: &'a str,
    /// Headings whose parts are passed over.
    pub but: &'a [&'a str],
    /// What is entered, and shown, in the place of what stands there: a port that is free.
    pub instead: &'a [(&'a str, String)],
}

enum Part {
    File { name: String, text: String },
    Step(Step),
}

/// What is entered, and what comes of it.
struct Step {
    entered: Entered,
    shown: Vec<String>,
    /// Where what it shows stands: from the line, up to the line.
    lines: (usize, usize),
}

enum Entered {
    Command(String),
    /// Into the shell that the command before has started.
    Typed(String),
}

/// Ends what a step said, and tells its status.
const MARK: &str = "the step ended with";

impl Page<'_> {
    /// Runs it in a folder, with more in the environment.
    pub fn run(&self, folder: &Path, environment: &[(&str, String)]) {
        let file = repository(self.path);
        let mut text = fs::read_to_string(&file).expect(self.path);
        for (there, instead) in self.instead {
            assert!(text.contains(there), "{there} is not in {}", self.path);
            text = text.replace(there, instead);
        }
        let parts = self.parts(&text);
        let said = run(&parts, folder, environment);
        let steps = parts.iter().filter_map(|part| match part {
            Part::Step(step) => Some(step),
            Part::File { .. } => None,
        });
        let said = said.iter().map(Some).chain(iter::repeat(None));
        let steps: Vec<_> = steps.zip(said).collect();
        assert!(!steps.is_empty(), "{} has no session", self.path);

        let mut lines: Vec<&str> = text.lines().collect();
        let mut wrong = Vec::new();
        // From the end: what is written in the place of lines moves those behind it.
        for (step, said) in steps.iter().rev() {
            let (Entered::Command(entered) | Entered::Typed(entered)) = &step.entered;
            let Some((said, status)) = said else {
                wrong.push(format!("{entered}\nwas not run"));
                continue;
            };
            let said: Vec<&str> = said.trim_end().lines().collect();
            let is_as_shown = match step.shown.is_empty() {
                true => *status == 0,
                false => is_as_shown(&step.shown, &said),
            };
            if !is_as_shown {
                wrong.push(format!("{entered}\n{}\n=> {status}", said.join("\n")));
                if !step.shown.is_empty() {
                    lines.splice(step.lines.0..step.lines.1, said);
                }
            }
        }
        wrong.reverse();
        if std::env::var_os("REMY_WRITE").is_some() {
            let mut page = lines.join("\n") + "\n";
            for (there, instead) in self.instead {
                page = page.replace(instead, there);
            }
            fs::write(&file, page).expect("the page");
        }
        assert!(wrong.is_empty(), "{}:\n{}", self.path, wrong.join("\n\n"));
    }

    fn parts(&self, text: &str) -> Vec<Part> {
        let (mut parts, mut is_passed_over) = (Vec::new(), false);
        let mut lines = text.lines().enumerate();
        while let Some((_, line)) = lines.next() {
            if let Some(heading) = line.strip_prefix("## ") {
                is_passed_over = self.but.contains(&heading);
            }
            let Some(info) = line.strip_prefix("```") else {
                continue;
            };
            let block: Vec<_> = lines
                .by_ref()
                .take_while(|(_, line)| *line != "```")
                .collect();
            if is_passed_over {
                continue;
            }
            if info == "console" {
                parts.extend(steps(&block).into_iter().map(Part::Step));
            } else if let Some((_, name)) = info.split_once(' ') {
                let text = block.iter().map(|(_, line)| format!("{line}\n")).collect();
                let name = name.to_owned();
                parts.push(Part::File { name, text });
            }
        }
        parts
    }
}

fn steps(block: &[(usize, &str)]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for &(at, line) in block {
        let entered = match line.strip_prefix("$ ") {
            Some(command) => Some(Entered::Command(command.to_owned())),
            None => line
                .strip_prefix("sqlite> ")
                .map(|typed| Entered::Typed(typed.to_owned())),
        };
        if let Some(entered) = entered {
            let lines = (at + 1, at + 1);
            steps.push(Step {
                entered,
                shown: Vec::new(),
                lines,
            });
            continue;
        }
        let step = steps.last_mut().expect("a session begins with a command");
        if let (Entered::Typed(typed), Some(more)) =
            (&mut step.entered, line.strip_prefix("   ...> "))
        {
            let _ = write!(typed, "\n{more}");
            step.lines = (at + 1, at + 1);
        } else {
            step.shown.push(line.to_owned());
            step.lines.1 = at + 1;
        }
    }
    steps
}

/// Runs all of it in one shell. Returns what each step said, and its status.
fn run(parts: &[Part], folder: &Path, environment: &[(&str, String)]) -> Vec<(String, i32)> {
    let files = tempfile::tempdir().expect("a folder");
    let mut script = String::from("exec 2>&1 </dev/null\n");
    let mut parts = parts.iter().enumerate().peekable();
    while let Some((at, part)) = parts.next() {
        match part {
            Part::File { name, text } => {
                let kept = files.path().join(at.to_string());
                fs::write(&kept, text).expect("a file");
                let _ = writeln!(
                    script,
                    "mkdir -p \"$(dirname {name})\"; cp {} {name}",
                    kept.display()
                );
            }
            Part::Step(Step {
                entered: Entered::Command(command),
                ..
            }) => {
                let mut typed = String::new();
                while let Some((
                    _,
                    Part::Step(Step {
                        entered: Entered::Typed(line),
                        ..
                    }),
                )) = parts.peek()
                {
                    let _ = write!(typed, ".print '{MARK}' 0\n{line}\n.print\n");
                    parts.next();
                }
                if typed.is_empty() {
                    let _ = writeln!(script, "{command}\nprintf '\\n{MARK} %d\\n' $?");
                } else {
                    // Line by line: its errors come between.
                    let _ = writeln!(
                        script,
                        "stdbuf -oL {command} <<'TYPED'\n{typed}TYPED\necho '{MARK}' 0"
                    );
                }
            }
            Part::Step(_) => panic!("nothing is there to type into"),
        }
    }
    let file = files.path().join("script");
    fs::write(&file, script).expect("a script");
    let mut shell = Command::new("sh");
    shell.arg(&file).current_dir(folder).env("TZ", "UTC");
    for name in [
        "REMY_DB",
        "REMY_HELPER",
        "REMY_ADDON",
        "REMY_PROGRAM",
        "REMY_WRITE",
    ] {
        shell.env_remove(name);
    }
    let out = output(shell.envs(environment.iter().map(|(name, value)| (name, value))));
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut steps: Vec<&str> = said.split(MARK).collect();
    let mut ended = Vec::new();
    for at in 1..steps.len() {
        let (status, rest) = steps[at].split_once('\n').unwrap_or((steps[at], ""));
        ended.push((
            steps[at - 1].to_owned(),
            status.trim().parse().unwrap_or(-1),
        ));
        steps[at] = rest;
    }
    ended
}

/// Whether what was said is what is shown, where `…` stands for any number of lines.
fn is_as_shown(shown: &[String], said: &[&str]) -> bool {
    match shown.split_first() {
        None => said.is_empty(),
        Some((first, rest)) if first.trim() == "…" => {
            (0..=said.len()).any(|at| is_as_shown(rest, &said[at..]))
        }
        Some((first, rest)) => said
            .split_first()
            .is_some_and(|(line, left)| steady(first) == steady(line) && is_as_shown(rest, left)),
    }
}

/// Takes out what differs from run to run, and the spaces and rules that align it.
fn steady(line: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>"),
            (r#""(at|\w+_at)":\d+"#, "$1:<time>"),
            (r#""(\w+_ms)":[\d.]+"#, "$1:<ms>"),
            (r#""(pages_\w+|attempts)":\d+"#, "$1:<n>"),
            (r"\b\d+ (of \d+ )?pages\b", "<n> pages"),
            (r"\b[0-9a-f]{16}\b", "<id>"),
            (r"(<1|\b\d+(\.\d+)?) m?s\b", "<ms>"),
            (r"\b\d+(\.\d+)? (B|KB|MB|GB)\b", "<size>"),
            (r"\b(copy|reflink)\]", "<method>]"),
            (r" near line \d+", ""),
            ("─+", "─"),
            (" +", " "),
        ]
        .map(|(rule, with)| (Regex::new(rule).expect("a rule"), with))
        .into()
    });
    let steady = RULES.iter().fold(line.to_owned(), |line, (rule, with)| {
        rule.replace_all(&line, *with).into_owned()
    });
    steady.trim().to_owned()
}
