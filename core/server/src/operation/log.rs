//! The log: an object of JSON a line, for people and programs. It holds no secret: of a request
//! neither its query, its headers nor its body, and of its path no part that is one.

use crate::answer::Cause;
use axum::response::Response;
use remy_db_runtime::state::now;
use serde_json::{Value, json};
use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

/// Where lines go. Clones are the same.
#[derive(Clone)]
pub struct Log(Arc<dyn Fn(&Value) + Send + Sync>);

impl Log {
    /// Each line is given to `tell`, which must not wait: requests do meanwhile.
    pub fn new(tell: impl Fn(&Value) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Tells what people should know, of what no request has asked for.
    pub(crate) fn note(&self, of: &str, what: &str) {
        (self.0)(&json!({ "at": now(), "event": of, "message": what }));
    }

    /// Tells of a request that was answered.
    pub(crate) fn access(&self, access: &Access<'_>) {
        let mut line = json!({
            "at": now(), "event": "request", "id": access.id, "client": access.client,
            "method": access.method, "path": access.path,
            "status": access.response.status().as_u16(),
            "ms": (access.took.as_secs_f64() * 1e5).round() / 1e2,
        });
        if let Some(Cause(cause)) = access.response.extensions().get() {
            line["cause"] = cause.as_str().into();
        }
        (self.0)(&line);
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// A request that was answered.
pub(crate) struct Access<'a> {
    pub id: &'a str,
    pub client: Option<IpAddr>,
    pub method: &'a str,
    pub path: &'a str,
    pub response: &'a Response,
    pub took: Duration,
}

/// A path as it may be shown: what follows `webhook` is a secret.
pub(crate) fn of_path(path: &str) -> String {
    const SECRET: &str = "/webhook/";
    match path.find(SECRET) {
        Some(at) if path.starts_with("/_") => format!("{}…", &path[..at + SECRET.len()]),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::of_path;

    #[test]
    fn the_secret_of_a_webhook_is_not_shown() {
        assert_eq!(of_path("/_/webhook/s3cret"), "/_/webhook/…");
        assert_eq!(
            of_path("/_internal/v2/webhook/app/s3cret"),
            "/_internal/v2/webhook/…"
        );
        assert_eq!(of_path("/docs/webhook/intro"), "/docs/webhook/intro");
    }
}
