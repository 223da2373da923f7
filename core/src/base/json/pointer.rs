//! Where a value stands in JSON text.

/// A JSON pointer to the entry `key` of what is at `pointer`.
pub fn below(pointer: &str, key: impl std::fmt::Display) -> String {
    let key = key.to_string().replace('~', "~0").replace('/', "~1");
    format!("{pointer}/{key}")
}

/// The byte at which the value at a JSON pointer begins in `text`, which is JSON. Where there is
/// none, that of the nearest value around it: what is missing is missing there.
pub fn place_of(text: &str, pointer: &str) -> usize {
    let mut at = begin(text, 0);
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        match entry(text, at, &step) {
            Some(found) => at = found,
            None => break,
        }
    }
    at
}

/// Where the text in quotes ends that `from` starts with.
fn text_end(from: &str) -> usize {
    let mut escaped = false;
    for (i, c) in from.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    from.len()
}

fn begin(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start().len()
}

/// Where the entry `step` of the object or list at `at` begins. Of a key that is there twice, the
/// last one counts.
fn entry(text: &str, at: usize, step: &str) -> Option<usize> {
    let is_object = match text.as_bytes().get(at)? {
        b'{' => true,
        b'[' => false,
        _ => return None,
    };
    let (mut found, mut index, mut at) = (None, 0usize, begin(text, at + 1));
    while !text[at..].starts_with(['}', ']']) && at < text.len() {
        let key = if is_object {
            let end = at + text_end(&text[at..]);
            let key: String = serde_json::from_str(&text[at..end]).ok()?;
            // Behind the colon.
            at = begin(text, begin(text, end) + 1);
            key
        } else {
            index.to_string()
        };
        if key == step {
            found = Some(at);
        }
        at = begin(text, at + value_end(&text[at..]));
        if text[at..].starts_with(',') {
            at = begin(text, at + 1);
        }
        index += 1;
    }
    found
}

/// Where the value ends that `from` starts with.
fn value_end(from: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(c) = from[at..].chars().next() {
        match c {
            '"' => at += text_end(&from[at..]),
            '{' | '[' => (depth, at) = (depth + 1, at + 1),
            '}' | ']' if depth > 0 => (depth, at) = (depth - 1, at + 1),
            // A number or a word, which began right here or further up.
            ',' | '}' | ']' if depth == 0 => return at,
            _ => at += c.len_utf8(),
        }
        if depth == 0 && matches!(c, '"' | '}' | ']') {
            return at;
        }
    }
    from.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_pointer() {
        let text = "\n{ \"a\" : [1, \"]},\\\"\", {\"b/c\": -2.5e3 , \"é\":{} }],\n \"d\": \"x\", \"e\": null, \"d\": [ [] , true] }";
        for (pointer, begins) in [
            ("", "{ \"a\""),
            ("/a", "[1,"),
            ("/a/1", "\"]},"),
            ("/a/2/b~1c", "-2.5e3"),
            ("/a/2/é", "{} }"),
            ("/e", "null"),
            ("/d/1", "true]"),
            ("/a/2/none/x", "{\"b/c\""),
            ("/a/7", "[1,"),
            ("/none", "{ \"a\""),
        ] {
            let at = place_of(text, pointer);
            assert!(text[at..].starts_with(begins), "{pointer}: {}", &text[at..]);
        }
        for text in ["", "5", "{}", "[]", "{\"a\": "] {
            assert!(place_of(text, "/a/b") <= text.len(), "{text}");
        }
    }
}
