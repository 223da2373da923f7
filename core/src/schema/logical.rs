//! The logical types of an app's columns: how each is stored, and how a value of one becomes one of
//! another.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a column's values are to those who write the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Logical {
    /// TEXT.
    Text,
    /// REAL.
    Number,
    /// INTEGER, 0 or 1.
    Boolean,
    /// TEXT: objects and arrays as JSON, plain strings and numbers as they are.
    Json,
    /// TEXT: an id behind `@@user@@`.
    User,
}

impl Logical {
    /// As it is written in JSON and in live.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Json => "json",
            Self::User => "user",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [
            Self::Text,
            Self::Number,
            Self::Boolean,
            Self::Json,
            Self::User,
        ]
        .into_iter()
        .find(|of| of.name() == name)
    }

    /// SQLite's type.
    pub fn sql_type(self) -> &'static str {
        match self {
            Self::Number => "REAL",
            Self::Boolean => "INTEGER",
            Self::Text | Self::Json | Self::User => "TEXT",
        }
    }
}

impl fmt::Display for Logical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A change of a column's logical type that somebody has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cast {
    /// What it is now.
    pub from: Logical,
    /// What it is to be.
    pub to: Logical,
}

impl Cast {
    /// Whether there is any way.
    pub fn possible(self) -> bool {
        let text = |of| matches!(of, Logical::Text | Logical::Json);
        match (self.from, self.to) {
            (Logical::User, to) => text(to),
            (from, Logical::User) => text(from),
            _ => true,
        }
    }

    /// The expression that converts `value`.
    pub fn sql(self, value: &str) -> String {
        let number = format!("typeof({value}) IN ('integer', 'real')");
        let text = format!("typeof({value}) = 'text'");
        match self.to {
            Logical::Number => format!(
                // Comparing with a number converts text that is one, and no other.
                "CASE WHEN {number} THEN CAST({value} AS REAL) \
                 WHEN {text} AND {value} = CAST({value} AS NUMERIC) THEN CAST({value} AS REAL) END"
            ),
            Logical::Boolean => format!(
                "CASE WHEN {number} AND {value} IN (0, 1) THEN CAST({value} AS INTEGER) \
                 WHEN {text} AND {value} IN ('1', 'true') THEN 1 WHEN {text} AND {value} IN ('0', 'false') THEN 0 END"
            ),
            Logical::Text | Logical::Json | Logical::User => {
                let truth = match self.from {
                    Logical::Boolean => {
                        format!(
                            "WHEN {number} AND {value} = 1 THEN 'true' WHEN {number} AND {value} = 0 THEN 'false' "
                        )
                    }
                    _ => String::new(),
                };
                // As JavaScript writes a number: no fraction that is not there, and digits enough
                // to read it again.
                format!(
                    "CASE WHEN {text} THEN {value} {truth}\
                     WHEN {number} AND {value} = CAST({value} AS INTEGER) AND abs({value}) < 9007199254740992 \
                     THEN CAST(CAST({value} AS INTEGER) AS TEXT) \
                     WHEN {number} AND CAST(printf('%!.15g', {value}) AS REAL) = {value} THEN printf('%!.15g', {value}) \
                     WHEN {number} THEN printf('%!.17g', {value}) END"
                )
            }
        }
    }
}

/// SQLite's rules for the affinity of a declared type.
pub(super) fn affinity(declared: &str, strict: bool) -> &'static str {
    let upper = declared.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| upper.contains(part));
    match () {
        () if strict && upper == "ANY" => "BLOB",
        () if has(&["INT"]) => "INTEGER",
        () if has(&["CHAR", "CLOB", "TEXT"]) => "TEXT",
        () if has(&["BLOB"]) || upper.is_empty() => "BLOB",
        () if has(&["REAL", "FLOA", "DOUB"]) => "REAL",
        () => "NUMERIC",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use rusqlite::types::Value;

    #[test]
    fn values_become_what_they_say_or_nothing() {
        crate::sqlite::engine::init();
        let conn = Connection::open_in_memory().unwrap();
        use Logical::{Boolean, Json, Number, Text};
        let text = |s: &str| Value::Text(s.into());
        for (from, to, value, expected) in [
            (Text, Number, text("007"), Value::Real(7.0)),
            (Text, Number, text("1e3"), Value::Real(1000.0)),
            (Text, Number, text("-0.5"), Value::Real(-0.5)),
            (Text, Number, text("12 apples"), Value::Null),
            (Text, Number, text(""), Value::Null),
            (Text, Number, text("0x10"), Value::Null),
            (Number, Text, Value::Real(5.0), text("5")),
            (
                Number,
                Text,
                Value::Real(0.1 + 0.2),
                text("0.30000000000000004"),
            ),
            (Number, Text, Value::Real(0.1), text("0.1")),
            (Number, Json, Value::Integer(-3), text("-3")),
            (Boolean, Text, Value::Integer(1), text("true")),
            (Boolean, Json, Value::Integer(0), text("false")),
            (Boolean, Number, Value::Integer(1), Value::Real(1.0)),
            (Number, Boolean, Value::Real(1.0), Value::Integer(1)),
            (Number, Boolean, Value::Real(2.0), Value::Null),
            (Text, Boolean, text("false"), Value::Integer(0)),
            (Text, Boolean, text("no"), Value::Null),
            (Json, Text, text("[1]"), text("[1]")),
            (Text, Number, Value::Blob(vec![1]), Value::Null),
            (Text, Number, Value::Null, Value::Null),
        ] {
            // A column has an affinity, which an expression has not.
            let kind = from.sql_type();
            conn.execute_batch(&format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (v {kind})"
            ))
            .unwrap();
            conn.execute("INSERT INTO t VALUES (?1)", [&value]).unwrap();
            let sql = format!("SELECT {} FROM t", Cast { from, to }.sql("v"));
            let got: Value = conn.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(got, expected, "{from} to {to}: {value:?}");
        }
    }
}
