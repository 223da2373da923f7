//! What is answered: JSON, and every failure as `{ error, code }`.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use remy_db_runtime::failure::Failure;
use serde::Serialize;
use serde_json::json;

/// Codes of failures whose messages name files of this machine, or what went wrong in remy itself.
const OWN: [&str; 4] = ["io", "corrupt", "internal", "isolation_unavailable"];

/// How many seconds later it may go better.
const LATER: u64 = 1;

/// Why a request is not answered as was asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    pub code: String,
    pub message: String,
    /// What the log has, and nobody else.
    pub cause: Option<Cause>,
}

/// What went wrong, in the words of whoever found it. It holds no secret.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cause(pub String);

impl Refusal {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: code.to_owned(),
            message: message.into(),
            cause: None,
        }
    }

    pub fn not_found() -> Self {
        Self::new(404, "not_found", "There is nothing here")
    }

    /// A fault of this server's own.
    pub fn internal(cause: impl Into<String>) -> Self {
        Failure::new("internal", 500, cause).into()
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let mut refusal = Self::new(failure.status, &failure.code, failure.message);
        if OWN.contains(&failure.code.as_str()) {
            let shown = "The server could not do this. Its log says why, by the id of this request";
            let cause = std::mem::replace(&mut refusal.message, shown.to_owned());
            refusal.cause = Some(Cause(cause));
        }
        refusal
    }
}

impl From<remy_db::Error> for Refusal {
    fn from(error: remy_db::Error) -> Self {
        let status = match error.code() {
            "not_found" | "pruned" => 404,
            "busy" => 503,
            _ => 500,
        };
        Failure::new(error.code(), status, error.to_string()).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.message, "code": self.code });
        let mut response = (self.status, json(&body)).into_response();
        if matches!(self.status.as_u16(), 429 | 503) {
            let later = HeaderValue::from(LATER);
            response.headers_mut().insert(header::RETRY_AFTER, later);
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

/// An answer of JSON, which nobody keeps.
pub(crate) fn json(body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).expect("answers are made of what JSON can hold");
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_files_of_this_machine_is_for_the_log() {
        let refusal = Refusal::from(Failure::new("io", 500, "opening /srv/x: no room"));
        assert!(!refusal.message.contains("/srv"));
        let response = refusal.into_response();
        let cause = response.extensions().get::<Cause>().unwrap();
        assert_eq!(cause.0, "opening /srv/x: no room");
        let own = Refusal::from(Failure::new("not_today", 418, "Not today."));
        assert_eq!(
            (own.status.as_u16(), own.message.as_str()),
            (418, "Not today.")
        );
        let odd = Refusal::from(Failure::new("x", 99, "?"));
        assert_eq!(odd.status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn who_is_refused_for_now_is_told_when_to_come_again() {
        let response = Refusal::new(503, "overloaded", "?").into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
