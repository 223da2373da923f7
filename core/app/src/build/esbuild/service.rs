//! A process of esbuild's, and what is said to it and by it.

use super::{
    bundle::{Filter, Options, Output, Plugins},
    packet::{Packet, Value},
};
use crate::{
    AppError,
    build::{Cancel, Result, environment::environment, leash::Leash},
};
use remy_db::{Error, State};
use rustix::net::{SendFlags, send};
use std::{
    io::{self, Read},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often it is asked whether the caller calls the build off.
const TURN: Duration = Duration::from_millis(50);

/// A living service pings every second, whatever else it does.
const SILENCE: Duration = Duration::from_secs(60);

/// How long what it said is waited for, once it has ended.
const GRACE: Duration = Duration::from_millis(500);

/// More than the bundles of any app: what is longer is no packet, but something else's output.
const LONGEST: usize = 1 << 30;

/// A greeting is a version.
const GREETING: usize = 64;

/// How much is kept of what it says on stderr, where a program of Go's tells why it ends.
const SAID: u64 = 16 << 10;

/// A process of esbuild's. It ends when this is dropped, and when the process that started it does:
/// then nobody takes its pings.
#[derive(Debug)]
pub struct Service {
    path: PathBuf,
    child: Child,
    leash: Option<Leash>,
    stream: UnixStream,
    /// What it sent and nobody has taken yet.
    unread: Vec<u8>,
    heard: Instant,
    said: Option<JoinHandle<String>>,
    next: u32,
}

impl Service {
    /// Starts the program at `path`, which has to be of this version.
    pub fn start(path: &Path, version: &str, cancel: Cancel<'_>) -> Result<Self> {
        cancel.check()?;
        let started = Self::spawn(path, version);
        let mut service = started.map_err(|e| {
            refused(Error::io(format!("starting {}: {e}", path.display())))
                .hint("Make it a program that this user may run, or remove it")
        })?;
        let greeting = service.frame(GREETING, cancel)?;
        if greeting != version.as_bytes() {
            let greeting = String::from_utf8_lossy(&greeting);
            let greeting: String = greeting.chars().take(40).collect();
            return Err(service.stopped(&format!("it answers {greeting:?}, and not {version:?}")));
        }
        Ok(service)
    }

    fn spawn(path: &Path, version: &str) -> io::Result<Self> {
        let (stream, its_end) = UnixStream::pair()?;
        stream.set_read_timeout(Some(TURN))?;
        stream.set_write_timeout(Some(TURN))?;
        let mut command = Command::new(path);
        command
            .args([&format!("--service={version}"), "--ping"])
            .env_clear()
            .envs(environment())
            .stdin(OwnedFd::from(its_end.try_clone()?))
            .stdout(OwnedFd::from(its_end))
            .stderr(Stdio::piped());
        let (mut child, leash) = Leash::start(command)?;
        let said = child.stderr.take().map(|stderr| {
            thread::spawn(move || {
                let mut said = Vec::new();
                let mut stderr = stderr;
                let _ = (&mut stderr).take(SAID).read_to_end(&mut said);
                // It waits for nobody to read the rest.
                let _ = io::copy(&mut stderr, &mut io::sink());
                String::from_utf8_lossy(&said).into_owned()
            })
        });
        Ok(Self {
            path: path.to_owned(),
            child,
            leash: Some(leash),
            stream,
            unread: Vec::new(),
            heard: Instant::now(),
            said,
            next: 0,
        })
    }

    /// Whether its process still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Bundles. What is wrong with the files is in the output; an error is what esbuild itself cannot
    /// do. After one it is of no more use.
    pub fn build(
        &mut self,
        options: &Options<'_>,
        plugins: &mut dyn Plugins,
        cancel: Cancel<'_>,
    ) -> Result<Output> {
        // Since the last build nobody has listened.
        self.heard = Instant::now();
        let id = self.next;
        self.next += 1;
        self.send(id, true, request(options, plugins), cancel)?;
        loop {
            let frame = self.frame(LONGEST, cancel)?;
            let Some(packet) = Packet::of(&frame) else {
                return Err(self.stopped("it sent what is no packet"));
            };
            if packet.is_request {
                let answer = answered(&packet.value, plugins);
                self.send(packet.id, false, answer, cancel)?;
            } else if packet.id != id {
                return Err(self.stopped("it answered what nobody had asked"));
            } else if let Some(Value::Text(error)) = packet.value.get("error") {
                return Err(self.stopped(&format!("it refused: {error}")));
            } else if matches!(packet.value, Value::Map(_)) {
                return Ok(Output::of(&packet.value));
            } else {
                return Err(self.stopped("its answer is none"));
            }
        }
    }

    fn send(&mut self, id: u32, is_request: bool, value: Value, cancel: Cancel<'_>) -> Result<()> {
        let bytes = Packet {
            id,
            is_request,
            value,
        }
        .to_bytes();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            // Without the signal that a host of ours may not live through.
            match send(&self.stream, rest, SendFlags::NOSIGNAL) {
                Ok(sent) => rest = &rest[sent..],
                Err(e) => self.wait(&e.into(), cancel)?,
            }
        }
        Ok(())
    }

    /// The next packet, or greeting, without its length, which is at most `longest`.
    fn frame(&mut self, longest: usize, cancel: Cancel<'_>) -> Result<Vec<u8>> {
        let mut part = [0; 1 << 16];
        loop {
            if let Some((length, rest)) = self.unread.split_first_chunk() {
                let length = u32::from_le_bytes(*length) as usize;
                if length > longest {
                    return Err(self.stopped("it sent what is no packet"));
                }
                if rest.len() >= length {
                    let frame = rest[..length].to_vec();
                    self.unread.drain(..4 + length);
                    return Ok(frame);
                }
            }
            match self.stream.read(&mut part) {
                Ok(0) => return Err(self.stopped("it ended in the middle")),
                Ok(read) => {
                    self.unread.extend(&part[..read]);
                    self.heard = Instant::now();
                    cancel.check()?;
                }
                Err(e) => self.wait(&e, cancel)?,
            }
        }
    }

    /// Whether to go on after this: it may be that nothing has come yet.
    fn wait(&mut self, e: &io::Error, cancel: Cancel<'_>) -> Result<()> {
        use io::ErrorKind as Kind;
        cancel.check()?;
        match e.kind() {
            Kind::Interrupted => Ok(()),
            Kind::WouldBlock | Kind::TimedOut if self.heard.elapsed() < SILENCE => Ok(()),
            Kind::WouldBlock | Kind::TimedOut => {
                Err(self.stopped("it has said nothing for a minute"))
            }
            Kind::BrokenPipe | Kind::ConnectionReset => Err(self.stopped("it ended in the middle")),
            _ => Err(self.stopped(&e.to_string())),
        }
    }

    /// Ends it, and says why it is of no use: with the first line of what it said, where it told why.
    fn stopped(&mut self, why: &str) -> AppError {
        let said = self.end();
        let line = said.lines().map(str::trim).find(|line| !line.is_empty());
        let line = line.map_or_else(String::new, |line| format!(" ({line})"));
        let what = format!(
            "esbuild, {}, is of no use: {why}{line}",
            self.path.display()
        );
        let error = refused(Error::build_failed(what))
            .hint("Try again; where that does not help, install it anew");
        match said.trim() {
            "" => error.into(),
            said => AppError::from(error).with_output(said.to_owned()),
        }
    }

    /// What it said on stderr.
    fn end(&mut self) -> String {
        // With all that it has started: it may be a script.
        self.leash = None;
        let _ = self.child.wait();
        let Some(said) = self.said.take() else {
            return String::new();
        };
        // What became another user's may hold its stderr for ever.
        let ended = Instant::now();
        while !said.is_finished() && ended.elapsed() < GRACE {
            thread::sleep(Duration::from_millis(1));
        }
        let said = said.is_finished().then(|| said.join());
        said.and_then(Result::ok).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
    }
}

