//! Enums whose cases have a word each, the same in JSON, in SQL and in messages.

use std::{error, fmt};

/// A word that stands where an enum has none like it: a newer remy has written it, or the row is
/// damaged.
#[derive(Debug)]
pub(crate) struct UnknownWord {
    /// Whose word it is: `release 3`.
    pub(crate) of: String,
    /// What it should be: `status`.
    pub(crate) what: &'static str,
    pub(crate) word: String,
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, what, word } = self;
        write!(
            f,
            "{of} has the {what} {word:?}, which this remy does not know"
        )
    }
}

impl error::Error for UnknownWord {}

/// An enum that [`words!`] makes.
pub(crate) trait Words: Sized {
    /// What it is called in a message.
    const WHAT: &'static str;

    /// The case that a word is of.
    fn of_word(word: &str) -> Option<Self>;
}

/// Makes an enum whose cases have a word each.
macro_rules! words {
    ($(#[$doc:meta])* $visible:vis enum $name:ident, $what:literal { $($(#[$of:meta])* $case:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visible enum $name { $($(#[$of])* $case,)* }

        impl $name {
            /// Every case.
            #[allow(dead_code, reason = "what says the words again is held to it by a test")]
            $visible const ALL: &'static [Self] = &[$(Self::$case),*];

            /// The word for it in JSON and SQL.
            $visible const fn as_str(self) -> &'static str {
                match self { $(Self::$case => $word,)* }
            }
        }

        impl $crate::base::words::Words for $name {
            const WHAT: &'static str = $what;

            fn of_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$case),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }
    };
}
pub(crate) use words;
