//! Migrations: the `NNNN_name.sql` files of a folder. They are read once, when a verb begins: what is rehearsed is what is run
//! again under the lock, and what a staged release keeps, whatever becomes of the folder.
use crate::error::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A migration, as its file was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The file's name.
    pub name: String,
    /// Its SQL.
    pub text: String,
}

/// Reads the migrations of a folder, in the order of their numbers.
pub fn read(folder: &Path) -> Result<Vec<Migration>> {
    let doing = || format!("reading the folder of migrations {}", folder.display());
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder).context(doing).map_err(|e| {
        e.object(folder.display().to_string())
            .hint("Check the option migrations: a folder of NNNN_name.sql files, relative to the process")
    })?;
    for entry in entries {
        let path = entry.context(doing)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        if !name.ends_with(".sql") {
            continue;
        }
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        let number = name[..digits].parse::<u64>().ok().filter(|_| name[digits..].starts_with('_'));
        let Some(number) = number else {
            return Err(Error::invalid_argument(format!("{name} in {} has no number to run by", folder.display()))
                .object(&name)
                .hint("Name migrations NNNN_name.sql, such as 0001_split_names.sql"));
        };
        files.push((number, name, path));
    }
    files.sort();
    let read = |(_, name, path): (u64, String, std::path::PathBuf)| {
        let text = std::fs::read_to_string(&path).context(|| format!("reading the migration {}", path.display()));
        Ok(Migration { text: text.map_err(|e| e.object(&name))?, name })
    };
    files.into_iter().map(read).collect()
}
