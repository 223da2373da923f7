//! SQLite's lexical rules: what is needed to compare SQL by meaning and to cut it without touching
//! its strings.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A bare word: a keyword or a name.
    Word,
    /// `"name"`, `[name]` or `` `name` ``.
    Quoted,
    /// `'text'`.
    Text,
    /// A number, a blob, a variable.
    Value,
    /// Anything else.
    Sign,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// As it is written.
    pub text: &'a str,
    /// Where it begins, in bytes.
    pub start: usize,
}

impl<'a> Token<'a> {
    /// Where it ends, in bytes.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this keyword (given in upper case) or sign.
    pub fn is(&self, what: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Sign) && self.text.eq_ignore_ascii_case(what)
    }

    /// The name that it stands for where a name is due. A string is a name there, too.
    pub fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_owned()),
            Kind::Quoted | Kind::Text => Some(unquote(self.text)),
            _ => None,
        }
    }

    /// Whether it can only be a name, or a word that may be one.
    pub fn may_name(&self, name: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
            && self.name().is_some_and(|n| n.eq_ignore_ascii_case(name))
    }
}

fn unquote(text: &str) -> String {
    let inner = text
        .get(1..text.len().saturating_sub(1))
        .unwrap_or_default();
    match text.as_bytes()[0] {
        b'[' => inner.to_owned(),
        quote => {
            let quote = char::from(quote);
            inner.replace(&format!("{quote}{quote}"), &quote.to_string())
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// The tokens of `sql`, and where its comments stand.
pub(crate) fn tokens_and_comments(sql: &str) -> (Vec<Token<'_>>, Vec<Range<usize>>) {
    let bytes = sql.as_bytes();
    let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
    let (mut tokens, mut comments) = (Vec::with_capacity(sql.len() / 4), Vec::new());
    let mut i = 0;
    while i < bytes.len() {
        let start = i;
        let find = |from: usize, what: &str| {
            sql.get(from..)
                .and_then(|rest| rest.find(what))
                .map(|n| from + n)
        };
        let kind = match bytes[i] {
            b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' => {
                i += 1;
                continue;
            }
            b'-' if at(i + 1) == b'-' => {
                i = find(i, "\n").unwrap_or(bytes.len());
                comments.push(start..i);
                continue;
            }
            b'/' if at(i + 1) == b'*' => {
                i = find(i + 2, "*/").map_or(bytes.len(), |end| end + 2);
                comments.push(start..i);
                continue;
            }
            b'[' => {
                i = find(i, "]").map_or(bytes.len(), |end| end + 1);
                Kind::Quoted
            }
            quote @ (b'\'' | b'"' | b'`') => {
                i = end_of_quoted(bytes, i, quote);
                if quote == b'\'' {
                    Kind::Text
                } else {
                    Kind::Quoted
                }
            }
            b'x' | b'X' if at(i + 1) == b'\'' => {
                i = end_of_quoted(bytes, i + 1, b'\'');
                Kind::Value
            }
            b'0'..=b'9' => {
                i = end_of_number(bytes, i);
                Kind::Value
            }
            b'.' if at(i + 1).is_ascii_digit() => {
                i = end_of_number(bytes, i);
                Kind::Value
            }
            b'?' | b'@' | b'#' | b':' => {
                i = end_of_word(bytes, i + 1);
                Kind::Value
            }
            byte if is_word(byte) => {
                i = end_of_word(bytes, i);
                Kind::Word
            }
            _ => {
                i += length_of_sign(&bytes[i..]);
                Kind::Sign
            }
        };
        i = i.min(bytes.len());
        tokens.push(Token {
            kind,
            text: &sql[start..i],
            start,
        });
    }
    (tokens, comments)
}

/// The tokens of `sql`.
pub fn tokens(sql: &str) -> Vec<Token<'_>> {
    tokens_and_comments(sql).0
}

#[inline]
fn end_of_word(bytes: &[u8], start: usize) -> usize {
    let mut i = start;
    while i < bytes.len() && is_word(bytes[i]) {
        i += 1;
    }
    i
}

#[inline]
fn length_of_sign(bytes: &[u8]) -> usize {
    match bytes {
        [b'-', b'>', b'>', ..] => 3,
        [b'|', b'|', ..] | [b'<', b'=' | b'>' | b'<', ..] | [b'>', b'=' | b'>', ..] => 2,
        [b'=' | b'!', b'=', ..] | [b'-', b'>', ..] => 2,
        _ => 1,
    }
}

fn end_of_quoted(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut i = start + 1;
    while i < bytes.len() {
        if bytes[i] == quote {
            if bytes.get(i + 1) != Some(&quote) {
                return i + 1;
            }
            i += 1;
        }
        i += 1;
    }
    bytes.len()
}

fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let mut i = start;
    let hex = bytes[i] == b'0' && matches!(bytes.get(i + 1), Some(b'x' | b'X'));
    while i < bytes.len() {
        let sign = !hex
            && matches!(bytes[i], b'+' | b'-')
            && matches!(bytes[i - 1], b'e' | b'E')
            && i > start;
        if !(is_word(bytes[i]) || bytes[i] == b'.' || sign) {
            break;
        }
        i += 1;
    }
    i
}

