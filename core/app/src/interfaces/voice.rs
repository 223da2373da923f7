//! A model that speaks with users: one that hears and speaks itself, or a chat model between two
//! that do.

use crate::{
    check::{At, anything, every, filled, object, one_of, shape, text},
    interfaces::{
        kind::Kind,
        tools::{auth, compile, tools},
    },
    references::{method, text_file},
};
use serde_json::Value;

pub(super) const KIND: Kind = Kind {
    fields: &[
        ("name?", &text),
        ("description?", &text),
        ("model?", &model),
        ("llm?", &model),
        ("stt?", &model),
        ("tts?", &model),
        ("voice?", &|at| {
            let fits = at
                .value
                .is_some_and(|voice| voice.is_string() || voice.is_object());
            at.is("a text or an object", fits)
        }),
        ("greeting?", &text),
        ("turnDetection?", &object),
        ("systemPrompt", &text_file),
        ("auth?", &auth),
        ("phone?", &anything),
        ("context?", &|at| shape(at, &[("method", &method)])),
        ("tools?", &|at| {
            tools(
                at,
                &[("latency?", &|at| {
                    one_of(at, &["fast", "slow", "background"])
                })],
            )
        }),
        ("webInterfacePath?", &text),
    ],
    also,
    compile: |it, app| vec![("interfaces/voice.json", compile(it, app))],
    effects: None,
};

/// A model's id, or the id with settings of that model's.
fn model(at: &At<'_>) -> bool {
    if at.value.is_some_and(Value::is_object) {
        object(at)
    } else {
        filled(at)
    }
}

fn also(at: &At<'_>) -> bool {
    let (model, parts) = (
        at.at("model"),
        ["llm", "stt", "tts"].map(|part| at.at(part)),
    );
    if model.is_given() {
        let beside = "cannot be beside \"model\", which hears and speaks by itself";
        return every(parts.into_iter(), &|part| {
            !part.is_given() || part.fault(beside)
        });
    }
    if !parts.iter().any(At::is_given) {
        return model.fault("is missing; in its place there may be \"llm\", \"stt\" and \"tts\"");
    }
    let missing = "is missing: \"llm\", \"stt\" and \"tts\" go together";
    every(parts.into_iter(), &|part| {
        part.is_given() || part.fault(missing)
    })
}
