//! Switches of live under load: nobody who calls notices.
use super::{
    Serving,
    http::{self, Request, connect},
    shop::{script, shop},
    token,
};
use remy_db::{Options, Progress, ReleaseId};
use remy_db_server::Settings;
use remy_tests::{live::App, publish_with};
use serde_json::json;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How many clients call at once, and how often live is switched under them.
fn size() -> (usize, usize) {
    match std::env::var_os("REMY_MINUTES") {
        Some(_) => (200, 50),
        None => (30, 6),
    }
}

/// What clients have come to.
#[derive(Default)]
struct Load {
    is_enough: AtomicBool,
    calls: AtomicU64,
    failed: Mutex<Vec<String>>,
}

impl Load {
    fn fails(&self, why: String) {
        self.failed.lock().unwrap().push(why);
    }
}

/// Sends a request on a connection that stays open.
fn ask(stream: &mut BufReader<TcpStream>, request: &Request) -> std::io::Result<http::Reply> {
    stream.get_mut().write_all(&request.bytes())?;
    http::read(stream, false)
}

/// Calls again and again on one connection, until it is enough. Most calls read, some write, some
/// take their time, and some are streams.
fn client(at: SocketAddr, token: &str, number: usize, load: &Load) {
    let mut stream = BufReader::new(connect(at));
    for n in 0.. {
        if load.is_enough.load(Ordering::Relaxed) {
            return;
        }
        let (method, body) = match (number + n) % 10 {
            0 => (
                "add-order",
                json!({ "input": { "item": format!("{number}-{n}") } }),
            ),
            1 => ("wait", json!({ "input": { "ms": 300 } })),
            2 => (
                "stream-parts",
                json!({ "input": { "texts": ["a", "b"] }, "stream": true }),
            ),
            _ => ("count-orders", json!({})),
        };
        let call = Request::to(at, "POST", &format!("/_/methods/{method}/invoke"));
        let reply = ask(&mut stream, &call.bearer(token).json(&body));
        let is_whole = |reply: &http::Reply| {
            let end = "data: {\"type\":\"done\",\"output\":null}\n\n";
            reply.status == 200 && (method != "stream-parts" || reply.text().ends_with(end))
        };
        match reply {
            Ok(reply) if is_whole(&reply) => load.calls.fetch_add(1, Ordering::Relaxed),
            Ok(reply) => {
                return load.fails(format!("{method}: {}: {}", reply.status, reply.text()));
            }
            Err(e) => return load.fails(format!("{method}: {e}")),
        };
        thread::sleep(Duration::from_millis(20));
    }
}

