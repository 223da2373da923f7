//! `events` of the SDK, as methods use it.

use crate::{
    events::{Events, Terms, World},
    failure::Failure,
};
use serde::Serialize;
use serde_json::Value;

/// `events.publish(channels, data)`.
pub(super) fn publish(
    events: &Events,
    world: &World,
    arguments: &[Value],
) -> Result<Value, Failure> {
    let (channels, data) = two(arguments);
    json(events.publish(world, &named(&channels)?, &data)?)
}

/// `events.grant(channels, { ttlSeconds?, publish? })`: `publish` is `true` for all of the channels,
/// or names some.
pub(super) fn grant(events: &Events, world: &World, arguments: &[Value]) -> Result<Value, Failure> {
    let (channels, options) = two(arguments);
    let channels = named(&channels)?;
    let seconds = match options.get("ttlSeconds") {
        None | Some(Value::Null) => None,
        Some(seconds) => {
            let number = seconds.as_f64().filter(|it| *it >= 0.0);
            let whole = number.ok_or_else(|| invalid("ttlSeconds is no number"))?;
            Some(whole as u64)
        }
    };
    let publishes = match options.get("publish") {
        None | Some(Value::Null | Value::Bool(false)) => Vec::new(),
        Some(Value::Bool(true)) => channels.clone(),
        Some(some) => named(some)?,
    };
    json(events.grant(world, &channels, &Terms { seconds, publishes })?)
}

fn two(arguments: &[Value]) -> (Value, Value) {
    let of = |at: usize| arguments.get(at).cloned().unwrap_or_default();
    (of(0), of(1))
}

/// A name, or a list of them.
fn named(channels: &Value) -> Result<Vec<String>, Failure> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let all = match channels {
        Value::Array(all) => all.iter().map(text).collect(),
        one => text(one).map(|one| vec![one]),
    };
    all.ok_or_else(|| invalid("channels are a name, or a list of names"))
}

fn json(done: impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(done).map_err(|e| Failure::new("internal", 500, e.to_string()))
}

fn invalid(why: &str) -> Failure {
    Failure::new("invalid_channel", 400, format!("{why}. Nothing was done"))
}
