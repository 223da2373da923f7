//! Connections of other hosts that stay open, told line by line what to do: Python's `sqlite3`, and
//! better-sqlite3.
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Evaluates each line that it is given, or runs it, and answers in one line; an error by its name.
const PYTHON: &str = r#"
import re, sqlite3, sys
def connect(): return sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
c = connect()
for line in sys.stdin:
    try:
        try: answer = repr(eval(line, globals()))
        except SyntaxError: answer = repr(exec(line, globals()))
    except Exception as e: answer = getattr(e, 'sqlite_errorname', type(e).__name__) + ': ' + str(e)
    print(re.sub(' at 0x[0-9a-f]+|\n', ' ', answer), flush=True)
"#;

/// The same in JavaScript, as JSON. `var` keeps a variable from one line to the next.
const NODE: &str = r#"
const Database = require('better-sqlite3');
globalThis.connect = () => new Database(process.argv[1], { timeout: 20000 });
globalThis.c = connect();
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  let answer;
  try { answer = JSON.stringify((0, eval)(line)) ?? 'null'; } catch (e) { answer = `${e.code ?? e.name}: ${e.message}`; }
  console.log(answer.replaceAll('\n', ' '));
});
"#;

/// A process that has `c`, a connection to a database, and `connect()` for another.
pub struct Client {
    process: Child,
    input: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Client {
    /// One of Python's.
    pub fn python(db: &Path) -> Self {
        Self::start(Command::new("python3").args(["-u", "-c", PYTHON]).arg(db))
    }

    /// One of better-sqlite3's. `None` where that cannot be built.
    pub fn node(db: &Path) -> Option<Self> {
        let node = || {
            Self::start(
                Command::new("node")
                    .current_dir(crate::repository("tests"))
                    .args(["-e", NODE])
                    .arg(db),
            )
        };
        crate::better_sqlite3::is_there().then(node)
    }

    fn start(command: &mut Command) -> Self {
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let input = process.stdin.take().expect("piped");
        let lines = BufReader::new(process.stdout.take().expect("piped"));
        Self {
            process,
            input,
            lines,
        }
    }

    /// What it answers to a line of its language.
    pub fn ask(&mut self, line: &str) -> String {
        writeln!(self.input, "{}", line.replace('\n', " ")).expect("the client reads");
        let mut text = String::new();
        let read = self
            .lines
            .read_line(&mut text)
            .expect("the client writes text");
        assert!(read > 0, "the client ended at {line}");
        text.trim_end().to_owned()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
