//! Workspaces: folders with a package.json whose packages are installed together, by a package.json
//! above them that names them.

use super::{Files, Result, path};
use crate::AppError;
use remy_db::internals::typescript::Fault;
use serde_json::Value;
use std::{fs, path::Path};

/// `name` in a folder; '' is the app's own.
pub(crate) fn within(folder: &str, name: &str) -> String {
    path::normalize(&format!("./{folder}/{name}"))
}

/// A folder as installs name it: '' is the app's own.
pub(super) fn folder_of(at: &str) -> &str {
    if at == "." { "" } else { at }
}

/// The nearest folder above a file that has a package.json, '' for the app itself.
pub fn package_folder(files: &Files, file: &str) -> Option<String> {
    path::folders_above(file)
        .find(|folder| files.contains_key(&within(folder, "package.json")))
        .map(|folder| folder_of(folder).to_owned())
}

/// The folders that are installed with `folder`, the one that the install runs in first: all of a
/// workspace that has it as a member, or itself alone.
pub fn installed_with(folder: &str, tree: &Path, files: &Files) -> Result<Vec<String>> {
    let all: Vec<&str> = files
        .keys()
        .filter(|file| path::name(file) == "package.json")
        .map(|file| folder_of(path::parent(file)))
        .collect();
    let above = path::folders_above(folder)
        .map(folder_of)
        .filter(|above| *above != folder);
    for top in std::iter::once(folder).chain(above) {
        if top != folder && is_of_pnpm(top, folder, files) {
            return Err(not_of_pnpm(top, folder));
        }
        let patterns = if all.contains(&top) {
            named_by(&tree.join(within(top, "package.json")))
        } else {
            Vec::new()
        };
        let members: Vec<&str> = all
            .iter()
            .copied()
            .filter(|at| below(top, at).is_some_and(|path| is_member(path, &patterns)))
            .collect();
        let is_it = if top == folder {
            !members.is_empty()
        } else {
            members.contains(&folder)
        };
        if is_it {
            let all = std::iter::once(top).chain(members);
            return Ok(all.map(str::to_owned).collect());
        }
    }
    Ok(vec![folder.to_owned()])
}

/// `at` seen from the folder `top` above it.
fn below<'a>(top: &str, at: &'a str) -> Option<&'a str> {
    match top {
        "" => (!at.is_empty()).then_some(at),
        top => at.strip_prefix(top)?.strip_prefix('/'),
    }
}

/// pnpm names its members elsewhere, and lays them out in a way of its own.
fn is_of_pnpm(top: &str, folder: &str, files: &Files) -> bool {
    let has = |at: &str, name: &str| files.contains_key(&within(at, name));
    has(top, "pnpm-workspace.yaml")
        && !has(top, "package-lock.json")
        && !has(folder, "pnpm-lock.yaml")
}

fn not_of_pnpm(top: &str, folder: &str) -> AppError {
    let message = format!(
        "is below {}, and a pnpm workspace cannot be installed here. Give {folder} a lock of its own \
         (\"pnpm install --ignore-workspace\" in it), or name it in \"workspaces\" of {} and use npm",
        within(top, "pnpm-workspace.yaml"),
        within(top, "package.json")
    );
    let file = within(folder, "package.json");
    AppError::does_not_build(vec![Fault::of_file(&file, message)])
}

