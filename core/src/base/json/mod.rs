//! JSON text that people write: what is wrong with it, in words for them, and where a value stands
//! in it. `serde_json` parses as well, but says neither. And the JSON of results.

mod masked;
mod pointer;
mod scanner;

pub use super::text::place;
pub use masked::masked;
pub use pointer::{below, place_of};
pub use scanner::{Json, NotJson, read};

use crate::base::error::{Error, Result};

/// A result as JSON text.
pub fn of_result(result: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(result)
        .map_err(|e| Error::internal(format!("writing the result as JSON: {e}")))
}
