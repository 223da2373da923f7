//! Tokens: 256 random bits, of which only a hash is kept.

use crate::failure::Failure;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

const BYTES: usize = 32;

/// What is kept of a token. Who reads it cannot make the token of it, and looking a token up by it
/// takes as long whatever is asked for.
pub type Hash = [u8; blake3::OUT_LEN];

/// A token that begins with `kind`.
pub fn new(kind: &str) -> Result<String, Failure> {
    Ok(format!("{kind}{}", random::<BYTES>()?))
}

/// Random bytes, as text for URLs.
pub fn random<const N: usize>() -> Result<String, Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| {
        let message = format!("asking the system for random bytes: {e}");
        Failure::new("io", 500, message)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a token.
pub fn hash(token: &str) -> Hash {
    *blake3::hash(token.as_bytes()).as_bytes()
}

/// Whether a secret is the one that is known. How long that takes tells nothing of it: the comparison
/// of two hashes of theirs is one in constant time.
pub fn is_same(given: &[u8], known: &str) -> bool {
    blake3::hash(given) == blake3::hash(known.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_is_another() {
        let [one, two] = [new("ms_iface_").unwrap(), new("ms_iface_").unwrap()];
        assert_ne!(one, two);
        assert_eq!(one.len(), "ms_iface_".len() + 43);
        assert_ne!(hash(&one), hash(&two));
    }
}