/// The patterns of `workspaces`: a list, or yarn's older object with one. What cannot be read is said
/// where it is installed.
fn named_by(package: &Path) -> Vec<String> {
    let read = fs::read(package).ok();
    let Some(json) = read.and_then(|text| serde_json::from_slice::<Value>(&text).ok()) else {
        return Vec::new();
    };
    let workspaces = &json["workspaces"];
    let patterns = workspaces.as_array().or(workspaces["packages"].as_array());
    let texts = patterns.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// Whether a folder is one that the patterns name, of which the last that fits decides.
fn is_member(folder: &str, patterns: &[String]) -> bool {
    let last = patterns
        .iter()
        .rfind(|pattern| fits(pattern.strip_prefix('!').unwrap_or(pattern), folder));
    last.is_some_and(|pattern| !pattern.starts_with('!'))
}

/// Whether a pattern names a folder: `*` is one name, or a part of it, and `**` any number of names.
/// What the folder itself is called is never a pattern.
fn fits(pattern: &str, folder: &str) -> bool {
    let pattern = path::normalize(pattern);
    let patterns: Vec<&str> = pattern.split('/').collect();
    let names: Vec<&str> = folder.split('/').collect();
    names_fit(&patterns, &names)
}

fn names_fit(patterns: &[&str], names: &[&str]) -> bool {
    match (patterns, names) {
        ([], []) => true,
        (["**", rest @ ..], names) => (0..=names.len()).any(|n| names_fit(rest, &names[n..])),
        ([pattern, patterns @ ..], [name, names @ ..]) => {
            name_fits(pattern, name) && names_fit(patterns, names)
        }
        _ => false,
    }
}

fn name_fits(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    let mut behind = name;
    for part in parts {
        match behind.split_once(part) {
            Some((_, rest)) => behind = rest,
            None => return false,
        }
    }
    behind.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{Entry, Mode};
    use serde_json::json;

    fn files<'a>(paths: impl IntoIterator<Item = &'a str>) -> Files {
        let entry = Entry {
            hash: String::new(),
            mode: Mode::File,
        };
        paths
            .into_iter()
            .map(|path| (path.to_owned(), entry.clone()))
            .collect()
    }

    /// The folders that are installed together, of an app whose package.json says this.
    fn together(package: &str, others: &[&str], at: &str) -> Result<Vec<String>> {
        let tree = tempfile::tempdir().unwrap();
        fs::write(tree.path().join("package.json"), package).unwrap();
        let files = files(others.iter().copied().chain(["package.json"]));
        installed_with(at, tree.path(), &files)
    }

    #[test]
    fn which_folders_are_installed_together() {
        let members = [
            "dist/methods/package.json",
            "dist/interfaces/web/package.json",
            "packages/a/package.json",
            "packages/b/package.json",
            "packages/b/deep/package.json",
        ];
        let alone: &[&str] = &["dist/methods"];
        let cases: [(Value, &[&str]); 9] = [
            (
                json!(["dist/methods", "packages/*"]),
                &["", "dist/methods", "packages/a", "packages/b"],
            ),
            (json!(["./dist/*/"]), &["", "dist/methods"]),
            (
                json!({ "packages": ["dist/**"] }),
                &["", "dist/interfaces/web", "dist/methods"],
            ),
            (
                json!(["**", "!packages/*"]),
                &["", "dist/interfaces/web", "dist/methods", "packages/b/deep"],
            ),
            (json!(["packages/*"]), alone),
            (json!(["dist/method"]), alone),
            (json!(["dist.methods"]), alone),
            (json!("dist/methods"), alone),
            (Value::Null, alone),
        ];
        for (workspaces, expected) in cases {
            let package = json!({ "workspaces": workspaces }).to_string();
            let mut found = together(&package, &members, "dist/methods").unwrap();
            found[1..].sort();
            assert_eq!(found, expected, "{workspaces}");
        }
        assert_eq!(together("{ no", &["a/package.json"], "a").unwrap(), ["a"]);
        let named = json!({ "workspaces": ["a"] }).to_string();
        assert_eq!(
            together(&named, &["a/package.json"], "").unwrap(),
            ["", "a"]
        );
    }

    #[test]
    fn what_a_folder_is_called_is_no_pattern() {
        assert!(fits("a*b", "a*b") && fits("a*", "a*") && fits("a*b*c", "a1b2b3c"));
        assert!(!fits("ab", "a*") && !fits("a", "*") && !fits("a.b", "axb") && !fits("a*a", "a"));
        assert!(fits("**/x", "x") && fits("a/**/x", "a/b/c/x") && !fits("*/x", "a/b/x"));
    }

    #[test]
    fn a_pnpm_workspace_is_refused_and_a_folder_with_a_lock_of_its_own_is_its_own() {
        let all = ["pnpm-workspace.yaml", "pnpm-lock.yaml", "a/package.json"];
        let refused = together("{}", &all, "a").unwrap_err();
        assert_eq!(refused.error().code(), "build_failed");
        assert!(
            refused.to_string().ends_with(
                "a/package.json: is below pnpm-workspace.yaml, and a pnpm workspace cannot be installed \
                 here. Give a a lock of its own (\"pnpm install --ignore-workspace\" in it), or name it \
                 in \"workspaces\" of package.json and use npm"
            ),
            "{refused}"
        );
        let own = [&all[..], &["a/pnpm-lock.yaml"]].concat();
        assert_eq!(together("{}", &own, "a").unwrap(), ["a"]);
    }

    #[test]
    fn the_nearest_package_json_above_a_file() {
        let mut files = files(["a/package.json", "a/b/c.ts", "d/e.ts"]);
        assert_eq!(package_folder(&files, "a/b/c.ts").as_deref(), Some("a"));
        assert_eq!(package_folder(&files, "d/e.ts"), None);
        files.insert("package.json".to_owned(), files["d/e.ts"].clone());
        assert_eq!(package_folder(&files, "d/e.ts").as_deref(), Some(""));
    }
}
