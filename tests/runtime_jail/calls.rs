//! What a method gets, what it asks for, and how its module is loaded.
use super::cell::{Cell, Heard, With};
use remy_db_runtime::{failure::Failure, pool::Cancel};
use remy_tests::cases;
use serde_json::{Value, json};
use std::sync::{Arc, atomic::Ordering};

#[test]
fn input_and_output_are_what_they_were() {
    let cell = Cell::new(&[("echo", "return input")], With::default());
    let same = |value: Value| {
        let got = cell.call_with("echo", value.clone(), &Arc::default(), &Cancel::default());
        assert_eq!(got.unwrap(), value);
    };
    same(json!({"a": [1, 2.5, null, true, "ü\u{2028}\u{1f600}"], "b": {"c": {}}}));
    // Larger than sockets take at once.
    same(json!({"a": "x".repeat(5 << 20), "b": vec!["ß"; 100_000]}));
    cell.ends_healthy();
}

#[test]
fn nothing_is_null_and_a_date_is_a_text() {
    let cell = Cell::new(
        &[("a", ""), ("b", "return [undefined, new Date(0), NaN]")],
        With::default(),
    );
    assert_eq!(cell.call("a").unwrap(), Value::Null);
    assert_eq!(
        cell.call("b").unwrap(),
        json!([null, "1970-01-01T00:00:00.000Z", null])
    );
    cell.ends_healthy();
}

#[test]
fn a_method_that_is_not_there_and_an_input_that_is_too_large_are_refused() {
    let cell = Cell::new(&[], With::default());
    let failure = cell.call("nobody").unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.status),
        ("method_not_found", 404)
    );
    let large = json!("x".repeat(65 << 20));
    let failure = cell.call_with("ok", large, &Arc::<Heard>::default(), &Cancel::default());
    assert_eq!(failure.unwrap_err().code, "input_too_large");
    cell.ends_healthy();
}

/// Requests of one call are done at once, and none holds up the process.
#[test]
fn requests_are_done_at_once_and_answered_in_any_order() {
    let body = "for (let id = 1; id <= 40; id++) forge({ t: 'request', id, ask: 'service', name: 'wait', arguments: [50] });
                await sleep(1000); return 1";
    let cell = Cell::new(&[("asks", body)], With::default());
    cell.call("asks").unwrap();
    assert_eq!(cell.service.all.load(Ordering::SeqCst), 40);
    let most = cell.service.most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&most), "{most}");
    cell.ends_healthy();
}

/// A process that asks and does not read, as fast as it can: nobody's memory is filled but its own.
#[test]
fn requests_without_end_wait_in_the_process() {
    let body = "const big = { t: 'request', ask: 'service', name: 'wait', arguments: [50, 'x'.repeat(1 << 20)] };
                for (let id = 1; id < 200; id++) { try { forge({ ...big, id }) } catch (e) { if (e.code === 'EAGAIN') { id--; await sleep(1) } else throw e } }
                await sleep(3000); return 1";
    let cell = Cell::new(&[("asks", body)], With::default());
    // The frames are cut by EAGAIN: it is ended for that, or has sent them all.
    let _ = cell.call("asks");
    cell.ends_healthy();
}

fn does_not_load(module: &str, code: &str, says: &str) {
    let refused: Result<Cell, Failure> = Cell::start(&[("bad", module)], With::default());
    let failure = refused.err().expect("it does not load");
    assert_eq!(failure.code, code, "{failure}");
    assert!(failure.message.contains(says), "{failure}");
}

cases! { does_not_load: {
    syntax("MODULE export const method = (", "method_not_loaded", "bad"),
    throws("MODULE throw new Error('at once'); export const method = 1", "method_not_loaded", "at once"),
    no_export("MODULE export const other = () => 1", "method_not_loaded", "no function method"),
    no_package("MODULE import 'not-there'; export const method = () => 1", "method_not_loaded", "not-there"),
    exits("MODULE process.exit(4); export const method = () => 1", "not_started", "status 4"),
    reads_what_it_may_not(
        "MODULE import { readFileSync } from 'node:fs'; readFileSync('/etc/passwd'); export const method = () => 1",
        "method_not_loaded",
        "EACCES",
    ),
} }
