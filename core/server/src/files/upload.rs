//! A page uploads a file: it asks for leave, and sends the file by a form with that.

use crate::{
    answer::{Refusal, json},
    asked::{Asked, bearer},
    body,
    context::Context,
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
use remy_db_runtime::files::{Access, Draft, Place, Terms};
use serde_json::json as value;
use std::{mem, sync::Arc};
use tokio::time::timeout;

/// The store of what pages upload without naming one.
const STORE: &str = "uploads";

/// How many fields a form may have before its file, and how large each.
const FIELDS: usize = 20;
const FIELD: usize = 8 << 10;

/// How much of a file is written at once, or a little more.
const PART: usize = 256 << 10;

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
    let terms = Terms {
        kinds: vec![text("contentType").to_owned()],
        ..Terms::default()
    };
    let name = name(text("filename"));
    let base = asked.judged.origin.clone();
    let made = at.read(move |at| {
        let target = at.target(&asked.judged.place)?;
        at.sessions.find(token.as_deref(), &target)?;
        let key = format!("{}/{name}", token::random::<16>()?);
        let place = Place::of(&target, Access::Public, STORE, &key)?;
        let leave = at.runtime.files().let_upload(&place, &terms)?;
        Ok(value!({
            "uploadUrl": format!("{base}/_/upload"),
            "uploadFields": { "token": leave },
            "publicUrl": format!("{base}{}", place.url()),
        }))
    });
    Ok(json(&made.await?))
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
    let said = field.content_type().map(ToString::to_string);
    // Before any of the file is read.
    let begun = at.read(move |at| {
        let target = at.target(&asked.judged.place)?;
        let leave = at.runtime.files().leave(&token, &target)?;
        let kind = leave.kind(&said.unwrap_or_default())?;
        let most = at.settings.limits.file_bytes;
        let most = leave.most.map_or(most, |allowed| allowed.min(most));
        Ok((leave, kind, at.runtime.files().begin(most)?))
    });
    let (leave, kind, draft) = begun.await?;
    let draft = write(at, draft, field).await?;
    let kept = at.read(move |at| {
        let (url, bytes) = (leave.place.url(), draft.bytes());
        let files = at.runtime.files();
        files.keep(draft, &leave.place, &kind, Some(leave.upload()))?;
        Ok(value!({ "url": url, "bytes": bytes }))
    });
    Ok(json(&kept.await?))
}

/// Writes all of a file.
async fn write(
    at: &Arc<Context>,
    mut draft: Draft,
    mut field: Field<'_>,
) -> Result<Draft, Refusal> {
    let mut waiting = Vec::with_capacity(PART);
    let mut is_over = false;
    while !is_over {
        match field.chunk().await.map_err(|e| no_form(&e.to_string()))? {
            Some(part) => waiting.extend_from_slice(&part),
            None => is_over = true,
        }
        if is_over || waiting.len() >= PART {
            let part = mem::take(&mut waiting);
            let written =
                at.read(move |_| draft.write(&part).map(|()| draft).map_err(Refusal::from));
            draft = written.await?;
        }
    }
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_no_header() {
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
    }
}
