//! What is wrong with methods: what esbuild says of them, in words that an app can act on, and what
//! it does not see.

use super::{metafile::Metafile, what::manifest_of};
use crate::Method;
use crate::{
    build::{
        Files,
        esbuild::{Location, Message},
        path,
        workspaces::package_folder,
    },
    nearest::nearest,
};
use remy_db::internals::typescript::{self, Fault};
use serde_json::Value;
use std::path::Path;

/// A method whose file a release does not have.
pub(super) fn not_there(Method { id, path, .. }: &Method) -> Fault {
    let message = format!("is not among the release's files (method {id}): is it ignored by git?");
    Fault::of_file(path, message)
}

/// Each fault once, by place.
pub(super) fn in_order(faults: Vec<Fault>) -> Vec<Fault> {
    let mut all: Vec<Fault> = Vec::new();
    for fault in faults {
        if !all.contains(&fault) {
            all.push(fault);
        }
    }
    all.sort_by(|a, b| {
        let place = |fault: &Fault| {
            (
                fault.line.unwrap_or_default(),
                fault.column.unwrap_or_default(),
            )
        };
        a.file.cmp(&b.file).then(place(a).cmp(&place(b)))
    });
    all
}

/// What esbuild says, as a fault.
pub(super) fn of(message: &Message, files: &Files) -> Fault {
    let Message {
        text,
        location,
        notes,
    } = message;
    // Of a file that is not the app's, nothing is told: not what it holds, nor what is wrong with that.
    if let Some(Location { file, .. }) = location
        && path::leaves(file)
    {
        let message = format!(
            "a method imports {}, which is outside of the app. Copy it into the app, or correct the path",
            path::name(file)
        );
        return Fault::of_field("mindstudio.json", "/methods", message);
    }
    // What esbuild advises for an import that leads nowhere is an option of its own, which an app
    // cannot set.
    let notes = notes.iter().filter(|note| note.location.is_none());
    let notes = notes.map(|note| note.text.as_str());
    let notes = notes.filter(|note| !note.starts_with("You can mark the path "));
    let mut parts = vec![text.clone()];
    parts.extend(notes.map(str::to_owned));
    parts.extend(lost(text, location.as_ref(), files));
    let message = parts.join(". ");
    let Some(place) = location else {
        return Fault::of_field("mindstudio.json", "/methods", message);
    };
    Fault {
        line: Some(place.line),
        column: Some(column(place)),
        source: Some(place.text.clone()),
        ..Fault::of_file(&place.file, message)
    }
}

/// What to do about an import that leads nowhere.
fn lost(text: &str, place: Option<&Location>, files: &Files) -> Option<String> {
    let import = text
        .strip_prefix("Could not resolve \"")?
        .strip_suffix('"')?;
    let named = manifest_of(package_folder(files, &place?.file).as_deref());
    let is_path = ["/", "./", "../"]
        .iter()
        .any(|start| import.starts_with(start));
    Some(match is_path {
        true => "Correct the path".to_owned(),
        false => format!("Add the package to {named}, or correct the path"),
    })
}

/// The column in characters, from 1.
fn column(place: &Location) -> usize {
    let bytes = place.text.as_bytes();
    let before = &bytes[..place.column.min(bytes.len())];
    String::from_utf8_lossy(before).chars().count() + 1
}

/// Files from outside of the release that were found all the same, by the app or by a package of it:
/// they are on this machine only.
pub(super) fn strangers(metafile: &Metafile, folder: Option<&str>) -> Vec<Fault> {
    let own = metafile
        .inputs
        .iter()
        .filter(|(file, _)| !path::leaves(file));
    let imports = own.flat_map(|(file, input)| input.imports.iter().map(move |it| (file, it)));
    let strange = imports.filter(|(_, import)| path::leaves(&import.path));
    let fault = |(file, import): (&String, &super::metafile::Import)| {
        let written = Value::from(import.written());
        let named = manifest_of(folder);
        let message = format!(
            "imports {written}, which is outside of the app. A package must be named in {named}"
        );
        Fault::of_file(file, message)
    };
    strange.map(fault).collect()
}

/// Methods whose files do not export them, or as what is no function. What only running them would
/// tell (what a call returns, what a package exports) is nothing wrong.
pub(super) fn wrong_exports(group: &[&Method], metafile: &Metafile, tree: &Path) -> Vec<Fault> {
    let mut faults = Vec::new();
    for Method {
        id, path, export, ..
    } in group.iter().copied()
    {
        let output = metafile.output(id);
        let mut exports: Vec<&str> = output
            .map(|output| output.exports.iter().map(String::as_str).collect())
            .unwrap_or_default();
        if exports.contains(&export.as_str()) {
            let read = typescript::method_input(tree, path.as_ref(), export);
            let errors = read
                .errors
                .into_iter()
                .filter(|_| read.function == Some(false));
            faults.extend(errors.map(|fault| Fault {
                message: format!("{} (method {id})", fault.message),
                ..fault
            }));
            continue;
        }
        exports.sort_unstable();
        let has = match exports.as_slice() {
            [] => "it exports nothing".to_owned(),
            exports => format!("it exports {}", exports.join(", ")),
        };
        let near = nearest(export, exports.iter().copied());
        let meant = near.map_or_else(String::new, |near| format!(". Did you mean {near}?"));
        let message = format!("has no export {export} (method {id}): {has}{meant}");
        faults.push(Fault::of_file(path, message));
    }
    faults
}
