//! People talk to the app's agent, with a model that is a fake.
use super::{
    http::{Reply, chunk, head},
    talk::{Club, club, publish, secret, talk, write},
    token,
};
use remy_tests::{
    fakes::{self, WebServer},
    live::App,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// A model that says what a test has written down, one answer after the other.
struct Model {
    server: WebServer,
    answers: Arc<Mutex<Vec<fakes::Reply>>>,
}

impl Model {
    fn start() -> Self {
        let answers = Arc::<Mutex<Vec<fakes::Reply>>>::default();
        let next = Arc::clone(&answers);
        let server = WebServer::start(None, move |_| next.lock().unwrap().remove(0));
        Self { server, answers }
    }

    fn says(&self, reply: fakes::Reply) {
        self.answers.lock().unwrap().push(reply);
    }

    /// The body of what it was asked.
    fn asked(&self, at: usize) -> Value {
        self.server.asked()[at].json()
    }
}

/// An answer that is streamed: deltas, and why it ends.
fn streamed(deltas: &[Value], stop: &str) -> fakes::Reply {
    let mut text = String::new();
    for delta in deltas {
        text.push_str(&format!(
            "data: {}\n\n",
            json!({ "choices": [{ "delta": delta }] })
        ));
    }
    let last = json!({ "choices": [{ "delta": {}, "finish_reason": stop }] });
    let usage = json!({ "choices": [], "usage": { "prompt_tokens": 10, "completion_tokens": 2 } });
    text.push_str(&format!(
        "data: {last}\n\ndata: {usage}\n\ndata: [DONE]\n\n"
    ));
    fakes::Reply::bytes(200, text).with("content-type", "text/event-stream")
}

fn calls(id: &str, name: &str, arguments: &str) -> Value {
    json!({ "tool_calls": [{ "index": 0, "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }] })
}

/// More of the arguments of that call.
fn more(arguments: &str) -> Value {
    json!({ "tool_calls": [{ "index": 0, "function": { "arguments": arguments } }] })
}

fn serving(model: &Model, auth: Value) -> (App, Club) {
    let app = talk();
    app.file("talk/agent/prompt.md", "You are kind.");
    app.file("talk/agent/greet.md", "Greets somebody.");
    let agent = json!({ "agent": {
        "model": "their-model", "temperature": 0.5, "maxTokens": 100, "systemPrompt": "prompt.md", "auth": auth,
        "tools": [
            { "method": "greet", "description": "greet.md" }, { "method": "echo" }, { "method": "refuse" },
            { "target": "client", "name": "pick", "description": "Picks.", "inputSchema": { "type": "object" } },
        ],
    } });
    app.file("talk/agent/agent.json", &agent.to_string());
    write(
        &app,
        &json!([{ "type": "agent", "path": "agent/agent.json" }]),
    );
    publish(&app);
    secret(&app, "AGENT_API_URL", &model.server.url());
    secret(&app, "AGENT_API_KEY", "hush-model");
    let club = club(&app);
    (app, club)
}

fn ask(club: &Club, page: &Value, verb: &str, path: &str, body: &Value) -> Reply {
    let ask = club.serving.ask(verb, &format!("/_/agent/threads{path}"));
    ask.bearer(token(page)).json(body).send()
}

fn thread(club: &Club, page: &Value) -> String {
    let begun = ask(club, page, "POST", "", &json!({}));
    assert_eq!(begun.status, 200, "{begun:?}");
    begun.json()["id"].as_str().unwrap().to_owned()
}

/// The events of a turn.
fn events(text: &str) -> Vec<Value> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn say(club: &Club, page: &Value, thread: &str, content: &str) -> Vec<Value> {
    let said = ask(
        club,
        page,
        "POST",
        &format!("/{thread}/messages"),
        &json!({ "content": content }),
    );
    assert_eq!(
        said.header("content-type"),
        Some("text/event-stream"),
        "{said:?}"
    );
    events(&said.text())
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

#[test]
fn a_turn_calls_methods_as_whoever_talks_and_is_kept() {
    let model = Model::start();
    let (_app, club) = serving(&model, json!({ "requireUser": true }));
    let member = club.member("ada@example.org");
    let thread = thread(&club, &member);
    model.says(streamed(
        &[
            json!({ "reasoning_content": "hm" }),
            json!({ "content": "One " }),
            json!({ "content": "moment" }),
            calls("c1", "echo", ""),
            more("{\"n\":"),
            more("1}"),
        ],
        "tool_calls",
    ));
    model.says(streamed(&[calls("c2", "refuse", "{}")], "tool_calls"));
    model.says(streamed(&[calls("c3", "none", "{")], "tool_calls"));
    model.says(streamed(&[json!({ "content": "Done" })], "stop"));
    let turn = say(&club, &member, &thread, "Hello");
    assert_eq!(
        kinds(&turn),
        [
            "thinking",
            "text",
            "text",
            "tool_input_delta",
            "tool_input_delta",
            "thinking_complete",
            "tool_use",
            "tool_call_start",
            "tool_call_result",
            "tool_input_delta",
            "tool_use",
            "tool_call_start",
            "tool_call_result",
            "tool_input_delta",
            "tool_use",
            "tool_call_result",
            "text",
            "done"
        ]
    );
    let inputs = turn.iter().filter(|it| it["type"] == "tool_input_delta");
    let inputs: Vec<_> = inputs
        .map(|it| {
            format!(
                "{} {}",
                it["id"].as_str().unwrap(),
                it["delta"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(inputs, ["c1 {\"n\":", "c1 1}", "c2 {}", "c3 {"]);
    assert!(turn.iter().all(|event| event["ts"].is_i64()));
    let echo = &turn[8]["output"];
    assert_eq!(
        (&echo["input"], &echo["user"]),
        (&json!({ "n": 1 }), &member["user"]["id"])
    );
    assert_eq!(
        (&echo["session"]["channel"], &echo["session"]["threadId"]),
        (&json!("agent"), &json!(thread))
    );
    assert_eq!(turn[12]["output"], json!({ "error": "Not for sale." }));
    let done = turn.last().unwrap();
    assert_eq!(
        (&done["stopReason"], &done["usage"]),
        (
            &json!("end_turn"),
            &json!({ "inputTokens": 40, "outputTokens": 8 })
        )
    );
    is_asked_as_declared(&model);
    is_kept(&club, &member, &thread);
}

/// What the model was asked, and by whom it was known.
fn is_asked_as_declared(model: &Model) {
    let first = model.asked(0);
    assert_eq!(
        (&first["model"], &first["temperature"], &first["max_tokens"]),
        (&json!("their-model"), &json!(0.5), &json!(100))
    );
    assert_eq!(
        first["messages"][0],
        json!({ "role": "system", "content": "You are kind." })
    );
    assert_eq!(
        first["tools"][0]["function"]["description"],
        "Greets somebody."
    );
    assert_eq!(model.server.asked()[0].path, "/chat/completions");
    assert_eq!(
        model.server.asked()[0].header("authorization"),
        "Bearer hush-model"
    );
    let last = model.asked(3);
    let roles: Vec<_> = last["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["role"].as_str().unwrap())
        .collect();
    assert_eq!(
        roles,
        [
            "system",
            "user",
            "assistant",
            "tool",
            "assistant",
            "tool",
            "assistant",
            "tool"
        ]
    );
    assert_eq!(
        last["messages"][2]["tool_calls"][0]["function"]["arguments"],
        "{\"n\":1}"
    );
}

/// As it is kept, for a page that is loaded again.
fn is_kept(club: &Club, member: &Value, thread: &str) {
    let kept = ask(club, member, "GET", &format!("/{thread}"), &json!({})).json();
    let messages = kept["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 8);
    assert_eq!(
        messages[1]["toolCalls"],
        json!([{ "id": "c1", "name": "echo", "input": { "n": 1 } }])
    );
    assert_eq!(
        (&messages[4]["toolCallId"], &messages[4]["isToolError"]),
        (&json!("c2"), &json!(true))
    );
    assert_eq!(
        messages[7],
        json!({ "role": "assistant", "content": "Done" })
    );
}

#[test]
fn threads_are_their_owners_and_are_claimed() {
    let model = Model::start();
    let (app, club) = serving(&model, json!({ "requireUser": false }));
    let visitor = club.serving.page();
    let mine = thread(&club, &visitor);
    let other = club.serving.page();
    let member = club.member("ada@example.org");
    let status = |page: &Value, verb: &str, path: &str, body: &Value| {
        ask(&club, page, verb, path, body).status
    };
    for page in [&other, &member] {
        for (verb, body) in [
            ("GET", json!({})),
            ("PATCH", json!({ "title": "x" })),
            ("DELETE", json!({})),
        ] {
            assert_eq!(status(page, verb, &format!("/{mine}"), &body), 404);
        }
        let said = ask(
            &club,
            page,
            "POST",
            &format!("/{mine}/messages"),
            &json!({ "content": "x" }),
        );
        assert_eq!(said.refusal(), (404, "not_found".to_owned()));
    }
    let named = ask(
        &club,
        &visitor,
        "PATCH",
        &format!("/{mine}"),
        &json!({ "title": "Mine" }),
    )
    .json();
    assert_eq!(named["title"], "Mine");
    assert!(named["dateCreated"].as_str().unwrap().ends_with('Z'));
    // Whoever knows the token of the page from before takes them along.
    let claim = |page: &Value, from: &str| {
        let body = json!({ "previousToken": from });
        status(page, "POST", &format!("/{mine}/claim"), &body)
    };
    assert_eq!(claim(&member, "ms_iface_forged"), 401);
    assert_eq!(claim(&member, token(&other)), 404);
    assert_eq!(claim(&member, token(&visitor)), 200);
    assert_eq!(claim(&other, token(&member)), 403);
    assert_eq!(
        status(&visitor, "GET", &format!("/{mine}"), &json!({})),
        404
    );
    let list = ask(&club, &member, "GET", "", &json!({})).json();
    assert_eq!(
        (&list["threads"][0]["title"], &list["nextCursor"]),
        (&json!("Mine"), &Value::Null)
    );
    // No rollback takes what was said, but the agent that there was not.
    app.rollback(None).unwrap();
    let none = ask(&club, &member, "GET", "", &json!({}));
    assert_eq!(none.refusal(), (404, "no_agent_config".to_owned()));
    app.rollback(Some(2)).unwrap();
    assert_eq!(status(&member, "GET", &format!("/{mine}"), &json!({})), 200);
    let gone = ask(&club, &member, "DELETE", &format!("/{mine}"), &json!({}));
    assert_eq!((gone.status, gone.json()), (200, json!({})));
    assert_eq!(status(&member, "GET", &format!("/{mine}"), &json!({})), 404);
}

#[test]
fn a_clients_tool_is_waited_for_and_bounded() {
    let model = Model::start();
    let (_app, club) = serving(&model, json!({ "requireUser": false }));
    let page = club.serving.page();
    let thread = thread(&club, &page);
    for (body, status, kept, is_error) in [
        (
            json!({ "toolCallId": "p", "output": { "picked": 2 } }),
            200,
            "{\"picked\":2}",
            false,
        ),
        (
            json!({ "toolCallId": "p", "error": "unhandled_client_tool" }),
            200,
            "unhandled_client_tool",
            true,
        ),
        (
            json!({ "toolCallId": "p", "output": "x".repeat(33_000) }),
            413,
            "result_too_large",
            true,
        ),
    ] {
        let tool = picks(&model, (&club, &page, &thread), (&body, status));
        assert_eq!(
            (
                tool["content"].as_str().unwrap(),
                tool["isToolError"] == true
            ),
            (kept, is_error)
        );
    }
    // A client that goes is not waited for.
    model.says(streamed(&[calls("q", "pick", "{}")], "tool_calls"));
    let say = club
        .serving
        .ask("POST", &format!("/_/agent/threads/{thread}/messages"));
    let mut turn = say
        .bearer(token(&page))
        .json(&json!({ "content": "Pick" }))
        .begin();
    assert_eq!(head(&mut turn).unwrap().status, 200);
    while !String::from_utf8(chunk(&mut turn).unwrap().unwrap())
        .unwrap()
        .contains("client_tool_call")
    {}
    drop(turn);
    let began = std::time::Instant::now();
    let is_free = || {
        model.says(streamed(&[json!({ "content": "Again" })], "stop"));
        let said = ask(
            &club,
            &page,
            "POST",
            &format!("/{thread}/messages"),
            &json!({ "content": "x" }),
        );
        let is_free = said.status == 200;
        if !is_free {
            model.answers.lock().unwrap().clear();
        }
        is_free
    };
    while !is_free() {
        assert!(began.elapsed().as_secs() < 40, "the turn goes on");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// A turn in which the client is to pick; returns what is kept of that.
fn picks(
    model: &Model,
    (club, page, thread): (&Club, &Value, &str),
    (body, status): (&Value, u16),
) -> Value {
    let path = format!("/{thread}/tool-results");
    let result = |body: &Value| ask(club, page, "POST", &path, body);
    model.says(streamed(&[calls("p", "pick", "{\"of\":3}")], "tool_calls"));
    model.says(streamed(&[json!({ "content": "Fine" })], "stop"));
    let say = club
        .serving
        .ask("POST", &format!("/_/agent/threads/{thread}/messages"));
    let mut turn = say
        .bearer(token(page))
        .json(&json!({ "content": "Pick" }))
        .begin();
    assert_eq!(head(&mut turn).unwrap().status, 200);
    let mut heard = String::new();
    while !heard.contains("client_tool_call") {
        heard.push_str(&String::from_utf8(chunk(&mut turn).unwrap().unwrap()).unwrap());
    }
    let call = events(&heard).pop().unwrap();
    assert_eq!(
        (&call["name"], &call["timeoutMs"]),
        (&json!("pick"), &json!(900_000))
    );
    // One turn at a time; and nobody else's result counts.
    let busy = ask(
        club,
        page,
        "POST",
        &format!("/{thread}/messages"),
        &json!({ "content": "x" }),
    );
    assert_eq!(busy.refusal(), (409, "busy".to_owned()));
    let foreign = ask(club, &club.serving.page(), "POST", &path, body);
    assert_eq!(foreign.status, 404);
    assert_eq!(
        result(&json!({ "toolCallId": "other", "output": 1 })).status,
        404
    );
    assert_eq!(result(body).status, status);
    while let Some(part) = chunk(&mut turn).unwrap() {
        heard.push_str(&String::from_utf8(part).unwrap());
    }
    assert_eq!(events(&heard).pop().unwrap()["stopReason"], "end_turn");
    let messages =
        ask(club, page, "GET", &format!("/{thread}"), &json!({})).json()["messages"].clone();
    let tool = messages
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .find(|it| it["role"] == "tool")
        .unwrap();
    tool.clone()
}

/// Why a turn has failed: before anything of it was told, or at its end.
fn failed(said: &Reply) -> String {
    let code = match said.status {
        200 => events(&said.text()).pop().unwrap()["code"].clone(),
        _ => said.json()["code"].clone(),
    };
    code.as_str().unwrap().to_owned()
}

#[test]
fn what_is_wrong_is_told_and_no_secret() {
    let model = Model::start();
    let (app, club) = serving(
        &model,
        json!({ "requireUser": true, "requireRole": "admin" }),
    );
    let visitor = club.serving.page();
    let refusal = |page: &Value, verb: &str, path: &str, body: &Value| {
        ask(&club, page, verb, path, body).refusal()
    };
    assert_eq!(
        refusal(&visitor, "POST", "", &json!({})),
        (401, "auth_required".to_owned())
    );
    let member = club.member("ada@example.org");
    assert_eq!(
        refusal(&member, "POST", "", &json!({})),
        (403, "role_required".to_owned())
    );
    app.remy();
    remy_tests::shell(&app.live, "UPDATE people SET roles = '[\"admin\"]'");
    let thread = thread(&club, &member);
    let path = format!("/{thread}/messages");
    let say = |body: &Value| refusal(&member, "POST", &path, body);
    for body in [
        json!({}),
        json!({ "content": 1 }),
        json!({ "content": "x".repeat(32_001) }),
        json!({ "content": "x", "attachments": "y" }),
    ] {
        assert_eq!(say(&body), (400, "invalid_body".to_owned()));
    }
    let hello = json!({ "content": "Hello" });
    let nobody = club
        .serving
        .ask("POST", &format!("/_/agent/threads{path}"))
        .json(&hello)
        .send();
    assert_eq!(nobody.refusal(), (401, "auth_required".to_owned()));
    // A model that fails, that leads elsewhere, whose answer is cut off.
    for reply in [
        fakes::Reply::bytes(500, "hush-model"),
        fakes::Reply::bytes(302, "").with("location", "http://127.0.0.1:9/"),
        fakes::Reply::bytes(200, "data: {\"choices\":[{\"delta\":{}}]}\n\n"),
        fakes::Reply::bytes(200, "no stream"),
    ] {
        model.says(reply);
        let said = ask(&club, &member, "POST", &path, &hello);
        assert_eq!(failed(&said), "model_failed");
        assert!(!said.text().contains("hush"));
    }
    // One that breaks off has told what it told.
    model.says(fakes::Reply::bytes(
        200,
        "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n",
    ));
    let cut = events(&ask(&club, &member, "POST", &path, &hello).text());
    assert_eq!(
        (kinds(&cut), &cut[1]["code"]),
        (vec!["text", "error"], &json!("model_failed"))
    );
    secret(&app, "AGENT_API_URL", "http://example.com/v1");
    let said = ask(&club, &member, "POST", &path, &hello);
    assert_eq!(failed(&said), "model_failed");
    drop(club);
    let app = talk();
    app.file("talk/agent/prompt.md", "x");
    let agent =
        json!({ "type": "agent", "config": { "model": "m", "systemPrompt": "agent/prompt.md" } });
    write(&app, &json!([agent]));
    publish(&app);
    let club = super::talk::club(&app);
    let member = club.member("ada@example.org");
    let thread = self::thread(&club, &member);
    let said = ask(
        &club,
        &member,
        "POST",
        &format!("/{thread}/messages"),
        &hello,
    );
    assert_eq!(failed(&said), "not_supported");
}