/// A machine that has much else to do lets no call end within a second.
fn options() -> Options {
    Options::from_json(r#"{"drain_ms": 20000, "lock_timeout_ms": 30000, "max_pause_ms": 20000}"#)
        .unwrap()
}

fn publish(app: &App) {
    let folder = app.dir.path().join("shop");
    publish_with(&folder, Some(&app.live), None, options()).unwrap();
}

/// Publishes and rolls back in turns, under whoever calls.
fn switch(app: &App, times: usize, load: &Load) {
    for n in 0..times {
        if n % 5 == 0 {
            script(app, &n.to_string());
            publish(app);
        } else {
            let to = Some(ReleaseId(if n % 2 == 0 { 1 } else { 2 }));
            app.remy()
                .rollback(to, &options(), Progress::none())
                .unwrap();
        }
        thread::sleep(Duration::from_millis(50));
        if !load.failed.lock().unwrap().is_empty() {
            return;
        }
    }
}

#[test]
fn no_call_fails_while_live_is_switched_again_and_again() {
    let (clients, switches) = size();
    let app = shop();
    publish(&app);
    let serving = Serving::of(&app.live, Settings::default());
    let first = serving.get("/");
    let cookie = first.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let page = super::told(&first);
    let (token, load) = (token(&page), Load::default());
    let began = Instant::now();
    thread::scope(|threads| {
        for number in 0..clients {
            let (load, address) = (&load, serving.address);
            threads.spawn(move || client(address, token, number, load));
        }
        switch(&app, switches, &load);
        load.is_enough.store(true, Ordering::Relaxed);
    });
    let calls = load.calls.load(Ordering::Relaxed);
    eprintln!(
        "{calls} calls of {clients} clients, {switches} switches, {:?}",
        began.elapsed()
    );
    assert_eq!(
        *load.failed.lock().unwrap(),
        [""; 0],
        "besides {calls} calls"
    );
    // The page's token is that of before, and so is the browser.
    let about = serving.call(token, "about", &json!({})).json();
    assert_eq!(about["$releaseId"], (2 + switches).to_string());
    assert_eq!(about["output"]["visitor"], page["visitorId"]);
    let again = serving.ask("GET", "/").header("cookie", cookie).send();
    assert_eq!(super::told(&again)["visitorId"], page["visitorId"]);
}

/// What the drain that nobody has set leaves for calls under way to end, whatever else it waits for.
const LEAVES: Duration = Duration::from_millis(500);

/// A call that ends within that is whole, and what it has written is there. Of one that took longer, on
/// a machine that has much else to do, nothing is said.
#[test]
fn no_short_call_is_lost_by_the_drain_as_it_is() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let page = serving.page();
    let (token, load) = (token(&page), Load::default());
    let calls = |client: usize| {
        for n in 0.. {
            if load.is_enough.load(Ordering::Relaxed) {
                return;
            }
            let began = Instant::now();
            let input = json!({ "ms": 200, "item": format!("{client}-{n}") });
            let reply = serving.call(token, "wait", &input);
            if reply.status == 200 {
                load.calls.fetch_add(1, Ordering::Relaxed);
            } else if began.elapsed() < LEAVES {
                load.fails(reply.text());
            }
        }
    };
    let published: Vec<_> = thread::scope(|threads| {
        for client in 0..3 {
            let calls = &calls;
            threads.spawn(move || calls(client));
        }
        let publish = |n: u32| {
            script(&app, &format!("by default {n}"));
            let folder = app.dir.path().join("shop");
            publish_with(&folder, Some(&app.live), None, Options::default())
        };
        let published = (0..4).map(publish).collect();
        load.is_enough.store(true, Ordering::Relaxed);
        published
    });
    for outcome in published {
        assert_eq!(outcome.unwrap().status.as_str(), "live");
    }
    assert_eq!(*load.failed.lock().unwrap(), [""; 0]);
    let (whole, kept) = (
        load.calls.load(Ordering::Relaxed),
        serving.call(token, "count-orders", &json!({})).json(),
    );
    assert_eq!(kept["$releaseId"], "5");
    let kept = kept["output"].as_u64().unwrap();
    assert!(whole > 4 && kept >= whole, "{kept} of {whole}");
}

/// How many calls a switch holds back, and how many more are sent here.
const ROOM: usize = 1000;
const MORE: usize = 20;

/// What a verb says that is about to switch live, said by hand: calls are held for as long as the
/// connection is there.
fn hold(app: &App) -> UnixStream {
    let mut sockets = std::fs::read_dir(app.store("run")).unwrap();
    let socket = sockets
        .find_map(|entry| {
            let path = entry.unwrap().path();
            path.extension()
                .is_some_and(|end| end == "sock")
                .then_some(path)
        })
        .unwrap();
    let mut verb = UnixStream::connect(socket).unwrap();
    let switching = json!({ "t": "switching", "drain_ms": 60_000, "switch_ms": 60_000 });
    writeln!(verb, "{switching}").unwrap();
    let mut answer = String::new();
    BufReader::new(&verb).read_line(&mut answer).unwrap();
    assert_eq!(answer.trim(), r#"{"t":"drained","calls":0}"#);
    verb
}

#[test]
fn what_a_switch_holds_back_is_bounded_and_the_rest_is_told_when_to_come_again() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let page = serving.page();
    let call = |method: &str| serving.calls(token(&page), method).body("{}");
    let verb = hold(&app);
    let mut calls: Vec<_> = (0..ROOM + MORE)
        .map(|_| call("count-orders").begin())
        .collect();
    let is_answered = |stream: &BufReader<TcpStream>| {
        stream.get_ref().set_nonblocking(true).unwrap();
        let answered = stream.get_ref().peek(&mut [0]).is_ok();
        stream.get_ref().set_nonblocking(false).unwrap();
        answered
    };
    let until = Instant::now() + Duration::from_secs(60);
    while calls.iter().filter(|stream| is_answered(stream)).count() < MORE {
        assert!(Instant::now() < until, "more are held");
        thread::sleep(Duration::from_millis(20));
    }
    // Pages and files are none of it.
    assert_eq!(serving.get("/").status, 200);
    drop(verb);
    let mut ended = 0;
    for stream in &mut calls {
        let reply = http::read(stream, false).unwrap();
        if reply.status == 200 {
            ended += 1;
            continue;
        }
        assert_eq!(reply.refusal(), (503, "overloaded".to_owned()));
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    assert_eq!(ended, ROOM);
}
