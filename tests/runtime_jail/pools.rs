//! Many calls, few processes.
use super::cell::{Cell, Heard, With, until};
use remy_db_runtime::{
    child::Limits,
    pool::{Cancel, Settings},
};
use serde_json::json;
use std::{
    fs,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

fn with(settings: Settings) -> With {
    With {
        settings,
        ..With::default()
    }
}

#[test]
fn grows_with_load_and_shrinks_without() {
    let settings = Settings {
        max_processes: 3,
        keep: 1,
        idle: Duration::from_millis(300),
        ..Settings::default()
    };
    let cell = Cell::new(
        &[("slow", "await sleep(300); return process.pid")],
        with(settings),
    );
    assert_eq!(cell.processes().len(), 1, "it is warm");
    let most = thread::scope(|scope| {
        let calls: Vec<_> = (0..9)
            .map(|_| scope.spawn(|| cell.call("slow").unwrap()))
            .collect();
        let mut most = 0;
        while calls.iter().any(|call| !call.is_finished()) {
            most = most.max(cell.processes().len());
            thread::sleep(Duration::from_millis(10));
        }
        most
    });
    assert_eq!(most, 3);
    until("the others end", || cell.processes().len() == 1);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(cell.processes().len(), 1, "one is kept");
    cell.ends_healthy();
}

#[test]
fn a_call_waits_for_the_process_that_is_there_before_another_one_is_started() {
    let at_once = |patience| {
        let settings = Settings {
            max_processes: 3,
            patience,
            ..Settings::default()
        };
        let cell = Cell::new(
            &[("slow", "await sleep(300); return process.pid")],
            with(settings),
        );
        let mut pids = thread::scope(|scope| {
            let calls: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| cell.call("slow").unwrap().as_u64()))
                .collect();
            Vec::from_iter(calls.into_iter().map(|call| call.join().unwrap()))
        });
        cell.ends_healthy();
        pids.sort_unstable();
        pids.dedup();
        pids.len()
    };
    assert_eq!(at_once(Duration::from_secs(3600)), 1);
    assert!(at_once(Duration::ZERO) > 1);
}

/// Also where the answer is there before its caller begins to wait: one call in some hundreds hung, as its
/// answer had been read by the thread that keeps the process.
#[test]
fn many_threads_get_each_their_own_answer() {
    let settings = Settings {
        max_processes: 2,
        ..Settings::default()
    };
    let cell = Cell::new(&[("echo", "return input.n")], with(settings));
    thread::scope(|scope| {
        for n in 0..16 {
            let cell = &cell;
            scope.spawn(move || {
                for i in 0..250 {
                    let n = n * 1000 + i;
                    let input = json!({"n": n});
                    let got = cell.call_with("echo", input, &Arc::default(), &Cancel::default());
                    assert_eq!(got.unwrap(), n);
                }
            });
        }
    });
    assert!(cell.processes().len() <= 2);
    cell.ends_healthy();
}

#[test]
fn beyond_the_queue_a_call_is_refused_at_once() {
    let settings = Settings {
        max_processes: 1,
        queue: 2,
        ..Settings::default()
    };
    let cell = Cell::new(&[("slow", "await sleep(1500); return 1")], with(settings));
    thread::scope(|scope| {
        let first = scope.spawn(|| cell.call("slow"));
        until("it runs", || cell.pool().status().free == 0);
        let waiting: Vec<_> = (0..2).map(|_| scope.spawn(|| cell.call("ok"))).collect();
        until("they wait", || cell.pool().status().queued == 2);
        let begun = Instant::now();
        let failure = cell.call("ok").unwrap_err();
        assert_eq!((failure.code.as_str(), failure.status), ("overloaded", 503));
        assert!(begun.elapsed() < Duration::from_millis(500));
        assert!(first.join().unwrap().is_ok());
        assert!(waiting.into_iter().all(|call| call.join().unwrap().is_ok()));
    });
    cell.ends_healthy();
}

