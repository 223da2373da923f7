//! The 60 edge cases of schema change, published for real and rolled back.
use remy_db::{Options, Progress, Remy};
use rusqlite::{Connection, types::Value};
use serde_json::Value as Json;
use std::path::Path;

fn text<'a>(case: &'a Json, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_default()
}

fn cell(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(n) => n.into(),
        Value::Real(n) => n.into(),
        Value::Text(text) => text.into(),
        Value::Blob(bytes) => format!("{bytes:?}").into(),
    }
}

fn rows(path: &Path, sql: &str) -> Json {
    let conn = Connection::open(path).unwrap();
    let mut statement = conn.prepare(sql).unwrap();
    let width = statement.column_count();
    let rows = statement
        .query_map([], |row| {
            (0..width)
                .map(|i| row.get(i).map(cell))
                .collect::<Result<Vec<_>, _>>()
        })
        .unwrap();
    rows.map(|row| Json::from(row.unwrap()))
        .collect::<Vec<_>>()
        .into()
}

fn holds(case: &Json, path: &Path) -> Result<(), String> {
    for must in case["must_hold"].as_array().unwrap() {
        let (got, want) = (rows(path, text(must, "sql")), &must["expect"]);
        if got != *want {
            return Err(format!("{} gives {got}, not {want}", text(must, "sql")));
        }
    }
    Ok(())
}

/// The schema and the rows of every plain table.
fn everything(path: &Path) -> Json {
    let schema = rows(
        path,
        "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2, 3",
    );
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY 1";
    let mut all = vec![schema];
    for name in rows(path, tables).as_array().unwrap() {
        let name = name[0].as_str().unwrap().replace('"', "\"\"");
        all.push(rows(path, &format!("SELECT * FROM \"{name}\"")));
    }
    all.into()
}

fn run(case: &Json) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("case.db");
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(text(case, "current")).unwrap();
    conn.execute_batch(text(case, "data_setup")).unwrap();
    drop(conn);
    let before = everything(&path);

    let expect = text(case, "expect");
    let mut options = Options::from_json(r#"{"allow":["type_change","lossy","drop"]}"#).unwrap();
    options.renames = serde_json::from_value(case["renames"].clone()).unwrap();
    if expect.contains("ask") {
        options.allow.clear();
    }
    let app = Remy::open(&path).map_err(|e| e.to_string())?;
    let outcome = app.publish(text(case, "desired"), &options, Progress::none());
    match (expect, &outcome) {
        ("noop", Ok(outcome)) if !outcome.statements.is_empty() => {
            return Err(format!("{:?}", outcome.statements));
        }
        ("ok_but_data_loss", Ok(outcome)) if outcome.warnings.is_empty() => {
            return Err("the loss is not reported".into());
        }
        ("ok" | "ok_but_data_loss" | "noop" | "noop_or_ok", Ok(_)) => {}
        ("must_ask" | "must_fail_cleanly", Err(_)) => {
            holds(case, &path)?;
            return if everything(&path) == before {
                Ok(())
            } else {
                Err("a refusal changed live".into())
            };
        }
        (_, Ok(_)) => return Err("it was done".into()),
        (_, Err(e)) => return Err(format!("{}: {e}", e.code())),
    }
    // The queries count tables, and know nothing of remy's.
    let copy = dir.path().join("copy.db");
    app.clone_to(&copy).map_err(|e| e.to_string())?;
    Remy::open(&copy)
        .and_then(|copy| copy.detach())
        .map_err(|e| e.to_string())?;
    holds(case, &copy)?;

    app.rollback(None, &options, Progress::none())
        .map_err(|e| format!("rollback: {e}"))?;
    app.detach().map_err(|e| e.to_string())?;
    let after = everything(&path);
    if after != before {
        Err(format!("the rollback gave {after}, not {before}"))
    } else {
        Ok(())
    }
}

#[test]
fn all_cases_hold() {
    remy_db::engine::init();
    let file = remy_tests::repository("tests/fixtures/schema-cases.jsonl");
    let cases = std::fs::read_to_string(file).unwrap();
    let cases: Vec<Json> = cases
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(cases.len(), 60);
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            run(case)
                .err()
                .map(|why| format!("{}: {why}", text(case, "name")))
        })
        .collect();
    assert!(
        failed.is_empty(),
        "{} of 60 cases do not hold:\n{}",
        failed.len(),
        failed.join("\n")
    );
}
