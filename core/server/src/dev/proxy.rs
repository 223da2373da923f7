//! Asks the dev server of a web interface, in the name of whoever asks here.

use crate::{answer::Refusal, context::Context};
use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use http_body_util::{BodyExt as _, Limited};
use hyper::{client::conn::http1, upgrade};
use hyper_util::rt::TokioIo;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::copy_bidirectional,
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};

/// How often, and after how long each, a dev server is asked again that takes no connection: it may be
/// starting anew.
const TRIES: u32 = 10;
const NAP: Duration = Duration::from_millis(100);

/// How long it may take to answer.
const ANSWERS: Duration = Duration::from_secs(60);

/// The most bytes of a page.
const PAGE: usize = 16 << 20;

/// What is of a connection, and not of a request.
const OF_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What a dev server answers. A connection that becomes one of another kind, a WebSocket, is handed
/// through until either end closes it, or the server ends.
///
/// Fails with `not_shown` (503) where it takes no connection or answers nothing.
pub(super) async fn pass(
    at: &Arc<Context>,
    to: SocketAddr,
    mut request: Request,
) -> Result<Response, Refusal> {
    let failed = |e: &dyn std::fmt::Display| {
        let message = format!("the dev server at {to} does not answer: {e}");
        Refusal::new(503, "not_shown", message)
    };
    let stream = connect(to).await.map_err(|e| failed(&e))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| failed(&e))?;
    tokio::spawn(connection.with_upgrades());
    let upgraded = request.headers().get(header::UPGRADE).cloned();
    let here = upgraded.is_some().then(|| upgrade::on(&mut request));
    let sent = forward(request, to, upgraded.as_ref());
    let answered = timeout(ANSWERS, sender.send_request(sent)).await;
    let answered = answered.map_err(|e| failed(&e))?;
    let mut answered = answered.map_err(|e| failed(&e))?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(here)) = (answered.status(), here) {
        let there = upgrade::on(&mut answered);
        tokio::spawn(tunnel(here, there, at.ending.subscribe()));
    } else {
        without_connection(answered.headers_mut());
    }
    Ok(answered.map(Body::new))
}

async fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let mut tries = 0;
    loop {
        match TcpStream::connect(to).await {
            Err(_) if tries < TRIES => {
                tries += 1;
                sleep(NAP).await;
            }
            connected => return connected,
        }
    }
}

/// A request as the dev server takes it: for its own host, and of its own pages.
fn forward(request: Request, to: SocketAddr, upgraded: Option<&HeaderValue>) -> Request {
    let (mut parts, body) = request.into_parts();
    parts.extensions.clear();
    let host = format!("localhost:{}", to.port());
    without_connection(&mut parts.headers);
    // A page is read here before it is sent on.
    parts.headers.remove(header::ACCEPT_ENCODING);
    if let Some(kind) = upgraded {
        parts.headers.insert(header::UPGRADE, kind.clone());
        let upgrade = HeaderValue::from_static("upgrade");
        parts.headers.insert(header::CONNECTION, upgrade);
    }
    if let Ok(origin) = HeaderValue::from_str(&format!("http://{host}"))
        && parts.headers.contains_key(header::ORIGIN)
    {
        parts.headers.insert(header::ORIGIN, origin);
    }
    if let Ok(host) = HeaderValue::from_str(&host) {
        parts.headers.insert(header::HOST, host);
    }
    Request::from_parts(parts, body)
}

fn without_connection(headers: &mut HeaderMap) {
    for name in OF_CONNECTION {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

async fn tunnel(
    here: upgrade::OnUpgrade,
    there: upgrade::OnUpgrade,
    ending: watch::Receiver<bool>,
) {
    let mut ending = ending;
    let both = async {
        let (Ok(here), Ok(there)) = (here.await, there.await) else {
            return;
        };
        let (mut here, mut there) = (TokioIo::new(here), TokioIo::new(there));
        let _ = copy_bidirectional(&mut here, &mut there).await;
    };
    tokio::select! {
        () = both => {}
        _ = ending.wait_for(|is_ending| *is_ending) => {}
    }
}

/// A page, read to its end.
pub(super) async fn whole(body: Body) -> Result<Bytes, Refusal> {
    let read = Limited::new(body, PAGE).collect().await;
    let page = read.map_err(|e| {
        let message = format!("the dev server has not sent a page whole: {e}");
        Refusal::new(503, "not_shown", message)
    })?;
    Ok(page.to_bytes())
}
