//! Files and pages.
use super::{
    Serving,
    shop::{publish, script, shop},
    token, told,
};
use remy_db_server::Settings;
use serde_json::json;
use std::{thread, time::Duration};

/// The path of the script that a page has.
fn script_of(page: &str) -> String {
    let after = page.split("src=\"").nth(1).unwrap();
    after.split('"').next().unwrap().to_owned()
}

#[test]
fn a_page_is_shown_for_its_own_paths_and_a_file_for_none() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    for path in ["/", "/index.html", "/orders/7", "/orders/7/?x=1#y"] {
        assert!(
            serving.get(path).text().contains("<title>shop</title>"),
            "{path}"
        );
    }
    let browser = |path: &str| {
        serving
            .ask("GET", path)
            .header("accept", "text/html,*/*;q=0.8")
            .send()
    };
    assert!(
        browser("/users/john.doe")
            .text()
            .contains("<title>shop</title>")
    );
    assert!(serving.get("/docs").text().contains("docs"));
    assert!(serving.get("/docs/").text().contains("docs"));
    assert!(serving.get("/terms").text().contains("terms"));
    for path in ["/assets/no-such.js", "/favicon.ico"] {
        assert_eq!(
            serving.get(path).refusal(),
            (404, "not_found".to_owned()),
            "{path}"
        );
    }
    for path in [
        "/_/no-such",
        "/_/",
        "/_internal/v2/x",
        "/_internal/v2/apps/shop-1/no-such",
    ] {
        assert_eq!(
            browser(path).refusal(),
            (404, "not_found".to_owned()),
            "{path}"
        );
    }
    assert_eq!(serving.ask("POST", "/").body("").send().status, 405);
    let robots = serving.get("/robots.txt");
    assert_eq!(robots.text(), "User-agent: *\n");
    assert_eq!(
        robots.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(robots.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn each_page_has_a_session_of_its_own_and_a_browser_its_id() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let first = serving.get("/");
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let cookie = first.header("set-cookie").unwrap();
    assert!(
        cookie.contains("HttpOnly; SameSite=Lax") && !cookie.contains("Secure"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    let again = serving.ask("GET", "/").header("cookie", cookie).send();
    assert_eq!(again.header("set-cookie"), None);
    let (first, again) = (told(&first), told(&again));
    assert_eq!(first["visitorId"], again["visitorId"]);
    assert_ne!(first["token"], again["token"]);
    // What is no id of ours is not taken.
    let forged = serving
        .ask("GET", "/")
        .header("cookie", "__ms_visitor=<script>")
        .send();
    assert_ne!(told(&forged)["visitorId"], "<script>");
    let head = serving.ask("HEAD", "/").send();
    assert_eq!(
        (head.status, head.body.len(), head.header("set-cookie")),
        (200, 0, None)
    );
}

#[test]
fn a_file_that_somebody_has_is_not_sent_again_and_a_part_is_sent_alone() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let file = serving.get("/robots.txt");
    let tag = file.header("etag").unwrap();
    assert_eq!(file.header("cache-control"), Some("no-cache"));
    let again = serving
        .ask("GET", "/robots.txt")
        .header("if-none-match", tag)
        .send();
    assert_eq!((again.status, again.header("etag")), (304, Some(tag)));
    let other = serving
        .ask("GET", "/robots.txt")
        .header("if-none-match", "\"x\"")
        .send();
    assert_eq!(other.status, 200);
    let part = serving
        .ask("GET", "/robots.txt")
        .header("range", "bytes=5-9")
        .send();
    assert_eq!((part.status, part.text().as_str()), (206, "agent"));
    assert_eq!(part.header("content-range"), Some("bytes 5-9/14"));
    let none = serving
        .ask("GET", "/robots.txt")
        .header("range", "bytes=99-")
        .send();
    assert_eq!(
        (none.status, none.header("content-range")),
        (416, Some("bytes */14"))
    );
    let head = serving.ask("HEAD", "/robots.txt").send();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("14"))
    );

    let script = script_of(&serving.get("/").text());
    let lasting = serving.get(&script);
    assert_eq!(
        lasting.header("cache-control"),
        Some("public, max-age=31536000, immutable")
    );
    // It looks as if it had a hash, and a person has named it so.
    let named = serving.get("/photo-Summer24.svg");
    assert_eq!(named.header("cache-control"), Some("no-cache"));
}

#[test]
fn a_large_file_comes_whole_and_in_parts() {
    let app = shop();
    let large: String = (0..400_000).map(|n| format!("{n:07}\n")).collect();
    app.file("shop/web/public/large.bin", &large);
    publish(&app, None);
    let serving = Serving::of(&app.live, Settings::default());
    let whole = serving.get("/large.bin");
    assert_eq!(whole.header("content-length"), Some("3200000"));
    assert!(whole.text() == large);
    let part = serving
        .ask("GET", "/large.bin")
        .header("range", "bytes=800000-2400007")
        .send();
    assert!(part.text() == large[800_000..=2_400_007]);
    let head = serving.ask("HEAD", "/large.bin").send();
    assert_eq!(head.header("content-length"), Some("3200000"));
}

