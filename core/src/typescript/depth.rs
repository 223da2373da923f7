//! How deep a TypeScript text is nested. The parser recurses, and one that is given too deep a text
//! ends the process: so that is looked at before.
//!
//! This is no parser. It adds up the tokens since the last separator, over every bracket that is
//! open: nothing nests without a token of its own, so that the sum is never less than the depth of
//! what stands there.

use crate::typescript::Fault;
use std::path::Path;

/// Deeper than anything that people write, and a tenth of what the stack of [`super::with_room`]
/// holds.
const DEEPEST: usize = 4_000;

/// Words behind which an expression, a type or a statement is due: a `/` there begins a regular
/// expression, and a line end ends nothing.
const OPENING: &[&str] = &[
    "abstract",
    "as",
    "assert",
    "asserts",
    "async",
    "await",
    "case",
    "class",
    "const",
    "declare",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "export",
    "extends",
    "finally",
    "for",
    "from",
    "function",
    "get",
    "if",
    "implements",
    "import",
    "in",
    "infer",
    "instanceof",
    "interface",
    "is",
    "keyof",
    "let",
    "namespace",
    "new",
    "of",
    "override",
    "private",
    "protected",
    "public",
    "readonly",
    "return",
    "satisfies",
    "set",
    "static",
    "switch",
    "throw",
    "try",
    "type",
    "typeof",
    "unique",
    "using",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

/// Words that go on with what stands before them, also on a new line.
const JOINING: &[&str] = &[
    "as",
    "else",
    "extends",
    "implements",
    "in",
    "instanceof",
    "is",
    "of",
    "satisfies",
];

/// Words whose parentheses a statement follows.
const CONTROL: &[&str] = &["for", "if", "while", "with"];

/// A bracket that is open.
struct Level {
    /// Tokens in it since the last separator.
    tokens: usize,
    /// `<` in it that are not closed. A comma between type arguments separates no more than those.
    angles: usize,
    /// `${` of a template, which goes on behind the `}`.
    template: bool,
    /// The parentheses of an `if`, say.
    control: bool,
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    levels: Vec<Level>,
    depth: usize,
    /// What came last can end an expression.
    ended: bool,
    /// The last token, where that is a word.
    word: &'a [u8],
    new_line: bool,
}

/// What is wrong with a text that is nested too deep. `shown` is what messages call its file.
pub(super) fn fault(shown: &str, text: &str) -> Option<Fault> {
    too_deep(text).map(|at| {
        Fault::at(
            shown,
            text,
            at,
            "what stands here is nested too deep to be read",
        )
    })
}

/// What is wrong with `path`, a file of the app in the folder `root`, where it is nested too deep
/// for whoever reads it. Nothing, where it cannot be read.
pub fn nested_too_deep(root: &Path, path: &Path) -> Option<Fault> {
    let text = std::fs::read(root.join(path)).ok()?;
    fault(&path.display().to_string(), &String::from_utf8_lossy(&text))
}

/// The byte at which `text` is nested too deep, if it is.
fn too_deep(text: &str) -> Option<usize> {
    let level = Level {
        tokens: 0,
        angles: 0,
        template: false,
        control: false,
    };
    let mut scanner = Scanner {
        text: text.as_bytes(),
        at: 0,
        levels: vec![level],
        depth: 0,
        ended: false,
        word: b"",
        new_line: false,
    };
    while scanner.token() {
        if scanner.depth > DEEPEST {
            return Some(scanner.at.min(text.len()));
        }
    }
    None
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

fn among(words: &[&str], word: &[u8]) -> bool {
    words.iter().any(|one| one.as_bytes() == word)
}

impl<'a> Scanner<'a> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Passes over a token, or what stands between tokens; `false` at the end.
    fn token(&mut self) -> bool {
        let Some(&first) = self.text.get(self.at) else {
            return false;
        };
        match first {
            b'\n' | b'\r' => {
                self.new_line = true;
                self.at += 1;
            }
            b' ' | b'\t' => self.at += 1,
            b'/' if self.peek(1) == b'/' => self.at += self.until(|byte| byte == b'\n'),
            b'/' if self.peek(1) == b'*' => self.comment(),
            b'/' if !self.ended => self.regular_expression(),
            b'"' | b'\'' => self.string(first),
            b'`' => {
                self.count(true);
                self.at += 1;
                self.template();
            }
            b'(' | b'[' | b'{' => {
                let control = first == b'(' && among(CONTROL, self.word);
                self.count(false);
                self.open(Level {
                    tokens: 0,
                    angles: 0,
                    template: false,
                    control,
                });
                self.at += 1;
            }
            b')' | b']' | b'}' => self.close(),
            b',' => self.separator(false),
            b';' => self.separator(true),
            byte if is_word(byte) => self.word(),
            byte => self.sign(byte),
        }
        true
    }

    fn until(&self, is_end: impl Fn(u8) -> bool) -> usize {
        let rest = &self.text[self.at..];
        rest.iter()
            .position(|&byte| is_end(byte))
            .unwrap_or(rest.len())
    }

    fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level {
                tokens: 0,
                angles: 0,
                template: false,
                control: false,
            });
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    /// A token, behind which an expression may have `ended`.
    fn count(&mut self, ended: bool) {
        self.level().tokens += 1;
        self.depth += 1;
        (self.ended, self.word, self.new_line) = (ended, b"", false);
    }

    fn open(&mut self, level: Level) {
        self.levels.push(level);
        (self.ended, self.word) = (false, b"");
    }

    fn close(&mut self) {
        self.at += 1;
        let closed = if self.levels.len() > 1 {
            self.levels.pop()
        } else {
            None
        };
        self.depth -= closed.as_ref().map_or(0, |level| level.tokens);
        (self.ended, self.word, self.new_line) = (
            !closed.as_ref().is_some_and(|level| level.control),
            b"",
            false,
        );
        if closed.is_some_and(|level| level.template) {
            self.template();
        }
    }

    /// What stands before is no part of what follows. `whole`: also no list of type arguments.
    fn separator(&mut self, whole: bool) {
        self.at += 1;
        self.reset(whole);
        (self.ended, self.word, self.new_line) = (false, b"", false);
    }

    fn reset(&mut self, whole: bool) {
        let level = self.level();
        if whole {
            level.angles = 0;
        }
        let gone = level.tokens.saturating_sub(level.angles);
        level.tokens -= gone;
        self.depth -= gone;
    }

    fn word(&mut self) {
        let length = self.until(|byte| !is_word(byte));
        let word = &self.text[self.at..self.at + length];
        if self.new_line && self.ended && !among(JOINING, word) {
            self.reset(false);
        }
        self.at += length;
        self.count(!among(OPENING, word));
        self.word = word;
    }

    fn sign(&mut self, sign: u8) {
        match (sign, self.peek(1)) {
            (b'=', b'>') => self.at += 1,
            (b'<', _) => self.level().angles += 1,
            (b'>', _) => self.level().angles = self.level().angles.saturating_sub(1),
            _ => {}
        }
        self.at += 1;
        // `x!` and `x++` end one, if what stands before does.
        let ended = self.ended && matches!(sign, b'!' | b'+' | b'-') && !self.new_line;
        self.count(ended && (sign == b'!' || self.peek(0) != sign));
    }

    fn comment(&mut self) {
        let end = self.text[self.at + 2..]
            .windows(2)
            .position(|two| two == b"*/");
        let length = end.map_or(self.text.len() - self.at, |end| end + 4);
        self.new_line |= self.text[self.at..self.at + length].contains(&b'\n');
        self.at += length;
    }

    fn string(&mut self, quote: u8) {
        self.count(true);
        self.at += 1;
        self.quoted(|byte| byte == quote || byte == b'\n');
    }

    fn regular_expression(&mut self) {
        self.count(true);
        self.at += 1;
        let mut class = false;
        self.quoted(|byte| {
            match byte {
                b'[' => class = true,
                b']' => class = false,
                _ => {}
            }
            byte == b'\n' || byte == b'/' && !class
        });
    }

    /// Passes over what is quoted, with the byte that ends it.
    fn quoted(&mut self, mut is_end: impl FnMut(u8) -> bool) {
        while let Some(&byte) = self.text.get(self.at) {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte != b'\\' && is_end(byte) {
                return;
            }
        }
    }

    /// Passes over the text of a template, up to its end or the next `${`.
    fn template(&mut self) {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'`' => {
                    self.at += 1;
                    self.ended = true;
                    return;
                }
                b'$' if self.peek(1) == b'{' => {
                    self.at += 2;
                    self.count(false);
                    return self.open(Level {
                        tokens: 0,
                        angles: 0,
                        template: true,
                        control: false,
                    });
                }
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to nest, as often as is too often.
    #[test]
    fn whatever_nests_is_counted() {
        for (before, again, after) in [
            ("x = ", "[", ""),
            ("x = ", "(", ""),
            ("", "{", ""),
            ("type T = ", "{ a: ", ""),
            ("type T = ", "Array<", ""),
            ("type T = ", "Map<string, ", ""),
            ("type T = ", "Map<\nstring,\n", ""),
            ("type T = ", "keyof ", "X"),
            ("type T = ", "() =>\n", "X"),
            ("type T = ", "A extends B ? C : ", "X"),
            ("type T = X", "[]", ""),
            ("type T = X", "['a']", ""),
            ("x = ", "!", "y"),
            ("x = ", "- ", "y"),
            ("x = ", "typeof\n", "y"),
            ("x = ", "a => ", "y"),
            ("x = ", "a ? b : ", "y"),
            ("x = ", "a ** ", "y"),
            ("x = 1", " + 1", ""),
            ("x = y", ".z", ""),
            ("x = y", "()", ""),
            ("x = ", "`${", ""),
            ("x = ", "`a${b}${", ""),
            ("x = ", "[']', ", ""),
            ("x = ", "[/]/, ", ""),
            ("x = ", "[/* ] */", ""),
            ("x = ", "[`]`, ", ""),
            ("", "if (a)\n", ";"),
            ("", "if (a) b\nelse\n", ";"),
            ("", "if (a) { b }\nelse ", ";"),
            ("", "for (;;) ", ";"),
            ("", "a:\n", ";"),
            ("", "function f() {\n", ""),
            ("", "namespace N {", ""),
            ("x = ", "class extends ", "y {}"),
        ] {
            let text = format!("{before}{}{after}", again.repeat(DEEPEST + 1));
            assert!(too_deep(&text).is_some(), "{again:?}");
        }
    }

    /// As long as one likes, and no deeper than one of it.
    #[test]
    fn what_follows_is_not_nested() {
        for again in [
            "export const a = [1, { b: 2 }]\n",
            "export const a = (x: number) => x / 2\n",
            "const r = /[/(]/, s = `${(x) / 1000}ms`;\n",
            "interface I<T> { a: Map<string, T>; b?: string[] }\n",
            "foo.bar(a < b, c)\n",
            "if (a) { b() } else { c() }\n",
            "class A { x = 1\n y() { return 2 }\n }\n",
            "// don't (\n",
            "/* it's [ */\n",
            "@d({ a: 1 })\nclass B {}\n",
        ] {
            let text = again.repeat(DEEPEST * 2);
            assert_eq!(too_deep(&text), None, "{again:?}");
        }
        let members = "  a: string\n".repeat(DEEPEST);
        assert_eq!(too_deep(&format!("interface I {{\n{members}}}")), None);
        assert_eq!(
            too_deep(&format!("x = [{}]", "'(', ".repeat(DEEPEST * 2))),
            None
        );
    }

    #[test]
    fn text_that_ends_anywhere_is_borne() {
        for text in [
            "", "\\", "`", "`${", "'", "/", "/[", "/*", "a\\", "}}}", "é", "`\\",
        ] {
            too_deep(text);
        }
    }
}
