//! Whether a server does what it is there for, for whoever watches it.

use crate::{
    answer::{Refusal, json},
    context::Context,
    origin::Place,
    state::now,
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use remy_db_app::outbox::Lag;
use serde_json::{Value, json};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// 200 while the live release can be called and its database be read, else 503.
pub(crate) async fn health(State(at): State<Arc<Context>>) -> Response {
    let asked = Instant::now();
    let found = at.read(move |at| {
        let waited = asked.elapsed();
        let target = at.target(&Place::Live)?;
        Ok((waited, at.runtime.serving(&target)))
    });
    let (waited, found) = match found.await {
        Ok((waited, found)) => (waited, found.map_err(Refusal::from)),
        Err(refusal) => (asked.elapsed(), Err(refusal)),
    };
    let under_way = at.under_way();
    let outbox: Vec<Value> = at.untold.borrow().iter().map(untold).collect();
    let mut told = json!({
        "status": "ok", "app": null, "release": null, "database": "ok",
        "isolation": at.isolation, "callsUnderWay": under_way, "methods": at.methods(),
        "lag": {
            "cronMs": at.cron_lag(now()),
            "threadMs": (waited.as_secs_f64() * 1e5).round() / 1e2,
            "outbox": outbox,
        },
        "telemetry": {
            "events": at.counted.events.load(Ordering::Relaxed),
            "errors": at.counted.errors.load(Ordering::Relaxed),
        },
    });
    match found {
        Ok((release, app)) => {
            told["app"] = app.name.as_str().into();
            told["release"] = release.map(|id| id.0).into();
            json(&told)
        }
        Err(Refusal {
            code,
            message,
            cause,
            ..
        }) => {
            told["status"] = "failing".into();
            told["database"] = code.into();
            told["error"] = message.into();
            let mut response = (StatusCode::SERVICE_UNAVAILABLE, json(&told)).into_response();
            if let Some(cause) = cause {
                response.extensions_mut().insert(cause);
            }
            response
        }
    }
}

/// What a service has not been told yet. Why is for whoever has the store: `remy status` says it.
fn untold(lag: &Lag) -> Value {
    json!({
        "service": lag.service, "release": lag.told, "live": lag.release, "since": lag.since,
        "attempts": lag.attempts,
    })
}
