//! Where a declared schema comes from.

use crate::schema::spelled;
use std::{fmt, path::PathBuf};

/// What the argument `schema` of a verb was taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// SQL.
    Sql(String),
    /// A file of SQL.
    SqlFile(PathBuf),
    /// A file of the JSON model.
    Model(PathBuf),
    /// The manifest of an app.
    App(PathBuf),
    /// A database.
    Database(PathBuf),
}

impl Source {
    /// A path where there is a file of that name, or where it ends as one does; else SQL text if it
    /// holds a `;`, or white space before a `(`, and is spelled as SQL is.
    pub fn of(argument: &str) -> Self {
        let creates = argument
            .trim_start()
            .get(..6)
            .is_some_and(|word| word.eq_ignore_ascii_case("create"));
        let spaced = argument.match_indices('(').any(|(at, _)| {
            let before = &argument[..at];
            before.ends_with(|c: char| c.is_ascii_whitespace()) || creates
        });
        let path = PathBuf::from(argument);
        let ends_as_one = !argument.contains([';', '\n'])
            && [".sql", ".json", ".db", ".sqlite", ".sqlite3"]
                .iter()
                .any(|end| argument.ends_with(end));
        let sql = (argument.contains(';') || spaced) && spelled::is_sql(argument);
        if sql && !ends_as_one && path.symlink_metadata().is_err() {
            return Self::Sql(argument.to_owned());
        }
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default()
            .to_ascii_lowercase();
        match extension.as_str() {
            _ if path
                .file_name()
                .is_some_and(|name| name == "mindstudio.json") =>
            {
                Self::App(path)
            }
            "sql" => Self::SqlFile(path),
            "json" => Self::Model(path),
            _ => Self::Database(path),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(sql) => write!(f, "the SQL text of {} characters", sql.chars().count()),
            Self::SqlFile(path) => write!(f, "the SQL file {}", path.display()),
            Self::Model(path) => write!(f, "the JSON model {}", path.display()),
            Self::App(path) => write!(f, "the app of {}", path.display()),
            Self::Database(path) => write!(f, "the database {}", path.display()),
        }
    }
}
