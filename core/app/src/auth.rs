//! Who signs in stands in a table of the app: it and its columns are those that the tables' files
//! declare, whatever the manifest calls them.

use crate::{
    check::At,
    faults::Faults,
    manifest::{self, FILE},
    references::known,
    tables::Tables,
};
use serde_json::Value;
use std::{cell::RefCell, path::Path};

/// Columns that every table has besides its own.
const SYSTEM: [&str; 4] = ["id", "created_at", "updated_at", "last_updated_by"];

pub(crate) fn check(root: &Path, json: &Value, tables: &Tables, faults: &RefCell<Faults>) {
    let named = manifest::named(json);
    let scope = manifest::scope(root, &named, faults);
    let auth = At::new(&scope, json, "").at("auth");
    let at = auth.at("table");
    // What is switched off may be half done, and an entry that is wrong in itself is told of, and
    // put right first.
    if !manifest::is_on(&auth) || is_wrong(&at.pointer, &faults.borrow()) {
        return;
    }
    let name = at.at("name");
    if name.text().trim().is_empty() {
        return;
    }
    let Some(table) = tables.tables.iter().find(|table| table.name == name.text()) else {
        // One that could not be read is a fault already.
        if tables.whole {
            let names = known(tables.tables.iter().map(|table| &table.name));
            name.fault(format!("there is no table \"{}\"; {names}", name.text()));
        }
        return;
    };
    let names: Vec<&str> = table
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let all = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    let columns = at.at("columns");
    for key in columns.object().into_iter().flat_map(serde_json::Map::keys) {
        let column = columns.at(key);
        let text = column.text();
        if !text.trim().is_empty() && !names.contains(&text) && !SYSTEM.contains(&text) {
            column.fault(format!(
                "there is no column \"{text}\" in the table \"{}\", which has {all}",
                table.name
            ));
        }
    }
}

fn is_wrong(pointer: &str, faults: &Faults) -> bool {
    let below = format!("{pointer}/");
    let within =
        |pointer: &Option<String>| pointer.as_deref().is_some_and(|at| at.starts_with(&below));
    faults
        .list
        .iter()
        .any(|fault| fault.file == FILE && within(&fault.pointer))
}
