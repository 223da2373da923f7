//! Queries as the platform's SDK sends them, and their results.

use crate::answer::Refusal;
use remy_db_runtime::database::request::Operation;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The most queries at once.
const MOST: usize = 1000;

#[derive(Deserialize)]
struct Asked {
    queries: Vec<Query>,
}

#[derive(Deserialize)]
struct Query {
    sql: String,
    #[serde(default)]
    params: Option<Vec<Value>>,
}

/// What the database is asked for: all of it in one transaction. There is one database, whatever
/// `databaseId` says.
pub(super) fn operations(asked: Value) -> Result<Vec<Operation>, Refusal> {
    let wrong = |message: String| Refusal::new(400, "invalid_body", message);
    let Asked { queries } =
        serde_json::from_value(asked).map_err(|e| wrong(format!("These are no queries: {e}")))?;
    if queries.len() > MOST {
        return Err(wrong(format!("These are more than {MOST} queries at once")));
    }
    let operation = |query: Query| Operation::Sql {
        // The database takes one statement, and no end of it.
        text: query.sql.trim_end().trim_end_matches(';').to_owned(),
        params: query
            .params
            .unwrap_or_default()
            .into_iter()
            .map(stored)
            .collect(),
        reads: false,
    };
    Ok(queries.into_iter().map(operation).collect())
}

/// A value as it is stored: objects and arrays are text.
fn stored(value: Value) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) => Value::String(value.to_string()),
        value => value,
    }
}

/// `{ results: [{ rows: [{ column: value }], changes }] }`, of what the database has replied.
pub(super) fn results(replies: Value, wanted: usize) -> Result<Value, Refusal> {
    let unknown = || Refusal::internal("the database replied in an unknown shape");
    let Value::Array(replies) = replies else {
        return Err(unknown());
    };
    let result = |mut reply: Value| {
        let Value::Array(columns) = reply["columns"].take() else {
            return Err(unknown());
        };
        let Value::Array(rows) = reply["rows"].take() else {
            return Err(unknown());
        };
        let row = |row: Value| {
            let Value::Array(values) = row else {
                return Value::Null;
            };
            let names = columns
                .iter()
                .map(|name| name.as_str().unwrap_or_default().to_owned());
            Value::Object(names.zip(values).collect::<Map<_, _>>())
        };
        let rows: Vec<Value> = rows.into_iter().map(row).collect();
        Ok(json!({ "rows": rows, "changes": reply["changes"] }))
    };
    let results: Vec<Value> = replies.into_iter().map(result).collect::<Result<_, _>>()?;
    match results.len() == wanted {
        true => Ok(json!({ "results": results })),
        false => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_statements_of_the_apps() {
        let asked = json!({ "databaseId": "x", "queries": [
            { "sql": "SELECT 1; " },
            { "sql": "INSERT INTO t (a, b) VALUES (?, ?)", "params": ["x", { "y": [1] }] },
        ] });
        let [one, two] = &operations(asked).unwrap()[..] else {
            panic!("two")
        };
        let sql = |text: &str, params: Vec<Value>| Operation::Sql {
            text: text.to_owned(),
            params,
            reads: false,
        };
        assert_eq!(*one, sql("SELECT 1", Vec::new()));
        let params = vec![json!("x"), json!("{\"y\":[1]}")];
        assert_eq!(*two, sql("INSERT INTO t (a, b) VALUES (?, ?)", params));
        for wrong in [
            json!({}),
            json!({ "queries": [{}] }),
            json!({ "queries": vec![json!({ "sql": "" }); 1001] }),
        ] {
            assert_eq!(operations(wrong).unwrap_err().code, "invalid_body");
        }
    }

    #[test]
    fn results_are_rows_by_their_columns() {
        let replies =
            json!([{ "columns": ["a", "b"], "rows": [[1, "x"], [2, null]], "changes": 0 }]);
        assert_eq!(
            results(replies, 1).unwrap(),
            json!({ "results": [{ "rows": [{ "a": 1, "b": "x" }, { "a": 2, "b": null }], "changes": 0 }] })
        );
        assert!(results(json!([]), 1).is_err() && results(json!({}), 0).is_err());
    }
}
