//! Runs a program of the build (git, npm, a web build), and leaves nothing behind of what it started.

use super::{
    Cancel, Result,
    disk::At,
    environment::Environment,
    leash::Leash,
    said::{self, Said},
};
use crate::AppError;
use remy_db::internals::typescript::Fault;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{
    collections::VecDeque,
    io::{self, PipeReader, PipeWriter, Read as _},
    os::{fd::OwnedFd, unix::process::ExitStatusExt as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How much of a program's output is kept of its beginning, and of its end, in bytes.
const KEPT: usize = 32 * 1024;

/// How long a program that is called off has to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// How long what a program wrote before it ended is waited for. What became another user's may hold
/// its output for ever.
const LATE: Duration = Duration::from_millis(500);

/// How often it is asked whether the caller calls it off.
const ASKS: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// A program that ended, however it did.
#[derive(Debug)]
pub struct Ran {
    status: ExitStatus,
    /// What it wrote to stdout and stderr; of a long one the beginning and the end, and how much is
    /// left out.
    pub output: String,
}

impl Ran {
    /// Whether it ended as a program does that did its work.
    pub fn is_well(&self) -> bool {
        self.status.success()
    }

    /// How it ended: "ended with status 1".
    pub fn how(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (None, Some(signal)) => format!("was ended by {}", name_of(signal)),
            (code, _) => format!("ended with status {}", code.unwrap_or_default()),
        }
    }
}

/// A program, and how it is run.
pub struct Program<'a> {
    /// Its name, or its path.
    pub name: &'a str,
    /// What it is told.
    pub arguments: &'a [&'a str],
    /// The folder that it runs in.
    pub at: &'a Path,
    /// All of its environment.
    pub variables: &'a Environment,
}

/// What a program that ended has said, each by itself.
#[derive(Debug)]
pub struct Answer {
    /// How it ended.
    pub status: ExitStatus,
    /// All that it wrote to stdout.
    pub out: Vec<u8>,
    /// What it wrote to stderr, as [`Ran::output`].
    pub errors: String,
}

/// Runs a program in the folder `at` until it ends, or until the caller calls it off: its group is
/// then told to end, and ended after a while. Nothing, where there is no such program.
///
/// What it has started ends with it, and with this process.
pub fn run(
    program: &str,
    arguments: &[&str],
    at: &Path,
    variables: &Environment,
    cancel: Cancel<'_>,
) -> Result<Option<Ran>> {
    let program = Program {
        name: program,
        arguments,
        at,
        variables,
    };
    follow(&program, cancel, &|_| ())
}

/// As [`run`]. `on_start` is given the process that holds the program and all that it starts.
pub fn follow(
    program: &Program<'_>,
    cancel: Cancel<'_>,
    on_start: &dyn Fn(Pid),
) -> Result<Option<Ran>> {
    let at = program.at;
    let (output, written) = io::pipe().at(&program.starting(), at)?;
    let errors = written.try_clone().at(&program.starting(), at)?;
    let Some(running) = program.start(written, errors, cancel)? else {
        return Ok(None);
    };
    on_start(Pid::from_child(&running.child));
    let mut output = Heard::of(output, KEPT);
    output.said = Some(Said::new(program.name, program.variables, cancel.on_said));
    let status = running
        .watch(&mut [&mut output], cancel)
        .at("running a program in", at)?;
    cancel.check()?;
    Ok(Some(Ran {
        status,
        output: output.kept.text(),
    }))
}

/// As [`run`], where what a program says is read by others than people.
pub fn ask(program: &Program<'_>, cancel: Cancel<'_>) -> Result<Option<Answer>> {
    let at = program.at;
    let (out, written) = io::pipe().at(&program.starting(), at)?;
    let (errors, written_errors) = io::pipe().at(&program.starting(), at)?;
    let Some(running) = program.start(written, written_errors, cancel)? else {
        return Ok(None);
    };
    let (mut out, mut errors) = (Heard::of(out, usize::MAX), Heard::of(errors, KEPT));
    let status = running
        .watch(&mut [&mut out, &mut errors], cancel)
        .at("running a program in", at)?;
    cancel.check()?;
    Ok(Some(Answer {
        status,
        out: out.kept.head,
        errors: errors.kept.text(),
    }))
}

