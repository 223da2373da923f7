//! Migrations: the SQL files of a folder, as remy's users and other tools write them. They are read
//! once, when a verb begins: what is rehearsed is what is run again under the lock, and what a
//! staged release keeps, whatever becomes of the folder.

use crate::{
    base::error::{Context, Error, Result},
    rehearse::{
        migration_marks,
        migration_names::{self, Found},
    },
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A migration, as its file was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The file's name; of one in a folder of its own, `folder/migration.sql`.
    pub name: String,
    /// Its SQL, without the part that would undo it. What stays is in the lines in which it is in
    /// the file.
    pub text: String,
    /// The number by which its tool knows it, which no other may have; none where that is its whole
    /// name.
    #[serde(default)]
    pub number: Option<Vec<u64>>,
}

/// What a folder of migrations holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrations {
    /// In the order in which they run.
    pub files: Vec<Migration>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// Reads the migrations of a folder: files `NNNN_name.sql`, or as another tool names them and marks
/// what undoes them.
///
/// Fails with `not_found` where there is no such folder, with `io` where it cannot be read, and
/// with `invalid_argument`, naming the file, where one has no number to run by, is in another
/// language than SQL, or does not tell what in it is to run. What undoes a migration by its name
/// never runs. A folder without migrations is a warning. A link has to lead to a file of the
/// folder.
pub fn read(folder: &Path) -> Result<Migrations> {
    let found = migration_names::of(folder)?;
    let warnings = not_run(folder, &found);
    // Its journal has the order, and knows each by its whole name.
    let numbered = !folder.join(migration_names::JOURNAL).is_file();
    let whole = folder
        .canonicalize()
        .context(|| format!("reading the folder of migrations {}", folder.display()))?;
    let read = |(name, path): (String, PathBuf)| {
        let file = path
            .canonicalize()
            .context(|| format!("reading the migration {}", path.display()))?;
        if !file.starts_with(&whole) || !file.is_file() {
            let what = if file.is_file() {
                "is a link that leads out of its folder"
            } else {
                "is not a file"
            };
            return Err(Error::invalid_argument(format!(
                "the migration {} {what}",
                path.display()
            ))
            .object(&name)
            .hint("Put the file itself there"));
        }
        let text = std::fs::read_to_string(&path)
            .context(|| format!("reading the migration {}", path.display()));
        let text = text.map_err(|e| e.object(&name))?;
        let text = migration_marks::up_part(&name, text.trim_start_matches('\u{feff}'))?;
        let number = if numbered {
            migration_names::number(&name)
        } else {
            None
        };
        Ok::<_, Error>(Migration { name, text, number })
    };
    let files = found.files.into_iter().map(read).collect::<Result<_>>()?;
    Ok(Migrations { files, warnings })
}

/// What to say of a folder of which nothing runs, and of files that do not run though they may be
/// meant to.
fn not_run(folder: &Path, found: &Found) -> Vec<String> {
    let some = |names: &[String]| match names {
        [] => String::new(),
        [one] => one.clone(),
        [first, more @ ..] => format!("{first} and {} more", more.len()),
    };
    if found.files.is_empty() {
        let holds = match (found.undo.as_slice(), found.others.as_slice()) {
            ([], []) => "is empty".to_owned(),
            ([], others) => format!("holds no migration, only {}", some(others)),
            (undo, _) => format!("holds only what undoes migrations ({})", some(undo)),
        };
        return vec![format!(
            "The folder of migrations {} {holds}: nothing of it was run. Migrations are files NNNN_name.sql, or folders \
             NNNN_name that hold a migration.sql",
            folder.display()
        )];
    }
    let lone = |name: &String| {
        let stem = &name[..name.len() - ".sql".len()];
        format!(
            "The migration {name} was not run: its name says that it undoes one. Where it is to run, name it {stem}.up.sql"
        )
    };
    found.lone.iter().map(lone).collect()
}
