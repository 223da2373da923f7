//! Files of people and of methods: `POST /_/generate-upload-request`, `POST /_/upload`,
//! `GET /_/files/{public|private}/{store}/{key}`.
//!
//! What somebody has uploaded is nobody's page: browsers take it for what it is said to be, run
//! nothing of it, and show only what cannot hold a script; all else is an attachment.

mod upload;

pub(crate) use upload::{ask, take};

use crate::{
    answer::Refusal,
    asked::{Asked, bearer},
    context::Context,
    login::signed_in,
    page::conditional::{self, Range},
};
use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use remy_db_runtime::{
    files::{Access, Found, Place, Signature},
    target::Target,
};
use serde::Deserialize;
use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom},
    sync::Arc,
};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

/// A file that is asked for.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    access: String,
    store: String,
    key: String,
}

pub(crate) async fn get(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    Path(wanted): Path<Wanted>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    at.read(move |at| {
        let target = at.target(&asked.judged.place)?;
        let access = Access::named(&wanted.access)?;
        let place = Place::of(&target, access, &wanted.store, &wanted.key)?;
        if access == Access::Private {
            match Signature::of_query(uri.query().unwrap_or_default()) {
                Some(signature) => at.runtime.files().check(&place, &signature)?,
                None => may_read(at, &target, &headers)?,
            }
        }
        let found = at.runtime.files().open(&place)?;
        let (found, file) = found.ok_or_else(Refusal::not_found)?;
        send(&found, file, &headers)
            .map_err(|e| Refusal::internal(format!("reading {}: {e}", place.url())))
    })
    .await
}

/// A private file is for whoever has signed in, and whoever has a link: what that says counts alone, as
/// pages of other sites may show the file by it.
fn may_read(at: &Context, target: &Target, headers: &HeaderMap) -> Result<(), Refusal> {
    let is_known = match bearer(headers) {
        Some(token) => at.sessions.find(Some(token), target)?.user.is_some(),
        None => signed_in(at, target, headers)?.is_some(),
    };
    match is_known {
        true => Ok(()),
        false => {
            let message = "This file is for who has signed in";
            Err(Refusal::new(401, "not_authenticated", message))
        }
    }
}

fn send(found: &Found, mut file: File, asked: &HeaderMap) -> io::Result<Response> {
    let tag = format!("\"{}\"", found.tag);
    let mut headers = headers_of(found, &tag);
    if conditional::has(asked, &tag) {
        headers.remove(header::CONTENT_TYPE);
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let (from, length, status) = match conditional::range(asked, found.bytes, &tag) {
        Range::Whole => (0, found.bytes, StatusCode::OK),
        Range::Part(from, to) => {
            let range = format!("bytes {from}-{to}/{}", found.bytes);
            set(&mut headers, header::CONTENT_RANGE, &range);
            (from, to - from + 1, StatusCode::PARTIAL_CONTENT)
        }
        Range::Outside => {
            let range = format!("bytes */{}", found.bytes);
            set(&mut headers, header::CONTENT_RANGE, &range);
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
    };
    headers.insert(header::CONTENT_LENGTH, length.into());
    file.seek(SeekFrom::Start(from))?;
    let part = tokio::fs::File::from_std(file).take(length);
    let body = Body::from_stream(ReaderStream::with_capacity(part, 64 << 10));
    Ok((status, headers, body).into_response())
}

fn headers_of(found: &Found, tag: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    set(&mut headers, header::CONTENT_TYPE, &found.kind);
    set(&mut headers, header::ETAG, tag);
    set(&mut headers, header::ACCEPT_RANGES, "bytes");
    set(&mut headers, header::CONTENT_SECURITY_POLICY, "sandbox");
    set(
        &mut headers,
        header::CACHE_CONTROL,
        match found.place.access() {
            Access::Public => "no-cache",
            Access::Private => "private, no-cache",
        },
    );
    let way = if is_shown(&found.kind) {
        "inline"
    } else {
        "attachment"
    };
    let way = format!("{way}; filename*=UTF-8''{}", found.place.name());
    set(&mut headers, header::CONTENT_DISPOSITION, &way);
    headers
}

/// Whether a browser shows it, where a link leads to it: what can hold no script of its own.
fn is_shown(kind: &str) -> bool {
    let of = kind.split('/').next().unwrap_or_default();
    match of {
        "image" => !kind.starts_with("image/svg"),
        "audio" | "video" => true,
        _ => kind == "application/pdf",
    }
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::is_shown;

    #[test]
    fn what_may_hold_a_script_is_not_shown() {
        for kind in ["image/png", "audio/mpeg", "video/mp4", "application/pdf"] {
            assert!(is_shown(kind), "{kind}");
        }
        for kind in [
            "image/svg+xml",
            "text/html",
            "application/xhtml+xml",
            "text/plain",
            "x",
        ] {
            assert!(!is_shown(kind), "{kind}");
        }
    }
}
