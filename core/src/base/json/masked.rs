//! JSON text that can be shown although it is broken.

/// The text with only its keys left to read: a value may be a secret, a number too, and what shows
/// the text is kept in logs. The text is not JSON, so that a value is whatever is not surely a key.
/// Every character stays in its place.
pub fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (part, after) = rest.split_at(part_length(rest));
        let before = &text[..text.len() - rest.len()];
        let kept = match first {
            '"' => is_quoted_key(before, part, after),
            _ if is_mark(first) => true,
            _ => is_bare_key(before, part, after),
        };
        if kept {
            shown.push_str(part);
        } else {
            shown.push_str(&stars(part));
        }
        rest = after;
    }
    shown
}

/// Whether the character stands between values.
fn is_mark(c: char) -> bool {
    c.is_whitespace() || "{}[],:".contains(c)
}

/// How long the part is that `rest` begins with: a text in quotes, which ends with its line at the
/// latest, a mark, or what stands between these.
fn part_length(rest: &str) -> usize {
    match rest.chars().next() {
        Some('"') => quoted_length(rest),
        Some(c) if is_mark(c) => c.len_utf8(),
        _ => rest.find(|c| c == '"' || is_mark(c)).unwrap_or(rest.len()),
    }
}

fn quoted_length(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return i + 1,
            '\n' | '\r' => return i,
            '\\' => {
                chars.next_if(|(_, c)| !matches!(c, '\n' | '\r'));
            }
            _ => {}
        }
    }
    rest.len()
}

fn stars(part: &str) -> String {
    let (mut shown, mut escaped) = (String::new(), false);
    for c in part.chars() {
        shown.push(if c == '"' && !escaped { c } else { '*' });
        escaped = c == '\\' && !escaped;
    }
    shown
}

fn is_quoted_key(before: &str, part: &str, after: &str) -> bool {
    let closed = part.len() > 1 && part.ends_with('"') && quoted_length(part) == part.len();
    closed && after.trim_start().starts_with(':') && !before.trim_end().ends_with(':')
}

fn is_bare_key(before: &str, part: &str, after: &str) -> bool {
    let is_name = part
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_$".contains(c));
    is_name && after.trim_start().starts_with(':') && before.trim_end().ends_with(['{', ','])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay() {
        for (text, shown) in [
            (
                "{ \"café\": \"señor\", \"n\": -1.5 \"key\": true }",
                "{ \"café\": \"*****\", \"n\": **** \"key\": **** }",
            ),
            (
                "{\n  methods: [a, 12.5e3]\n}",
                "{\n  methods: [*, ******]\n}",
            ),
            ("{ \"a\" 1 }", "{ \"*\" * }"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn no_value_is_shown() {
        for text in [
            "{ \"secret\": \"whsec_TOP\"\n\"a\": 1 }",
            "{ \"secret\": whsec_TOP }",
            "{ \"secret\": whsec_TOP\", \"a\": 1 }",
            "{ \"secret\": \"whsec_TOP, \"a\": 1 }",
            "{ \"secret: \"whsec_TOP\", \"a\": 1 }",
            "{ \"secret\": 'whsec_TOP' }",
            "{ \"secret\": \"whsec_TOP\": \"a\": 1 }",
            "{ \"secret\": \"\\xwhsec_TOP\" }",
            "{ \"secret\": \"\\\"whsec_TOP\" \"a\": 1 }",
            "{ \"a\": 1, // whsec_TOP\n}",
        ] {
            let shown = masked(text);
            assert!(
                !shown.contains("whsec") && !shown.contains("TOP"),
                "{shown}"
            );
        }
    }
}
