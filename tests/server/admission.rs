//! Who is let in: hosts, origins, tokens, previews.
use super::{
    Serving,
    shop::{publish, script, shop},
    token, told,
};
use remy_db_server::Settings;
use serde_json::json;

#[test]
fn hosts_and_origins_of_others_are_refused() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let port = serving.address.port();
    let page = serving.page();
    let rebound = serving
        .ask("GET", "/")
        .header("host", &format!("evil.example:{port}"))
        .send();
    assert_eq!(rebound.refusal(), (421, "unknown_host".to_owned()));
    let from = |origin: &str| {
        let call = serving
            .calls(token(&page), "add-order")
            .header("origin", origin);
        call.json(&json!({ "input": { "item": origin } })).send()
    };
    assert_eq!(from(&format!("http://localhost:{port}")).status, 200);
    for origin in [
        "https://evil.example",
        "null",
        &format!("http://x.localhost:{port}"),
    ] {
        assert_eq!(
            from(origin).refusal(),
            (403, "foreign_origin".to_owned()),
            "{origin}"
        );
    }
    // What is forwarded by nobody who may.
    let forwarded = serving
        .ask("GET", "/")
        .header("x-forwarded-host", "evil.example")
        .send();
    assert_eq!(forwarded.status, 200);
    let count = serving
        .call(token(&page), "count-orders", &json!({}))
        .json();
    assert_eq!(count["output"], 1);
}

#[test]
fn a_token_is_no_use_anywhere_but_on_its_page() {
    let app = shop();
    script(&app, "two");
    publish(&app, Some("red"));
    let serving = Serving::of(&app.live, Settings::default());
    let host = format!("red.localhost:{}", serving.address.port());
    let live = serving.page();
    let preview = told(&serving.ask("GET", "/").header("host", &host).send());
    assert_eq!(
        (&live["releaseId"], &preview["releaseId"]),
        (&json!("1"), &json!("2"))
    );
    let add = |token: &str, host: Option<&str>| {
        let call = serving
            .calls(token, "add-order")
            .json(&json!({ "input": { "item": "tea" } }));
        match host {
            Some(host) => call.header("host", host).send(),
            None => call.send(),
        }
    };
    assert_eq!(
        add(token(&preview), None).refusal(),
        (401, "invalid_session".to_owned())
    );
    assert_eq!(
        add(token(&live), Some(&host)).refusal(),
        (401, "invalid_session".to_owned())
    );
    // What is written on the preview is on the preview.
    assert_eq!(add(token(&preview), Some(&host)).status, 200);
    assert_eq!(
        serving
            .call(token(&live), "count-orders", &json!({}))
            .json()["output"],
        0
    );
    for forged in [
        "ms_iface_",
        "ms_iface_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "x y",
    ] {
        assert_eq!(
            add(forged, None).refusal(),
            (401, "invalid_session".to_owned()),
            "{forged}"
        );
    }
    let call = serving.ask("POST", "/_/methods/about/invoke");
    assert_eq!(
        call.body("{}").send().refusal(),
        (401, "auth_required".to_owned())
    );
    let nowhere = format!("blue.localhost:{}", serving.address.port());
    let nowhere = serving.ask("GET", "/").header("host", &nowhere).send();
    assert_eq!(nowhere.refusal(), (404, "not_found".to_owned()));
}

#[test]
fn a_preview_that_is_published_again_is_served_as_it_is_now() {
    let app = shop();
    script(&app, "two");
    publish(&app, Some("Red"));
    let settings = Settings {
        previews: Some("*.pre.example.com".parse().unwrap()),
        ..Settings::default()
    };
    let serving = Serving::of(&app.live, settings);
    let release = |host: &str| {
        let page = told(&serving.ask("GET", "/").header("host", host).send());
        page["releaseId"].as_str().unwrap().to_owned()
    };
    assert_eq!(release("red.pre.example.com"), "2");
    script(&app, "three");
    publish(&app, Some("Red"));
    assert_eq!(release("red.pre.example.com"), "3");
    assert_eq!(release("RED.localhost"), "3");
}

#[test]
fn behind_a_proxy_the_browser_is_who_the_proxy_says() {
    let app = shop();
    let settings = Settings {
        proxies: vec![[127, 0, 0, 1].into()],
        ..Settings::default()
    };
    let serving = Serving::of(&app.live, settings);
    let page = serving
        .ask("GET", "/")
        .header("host", "127.0.0.1")
        .header("x-forwarded-host", "shop.example.org")
        .header("x-forwarded-proto", "https")
        .send();
    assert!(page.header("set-cookie").unwrap().ends_with("; Secure"));
    let page = told(&page);
    let from = |origin: &str| {
        serving
            .calls(token(&page), "about")
            .header("x-forwarded-host", "shop.example.org")
            .header("origin", origin)
            .body("{}")
            .send()
            .status
    };
    assert_eq!(from("https://shop.example.org"), 200);
    assert_eq!(from("https://evil.example"), 403);
}
