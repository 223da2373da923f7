//! Paths within a release: names with `/` between them, never absolute, whatever this machine's are.

/// `path` seen from the folder `base`, without `.` and `..` as far as that can be told; `.` for the
/// top itself. What leads out of the top keeps its leading `..`.
pub fn join(base: &str, path: &str) -> String {
    normalize(&format!("{base}/{path}"))
}

/// `path` without `.`, `..`, doubled and closing slashes; `.` for the top itself.
pub fn normalize(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    if names.is_empty() {
        ".".to_owned()
    } else {
        names.join("/")
    }
}

/// The folder that holds `path`; `.` for the top, which holds itself.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(folder, _)| folder)
}

/// The last name of `path`.
pub fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// What stands behind the last dot of `path`.
pub fn ending(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// Whether a file holds JavaScript or TypeScript, by its ending: js, mjs, cjs, ts, jsx, tsx, …
pub fn is_script(path: &str) -> bool {
    let ending = ending(path);
    let ending = ending.strip_prefix(['c', 'm']).unwrap_or(ending);
    matches!(ending, "js" | "ts" | "jsx" | "tsx")
}

/// The folders that hold `path`, the nearest first; the last is `.`.
pub fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(parent(path)), |folder| {
        (*folder != ".").then(|| parent(folder))
    })
}

/// Whether `path` is in the folder, or below it. Everything is in `.`.
pub fn is_in(path: &str, folder: &str) -> bool {
    folder == "."
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// Whether `path` leads out of the folder that it is seen from.
pub fn leaves(path: &str) -> bool {
    path.starts_with('/') || normalize(path).split('/').next() == Some("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_in_one_way() {
        assert_eq!(normalize("./a//b/../c/"), "a/c");
        assert_eq!(normalize("a/.."), ".");
        assert_eq!(join("a/b", "../../../c"), "../c");
        assert_eq!(join(".", "./x"), "x");
    }

    #[test]
    fn what_leads_out_is_seen() {
        assert!(leaves("../a") && leaves("/a") && leaves("a/../../b"));
        assert!(!leaves("..a/b") && !leaves("a/../b") && !leaves("."));
    }

    #[test]
    fn folders_end_at_the_top() {
        assert_eq!(
            folders_above("a/b/c").collect::<Vec<_>>(),
            ["a/b", "a", "."]
        );
        assert!(is_in("a/b", "a") && is_in("a", ".") && !is_in("ab", "a") && !is_in("a", "a"));
    }
}