impl Program<'_> {
    fn starting(&self) -> String {
        format!("starting {} in", self.name)
    }

    fn start(
        &self,
        out: PipeWriter,
        errors: PipeWriter,
        cancel: Cancel<'_>,
    ) -> Result<Option<Running>> {
        cancel.check()?;
        let mut command = Command::new(self.name);
        command
            .args(self.arguments)
            .current_dir(self.at)
            .env_clear()
            .envs(self.variables)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors);
        match Leash::start(command) {
            Ok((child, leash)) => Ok(Some(Running {
                child,
                leash: Some(leash),
            })),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).at(&self.starting(), self.at),
        }
    }
}

/// A program at work.
struct Running {
    child: Child,
    leash: Option<Leash>,
}

impl Running {
    /// Hears what it says until it has ended, and all that it started. Where the caller calls it off,
    /// it is told to end.
    fn watch(mut self, heard: &mut [&mut Heard<'_>], cancel: Cancel<'_>) -> io::Result<ExitStatus> {
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?;
        let mut called_off: Option<Instant> = None;
        while !hear(Some(&process), heard)? {
            match called_off {
                None if cancel.is_set() => {
                    called_off = Some(Instant::now());
                    self.leash.iter_mut().for_each(Leash::tell_to_end);
                }
                Some(since) if since.elapsed() >= GRACE => drop(self.leash.take()),
                _ => {}
            }
        }
        let status = self.child.wait()?;
        let ended = Instant::now();
        while heard.iter().any(|it| it.is_open) && ended.elapsed() < LATE {
            hear(None, heard)?;
        }
        heard
            .iter_mut()
            .filter_map(|it| it.said.as_mut())
            .for_each(Said::end);
        Ok(status)
    }
}

/// Waits a moment for a process to end or say something, and reads that. Returns whether it has
/// ended.
fn hear(process: Option<&OwnedFd>, heard: &mut [&mut Heard<'_>]) -> io::Result<bool> {
    let mut all: Vec<PollFd<'_>> = heard
        .iter()
        .filter(|it| it.is_open)
        .map(|it| PollFd::new(&it.from, PollFlags::IN))
        .chain(process.map(|process| PollFd::new(process, PollFlags::IN)))
        .collect();
    wait(&mut all, &ASKS)?;
    let mut told: Vec<bool> = all.iter().map(|it| !it.revents().is_empty()).collect();
    drop(all);
    if process.is_some() && told.pop() == Some(true) {
        return Ok(true);
    }
    let open = heard.iter_mut().filter(|it| it.is_open);
    for (it, _) in open.zip(told).filter(|(_, is_told)| *is_told) {
        it.read()?;
    }
    Ok(false)
}

fn wait(descriptors: &mut [PollFd<'_>], limit: &Timespec) -> io::Result<()> {
    match poll(descriptors, Some(limit)) {
        Err(e) if e != rustix::io::Errno::INTR => Err(e.into()),
        _ => Ok(()),
    }
}

/// An output, and what is kept of it.
struct Heard<'a> {
    from: PipeReader,
    is_open: bool,
    kept: Kept,
    /// Who is told of it meanwhile.
    said: Option<Said<'a>>,
}

impl Heard<'_> {
    fn of(from: PipeReader, most: usize) -> Self {
        let kept = Kept {
            most,
            ..Kept::default()
        };
        Self {
            from,
            is_open: true,
            kept,
            said: None,
        }
    }

    /// Reads on.
    fn read(&mut self) -> io::Result<()> {
        let mut room = [0; 16 * 1024];
        let read = self.from.read(&mut room)?;
        if let Some(said) = &mut self.said {
            said.take(&room[..read]);
        }
        self.kept.take(&room[..read]);
        self.is_open = read > 0;
        Ok(())
    }
}

/// What is kept of an output.
#[derive(Default)]
struct Kept {
    /// How many bytes of its beginning, and of its end.
    most: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// How many characters between the two are not kept.
    left: usize,
}

impl Kept {
    fn take(&mut self, text: &[u8]) {
        let (head, tail) = text.split_at(text.len().min(self.most - self.head.len()));
        self.head.extend(head);
        self.tail.extend(tail);
        let left = self.tail.len().saturating_sub(self.most);
        let is_begin = |byte: &u8| byte & 0xc0 != 0x80;
        self.left += self.tail.drain(..left).filter(is_begin).count();
    }

