//! What the texts of a project name: paths and packages.

use crate::build::path::{ending, is_script};

/// Whether a file may name others: everything that a build tool reads as text.
pub(super) fn is_text(path: &str) -> bool {
    const ENDS: [&str; 16] = [
        "json", "css", "scss", "sass", "less", "styl", "htm", "html", "vue", "svelte", "astro",
        "md", "mdx", "yml", "yaml", "toml",
    ];
    let end = ending(path);
    ENDS.contains(&end) || is_script(path)
}

/// Whether a file may import something.
pub(super) fn is_source(path: &str) -> bool {
    let end = ending(path);
    ["vue", "svelte", "astro", "md", "mdx"].contains(&end) || is_script(path)
}

/// Whether tools look for a file of this name in all folders above a project.
pub(super) fn is_setting(name: &str) -> bool {
    name != "mindstudio.json"
        && (name.starts_with('.') && name.len() > 1
            || is_configuration(name)
            || ["json", "yaml", "yml", "toml"].contains(&ending(name))
            || name == "browserslist")
}

/// Whether a file says how a tool works: `vite.config.ts`.
pub(super) fn is_configuration(name: &str) -> bool {
    let Some((head, end)) = name.rsplit_once('.') else {
        return false;
    };
    !end.is_empty()
        && end.bytes().all(is_word)
        && head.len() > ".config".len()
        && head.ends_with(".config")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What ends a path that stands in a text.
fn ends_path(c: char) -> bool {
    c.is_whitespace() || "'\"`()<>;,*?{}$\\".contains(c)
}

/// Paths that go up, wherever they stand in a text: in an import, a glob, a setting, a piece of a path.
pub(super) fn upward(text: &str) -> impl Iterator<Item = &str> {
    found(text, "..", |before, behind| {
        let touches = |byte: Option<u8>| byte.is_some_and(|byte| byte == b'.' || is_word(byte));
        !touches(before) && !touches(behind)
    })
    .map(|path| path.strip_suffix('/').unwrap_or(path))
}

/// Paths that go from where they stand to what is beside it.
pub(super) fn beside(text: &str) -> impl Iterator<Item = &str> {
    found(text, "./", |before, _| {
        !before.is_some_and(|byte| byte == b'.' || byte == b'/' || is_word(byte))
    })
    .filter(|path| path.len() > "./".len())
}

/// Paths from the root of this machine, where they stand as texts of their own.
pub(super) fn absolute(text: &str) -> impl Iterator<Item = &str> {
    found(text, "/", |before, behind| {
        before.is_some_and(|byte| b"'\"`".contains(&byte)) && behind.is_some_and(is_word)
    })
}

/// Paths that begin with `head`, where it stands as it may, with the byte before it and the one behind.
fn found<'a>(
    text: &'a str,
    head: &'a str,
    may: impl Fn(Option<u8>, Option<u8>) -> bool,
) -> impl Iterator<Item = &'a str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let begin = at + text[at..].find(head)?;
            let behind = begin + head.len();
            let before = begin.checked_sub(1).map(|before| text.as_bytes()[before]);
            if !may(before, text.as_bytes().get(behind).copied()) {
                at = begin + 1;
                continue;
            }
            let rest = &text[behind..];
            let is_longer = head.ends_with('/') || rest.starts_with('/');
            let length = if is_longer {
                rest.find(ends_path).unwrap_or(rest.len())
            } else {
                0
            };
            at = behind + length;
            return Some(&text[begin..at]);
        }
    })
}

/// Whether a package's name stands in a text as it is imported.
pub(super) fn imports(text: &str, package: &str) -> bool {
    text.match_indices(package).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + package.len()..].chars().next();
        before.is_some_and(|c| "'\"`(~".contains(c)) && behind.is_some_and(|c| "'\"`)/".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_go_up_are_found_wherever_they_stand() {
        let text =
            "import '../a/b'; resolve('..', '..', x); glob('../c/*.ts') ...rest 1..2 '../../'";
        let found: Vec<_> = upward(text).collect();
        assert_eq!(found, ["../a/b", "..", "..", "../c", "../.."]);
        assert_eq!(
            beside("'./a' '../b' x./c './' (./d/e)").collect::<Vec<_>>(),
            ["./a", "./d/e"]
        );
    }

    #[test]
    fn paths_from_the_root_are_found_where_they_are_texts() {
        let text = "read('/srv/a.json') \"/b/c\" https://x/y a/b // no '/' `/d`";
        let found: Vec<_> = absolute(text).collect();
        assert_eq!(found, ["/srv/a.json", "/b/c", "/d"]);
    }

    #[test]
    fn a_file_is_known_by_its_name() {
        assert!(is_text("a.mts") && is_text("a.b.html") && !is_text("a.png") && !is_text("json"));
        assert!(is_source("a.cjs") && is_source("a.vue") && !is_source("a.css"));
        for name in [
            "tsconfig.json",
            ".browserslistrc",
            "postcss.config.mjs",
            "browserslist",
        ] {
            assert!(is_setting(name), "{name}");
        }
        for name in ["mindstudio.json", "a.ts", "new.ts", "config.ts", "spec.md"] {
            assert!(!is_setting(name), "{name}");
        }
    }

    #[test]
    fn a_package_is_imported_by_its_whole_name() {
        assert!(
            imports("from 'ui'", "ui") && imports("'ui/x'", "ui") && imports("url(~ui/x)", "ui")
        );
        assert!(!imports("'uix'", "ui") && !imports("ui", "ui") && !imports("'x/ui'", "ui"));
    }
}
