//! The leave that a change may need.

use serde::{Deserialize, Serialize};

/// What a change may do beyond what is always allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allow {
    /// Change the type of a column that has values.
    TypeChange,
    /// Change values so that they cannot be changed back.
    Lossy,
    /// Take a column or table that goes, beside one that comes, as a drop and not as a rename.
    Drop,
}

impl Allow {
    /// Which leave is harder to get: of two that a statement needs, that one is shown.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Self::Drop => 0,
            Self::TypeChange => 1,
            Self::Lossy => 2,
        }
    }
}
