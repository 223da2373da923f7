//! Methods that others call by a secret. The secret is in no message, and in no file that is
//! compiled: only the effects have it.

use crate::{
    check::{At, Distinct, anything, filled, list, shape, text, text_of},
    interfaces::kind::{Interface, Kind, get, given},
    references::method,
};
use serde_json::{Value, json};

pub(super) const KIND: Kind = Kind {
    fields: &[("endpoints", &endpoints)],
    also: anything,
    compile: |it, _| {
        vec![(
            "interfaces/webhook.json",
            json!({ "endpoints": compiled(it) }),
        )]
    },
    effects: Some(("webhooks", effects)),
};

fn endpoints(at: &At<'_>) -> bool {
    let once = Distinct {
        field: "secret",
        what: "secret",
        shown: false,
        note: "",
    };
    list(at, &|at| {
        shape(
            at,
            &[
                ("method", &method),
                ("secret", &filled),
                ("description?", &text),
            ],
        )
    }) & once.by(at, |endpoint| text_of(endpoint, "secret"))
}

fn compiled(it: &Interface) -> Vec<Value> {
    let endpoint = |endpoint: &Value| {
        given(json!({
            "method": endpoint["method"],
            "description": get(endpoint, "description"),
        }))
    };
    it.entries("endpoints").map(endpoint).collect()
}

fn effects(it: &Interface) -> Vec<Value> {
    let webhook = |endpoint: &Value| {
        given(json!({
            "secret": endpoint["secret"],
            "method": endpoint["method"],
            "description": get(endpoint, "description"),
        }))
    };
    it.entries("endpoints").map(webhook).collect()
}
