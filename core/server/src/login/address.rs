//! Addresses, the same however they are written.

use crate::answer::Refusal;
use remy_db_runtime::{mail::is_address, users::By};

/// The address as it is kept. Fails with `invalid_email` or `invalid_phone`.
pub(super) fn normal(by: By, address: &str) -> Result<String, Refusal> {
    match by {
        By::Email => {
            let address = address.trim().to_lowercase();
            match is_address(&address) {
                true => Ok(address),
                false => Err(Refusal::new(
                    400,
                    "invalid_email",
                    "This is no e-mail address",
                )),
            }
        }
        By::Phone => {
            let is_between = |c: char| c.is_whitespace() || matches!(c, '-' | '(' | ')' | '.');
            let number: String = address.chars().filter(|c| !is_between(*c)).collect();
            let digits = number.strip_prefix('+').unwrap_or_default();
            let is_e164 = (7..=15).contains(&digits.len())
                && digits.bytes().all(|c| c.is_ascii_digit())
                && !digits.starts_with('0');
            match is_e164 {
                true => Ok(number),
                false => Err(Refusal::new(
                    400,
                    "invalid_phone",
                    "This is no telephone number with its country: +4915112345678",
                )),
            }
        }
    }
}

/// Whether it is the test user's, or of the numbers that nobody has.
pub(super) fn is_of_tests(by: By, address: &str) -> bool {
    match by {
        By::Email => address == "remy@mindstudio.ai",
        By::Phone => address.starts_with("+1555") || address.get(5..8) == Some("555"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let email = |text| normal(By::Email, text).map_err(|e| e.code);
        assert_eq!(email(" Ann@Example.org ").as_deref(), Ok("ann@example.org"));
        for wrong in [
            "",
            "ann",
            "a@b@c",
            "a b@c.d",
            "a@b.c\nBcc: x@y.z",
            "Ann <a@b.c>",
        ] {
            assert_eq!(email(wrong), Err("invalid_email".to_owned()), "{wrong}");
        }
        let phone = |text| normal(By::Phone, text).map_err(|e| e.code);
        assert_eq!(phone("+49 (151) 123-456").as_deref(), Ok("+49151123456"));
        for wrong in [
            "",
            "0151123456",
            "+0151123456",
            "+49",
            "+49x51123456",
            "+491511234567890123",
        ] {
            assert_eq!(phone(wrong), Err("invalid_phone".to_owned()), "{wrong}");
        }
        assert!(
            is_of_tests(By::Phone, "+15555555555") && !is_of_tests(By::Phone, "+4915112345678")
        );
    }
}
