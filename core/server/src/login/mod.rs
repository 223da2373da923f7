//! Signing in: by a code that goes to an address, for as long as a browser has the cookie of it.
//!
//! Whether there is a user of an address is told by nothing: a code goes to whoever asks for one, and
//! who has shown that an address is theirs is its user, or becomes it.

mod address;
mod change;
mod deliver;
mod keys;
mod me;
mod page;
mod send;
mod verify;

pub(crate) use change::{change, confirm};
pub(crate) use keys::{create, revoke};
pub(crate) use me::{logout, me};
pub(crate) use page::signed_in;
pub(crate) use send::send;
pub(crate) use verify::verify;