#[test]
fn many_calls_of_one_method_do_not_hold_up_another() {
    let settings = Settings {
        max_processes: 1,
        ..Settings::default()
    };
    let methods = [
        ("slow", "await sleep(1500); return 1"),
        ("busy", "await sleep(20); return 1"),
    ];
    let cell = Cell::new(&methods, with(settings));
    let order = Mutex::new(Vec::new());
    let call = |method: &'static str| {
        cell.call(method).unwrap();
        order.lock().unwrap().push(method);
    };
    thread::scope(|scope| {
        scope.spawn(|| call("slow"));
        until("it runs", || cell.pool().status().free == 0);
        for _ in 0..10 {
            scope.spawn(|| call("busy"));
        }
        until("they wait", || cell.pool().status().queued == 10);
        scope.spawn(|| call("ok"));
    });
    let order = order.into_inner().unwrap();
    let at = order.iter().position(|method| *method == "ok").unwrap();
    assert!(at <= 3, "{order:?}");
    cell.ends_healthy();
}

#[test]
fn a_call_that_is_called_off_ends_where_it_is() {
    let settings = Settings {
        max_processes: 1,
        ..Settings::default()
    };
    let cell = Cell::new(
        &[(
            "loops",
            "fs.writeFileSync(os.tmpdir() + '/x', ''); for (;;);",
        )],
        with(settings),
    );
    let (runs, waits) = (Cancel::default(), Cancel::default());
    let call = |method, cancel: &Cancel| {
        let begun = Instant::now();
        let failure = cell.call_with(method, cell.input(), &Arc::<Heard>::default(), cancel);
        assert!(begun.elapsed() < Duration::from_secs(10));
        failure.unwrap_err().code
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| call("loops", &runs));
        until("it runs", || cell.pool().status().free == 0);
        let second = scope.spawn(|| call("ok", &waits));
        until("it waits", || cell.pool().status().queued == 1);
        waits.cancel();
        assert_eq!(second.join().unwrap(), "cancelled");
        assert!(!first.is_finished());
        runs.cancel();
        assert_eq!(first.join().unwrap(), "cancelled");
        assert_eq!(call("ok", &runs), "cancelled", "before it began");
    });
    cell.ends_healthy();
}

/// Whoever kills a process takes its call along, and no other.
#[test]
fn a_process_that_is_killed_is_replaced() {
    let cell = Cell::new(&[("slow", "await sleep(20000)")], With::default());
    thread::scope(|scope| {
        let call = scope.spawn(|| cell.call("slow"));
        until("it runs", || cell.pool().status().free == 0);
        for pid in cell.processes() {
            // SAFETY: sends a signal to a process of this test's own.
            unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
        }
        let failure = call.join().unwrap().unwrap_err();
        assert_eq!(failure.code, "process_ended");
        assert!(failure.message.contains("SIGKILL"), "{failure}");
    });
    // An idle one, too.
    assert_eq!(cell.call("ok").unwrap(), "ok");
    for pid in cell.processes() {
        // SAFETY: the same.
        unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
    }
    until("it is gone", || cell.pool().status().processes == 0);
    cell.ends_healthy();
}

#[test]
fn a_pool_that_is_retired_ends_its_calls_and_takes_no_more() {
    let cell = Cell::new(&[("slow", "await sleep(700); return 1")], With::default());
    thread::scope(|scope| {
        let call = scope.spawn(|| cell.call("slow"));
        until("it runs", || cell.pool().status().free == 0);
        cell.pool().retire();
        assert_eq!(cell.call("ok").unwrap_err().code, "closed");
        assert_eq!(call.join().unwrap().unwrap(), 1);
    });
    until("its processes end", || cell.processes().is_empty());
    assert_eq!(fs::read_dir(cell.path("run")).unwrap().count(), 1);
}

/// Closed in the middle of calls and of work that goes on: nothing stays.
#[test]
fn a_pool_that_goes_leaves_nothing() {
    let with = With {
        limits: Limits::default(),
        ..With::default()
    };
    let mut cell = Cell::new(&[("left", "setInterval(() => {}, 10); return 1")], with);
    cell.call("left").unwrap();
    assert!(!cell.processes().is_empty());
    let begun = Instant::now();
    cell.close();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(cell.processes().is_empty());
    assert_eq!(fs::read_dir(cell.path("run")).unwrap().count(), 0);
}
