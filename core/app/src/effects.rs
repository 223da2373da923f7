//! What a release declares besides tables, as the option `effects` of the verbs takes it.

use crate::{
    interfaces::{Interface, effects_of, given},
    manifest::Manifest,
};
use serde_json::{Map, Value, json};

/// The effects of an app.
pub fn effects(manifest: &Manifest, interfaces: &[Interface]) -> Value {
    let roles = manifest.roles.iter().map(|role| {
        given(json!({ "id": role.id, "name": role.name, "description": role.description }))
    });
    let mut all = Map::from_iter([("roles".to_owned(), roles.collect())]);
    for kind in ["cron_jobs", "webhooks", "email_routes", "bot_commands"] {
        let of_kind = interfaces
            .iter()
            .filter(|it| it.enabled)
            .flat_map(|it| effects_of(it, kind));
        all.insert(kind.to_owned(), of_kind.collect());
    }
    Value::Object(all)
}
