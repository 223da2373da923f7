//! Reads JSON text.

use crate::base::{
    json::{masked::masked, pointer::below},
    text::place,
};
use serde_json::{Map, Value};

/// Deeper than any file of an app, and far from the end of the stack.
const DEEPEST: usize = 500;

/// What a JSON text says.
#[derive(Debug, Clone, PartialEq)]
pub struct Json {
    /// The value. Of a key that an object has more than once, the last one counts.
    pub value: Value,
    /// The pointers of keys that an object has more than once, at each that comes again.
    pub twice: Vec<String>,
}

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotJson {
    /// What stands there, and what has to. Never a value, which may be a secret.
    pub message: String,
    /// The byte at which it stands.
    pub at: usize,
}

impl NotJson {
    /// The line and column, both from 1 and in characters, in the `text` that was read, and that
    /// line, masked.
    pub fn place(&self, text: &str) -> (usize, usize, String) {
        let (line, column, _) = place(text, self.at);
        // All of it is masked: what stands before tells keys from values.
        let source = masked(text)
            .lines()
            .nth(line - 1)
            .unwrap_or_default()
            .to_owned();
        (line, column, source)
    }
}

type Result<T> = std::result::Result<T, NotJson>;

/// Reads a JSON text.
pub fn read(text: &str) -> Result<Json> {
    let mut scanner = Scanner {
        text,
        at: 0,
        depth: 0,
        twice: Vec::new(),
    };
    scanner.space()?;
    let value = scanner.value("")?;
    scanner.space()?;
    if scanner.at < text.len() {
        let found = scanner.found();
        return scanner.fail(format!("nothing can follow the end, but {found} does"));
    }
    let twice = scanner.twice;
    Ok(Json { value, twice })
}

