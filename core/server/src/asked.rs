//! What is known of a request before anything is done for it: its id, where it leads, who sends it.

use crate::{
    answer::Refusal,
    context::Context,
    operation::{
        log::{Access, of_path},
        record,
    },
    origin::{Judged, judge},
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::{net::SocketAddr, sync::Arc, time::Instant};

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub SocketAddr);

/// What is known of a request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The request's, and of the record of the call that it makes.
    pub id: String,
    pub judged: Judged,
}

/// Lets a request in, or refuses it; either is told to the log.
pub(crate) async fn admit(
    State(at): State<Arc<Context>>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let id = remy_db_runtime::records::new_id().unwrap_or_default();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let method = request.method().clone();
    let path = of_path(request.uri().path());
    let judged = match peer {
        Some(peer) => {
            let (uri, headers) = (request.uri(), request.headers());
            judge(&at.settings, peer, (&method, uri, headers))
        }
        None => Err(Refusal::internal("a request came by no connection")),
    };
    let client = judged.as_ref().ok().map(|judged| judged.client).or(peer);
    let mut response = match judged {
        Ok(judged) => {
            let id = id.clone();
            request.extensions_mut().insert(Asked { id, judged });
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", value);
    }
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    let access = Access {
        id: &id,
        client,
        method: method.as_str(),
        path: &path,
        response: &response,
        took: began.elapsed(),
    };
    record::tell(&at, &access);
    response
}

/// The token that a request is sent with: `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (kind, token) = value.split_once(' ')?;
    kind.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Whether an answer may come in parts: `Accept` names `text/event-stream`.
pub(crate) fn takes_events(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::ACCEPT).iter();
    let mut texts = all.filter_map(|accept| accept.to_str().ok());
    texts.any(|accept| accept.contains("text/event-stream"))
}

/// A cookie's value.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter();
    let pairs = all
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_token_is_one_of_a_bearer() {
        let of = |value| bearer(&headers(&[("authorization", value)])).map(str::to_owned);
        assert_eq!(of("Bearer ms_iface_x").as_deref(), Some("ms_iface_x"));
        assert_eq!(of("bearer  x ").as_deref(), Some("x"));
        assert_eq!((of("Basic x"), of("ms_iface_x")), (None, None));
        assert_eq!(bearer(&headers(&[])), None);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let all = headers(&[("cookie", "a=1; b=2"), ("cookie", "c=3=4")]);
        assert_eq!(cookie(&all, "b"), Some("2"));
        assert_eq!(cookie(&all, "c"), Some("3=4"));
        assert_eq!(cookie(&all, "d"), None);
    }
}
