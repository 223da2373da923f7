//! Signatures of Discord.

use ed25519_dalek::{Signature, VerifyingKey};

/// Whether Discord has signed a body: `signature` and `key` are hexadecimal.
pub(super) fn is_signed(key: &str, signature: &str, timestamp: &str, body: &[u8]) -> bool {
    let key = bytes::<32>(key.trim()).and_then(|key| VerifyingKey::from_bytes(&key).ok());
    let signature = bytes::<64>(signature).map(|it| Signature::from_bytes(&it));
    let (Some(key), Some(signature)) = (key, signature) else {
        return false;
    };
    let signed = [timestamp.as_bytes(), body].concat();
    key.verify_strict(&signed, &signature).is_ok()
}

/// The bytes of a hexadecimal text of that length.
pub(super) fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if hex.len() != 2 * N || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_vectors_of_rfc_8032() {
        let key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        assert!(is_signed(key, signature, "", &[0x72]));
        assert!(is_signed(key, signature, "r", &[]));
        assert!(!is_signed(key, signature, "", &[0x73]));
        for (key, signature) in [
            ("", signature),
            (key, ""),
            (key, &signature[2..]),
            (&key[..62], signature),
        ] {
            assert!(!is_signed(key, signature, "", &[0x72]));
        }
    }
}
