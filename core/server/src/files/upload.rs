//! A page uploads a file: it asks for leave, and sends the file by a form with that.

use super::url_of;
use crate::{
    answer::{Refusal, json},
    asked::{Asked, bearer},
    body,
    context::Context,
    state::files::{Access, Draft, Place, unwritten},
    token,
};
use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use multer::{Field, Multipart};
use serde_json::json as value;
use std::sync::Arc;
use tokio::{io::AsyncWriteExt as _, time::timeout};

/// The store of what pages upload without naming one.
const STORE: &str = "uploads";

/// How many fields a form may have before its file, and how large each.
const FIELDS: usize = 20;
const FIELD: usize = 8 << 10;

/// What a page asks for: `{ filename, contentType }` becomes `{ uploadUrl, uploadFields, publicUrl }`.
pub(crate) async fn ask(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let token = bearer(&headers).map(str::to_owned);
    let given = body::read(body, &at.settings.limits).await?;
    let text = |name: &str| given[name].as_str().unwrap_or_default();
    let kind = kind(text("contentType"))?;
    let name = name(text("filename"));
    let base = asked.judged.origin.clone();
    let made = at.read(move |at| {
        let target = at.target(&asked.judged.place)?;
        at.sessions.find(token.as_deref(), &target)?;
        let place = Place {
            target: target.to_string(),
            access: Access::Public,
            store: STORE.to_owned(),
            key: format!("{}/{name}", token::random::<16>()?),
        };
        let leave = at.stored.let_upload(&place, &kind)?;
        Ok(value!({
            "uploadUrl": format!("{base}/_/upload"),
            "uploadFields": { "token": leave },
            "publicUrl": format!("{base}{}", url_of(&place)),
        }))
    });
    Ok(json(&made.await?))
}

/// The type of a file, as whoever uploads it says. What is none is refused: it becomes a header.
fn kind(said: &str) -> Result<String, Refusal> {
    let is_word = |word: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
        !word.is_empty() && word.len() <= 127 && word.bytes().all(fits)
    };
    let plain = said.split(';').next().unwrap_or_default().trim();
    match plain.split_once('/') {
        Some((of, what)) if is_word(of) && is_word(what) => Ok(plain.to_ascii_lowercase()),
        _ if said.is_empty() => Ok("application/octet-stream".to_owned()),
        _ => {
            let message =
                format!("{plain:?} is no type of a file, as image/png is. Nothing was allowed");
            Err(Refusal::new(400, "content_type_not_allowed", message))
        }
    }
}

/// The name of a file, as its URL ends.
fn name(said: &str) -> String {
    let last = said.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe = |c: char| match c {
        c if c.is_control() => '-',
        c => c,
    };
    let name: String = last.chars().take(100).map(safe).collect();
    match name.as_str() {
        "" | "." | ".." => "file".to_owned(),
        _ => name,
    }
}

/// Takes a form: fields, `token` among them, and last the `file`.
pub(crate) async fn take(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let limits = at.settings.limits;
    let Ok(_turn) = at.uploads.try_acquire() else {
        let message = "Too many files are uploaded at once. Upload it again later";
        return Err(Refusal::new(503, "overloaded", message));
    };
    let taken = timeout(limits.upload, taken(&at, asked, &headers, body)).await;
    taken.unwrap_or_else(|_| {
        let message = format!("The file did not come within {} s", limits.upload.as_secs());
        Err(Refusal::new(408, "body_too_slow", message))
    })
}

async fn taken(
    at: &Arc<Context>,
    asked: Asked,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind).map_err(|e| no_form(&e.to_string()))?;
    let mut form = Multipart::new(body.into_data_stream(), boundary);
    let mut token = String::new();
    for _ in 0..FIELDS {
        let field = form
            .next_field()
            .await
            .map_err(|e| no_form(&e.to_string()))?;
        let Some(field) = field else { break };
        if field.name() == Some("file") {
            return keep(at, asked, token, field).await;
        }
        let is_token = field.name() == Some("token");
        let text = small(field).await?;
        if is_token {
            token = text;
        }
    }
    Err(no_form("it has no \"file\" behind its fields"))
}

async fn small(mut field: Field<'_>) -> Result<String, Refusal> {
    let mut all = Vec::new();
    while let Some(part) = field.chunk().await.map_err(|e| no_form(&e.to_string()))? {
        all.extend_from_slice(&part);
        if all.len() > FIELD {
            return Err(no_form("a field is too large"));
        }
    }
    String::from_utf8(all).map_err(|_| no_form("a field is no text"))
}

fn no_form(why: &str) -> Refusal {
    let message =
        format!("The body is no form with a file, or was cut off: {why}. Nothing was kept");
    Refusal::new(400, "invalid_body", message)
}

async fn keep(
    at: &Arc<Context>,
    asked: Asked,
    token: String,
    field: Field<'_>,
) -> Result<Response, Refusal> {
    // Before any of the file is read.
    let begun = at.read({
        let token = token.clone();
        move |at| {
            let target = at.target(&asked.judged.place)?.to_string();
            let leave = at.stored.leave(&token, &target)?;
            Ok((leave, at.stored.begin()?))
        }
    });
    let ((place, kind), mut draft) = begun.await?;
    let (bytes, hash) = write(&mut draft, field, at.settings.limits.file_bytes).await?;
    let url = url_of(&place);
    at.read(move |at| {
        let of = (kind.as_str(), bytes, &hash.as_bytes()[..]);
        at.stored.keep(draft, Some(token::hash(&token)), &place, of)
    })
    .await?;
    Ok(json(&value!({ "url": url, "bytes": bytes })))
}

async fn write(
    draft: &mut Draft,
    mut field: Field<'_>,
    most: u64,
) -> Result<(u64, blake3::Hash), Refusal> {
    let file = draft.file();
    let file = file.ok_or_else(|| Refusal::internal("a file was written twice"))?;
    let mut file = tokio::fs::File::from_std(file);
    let (mut bytes, mut hasher) = (0, blake3::Hasher::new());
    while let Some(part) = field.chunk().await.map_err(|e| no_form(&e.to_string()))? {
        bytes += part.len() as u64;
        if bytes > most {
            let message = format!(
                "The file is larger than {} MiB. Nothing was kept",
                most >> 20
            );
            return Err(Refusal::new(413, "file_too_large", message));
        }
        hasher.update(&part);
        file.write_all(&part).await.map_err(|e| unwritten(&e))?;
    }
    // What is written in the background fails here.
    file.flush().await.map_err(|e| unwritten(&e))?;
    Ok((bytes, hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_type_are_no_path_and_no_header() {
        for (said, is) in [
            ("a b.png", "a b.png"),
            ("../../etc/passwd", "passwd"),
            ("c:\\x\\y.txt", "y.txt"),
            ("a\r\nb", "a--b"),
            ("..", "file"),
            ("", "file"),
        ] {
            assert_eq!(name(said), is, "{said}");
        }
        assert_eq!(kind("Image/PNG; x=1").unwrap(), "image/png");
        for wrong in ["image", "image/", "a/b\r\nx: y", "a b/c"] {
            assert_eq!(
                kind(wrong).unwrap_err().code,
                "content_type_not_allowed",
                "{wrong}"
            );
        }
    }
}
