//! What every floor knows: the error, the options, the history, the clock, JSON that people
//! write.

pub(crate) mod age;
pub(crate) mod allow;
pub(crate) mod clock;
pub(crate) mod environment;
pub(crate) mod error;
pub(crate) mod history;
pub(crate) mod ids;
pub mod json;
pub(crate) mod object;
pub(crate) mod options;
pub(crate) mod owner;
pub(crate) mod progress;
pub(crate) mod remedy;
pub(crate) mod stranger;
pub(crate) mod text;
pub(crate) mod version;
pub(crate) mod words;

/// The version of remy.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
