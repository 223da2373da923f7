//! The path of a request, as that of a file.

use crate::answer::Refusal;
use percent_encoding::percent_decode_str;

/// A path without the slashes at its ends, decoded. It is looked up among the files that there are,
/// and no file is opened by it; one that could mean another all the same is refused.
pub(super) fn clean(path: &str) -> Result<String, Refusal> {
    let refused = || Refusal::new(400, "invalid_path", "This path is none of a file");
    let mut parts = Vec::new();
    for part in path.trim_matches('/').split('/') {
        let part = percent_decode_str(part)
            .decode_utf8()
            .map_err(|_| refused())?;
        let is_odd = |c: char| matches!(c, '/' | '\\') || c.is_control();
        if part == "." || part == ".." || part.contains(is_odd) {
            return Err(refused());
        }
        parts.push(part.into_owned());
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn a_path_is_decoded_once() {
        for (path, cleaned) in [
            ("/", ""),
            ("/a/b.js", "a/b.js"),
            ("/docs/", "docs"),
            ("/a%20b/%C3%BC", "a b/ü"),
            ("/a%252fb", "a%2fb"),
            ("//evil.example/x", "evil.example/x"),
            ("/...", "..."),
        ] {
            assert_eq!(clean(path).unwrap(), cleaned, "{path}");
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        for path in [
            "/../x",
            "/a/..",
            "/%2e%2e/x",
            "/.%2E",
            "/a%2fb",
            "/a%2Fb",
            "/a%00",
            "/a%0ab",
            "/a\\b",
            "/a%5cb",
            "/%ff",
            "/./a",
        ] {
            assert_eq!(clean(path).unwrap_err().code, "invalid_path", "{path}");
        }
    }
}
