//! A writer that knows nothing of remy: a `sqlite3` shell in a process of its own, one INSERT after
//! the other.
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// A writer at work. It writes keys, `w1-17`, into `app_writes (id, key)`.
pub struct Writer {
    stop: Arc<AtomicBool>,
    longest: Arc<AtomicU64>,
    thread: JoinHandle<Written>,
}

/// Ends the writers, and checks that none met an error and that every acknowledged key is in one of
/// `files`: live, or the snapshot of the release that took it. Returns how many writes were
/// acknowledged.
pub fn account(files: impl Iterator<Item = PathBuf>, writers: Vec<Writer>) -> usize {
    let mut acknowledged = Vec::new();
    for writer in writers {
        let written = writer.stop();
        assert_eq!(written.errors, Vec::<String>::new());
        acknowledged.extend(written.acknowledged);
    }
    let mut found = BTreeSet::new();
    for file in files {
        // UNIQUE says that no key is there twice; integrity_check says that UNIQUE holds.
        let text = crate::shell(&file, "PRAGMA integrity_check; SELECT key FROM app_writes;");
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("ok"), "{}", file.display());
        found.extend(lines.map(str::to_owned));
    }
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|key| !found.contains(*key))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} writes lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    acknowledged.len()
}

/// What a writer did.
#[derive(Debug, Default)]
pub struct Written {
    /// Keys whose commit was acknowledged, in order.
    pub acknowledged: Vec<String>,
    /// What went wrong.
    pub errors: Vec<String>,
}

impl Writer {
    /// Starts one that inserts as fast as it can.
    pub fn start(live: &Path, number: usize) -> Self {
        Self::start_with(live, number, "", |_| String::new())
    }

    /// Starts one that rests after each write.
    pub fn start_paced(live: &Path, number: usize, rest: Duration) -> Self {
        Self::run(live, number, rest, "", |_| String::new())
    }

    /// Starts one with SQL to run first, and SQL to run after the n-th write; neither may print
    /// anything.
    pub fn start_with(
        live: &Path,
        number: usize,
        first: &str,
        after: impl Fn(u64) -> String + Send + 'static,
    ) -> Self {
        Self::run(live, number, Duration::ZERO, first, after)
    }

    fn run(
        live: &Path,
        number: usize,
        rest: Duration,
        first: &str,
        after: impl Fn(u64) -> String + Send + 'static,
    ) -> Self {
        let (stop, longest) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let mut shell = Command::new("sqlite3")
            .args(["-batch", "-cmd", ".timeout 20000"])
            .arg(live)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the sqlite3 shell is installed");
        let first = first.to_owned();
        let thread = std::thread::spawn({
            let (stop, longest) = (stop.clone(), longest.clone());
            move || {
                let mut input = shell.stdin.take().expect("piped");
                let mut lines = BufReader::new(shell.stdout.take().expect("piped")).lines();
                let mut written = Written::default();
                writeln!(input, "{first}").expect("the shell reads");
                for n in 1.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (key, start) = (format!("w{number}-{n}"), Instant::now());
                    // The end comes whether the INSERT worked or not: an error skips no more than
                    // its line.
                    writeln!(
                        input,
                        "INSERT INTO app_writes (key) VALUES ('{key}') RETURNING key;\nSELECT 'end'; {}",
                        after(n)
                    )
                    .expect("the shell reads");
                    let mut acknowledged = false;
                    for line in lines.by_ref() {
                        match line.expect("the shell writes text").as_str() {
                            "end" => break,
                            line if line == key => acknowledged = true,
                            // What `after` of the write before printed.
                            _ => {}
                        }
                    }
                    if !acknowledged {
                        break; // stderr says why
                    }
                    written.acknowledged.push(key);
                    longest.fetch_max(
                        u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
                        Ordering::Relaxed,
                    );
                    if !rest.is_zero() {
                        std::thread::sleep(rest);
                    }
                }
                drop(input);
                let out = shell.wait_with_output().expect("the shell ends");
                written.errors.extend(
                    String::from_utf8_lossy(&out.stderr)
                        .lines()
                        .map(str::to_owned),
                );
                written
            }
        });
        Self {
            stop,
            longest,
            thread,
        }
    }

    /// The longest that a write took since the last reset.
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.load(Ordering::Relaxed))
    }

    /// Forgets the longest.
    pub fn reset_longest(&self) {
        self.longest.store(0, Ordering::Relaxed);
    }

    /// Whether it is still at work: a writer that met an error has stopped.
    pub fn is_writing(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Ends it.
    pub fn stop(self) -> Written {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a writer does not panic")
    }
}
