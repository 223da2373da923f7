//! What flags and arguments take. An error is what is expected: `a whole number`.

use remy_db::{Allow, JournalMode, ReleaseId, SqliteVersion};
use remy_db_app::build::disk;
use remy_db_server::PreviewHost;
use serde_json::Value;
use std::{fs, net::IpAddr};

type Result<T> = std::result::Result<T, String>;

/// The number of a release, from 1.
pub fn release(text: &str) -> Result<ReleaseId> {
    let number = digits(text, 15).filter(|number| *number > 0 && !text.starts_with('0'));
    let number = number.and_then(|number| i64::try_from(number).ok());
    number
        .map(ReleaseId)
        .ok_or_else(|| "the number of a release".to_owned())
}

/// A number.
pub fn whole(text: &str) -> Result<u64> {
    digits(text, 15).ok_or_else(|| "a whole number".to_owned())
}

/// A number of things of which nobody has too many.
pub fn count(text: &str) -> Result<u32> {
    let number = whole(text)?;
    u32::try_from(number).map_err(|_| format!("a whole number up to {}", u32::MAX))
}

/// A port; 0 is one that is free.
pub fn port(text: &str) -> Result<u16> {
    let number = digits(text, 5).and_then(|number| u16::try_from(number).ok());
    number.ok_or_else(|| format!("a port, from 0 to {}", u16::MAX))
}

/// An address of a machine.
pub fn ip(text: &str) -> Result<IpAddr> {
    text.parse()
        .map_err(|_| "an address, such as 10.0.0.1 or ::1".to_owned())
}

/// A name of a machine, which stands in a URL, without the rest of one.
pub fn host(text: &str) -> Result<String> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let is_name = !text.is_empty() && !text.starts_with('.') && text.chars().all(fits);
    match is_name || text.parse::<IpAddr>().is_ok() {
        true => Ok(text.to_owned()),
        false => Err("a name without scheme and port, such as shop.example.com".to_owned()),
    }
}

/// Where previews are.
pub fn preview_host(text: &str) -> Result<PreviewHost> {
    text.parse()
        .map_err(|_| "*.example.com or its like, where * is a preview's name".to_owned())
}

/// A port of 127.0.0.1, or of a host: `9090`, `0.0.0.0:9090`, `[::1]:9090`.
pub fn address(text: &str) -> Result<(String, u16)> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", text));
    match port.parse() {
        Ok(port) if !host.is_empty() => Ok((host.to_owned(), port)),
        _ => Err("a port, or a host and a port, such as 0.0.0.0:9090".to_owned()),
    }
}

/// `30` or `30d`.
pub fn days(text: &str) -> Result<u32> {
    let number = digits(text.strip_suffix('d').unwrap_or(text), 6);
    let number = number.and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| "a number of days, such as 30 or 30d".to_owned())
}

/// `500MB`.
pub fn bytes(text: &str) -> Result<u64> {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    let upper = text.to_uppercase();
    let of_unit = UNITS.iter().zip(1..).find_map(|(unit, power)| {
        let number = upper.strip_suffix(unit)?;
        digits(number, 15)?.checked_mul(1000_u64.pow(power))
    });
    let number = of_unit.or_else(|| digits(text, 15));
    number.ok_or_else(|| "a number of bytes, such as 500MB".to_owned())
}

/// Leave for a change.
pub fn leave(text: &str) -> Result<Allow> {
    match text {
        "type_change" => Ok(Allow::TypeChange),
        "lossy" => Ok(Allow::Lossy),
        "drop" => Ok(Allow::Drop),
        _ => Err("type_change or lossy or drop".to_owned()),
    }
}

/// `wal` or `keep`.
pub fn journal_mode(text: &str) -> Result<JournalMode> {
    match text {
        "wal" => Ok(JournalMode::Wal),
        "keep" => Ok(JournalMode::Keep),
        _ => Err("wal or keep".to_owned()),
    }
}

/// `3.40`.
pub fn sqlite_version(text: &str) -> Result<SqliteVersion> {
    text.parse()
        .map_err(|_| "a version of SQLite, such as 3.40".to_owned())
}

/// `old=new`. Which `=` it is, where a name has one, core reads.
pub fn rename(text: &str) -> Result<String> {
    let is_one = text
        .split('=')
        .collect::<Vec<_>>()
        .windows(2)
        .any(|sides| match sides {
            [old, new] => !old.is_empty() && !new.is_empty(),
            _ => false,
        });
    match is_one {
        true => Ok(text.to_owned()),
        false => Err("old=new, such as orders.note=remark".to_owned()),
    }
}

/// What a JSON file holds.
pub fn json_file(path: &str) -> Result<Value> {
    let text = fs::read_to_string(path).map_err(|e| {
        let reason = disk::reason(&e);
        match reason
            .strip_suffix(')')
            .and_then(|reason| reason.rsplit_once(" ("))
        {
            Some((words, name)) => format!("a JSON file ({name}: {words})"),
            None => format!("a JSON file ({reason})"),
        }
    })?;
    serde_json::from_str(&text).map_err(|e| format!("a JSON file ({e})"))
}

/// A number of at most so many digits, and nothing else.
fn digits(text: &str, most: usize) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= most;
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits() {
        assert_eq!(whole("0"), Ok(0));
        for wrong in ["", "-1", "+1", "1.5", "1e3", " 1", "1234567890123456"] {
            assert_eq!(whole(wrong), Err("a whole number".to_owned()), "{wrong:?}");
        }
        assert_eq!(release("12"), Ok(ReleaseId(12)));
        for wrong in ["0", "01", "last", ""] {
            assert!(release(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn days_and_bytes_have_units() {
        assert_eq!([days("30"), days("30d")], [Ok(30), Ok(30)]);
        assert!(days("d").is_err() && days("3dd").is_err() && days("long").is_err());
        assert_eq!([bytes("5"), bytes("5mb")], [Ok(5), Ok(5_000_000)]);
        assert_eq!(bytes("900TB"), Ok(900_000_000_000_000));
        assert!(bytes("5 apples").is_err() && bytes("MB").is_err());
        assert!(bytes("999999999999999TB").is_err());
    }

    #[test]
    fn a_rename_has_two_sides() {
        for text in ["a=b", "a.b=c", r#""a=b".z="z=2""#] {
            assert_eq!(rename(text).as_deref(), Ok(text));
        }
        for wrong in ["a=", "=b", "a", "", "a.b", "=="] {
            assert!(rename(wrong).is_err(), "{wrong:?}");
        }
    }
}
