//! Pages that listen, with a grant that a method made.
use super::{
    Serving,
    http::{Request, chunk, head},
    login::{self, members},
    token,
};
use remy_db_server::Settings;
use serde_json::{Value, json};
use std::{
    io::BufReader,
    net::TcpStream,
    time::{Duration, Instant},
};

fn grant(serving: &Serving, page: &Value, input: Value) -> Value {
    serving.call(token(page), "grant", &input).json()["output"].clone()
}

fn listen(serving: &Serving, grant: &str) -> BufReader<TcpStream> {
    let mut stream = serving.ask("GET", "/_/events").bearer(grant).begin();
    let head = head(&mut stream).unwrap();
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, Some("text/event-stream"))
    );
    stream
}

/// The next event; nothing at the end.
fn next(stream: &mut BufReader<TcpStream>) -> Option<Value> {
    loop {
        let part = String::from_utf8(chunk(stream).unwrap()?).unwrap();
        if let Some(event) = part.trim_end().strip_prefix("data: ") {
            return Some(serde_json::from_str(event).unwrap());
        }
    }
}

fn publish(serving: &Serving, grant: &str, events: Value) -> (u16, Value) {
    let request: Request = serving.ask("POST", "/_/events").bearer(grant);
    let reply = request.json(&json!({ "events": events })).send();
    (reply.status, reply.json())
}

#[test]
fn who_has_a_grant_hears_what_is_published_and_nobody_else() {
    let app = members();
    let serving = Serving::of(&app.live, Settings::default());
    let page = serving.page();
    let granted = grant(
        &serving,
        &page,
        json!({ "channels": ["jobs:1", "chat"], "options": { "publish": ["chat"] } }),
    );
    let grant = granted["token"].as_str().unwrap();
    let mut stream = listen(&serving, grant);
    let sent = serving
        .call(
            token(&page),
            "publish",
            &json!({ "channels": ["jobs:1", "jobs:2"], "data": { "n": 1 } }),
        )
        .json();
    assert_eq!(sent["output"]["delivered"], 1);
    let event = next(&mut stream).unwrap();
    assert_eq!(
        (&event["channel"], &event["data"], &event["id"]),
        (&json!("jobs:1"), &json!({ "n": 1 }), &sent["output"]["id"])
    );
    let typing = json!([{ "channels": "chat", "data": "typing" }]);
    assert_eq!(
        publish(&serving, grant, typing.clone()),
        (200, json!({ "delivered": 1 }))
    );
    assert_eq!(next(&mut stream).unwrap()["data"], "typing");
    let code = |grant: &str, events: Value| {
        let (status, body) = publish(&serving, grant, events);
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(
        code(grant, json!([{ "channels": "jobs:1", "data": 1 }])),
        (403, "forbidden".to_owned())
    );
    assert_eq!(
        code(
            grant,
            json!([{ "channels": "chat", "data": "x".repeat(8192) }])
        ),
        (413, "payload_too_large".to_owned())
    );
    assert_eq!(code(grant, json!("x")), (400, "invalid_payload".to_owned()));
    assert_eq!(
        code("evt_forged", typing),
        (401, "invalid_grant".to_owned())
    );
    for no in [
        serving.ask("GET", "/_/events"),
        serving.ask("GET", "/_/events").bearer(token(&page)),
    ] {
        let reply = no.send();
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (401, Some("invalid_grant"))
        );
    }
    // A server that ends does not wait for who listens.
    let began = Instant::now();
    drop(serving);
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(next(&mut stream), None);
}

#[test]
fn who_listens_goes_on_listening_while_another_release_goes_live_and_goes_again() {
    let app = members();
    let serving = Serving::of(&app.live, Settings::default());
    let page = serving.page();
    let granted = grant(&serving, &page, json!({ "channels": ["chat"] }));
    let mut stream = listen(&serving, granted["token"].as_str().unwrap());
    let mut hears = |n: u64| {
        let input = json!({ "channels": ["chat"], "data": n });
        assert_eq!(serving.call(token(&page), "publish", &input).status, 200);
        assert_eq!(next(&mut stream).unwrap()["data"], n);
    };
    hears(1);
    login::publish(&app);
    hears(2);
    app.rollback(None).unwrap();
    hears(3);
}
