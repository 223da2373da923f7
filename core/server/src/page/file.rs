//! A file of a web interface, and how it is sent.

use super::{
    conditional::{self, Range},
    packed::{Packed, is_packable},
};
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use remy_db_app::private::opened;
use std::{
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::OnceLock,
};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

/// For what has its hash in its name.
const LASTING: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// For all else: whoever has it asks whether it is still the same.
const CHECKED: HeaderValue = HeaderValue::from_static("no-cache");

/// A file.
#[derive(Debug)]
pub(super) struct File {
    at: PathBuf,
    bytes: u64,
    kind: String,
    /// The hash of what it holds, as an `ETag`; of one that lasts, its name says as much.
    tag: Option<String>,
    is_lasting: bool,
    /// What it holds, where that is small.
    content: Option<Bytes>,
    packed: OnceLock<Packed>,
}

impl File {
    /// Reads a file. At most `room` bytes of it are kept in memory.
    pub fn read(at: &Path, is_lasting: bool, room: u64) -> io::Result<Self> {
        let mut file = opened(at)?;
        let bytes = file.metadata()?.len();
        let kind = kind(at);
        let mut hasher = blake3::Hasher::new();
        let mut content = None;
        if bytes <= room || is_page(&kind) {
            let mut all = Vec::new();
            file.read_to_end(&mut all)?;
            hasher.update(&all);
            content = Some(Bytes::from(all));
        } else {
            io::copy(&mut file, &mut hasher)?;
        }
        let hash = hasher.finalize().to_hex();
        Ok(Self {
            at: at.to_owned(),
            bytes,
            kind,
            tag: Some(hash[..32].to_owned()),
            is_lasting,
            content,
            packed: OnceLock::new(),
        })
    }

    /// One that lasts, of which nothing is read before it is sent.
    pub fn lasting(at: &Path) -> io::Result<Self> {
        Ok(Self {
            at: at.to_owned(),
            bytes: opened(at)?.metadata()?.len(),
            kind: kind(at),
            tag: None,
            is_lasting: true,
            content: None,
            packed: OnceLock::new(),
        })
    }

    /// How much memory it takes.
    pub fn room(&self) -> u64 {
        self.content.as_ref().map_or(0, |_| self.bytes)
    }

    /// What it holds, where it is a page.
    pub fn page(&self) -> Option<&Bytes> {
        self.content.as_ref().filter(|_| is_page(&self.kind))
    }

    /// Packs it, where that is worth it.
    pub fn pack(&self) {
        if self.page().is_some() || !is_packable(&self.kind, self.bytes) {
            return;
        }
        let packed = match &self.content {
            Some(content) => Packed::of(content),
            None => whole(&self.at)
                .map(|all| Packed::of(&all))
                .unwrap_or_default(),
        };
        let _ = self.packed.set(packed);
    }

    /// Sends what of it is asked for.
    pub fn send(&self, asked: &HeaderMap) -> io::Result<Response> {
        let is_part = asked.contains_key(header::RANGE);
        let packed = self.packed.get().filter(|_| !is_part);
        let packed = packed.and_then(|packed| packed.best(asked));
        let mut headers = self.headers(packed.as_ref().map(|(packing, _)| packing.name()));
        let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let tag = tag.unwrap_or_default().to_owned();
        if self.tag.is_some() && conditional::has(asked, &tag) {
            headers.remove(header::CONTENT_TYPE);
            headers.remove(header::CONTENT_ENCODING);
            return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
        }
        if let Some((_, content)) = packed {
            headers.insert(header::CONTENT_LENGTH, content.len().into());
            return Ok((headers, Body::from(content)).into_response());
        }
        let size = |from, to| format!("bytes {from}-{to}/{}", self.bytes);
        Ok(match conditional::range(asked, self.bytes, &tag) {
            Range::Whole => {
                headers.insert(header::CONTENT_LENGTH, self.bytes.into());
                (headers, self.body(0, self.bytes)?).into_response()
            }
            Range::Part(from, to) => {
                let length = to - from + 1;
                set(&mut headers, header::CONTENT_RANGE, &size(from, to));
                headers.insert(header::CONTENT_LENGTH, length.into());
                let body = self.body(from, length)?;
                (StatusCode::PARTIAL_CONTENT, headers, body).into_response()
            }
            Range::Outside => {
                let none = format!("bytes */{}", self.bytes);
                set(&mut headers, header::CONTENT_RANGE, &none);
                headers.remove(header::CONTENT_TYPE);
                (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response()
            }
        })
    }

    fn headers(&self, packing: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        set(&mut headers, header::CONTENT_TYPE, &self.kind);
        let cache = if self.is_lasting { LASTING } else { CHECKED };
        headers.insert(header::CACHE_CONTROL, cache);
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if is_packable(&self.kind, self.bytes) {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if let Some(packing) = packing {
            let packing = HeaderValue::from_static(packing);
            headers.insert(header::CONTENT_ENCODING, packing);
        }
        if let Some(tag) = &self.tag {
            let tag = match packing {
                Some(packing) => format!("\"{tag}-{packing}\""),
                None => format!("\"{tag}\""),
            };
            set(&mut headers, header::ETAG, &tag);
        }
        headers
    }

    fn body(&self, from: u64, length: u64) -> io::Result<Body> {
        if let Some(content) = &self.content {
            let [from, to] =
                [from, from + length].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
            return Ok(Body::from(content.slice(from..to)));
        }
        let mut file = opened(&self.at)?;
        file.seek(SeekFrom::Start(from))?;
        let part = tokio::fs::File::from_std(file).take(length);
        let body = Body::from_stream(ReaderStream::with_capacity(part, 64 << 10));
        Ok(body)
    }
}

fn whole(at: &Path) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    opened(at)?.read_to_end(&mut all)?;
    Ok(all)
}

fn kind(at: &Path) -> String {
    let kind = mime_guess::from_path(at).first_or_octet_stream();
    match kind.type_() {
        mime_guess::mime::TEXT => format!("{}; charset=utf-8", kind.essence_str()),
        _ => kind.to_string(),
    }
}

fn is_page(kind: &str) -> bool {
    kind.starts_with("text/html")
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