#[test]
fn a_file_is_packed_for_who_takes_it() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let script = script_of(&serving.get("/").text());
    let plain = serving.get(&script);
    let ask = |encoding: &str| {
        serving
            .ask("GET", &script)
            .header("accept-encoding", encoding)
    };
    let packed = |encoding: &str| {
        for _ in 0..500 {
            let reply = ask(encoding).send();
            if reply.header("content-encoding").is_some() {
                return reply;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("it was never packed");
    };
    let brotli = packed("gzip, deflate, br");
    assert_eq!(brotli.header("content-encoding"), Some("br"));
    assert!(brotli.body.len() * 10 < plain.body.len());
    assert_eq!(brotli.header("vary"), Some("accept-encoding"));
    assert_eq!(packed("gzip").header("content-encoding"), Some("gzip"));
    let tag = brotli.header("etag").unwrap();
    assert_ne!(Some(tag), plain.header("etag"));
    assert_eq!(ask("br").header("if-none-match", tag).send().status, 304);
    // A part is of the file as it is.
    let part = ask("br").header("range", "bytes=0-10").send();
    assert_eq!((part.status, part.header("content-encoding")), (206, None));
    assert_eq!(serving.get(&script).header("content-encoding"), None);
}

#[test]
fn what_an_open_page_asks_for_stays_while_another_release_goes_live() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let first = serving.get("/");
    let old = script_of(&first.text());
    script(&app, "two");
    publish(&app, None);
    let second = serving.get("/");
    let new = script_of(&second.text());
    assert_ne!(old, new);
    assert!(serving.get(&new).text().contains("two"));
    let kept = serving.get(&old);
    assert!(kept.text().contains("one"));
    assert_eq!(
        kept.header("cache-control"),
        Some("public, max-age=31536000, immutable")
    );
    // The page goes on as it is, on what is live.
    let page = told(&first);
    let answer = serving
        .call(token(&page), "count-orders", &json!({}))
        .json();
    assert_eq!(
        (&answer["output"], &answer["$releaseId"]),
        (&json!(0), &json!("2"))
    );
    // Back again, both are there.
    app.rollback(None).unwrap();
    assert_eq!(script_of(&serving.get("/").text()), old);
    assert_eq!(
        (serving.get(&old).status, serving.get(&new).status),
        (200, 200)
    );
    assert_eq!(serving.get("/assets/main-a1ffffffff.js").status, 404);
}

#[test]
fn pages_may_be_below_a_path() {
    let app = shop();
    app.file(
        "shop/web/web.json",
        r#"{ "web": { "basePath": "/my/shop" } }"#,
    );
    publish(&app, None);
    let serving = Serving::of(&app.live, Settings::default());
    let root = serving.get("/");
    assert_eq!(
        (root.status, root.header("location")),
        (302, Some("/my/shop/"))
    );
    let page = told(&serving.get("/my/shop/"));
    assert_eq!(page["basePath"], "/my/shop");
    assert!(
        serving
            .get("/my/shop/orders/7")
            .text()
            .contains("<title>shop</title>")
    );
    assert_eq!(serving.get("/my/shop/robots.txt").text(), "User-agent: *\n");
    assert_eq!(serving.get("/robots.txt").status, 404);
    // Calls are where they always are.
    assert_eq!(
        serving
            .call(token(&page), "count-orders", &json!({}))
            .json()["output"],
        0
    );
}

#[test]
fn what_was_never_live_is_not_shown_on_live() {
    let app = shop();
    script(&app, "secret plans");
    publish(&app, Some("plans"));
    let serving = Serving::of(&app.live, Settings::default());
    let host = format!("plans.localhost:{}", serving.address.port());
    let preview = serving.ask("GET", "/").header("host", &host).send();
    let script = script_of(&preview.text());
    assert_eq!(
        serving
            .ask("GET", &script)
            .header("host", &host)
            .send()
            .status,
        200
    );
    assert_eq!(serving.get(&script).status, 404);
}

#[test]
fn what_pages_tell_of_themselves_is_taken() {
    let app = shop();
    let serving = Serving::of(&app.live, Settings::default());
    let page = serving.page();
    let events = json!({ "events": [{ "name": "open" }, {}] });
    let tell = |path: &str| serving.ask("POST", path).json(&events);
    for path in ["/_/telemetry/events", "/_/telemetry/errors"] {
        let taken = tell(path).bearer(token(&page)).send();
        assert_eq!(taken.json(), json!({ "accepted": 2, "rejected": 0 }));
        assert_eq!(tell(path).send().status, 401);
        let large = json!({ "events": ["x".repeat(1 << 20)] });
        let large = serving
            .ask("POST", path)
            .bearer(token(&page))
            .json(&large)
            .send();
        assert_eq!(large.refusal(), (413, "body_too_large".to_owned()));
    }
    assert_eq!(tell("/_/telemetry/other").send().status, 404);
    assert_eq!(serving.get("/_/telemetry/presence").status, 204);
}
