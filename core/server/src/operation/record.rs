//! What is remembered of a request that was answered: a line of the log, a count, and a record by
//! which its id leads to the call that it made.

use super::log::Access;
use crate::{answer::Cause, context::Context, state::now};
use axum::{http::header, response::Response};
use remy_db_runtime::records::requests::Request;

/// The most characters of a path that are on record.
const PATH: usize = 1000;

/// Tells of a request that was answered.
pub(crate) fn tell(at: &Context, access: &Access<'_>) {
    at.settings.log.access(access);
    let status = access.response.status().as_u16();
    at.answered.add(status, access.took);
    if !is_recorded(access.path, access.response) {
        return;
    }
    let ms = access.took.as_secs_f64() * 1e3;
    let cause = access.response.extensions().get();
    at.runtime.records().answered(Request {
        id: access.id.to_owned(),
        at: now() - ms as i64,
        client: access.client.map(|client| client.to_string()),
        method: access.method.chars().take(PATH).collect(),
        path: access.path.chars().take(PATH).collect(),
        status,
        ms,
        cause: cause.map(|Cause(cause)| cause.clone()),
    });
}

/// Whether a request is on record: not what is asked for in dozens with each page, the files of it.
fn is_recorded(path: &str, response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let is_called = path.starts_with("/_/") || path.starts_with("/_internal/");
    is_page || is_called || response.status().as_u16() >= 400
}

#[cfg(test)]
mod tests {
    use super::is_recorded;
    use axum::response::{Html, IntoResponse as _};

    #[test]
    fn files_of_a_page_are_on_no_record_unless_they_are_not_there() {
        let answer = |status: u16| {
            let status = axum::http::StatusCode::from_u16(status).unwrap();
            (status, "x").into_response()
        };
        assert!(is_recorded("/", &Html("x").into_response()));
        assert!(is_recorded("/_/methods/x/invoke", &answer(200)));
        assert!(is_recorded("/assets/x.js", &answer(404)));
        assert!(!is_recorded("/assets/x.js", &answer(200)));
        assert!(!is_recorded("/assets/x.js", &answer(304)));
    }
}