/// What a name is replaced by in a meaning.
pub(crate) enum Replacement {
    /// Another name.
    Name(String),
    /// A string.
    Text(String),
}

/// What `tokens` mean, as text: two pieces of SQL of one meaning by lexical rules give one text.
/// `names` says of a name what it stands for.
pub(crate) fn meaning(
    tokens: &[Token<'_>],
    names: &dyn Fn(&Token<'_>) -> Option<Replacement>,
) -> String {
    let mut out = String::with_capacity(tokens.len() * 6);
    for (i, token) in tokens.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        match token.kind {
            Kind::Text => out.push_str(token.text),
            Kind::Value => out.push_str(&token.text.to_ascii_lowercase()),
            Kind::Sign => out.push_str(match token.text {
                "==" => "=",
                "!=" => "<>",
                other => other,
            }),
            Kind::Word | Kind::Quoted => {
                let before_dot_or_call = tokens
                    .get(i + 1)
                    .is_some_and(|next| next.is("(") || next.is("."));
                match if before_dot_or_call {
                    None
                } else {
                    names(token)
                } {
                    Some(Replacement::Text(text)) => {
                        out.push_str(&crate::sqlite::quote::literal(&text))
                    }
                    Some(Replacement::Name(name)) => out.push_str(&name_meaning(&name, true)),
                    None => out.push_str(&name_meaning(
                        &token.name().unwrap_or_default(),
                        token.kind == Kind::Quoted,
                    )),
                }
            }
        }
    }
    out
}

/// A name in lower case; one that could not do without its quotes keeps them.
fn name_meaning(name: &str, quoted: bool) -> String {
    let lower = name.to_ascii_lowercase();
    let bare = !is_reserved(&lower) && lower.bytes().all(is_word) && !lower.is_empty();
    if quoted && !bare {
        crate::sqlite::quote::ident(&lower)
    } else {
        lower
    }
}

/// The meaning of a piece of SQL.
pub(crate) fn meaning_of(sql: &str) -> String {
    meaning(&tokens(sql), &|_| None)
}

/// Takes away parentheses around the whole.
pub(crate) fn without_parens<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let leading = tokens.iter().take_while(|token| token.is("(")).count();
    // Where each that is open closes. In one pass: there may be as many as the text is long.
    let (mut open, mut closed) = (Vec::new(), vec![0; leading]);
    for (i, token) in tokens.iter().enumerate() {
        if token.is("(") {
            open.push(i);
        } else if token.is(")") {
            match open.pop() {
                Some(at) if at < leading => closed[at] = i,
                _ => {}
            }
        }
    }
    let around = (0..leading)
        .take_while(|&i| closed[i] + i + 1 == tokens.len())
        .count();
    &tokens[around..tokens.len() - around]
}

/// The index of the parenthesis that closes the one at `open`.
pub fn close(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(i);
            }
        }
    }
    None
}

/// Deeper than SQLite lets an expression be.
const DEEPEST: usize = 1_000;

/// Where parentheses are nested deeper than anybody writes, if they are: each reader of SQL
/// recurses in some of them.
pub(crate) fn too_deep(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0usize;
    for token in tokens {
        if token.is("(") {
            depth += 1;
            if depth > DEEPEST {
                return Some(token.start);
            }
        } else if token.is(")") {
            depth = depth.saturating_sub(1);
        }
    }
    None
}

fn is_reserved(lower: &str) -> bool {
    RESERVED.split_ascii_whitespace().any(|word| word == lower)
}

