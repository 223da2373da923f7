//! What the tests share: the libraries that were built with them, how to run programs, and how long
//! a suite goes on.
pub mod better_sqlite3;
pub mod browser;
pub mod busy;
#[path = "../core/tests/cases/mod.rs"]
mod cases;
pub mod client;
pub mod cut;
pub mod disk;
pub mod example;
pub mod fakes;
#[path = "server/http.rs"]
pub mod http;
pub mod live;
pub mod moments;
pub mod node_packages;
pub mod pages;
pub mod report;
pub mod rounds;
pub mod writer;

use remy_db::{Options, Outcome, Remy};
use remy_db_app::{
    place::Named,
    project::{self, Follow, Project, Publish, Tools},
};
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    sync::atomic::AtomicBool,
};

/// A library that cargo built as a dependency of this test, `libremy0.so` say: it lies beside the
/// test itself.
pub fn built(name: &str) -> PathBuf {
    let path = std::env::current_exe()
        .expect("a test has a path")
        .with_file_name(name);
    assert!(path.exists(), "{} is not built", path.display());
    path
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ has a parent")
        .join(path)
}

/// Runs `command` and gives all that it wrote, without the backtraces of panics.
pub fn output(command: &mut Command) -> Output {
    command
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// What `command` wrote to stdout. It has to succeed.
pub fn stdout(command: &mut Command) -> String {
    let out = output(command);
    let [written, complaints] =
        [&out.stdout, &out.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(
        out.status.success(),
        "{command:?}: {}\n{}\n{complaints}",
        out.status,
        failures(&written)
    );
    String::from_utf8(out.stdout).expect("text")
}

/// Of what Node's test runner wrote, only the tests that failed; all that another program wrote.
fn failures(written: &str) -> String {
    if !written.starts_with("TAP version") {
        return written.to_owned();
    }
    let tests = written.split("# Subtest: ").filter(|test| {
        test.lines()
            .any(|line| line.trim_start().starts_with("not ok"))
    });
    tests.collect()
}

/// Says that this machine does not allow a check, past the test runner, which swallows what a
/// passing test prints. The line begins with `NOT COVERED`, which is what `.ci/run` looks for.
pub fn not_covered(what: &str, why: &str) {
    let why = why.replace('\n', " ");
    let _ = writeln!(std::io::stderr(), "\nNOT COVERED: {what}: {why}");
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
    stdout(
        Command::new("sqlite3")
            .args(["-batch", "-bail", "-cmd", ".timeout 20000"])
            .arg(db)
            .arg(sql),
    )
}

/// The library that fails the disk or kills the process, compiled once.
pub fn fault_library() -> PathBuf {
    static ONCE: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    ONCE.get_or_init(|| faults("fault")).clone()
}

/// Compiles a file of `tests/faults/` into a library for LD_PRELOAD.
pub fn faults(name: &str) -> PathBuf {
    compiled(&format!("tests/faults/{name}.c"))
}

/// Compiles a C file of the repository into a library of this process's own.
pub fn compiled(source: &str) -> PathBuf {
    let source = repository(source);
    let name = source.file_stem().expect("a file").display();
    let out =
        built_program("remy-driver").with_file_name(format!("{name}-{}.so", std::process::id()));
    stdout(
        Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&out)
            .arg(source)
            .arg("-ldl"),
    );
    out
}

/// A `sqlite3` shell that stays open, as an application's connection does.
pub struct Shell {
    shell: Child,
    input: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Shell {
    /// Opens a database. Where it loads the extension, verbs run through this very SQLite.
    pub fn open(db: &Path) -> Self {
        let mut shell = Command::new("sh")
            .args([
                "-c",
                r#"exec sqlite3 -batch -cmd ".timeout 20000" "$0" 2>&1"#,
            ])
            .arg(db)
            .env("REMY_HELPER", "none")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let input = shell.stdin.take().expect("piped");
        let lines = BufReader::new(shell.stdout.take().expect("piped"));
        Self {
            shell,
            input,
            lines,
        }
    }

    /// What it answers to SQL, line by line, errors as well.
    pub fn ask(&mut self, sql: &str) -> String {
        writeln!(self.input, "{sql}\nSELECT 'the end';").expect("the shell reads");
        let mut text = String::new();
        loop {
            let mut line = String::new();
            let read = self
                .lines
                .read_line(&mut line)
                .expect("the shell writes text");
            assert!(read > 0, "the shell ended: {text}");
            if line == "the end\n" {
                return text;
            }
            text.push_str(&line);
        }
    }

    /// The same, without the end of the last line.
    pub fn run(&mut self, sql: &str) -> String {
        self.ask(sql).trim_end_matches('\n').to_owned()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// esbuild as npm has installed it for the package: nothing is fetched here.
pub fn esbuild() -> PathBuf {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x64",
        _ => "arm64",
    };
    let packages = repository("node-binding/node_modules/@esbuild");
    let program = packages.join(format!("linux-{arch}/bin/esbuild"));
    if !program.exists() {
        let package = repository("node-binding");
        let install = ["ci", "--no-audit", "--no-fund", "--silent"];
        stdout(Command::new("npm").current_dir(package).args(install));
    }
    program
}

/// Publishes the app in a folder in this process, to `db` where that is not the app's own; or what
/// `schema` declares.
pub fn publish_in(
    app: &Path,
    db: Option<&Path>,
    schema: Option<&Path>,
) -> project::Result<Outcome> {
    publish_with(app, db, schema, Options::default())
}

/// As [`publish_in`], with options.
pub fn publish_with(
    app: &Path,
    db: Option<&Path>,
    schema: Option<&Path>,
    options: Options,
) -> project::Result<Outcome> {
    let named = Named {
        db: db.map(Path::to_owned),
        here: schema.is_none(),
        ..Named::default()
    };
    let project = Project::find(app, &named, |path| Remy::open(path))?;
    let publish = Publish {
        options,
        schema: schema.map(|path| path.display().to_string()),
        tools: Tools {
            esbuild: Some(esbuild()),
            node: None,
        },
        ..Publish::default()
    };
    let never = AtomicBool::new(false);
    project.publish(&publish, Follow::new(&|_| (), &never))
}
