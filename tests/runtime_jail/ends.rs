//! How a call ends that goes wrong: by its code, with the pool healthy, and nothing left.
use super::cell::{Cell, Heard, With, until};
use remy_db_runtime::{
    child::Limits,
    failure::Failure,
    pool::{Cancel, Settings},
};
use remy_tests::cases;
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

fn limited(call: Duration) -> With {
    With {
        limits: Limits {
            call,
            goes_on: Duration::from_millis(600),
            ..Limits::default()
        },
        settings: Settings {
            max_processes: 2,
            keep: 0,
            ..Settings::default()
        },
        ..With::default()
    }
}

fn failure(body: &str, with: With) -> Failure {
    let cell = Cell::new(&[("bad", body)], with);
    let heard = Arc::<Heard>::default();
    let failure = cell.call_with("bad", cell.input(), &heard, &Cancel::default());
    let failure = failure.unwrap_err();
    let said = heard.text();
    // What it said is shown where the test fails.
    println!(
        "{}: {}\n{}",
        failure.code,
        failure.message,
        &said[..said.len().min(2000)]
    );
    cell.ends_healthy();
    failure
}

/// The process is ended, and the call fails with this code.
fn ends(body: &str, code: &str) {
    let failure = failure(body, limited(Duration::from_secs(60)));
    assert_eq!(failure.code, code, "{}", failure.message);
    assert!((400..600).contains(&failure.status));
}

const OF_CALLS: &str = "forged_frame";

cases! { ends: {
    memory_of_objects("const all = []; for (;;) all.push(new Array(100000).fill(1.5));", "memory_exceeded"),
    memory_of_buffers("const all = []; for (;;) all.push(Buffer.alloc(64 << 20, 1));", "memory_exceeded"),
    memory_of_wasm(
        "const all = []; for (;;) { const m = new WebAssembly.Memory({ initial: 2048 }); new Uint8Array(m.buffer).fill(1); all.push(m); }",
        "memory_exceeded",
    ),
    output("for (;;) console.log('x'.repeat(1000));", "output_exceeded"),
    output_by_native_code("for (;;) fs.writeSync(1, 'x'.repeat(1000));", "output_exceeded"),
    errors("for (;;) console.error('x'.repeat(1000));", "output_exceeded"),
    disk(
        "const block = Buffer.alloc(16 << 20, 1); for (let i = 0; ; i++) { fs.writeFileSync(path.join(os.tmpdir(), `f${i}`), block); await sleep(1); }",
        "disk_exceeded",
    ),
    disk_in_files_that_have_no_name(
        "const block = Buffer.alloc(16 << 20, 1);
         for (;;) { const f = path.join(os.tmpdir(), 'f'); const fd = fs.openSync(f, 'w'); fs.unlinkSync(f); fs.writeSync(fd, block); await sleep(1); }",
        "disk_exceeded",
    ),
    disk_in_one_file(
        "const block = Buffer.alloc(16 << 20, 1); const fd = fs.openSync(path.join(os.tmpdir(), 'f'), 'w'); for (let i = 0; i < 40; i++) { fs.writeSync(fd, block); }",
        "method_failed",
    ),
    descriptors("const all = []; for (;;) all.push(fs.openSync('/dev/null'));", "method_failed"),
    exit("process.exit(3)", "process_ended"),
    exit_without_an_error("process.exit(0)", "process_ended"),
    abort("process.abort()", "process_ended"),
    segfault("require('native').crash()", "process_ended"),
    killed_by_itself("process.kill(process.pid, 'SIGKILL')", "process_ended"),
    becomes_another_program("native('execve', process.execPath, 0, 0); await new Promise(() => {})", OF_CALLS),
    descriptor_closed("fs.closeSync(3); await sleep(1000)", OF_CALLS),
    frame_that_is_none("fs.writeSync(3, frame('{\"t\":')); await sleep(5000)", OF_CALLS),
    frame_of_a_kind_that_is_not_known("forge({ t: 'load' }); await sleep(5000)", OF_CALLS),
    frame_too_large("fs.writeSync(3, Buffer.from([255, 255, 255, 127])); await sleep(5000)", OF_CALLS),
    answer_of_another_call("forge({ t: 'returned', call: 4711, output: 1 }); await sleep(5000)", OF_CALLS),
    ready_again("forge({ t: 'ready' }); await sleep(5000)", OF_CALLS),
    idle_before_its_answer("forge({ t: 'idle', call: 1 }); await sleep(5000)", OF_CALLS),
    request_of_a_number_that_was(
        "forge({ t: 'request', id: 5, ask: 'stream', data: 1 }); forge({ t: 'request', id: 5, ask: 'stream', data: 1 }); await sleep(5000)",
        OF_CALLS,
    ),
    request_for_what_there_is_not("forge({ t: 'request', id: 5, ask: 'shell' }); await sleep(5000)", OF_CALLS),
    throws("throw new Error('so')", "method_failed"),
    throws_a_text("throw 'so'", "method_failed"),
    throws_what_cannot_be_read("throw new Proxy({}, { get() { throw 1 }, has() { throw 1 } })", "method_failed"),
    throws_where_nobody_catches("setTimeout(() => { throw new Error('late') }); await sleep(60000)", "method_failed"),
    returns_a_bigint("return { n: 1n }", "output_not_json"),
    returns_a_circle("const a = {}; a.a = a; return a", "output_not_json"),
    returns_a_function("return () => 1", "output_not_json"),
    returns_what_is_deep("let a = 1; for (let i = 0; i < 130; i++) a = [a]; return a", "output_not_json"),
    returns_too_much("return 'x'.repeat(17 << 20)", "output_too_large"),
} }

