//! What an app declares, for the JavaScript that builds it. Nothing here opens a database: it may
//! be called in any process. Arguments and results are JSON text.

use crate::{json, reading};
use napi::bindgen_prelude::Function;
use napi_derive::napi;
use remy_db::{Error, Result, internals::typescript::Fault};
use remy_db_app::{AppError, Interface, Manifest};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What the app in the folder `root` declares, which people know as `called`: `{ "app" }`, or
/// `{ "refused" }` with what is wrong with it.
#[napi]
pub fn read_app(root: String, called: Option<String>) -> napi::Result<String> {
    reading(|| {
        json(&match remy_db_app::read(root.as_ref(), called.as_deref()) {
            Ok(app) => json!({ "app": app }),
            Err(refused) => json!({ "refused": refused }),
        })
    })
}

/// The files that an interface becomes, and what is odd in it. `schemas` gives the JSON Schema of a
/// method's input.
#[napi]
pub fn compile_interface(
    interface: String,
    manifest: String,
    schemas: Function<'_, String, String>,
) -> napi::Result<String> {
    let mut failed = None;
    let mut schema = |method: &str| {
        let called = schemas.call(method.to_owned());
        called
            .map(|text| serde_json::from_str(&text).unwrap_or_default())
            .unwrap_or_else(|e| {
                failed.get_or_insert(e);
                Value::Null
            })
    };
    let compiled = reading(|| {
        let interface: Interface = of_json(&interface)?;
        let manifest: Manifest = of_json(&manifest)?;
        json(&remy_db_app::compile(&interface, &manifest, &mut schema))
    });
    match failed {
        Some(e) => Err(e),
        None => compiled,
    }
}

/// What an app declares besides tables.
#[napi]
pub fn app_effects(manifest: String, interfaces: String) -> napi::Result<String> {
    reading(|| {
        let manifest: Manifest = of_json(&manifest)?;
        let interfaces: Vec<Interface> = of_json(&interfaces)?;
        json(&remy_db_app::effects(&manifest, &interfaces))
    })
}

/// An app that does not build, for these faults, as `readApp` refuses one.
#[napi]
pub fn does_not_build(faults: String) -> napi::Result<String> {
    reading(|| json(&AppError::does_not_build(of_json(&faults)?)))
}

/// A fault as people read it.
#[napi]
pub fn fault_line(fault: String) -> napi::Result<String> {
    reading(|| Ok(remy_db_app::line(&of_json::<Fault>(&fault)?)))
}

fn of_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::internal(format!("reading an argument: {e}")))
}
