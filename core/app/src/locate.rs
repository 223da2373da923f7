//! Files that a declaration names.

use remy_db::internals::typescript::within;
use std::{
    ffi::OsStr,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// The file that `path` names from the folder `dir`: its path relative to the root, or what is
/// wrong with it.
pub(crate) fn locate(root: &Path, dir: &str, path: &str) -> Result<String, String> {
    if path.contains('\0') {
        return Err("is no path".to_owned());
    }
    if path.starts_with('/') {
        return Err(format!(
            "\"{path}\" is an absolute path; files are named from the app's folder on"
        ));
    }
    let Some(file) = normal(dir, path) else {
        return Err(format!("\"{path}\" leaves the app's folder"));
    };
    let real = match real(root, &file) {
        Ok(real) => real,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(format!("there is no file \"{file}\""));
        }
        Err(e) => return Err(format!("\"{file}\" cannot be read: {e}")),
    };
    let Some(real) = real else {
        return Err(format!("\"{file}\" is a link that leaves the app's folder"));
    };
    let hidden = Path::new(&file)
        .iter()
        .chain(real.within.iter())
        .find(|name| is_left_out(name));
    if let Some(hidden) = hidden {
        let hidden = hidden.display();
        return Err(format!(
            "\"{file}\" is in \"{hidden}\", which is never part of a release"
        ));
    }
    if real.is_file {
        Ok(file)
    } else {
        Err(format!("\"{file}\" is not a file"))
    }
}

/// A path as it is compared, relative to the root: `./a/b.ts` is `a/b.ts`. Nothing, where it leads
/// out of it.
pub(crate) fn normal(dir: &str, path: &str) -> Option<String> {
    let within = within(&format!("{dir}/{path}"))?;
    // Of a JSON text, so that it is UTF-8.
    let mut file = within.to_str()?.to_owned();
    if file.is_empty() {
        file.push('.');
    } else if path.ends_with('/') {
        // A file has no slash behind it, as the system says, too.
        file.push('/');
    }
    Some(file)
}

/// What a path leads to once its links are followed.
struct Real {
    within: PathBuf,
    is_file: bool,
}

/// What `file` leads to; nothing, where that is not below the root.
fn real(root: &Path, file: &str) -> std::io::Result<Option<Real>> {
    let top = root.canonicalize()?;
    let path = top.join(file).canonicalize()?;
    let is_file = path.metadata()?.is_file();
    let within = path.strip_prefix(&top).ok().map(Path::to_owned);
    Ok(within.map(|within| Real { within, is_file }))
}

/// What no release has, and so no manifest may name.
fn is_left_out(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    [".git", "node_modules", ".remy"].contains(&name.as_ref()) || name.starts_with(".env")
}

/// The text of a file below the root, without a byte order mark, or what is wrong with it.
pub(crate) fn read_text(root: &Path, file: &str) -> Result<String, String> {
    let bytes = std::fs::read(root.join(file)).map_err(|e| format!("cannot be read: {e}"))?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_compared_without_its_detours() {
        for (dir, path, expected) in [
            (".", "./a//b.ts", Some("a/b.ts")),
            ("x/y", "../b.ts", Some("x/b.ts")),
            ("x", "../../b.ts", None),
            (".", "a/b.ts/", Some("a/b.ts/")),
            (".", "a/..", Some(".")),
        ] {
            assert_eq!(normal(dir, path).as_deref(), expected, "{dir} {path}");
        }
    }

    #[test]
    fn a_file_has_no_slash_behind_it() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a.ts"), "").unwrap();
        assert_eq!(locate(root.path(), ".", "./a.ts").unwrap(), "a.ts");
        assert_eq!(
            locate(root.path(), ".", "a.ts/").unwrap_err(),
            "there is no file \"a.ts/\""
        );
        assert_eq!(
            locate(root.path(), ".", "").unwrap_err(),
            "\".\" is not a file"
        );
    }
}
