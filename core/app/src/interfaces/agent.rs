//! A model that talks to users, with the app's methods as tools.

use crate::{
    check::{SAFE, anything, filled, text, whole},
    interfaces::{
        kind::Kind,
        tools::{auth, compile, tools},
    },
    references::text_file,
};
use serde_json::Value;

pub(super) const KIND: Kind = Kind {
    fields: &[
        ("name?", &text),
        ("description?", &text),
        ("model", &filled),
        ("temperature?", &|at| {
            let number = at.value.and_then(Value::as_f64);
            at.is(
                "a number, 0 or more",
                number.is_some_and(|number| number >= 0.0),
            )
        }),
        ("maxTokens?", &|at| whole(at, 1.0, SAFE)),
        ("systemPrompt", &text_file),
        ("auth?", &auth),
        ("tools?", &|at| tools(at, &[])),
        ("webInterfacePath?", &text),
    ],
    also: anything,
    compile: |it, app| vec![("interfaces/agent.json", compile(it, app))],
    effects: None,
};
