//! Runs a program of the build (npm, a web build) in a process group of its own, and leaves none of
//! the group behind.

use super::{
    Cancel, Result,
    disk::At,
    environment::Environment,
    said::{self, Said},
};
use crate::AppError;
use remy_db::internals::typescript::Fault;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};
use std::{
    collections::VecDeque,
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How much of a program's output is kept of its beginning, and of its end, in bytes.
const KEPT: usize = 32 * 1024;

/// How long a group that is called off has to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// How long what a program wrote before it ended is waited for. Whoever left the group may hold its
/// output for ever.
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

    /// How it ended.
    fn how(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (None, Some(signal)) => format!("was ended by {}", name_of(signal)),
            (code, _) => format!("ended with status {}", code.unwrap_or_default()),
        }
    }
}

/// Runs a program in the folder `at` until it ends, or until the caller calls it off: its group is
/// then told to end, and ended after a while. Nothing, where there is no such program.
///
/// The group ends with this process, however that ends.
pub fn run(
    program: &str,
    arguments: &[&str],
    at: &Path,
    variables: &Environment,
    cancel: Cancel<'_>,
) -> Result<Option<Ran>> {
    cancel.check()?;
    let starting = || format!("starting {program} in");
    let (output, written) = io::pipe().at(&starting(), at)?;
    let (guarded, guard) = io::pipe().at(&starting(), at)?;
    let mut command = Command::new(program);
    // A group of its own: what npm starts is ended with it. It is also out of reach of a terminal's
    // Ctrl-C, which is the caller's to bring.
    command
        .args(arguments)
        .current_dir(at)
        .env_clear()
        .envs(variables)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(written.try_clone().at(&starting(), at)?)
        .stderr(written);
    let end = guarded.as_raw_fd();
    // SAFETY: between fork and exec it makes calls of the system alone.
    unsafe { command.pre_exec(move || guard_group(end)) };
    let started = command.spawn();
    // The writing ends of the output are the program's alone from here on.
    drop((command, guarded));
    match started {
        Ok(child) => {
            let group = Group { child, guard };
            let said = Said::new(program, variables, cancel.on_said);
            let watched = group.watch((output, said), cancel);
            watched.at("running a program in", at)?
        }
        Err(e) => {
            release(guard);
            if e.kind() == io::ErrorKind::NotFound {
                return Ok(None);
            }
            Err(e).at(&starting(), at)
        }
    }
}

/// Leaves a process that ends the group of this one once the pipe's other end is closed, unless it
/// was told that there is nothing to end: what builds would else go on writing to the staged copy,
/// which the next build takes for its own.
fn guard_group(end: i32) -> io::Result<()> {
    // Not asked of the copy: its parent may be gone by then.
    let group = std::process::id().cast_signed();
    // SAFETY: makes a copy of this process, as fork does, without what the C library does at a fork.
    let made = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    match made {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: calls of the system alone, on this process's own descriptors and numbers.
        0 => unsafe {
            libc::setsid();
            libc::chdir(c"/".as_ptr());
            libc::dup2(end, 0);
            // The output's writing end among them: its reader would wait for this process.
            if libc::syscall(libc::SYS_close_range, 1, u32::MAX, 0) != 0 {
                (1..1024).for_each(|descriptor| {
                    libc::close(descriptor);
                });
            }
            let mut byte = 0_u8;
            let told = loop {
                match libc::read(0, (&raw mut byte).cast(), 1) {
                    -1 if *libc::__errno_location() == libc::EINTR => {}
                    read => break read,
                }
            };
            if told < 1 {
                libc::kill(-group, libc::SIGKILL);
            }
            libc::_exit(0)
        },
        _ => Ok(()),
    }
}

/// Tells the guard that there is nothing to end. Where it is gone, there is none to tell.
fn release(mut guard: PipeWriter) {
    let _ = guard.write_all(b".");
}

/// A program at work, the first of its group.
struct Group {
    child: Child,
    /// Ends the group, once it is closed.
    guard: PipeWriter,
}

impl Group {
    fn watch(
        mut self,
        (mut output, mut said): (PipeReader, Said<'_>),
        cancel: Cancel<'_>,
    ) -> io::Result<Result<Option<Ran>>> {
        let process = pidfd_open(self.pid(), PidfdFlags::empty())?;
        let mut kept = Kept::default();
        let mut called_off: Option<Instant> = None;
        let mut is_open = true;
        loop {
            let mut both = [
                PollFd::new(&process, PollFlags::IN),
                PollFd::new(&output, PollFlags::IN),
            ];
            wait(&mut both[..if is_open { 2 } else { 1 }], &ASKS)?;
            let (ended, readable) = (!both[0].revents().is_empty(), !both[1].revents().is_empty());
            if ended {
                break;
            }
            if readable {
                is_open = kept.read(&mut output, &mut said)?;
            }
            match called_off {
                None if cancel.is_set() => {
                    called_off = Some(Instant::now());
                    self.end(Signal::TERM);
                }
                Some(since) if since.elapsed() >= GRACE => self.end(Signal::KILL),
                _ => {}
            }
        }
        // What the program left running would hold the output open, and write to the staged copy
        // while others read it. As long as the program is not waited for, its number is its own.
        self.end(Signal::KILL);
        let status = self.child.wait()?;
        release(self.guard);
        let ended = Instant::now();
        while is_open && ended.elapsed() < LATE {
            let mut rest = [PollFd::new(&output, PollFlags::IN)];
            wait(&mut rest, &ASKS)?;
            if !rest[0].revents().is_empty() {
                is_open = kept.read(&mut output, &mut said)?;
            }
        }
        said.end();
        Ok(cancel.check().map(|()| {
            let output = kept.text();
            Some(Ran { status, output })
        }))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn end(&self, signal: Signal) {
        // Nobody may be left in it.
        let _ = kill_process_group(self.pid(), signal);
    }
}

fn wait(descriptors: &mut [PollFd<'_>], limit: &Timespec) -> io::Result<()> {
    match poll(descriptors, Some(limit)) {
        Err(e) if e != rustix::io::Errno::INTR => Err(e.into()),
        _ => Ok(()),
    }
}

/// What is kept of an output.
#[derive(Default)]
struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// How many characters between the two are not kept.
    left: usize,
}

impl Kept {
    /// Reads on; whether there may be more.
    fn read(&mut self, from: &mut PipeReader, said: &mut Said<'_>) -> io::Result<bool> {
        let mut room = [0; 16 * 1024];
        let read = from.read(&mut room)?;
        said.take(&room[..read]);
        self.take(&room[..read]);
        Ok(read > 0)
    }

    fn take(&mut self, text: &[u8]) {
        let (head, tail) = text.split_at(text.len().min(KEPT - self.head.len()));
        self.head.extend(head);
        self.tail.extend(tail);
        let left = self.tail.len().saturating_sub(KEPT);
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

fn name_of(signal: i32) -> String {
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
