//! What a program of a build says, line by line, as it says it.

use super::{OnSaid, environment::Environment};
use regex::Regex;
use remy_db::internals::owner;
use std::{borrow::Cow, sync::LazyLock};

/// A line that is longer is told in pieces.
const LONGEST: usize = 4096;

/// A value that is shorter would be found everywhere.
const SHORTEST: usize = 8;

/// The lines of an output.
pub(super) struct Said<'a> {
    program: &'a str,
    tell: Option<OnSaid<'a>>,
    secrets: Vec<String>,
    /// The beginning of a line.
    rest: Vec<u8>,
}

impl<'a> Said<'a> {
    /// Of a program, with the environment that it has.
    pub(super) fn new(program: &'a str, variables: &Environment, tell: Option<OnSaid<'a>>) -> Self {
        let secrets = match tell {
            Some(_) => secrets(variables),
            None => Vec::new(),
        };
        Self {
            program,
            tell,
            secrets,
            rest: Vec::new(),
        }
    }

    /// What it wrote next.
    pub(super) fn take(&mut self, text: &[u8]) {
        if self.tell.is_none() {
            return;
        }
        for byte in text {
            match byte {
                b'\n' | b'\r' => self.end(),
                byte => self.rest.push(*byte),
            }
            if self.rest.len() >= LONGEST {
                self.end();
            }
        }
    }

    /// There is no more of the line.
    pub(super) fn end(&mut self) {
        let line = std::mem::take(&mut self.rest);
        let line = String::from_utf8_lossy(&line);
        let line = plain(line.trim_end());
        if let Some(tell) = self.tell.filter(|_| !line.is_empty()) {
            let line = self.without_secrets(&line);
            owner::as_the_caller(|| tell(self.program, &line));
        }
    }

    fn without_secrets(&self, line: &str) -> String {
        static CREDENTIALS: LazyLock<Regex> = LazyLock::new(|| {
            let of_urls = r"(://)[^/@ \t]+@";
            let of_npmrc = r"(_auth(?:Token)?|_password)([ \t]*[=:][ \t]*)[^ \t]+";
            Regex::new(&format!("{of_urls}|{of_npmrc}"))
                .expect("an expression that is written here")
        });
        let mut line = CREDENTIALS
            .replace_all(line, |found: &regex::Captures<'_>| match found.get(1) {
                Some(_) => "://***@".to_owned(),
                None => format!("{}{}***", &found[2], &found[3]),
            })
            .into_owned();
        for secret in &self.secrets {
            line = line.replace(secret, "***");
        }
        line
    }
}

/// A text without colours.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    static COLOUR: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\x1b\[[0-9;?]*[A-Za-z]").expect("an expression that is written here")
    });
    COLOUR.replace_all(text, "")
}

/// The values of variables that are named as what is kept secret, the longest first.
fn secrets(variables: &Environment) -> Vec<String> {
    const NAMES: [&str; 6] = ["TOKEN", "SECRET", "PASSW", "_AUTH", "CREDENTIAL", "_KEY"];
    let named = variables.iter().filter(|(name, _)| {
        let name = name.to_string_lossy().to_ascii_uppercase();
        NAMES.iter().any(|word| name.contains(word))
    });
    let values = named.filter_map(|(_, value)| value.to_str());
    let mut secrets: Vec<String> = values
        .filter(|value| value.len() >= SHORTEST)
        .map(str::to_owned)
        .collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn told(output: &[&[u8]]) -> Vec<String> {
        let lines = Mutex::new(Vec::new());
        let tell =
            |program: &str, line: &str| lines.lock().unwrap().push(format!("{program}|{line}"));
        let variables = [("NPM_TOKEN", "s3cret-token"), ("HOME", "/home/ann")];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let mut said = Said::new("npm", &variables.into(), Some(&tell));
        output.iter().for_each(|text| said.take(text));
        said.end();
        lines.into_inner().unwrap()
    }

    #[test]
    fn lines_are_told_whole_however_they_come() {
        assert_eq!(
            told(&[b"one\ntw", b"o\r\n\n\x1b[32mth\xc3", b"\xbcr\x1b[0mee"]),
            ["npm|one", "npm|two", "npm|thüree"]
        );
        let long = vec![b'x'; LONGEST + 1];
        assert_eq!(told(&[&long]).len(), 2);
    }

    #[test]
    fn secrets_are_not_told() {
        let line = b"GET https://ann:pw@host/x s3cret-token //host/:_authToken=abc in /home/ann";
        assert_eq!(
            told(&[line]),
            ["npm|GET https://***@host/x *** //host/:_authToken=*** in /home/ann"]
        );
    }
}
