//! The type of a file: `image/png`. It becomes a header.

use crate::failure::Failure;

/// What a file is of which nobody says it.
const UNKNOWN: &str = "application/octet-stream";

/// The most bytes of either part.
const WORD: usize = 127;

/// The type of a file as somebody says it, without its parameters. Fails with
/// `content_type_not_allowed`.
pub fn kind(said: &str) -> Result<String, Failure> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
    let is_word = |word: &str| (1..=WORD).contains(&word.len()) && word.bytes().all(fits);
    let plain = said.split(';').next().unwrap_or_default().trim();
    match plain.split_once('/') {
        Some((of, what)) if is_word(of) && is_word(what) => Ok(plain.to_ascii_lowercase()),
        _ if said.is_empty() => Ok(UNKNOWN.to_owned()),
        _ => {
            let shown: String = plain.chars().take(100).collect();
            Err(not_allowed(&format!(
                "{shown:?} is no type of a file, as image/png is"
            )))
        }
    }
}

/// A type is none, or none of those that are taken.
pub(super) fn not_allowed(why: &str) -> Failure {
    let message = format!("{why}. Nothing was kept");
    Failure::new("content_type_not_allowed", 400, message)
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn a_type_is_no_header() {
        assert_eq!(kind("Image/PNG; x=1").unwrap(), "image/png");
        assert_eq!(kind("").unwrap(), "application/octet-stream");
        for wrong in [
            "image",
            "image/",
            "/png",
            "a/b\r\nx: y",
            "a b/c",
            "a/b/c",
            ";",
        ] {
            assert_eq!(
                kind(wrong).unwrap_err().code,
                "content_type_not_allowed",
                "{wrong}"
            );
        }
    }
}
