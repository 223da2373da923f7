//! Files whose names have a hash of what they hold, as builds make them: a browser may keep such a
//! file for ever, and a page of an earlier release still asks for its own.

use remy_db_app::files;
use std::{collections::BTreeSet, path::Path};

/// A hash in a name is at least so long.
const SHORTEST: usize = 8;

/// Which files of a release last.
pub(super) struct Lasting {
    /// The names of its source: what stands there was named by a person.
    named: BTreeSet<String>,
}

impl Lasting {
    /// Of the release that is kept in this folder.
    pub fn of(kept: &Path) -> Self {
        let source = files::list(&kept.join("source"), None).unwrap_or_default();
        let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
        Self {
            named: source.iter().filter_map(|file| name(&file.path)).collect(),
        }
    }

    /// Whether the file at this path lasts.
    pub fn has(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or_default();
        has_hash(name) && !self.named.contains(name)
    }
}

/// Whether a name looks as if a hash were in it: `index-BxY3k_9a.js`, `main.8f3a21bc.chunk.css`.
/// A date does not.
fn has_hash(name: &str) -> bool {
    let parts = name.split(['.', '-']).enumerate().skip(1);
    let mut hashes = parts.filter(|(_, part)| {
        let any = |is: fn(&u8) -> bool| part.bytes().any(|byte| is(&byte));
        let is_text = part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_mixed =
            any(u8::is_ascii_digit) || (any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase));
        part.len() >= SHORTEST && is_text && any(u8::is_ascii_alphabetic) && is_mixed
    });
    // Vite's may have a hyphen within.
    let end = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let tail = end
        .len()
        .checked_sub(SHORTEST)
        .and_then(|at| end.split_at_checked(at));
    let is_split = tail.is_some_and(|(before, hash)| {
        let is_text = hash
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let any = |is: fn(&u8) -> bool| hash.bytes().any(|byte| is(&byte));
        before.ends_with('-')
            && is_text
            && any(u8::is_ascii_uppercase)
            && any(u8::is_ascii_lowercase)
    });
    hashes.next().is_some() || is_split
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_hash_is_told_from_a_word_and_a_date() {
        for name in [
            "index-BxY3k_9a.js",
            "main.8f3a21bc.chunk.css",
            "chunk-ABCD1234.js",
            "index-B-x3k_9a.js",
            "logo-DfGhJkLm.svg",
        ] {
            assert!(has_hash(name), "{name}");
        }
        for name in [
            "index.html",
            "hello-worldwide.js",
            "logo-20240101.png",
            "favicon.ico",
            "a-b-c.js",
            "BxY3k_9a.js",
            "x.javascript",
            "",
        ] {
            assert!(!has_hash(name), "{name}");
        }
    }

    #[test]
    fn what_a_person_has_named_does_not_last() {
        let kept = tempfile::tempdir().unwrap();
        let public = kept.path().join("source/web/public");
        fs::create_dir_all(&public).unwrap();
        fs::write(public.join("photo-Summer24.png"), "").unwrap();
        let lasting = Lasting::of(kept.path());
        assert!(has_hash("photo-Summer24.png") && !lasting.has("photo-Summer24.png"));
        assert!(lasting.has("assets/index-BxY3k_9a.js"));
    }
}
