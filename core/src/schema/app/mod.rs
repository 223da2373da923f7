//! The tables of an app: what it declares of them, and the schema that this makes of a database.
//!
//! An app says less than SQL does: names, logical types, what is unique. So its schema is the
//! database's own, with what the app says put into it ([`complete`]): tables that it never declared
//! stay, and so do the triggers and indexes that a database brought with it where they serve the
//! purpose. The generic diff and plan take it from there. Pure.

pub(crate) mod complete;
pub(crate) mod groups;
pub(crate) mod indexes;
pub(crate) mod system;
pub(crate) mod triggers;

pub use super::logical::Logical;
use crate::{
    schema::{Schema, introspect, rename::Rename},
    sqlite::quote::literal,
};
pub use complete::{CompletedSchema, complete};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
pub use system::{SYSTEM, SystemColumn};

/// The tables that an app declares.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// In the manifest's order.
    pub tables: Vec<AppTable>,
}

/// A table of an app. Every table has the columns of [`SYSTEM`] besides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AppTable {
    /// Its SQL name.
    pub name: String,
    /// The name that its file exports it by.
    pub export: String,
    /// Its file, seen from the manifest's folder.
    pub file: String,
    /// Its columns, in order.
    pub columns: Vec<AppColumn>,
    /// Groups of columns that no two rows share.
    pub unique: Vec<Vec<String>>,
    /// The name that it had before.
    pub renamed_from: Option<String>,
}

/// A column of an app's table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppColumn {
    /// The property's name.
    pub name: String,
    /// Its logical type.
    #[serde(rename = "type")]
    pub logical: Logical,
    /// There has to be a value.
    pub required: bool,
    /// What rows that are there already read, where it is a literal.
    pub default: Option<Value>,
    /// Its values may be converted from another type.
    pub cast: bool,
    /// The name that it had before.
    pub renamed_from: Option<String>,
    /// The system column that it is another name of.
    pub computed_from: Option<String>,
}

/// Why no table of an app may have this name.
pub fn unfit_table_name(name: &str) -> Option<&'static str> {
    match name {
        _ if introspect::is_internal(name) => {
            Some("names that begin with sqlite_ or _remy_ are taken")
        }
        _ => unfit_column_name(name),
    }
}

/// Why no column may have this name.
pub fn unfit_column_name(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("it is empty"),
        _ if name.contains('\0') => Some("it holds a NUL"),
        _ => None,
    }
}

/// A literal value as a column of this type holds it, as SQL. `None`: it is no value of this type.
pub fn stored(logical: Logical, value: &Value) -> Option<String> {
    match (logical, value) {
        (Logical::Text | Logical::User | Logical::Json, Value::String(text)) => {
            (!text.contains('\0')).then(|| literal(text))
        }
        (Logical::Number, Value::Number(number)) => Some(number.to_string()),
        (Logical::Boolean, Value::Bool(truth)) => Some(i32::from(*truth).to_string()),
        (Logical::Json, value) => Some(literal(&value.to_string())),
        _ => None,
    }
}

/// What the release that is live declares of its tables: logical types, by the names of tables and
/// columns in lower case.
#[derive(Debug, Clone, Default)]
pub struct RecordedTypes(pub BTreeMap<String, BTreeMap<String, Logical>>);

impl App {
    /// The renames that its JSDoc tells.
    pub fn renames(&self) -> Vec<Rename> {
        let mut renames = Vec::new();
        for table in &self.tables {
            let rename = |table: Option<&str>, from: &str, to: &str| Rename {
                table: table.map(str::to_owned),
                from: from.to_owned(),
                to: to.to_owned(),
                comment: true,
            };
            if let Some(from) = &table.renamed_from {
                renames.push(rename(None, from, &table.name));
            }
            for column in &table.columns {
                if let Some(from) = &column.renamed_from {
                    renames.push(rename(Some(&table.name), from, &column.name));
                }
            }
        }
        renames
    }

    /// The schema that it makes of an empty database.
    pub fn schema(&self) -> Schema {
        let nothing = (Schema::default(), RecordedTypes::default());
        let completed = complete(&nothing.0, self, &nothing.1, &[], &[]);
        completed
            .map(|completed| completed.schema)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Trigger, app::triggers::purpose};
    use rusqlite::Connection;

    fn column(name: &str, logical: Logical) -> AppColumn {
        AppColumn {
            name: name.into(),
            logical,
            required: false,
            default: None,
            cast: false,
            renamed_from: None,
            computed_from: None,
        }
    }

    /// The model that is built by hand is the one that SQLite reads from its statements.
    #[test]
    fn the_schema_is_what_its_statements_make() {
        crate::sqlite::engine::init();
        let twin = AppColumn {
            computed_from: Some("created_at".into()),
            ..column("createdAt", Logical::Number)
        };
        let table = AppTable {
            name: "we \"ird".into(),
            columns: vec![
                column("select", Logical::Text),
                column("n", Logical::Number),
                twin,
            ],
            unique: vec![vec!["select".into(), "n".into()]],
            ..AppTable::default()
        };
        let schema = App {
            tables: vec![table],
        }
        .schema();
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(&schema.to_sql()).unwrap();
        let mut read = introspect::read(&conn, &[]).unwrap();
        read.names.clear();
        assert_eq!(read, schema);
    }

    #[test]
    fn a_trigger_is_known_by_what_it_does() {
        let of = |sql: &str| {
            let trigger = Trigger {
                name: "x".into(),
                table: "t".into(),
                sql: sql.into(),
            };
            purpose(&trigger, "t").map(|(event, columns)| format!("{event} {}", columns.join(" ")))
        };
        assert_eq!(
            of("CREATE TRIGGER \"update\" AFTER INSERT ON t BEGIN UPDATE t SET created_at = max(1, 2), updated_at = 3 WHERE id = new.id; END").as_deref(),
            Some("INSERT created_at updated_at")
        );
        assert_eq!(
            of("CREATE TRIGGER x AFTER UPDATE ON t WHEN old.a IS new.a BEGIN UPDATE OR IGNORE \"t\" SET updated_at = 1; END").as_deref(),
            Some("UPDATE updated_at")
        );
        for other in [
            "CREATE TRIGGER x AFTER UPDATE ON t BEGIN UPDATE t SET updated_at = 1, name = 'x'; END",
            "CREATE TRIGGER x AFTER UPDATE ON t BEGIN UPDATE u SET updated_at = 1; END",
            "CREATE TRIGGER x AFTER UPDATE ON t BEGIN INSERT INTO log VALUES (1); UPDATE t SET updated_at = 1; END",
            "CREATE TRIGGER x AFTER UPDATE ON t BEGIN UPDATE t SET (updated_at, name) = (1, 2); END",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
