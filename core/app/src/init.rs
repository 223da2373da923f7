//! The least that can be published, written into a folder.

use crate::{
    FILE,
    build::{Result, disk},
};
use remy_db::{Error, Options, Remy, State, Statement};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

const SCHEMA: &str = "schema.sql";
const SETTINGS: &str = "remy.json";

/// What is written only where it is not there: what a folder may have already is its own.
const OPTIONAL: [&str; 2] = ["tsconfig.json", ".gitignore"];

/// What was written.
#[derive(Debug, Serialize)]
pub struct Written {
    /// The folder.
    pub root: PathBuf,
    /// The files, by their paths in it.
    pub files: Vec<&'static str>,
    /// What is odd.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Writes the beginnings of an app into the folder `dir`, or those of a schema alone: all files, or
/// none.
///
/// Fails with `invalid_argument` where one of them is there, or `dir` is no folder, and with `io`.
pub fn init(dir: &Path, sql: bool) -> Result<Written> {
    let root = disk::lexical(dir);
    let files = match sql {
        true => of_schema(),
        false => of_app(&root),
    };
    write_all(root, files)
}

/// Writes the schema of a database, and that it is live. The database itself stays as it is, and
/// where it is: a publish of what is written changes nothing of its schema.
///
/// Fails as [`init`] and [`Remy::schema`] do.
pub fn init_from(dir: &Path, remy: &Remy) -> Result<Written> {
    let schema = remy.schema_to_declare()?;
    let root = disk::lexical(dir);
    let place = PathBuf::from(remy.place().path);
    // Both can be moved together where it is inside.
    let shown = place
        .strip_prefix(fs::canonicalize(&root).as_ref().unwrap_or(&root))
        .unwrap_or(&place);
    let settings = json!({ "db": shown.to_string_lossy(), "schema": SCHEMA });
    let files = vec![(SCHEMA, schema.clone()), (SETTINGS, pretty(&settings))];
    let written = write_all(root, files)?;
    Ok(Written {
        warnings: differing(remy, &schema),
        ..written
    })
}

/// What a publish of the schema would change all the same, or why that is not known: a module that is
/// not here, say.
fn differing(remy: &Remy, schema: &str) -> Vec<String> {
    // An empty text is no schema.
    if schema.is_empty() {
        return Vec::new();
    }
    match remy.diff(schema, &Options::default()) {
        Ok(rows) => {
            let of = |row: Statement| {
                format!(
                    "a publish would change {}, which is declared as it is: {}",
                    row.object, row.kind
                )
            };
            rows.into_iter().map(of).collect()
        }
        Err(e) => vec![format!(
            "whether a publish would change anything is not known: {e}"
        )],
    }
}

fn write_all(root: PathBuf, mut files: Files) -> Result<Written> {
    files.retain(|(path, _)| !OPTIONAL.contains(path) || !root.join(path).exists());
    let taken: Vec<&str> = files
        .iter()
        .map(|(path, _)| *path)
        .filter(|path| root.join(path).exists())
        .collect();
    if !taken.is_empty() {
        let is = if taken.len() == 1 { "is" } else { "are" };
        let (all, folder) = (taken.join(", "), root.display());
        let what = format!("{all} {is} in {folder} already");
        return Err(refused(&root, what, "Start in a folder without them"));
    }
    if fs::metadata(&root).is_ok_and(|found| !found.is_dir()) {
        let what = format!("{} is not a folder", root.display());
        let hint = "Name a folder, which need not be there yet";
        return Err(refused(&root, what, hint));
    }
    let mut made = Vec::new();
    for (path, text) in &files {
        if let Err(error) = write_new(&root.join(path), text, &mut made) {
            for path in made {
                // What went wrong first is what has to be told.
                let _ = disk::remove(&path);
            }
            return Err(error.state(State::NothingDone).into());
        }
    }
    Ok(Written {
        root,
        files: files.into_iter().map(|(path, _)| path).collect(),
        warnings: Vec::new(),
    })
}

fn refused(root: &Path, what: String, hint: &str) -> crate::AppError {
    Error::invalid_argument(what)
        .state(State::NothingDone)
        .hint(hint)
        .object(root.display().to_string())
        .into()
}

/// Writes a file that is not there, and notes what was made for it: the first of the folders above
/// it, and itself.
fn write_new(path: &Path, text: &str, made: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |doing: &'static str, path: &Path| {
        let path = path.to_owned();
        move |e: io::Error| disk::failed_at(&e, doing, &path)
    };
    if let Some(folder) = path.parent() {
        let missing = folder.ancestors().take_while(|it| !disk::exists(it));
        made.extend(missing.last().map(Path::to_owned));
        fs::create_dir_all(folder).map_err(failed("making the folder", folder))?;
    }
    let mut file = File::create_new(path).map_err(failed("making", path))?;
    made.push(path.to_owned());
    file.write_all(text.as_bytes())
        .map_err(failed("writing", path))
}

type Files = Vec<(&'static str, String)>;

fn of_schema() -> Files {
    vec![
        (SCHEMA, include_str!("init/schema.sql").to_owned()),
        (SETTINGS, pretty(&json!({ "schema": SCHEMA }))),
    ]
}

fn of_app(root: &Path) -> Files {
    let name = root.file_name().map(|name| name.to_string_lossy());
    let manifest = json!({
        "name": name.unwrap_or("app".into()),
        "tables": [{ "name": "notes", "path": "dist/methods/src/tables/notes.ts", "export": "Notes" }],
        "methods": [
            { "id": "add-note", "path": "dist/methods/src/addNote.ts", "export": "addNote" },
            { "id": "list-notes", "path": "dist/methods/src/listNotes.ts", "export": "listNotes" },
        ],
        "interfaces": [{ "type": "web", "path": "dist/interfaces/web/web.json" }],
    });
    // Without a tool of its own: vite takes its place by a package.json that says so.
    let web =
        json!({ "private": true, "scripts": { "build": "mkdir -p dist && cp -R public/. dist" } });
    vec![
        (FILE, pretty(&manifest)),
        // For editors: remy itself checks no types. The SDK's are those of remy-db, where that is
        // installed here or above.
        (
            "tsconfig.json",
            include_str!("init/tsconfig.json").to_owned(),
        ),
        (".gitignore", include_str!("init/gitignore").to_owned()),
        (
            "dist/methods/package.json",
            pretty(&json!({ "private": true, "type": "module" })),
        ),
        (
            "dist/methods/src/tables/notes.ts",
            include_str!("init/notes.ts").to_owned(),
        ),
        (
            "dist/methods/src/addNote.ts",
            include_str!("init/addNote.ts").to_owned(),
        ),
        (
            "dist/methods/src/listNotes.ts",
            include_str!("init/listNotes.ts").to_owned(),
        ),
        (
            "dist/interfaces/web/web.json",
            pretty(&json!({ "web": {} })),
        ),
        ("dist/interfaces/web/package.json", pretty(&web)),
        (
            "dist/interfaces/web/public/index.html",
            include_str!("init/index.html").to_owned(),
        ),
        (
            "dist/interfaces/web/public/main.js",
            include_str!("init/main.js").to_owned(),
        ),
    ]
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