    fn text(mut self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let tail = self.tail.make_contiguous();
        if self.left == 0 {
            self.head.extend(&*tail);
            return text(&self.head);
        }
        let (head, tail, left) = (text(&self.head), text(tail), self.left);
        format!("{head}\n… {left} characters are left out here …\n{tail}")
    }
}

pub(super) fn name_of(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGTERM => "SIGTERM",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// How many lines of an output a message holds of its beginning, where npm gives its reason, and of
/// its end, where others do.
const FIRST: usize = 12;
const LAST: usize = 24;

/// What failed, of a program that did.
#[derive(Debug)]
pub struct Failed<'a> {
    /// The file that asks for it, and where.
    pub file: &'a str,
    /// As a JSON pointer.
    pub pointer: &'a str,
    /// How it is called.
    pub program: &'a str,
    /// The folder of the staged copy: files are named as they are in the app.
    pub tree: &'a Path,
    /// What is said before that.
    pub before: &'a str,
}

impl Ran {
    /// Why the app does not build: in few lines, with all that the program said for the log.
    pub fn fault(&self, failed: &Failed<'_>) -> AppError {
        let Failed {
            file,
            pointer,
            program,
            tree,
            before,
        } = *failed;
        let how = self.how();
        let plain = said::plain(&self.output);
        let said = plain.replace(&format!("{}/", tree.display()), "");
        let said = said.replace("\r\n", "\n").replace('\r', "\n");
        let said: Vec<&str> = said.split('\n').map(str::trim_end).collect();
        let mut message = vec![format!("{before}{program} {how}")];
        message.extend(shortened(&cause_of(&said)));
        let all = said.join("\n");
        let log = format!("{file}: {program} {how}. All that it said:\n{}", all.trim());
        let fault = Fault::of_field(file, pointer, message.join("\n"));
        AppError::does_not_build(vec![fault]).with_output(log)
    }
}

fn cause_of<'a>(said: &[&'a str]) -> Vec<&'a str> {
    let lines: Vec<&str> = said
        .iter()
        .filter(|line| !is_aside(line))
        .map(|line| without_npm(line))
        .collect();
    // Where npm was called in another way than it expects, a lock that does not match among them, its
    // whole usage follows a line on what the command does.
    let usage = lines
        .windows(2)
        .position(|two| two[0] == "Usage:" && two[1].starts_with("npm "));
    let until = usage.map_or(lines.len(), |at| at.saturating_sub(2));
    let is_number = |line: &str| line.bytes().all(|byte| byte.is_ascii_digit());
    let lines = lines[..until].iter().copied();
    lines.filter(|line| !is_number(line)).collect()
}

fn without_npm(line: &str) -> &str {
    ["npm error", "npm ERR!"]
        .iter()
        .find_map(|head| line.strip_prefix(head))
        .map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest))
}

/// The lines by which npm says that more is said elsewhere, and warnings: none of them is why it
/// failed.
fn is_aside(line: &str) -> bool {
    let words = |line: &str, of: &[&str]| {
        of.iter().any(|word| {
            line.strip_prefix("npm ")
                .and_then(|rest| rest.strip_prefix(word))
                .is_some_and(|rest| {
                    !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                })
        })
    };
    let rest = without_npm(line);
    words(line, &["warn", "WARN", "notice"])
        || rest.starts_with("A complete log of this run can be found in: ")
        || rest
            .strip_prefix("Run \"npm help ")
            .is_some_and(|rest| rest.contains("\" for more info"))
}

