//! Agents of others: the official SDK, and what it would not send.
use super::{
    http::Reply,
    talk::{Club, club, publish, talk, write},
};
use remy_tests::{live::App, node_packages, output, repository};
use serde_json::{Value, json};
use std::process::Command;

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
                { "method": "nothing" }, { "method": "refuse" },
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
    let (_app, club) = server();
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
    assert_eq!(names, ["echo", "say-hello", "nothing", "refuse"]);
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
