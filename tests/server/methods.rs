//! Methods, as pages call them.
use super::{Serving, http, shop::shop, token};
use remy_db_server::Settings;
use serde_json::{Value, json};
use std::time::Duration;

/// The events of a stream.
fn events(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|event| serde_json::from_str(event).unwrap())
        .collect()
}

#[test]
fn a_page_calls_a_method_by_what_it_was_told() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let page = serving.page();
    assert_eq!(page["methods"]["addOrder"], "add-order");
    assert_eq!(
        (&page["releaseId"], &page["appId"], &page["user"]),
        (&json!("1"), &json!("shop-1"), &Value::Null)
    );
    let reply = serving.call(token(&page), "add-order", &json!({ "item": "tea" }));
    let answer = reply.json();
    assert_eq!(reply.status, 200);
    assert_eq!(answer["output"]["version"], "one");
    assert_eq!(
        (&answer["$releaseId"], &answer["$methodId"]),
        (&json!("1"), &json!("add-order"))
    );
    assert!(answer["$durationMs"].as_f64().unwrap() > 0.0);
    assert_eq!(
        serving
            .call(token(&page), "count-orders", &json!({}))
            .json()["output"],
        1
    );
    let about = serving.call(token(&page), "about", &json!([1, "ü"])).json();
    assert_eq!(about["output"]["input"], json!([1, "ü"]));
    let output = &about["output"];
    assert_eq!(output["channel"], "web");
    assert_eq!(output["visitor"], page["visitorId"]);
    // Nothing is sent, and `{}` comes.
    let empty = serving.calls(token(&page), "about").body("").send().json();
    assert_eq!(empty["output"]["input"], json!({}));
}

#[test]
fn both_spellings_of_a_path_are_one() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let page = serving.page();
    let at = |id: &str| {
        let path = format!("/_internal/v2/apps/{id}/methods/count-orders/invoke");
        serving
            .ask("POST", &path)
            .bearer(token(&page))
            .body("{}")
            .send()
    };
    assert_eq!(at("shop-1").json()["output"], 0);
    assert_eq!(at("another").refusal(), (404, "not_found".to_owned()));
}

#[test]
fn why_a_call_fails_is_its_status_and_code() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let page = serving.page();
    let fails = |how: &str| serving.call(token(&page), "fail", &json!({ "how": how }));
    let own = fails("own");
    assert_eq!(own.refusal(), (418, "not_today".to_owned()));
    assert_eq!(own.json()["error"], "Not today.");
    let plain = fails("plain");
    assert_eq!(plain.refusal(), (500, "method_failed".to_owned()));
    assert!(!plain.text().contains("shop.ts"), "no stack");
    assert!((400..500).contains(&fails("unique").status));
    let unknown = serving.call(token(&page), "no-such", &json!({}));
    assert_eq!(unknown.refusal(), (404, "method_not_found".to_owned()));
    let get = serving.get("/_/methods/about/invoke");
    assert_eq!(get.refusal(), (405, "method_not_allowed".to_owned()));
}

#[test]
fn a_stream_is_the_text_so_far_and_ends_with_its_output() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let page = serving.page();
    let streams = |input: Value| {
        let body = json!({ "input": input, "stream": true });
        serving
            .calls(token(&page), "stream-parts")
            .json(&body)
            .send()
    };
    let reply = streams(json!({ "texts": ["a", "b\n", "ü"] }));
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let all = events(&reply.text());
    let texts: Vec<&str> = all
        .iter()
        .filter_map(|event| event["text"].as_str())
        .collect();
    assert_eq!(texts.last(), Some(&"ab\nü"));
    assert!(
        texts.iter().all(|text| "ab\nü".starts_with(text)),
        "{texts:?}"
    );
    assert_eq!(
        all[all.len() - 2],
        json!({ "type": "data", "data": { "done": 3 } })
    );
    assert_eq!(
        all[all.len() - 1],
        json!({ "type": "done", "output": null })
    );
    let all = events(&streams(json!({ "texts": [], "fails": true })).text());
    assert_eq!(
        all[1],
        json!({ "type": "error", "error": "Half way.", "code": "half_way" })
    );

    // What fails before anything was streamed has its status.
    let body = json!({ "input": { "how": "own" }, "stream": true });
    let early = serving.calls(token(&page), "fail").json(&body).send();
    assert_eq!(early.refusal(), (418, "not_today".to_owned()));
}

#[test]
fn a_silent_stream_begins_and_says_that_it_goes_on() {
    let app = shop();
    let mut settings = Settings::default();
    settings.limits.beat = Duration::from_millis(100);
    let serving = Serving::of(&app.live, settings);
    let page = serving.page();
    let body = json!({ "input": { "ms": 2000 }, "stream": true });
    let mut stream = serving.calls(token(&page), "wait").json(&body).begin();
    let began = std::time::Instant::now();
    assert_eq!(http::head(&mut stream).unwrap().status, 200);
    assert!(
        began.elapsed() < Duration::from_millis(1900),
        "{:?}",
        began.elapsed()
    );
    let mut text = Vec::new();
    while let Some(part) = http::chunk(&mut stream).unwrap() {
        text.extend(part);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with(": \n\n") && text.matches(": \n\n").count() > 3,
        "{text}"
    );
    assert_eq!(events(&text), [json!({ "type": "done", "output": "one" })]);
}

#[test]
fn a_request_leads_to_the_record_of_its_call() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let page = serving.page();
    let reply = serving.call(token(&page), "fail", &json!({ "how": "own" }));
    let id = reply.header("x-request-id").unwrap().to_owned();
    drop(serving);
    let asked = remy_db_runtime::records::Asked {
        limit: 10,
        ..Default::default()
    };
    let all = remy_db_runtime::records::list(&app.store(""), &asked).unwrap();
    let record = all.iter().find(|record| record.id == id).unwrap();
    assert_eq!(
        (record.method.as_str(), record.code.as_deref()),
        ("fail", Some("not_today"))
    );
}
