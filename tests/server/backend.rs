//! Methods that carry the hosted platform's own SDK: they call back by HTTP.
use super::{Serving, shop::shop, token};
use remy_db_server::Settings;
use remy_tests::shell;
use serde_json::{Value, json};

struct Platform {
    serving: Serving,
    page: Value,
}

impl Platform {
    fn of(app: &remy_tests::live::App) -> Self {
        let serving = Serving::of(&app.live, Settings::default());
        let page = serving.page();
        Self { serving, page }
    }

    fn asks(&self, input: &Value) -> Value {
        let reply = self.serving.call(token(&self.page), "platform", input);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["output"].take()
    }
}

#[test]
fn a_bundle_with_the_platforms_sdk_is_told_who_calls_and_what_there_is() {
    let app = shop();
    let told = Platform::of(&app).asks(&json!({ "what": "context" }));
    assert_eq!(
        told["auth"],
        json!({ "userId": null, "roleAssignments": [] })
    );
    let table = &told["databases"][0]["tables"][0];
    assert_eq!(table["name"], "orders");
    let columns = table["schema"].as_array().unwrap();
    assert!(columns.contains(&json!({ "name": "amount", "type": "number", "required": false })));
    let callback = told["token"].as_str().unwrap();
    assert!(callback.starts_with("InternalCallbackAuthorization@@"));
}

#[test]
fn its_queries_are_one_transaction_under_the_rules_of_methods() {
    let app = shop();
    let platform = Platform::of(&app);
    let batch = platform.asks(&json!({ "what": "batch" }));
    assert_eq!(batch["status"], 200, "{batch}");
    let results = &batch["body"]["results"];
    let [pushed, updated] = [&results[0]["rows"][0], &results[1]["rows"][0]];
    assert_eq!(
        (&pushed["item"], &pushed["amount"]),
        (&json!("pen"), &json!(2))
    );
    assert_eq!(pushed["id"].as_str().unwrap().len(), 36);
    assert_eq!(updated["amount"], 3);
    assert!(
        updated["updated_at"].as_i64() > pushed["updated_at"].as_i64(),
        "after its trigger: {batch}"
    );
    assert_eq!(results[1]["changes"], 1);
    assert_eq!(results[2]["rows"], json!([{ "n": 1 }]));

    let broken = platform.asks(&json!({ "what": "broken" }));
    assert!(
        broken["status"].as_u64().unwrap() >= 400 && broken["body"]["error"].is_string(),
        "{broken}"
    );
    assert_eq!(shell(&app.live, "SELECT item FROM orders"), "pen\n");
    for sql in [
        "SELECT * FROM _remy_release",
        "DROP TABLE orders",
        "PRAGMA user_version",
        "ATTACH 'x' AS y",
        "UPDATE orders SET id = 'x'",
        "DELETE FROM orders; SELECT 1",
    ] {
        let refused = platform.asks(&json!({ "what": "query", "sql": sql }));
        assert!(
            (400..500).contains(&refused["status"].as_u64().unwrap()),
            "{sql}: {refused}"
        );
    }
    assert_eq!(shell(&app.live, "SELECT item FROM orders"), "pen\n");
}

#[test]
fn who_has_no_token_of_a_call_gets_nothing() {
    let app = shop();
    let platform = Platform::of(&app);
    let page = token(&platform.page).to_owned();
    for token in [
        "",
        "InternalCallbackAuthorization@@",
        "InternalCallbackAuthorization@@AAAA",
        &page,
    ] {
        let forged = json!({ "what": "query", "sql": "SELECT 1", "token": token });
        let refused = platform.asks(&forged);
        assert_eq!(
            (&refused["status"], &refused["body"]["code"]),
            (&json!(401), &json!("invalid_token")),
            "{token}"
        );
    }
    // A page's calls are made with a page's token.
    let callback = platform.asks(&json!({ "what": "context" }));
    let callback = callback["token"].as_str().unwrap();
    let call = platform.serving.call(callback, "count-orders", &json!({}));
    assert_eq!(call.refusal(), (401, "invalid_session".to_owned()));
}

