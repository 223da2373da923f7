//! Agents of others: the official SDK, and what it would not send.
use super::{
    http::{Reply, Request},
    talk::{Club, club, publish, talk, write},
};
use remy_db_runtime::records;
use remy_tests::{live::App, node_packages, output, repository};
use serde_json::{Value, json};
use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

fn server() -> (App, Club) {
    let app = talk();
    app.file("talk/mcp/echo.md", "Says what it was told.");
    app.file("talk/mcp/hints.md", "Ask for vendors first.");
    app.file(
        "talk/mcp/review.md",
        "Review {{ who }}, in a {{tone}} tone.",
    );
    app.file(
        "talk/mcp/interface.json",
        &json!({ "mcp": {
            "name": "Talk", "instructions": "hints.md",
            "tools": [
                { "method": "echo", "description": "echo.md", "annotations": { "readOnly": true } },
                { "method": "greet", "name": "say-hello", "title": "Greet" },
                { "method": "nothing" }, { "method": "refuse" }, { "method": "slow" }, { "method": "tell" },
            ],
            "resources": [
                { "method": "greet", "uri": "app://people", "name": "people" },
                { "method": "vendor", "uriTemplate": "app://vendors/{id}", "name": "vendor", "mimeType": "application/json" },
            ],
            "prompts": [{ "name": "review", "template": "review.md", "description": "A review.", "arguments": [
                { "name": "who", "required": true }, { "name": "tone" },
            ] }],
        } })
        .to_string(),
    );
    write(
        &app,
        &json!([{ "type": "mcp", "path": "mcp/interface.json" }]),
    );
    publish(&app);
    let club = club(&app);
    (app, club)
}

fn post(club: &Club, body: &Value) -> Reply {
    club.serving.ask("POST", "/_/mcp").json(body).send()
}

fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

#[test]
fn the_official_client_finds_tools_resources_and_prompts() {
    if !node_packages::are_there("@modelcontextprotocol/sdk/client/index.js") {
        return;
    }
    let (app, club) = server();
    let member = club.member("ada@example.org");
    let url = format!("http://{}/_/mcp", club.serving.address);
    let ask = json!({ "url": url, "key": club.key(&member) });
    let mut node = Command::new("node");
    let ran = output(
        node.arg(repository("tests/server/mcp.mjs"))
            .arg(ask.to_string()),
    );
    let failed = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{failed}");
    let found: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(found["server"], json!({ "name": "Talk", "version": "2" }));
    assert_eq!(found["instructions"], "Ask for vendors first.");
    assert_eq!(
        found["capabilities"],
        json!({ "tools": {}, "resources": {}, "prompts": {} })
    );
    let tools = found["tools"].as_array().unwrap();
    let names: Vec<_> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["echo", "say-hello", "nothing", "refuse", "slow", "tell"]
    );
    assert_eq!(tools[0]["description"], "Says what it was told.");
    assert_eq!(tools[0]["annotations"], json!({ "readOnlyHint": true }));
    assert_eq!(tools[1]["inputSchema"]["type"], "object");
    assert!(tools.iter().all(|tool| tool["method"].is_null()));
    let echo = &found["echo"]["structuredContent"];
    assert_eq!(
        (&echo["input"], &echo["user"], &echo["session"]["channel"]),
        (&json!({ "a": 1 }), &member["user"]["id"], &json!("mcp"))
    );
    assert_eq!(
        found["greet"],
        json!({ "content": [{ "type": "text", "text": "Hello Ada" }] })
    );
    assert_eq!(found["nothing"]["content"], json!([]));
    assert_eq!(
        found["refuse"],
        json!({ "content": [{ "type": "text", "text": "Not for sale." }], "isError": true })
    );
    is_told_and_calls_off(&app, &found);
    assert_eq!(found["none"]["code"], -32602);
    assert_eq!(
        found["resources"],
        json!([{ "uri": "app://people", "name": "people" }])
    );
    assert_eq!(found["templates"][0]["uriTemplate"], "app://vendors/{id}");
    assert_eq!(
        found["all"]["contents"],
        json!([{ "uri": "app://people", "mimeType": "text/plain", "text": "Hello you" }])
    );
    let vendor = found["vendor"]["contents"][0]["text"].as_str().unwrap();
    assert_eq!(vendor, r#"{"id":"a b","name":"Vendor a b"}"#);
    assert_eq!(found["gone"]["code"], -32002);
    assert_eq!(found["prompts"][0]["arguments"][0]["name"], "who");
    assert_eq!(
        found["prompt"]["messages"][0]["content"]["text"],
        "Review {{tone}}, in a kind tone."
    );
    assert_eq!(found["missing"]["code"], -32602);
}

/// The client has heard of the progress of a call, and has called another one off.
fn is_told_and_calls_off(app: &App, found: &Value) {
    assert_eq!(found["told"]["content"][0]["text"], "told 3");
    assert_eq!(
        found["heard"],
        json!([
            { "progress": 1, "message": "one" },
            { "progress": 2, "message": "{\"two\":2}" },
            { "progress": 3, "message": "three" },
        ])
    );
    let cancelled = found["cancelled"]["message"].as_str().unwrap();
    assert!(cancelled.contains("enough"), "{cancelled}");
    assert_eq!(until_ended(app, "tell", 2), ["cancelled", ""]);
}

