//! The app's tables, as core reads them from their TypeScript files.

use crate::{faults::Faults, manifest::FILE};
use remy_db::internals::{
    schema::app::AppTable,
    typescript::{self, Fault},
};
use serde_json::Value;
use std::{cell::RefCell, collections::BTreeSet, path::Path};

/// The tables that could be read.
pub(crate) struct Tables {
    pub tables: Vec<AppTable>,
    /// Whether there are no others.
    pub whole: bool,
}

/// Adds what is wrong with the tables to what is wrong with the manifest.
pub(crate) fn check(root: &Path, json: &Value, faults: &RefCell<Faults>) -> Tables {
    let read = typescript::tables(&root.join(FILE));
    let whole = read.errors.is_empty();
    let mut faults = faults.borrow_mut();
    let said: Vec<String> = faults
        .list
        .iter()
        .filter(|fault| fault.file == FILE)
        .filter_map(|fault| fault.pointer.clone())
        .collect();
    let wrong = files_of_wrong_entries(json, &said);
    for fault in read.errors {
        // Nor that its file lacks what an entry asks for wrongly.
        let is_caused = fault.line.is_none() && wrong.contains(fault.file.as_str());
        if !is_said(&fault, &said) && !is_caused {
            faults.list.push(fault);
        }
    }
    // In the words of core, which says them again when it reads the tables to publish them: so its
    // log has them once.
    faults
        .warnings
        .extend(read.warnings.iter().map(ToString::to_string));
    let tables = read.tables;
    Tables { tables, whole }
}

/// Core looks at the manifest's entries as well: what was said of one is not said again.
fn is_said(fault: &Fault, said: &[String]) -> bool {
    let about = |pointer: &str| {
        said.iter().any(|at| {
            at.strip_prefix(pointer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    fault.file == FILE && fault.pointer.as_deref().is_some_and(about)
}

fn files_of_wrong_entries<'j>(json: &'j Value, said: &[String]) -> BTreeSet<&'j str> {
    let entries = json
        .get("tables")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let wrong = entries.enumerate().filter(|(i, _)| {
        said.iter()
            .any(|at| at.starts_with(&format!("/tables/{i}/")))
    });
    wrong
        .filter_map(|(_, entry)| entry.get("path")?.as_str())
        .collect()
}
