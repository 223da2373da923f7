//! What is asked for by a path that is none of a call: a file, or a page.

use super::{
    bootstrap::{Bootstrap, Parts},
    file::File,
    path, visitor,
};
use crate::{
    answer::Refusal, asked::Asked, context::Context, login::signed_in, state::sessions::Session,
};
use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use remy_db::ReleaseId;
use remy_db_runtime::{app::App, target::Target};
use std::sync::Arc;

/// A request of a file or a page.
pub(crate) struct Wanted {
    pub asked: Asked,
    path: String,
    pub is_head: bool,
    headers: HeaderMap,
}

/// What is served at a place, of which a release.
struct Served {
    target: Target,
    release: Option<ReleaseId>,
    app: Arc<App>,
}

pub(crate) async fn serve(
    State(at): State<Arc<Context>>,
    Extension(asked): Extension<Asked>,
    request: Request,
) -> Result<Response, Refusal> {
    let wanted = wanted(asked, &request)?;
    at.read(move |at| answer(at, &wanted)).await
}

/// What a request wants, by which nothing is called.
pub(crate) fn wanted(asked: Asked, request: &Request) -> Result<Wanted, Refusal> {
    let method = request.method();
    if !matches!(*method, Method::GET | Method::HEAD) {
        let message = "Files and pages are read, with GET or HEAD";
        return Err(Refusal::new(405, "method_not_allowed", message));
    }
    let path = path::clean(request.uri().path())?;
    // What is called and is not there is no page of the app's.
    if matches!(path.split('/').next(), Some("_" | "_internal")) {
        return Err(Refusal::not_found());
    }
    Ok(Wanted {
        asked,
        path,
        is_head: *method == Method::HEAD,
        headers: request.headers().clone(),
    })
}

/// The file that is wanted, or the page that is shown there.
pub(crate) fn answer(at: &Context, wanted: &Wanted) -> Result<Response, Refusal> {
    let served = Served::of(at, wanted)?;
    let site = at.sites.of(&served.app.kept)?;
    let Some(path) = site.within(&wanted.path) else {
        return elsewhere(wanted, site.base());
    };
    if let Some(file) = site.find(path, wanted.is_for_people()) {
        return match file.page() {
            Some(page) => show(at, wanted, &served, (page, site.base())),
            None => send(file, wanted),
        };
    }
    let earlier = at.sites.earlier(&served.target, served.release, path)?;
    match earlier {
        Some(file) => send(&file, wanted),
        None => Err(Refusal::not_found()),
    }
}

/// A page of a dev server, as whoever looks at it is shown it.
pub(crate) fn shown(at: &Context, wanted: &Wanted, page: &Bytes) -> Result<Response, Refusal> {
    // A dev server knows of no other place of its pages.
    show(at, wanted, &Served::of(at, wanted)?, (page, ""))
}

impl Served {
    fn of(at: &Context, wanted: &Wanted) -> Result<Self, Refusal> {
        let target = at.target(&wanted.asked.judged.place)?;
        let (release, app) = at.runtime.serving(&target)?;
        Ok(Self {
            target,
            release,
            app,
        })
    }
}

impl Wanted {
    /// Whether a page is an answer for whoever asks: to somebody who opens a link, and to nothing
    /// that asks for a file which is not there.
    pub fn is_for_people(&self) -> bool {
        let accept = self.headers.get(header::ACCEPT);
        let accepts = accept
            .and_then(|accept| accept.to_str().ok())
            .unwrap_or("*/*");
        let name = self.path.rsplit('/').next().unwrap_or_default();
        accepts.contains("text/html") || (accepts.contains("*/*") && !name.contains('.'))
    }
}

/// Where somebody is led who opens the root: to where the pages are.
fn elsewhere(wanted: &Wanted, base: &str) -> Result<Response, Refusal> {
    match wanted.path.is_empty() {
        true => Ok((StatusCode::FOUND, [(header::LOCATION, format!("{base}/"))]).into_response()),
        false => Err(Refusal::not_found()),
    }
}

fn send(file: &File, wanted: &Wanted) -> Result<Response, Refusal> {
    let sent = file.send(&wanted.headers);
    let response = sent.map_err(|e| Refusal::internal(e.to_string()))?;
    Ok(match wanted.is_head {
        true => response.map(|_| Body::empty()),
        false => response,
    })
}

/// Shows a page to whoever looks at it.
fn show(
    at: &Context,
    wanted: &Wanted,
    served: &Served,
    (page, base): (&Bytes, &str),
) -> Result<Response, Refusal> {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // It has a token.
        (header::CACHE_CONTROL, "no-store"),
    ];
    if wanted.is_head {
        return Ok(headers.into_response());
    }
    let (visitor, is_known) = visitor::of(&wanted.headers)?;
    let (login, user) = signed_in(at, &served.target, &wanted.headers)?.unzip();
    let session = Session {
        target: served.target.clone(),
        release: served.release,
        user: user.as_ref().map(|user| user.id.clone()),
        login: login.map(|login| login.hash),
        visitor: user.as_ref().map_or(&visitor, |user| &user.id).clone(),
    };
    let token = at.sessions.begin(&session)?;
    let told = Bootstrap {
        token: &token,
        release_id: at.release(served.release),
        methods: served.app.exports(),
        user: user.as_ref(),
        visitor_id: &session.visitor,
        app_id: served.app.id(),
        base_path: base,
    };
    let page = match &at.dev {
        Some(dev) => &dev.telling(page),
        None => page,
    };
    let mut response = (headers, told.tell(&Parts::of(page))).into_response();
    let cookie = visitor::cookie_of(&visitor, wanted.asked.judged.is_secure);
    if !is_known && let Ok(cookie) = cookie.parse() {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
