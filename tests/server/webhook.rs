//! What others call by a secret.
use super::{
    Serving,
    programs::{programs, publish, write},
};
use remy_db_server::Settings;
use serde_json::{Value, json};

#[test]
fn a_method_gets_what_was_sent_and_runs_as_the_system() {
    let app = programs("s3cret/with a slash");
    let server = Serving::of(&app.live, Settings::default());
    let path = "/_/webhook/s3cret%2Fwith%20a%20slash";
    let post = server
        .ask("POST", &format!("{path}?from=them"))
        .header("x-signature", "abc")
        .json(&json!({ "n": 1 }))
        .send();
    assert_eq!(post.status, 200, "{post:?}");
    let post = post.json();
    assert_eq!(post["roles"], json!(["system"]));
    assert!(post["user"].is_string());
    let input = &post["input"];
    assert_eq!(input["method"], "POST");
    assert_eq!(input["query"], json!({ "from": "them" }));
    assert_eq!(input["headers"]["x-signature"], "abc");
    assert_eq!(
        (&input["body"], &input["rawBody"]),
        (&json!({ "n": 1 }), &json!(r#"{"n":1}"#))
    );
    // Bodies of other kinds, and requests without one.
    let form = server.ask("POST", path);
    let form = form
        .header("content-type", "application/x-www-form-urlencoded")
        .body("a=1&b=x+y");
    assert_eq!(
        form.send().json()["input"]["body"],
        json!({ "a": "1", "b": "x y" })
    );
    let text = server.ask("PATCH", path).body("plain \u{e9}").send().json();
    assert_eq!(
        (&text["input"]["method"], &text["input"]["body"]),
        (&json!("PATCH"), &json!("plain \u{e9}"))
    );
    assert_eq!(server.get(path).json()["input"]["body"], Value::Null);
    // No output is no content.
    let quiet = server
        .ask("POST", path)
        .json(&json!({ "quiet": true }))
        .send();
    assert_eq!((quiet.status, quiet.body.len()), (204, 0));
    // As the hosted platform has it.
    let theirs = path.replace("/_/webhook", "/_internal/v2/webhook/programs");
    assert_eq!(server.get(&theirs).status, 200);
    assert_eq!(
        server.get(&theirs.replace("programs", "others")).status,
        404
    );
}

#[test]
fn a_secret_is_that_of_what_is_live_and_no_other() {
    let app = programs("the-first-secret");
    let server = Serving::of(&app.live, Settings::default());
    let status = |secret: &str| server.get(&format!("/_/webhook/{secret}")).status;
    assert_eq!(status("the-first-secret"), 200);
    for wrong in [
        "the-first-secre",
        "the-first-secrett",
        "THE-FIRST-SECRET",
        "x",
        "%00",
        "the-first-secret/",
    ] {
        let refused = server.get(&format!("/_/webhook/{wrong}"));
        assert_eq!(
            refused.refusal(),
            (401, "unknown_secret".to_owned()),
            "{wrong}"
        );
    }
    assert_eq!(server.get("/_/webhook/").status, 404);
    // It is refused before its body is read.
    let large = server
        .ask("POST", "/_/webhook/x")
        .header("content-length", "99999999");
    assert_eq!(large.send().status, 401);
    let wrong = server.ask("POST", "/_/webhook/the-first-secret");
    let wrong = wrong.header("content-type", "application/json").body("{");
    assert_eq!(wrong.send().refusal(), (400, "invalid_json".to_owned()));
    write(&app, "the-second-secret");
    publish(&app);
    assert_eq!(
        (status("the-first-secret"), status("the-second-secret")),
        (401, 200)
    );
    app.rollback(None).unwrap();
    assert_eq!(
        (status("the-first-secret"), status("the-second-secret")),
        (200, 401)
    );
}
