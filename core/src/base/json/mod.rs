//! JSON text that people write: what is wrong with it, in words for them, and where a value stands
//! in it. `serde_json` parses as well, but says neither.

mod masked;
mod pointer;
mod scanner;

pub use super::text::place;
pub use masked::masked;
pub use pointer::{below, place_of};
pub use scanner::{Json, NotJson, read};