struct Scanner<'t> {
    text: &'t str,
    /// A byte that begins a character, or the end.
    at: usize,
    depth: usize,
    twice: Vec<String>,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn value(&mut self, pointer: &str) -> Result<Value> {
        match self.rest().chars().next() {
            Some(open @ ('{' | '[')) => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return self.fail(format!(
                        "more than {DEEPEST} lists and objects are nested here"
                    ));
                }
                let value = if open == '{' {
                    self.object(pointer).map(Value::Object)
                } else {
                    self.list(pointer).map(Value::Array)
                };
                self.depth -= 1;
                value
            }
            Some('"') => self.string().map(Value::String),
            _ => self.plain(),
        }
    }

    /// A number, `true`, `false` or `null`.
    fn plain(&mut self) -> Result<Value> {
        let length = plain_length(self.rest());
        if length == 0 {
            let found = self.found();
            return self.fail(format!("a value has to stand here, but {found} does"));
        }
        match serde_json::from_str(&self.rest()[..length]) {
            Ok(value) => {
                self.at += length;
                Ok(value)
            }
            Err(_) => self.fail("this number is greater than any that a program holds"),
        }
    }

    fn object(&mut self, pointer: &str) -> Result<Map<String, Value>> {
        let (open, mut fields) = (self.at, Map::new());
        let mut more = self.begins('}')?;
        while more {
            if !self.rest().starts_with('"') {
                let found = self.found_key();
                return self.fail(format!(
                    "a key in double quotes has to stand here, but {found} does"
                ));
            }
            let key = self.string()?;
            let at = below(pointer, &key);
            self.space()?;
            if !self.take(':') {
                let found = self.found();
                return self.fail(format!(
                    "a colon has to follow the key \"{key}\", but {found} does"
                ));
            }
            self.space()?;
            let value = self.value(&at)?;
            if fields.insert(key, value).is_some() {
                self.twice.push(at);
            }
            more = self.goes_on(open, '}')?;
        }
        Ok(fields)
    }

    fn list(&mut self, pointer: &str) -> Result<Vec<Value>> {
        let (open, mut entries) = (self.at, Vec::new());
        let mut more = self.begins(']')?;
        while more {
            entries.push(self.value(&below(pointer, entries.len()))?);
            more = self.goes_on(open, ']')?;
        }
        Ok(entries)
    }

    /// Goes behind an opening bracket. Returns whether there is an entry.
    fn begins(&mut self, close: char) -> Result<bool> {
        self.at += 1;
        self.space()?;
        Ok(!self.take(close))
    }

    /// Goes behind an entry of what was opened at `open`. Returns whether there is another one.
    fn goes_on(&mut self, open: usize, close: char) -> Result<bool> {
        self.space()?;
        if self.take(close) {
            return Ok(false);
        }
        let comma = self.at;
        if !self.take(',') {
            if self.rest().is_empty() {
                let bracket = &self.text[open..=open];
                let line = self.text[..open].matches('\n').count() + 1;
                return self.fail(format!("the \"{bracket}\" of line {line} is never closed"));
            }
            let found = self.found();
            return self.fail(format!(
                "\",\" or \"{close}\" has to stand here, but {found} does"
            ));
        }
        self.space()?;
        if self.rest().starts_with(close) {
            self.at = comma;
            return self.fail(format!(
                "a comma stands before the \"{close}\"; the last entry has none"
            ));
        }
        Ok(true)
    }

    /// A text in quotes, and what it means.
    fn string(&mut self) -> Result<String> {
        let (start, mut at) = (self.at, self.at + 1);
        while let Some(c) = self.text[at..].chars().next() {
            match c {
                '"' => {
                    let Ok(text) = serde_json::from_str(&self.text[start..=at]) else {
                        return self.fail("this text has an escape that is half a character");
                    };
                    self.at = at + 1;
                    return Ok(text);
                }
                '\n' | '\r' => {
                    return self.fail("the quote of this text is not closed on its line");
                }
                '\0'..' ' => {
                    self.at = at;
                    let instead = if c == '\t' { "\"\\t\"" } else { "its escape" };
                    return self.fail(format!(
                        "a text cannot hold this character as it is; write {instead}"
                    ));
                }
                '\\' => match escape_length(&self.text[at + 1..]) {
                    Some(length) => at += length,
                    None => {
                        self.at = at;
                        let escape: String = self.rest().chars().take(2).collect();
                        return self.fail(format!(
                            "\"{escape}\" means nothing in a text; a backslash itself is \"\\\\\""
                        ));
                    }
                },
                _ => {}
            }
            at += c.len_utf8();
        }
        self.fail("the quote of this text is not closed")
    }

    fn space(&mut self) -> Result<()> {
        self.at = self.text.len()
            - self
                .rest()
                .trim_start_matches([' ', '\t', '\r', '\n'])
                .len();
        if ["//", "/*", "#"]
            .iter()
            .any(|comment| self.rest().starts_with(comment))
        {
            return self.fail("JSON has no comments");
        }
        Ok(())
    }

    fn take(&mut self, c: char) -> bool {
        let there = self.rest().starts_with(c);
        if there {
            self.at += c.len_utf8();
        }
        there
    }

    /// What stands here, in words. A word may be a secret that lost its quotes, and is not named.
    fn found(&self) -> String {
        match self.rest().chars().next() {
            None => "the end of the file".to_owned(),
            Some('\'') => "' (texts stand in double quotes)".to_owned(),
            Some(c) if c.is_alphanumeric() || "_$.+-".contains(c) => {
                "something without quotes".to_owned()
            }
            Some(c) => Value::from(c.to_string()).to_string(),
        }
    }

    /// What stands here in the place of a key: a word with a colon behind it can be named.
    fn found_key(&self) -> String {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_$.+-".contains(c);
        let behind = self.rest().trim_start_matches(is_of_name);
        let name = &self.rest()[..self.rest().len() - behind.len()];
        if name.is_empty() || !behind.trim_start().starts_with(':') {
            return self.found();
        }
        Value::from(name.chars().take(30).collect::<String>()).to_string()
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(NotJson {
            message: message.into(),
            at: self.at,
        })
    }
}

/// How long the number or word is that `text` begins with; 0 where that is no value.
fn plain_length(text: &str) -> usize {
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for word in ["true", "false", "null"] {
        if let Some(behind) = text.strip_prefix(word)
            && !behind.starts_with(of_word)
        {
            return word.len();
        }
    }
    let behind =
        behind_number(text).filter(|behind| !behind.starts_with(|c| of_word(c) || c == '.'));
    behind.map_or(0, |behind| text.len() - behind.len())
}

/// What stands behind the number that `text` begins with.
fn behind_number(text: &str) -> Option<&str> {
    fn digits(text: &str) -> Option<&str> {
        let behind = text.trim_start_matches(|c: char| c.is_ascii_digit());
        (behind.len() < text.len()).then_some(behind)
    }
    let text = text.strip_prefix('-').unwrap_or(text);
    let mut text = match text.strip_prefix('0') {
        Some(behind) => behind,
        None => digits(text)?,
    };
    if let Some(fraction) = text.strip_prefix('.') {
        text = digits(fraction)?;
    }
    if let Some(exponent) = text.strip_prefix(['e', 'E']) {
        text = digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))?;
    }
    Some(text)
}