#[test]
fn it_streams_and_asks_for_users_and_for_what_there_is_not() {
    let app = shop();
    let platform = Platform::of(&app);
    let body = json!({ "input": { "what": "stream", "texts": ["a", "b"] }, "stream": true });
    let stream = platform
        .serving
        .calls(token(&platform.page), "platform")
        .json(&body)
        .send()
        .text();
    assert!(
        stream.contains(r#"{"type":"token","text":"ab"}"#),
        "{stream}"
    );
    assert!(stream.contains(r#"{"type":"data","data":[1]}"#), "{stream}");
    assert!(
        stream.ends_with("data: {\"type\":\"done\",\"output\":true}\n\n"),
        "{stream}"
    );
    assert_eq!(platform.asks(&json!({ "what": "stream" })), false);
    let users = platform.asks(&json!({ "what": "users" }));
    assert_eq!(users["body"], json!({ "users": [] }));
    let action = platform.asks(&json!({ "what": "action" }));
    assert_eq!(
        (&action["status"], &action["body"]["code"]),
        (&json!(501), &json!("not_supported"))
    );
}

/// What an operation on a file of the platform's is answered with.
fn on_file(platform: &Platform, operation: &str, more: &Value) -> Value {
    let mut body = json!({ "store": "assets", "access": "public", "key": "a/b.txt" });
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    platform.asks(&json!({ "what": "files", "operation": operation, "body": body }))
}

#[test]
fn its_files_are_those_of_methods() {
    let app = shop();
    let platform = Platform::of(&app);
    let asks = |operation: &str, more: Value| {
        let mut done = on_file(&platform, operation, &more);
        assert_eq!(done["status"], 200, "{operation}: {done}");
        done["body"].take()
    };
    let text = json!({ "body": "aGVsbG8=", "contentType": "text/plain" });
    assert_eq!(asks("put", text)["size"], 5);
    assert_eq!(asks("get", json!({}))["body"], "aGVsbG8=");
    assert_eq!(asks("head", json!({}))["contentType"], "text/plain");
    let listed = asks("list", json!({ "prefix": "a/", "limit": 10 }));
    assert_eq!(listed["files"][0]["key"], "a/b.txt");
    let got = platform.serving.get("/_/files/public/assets/a/b.txt");
    assert_eq!((got.status, got.text().as_str()), (200, "hello"));
    let base = format!("http://localhost:{}/_", platform.serving.address.port());
    let link = asks("sign", json!({ "access": "private", "expiresIn": 60 }));
    let begins = format!("{base}/files/private/assets/a/b.txt?expires=");
    assert!(link["url"].as_str().unwrap().starts_with(&begins), "{link}");
    let upload = asks("create-upload", json!({ "key": "c", "maxSize": 100 }));
    assert_eq!(upload["uploadUrl"], format!("{base}/upload"));
    assert!(upload["uploadFields"]["token"].is_string());
    assert_eq!(asks("delete", json!({})), json!({}));
    let gone = on_file(&platform, "get", &json!({}));
    assert_eq!(gone["body"]["code"], "not_found");
}

#[test]
fn what_it_asks_wrongly_of_files_is_refused() {
    let app = shop();
    let platform = Platform::of(&app);
    let bad_key = json!({ "body": "", "key": "../a" });
    let bad_type = json!({ "body": "", "contentType": "x" });
    let no_type = json!({ "contentType": "a b/c" });
    for (operation, more, status, code) in [
        ("put", json!({ "body": "aGVsbG8" }), 400, "invalid_body"),
        ("put", json!({ "body": "a b=" }), 400, "invalid_body"),
        ("put", json!({}), 400, "invalid_body"),
        ("put", json!({ "body": 5 }), 400, "invalid_argument"),
        ("put", bad_key, 400, "invalid_key"),
        ("put", bad_type, 400, "content_type_not_allowed"),
        ("create-upload", no_type, 400, "content_type_not_allowed"),
        ("get", json!({ "store": "../x" }), 400, "invalid_store"),
        ("get", json!({ "access": "all" }), 400, "invalid_access"),
        ("sign", json!({}), 400, "invalid_access"),
        ("list", json!({ "store": null }), 400, "invalid_argument"),
        ("drop", json!({}), 501, "not_supported"),
    ] {
        let refused = on_file(&platform, operation, &more);
        assert_eq!(
            (&refused["status"], &refused["body"]["code"]),
            (&json!(status), &json!(code)),
            "{operation} {more}"
        );
    }
    for (size, code) in [
        (15 << 20, "body_too_large"),
        (4 * ((10 << 20) / 3 + 2), "file_too_large"),
    ] {
        let body = json!({ "store": "assets", "access": "public", "key": "large" });
        let large = json!({ "what": "files", "operation": "put", "body": body, "size": size });
        let refused = platform.asks(&large);
        assert_eq!(
            (&refused["status"], &refused["body"]["code"]),
            (&json!(413), &json!(code)),
            "{size}"
        );
    }
    let token = token(&platform.page);
    let forged = json!({ "what": "files", "operation": "get", "token": token, "body": {} });
    assert_eq!(platform.asks(&forged)["body"]["code"], "invalid_token");
    assert!(!app.store("files").exists());
}
