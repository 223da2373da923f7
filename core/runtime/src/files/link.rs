//! Links to private files: whoever has one may read the file until it ends. It is signed with a key
//! that `files.db` has, and good for one file of one target: nothing is kept of it.

use super::{Access, Files, Place};
use crate::{
    failure::Failure,
    state::{Kept, now},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rusqlite::OptionalExtension as _;

pub(super) type Key = [u8; blake3::KEY_LEN];

/// What is signed, so that no signature of another kind is one of these.
const WHAT: &[u8] = b"remy: a link to a file";

/// What a link has besides the path of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    ends: i64,
    mac: [u8; blake3::OUT_LEN],
}

impl Signature {
    /// The one that a URL's query has, where it has one. One that cannot be read is no good one.
    pub fn of_query(query: &str) -> Option<Self> {
        let find = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find_map(|(found, value)| (found == name).then_some(value))
        };
        let text = find("signature")?;
        let decoded = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        Some(Self {
            ends: find("expires")
                .and_then(|ends| ends.parse().ok())
                .unwrap_or_default(),
            mac: decoded.try_into().unwrap_or_default(),
        })
    }

    /// As it stands in a query.
    pub fn query(&self) -> String {
        let mac = URL_SAFE_NO_PAD.encode(self.mac);
        format!("expires={}&signature={mac}", self.ends)
    }
}

impl Files {
    /// Signs a link to a private file, which ends at a time, in Unix seconds. Whether the file is there
    /// is not looked at. Fails with `invalid_access` for a public one.
    pub fn sign(&self, place: &Place, ends: i64) -> Result<Signature, Failure> {
        if place.access == Access::Public {
            let message =
                "Everybody may read a public file: its url needs no signature. Nothing was signed";
            return Err(Failure::new("invalid_access", 400, message));
        }
        let mac = *mac(&self.key()?, place, ends).as_bytes();
        Ok(Signature { ends, mac })
    }

    /// Refuses a signature that is not one of this file, or is over: `invalid_signature`,
    /// `link_expired`.
    pub fn check(&self, place: &Place, signature: &Signature) -> Result<(), Failure> {
        // How long the comparison of two hashes takes tells nothing.
        if mac(&self.key()?, place, signature.ends) != blake3::Hash::from_bytes(signature.mac) {
            let message = "This link was changed, or is none to this file. Ask for another";
            return Err(Failure::new("invalid_signature", 403, message));
        }
        if signature.ends.saturating_mul(1000) <= now() {
            let message = "This link has ended. Ask for another";
            return Err(Failure::new("link_expired", 403, message));
        }
        Ok(())
    }

    fn key(&self) -> Result<Key, Failure> {
        if let Some(key) = self.0.key.get() {
            return Ok(*key);
        }
        let mut made = Key::default();
        getrandom::fill(&mut made).map_err(|e| {
            let message = format!("asking the system for random bytes: {e}. Nothing was signed");
            Failure::new("io", 500, message)
        })?;
        let key = self
            .state()?
            .write(Kept::Now, "looking for the key of links", |tx| {
                let found = tx.query_row("SELECT key FROM signs", [], |row| row.get(0));
                if let Some(found) = found.optional()? {
                    return Ok(found);
                }
                tx.execute("INSERT INTO signs (key) VALUES (?1)", [made])?;
                Ok(made)
            })?;
        Ok(*self.0.key.get_or_init(|| key))
    }
}

fn mac(key: &Key, place: &Place, ends: i64) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(key);
    let parts = [
        place.target.as_str(),
        place.access.name(),
        &place.store,
        &place.key,
    ];
    hasher.update(WHAT).update(&ends.to_le_bytes());
    // With their lengths, so that no two places have one text.
    for part in parts {
        hasher
            .update(&(part.len() as u64).to_le_bytes())
            .update(part.as_bytes());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;

    const FAR: i64 = 32_503_680_000;

    fn place(target: &Target, store: &str, key: &str) -> Place {
        Place::of(target, Access::Private, store, key).unwrap()
    }

    #[test]
    fn a_link_is_to_one_file_until_it_ends() {
        let store = tempfile::tempdir().unwrap();
        let files = Files::of(store.path());
        let own = place(&Target::Live, "a", "b/c");
        let signed = files.sign(&own, FAR).unwrap();
        // Another process has the same key, and so does one that comes later.
        let files = Files::of(store.path());
        let again = Signature::of_query(&format!("w=800&{}", signed.query())).unwrap();
        assert_eq!((again, files.check(&own, &again)), (signed, Ok(())));
        let preview = Target::Preview("b".to_owned());
        for other in [
            place(&Target::Live, "a", "b/d"),
            place(&Target::Live, "ab", "c"),
            place(&preview, "a", "b/c"),
        ] {
            assert_eq!(
                files.check(&other, &signed).unwrap_err().code,
                "invalid_signature"
            );
        }
        let longer = Signature {
            ends: FAR + 1,
            ..signed
        };
        assert_eq!(
            files.check(&own, &longer).unwrap_err().code,
            "invalid_signature"
        );
        let over = files.sign(&own, now() / 1000).unwrap();
        assert_eq!(files.check(&own, &over).unwrap_err().code, "link_expired");
        let elsewhere = tempfile::tempdir().unwrap();
        let elsewhere = Files::of(elsewhere.path());
        assert_eq!(
            elsewhere.check(&own, &signed).unwrap_err().code,
            "invalid_signature"
        );
    }

    #[test]
    fn what_is_no_signature_is_no_good_one() {
        let store = tempfile::tempdir().unwrap();
        let files = Files::of(store.path());
        let own = place(&Target::Live, "a", "b");
        for query in [
            "signature=",
            "signature=x&expires=9999999999",
            "expires=x&signature=%00",
            "signature=AA",
        ] {
            let read = Signature::of_query(query).unwrap();
            assert_eq!(
                files.check(&own, &read).unwrap_err().code,
                "invalid_signature",
                "{query}"
            );
        }
        for query in ["", "expires=1", "signatures=x", "a=signature"] {
            assert_eq!(Signature::of_query(query), None, "{query}");
        }
        let public = Place::of(&Target::Live, Access::Public, "a", "b").unwrap();
        assert_eq!(files.sign(&public, FAR).unwrap_err().code, "invalid_access");
    }
}