fn shortened(lines: &[&str]) -> Vec<String> {
    let own = |lines: &[&str]| {
        lines
            .iter()
            .map(|line| (*line).to_owned())
            .collect::<Vec<_>>()
    };
    let left = lines.len().saturating_sub(FIRST + LAST);
    if left <= 1 {
        return own(lines);
    }
    let mut some = own(&lines[..FIRST]);
    some.push(format!("… {left} lines are left out here"));
    some.extend(own(&lines[lines.len() - LAST..]));
    some
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::environment::environment;
    use std::{
        fs,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    fn of(program: &str, arguments: &[&str], cancel: &AtomicBool) -> Result<Option<Ran>> {
        run(
            program,
            arguments,
            Path::new("/"),
            &environment(),
            Cancel::new(cancel),
        )
    }

    fn runs(pid: &str) -> bool {
        fs::read_to_string(format!("/proc/{}/status", pid.trim()))
            .is_ok_and(|status| !status.lines().any(|line| line.starts_with("State:\tZ")))
    }

    fn is_gone(pid: &str) -> bool {
        (0..100).any(|_| {
            thread::sleep(Duration::from_millis(30));
            !runs(pid)
        })
    }

    #[test]
    fn how_a_program_ended_and_what_it_wrote_is_told() {
        let never = AtomicBool::new(false);
        let ran = of("sh", &["-c", "echo out; echo err >&2; exit 4"], &never);
        let ran = ran.unwrap().unwrap();
        assert_eq!(
            (ran.how().as_str(), ran.output.as_str()),
            ("ended with status 4", "out\nerr\n")
        );
        let ran = of("sh", &["-c", "kill -9 $$"], &never).unwrap().unwrap();
        assert_eq!(ran.how(), "was ended by SIGKILL");
        assert!(of("no-such-program", &[], &never).unwrap().is_none());
    }

    #[test]
    fn of_a_long_output_the_beginning_and_the_end_are_kept_and_how_much_is_not() {
        let never = AtomicBool::new(false);
        let script = "printf first; head -c 100000 /dev/zero | tr '\\0' x; printf last";
        let output = of("sh", &["-c", script], &never).unwrap().unwrap().output;
        let [head, told, tail] = *output.split('\n').collect::<Vec<_>>() else {
            panic!("{output}");
        };
        assert!(head.starts_with("firstx") && tail.ends_with("xlast"));
        assert_eq!(told, "… 34473 characters are left out here …");
        assert_eq!(head.len() + tail.len(), 65_536);
    }

    #[test]
    fn a_program_that_does_not_end_when_it_is_told_to_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let script = format!(
            "trap '' TERM; sleep 100 & echo $$ $! > {0}.new; mv {0}.new {0}; while :; do sleep 0.1; done",
            pids.display()
        );
        let cancel = AtomicBool::new(false);
        let refused = thread::scope(|scope| {
            let ran = scope.spawn(|| of("sh", &["-c", &script], &cancel));
            while !pids.exists() {
                thread::sleep(Duration::from_millis(10));
            }
            cancel.store(true, Ordering::Relaxed);
            ran.join().unwrap().unwrap_err()
        });
        assert_eq!(refused.error().code(), "busy");
        for pid in fs::read_to_string(pids).unwrap().split_whitespace() {
            assert!(is_gone(pid), "{pid}");
        }
    }

    #[test]
    fn what_a_program_leaves_running_is_ended_and_does_not_hold_it_up() {
        let never = AtomicBool::new(false);
        let began = Instant::now();
        let ran = of("sh", &["-c", "trap '' TERM; sleep 100 & echo $!"], &never);
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(is_gone(&ran.unwrap().unwrap().output));
    }

    #[test]
    fn what_has_left_the_session_of_a_program_is_ended_as_well() {
        let never = AtomicBool::new(false);
        // Its parent is gone, its session and its environment are its own.
        let script = "(env -i setsid sh -c 'trap \"\" TERM HUP; echo $$; sleep 100' &); sleep 0.3";
        let began = Instant::now();
        let ran = of("sh", &["-c", script], &never).unwrap().unwrap();
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(
            !runs(&ran.output),
            "it ends before the program's end is told"
        );
        // Nobody of this process's became its child.
        let children = fs::read_to_string("/proc/thread-self/children").unwrap();
        assert!(!children.contains(ran.output.trim()), "{children}");
    }

    #[test]
    fn nobody_is_asked_at_a_terminal() {
        let never = AtomicBool::new(false);
        let script = "exec 2>&1; (: < /dev/tty) && echo asked";
        let ran = of("sh", &["-c", script], &never).unwrap().unwrap();
        assert!(!ran.output.ends_with("asked\n"), "{}", ran.output);
    }

    #[test]
    fn what_is_asked_is_answered_whole_and_without_what_is_said_beside_it() {
        let never = AtomicBool::new(false);
        let variables = environment();
        let script = ["-c", "head -c 200000 /dev/zero; echo why >&2; exit 3"];
        let program = |name| Program {
            name,
            arguments: &script,
            at: Path::new("/"),
            variables: &variables,
        };
        let said = ask(&program("sh"), Cancel::new(&never)).unwrap().unwrap();
        assert_eq!((said.out.len(), said.errors.as_str()), (200_000, "why\n"));
        assert_eq!(said.status.code(), Some(3));
        let none = ask(&program("no-such-program"), Cancel::new(&never));
        assert!(none.unwrap().is_none());
    }

    #[test]
    fn npms_cause_is_told_without_what_is_said_beside_it() {
        let said = "npm warn old\nnpm error code EUSAGE\nnpm error\nnpm error it is so\nnpm error\n\
                    npm error Clean install a project\nnpm error\nnpm error Usage:\nnpm error npm ci\n\
                    npm error A complete log of this run can be found in: /x";
        let said: Vec<_> = said.split('\n').collect();
        assert_eq!(cause_of(&said), ["code EUSAGE", "it is so"]);
        let many = ["x"; 40];
        assert_eq!(shortened(&many).len(), FIRST + LAST + 1);
        assert_eq!(shortened(&many)[FIRST], "… 4 lines are left out here");
    }
}