/// Each thread's stack is memory. Where it ends depends on who asks for some first: the method, which
/// may catch it, or V8, which ends the process.
#[test]
fn threads_without_end_come_to_one() {
    let body = "const { Worker } = require('node:worker_threads');
         for (let i = 0; i < 400; i++) { const w = new Worker('setInterval(() => {}, 1000)', { eval: true }); w.on('error', () => {}); await sleep(0); }
         await new Promise(() => {})";
    let code = failure(body, limited(Duration::from_secs(60))).code;
    let known = ["memory_exceeded", "method_failed", "process_ended"];
    assert!(known.contains(&code.as_str()), "{code}");
}

/// It is ended at its time.
fn never_returns(body: &str) {
    let begun = Instant::now();
    let failure = failure(body, limited(Duration::from_secs(1)));
    assert_eq!((failure.code.as_str(), failure.status), ("timed_out", 504));
    assert!(begun.elapsed() < Duration::from_secs(15));
}

cases! { never_returns: {
    endless_loop("for (;;);"),
    waits_for_nobody("await new Promise(() => {})"),
    loop_that_writes("for (;;) { try { console.log('x') } catch {} fs.readFileSync(process.argv[1]) }"),
    half_a_frame("fs.writeSync(3, Buffer.from([9, 0, 0, 0, 123])); for (;;);"),
} }

/// What a method threw comes through.
#[test]
fn an_errors_code_status_details_and_stack_come_through() {
    let body = "class MyError extends Error { name = 'MindStudioError'; code = 'no_seats'; status = 409; details = { left: 0 } };
                throw new MyError('Sold out')";
    let failure = failure(body, With::default());
    let told = (
        failure.message.as_str(),
        failure.code.as_str(),
        failure.status,
    );
    assert_eq!(told, ("Sold out", "no_seats", 409));
    assert_eq!(failure.details.as_deref(), Some(&json!({"left": 0})));
    assert!(failure.stack.unwrap().contains("bad.mjs"));
    let odd = "throw Object.assign(new Error('x'), { name: 'MindStudioError', code: 7, status: 200, details: 1n })";
    let failure = super::ends::failure(odd, With::default());
    assert_eq!(
        (failure.code.as_str(), failure.status, failure.details),
        ("method_failed", 500, None)
    );
}

/// A process forges what a method would throw: it is passed on as far as it can be an answer.
#[test]
fn a_forged_status_is_none() {
    let body = "forge({ t: 'threw', call: 1, error: { message: 'm', code: 'c', status: 200 } }); await sleep(60000)";
    let failure = failure(body, limited(Duration::from_secs(30)));
    assert_eq!((failure.code.as_str(), failure.status), ("c", 500));
}

/// What is left behind is no reason for a call to fail, and its process is not called meanwhile.
#[test]
fn what_is_left_behind_goes_on_and_is_ended_at_its_limit() {
    let left = "setTimeout(() => console.log('done later'), 200); globalThis.$count = ($count ?? 0) + 1; return $count";
    let left = format!("globalThis.$count ??= 0; {left}");
    let methods = [
        ("left", left.as_str()),
        ("forever", "setInterval(() => {}, 10); return process.pid"),
        (
            "kept",
            "__msWaitUntil(sleep(200, 0, { ref: false }).then(() => console.log('waited for'))); return process.pid",
        ),
        (
            "rejects",
            "Promise.reject(new Error('nobody catches this')); return 1",
        ),
        (
            "throws",
            "setTimeout(() => { throw new Error('thrown later') }, 20); return 1",
        ),
    ];
    let cell = Cell::new(&methods, limited(Duration::from_secs(60)));
    let said = |method: &str, text: &str| {
        let heard = Arc::<Heard>::default();
        let input = cell.input();
        let answer = cell.call_with(method, input, &heard, &Cancel::default());
        let answer = answer.unwrap_or_else(|e| panic!("{method}: {e}"));
        until(text, || heard.text().contains(text));
        answer
    };
    assert_eq!(said("left", "done later"), 1);
    until("it is free", || cell.pool().status().free == 1);
    // The same process, whose module's state stays.
    assert_eq!(said("left", "done later"), 2);
    said("kept", "waited for");
    said("rejects", "nobody catches this");
    said("throws", "thrown later");
    let forever = cell.call("forever").unwrap();
    let pid = u32::try_from(forever.as_u64().unwrap()).unwrap();
    assert!(cell.processes().contains(&pid));
    // Another one answers meanwhile.
    assert_eq!(cell.call("ok").unwrap(), "ok");
    until("it is ended", || !cell.processes().contains(&pid));
    cell.ends_healthy();
}

/// Output comes whole and in order, before the answer does.
#[test]
fn output_and_stream_are_heard_before_the_answer() {
    let body = "const { stream } = globalThis[Symbol.for('remy.host')];
                for (let i = 0; i < 500; i++) { console.log('line ' + i); void stream(i); }
                console.error('wrong'); process.stdout.write('no end'); return 1";
    let cell = Cell::new(&[("talks", body)], With::default());
    let heard = Arc::<Heard>::default();
    cell.call_with("talks", cell.input(), &heard, &Cancel::default())
        .unwrap();
    let expected: String = (0..500).map(|i| format!("line {i}\n")).collect();
    assert!(heard.text().starts_with(&expected), "{}", heard.text());
    assert!(heard.text().contains("wrong\n"));
    let parts: Vec<_> = (0..500).map(|i| json!(i)).collect();
    assert_eq!(*heard.parts.lock().unwrap(), parts);
    cell.ends_healthy();
}
