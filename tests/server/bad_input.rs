//! What nobody sends who means well.
use super::{
    Serving,
    http::{self, connect},
    shop::shop,
    token,
};
use remy_db_server::Settings;
use serde_json::json;
use std::{
    io::{BufReader, Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

/// Whether the other end closes within a time.
fn is_closed(mut stream: &TcpStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).unwrap();
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(e) => e.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_body_is_small_quick_whole_and_json() {
    let app = shop();
    let mut settings = Settings::default();
    settings.limits.body_bytes = 1 << 20;
    settings.limits.body = Duration::from_millis(500);
    let serving = Serving::of(&app.live, settings);
    let page = serving.page();
    let send = |body: &[u8]| serving.calls(token(&page), "about").body(body).send();
    let deep = format!(
        "{{\"input\":{}1{}}}",
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    for (body, status, code) in [
        (&b"{\"input\":"[..], 400, "invalid_json"),
        (b"{\"input\":1,\"input\":2}", 400, "invalid_json"),
        (b"{\"input\":{\"a\":1,\"a\":2}}", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b"[]", 400, "invalid_body"),
        (b"{\"stream\":\"yes\"}", 400, "invalid_body"),
        (deep.as_bytes(), 400, "invalid_json"),
        (&vec![b' '; (1 << 20) + 1], 413, "body_too_large"),
    ] {
        assert_eq!(
            send(body).refusal(),
            (status, code.to_owned()),
            "{:?}",
            &body[..body.len().min(20)]
        );
    }

    // One that says less than it sends, and one that never ends.
    let chunked = serving
        .calls(token(&page), "about")
        .header("transfer-encoding", "chunked");
    let mut stream = chunked.begin();
    let part = format!("{:x}\r\n{}\r\n", 1 << 16, " ".repeat(1 << 16));
    for _ in 0..40 {
        if stream.get_mut().write_all(part.as_bytes()).is_err() {
            break;
        }
    }
    let refused = http::read(&mut stream, false);
    assert!(refused.is_err() || refused.unwrap().status == 413);
    let mut slow = serving
        .calls(token(&page), "about")
        .header("content-length", "100")
        .begin();
    slow.get_mut().write_all(b"{").unwrap();
    let refused = http::read(&mut slow, false).unwrap();
    assert_eq!(refused.refusal(), (408, "body_too_slow".to_owned()));

    // One that is cut off.
    let cut = serving
        .calls(token(&page), "add-order")
        .header("content-length", "100")
        .begin();
    cut.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    let refused = http::read(&mut BufReader::new(cut), false);
    assert!(refused.is_err() || refused.unwrap().status == 400);
    let count = serving
        .call(token(&page), "count-orders", &json!({}))
        .json();
    assert_eq!(count["output"], 0);
}

#[test]
fn a_path_leads_nowhere_else() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    for path in [
        "/../app.json",
        "/assets/../../../app.json",
        "/%2e%2e/app.json",
        "/..%2fapp.json",
        "/a%2fb",
        "/a%00b",
        "/robots.txt%00.html",
        "/a%5c..%5cb",
        "/%ff",
        "/./robots.txt",
    ] {
        let reply = serving
            .ask("GET", path)
            .header("accept", "text/html")
            .send();
        assert_eq!(reply.refusal(), (400, "invalid_path".to_owned()), "{path}");
    }
    for path in ["//etc/passwd", "/etc/passwd", "/web/../robots.txt"] {
        let reply = serving.get(path);
        assert!(!reply.text().contains("root:"), "{path}");
    }
    let page = serving.page();
    for id in ["..%2fabout", "%00", "a%2fb", "%ff"] {
        let reply = serving.calls(token(&page), id).body("{}").send();
        assert!((400..500).contains(&reply.status), "{id}: {reply:?}");
    }
}

#[test]
fn a_head_is_small_quick_and_one() {
    let app = shop();
    let mut settings = Settings::default();
    settings.limits.head = Duration::from_millis(700);
    let serving = Serving::of(&app.live, settings);
    let mut many = serving.ask("GET", "/");
    for n in 0..500 {
        many = many.header(&format!("x-{n}"), "y");
    }
    assert_eq!(many.send().status, 431);
    let large = serving
        .ask("GET", "/")
        .header("x-large", &"y".repeat(1 << 20));
    let refused = large.try_send();
    assert!(refused.is_err() || refused.unwrap().status == 431);
    let long = serving
        .ask("GET", &format!("/{}", "y".repeat(1 << 17)))
        .try_send();
    assert!(long.is_err() || matches!(long.unwrap().status, 414 | 431));

    // Nothing is sent, half a head is sent, and a byte now and then.
    let idle = connect(serving.address);
    let mut half = connect(serving.address);
    half.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n")
        .unwrap();
    let mut drip = connect(serving.address);
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        if drip.write_all(b"G").is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    for stream in [&idle, &half, &drip] {
        assert!(is_closed(stream, Duration::from_secs(5)));
    }
    for nonsense in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\0",
    ] {
        let mut stream = connect(serving.address);
        stream.write_all(nonsense).unwrap();
        let reply = http::head(&mut BufReader::new(stream));
        assert!(reply.is_err() || reply.unwrap().status >= 400);
    }
    let smuggled = "POST /_/methods/about/invoke HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /robots.txt HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut stream = connect(serving.address);
    stream.write_all(smuggled.as_bytes()).unwrap();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    assert!(
        !String::from_utf8_lossy(&all).contains("User-agent"),
        "two requests were made of one"
    );
    assert_eq!(serving.get("/").status, 200);
}

#[test]
fn idle_connections_keep_nobody_out() {
    let app = shop();
    let mut settings = Settings::default();
    settings.limits.connections = 200;
    let serving = Serving::of(&app.live, settings);
    let page = serving.page();
    let idle: Vec<TcpStream> = (0..600).map(|_| connect(serving.address)).collect();
    for _ in 0..5 {
        let began = Instant::now();
        assert_eq!(
            serving
                .call(token(&page), "count-orders", &json!({}))
                .status,
            200
        );
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    // The ones that were there first went.
    assert!(is_closed(&idle[0], Duration::from_secs(5)));
    assert!(!is_closed(&idle[599], Duration::from_millis(100)));
}

#[test]
fn ten_thousand_idle_connections_are_no_load() {
    let app = shop();
    let mut command = super::ending::command(&app, &[]);
    let mut served = super::ending::Program::start(&mut command);
    // As many as this process may have, and as the addresses of one client have ports for.
    let mut idle = Vec::new();
    while idle.len() < 10_000 {
        match TcpStream::connect(served.address) {
            Ok(stream) => idle.push(stream),
            Err(e) => panic!("after {}: {e}", idle.len()),
        }
    }
    let began = Instant::now();
    let page = super::told(&http::Request::to(served.address, "GET", "/").send());
    assert!(page["token"].is_string());
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: u64 = resident.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kib < 200 << 10, "{kib} KiB");
    served.signal("TERM");
    assert_eq!(served.ended(), Some(0));
}

#[test]
fn who_does_not_read_a_stream_holds_nothing_up() {
    let app = shop();
    let mut settings = Settings::default();
    settings.limits.stream_bytes = 1 << 20;
    let serving = Serving::of(&app.live, settings);
    let page = serving.page();
    let body = json!({ "input": {}, "stream": true });
    let call = serving.calls(token(&page), "stream-for-ever").json(&body);
    let unread: Vec<_> = (0..8).map(|_| call.begin()).collect();
    // They are called off, and their processes are free for others.
    let began = Instant::now();
    let count = serving.call(token(&page), "count-orders", &json!({}));
    assert_eq!(count.status, 200, "{count:?}");
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    drop(unread);
}
