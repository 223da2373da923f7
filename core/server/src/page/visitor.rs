//! A browser, whoever looks: the cookie by which it is known again.

use crate::{answer::Refusal, asked::cookie, token};
use axum::http::HeaderMap;

/// The cookie, and how long it is kept, in seconds: a year.
const VISITOR: &str = "__ms_visitor";
const KEPT: u32 = 31_536_000;

/// The browser that asks, and whether it has said so. What is no id of ours is not taken.
pub(crate) fn of(headers: &HeaderMap) -> Result<(String, bool), Refusal> {
    let is_id = |id: &&str| {
        let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        id.len() == 22 && id.bytes().all(is_of_it)
    };
    match cookie(headers, VISITOR).filter(is_id) {
        Some(id) => Ok((id.to_owned(), true)),
        None => Ok((token::random::<16>()?, false)),
    }
}

/// What tells a browser who it is.
pub(crate) fn cookie_of(visitor: &str, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{VISITOR}={visitor}; Path=/; Max-Age={KEPT}; HttpOnly; SameSite=Lax{secure}")
}
