//! This machine's Chromium, through playwright-core: what a person does with a page.
use crate::{node_packages, repository};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Where Debian has it.
const CHROMIUM: &str = "/usr/bin/chromium";

/// A browser, with one page, and nothing that it remembers of another one.
pub struct Browser {
    node: Child,
    input: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Browser {
    /// Starts one. Why there is none, where there is none.
    pub fn start() -> Result<Self, String> {
        if !Path::new(CHROMIUM).is_file() {
            return Err(format!("there is no {CHROMIUM}"));
        }
        node_packages::installed("playwright-core")?;
        let mut node = Command::new("node")
            .current_dir(repository("tests"))
            .args(["browser/browser.mjs", CHROMIUM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("node: {e}"))?;
        let input = node.stdin.take();
        let lines = BufReader::new(node.stdout.take().expect("it is piped"));
        let mut browser = Self { node, input, lines };
        browser.ask("loads", &[])?;
        Ok(browser)
    }

    fn ask(&mut self, verb: &str, rest: &[&str]) -> Result<Value, String> {
        let mut line = vec![verb];
        line.extend(rest);
        let input = self.input.as_mut().expect("it is open until the end");
        writeln!(input, "{}", json!(line)).map_err(|e| e.to_string())?;
        let mut answer = String::new();
        self.lines
            .read_line(&mut answer)
            .map_err(|e| e.to_string())?;
        let mut answer: Value =
            serde_json::from_str(&answer).map_err(|_| "the browser has ended".to_owned())?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(format!("{verb} {rest:?}: {error}")),
            None => Ok(answer["ok"].take()),
        }
    }

    /// Does something, which has to be possible.
    pub fn does(&mut self, verb: &str, rest: &[&str]) -> Value {
        self.ask(verb, rest).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Opens a page.
    pub fn open(&mut self, url: &str) {
        assert_eq!(self.does("open", &[url]), 200, "{url}");
    }

    /// Clicks a button, of the row that has this text where one is named.
    pub fn clicks(&mut self, name: &str, row: &str) {
        self.does("click", &[name, row]);
    }

    /// Waits until a text is there.
    pub fn sees(&mut self, text: &str, row: &str) {
        self.does("sees", &[text, row]);
    }

    /// Fills fields, by their labels.
    pub fn fills(&mut self, fields: &[(&str, &str)]) {
        for (label, text) in fields {
            self.does("fill", &[label, text]);
        }
    }

    /// How often it has loaded a page.
    pub fn loads(&mut self) -> u64 {
        self.does("loads", &[]).as_u64().unwrap_or_default()
    }

    /// What an expression is in the page.
    pub fn value(&mut self, code: &str) -> Value {
        self.does("value", &[code])
    }

    /// What pages have complained of since.
    pub fn faults(&mut self) -> Value {
        self.does("faults", &[])
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of its input is that of the browser.
        drop(self.input.take());
        let _ = self.node.wait();
    }
}
