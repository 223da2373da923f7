//! A page of a dev session: of its build, or of its dev server; or why there is none.

use super::{
    proxy,
    session::{Session, Shows, telling},
};
use crate::{
    answer::Refusal,
    asked::Asked,
    context::Context,
    origin::foreign_origin,
    page::serve::{Wanted, answer, shown, wanted},
};
use axum::{
    Extension,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use std::sync::Arc;

/// Why there is no page, as one that is loaded again once there is.
const SORRY: &str = "<!doctype html><html><head><meta charset=\"utf-8\"><title>remy dev</title></head>\
    <body><pre>{}</pre></body></html>";

pub(crate) async fn serve(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    request: Request,
) -> Result<Response, Refusal> {
    let wanted = wanted(asked, &request)?;
    let dev = at.dev.as_ref().ok_or_else(Refusal::not_found)?;
    // The sources of an app are nobody else's.
    if !wanted.asked.judged.is_own {
        return Err(foreign_origin());
    }
    let is_for_people = wanted.is_for_people();
    match page(&at, dev, wanted, request).await {
        Err(refusal) if refusal.status == StatusCode::SERVICE_UNAVAILABLE && is_for_people => {
            Ok(sorry(&refusal))
        }
        answered => answered,
    }
}

async fn page(
    at: &Arc<Context>,
    dev: &Session,
    wanted: Wanted,
    request: Request,
) -> Result<Response, Refusal> {
    let address = match dev.shows(at.settings.limits.starts).await? {
        Shows::Built => return at.read(move |at| answer(at, &wanted)).await,
        Shows::By(address) => address,
    };
    let answered = proxy::pass(at, address, request).await?;
    let kind = answered.headers().get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if answered.status() != StatusCode::OK || !is_page || wanted.is_head {
        return Ok(answered);
    }
    let page = proxy::whole(answered.into_body()).await?;
    at.read(move |at| shown(at, &wanted, &page)).await
}

fn sorry(refusal: &Refusal) -> Response {
    let told = refusal.message.replace('&', "&amp;").replace('<', "&lt;");
    let page = SORRY.replace("{}", &told);
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let page = telling(page.as_bytes(), "");
    (StatusCode::SERVICE_UNAVAILABLE, headers, page).into_response()
}
