//! The example app (`tests/app`, and what `tests/app-changes` makes of it), in a folder of its own,
//! and the command on it; and what a person does on its pages.
use crate::{browser::Browser, built_program, esbuild, output, repository};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The example app.
pub struct Example {
    dir: tempfile::TempDir,
    /// The command, and what it builds with; by itself, where that is nothing.
    program: PathBuf,
    esbuild: Option<PathBuf>,
}

impl Example {
    /// As it is before its change.
    pub fn new() -> Self {
        Self::by(built_program("remy-command"), Some(esbuild()))
    }

    /// The same, by a program that is the command where it is called `remy`.
    pub fn by(program: PathBuf, esbuild: Option<PathBuf>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let example = Self {
            dir,
            program,
            esbuild,
        };
        example.becomes("tests/app");
        example
    }

    /// Copies what is in a folder of the repository over it.
    pub fn becomes(&self, folder: &str) {
        copy_tree(&repository(folder), &self.root());
    }

    /// Its folder.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("app")
    }

    /// A file of it is another.
    pub fn changes(&self, path: &str, from: &str, to: &str) {
        let path = self.root().join(path);
        let text = fs::read_to_string(&path).expect("a file of the app");
        assert!(text.contains(from), "{from:?} is not in: {text}");
        fs::write(path, text.replace(from, to)).expect("a file of the app");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let esbuild = self.esbuild.iter();
        command
            .arg0("remy")
            .current_dir(self.root())
            .env_remove("REMY_DB")
            .envs(esbuild.map(|esbuild| ("ESBUILD_BINARY_PATH", esbuild)))
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs the command, which has to succeed.
    pub fn remy(&self, arguments: &[&str]) {
        let out = output(&mut self.command(arguments));
        let said = [&out.stdout, &out.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(out.status.success(), "{arguments:?}: {said:?}");
    }

    /// The same, with something on its stdin.
    pub fn feeds(&self, arguments: &[&str], input: &str) {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the command");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        assert!(child.wait().expect("it ends").success(), "{arguments:?}");
    }

    /// Starts a command that serves, and waits until it does.
    pub fn serves(&self, arguments: &[&str]) -> Served {
        let mut child = self
            .command(&[arguments, &["--port", "0", "--json"]].concat())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
            .find_map(|event| Some(event.get("url")?.as_str()?.to_owned()));
        // Nobody reads what it tells besides; and it is not to wait for that.
        std::thread::spawn(move || lines.for_each(drop));
        Served {
            child,
            url: url.expect("it says where it serves"),
        }
    }
}

impl Default for Example {
    fn default() -> Self {
        Self::new()
    }
}

/// A server that was started; it is told to end as this goes.
pub struct Served {
    child: Child,
    /// Where live or the session is: `http://localhost:3000`.
    pub url: String,
}

impl Served {
    /// Where a preview is.
    pub fn preview(&self, name: &str) -> String {
        self.url.replace("localhost", &format!("{name}.localhost"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let child = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &child]).status();
        let _ = self.child.wait();
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy_tree(&path, &target),
            false => drop(fs::copy(&path, &target).expect("a file")),
        }
    }
}

/// Signs in by the code that is sent there.
pub fn signs_in(browser: &mut Browser, email: &str, code: impl FnOnce() -> String) {
    browser.fills(&[("Email", email)]);
    browser.clicks("Send a code", "");
    browser.sees("Sign in", "");
    browser.fills(&[("Code", &code())]);
    browser.clicks("Sign in", "");
    browser.sees(email, "");
    browser.sees("Purchase orders", "");
}

/// A vendor is requested and approved.
pub fn has_vendor(browser: &mut Browser, name: &str) {
    let email = format!("sales@{}.example", name.to_lowercase());
    browser.fills(&[("Name", name), ("Contact email", &email)]);
    browser.clicks("Request vendor", "");
    browser.sees("pending", name);
    browser.clicks("Approve", name);
    browser.sees("approved", name);
}

/// Three of something are ordered at 2.50, and wait for approval.
pub fn orders(browser: &mut Browser, vendor: &str, item: &str) {
    browser.does("choose", &["Vendor", vendor]);
    browser.fills(&[("Item", item), ("Quantity", "3"), ("Unit price", "2.5")]);
    browser.clicks("Order", "");
    browser.sees("waiting", item);
    browser.sees("€7.50", item);
}

/// An order is approved.
pub fn approves(browser: &mut Browser, item: &str) {
    browser.clicks("Approve", item);
    browser.sees("approved", item);
}
