//! The app's own HTTP API.
use super::{Serving, programs::programs};
use remy_db_server::Settings;
use serde_json::{Value, json};

fn serving(app: &remy_tests::live::App) -> Serving {
    Serving::of(&app.live, Settings::default())
}

#[test]
fn path_query_and_body_are_the_input_and_the_request_is_told() {
    let app = programs("s3cret");
    let server = serving(&app);
    let got = server
        .ask(
            "GET",
            "/_/api/orders/7?all=true&tag=a&tag=b&id=8&_request=forged",
        )
        .header("x-own", "mine")
        .header("cookie", "__ms_auth=secret")
        .send();
    assert_eq!(got.status, 200, "{got:?}");
    let mut got = got.json();
    let request = got["input"]["_request"].take();
    assert_eq!(
        got["input"],
        json!({ "all": true, "tag": ["a", "b"], "id": 7, "_request": null })
    );
    assert_eq!((&got["user"], &request), (&Value::Null, &got["request"]));
    assert_eq!(
        (
            &request["method"],
            &request["headers"]["x-own"],
            &request["rawBody"]
        ),
        (&json!("GET"), &json!("mine"), &json!(""))
    );
    assert_eq!(request["headers"]["cookie"], Value::Null);
    // The path says more than the body, and that more than the query; what is no number stays a text.
    let put = server
        .ask("PUT", "/_/api/orders/x?note=query&more=1")
        .json(&json!({ "id": 9, "note": "body", "_request": 1 }))
        .send();
    let mut put = put.json();
    let request = put["input"]["_request"].take();
    assert_eq!(
        put["input"],
        json!({ "id": "x", "note": "body", "more": "1", "_request": null })
    );
    assert_eq!(request["rawBody"], r#"{"id":9,"note":"body","_request":1}"#);
    // The one that names more of the path; and nothing is null.
    assert_eq!(server.get("/_/api/orders/new").json(), Value::Null);
    // As the hosted platform's own tools have it.
    let theirs = server.get("/_internal/v2/apps/programs/api/orders/7");
    assert_eq!(theirs.json()["input"]["id"], 7);
}

#[test]
fn what_is_wrong_with_a_request_is_told_and_nothing_is_called() {
    let app = programs("s3cret");
    let server = serving(&app);
    let refusal = |method: &str, path: &str| server.ask(method, path).send().refusal();
    assert_eq!(refusal("GET", "/_/api/none"), (404, "not_found".to_owned()));
    assert_eq!(
        refusal("GET", "/_/api/orders"),
        (404, "not_found".to_owned())
    );
    assert_eq!(
        refusal("GET", "/_/api/orders/%ff"),
        (400, "invalid_path".to_owned())
    );
    let other = server.ask("DELETE", "/_/api/orders/7").send();
    assert_eq!(
        (other.status, other.header("allow")),
        (405, Some("GET, PUT"))
    );
    for (body, code) in [
        ("{", "invalid_json"),
        (r#"{"a":1,"a":2}"#, "invalid_json"),
        ("[1]", "invalid_body"),
        ("7", "invalid_body"),
    ] {
        let put = server.ask("PUT", "/_/api/orders/7");
        let put = put.header("content-type", "application/json").body(body);
        assert_eq!(put.send().refusal(), (400, code.to_owned()), "{body}");
    }
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    let put = server.ask("PUT", "/_/api/orders/7");
    let put = put
        .header("content-type", "application/json")
        .body(format!(r#"{{"a":{deep}}}"#));
    assert_eq!(put.send().refusal().1, "invalid_json");
    let large = server
        .ask("PUT", "/_/api/orders/7")
        .body(vec![b' '; 11 << 20]);
    assert_eq!(large.send().refusal().0, 413);
    // What is not said to be JSON is no input, and there to be read all the same.
    let text = server
        .ask("PUT", "/_/api/orders/7")
        .header("content-type", "text/plain");
    let text = text.body("{").send().json();
    assert_eq!(text["input"]["_request"]["rawBody"], "{");
    // As `curl -d` sends an object of JSON.
    let form = server
        .ask("PUT", "/_/api/orders/7")
        .header("content-type", "application/x-www-form-urlencoded");
    let form = form.body(r#"{"note":"said to be a form"}"#).send().json();
    assert_eq!(form["input"]["note"], "said to be a form");
    // A method's own refusal, and a key that is none.
    assert_eq!(
        refusal("POST", "/_/api/refuse"),
        (409, "not_for_sale".to_owned())
    );
    assert_eq!(refusal("GET", "/_/api/mine").0, 401);
    for token in ["sk_forged", "ms_iface_forged"] {
        let forged = server.ask("GET", "/_/api/orders/7").bearer(token).send();
        assert_eq!(forged.status, 401, "{token:?}");
    }
}

#[test]
fn it_is_described_for_programs_and_people() {
    let app = programs("s3cret");
    let server = serving(&app);
    let document = server.get("/_/api/openapi.json").json();
    assert_eq!(document["servers"], json!([{ "url": "/_/api" }]));
    assert!(document["paths"]["/orders/{id}"]["put"].is_object());
    let page = server.get("/_/api");
    let text = page.text();
    assert!(text.contains("<code>/orders/{id}</code>"), "{text}");
    assert!(text.contains("Orders &amp; &lt;more&gt;") && !text.contains("<order>"));
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
}

#[test]
fn who_wants_a_stream_gets_one() {
    let app = programs("s3cret");
    let server = serving(&app);
    let parts = || {
        let parts = server.ask("POST", "/_/api/parts");
        parts.json(&json!({ "texts": ["a", "b"] }))
    };
    assert_eq!(parts().send().json(), 2);
    let stream = parts().header("accept", "text/event-stream").send();
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let text = stream.text();
    assert!(text.contains(r#"{"type":"token","text":"ab"}"#), "{text}");
    assert!(
        text.ends_with("data: {\"type\":\"done\",\"output\":2}\n\n"),
        "{text}"
    );
}
