//! The manifest's tables, all of them, with everything that is wrong with them at once.

use crate::{
    base::json::{self, place_of},
    schema::app::AppTable,
    typescript::{self, Fault, files::Files, table},
};
use oxc_allocator::Allocator;
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

/// The tables of an app, and what is to be said of them. Where there are errors, the tables are
/// those without.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tables {
    /// In the manifest's order.
    pub tables: Vec<AppTable>,
    /// What keeps the app from being published.
    pub errors: Vec<Fault>,
    /// What the app's maker should know.
    pub warnings: Vec<Fault>,
}

/// Reads the tables that the manifest `mindstudio.json` lists, from their TypeScript files. All
/// else in the manifest is left to others.
pub fn tables(manifest: &Path) -> Tables {
    typescript::with_room(|| read(manifest))
}

fn read(manifest: &Path) -> Tables {
    let mut found = Tables::default();
    let folder = manifest.parent().unwrap_or(Path::new(""));
    let name = manifest.file_name().map_or_else(
        || manifest.display().to_string(),
        |n| n.to_string_lossy().into(),
    );
    let text = match std::fs::read_to_string(manifest) {
        Ok(text) => text,
        Err(e) => {
            found.errors.push(Fault::of_file(
                &name,
                format!("the manifest cannot be read: {e}"),
            ));
            return found;
        }
    };
    let text = text.trim_start_matches('\u{feff}');
    let json = match json::read(text) {
        Ok(json) => json.value,
        Err(why) => {
            let fault = Fault::not_json(&name, text, &why);
            let message = format!("the manifest is no JSON: {}", fault.message);
            found.errors.push(Fault { message, ..fault });
            return found;
        }
    };
    let entries = entries(&name, &json, &mut found.errors);
    let arena = Allocator::default();
    let root = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let files = Files::new(&arena, root);
    let mut first = BTreeMap::new();
    for entry in &entries {
        found.add_table(&name, entry, &files, root, &mut first);
    }
    found.errors.extend(files.outside());
    found.place_in_manifest(&name, text);
    found
}

/// What the manifest lists under `tables`; what is wrong with it goes to `errors`.
fn entries<'m>(name: &str, manifest: &'m Value, errors: &mut Vec<Fault>) -> Vec<Entry<'m>> {
    let Some(fields) = manifest.as_object() else {
        errors.push(Fault::of_field(
            name,
            "",
            "the manifest has to be an object",
        ));
        return Vec::new();
    };
    match fields.get("tables") {
        None => Vec::new(),
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .filter_map(|(i, entry)| self::entry(name, &format!("/tables/{i}"), entry, errors))
            .collect(),
        Some(_) => {
            errors.push(Fault::of_field(name, "/tables", "has to be a list"));
            Vec::new()
        }
    }
}

impl Tables {
    /// Adds the table of one entry of the manifest `name`, with what is to be said of it. `first`
    /// has the names of the tables so far, in lower case, and the entries that define them.
    fn add_table(
        &mut self,
        name: &str,
        entry: &Entry<'_>,
        files: &Files<'_>,
        root: &Path,
        first: &mut BTreeMap<String, String>,
    ) {
        let path = root.join(&entry.path);
        if !path.is_file() {
            let message = format!("there is no file {}", path.display());
            self.errors
                .push(Fault::of_field(name, format!("{}/path", entry.at), message));
            return;
        }
        let read = table::read(files, &path, entry.export);
        // Tables may share a file, or a row type.
        for (all, more) in [
            (&mut self.errors, read.errors),
            (&mut self.warnings, read.warnings),
        ] {
            for fault in more {
                if !all.contains(&fault) {
                    all.push(fault);
                }
            }
        }
        let Some(table) = read.table else { return };
        if let Some(first) = first.insert(table.name.to_lowercase(), entry.at.clone()) {
            let message = format!(
                "defines the table {}, as {first} does; names differ in more than letter case",
                table.name
            );
            self.errors.push(Fault::of_field(name, &entry.at, message));
            return;
        }
        if !entry.name.is_empty() && entry.name != table.name {
            let message = format!(
                "{:?} differs from the name of the table itself, {:?}, which counts",
                entry.name, table.name
            );
            self.warnings
                .push(Fault::of_field(name, format!("{}/name", entry.at), message));
        }
        self.tables.push(table);
    }

    /// Gives the faults of the manifest's fields line and column of its `text`.
    fn place_in_manifest(&mut self, name: &str, text: &str) {
        let of_manifest = |fault: &&mut Fault| fault.file == name && fault.pointer.is_some();
        for fault in self
            .errors
            .iter_mut()
            .chain(&mut self.warnings)
            .filter(of_manifest)
        {
            let at = place_of(text, fault.pointer.as_deref().unwrap_or_default());
            let place = Fault::at(name, text, at, "");
            // Not the line itself: it may hold a secret.
            (fault.line, fault.column) = (place.line, place.column);
        }
    }
}

struct Entry<'a> {
    at: String,
    /// Empty where the manifest has none that counts: the table's file can be read without.
    name: &'a str,
    path: PathBuf,
    export: &'a str,
}

fn entry<'a>(
    manifest: &str,
    at: &str,
    entry: &'a Value,
    errors: &mut Vec<Fault>,
) -> Option<Entry<'a>> {
    let Some(fields) = entry.as_object() else {
        errors.push(Fault::of_field(
            manifest,
            at,
            "has to be an object: { path, export }",
        ));
        return None;
    };
    let mut text = |field: &str, optional: bool| match fields.get(field) {
        Some(Value::String(text)) if !text.trim().is_empty() => text.as_str(),
        None | Some(Value::Null) if optional => "",
        other => {
            let what = match other {
                None => "is missing",
                Some(Value::String(_)) => "is empty",
                Some(_) => "has to be a text",
            };
            errors.push(Fault::of_field(manifest, format!("{at}/{field}"), what));
            ""
        }
    };
    // The table's file says its name.
    let (name, path, export) = (
        text("name", true),
        text("path", false),
        text("export", false),
    );
    let Some(within) = within(path) else {
        errors.push(Fault::of_field(
            manifest,
            format!("{at}/path"),
            "leads out of the app's folder",
        ));
        return None;
    };
    let whole = !path.is_empty() && !export.is_empty();
    whole.then(|| Entry {
        at: at.to_owned(),
        name,
        path: within,
        export,
    })
}

/// The path of a file in a folder, without `.` and `..`; nothing, where it leads out of the folder.
pub fn within(path: &str) -> Option<PathBuf> {
    let mut within = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => within.push(name),
            Component::CurDir => {}
            Component::ParentDir if within.pop() => {}
            _ => return None,
        }
    }
    Some(within)
}
