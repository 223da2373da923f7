//! The method that mail runs.

use crate::{
    check::{At, anything, list, matching},
    interfaces::kind::{Interface, Kind, get, given},
    references::method,
};
use remy_db::internals::effects::is_sender;
use serde_json::{Value, json};

pub(super) const KIND: Kind = Kind {
    fields: &[
        ("method", &method),
        ("approvedSenders?", &|at| list(at, &sender)),
    ],
    also: anything,
    compile: |it, _| {
        let (method, senders) = (
            get(&it.config, "method"),
            get(&it.config, "approvedSenders"),
        );
        let route = given(json!({ "method": method, "approvedSenders": senders }));
        vec![("interfaces/email.json", route)]
    },
    effects: Some(("email_routes", effects)),
};

fn sender(at: &At<'_>) -> bool {
    matching(at, "is neither an address nor \"*@domain\"", is_sender)
}

fn effects(it: &Interface) -> Vec<Value> {
    let senders: Vec<&Value> = it.entries("approvedSenders").collect();
    vec![json!({ "method": get(&it.config, "method"), "approved_senders": senders })]
}
