//! A request of a page, before anything of it is looked at.

use crate::{answer::Refusal, asked::Asked, body, context::Context};
use axum::{
    Extension, RequestExt as _,
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, Uri},
    response::{IntoResponse as _, Response},
};
use serde_json::Value;
use std::sync::Arc;

/// What a page asks for.
pub(crate) struct OnPage {
    at: Arc<Context>,
    asked: Asked,
    headers: HeaderMap,
    pub uri: Uri,
    body: Body,
}

impl FromRequest<Arc<Context>> for OnPage {
    type Rejection = Response;

    async fn from_request(mut request: Request, at: &Arc<Context>) -> Result<Self, Response> {
        let asked = request.extract_parts::<Extension<Asked>>().await;
        let Extension(asked) = asked.map_err(|e| e.into_response())?;
        let (parts, body) = request.into_parts();
        Ok(Self {
            at: Arc::clone(at),
            asked,
            headers: parts.headers,
            uri: parts.uri,
            body,
        })
    }
}

impl OnPage {
    /// Reads its body.
    pub async fn given(self) -> Result<(Arc<Context>, Asked, HeaderMap, Value), Refusal> {
        let given = body::read(self.body, &self.at.settings.limits).await?;
        Ok((self.at, self.asked, self.headers, given))
    }
}
