//! The 60 edge cases of schema change, each on a database of its own: diff, plan, measure, apply,
//! check.
use remy_db::{
    Error, Options, engine,
    internals::{
        declare::{current, declared},
        rehearse,
        schema::{diff::diff, plan::plan},
    },
};
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

fn rows(conn: &Connection, sql: &str) -> Json {
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

/// What a change came to: how many statements ran, and what they said they lose.
struct Done {
    statements: usize,
    loses: Vec<String>,
}

/// As a publish would: all in one transaction, which a refusal rolls back.
fn change(conn: &Connection, desired: &str, options: &Options) -> Result<Done, Error> {
    rehearse::prepare(conn, &options.extensions)?;
    let declared = declared(desired, options)?;
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcome = (|| {
        let mut current = current(conn, &declared, options)?;
        rehearse::dependents::note(conn, &mut current)?;
        let changes = diff(&current, &declared.schema, &declared.renames)?;
        let plan = plan(
            &current,
            &declared.schema,
            &changes,
            rusqlite::version_number(),
        )?;
        let survey = rehearse::measure(conn, &plan, options)?;
        rehearse::apply(conn, &plan, &survey, &mut |_, _| {})?;
        rehearse::check(conn, &plan, &survey, &declared, options)?;
        rehearse::recheck(conn, &plan, &survey, None)?;
        let loses = survey
            .statements
            .iter()
            .filter_map(|statement| statement.loses.clone())
            .collect();
        Ok(Done {
            statements: plan.statements.len(),
            loses,
        })
    })();
    conn.execute_batch(if outcome.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    })
    .unwrap();
    outcome
}

/// What is wrong with how a case went, if anything.
fn run(case: &Json) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let conn = Connection::open(dir.path().join("case.db")).unwrap();
    conn.execute_batch(text(case, "current")).unwrap();
    conn.execute_batch(text(case, "data_setup")).unwrap();
    let before = rehearse::fingerprint(&conn).unwrap();

    let expect = text(case, "expect");
    let mut options = Options::from_json(r#"{"allow":["type_change","lossy","drop"]}"#).unwrap();
    options.renames = serde_json::from_value(case["renames"].clone()).unwrap();
    if expect.contains("ask") {
        options.allow.clear();
    }
    let outcome = change(&conn, text(case, "desired"), &options);
    match (expect, &outcome) {
        ("ok" | "ok_but_data_loss", Ok(done)) if done.statements == 0 => {
            return Err("nothing was done".into());
        }
        ("ok_but_data_loss", Ok(done)) if done.loses.is_empty() => {
            return Err("the loss is not reported".into());
        }
        ("noop", Ok(done)) if done.statements > 0 => {
            return Err(format!("{} statements", done.statements));
        }
        ("ok" | "ok_but_data_loss" | "noop" | "noop_or_ok", Ok(_)) => {}
        ("must_ask", Err(e)) if e.code() == "ambiguous_rename" => {}
        ("must_fail_cleanly", Err(e)) if ["check_failed", "ddl_failed"].contains(&e.code()) => {}
        (_, Ok(_)) => return Err("it was done".into()),
        (_, Err(e)) => return Err(format!("{}: {e}", e.code())),
    }
    for must in case["must_hold"].as_array().unwrap() {
        let (got, want) = (rows(&conn, text(must, "sql")), &must["expect"]);
        if got != *want {
            return Err(format!("{} gives {got}, not {want}", text(must, "sql")));
        }
    }
    match outcome {
        // Twice is once.
        Ok(_) => {
            options.renames.clear();
            let again = change(&conn, text(case, "desired"), &options)
                .map_err(|e| format!("again: {e}"))?;
            if again.statements > 0 {
                return Err(format!("again: {} statements", again.statements));
            }
        }
        Err(_) if rehearse::fingerprint(&conn).unwrap() != before => {
            return Err("the schema changed".into());
        }
        Err(_) => {}
    }
    Ok(())
}

#[test]
fn all_cases_hold() {
    engine::init();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/schema-cases.jsonl");
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
