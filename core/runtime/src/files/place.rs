//! Where a file is, for those who ask for it: whose, who may read it, in which store, under which key.

use crate::{failure::Failure, target::Target};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The most bytes of the name of a store, and of a key.
const STORE: usize = 64;
const KEY: usize = 1024;

/// What stands in a part of a URL as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(super) target: String,
    pub(super) access: Access,
    pub(super) store: String,
    pub(super) key: String,
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Who has signed in, and who has a link.
    Private,
}

impl Access {
    /// Fails with `invalid_access`.
    pub fn named(name: &str) -> Result<Self, Failure> {
        match name {
            "public" => Ok(Self::Public),
            "private" => Ok(Self::Private),
            _ => {
                let message = format!("{name:?} is neither public nor private. Nothing was done");
                Err(Failure::new("invalid_access", 400, message))
            }
        }
    }

    /// As it stands in a URL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

impl Place {
    /// A place of a target's. Fails with `invalid_store` and `invalid_key`.
    pub fn of(target: &Target, access: Access, store: &str, key: &str) -> Result<Self, Failure> {
        check_store(store)?;
        check_key(key)?;
        Ok(Self {
            target: target.to_string(),
            access,
            store: store.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Who may read it.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Under which it stands in its store.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The last part of its key, as its URL ends.
    pub fn name(&self) -> String {
        encoded(self.key.rsplit('/').next().unwrap_or_default())
    }

    /// Where it is asked for, of the server: a path.
    pub fn url(&self) -> String {
        let key: Vec<String> = self.key.split('/').map(encoded).collect();
        let (access, store) = (self.access.name(), &self.store);
        format!("/_/files/{access}/{store}/{}", key.join("/"))
    }
}

fn encoded(part: &str) -> String {
    utf8_percent_encode(part, PLAIN).to_string()
}

/// Refuses what is no name of a store.
pub(super) fn check_store(store: &str) -> Result<(), Failure> {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if (1..=STORE).contains(&store.len()) && store.bytes().all(fits) {
        return Ok(());
    }
    let message = format!(
        "{store:?} is no name of a store: that is up to {STORE} of a to z, 0 to 9, - and _. Nothing was done"
    );
    Err(Failure::new("invalid_store", 400, message))
}

/// Refuses what is no key. A key becomes a part of a URL, where browsers and proxies take `..` and `//`
/// for something else.
fn check_key(key: &str) -> Result<(), Failure> {
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    if key.len() <= KEY && is_plain(key) && key.split('/').all(is_part) {
        return Ok(());
    }
    let shown: String = key.chars().take(100).collect();
    let message = format!(
        "{shown:?} is no key of a file: that is parts with / between them, up to {KEY} bytes, none of them empty, . or .., without \\ and control characters. Nothing was done"
    );
    Err(Failure::new("invalid_key", 400, message))
}

/// Whether a text has only what a key may have.
pub(super) fn is_plain(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(store: &str, key: &str) -> Result<Place, String> {
        Place::of(&Target::Live, Access::Private, store, key).map_err(|e| e.code)
    }

    #[test]
    fn a_key_is_no_path_and_a_store_is_a_word() {
        for key in [
            "a",
            "a/b.png",
            "my file.png",
            "ü/100%?#",
            ".hidden",
            "a..b",
            &"k".repeat(1024),
        ] {
            assert!(place("uploads", key).is_ok(), "{key}");
        }
        for key in [
            "",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "../a",
            "a\0b",
            "a\nb",
            "a\\b",
            &"k".repeat(1025),
        ] {
            assert_eq!(
                place("uploads", key),
                Err("invalid_key".to_owned()),
                "{key:?}"
            );
        }
        for store in ["", "A", "a b", "a/b", "..", "ü", &"s".repeat(65)] {
            assert_eq!(
                place(store, "a"),
                Err("invalid_store".to_owned()),
                "{store}"
            );
        }
        assert_eq!(Access::named("Public").unwrap_err().code, "invalid_access");
    }

    #[test]
    fn a_url_leads_to_one_key() {
        let url = place("a_b-1", "x y/ü?#%.png").unwrap().url();
        assert_eq!(url, "/_/files/private/a_b-1/x%20y/%C3%BC%3F%23%25.png");
    }
}
