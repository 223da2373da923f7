//! `files` of the SDK, as methods use it, and as `/_internal/v2/files/…` has it: an operation, and an
//! object that says of which file.

use crate::{
    failure::Failure,
    files::{Access, Files, Found, Listed, PUT, Place, Terms, kind},
    state::now,
    target::Target,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{io::Read as _, time::Duration};

/// The most bytes that a method gets at once.
const GET: u64 = 32 << 20;

/// How long a link is good, in seconds, where nothing is said, and otherwise.
const USUAL: u64 = 24 * 60 * 60;
const SHORTEST: u64 = 60;
const LONGEST: u64 = 7 * 24 * 60 * 60;

/// Whose files are asked for, and where people reach them.
pub(super) struct Site<'a> {
    pub files: &'a Files,
    pub target: &'a Target,
    /// `https://shop.example.com`, where it is known.
    pub origin: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    store: String,
    access: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    content_types: Option<Vec<String>>,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    limit: Option<f64>,
    #[serde(default)]
    expires_in: Option<f64>,
    #[serde(default)]
    max_size: Option<f64>,
}

impl Site<'_> {
    /// Does an operation. Fails as [`Files`] does, with `invalid_argument`, `not_found`, and with
    /// `not_supported` where there is no such operation.
    pub fn ask(&self, operation: &str, arguments: Vec<Value>) -> Result<Value, Failure> {
        let given = arguments.into_iter().next().unwrap_or_default();
        let asked: Asked = serde_json::from_value(given).map_err(|e| {
            let message = format!("this names no file: {e}. Nothing was done");
            Failure::new("invalid_argument", 400, message)
        })?;
        let access = Access::named(&asked.access)?;
        if operation == "list" {
            return self.list(access, &asked);
        }
        let place = Place::of(self.target, access, &asked.store, &asked.key)?;
        match operation {
            "put" => self.put(&place, asked),
            "get" => self.get(&place),
            "head" => self.head(&place),
            "delete" => self.files.remove(&place).map(|()| json!({})),
            "sign" => self.sign(&place, asked.expires_in),
            "create-upload" => self.let_upload(&place, asked),
            _ => {
                let message =
                    format!("there is no operation {operation:?} of files. Nothing was done");
                Err(Failure::new("not_supported", 501, message))
            }
        }
    }

    fn put(&self, place: &Place, asked: Asked) -> Result<Value, Failure> {
        let kind = kind(asked.content_type.as_deref().unwrap_or_default())?;
        let bytes = asked.body.and_then(|body| STANDARD.decode(body).ok());
        let bytes = bytes.ok_or_else(|| {
            let message = "the body of a file is no base64. Nothing was kept";
            Failure::new("invalid_body", 400, message)
        })?;
        if bytes.len() as u64 > PUT {
            let message = format!(
                "the file is larger than {} MiB, and a method puts no more at once. Nothing was kept. Let it be uploaded: createUploadToken",
                PUT >> 20
            );
            return Err(Failure::new("file_too_large", 413, message));
        }
        let mut draft = self.files.begin(PUT)?;
        draft.write(&bytes)?;
        self.files.keep(draft, place, &kind, None)?;
        self.head(place)
    }

    fn get(&self, place: &Place) -> Result<Value, Failure> {
        let (found, file) = self.files.open(place)?.ok_or_else(|| not_found(place))?;
        if found.bytes > GET {
            let message = format!(
                "{} is larger than {} MiB, and a method gets no more at once. Fetch it by a link, or hand that on",
                place.url(),
                GET >> 20
            );
            return Err(Failure::new("file_too_large", 413, message));
        }
        let mut bytes = Vec::new();
        file.take(GET)
            .read_to_end(&mut bytes)
            .map_err(|e| Failure::new("io", 500, format!("reading {}: {e}", place.url())))?;
        let mut told = told(&found);
        told["body"] = STANDARD.encode(bytes).into();
        Ok(told)
    }

    fn head(&self, place: &Place) -> Result<Value, Failure> {
        let found = self.files.find(place)?;
        Ok(told(&found.ok_or_else(|| not_found(place))?))
    }

    fn list(&self, access: Access, asked: &Asked) -> Result<Value, Failure> {
        let listed = Listed {
            prefix: asked.prefix.as_deref().unwrap_or_default(),
            after: asked.cursor.as_deref().unwrap_or_default(),
            most: asked.limit.map(|limit| limit as u32),
        };
        let (all, cursor) = self
            .files
            .list(self.target, (access, &asked.store), &listed)?;
        let all: Vec<Value> = all.iter().map(told).collect();
        Ok(match cursor {
            Some(cursor) => json!({ "files": all, "cursor": cursor }),
            None => json!({ "files": all }),
        })
    }

    fn sign(&self, place: &Place, expires_in: Option<f64>) -> Result<Value, Failure> {
        let lasts = expires_in.map_or(USUAL, |seconds| seconds as u64);
        let lasts = lasts.clamp(SHORTEST, LONGEST).cast_signed();
        let ends = now() / 1000 + lasts;
        let signature = self.files.sign(place, ends)?;
        let origin = self.origin.as_deref().ok_or_else(|| {
            let message = "a link that works elsewhere begins with the server's address, and that is not known here. Nothing was signed. Call the method by its page, or say the address of live: remy secrets set PUBLIC_URL --server";
            Failure::new("not_supported", 501, message)
        })?;
        let url = format!("{origin}{}?{}", place.url(), signature.query());
        Ok(json!({ "url": url, "expiresAt": ends * 1000 }))
    }

    fn let_upload(&self, place: &Place, asked: Asked) -> Result<Value, Failure> {
        let terms = Terms {
            kinds: match asked.content_type {
                Some(only) => vec![only],
                None => asked.content_types.unwrap_or_default(),
            },
            most: asked.max_size.map(|most| most as u64),
            lasts: asked
                .expires_in
                .map(|seconds| Duration::from_secs(seconds as u64)),
        };
        let token = self.files.let_upload(place, &terms)?;
        // A page knows where it is.
        let origin = self.origin.as_deref().unwrap_or_default();
        Ok(json!({
            "key": asked.key,
            "url": place.url(),
            "uploadUrl": format!("{origin}/_/upload"),
            "uploadFields": { "token": token },
        }))
    }
}

/// A file, as methods know it.
fn told(found: &Found) -> Value {
    json!({
        "key": found.place.key(),
        "url": found.place.url(),
        "size": found.bytes,
        "contentType": found.kind,
        "updatedAt": found.made,
    })
}

fn not_found(place: &Place) -> Failure {
    let message = format!("there is no file {}", place.url());
    Failure::new("not_found", 404, message)
}
