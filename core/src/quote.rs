//! Names and strings as SQL: the only way into a statement.

/// `name` as a quoted identifier.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `names` as quoted identifiers with commas between.
pub(crate) fn idents<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    names.into_iter().map(|name| ident(name.as_ref())).collect::<Vec<_>>().join(", ")
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