fn refused(error: Error) -> Error {
    error.state(State::DatabaseUnchanged)
}

fn request(options: &Options<'_>, plugins: &dyn Plugins) -> Value {
    let entries = options.entries.iter();
    let entries = entries.map(|(path, out)| Value::texts([out.as_str(), path]));
    let plugin = Value::map([
        ("name", Value::from("remy")),
        ("onStart", Value::Flag(false)),
        ("onEnd", Value::Flag(false)),
        ("onResolve", filters(&plugins.resolves())),
        ("onLoad", filters(&plugins.loads())),
    ]);
    Value::map([
        ("command", Value::from("build")),
        ("key", Value::Number(0)),
        ("entries", Value::List(entries.collect())),
        (
            "flags",
            Value::texts(options.flags.iter().map(String::as_str)),
        ),
        ("write", Value::Flag(false)),
        ("stdinContents", Value::Null),
        ("stdinResolveDir", Value::Null),
        (
            "absWorkingDir",
            Value::Text(options.folder.to_string_lossy().into_owned()),
        ),
        ("nodePaths", Value::List(Vec::new())),
        ("context", Value::Flag(false)),
        ("plugins", Value::List(vec![plugin])),
    ])
}

/// Each has the number 0, which answers name: whom it asks is one.
fn filters(filters: &[Filter]) -> Value {
    let of = |filter: &Filter| {
        Value::map([
            ("id", Value::Number(0)),
            ("filter", Value::from(filter.pattern.as_str())),
            ("namespace", Value::from(filter.namespace)),
        ])
    };
    Value::List(filters.iter().map(of).collect())
}