/// How long the escape is whose backslash stands before `text`.
fn escape_length(text: &str) -> Option<usize> {
    if text.starts_with(['"', '\\', '/', 'b', 'f', 'n', 'r', 't']) {
        return Some(1);
    }
    let digits = text.strip_prefix('u')?.as_bytes().get(..4)?;
    digits.iter().all(u8::is_ascii_hexdigit).then_some(5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Where a text is no JSON, and why.
    fn fault(text: &str) -> String {
        let NotJson { message, at } = read(text).unwrap_err();
        let (line, column, _) = place(text, at);
        format!("{line}:{column}: {message}")
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expected) in [
            (
                "",
                "1:1: a value has to stand here, but the end of the file does",
            ),
            ("{\"a\": [1, 2", "1:12: the \"[\" of line 1 is never closed"),
            ("\n{\"a\": 1", "2:8: the \"{\" of line 2 is never closed"),
            (
                "[1, 2,]",
                "1:6: a comma stands before the \"]\"; the last entry has none",
            ),
            (
                "{\"a\": 1} x",
                "1:10: nothing can follow the end, but something without quotes does",
            ),
            (
                "{'a': 1}",
                "1:2: a key in double quotes has to stand here, but ' (texts stand in double quotes) does",
            ),
            (
                "{a: 1}",
                "1:2: a key in double quotes has to stand here, but \"a\" does",
            ),
            (
                "{\"a\": 01}",
                "1:7: a value has to stand here, but something without quotes does",
            ),
            (
                "{\"a\": .5}",
                "1:7: a value has to stand here, but something without quotes does",
            ),
            ("{ // no\n}", "1:3: JSON has no comments"),
            (
                "{\"a\": \"x\n\"}",
                "1:7: the quote of this text is not closed on its line",
            ),
            ("{\"a\": \"x", "1:7: the quote of this text is not closed"),
            (
                "{\"a\": \"é\t\"}",
                "1:9: a text cannot hold this character as it is; write \"\\t\"",
            ),
            (
                "{\"a\": \"C:\\dir\"}",
                "1:10: \"\\d\" means nothing in a text; a backslash itself is \"\\\\\"",
            ),
            (
                "[\"\\ud83d\"]",
                "1:2: this text has an escape that is half a character",
            ),
            (
                "[1e999]",
                "1:2: this number is greater than any that a program holds",
            ),
        ] {
            assert_eq!(fault(text), expected);
        }
        assert_eq!(
            fault(&"[".repeat(600)),
            "1:501: more than 500 lists and objects are nested here"
        );
    }

    #[test]
    fn keys_that_are_there_twice() {
        let Json { value, twice } =
            read("{\"a\": {\"b/c\": 1, \"b/c\": 2}, \"x\": [{\"y\": 1, \"y\": 1}]}").unwrap();
        assert_eq!(value, json!({ "a": { "b/c": 2 }, "x": [{ "y": 1 }] }));
        assert_eq!(twice, ["/a/b~1c", "/x/0/y"]);
    }

    /// Every text that differs from a whole one in a character or two is taken by both, or by none.
    #[test]
    fn it_takes_what_serde_takes_and_nothing_else() {
        let whole = "{\"a\": [1, -2.5e3, \"x\\n\\u00e9\", true, null, {}], \"b\\\"\": {\"c\": []}, \"d\": \"\"}";
        let pieces = [
            "", "\"", "\\", ",", "}", "]", "{", "[", "0", "-", ".", "e", " ", "\n", "\u{1}", "t",
            ":", "/",
        ];
        let mut broken = 0;
        for i in 0..whole.len() {
            for piece in pieces {
                let (before, after) = (&whole[..i], &whole[i..]);
                for text in [
                    format!("{before}{piece}{}", &after[1..]),
                    format!("{before}{piece}{after}"),
                    format!("{before}{piece}"),
                ] {
                    let expected = serde_json::from_str::<Value>(&text);
                    match (read(&text), expected) {
                        (Ok(json), Ok(value)) => assert_eq!(json.value, value, "{text}"),
                        (Err(NotJson { at, .. }), Err(_)) => {
                            assert!(text.is_char_boundary(at), "{text}");
                            broken += 1;
                        }
                        (found, expected) => panic!("{text}: {found:?}, and serde {expected:?}"),
                    }
                    assert_eq!(
                        masked(&text).chars().count(),
                        text.chars().count(),
                        "{text}"
                    );
                }
            }
        }
        assert!(broken > 1000, "{broken} broken texts");
    }
}