/// Why the calls of a method have failed, or nothing of one that has not, the newest first, once so many
/// are on record and all of them have ended.
fn until_ended(app: &App, method: &str, count: usize) -> Vec<String> {
    let asked = records::Asked {
        method: Some(method.to_owned()),
        limit: 100,
        ..records::Asked::default()
    };
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let all = records::list(&app.store(""), &asked).unwrap();
        let is_over = |it: &records::Record| it.status != records::Ended::Running;
        if all.len() >= count && all.iter().all(is_over) {
            let codes = all.into_iter().map(|it| it.code.unwrap_or_default());
            return codes.collect();
        }
        assert!(Instant::now() < until, "{all:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A client that has begun: its session.
fn session(club: &Club) -> String {
    let begun = post(club, &request("initialize", json!({})));
    begun.header("mcp-session-id").unwrap().to_owned()
}

#[test]
fn a_client_calls_off_its_own_call_and_no_other() {
    let (app, club) = server();
    let key = club.key(&club.member("ada@example.org"));
    let (mine, other) = (session(&club), session(&club));
    assert_ne!(mine, other);
    let ask = |session: &str| {
        let ask = club.serving.ask("POST", "/_/mcp");
        ask.bearer(&key).header("mcp-session-id", session)
    };
    let cancel = |ask: Request, params: Value| {
        let method = "notifications/cancelled";
        let note = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        let told = ask.json(&note).send();
        assert_eq!((told.status, told.body.len()), (202, 0), "{told:?}");
    };
    let slow = |id: Value, ms: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "slow", "arguments": { "ms": ms } } });
    let under_way = || club.serving.get("/_/health").json()["callsUnderWay"].clone();
    thread::scope(|scope| {
        let called = scope.spawn(|| ask(&mine).json(&slow(json!(7), 60_000)).send());
        super::bots::until("it is called", || under_way() == 1);
        let seven = json!({ "requestId": 7 });
        cancel(ask(&other), seven.clone());
        cancel(
            club.serving.ask("POST", "/_/mcp").bearer(&key),
            seven.clone(),
        );
        let keyless = club.serving.ask("POST", "/_/mcp");
        cancel(keyless.header("mcp-session-id", &mine), seven.clone());
        for unknown in [
            json!({ "requestId": 8 }),
            json!({ "requestId": "7" }),
            json!({ "requestId": null }),
            json!({}),
            json!([7]),
        ] {
            cancel(ask(&mine), unknown);
        }
        // It goes on, beside another one of the same id, by another client, and one that nobody can tell
        // from those of others.
        assert_eq!((under_way(), called.is_finished()), (json!(1), false));
        let beside = scope.spawn(|| ask(&other).json(&slow(json!(7), 3000)).send());
        let nameless = scope.spawn(|| post(&club, &slow(json!(7), 3000)));
        super::bots::until("they are called", || under_way() == 3);
        cancel(ask(&mine), json!({ "requestId": 7, "reason": "late" }));
        let answered = called.join().unwrap().json();
        assert_eq!(
            (&answered["id"], &answered["result"]["isError"]),
            (&json!(7), &json!(true))
        );
        for others in [beside, nameless] {
            let answered = others.join().unwrap().json();
            assert_eq!(answered["result"]["content"][0]["text"], "waited 3000");
        }
    });
    // What is over is not called off.
    cancel(ask(&mine), json!({ "requestId": 7 }));
    assert_eq!(until_ended(&app, "slow", 3), ["", "", "cancelled"]);
}

#[test]
fn progress_is_told_to_who_asks_for_it_and_takes_it() {
    let (app, club) = server();
    let tell = |token: Value| {
        let arguments = json!({ "parts": ["a", "b"] });
        request(
            "tools/call",
            json!({ "name": "tell", "arguments": arguments, "_meta": { "progressToken": token } }),
        )
    };
    let ask = |body: &Value| {
        let ask = club.serving.ask("POST", "/_/mcp");
        let takes = "application/json, text/event-stream";
        ask.header("accept", takes).json(body).send()
    };
    let kind = |reply: &Reply| reply.header("content-type").unwrap().to_owned();
    let (events, plain) = ("text/event-stream", "application/json");
    for token in [json!("t"), json!(0)] {
        let told = ask(&tell(token.clone()));
        assert_eq!(kind(&told), events);
        let text = told.text();
        let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let told: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let progress = |n: u32, message: &str| {
            let params = json!({ "progressToken": token, "progress": n, "message": message });
            json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })
        };
        let result = json!({ "content": [{ "type": "text", "text": "told 2" }] });
        assert_eq!(
            told,
            [
                progress(1, "a"),
                progress(2, "b"),
                json!({ "jsonrpc": "2.0", "id": 1, "result": result }),
            ]
        );
    }
    // Who takes no parts, or has asked for none, has the answer alone; and what tells nothing, too.
    let told = post(&club, &tell(json!("t")));
    assert_eq!(
        (kind(&told).as_str(), told.json()["id"].as_u64()),
        (plain, Some(1))
    );
    let told = ask(&tell(Value::Null));
    assert_eq!(
        (kind(&told).as_str(), told.json()["id"].as_u64()),
        (plain, Some(1))
    );
    let token = json!({ "progressToken": 1 });
    let nothing = request("tools/call", json!({ "name": "nothing", "_meta": token }));
    assert_eq!(kind(&ask(&nothing)), plain);
    assert_eq!(
        kind(&ask(&request("ping", json!({ "_meta": token })))),
        plain
    );
    let refused = request("tools/call", json!({ "name": "none", "_meta": token }));
    assert_eq!(ask(&refused).json()["error"]["code"], -32602);
    for wrong in [json!(1.5), json!(true), json!(["t"]), json!({ "t": 1 })] {
        let refused = ask(&tell(wrong.clone())).json();
        assert_eq!(
            (&refused["id"], &refused["error"]["code"]),
            (&json!(1), &json!(-32602)),
            "{wrong}"
        );
    }
    // None of those was called.
    ask(&tell(json!("t")));
    assert_eq!(until_ended(&app, "tell", 5), [""; 5]);
}

