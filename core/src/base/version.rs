//! A version of SQLite.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// A version of SQLite, such as 3.40 or 3.40.1. Written without a patch of 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SqliteVersion {
    major: u16,
    minor: u16,
    patch: u16,
}

impl SqliteVersion {
    /// The first release of 3.`minor`.
    pub(crate) const fn of_3(minor: u16) -> Self {
        Self {
            major: 3,
            minor,
            patch: 0,
        }
    }
}

impl fmt::Display for SqliteVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.patch {
            0 => Ok(()),
            patch => write!(f, ".{patch}"),
        }
    }
}

impl FromStr for SqliteVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no version of SQLite, such as \"3.40\"");
        let number = |part: &str| match part.bytes().all(|byte| byte.is_ascii_digit()) {
            true => part.parse::<u16>().map_err(|_| wrong()),
            false => Err(wrong()),
        };
        let parts: Vec<u16> = text.split('.').map(number).collect::<Result<_, _>>()?;
        match parts[..] {
            [3, minor] => Ok(Self::of_3(minor)),
            [3, minor, patch] => Ok(Self {
                patch,
                ..Self::of_3(minor)
            }),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for SqliteVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SqliteVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_written_and_ordered() {
        let read = |text: &str| text.parse::<SqliteVersion>();
        assert!(read("3.9").unwrap() < read("3.40").unwrap());
        assert!(read("3.40").unwrap() < read("3.40.1").unwrap());
        assert_eq!(read("3.40.1").unwrap().to_string(), "3.40.1");
        assert_eq!(read("3.40.0").unwrap().to_string(), "3.40");
        for wrong in ["", "3", "3.", "4.1", "3.4.5.6", "3.+4", "3.x", "3.99999999"] {
            read(wrong).unwrap_err();
        }
    }
}
