//! Who asks, and what is known of them.

use super::{server::VERSIONS, under_way::Name};
use crate::asked::{Asked, bearer, takes_events};
use axum::http::{HeaderMap, HeaderName};
use serde_json::Value;

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// What a client is known by, from its `initialize` on: it is given one with the answer to that, and
/// sends it with all that follows. Nothing is kept by it.
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// What is spoken by who does not say so.
const UNSAID: &str = "2025-03-26";

/// Who asks, and in which version of the protocol.
#[derive(Clone)]
pub(super) struct Client {
    pub asked: Asked,
    pub token: Option<String>,
    pub version: String,
    session: Option<String>,
    /// Whether it takes an answer in parts.
    pub takes_events: bool,
    /// Whether what is called has the request's own id; of several, none has.
    pub is_only: bool,
}

impl Client {
    pub fn of(asked: Asked, headers: &HeaderMap) -> Self {
        let header = |name| {
            headers
                .get(name)
                .map(|it| String::from_utf8_lossy(it.as_bytes()))
        };
        Self {
            asked,
            token: bearer(headers).map(str::to_owned),
            version: header(&VERSION).unwrap_or(UNSAID.into()).into(),
            session: header(&SESSION).map(Into::into),
            takes_events: takes_events(headers),
            is_only: true,
        }
    }

    /// The same, of a request of several.
    pub fn of_several(self) -> Self {
        Self {
            is_only: false,
            ..self
        }
    }

    /// Whether its version of the protocol is spoken here.
    pub fn is_understood(&self) -> bool {
        VERSIONS.contains(&self.version.as_str())
    }

    /// What its request of an id is known by. Nothing, where no session tells it from other clients.
    pub fn name(&self, id: &Value) -> Option<Name> {
        let session = self.session.as_deref()?;
        Some(Name::of(session, self.token.as_deref(), id))
    }
}