#[test]
fn versions_batches_and_what_nobody_waits_for() {
    let (_app, club) = server();
    let begin = |version: &str| {
        let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "x", "version": "1" } });
        post(&club, &request("initialize", params)).json()["result"]["protocolVersion"].clone()
    };
    assert_eq!(begin("2024-11-05"), "2024-11-05");
    assert_eq!(begin("2099-01-01"), "2025-11-25");
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let told = post(&club, &note);
    assert_eq!((told.status, told.body.len()), (202, 0));
    let of = |version: &str, body: &Value| {
        let post = club
            .serving
            .ask("POST", "/_/mcp")
            .header("mcp-protocol-version", version);
        let reply = post.json(body).send();
        (reply.status, reply.json())
    };
    let ping = request("ping", json!({}));
    assert_eq!(of("2025-06-18", &ping).0, 200);
    let (status, odd) = of("1999-01-01", &ping);
    assert_eq!((status, &odd["error"]["code"]), (400, &json!(-32600)));
    // Only where the protocol has batches; what one of them does wrong is its own.
    let call = json!({ "jsonrpc": "2.0", "id": "b", "method": "tools/call", "params": { "name": "say-hello" } });
    let batch = json!([ping, note, call, { "jsonrpc": "2.0", "id": 3, "method": "none" }]);
    let (status, all) = of("2025-03-26", &batch);
    assert_eq!((status, all.as_array().unwrap().len()), (200, 3), "{all}");
    assert_eq!(all[1]["result"]["content"][0]["text"], "Hello you");
    assert_eq!(
        (&all[2]["id"], &all[2]["error"]["code"]),
        (&json!(3), &json!(-32601))
    );
    assert_eq!(of("2025-06-18", &batch).0, 400);
    assert_eq!(post(&club, &json!([])).status, 400);
    assert_eq!(post(&club, &json!([note])).status, 202);
    // No structure for who does not know it.
    let echo = request("tools/call", json!({ "name": "echo", "arguments": {} }));
    assert!(of("2025-03-26", &echo).1["result"]["structuredContent"].is_null());
    assert_eq!(club.serving.get("/_/mcp").status, 405);
    assert_eq!(club.serving.ask("DELETE", "/_/mcp").send().status, 405);
}

#[test]
fn what_is_no_message_or_no_key_calls_nothing() {
    let (app, club) = server();
    let ask = || club.serving.ask("POST", "/_/mcp");
    let code = |reply: Reply| (reply.status, reply.json()["error"]["code"].clone());
    assert_eq!(code(ask().body("{").send()), (400, json!(-32700)));
    assert_eq!(
        code(ask().body(r#"{"id":1,"id":2}"#).send()),
        (400, json!(-32700))
    );
    assert_eq!(
        code(ask().json(&json!({ "id": 1 })).send()),
        (400, json!(-32600))
    );
    let many = Value::Array(vec![request("ping", json!({})); 51]);
    assert_eq!(code(ask().json(&many).send()), (400, json!(-32600)));
    assert_eq!(ask().body(vec![b' '; 11 << 20]).send().status, 413);
    let wrong = request("tools/call", json!({ "name": "echo", "arguments": [] }));
    assert_eq!(post(&club, &wrong).json()["error"]["code"], -32602);
    let echo = request("tools/call", json!({ "name": "echo" }));
    let known = |key: &str| {
        let reply = ask().bearer(key).json(&echo).send();
        (
            reply.status,
            reply.header("www-authenticate").map(str::to_owned),
        )
    };
    let page = club.serving.page();
    for key in ["sk_forged", super::token(&page)] {
        assert_eq!(known(key), (401, Some("Bearer".to_owned())), "{key}");
    }
    // Without the interface there is nothing, and with it only what is live.
    write(&app, &json!([]));
    publish(&app);
    assert_eq!(post(&club, &echo).refusal(), (404, "not_found".to_owned()));
    app.rollback(None).unwrap();
    assert_eq!(post(&club, &echo).status, 200);
}