/// The words that mean something else without quotes: SQLite's reserved keywords, and those that it
/// reads as values. Its other keywords are names wherever a name is due.
const RESERVED: &str = "add all alter and as autoincrement between case check collate commit constraint create \
current_date current_time current_timestamp default deferrable delete distinct drop else escape except exists false \
foreign from group having in index insert intersect into is isnull join limit not nothing notnull null on or order \
primary raise references returning select set table then to transaction true union unique update using values when \
where";

/// A statement without its comments, and with one space where there is any.
pub(crate) fn one_line(sql: &str) -> String {
    let mut line = String::new();
    let mut end = 0;
    for token in tokens(sql) {
        if !line.is_empty() && token.start > end {
            line.push(' ');
        }
        line.push_str(token.text);
        end = token.end();
    }
    line
}

/// Where tokens stand that two statements have in common: of the longest row of them that both have
/// in the same order. Texts that differ in too much are not compared: then it is every pair of
/// equal ones.
pub(crate) fn in_both(old: &str, new: &str) -> Vec<(usize, usize)> {
    const MOST: usize = 1 << 22;
    let (old, new) = (tokens(old), tokens(new));
    let same = |a: usize, b: usize| {
        old[a].kind == new[b].kind && old[a].text.eq_ignore_ascii_case(new[b].text)
    };
    let shorter = old.len().min(new.len());
    let head = (0..shorter).take_while(|&i| same(i, i)).count();
    let tail = (1..=shorter - head)
        .take_while(|&i| same(old.len() - i, new.len() - i))
        .count();
    let (rows, columns) = (old.len() - head - tail, new.len() - head - tail);
    let mut pairs: Vec<_> = (0..head).map(|i| (i, i)).collect();
    pairs.extend((1..=tail).map(|i| (old.len() - i, new.len() - i)));
    if rows * columns > MOST {
        let all = (0..rows).flat_map(|a| (0..columns).map(move |b| (head + a, head + b)));
        pairs.extend(all.filter(|(a, b)| same(*a, *b)));
        return pairs;
    }
    // How long the row is from each pair on.
    let mut length = vec![vec![0_u32; columns + 1]; rows + 1];
    for a in (0..rows).rev() {
        for b in (0..columns).rev() {
            length[a][b] = match same(head + a, head + b) {
                true => length[a + 1][b + 1] + 1,
                false => length[a + 1][b].max(length[a][b + 1]),
            };
        }
    }
    let (mut a, mut b) = (0, 0);
    while a < rows && b < columns {
        if same(head + a, head + b) {
            pairs.push((head + a, head + b));
            (a, b) = (a + 1, b + 1);
        } else if length[a + 1][b] >= length[a][b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_quotes_and_case_are_no_meaning() {
        let a = "SELECT [A b], \"Name\" /* ; ' */ FROM t -- it's\n WHERE x == 'It''s' AND y!=X'0A'";
        let b = "select `a B`,name from \"T\" where X = 'It''s' and y<>x'0a'";
        assert_eq!(meaning_of(a), meaning_of(b));
        assert_ne!(meaning_of("SELECT 'a'"), meaning_of("SELECT 'A'"));
        assert_ne!(meaning_of("SELECT \"null\""), meaning_of("SELECT null"));
        assert_eq!(meaning_of("\"key\" > 1"), meaning_of("KEY > 1"));
        assert_ne!(meaning_of("a - -b"), meaning_of("a --b"));
    }

    #[test]
    fn parentheses_around_the_whole_go() {
        for (sql, without) in [
            ("(a)", "a"),
            ("((a + b))", "a + b"),
            ("(a) + (b)", "( a ) + ( b )"),
            ("((a) + (b))", "( a ) + ( b )"),
            ("(a", "( a"),
            ("a)", "a )"),
            ("()", ""),
            ("", ""),
        ] {
            assert_eq!(
                meaning(without_parens(&tokens(sql)), &|_| None),
                without,
                "{sql}"
            );
        }
        let many = format!("{}a{}", "(".repeat(200_000), ")".repeat(200_000));
        assert_eq!(without_parens(&tokens(&many)).len(), 1);
    }

    #[test]
    fn numbers_end_where_sqlite_ends_them() {
        let texts: Vec<_> = tokens("1e+3+0x1F-.5").iter().map(|t| t.text).collect();
        assert_eq!(texts, ["1e+3", "+", "0x1F", "-", ".5"]);
    }

    #[test]
    fn unclosed_text_ends_with_the_text() {
        for sql in ["'abc", "\"", "[x", "/* x", "x'", "é'"] {
            tokens(sql);
        }
    }
}