/// The answer to what esbuild asks on its way.
fn answered(request: &Value, plugins: &mut dyn Plugins) -> Value {
    match request.text("command") {
        "on-resolve" => match plugins.resolve(request.text("path")) {
            Some(resolved) => Value::map([
                ("id", Value::Number(0)),
                ("path", Value::Text(resolved.path)),
                ("namespace", Value::from(resolved.namespace)),
                ("sideEffects", Value::Flag(resolved.side_effects)),
            ]),
            None => Value::map([]),
        },
        "on-load" => match plugins.load(request.text("path")) {
            Some(content) => Value::map([
                ("id", Value::Number(0)),
                ("contents", Value::Bytes(content.into_bytes())),
            ]),
            None => Value::map([]),
        },
        // A ping, or that it starts: there is nothing to say to either.
        _ => Value::map([
            ("errors", Value::List(Vec::new())),
            ("warnings", Value::List(Vec::new())),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::esbuild::Resolved;
    use std::{
        fs,
        os::unix::fs::PermissionsExt,
        sync::atomic::{AtomicBool, Ordering},
    };

    /// Nobody who is asked.
    struct Nobody;

    impl Plugins for Nobody {
        fn resolves(&self) -> Vec<Filter> {
            Vec::new()
        }

        fn loads(&self) -> Vec<Filter> {
            Vec::new()
        }

        fn resolve(&mut self, import: &str) -> Option<Resolved> {
            (import == "@x").then(|| Resolved {
                path: "x".to_owned(),
                namespace: "remy",
                side_effects: false,
            })
        }

        fn load(&mut self, _: &str) -> Option<String> {
            Some("export {};".to_owned())
        }
    }

    /// What comes of a build by a program that greets as version 1, and does this then.
    fn built_by(script: &str) -> Result<Output> {
        let never = AtomicBool::new(false);
        built(
            &format!("printf '\\1\\0\\0\\0001'; {script}"),
            Cancel::new(&never),
        )
    }

    fn built(script: &str, cancel: Cancel<'_>) -> Result<Output> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("esbuild");
        // Written by another process: one that this one forks meanwhile would hold it open for writing.
        let text = format!("#!/bin/sh\n{script}\n");
        let copied = Command::new("sh")
            .args(["-c", "printf %s \"$1\" > \"$0\""])
            .args([path.as_os_str(), text.as_ref()])
            .status();
        assert!(copied.unwrap().success());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let options = Options {
            folder: folder.path(),
            entries: vec![("a".to_owned(), "a".to_owned())],
            flags: Vec::new(),
        };
        Service::start(&path, "1", cancel)?.build(&options, &mut Nobody, cancel)
    }

    /// A packet as octal digits of `printf`.
    fn printed(id: u32, is_request: bool, value: Value) -> String {
        let packet = Packet {
            id,
            is_request,
            value,
        };
        let bytes = packet.to_bytes();
        let digits: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
        format!("printf '{digits}';")
    }

    fn refused_with(output: Result<Output>) -> (&'static str, String) {
        match output {
            Ok(output) => panic!("{output:?}"),
            Err(e) => (e.error().code(), e.to_string()),
        }
    }

    #[test]
    fn what_a_build_asks_on_its_way_is_answered() {
        let answer = Value::map([("outputFiles", Value::List(Vec::new()))]);
        let resolve = Value::map([
            ("command", Value::from("on-resolve")),
            ("path", Value::from("@x")),
        ]);
        let load = Value::map([("command", Value::from("on-load"))]);
        let ping = Value::map([("command", Value::from("ping"))]);
        let script = [
            printed(0, true, ping),
            printed(1, true, resolve),
            printed(2, true, load),
            printed(0, false, answer),
            "exec cat > /dev/null".to_owned(),
        ];
        assert!(built_by(&script.concat()).is_ok_and(|output| output.errors.is_empty()));
    }

    #[test]
    fn another_version_is_refused_by_name() {
        let never = AtomicBool::new(false);
        let (code, message) = refused_with(built(
            "printf '\\1\\0\\0\\0002'; sleep 60",
            Cancel::new(&never),
        ));
        assert_eq!(code, "build_failed");
        assert!(
            message.contains("it answers \"2\", and not \"1\""),
            "{message}"
        );
        // As esbuild itself says it.
        let script = "echo 'Cannot start service: Host version \"1\" does not match binary version \"2\"' >&2; exit 1";
        let (code, message) = refused_with(built(script, Cancel::new(&never)));
        assert_eq!(code, "build_failed");
        assert!(
            message.contains("does not match binary version \"2\")"),
            "{message}"
        );
    }

    #[test]
    fn one_that_dies_in_the_middle_is_told_with_what_it_said() {
        let half = "printf '\\100\\0\\0\\0half';";
        for script in ["exit 0", "kill -9 $$", half] {
            let (code, message) = refused_with(built_by(script));
            assert_eq!(code, "build_failed");
            assert!(
                message.contains("it ended in the middle. The database"),
                "{script}: {message}"
            );
        }
        let dies = "yes 'fatal error: stack overflow' | head -c 1000000 >&2; exit 2";
        let (_, message) = refused_with(built_by(dies));
        assert!(
            message.contains("in the middle (fatal error: stack overflow). The database"),
            "{message}"
        );
    }

    #[test]
    fn one_that_answers_nonsense_is_refused() {
        let nobody_asked = printed(7, false, Value::map([]));
        let no_map = printed(0, false, Value::Null);
        let refuses = printed(
            0,
            false,
            Value::map([("error", Value::from("Invalid flag"))]),
        );
        for (script, why) in [
            (
                "printf '\\377\\377\\377\\377'; yes",
                "it sent what is no packet",
            ),
            (
                "printf '\\3\\0\\0\\0abc'; sleep 60",
                "it sent what is no packet",
            ),
            (
                &format!("{nobody_asked} sleep 60"),
                "it answered what nobody had asked",
            ),
            (&format!("{no_map} sleep 60"), "its answer is none"),
            (&format!("{refuses} sleep 60"), "it refused: Invalid flag"),
        ] {
            let (code, message) = refused_with(built_by(script));
            assert_eq!(code, "build_failed", "{script}");
            assert!(message.contains(why), "{script}: {message}");
        }
        let never = AtomicBool::new(false);
        let (_, message) = refused_with(built("yes", Cancel::new(&never)));
        assert!(message.contains("it sent what is no packet"), "{message}");
    }

    #[test]
    fn a_build_that_is_called_off_ends_it() {
        let cancel = AtomicBool::new(false);
        let output = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(200));
                cancel.store(true, Ordering::Relaxed);
            });
            built(
                "printf '\\1\\0\\0\\0001'; exec sleep 60",
                Cancel::new(&cancel),
            )
        });
        assert_eq!(refused_with(output).0, "busy");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let never = AtomicBool::new(false);
        let started = Service::start(Path::new("/nowhere/esbuild"), "1", Cancel::new(&never));
        let Err(refused) = started else {
            panic!("it started");
        };
        assert_eq!(refused.error().code(), "io");
        assert!(
            refused
                .to_string()
                .starts_with("starting /nowhere/esbuild: ")
        );
    }
}
