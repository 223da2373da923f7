//! Metrics for Prometheus, on a port of their own. Methods reach the ports of this machine, so that
//! whoever asks needs a token wherever they ask from: the server secret [`TOKEN`].

use super::counts::BUCKETS;
use crate::{answer::Refusal, asked::bearer, context::Context, state::now, token::hash};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use remy_db_app::outbox::{DISCORD, Lag, Service, TELEGRAM};
use remy_db_runtime::{failure::Failure, pool::Status, secrets, target::Target};
use std::{
    fmt::{Display, Write as _},
    fs,
    sync::{Arc, atomic::Ordering},
};

/// The server secret that whoever asks for metrics has.
pub(crate) const TOKEN: &str = "METRICS_TOKEN";

/// What metrics are made of.
#[derive(Clone)]
pub(crate) struct Watched {
    pub at: Arc<Context>,
    /// How many connections there are.
    pub connections: Arc<dyn Fn() -> usize + Send + Sync>,
}

/// What is served on the port of metrics.
pub(crate) fn router(watched: Watched) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .fallback(async || Refusal::not_found())
        .with_state(watched)
}

/// Fails with `no_token` where there is no token that could be asked for.
pub(crate) fn check(at: &Context) -> Result<(), Failure> {
    match token(at)? {
        Some(_) => Ok(()),
        None => {
            let message = format!(
                "metrics are shown to who has the server secret {TOKEN}, and it is not set. Nothing is served. Set it: remy secrets set {TOKEN} --server"
            );
            Err(Failure::new("no_token", 400, message))
        }
    }
}

fn token(at: &Context) -> Result<Option<String>, Failure> {
    let found = at.runtime.secrets().server(TOKEN, secrets::Target::Prod);
    let found = found.map_err(remy_db_runtime::target::of_core)?;
    Ok(found.filter(|token| !token.is_empty()))
}

async fn metrics(
    State(Watched { at, connections }): State<Watched>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let given = bearer(&headers).map(hash);
    let text = at.read(move |at| {
        // As hashes: how long that takes tells nothing.
        let wanted = token(at)?.map(|token| hash(&token));
        if given.is_none() || given != wanted {
            let message = "Metrics are shown to who has their token, as Authorization: Bearer";
            return Err(Refusal::new(401, "invalid_token", message));
        }
        Ok(shown(at, connections()))
    });
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, text.await?).into_response())
}

