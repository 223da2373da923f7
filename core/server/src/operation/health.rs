//! Whether a server does what it is there for, for whoever watches it.

use crate::{
    answer::{Refusal, json},
    context::Context,
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use remy_db_runtime::target::Target;
use serde_json::json;
use std::sync::{Arc, atomic::Ordering};

/// 200 while the live release can be called and its database be read, else 503.
pub(crate) async fn health(State(at): State<Arc<Context>>) -> Response {
    let found = at.read(|at| Ok(at.runtime.serving(&Target::Live)?)).await;
    let under_way = at.under_way();
    let mut told = json!({
        "status": "ok", "app": null, "release": null, "database": "ok",
        "isolation": at.isolation, "callsUnderWay": under_way,
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
