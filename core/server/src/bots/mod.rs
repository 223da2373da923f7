//! Bots of Discord and Telegram: what people say to them calls methods (`POST /_/discord`,
//! `POST /_/telegram`), and what commands there are is brought to both after each switch.

mod call;
pub(crate) mod discord;
mod ed25519;
mod keeper;
mod outbox;
pub(crate) mod seen;
pub(crate) mod telegram;

pub(crate) use keeper::keep_told;
pub use outbox::{Said, tell};