/// The text, as Prometheus reads it.
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, what: &str) {
        let _ = writeln!(self.0, "# HELP {name} {what}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    /// A family of one value.
    fn one(&mut self, name: &str, kind: &str, what: &str, value: impl Display) {
        self.family(name, kind, what);
        self.value(name, "", value);
    }
}

fn shown(at: &Context, connections: usize) -> String {
    let mut text = Text(String::new());
    let found = at.runtime.serving(&Target::Live);
    let release = found.as_ref().ok().and_then(|(release, _)| *release);
    let up = u8::from(found.is_ok());
    text.one(
        "remy_up",
        "gauge",
        "Whether the live release can be called.",
        up,
    );
    let release = release.map_or(0, |release| release.0);
    text.one("remy_release", "gauge", "The live release.", release);
    of_requests(&mut text, at, connections);
    of_calls(&mut text, at);
    let lag = at.cron_lag(now()) as f64 / 1e3;
    text.one(
        "remy_cron_lag_seconds",
        "gauge",
        "How late the next run of a cron job is.",
        lag,
    );
    of_outbox(&mut text, at);
    text.family(
        "remy_telemetry_total",
        "counter",
        "What pages have told of themselves.",
    );
    for (kind, count) in [
        ("events", &at.counted.events),
        ("errors", &at.counted.errors),
    ] {
        let labels = format!("{{kind=\"{kind}\"}}");
        text.value(
            "remy_telemetry_total",
            &labels,
            count.load(Ordering::Relaxed),
        );
    }
    if let Some(bytes) = resident() {
        let what = "Memory of this process, without those of methods.";
        text.one("process_resident_memory_bytes", "gauge", what, bytes);
    }
    text.0
}

fn of_requests(text: &mut Text, at: &Context, connections: usize) {
    let counts = &at.answered;
    text.one(
        "remy_connections",
        "gauge",
        "Connections that are open.",
        connections,
    );
    text.family(
        "remy_requests_total",
        "counter",
        "Requests that were answered, by their status.",
    );
    let mut all = 0;
    for (class, count) in (1..).zip(&counts.classes) {
        let count = count.load(Ordering::Relaxed);
        all += count;
        text.value(
            "remy_requests_total",
            &format!("{{status=\"{class}xx\"}}"),
            count,
        );
    }
    let name = "remy_request_seconds";
    text.family(name, "histogram", "How long it took until an answer began.");
    let mut within = 0;
    for (most, count) in BUCKETS.iter().zip(&counts.within) {
        within += count.load(Ordering::Relaxed);
        let labels = format!("{{le=\"{}\"}}", *most as f64 / 1e3);
        text.value(&format!("{name}_bucket"), &labels, within);
    }
    text.value(&format!("{name}_bucket"), "{le=\"+Inf\"}", all);
    text.value(
        &format!("{name}_sum"),
        "",
        counts.took.load(Ordering::Relaxed) as f64 / 1e6,
    );
    text.value(&format!("{name}_count"), "", all);
}

fn of_calls(text: &mut Text, at: &Context) {
    let ended = at.runtime.ended_calls();
    text.family(
        "remy_calls_total",
        "counter",
        "Calls of methods that have ended.",
    );
    for (how, count) in [("returned", &ended.returned), ("failed", &ended.failed)] {
        let labels = format!("{{ended=\"{how}\"}}");
        text.value("remy_calls_total", &labels, count.load(Ordering::Relaxed));
    }
    let took = ended.took.load(Ordering::Relaxed) as f64 / 1e6;
    text.one(
        "remy_calls_seconds_total",
        "counter",
        "How long all of them took.",
        took,
    );
    let (under_way, held) = (at.under_way(), at.runtime.held());
    text.one(
        "remy_calls_under_way",
        "gauge",
        "Calls that requests wait for.",
        under_way,
    );
    text.one(
        "remy_calls_held",
        "gauge",
        "Calls that wait for the end of a switch.",
        held,
    );
    let Status {
        processes,
        free,
        queued,
    } = at.methods();
    text.one(
        "remy_processes",
        "gauge",
        "Processes that run methods.",
        processes,
    );
    text.one(
        "remy_processes_free",
        "gauge",
        "Those of them that wait to be called.",
        free,
    );
    text.one(
        "remy_calls_queued",
        "gauge",
        "Calls that wait for a process.",
        queued,
    );
}

fn of_outbox(text: &mut Text, at: &Context) {
    let untold = at.untold.borrow().clone();
    let of = |service: &Service| untold.iter().find(|lag| lag.service == service.name);
    let lags = |lag: &Lag| lag.since.map_or(0, |since| (now() - since).max(0)) as f64 / 1e3;
    let name = "remy_outbox_lag_seconds";
    let what = "How long something is live that a service outside has not been told of.";
    text.family(name, "gauge", what);
    for service in [DISCORD, TELEGRAM] {
        text.value(name, &labelled(&service), of(&service).map_or(0.0, lags));
    }
    let name = "remy_outbox_attempts";
    let what = "How often a service outside could not be told of it.";
    text.family(name, "gauge", what);
    for service in [DISCORD, TELEGRAM] {
        let attempts = of(&service).map_or(0, |lag| lag.attempts);
        text.value(name, &labelled(&service), attempts);
    }
}

fn labelled(service: &Service) -> String {
    format!("{{service=\"{}\"}}", service.name)
}

/// What of this process is in memory, in bytes.
fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
