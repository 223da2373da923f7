//! Reads all that an app declares: manifest, interfaces and tables. What is wrong with any of them
//! is told with what is wrong with the others.

use crate::{
    auth,
    faults::{AppError, Faults},
    interfaces::{self, Interface},
    manifest::{self, FILE, Manifest},
    tables,
};
use remy_db::internals::typescript::Fault;
use serde::Serialize;
use std::{cell::RefCell, path::Path};

/// What an app declares.
#[derive(Debug, Clone, Serialize)]
pub struct App {
    /// Its manifest.
    pub manifest: Manifest,
    /// In the manifest's order.
    pub interfaces: Vec<Interface>,
    /// What is odd, and does no harm.
    pub warnings: Vec<String>,
}

/// Reads what the app in the folder `root` declares, which people know as `called`.
///
/// Fails with `not_found` where there is no app, and with `schema_invalid`, naming every fault of
/// all its files.
pub fn read(root: &Path, called: Option<&str>) -> Result<App, AppError> {
    let root = &std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let faults = RefCell::new(Faults::default());
    let place = called.map_or_else(|| root.display().to_string(), str::to_owned);
    let Some(json) = manifest::read(root, &place, &faults)? else {
        return Err(AppError::declared_wrongly(faults.into_inner().list));
    };
    let of_manifest = faults.borrow().warnings.clone();
    let interfaces = interfaces::read(root, &json, &faults);
    let tables = tables::check(root, &json, &faults);
    auth::check(root, &json, &tables, &faults);
    let Faults { list, warnings, .. } = faults.into_inner();
    if !list.is_empty() {
        return Err(AppError::declared_wrongly(list));
    }
    let manifest = manifest::of_json(root, json, of_manifest).map_err(|e| {
        // What the checks let through has these types, so that this is a fault of the checks.
        AppError::declared_wrongly(vec![Fault::of_file(FILE, e.to_string())])
    })?;
    Ok(App {
        manifest,
        interfaces,
        warnings,
    })
}
