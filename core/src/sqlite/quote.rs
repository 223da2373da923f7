//! Names and strings as SQL, the only way into a statement, and SQL in messages.

/// `name` as a quoted identifier.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether a name is remy's own: one that begins with `_remy_`.
pub fn is_remys(name: &str) -> bool {
    name.get(..6)
        .is_some_and(|start| start.eq_ignore_ascii_case("_remy_"))
}

/// Whether two names are one to SQLite: letter case counts for nothing, of ASCII letters alone.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// `names` as quoted identifiers with commas between.
pub(crate) fn idents<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    names
        .into_iter()
        .map(|name| ident(name.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `name` as the option `renames` and a comment `@renamed` take it: quoted where it holds more than
/// letters and digits.
pub(crate) fn told(name: &str) -> String {
    let plain = |c: char| c == '_' || c.is_alphanumeric();
    let is_plain = name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_plain && !name.is_empty() {
        name.to_owned()
    } else {
        ident(name)
    }
}

/// `text` as a string literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(super::ident("we\"ird"), "\"we\"\"ird\"");
        assert_eq!(super::literal("it's"), "'it''s'");
        assert_eq!(super::idents(["a", "b c"]), "\"a\", \"b c\"");
    }
}
