//! Where an import that names no file by a relative path is looked for among the app's own files: by
//! `baseUrl` and `paths` of the settings.

use super::path;
use serde_json::Value;
use std::collections::BTreeSet;

/// What one file of settings says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aliases {
    /// The folders that paths may count from.
    bases: Vec<String>,
    /// Patterns with one `*` or none, and where each may lead.
    paths: Vec<(String, Vec<String>)>,
}

impl Aliases {
    /// What `text` says, the tsconfig.json or jsconfig.json at `file`. Nothing, where that cannot be
    /// told.
    pub fn of(file: &str, text: &str) -> Option<Self> {
        let settings: Value = serde_json::from_str(&without_comments(text)).ok()?;
        let options = &settings["compilerOptions"];
        let paths = match &options["paths"] {
            Value::Null => Vec::new(),
            Value::Object(paths) => paths
                .iter()
                .map(|(pattern, to)| Some((pattern.clone(), texts(to)?)))
                .collect::<Option<_>>()?,
            _ => return None,
        };
        let folder = path::parent(file);
        let base = match &options["baseUrl"] {
            Value::Null if paths.is_empty() => return Some(Self::default()),
            Value::Null => None,
            Value::String(base) => Some(path::join(folder, base)),
            _ => return None,
        };
        // `paths` of one file may count from the `baseUrl` of another.
        let bases = [folder.to_owned()].into_iter().chain(base).collect();
        Some(Self { bases, paths })
    }

    /// The places at which an import may be looked for: more than there are, so that none is missed.
    pub fn places(all: &[Self], import: &str) -> Vec<String> {
        let bases: BTreeSet<&String> = all.iter().flat_map(|one| &one.bases).collect();
        let mut targets = vec![import.to_owned()];
        for (pattern, to) in all.iter().flat_map(|one| &one.paths) {
            if let Some(part) = matched(pattern, import) {
                targets.extend(to.iter().map(|target| target.replacen('*', part, 1)));
            }
        }
        bases
            .into_iter()
            .flat_map(|base| targets.iter().map(move |target| path::join(base, target)))
            .collect()
    }
}

fn texts(list: &Value) -> Option<Vec<String>> {
    let texts = list.as_array()?.iter();
    texts.map(|text| text.as_str().map(str::to_owned)).collect()
}

/// The part of `import` that the `*` of a pattern stands for.
fn matched<'a>(pattern: &str, import: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once('*') else {
        return (import == pattern).then_some("");
    };
    import.strip_prefix(before)?.strip_suffix(after)
}

/// JSON, as TypeScript takes it: with comments, and commas at the end.
fn without_comments(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    let mut comma = None;
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(first) = rest.chars().next() {
        let part = &rest[..part_length(rest)];
        rest = &rest[part.len()..];
        let is_comment = part.starts_with("//") || part.starts_with("/*");
        if is_comment || first.is_whitespace() {
            json.push(' ');
            continue;
        }
        if let (Some(at), "}" | "]") = (comma, part) {
            json.replace_range(at..=at, " ");
        }
        comma = (part == ",").then_some(json.len());
        json.push_str(part);
    }
    json
}

/// How long the part is that `rest` begins with: a text in quotes, a comment, or one character.
fn part_length(rest: &str) -> usize {
    let to_end = |end: &str| rest[2..].find(end).map_or(rest.len(), |at| 2 + at);
    match rest.as_bytes() {
        [b'/', b'/', ..] => to_end("\n"),
        [b'/', b'*', ..] => rest.len().min(to_end("*/") + 2),
        [b'"', ..] => {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |at| at + 2)
        }
        _ => rest.chars().next().map_or(0, char::len_utf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_an_editor_has_them() {
        let text = "\u{feff}{ // as an editor has it\n \"extends\": \"../base.json\", \"compilerOptions\": \
                    { \"baseUrl\": \"./src\", /* none, */ \"paths\": { \"@a/*\": [\"./a//*\\\"\", ], }, }, }";
        let aliases = Aliases::of("m/tsconfig.json", text).unwrap();
        assert_eq!(aliases.bases, ["m", "m/src"]);
        assert_eq!(
            aliases.paths,
            [("@a/*".to_owned(), vec!["./a//*\"".to_owned()])]
        );
        for open in [
            "{ \"a\": \"",
            "{ /* ",
            "{ \"a\": \"\\",
            "//",
            "/*/",
            "/",
            "é",
        ] {
            assert_eq!(Aliases::of("tsconfig.json", open), None, "{open}");
        }
        for other in ["{}", "null", "[]", "{\"compilerOptions\":{\"paths\":{}}}"] {
            assert_eq!(
                Aliases::of("tsconfig.json", other),
                Some(Aliases::default())
            );
        }
        for odd in ["{\"paths\":{\"a\":1}}", "{\"paths\":1}", "{\"baseUrl\":[]}"] {
            let text = format!("{{\"compilerOptions\":{odd}}}");
            assert_eq!(Aliases::of("tsconfig.json", &text), None, "{odd}");
        }
    }

    #[test]
    fn an_import_is_looked_for_from_every_base_and_by_every_pattern() {
        let of = |file, text| Aliases::of(file, text).unwrap();
        let all = [
            of(
                "tsconfig.json",
                "{\"compilerOptions\":{\"paths\":{\"@lib/*\":[\"./lib/*\",\"../x/*\"],\"exact\":[\"./one\"]}}}",
            ),
            of(
                "m/tsconfig.json",
                "{\"compilerOptions\":{\"baseUrl\":\"src\"}}",
            ),
        ];
        let places = Aliases::places(&all, "@lib/a");
        assert_eq!(
            places,
            [
                "@lib/a",
                "lib/a",
                "../x/a",
                "m/@lib/a",
                "m/lib/a",
                "x/a",
                "m/src/@lib/a",
                "m/src/lib/a",
                "m/x/a"
            ]
        );
        assert_eq!(Aliases::places(&all, "exact").len(), 6);
        assert_eq!(Aliases::places(&all, "exactly").len(), 3);
        assert_eq!(Aliases::places(&[], "os"), [""; 0]);
    }
}
