//! What the tests share: the libraries that were built with them, and how to run programs.
pub mod writer;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A library that cargo built as a dependency of this test, `libremy0.so` say: it lies beside the test itself.
pub fn built(name: &str) -> PathBuf {
    let path = std::env::current_exe().expect("a test has a path").with_file_name(name);
    assert!(path.exists(), "{} is not built", path.display());
    path
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").join(path)
}

/// Runs `command` and gives all that it wrote, without the backtraces of panics.
pub fn output(command: &mut Command) -> Output {
    command.env("RUST_BACKTRACE", "0").output().unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// What `command` wrote to stdout. It has to succeed.
pub fn stdout(command: &mut Command) -> String {
    let out = output(command);
    assert!(out.status.success(), "{command:?}: {out:?}");
    String::from_utf8(out.stdout).expect("text")
}

/// A program of this package.
pub fn built_program(name: &str) -> PathBuf {
    let path = std::env::current_exe().expect("a test has a path");
    // target/<profile>/deps/<test>: programs lie one folder up.
    let path = path.ancestors().nth(2).expect("a target folder").join(name);
    assert!(path.exists(), "{} is not built", path.display());
    path
}

/// Runs SQL in the `sqlite3` shell, another SQLite than the one under test. It has to succeed.
pub fn shell(db: &Path, sql: &str) -> String {
    stdout(Command::new("sqlite3").arg("-batch").arg("-bail").arg(db).arg(sql))
}

/// The library that fails the disk or kills the process, compiled once.
pub fn fault_library() -> PathBuf {
    static ONCE: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    ONCE.get_or_init(|| {
        let out = built_program("remy-driver").with_file_name(format!("fault-{}.so", std::process::id()));
        let source = repository("tests/faults/fault.c");
        stdout(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&out).arg(source).arg("-ldl"));
        out
    })
    .clone()
}

/// A `sqlite3` shell that stays open, as an application's connection does.
pub struct Shell {
    child: std::process::Child,
    input: Option<std::process::ChildStdin>,
    lines: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
}

impl Shell {
    /// Opens a database.
    pub fn open(db: &Path) -> Self {
        use std::{io::BufRead, process::Stdio};
        let mut child = Command::new("sqlite3")
            .args(["-batch", "-cmd", ".timeout 20000"])
            .arg(db)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sqlite3 shell is installed");
        let lines = std::io::BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { input: child.stdin.take(), child, lines }
    }

    /// Runs SQL and gives what it printed.
    pub fn run(&mut self, sql: &str) -> String {
        use std::io::Write;
        writeln!(self.input.as_mut().expect("open"), "{sql} SELECT 'end of output';").expect("the shell reads");
        let printed: Vec<String> = self
            .lines
            .by_ref()
            .map(|line| line.expect("the shell writes text"))
            .take_while(|line| line != "end of output")
            .collect();
        printed.join("\n")
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
