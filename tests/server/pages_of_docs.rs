//! What the pages of `docs/` declare as whole apps, published and asked at the addresses that they name.
use super::{
    http::head,
    talk::{Club, club, secret},
    token,
};
use remy_tests::{built_program, live::App, publish_in, repository, stdout};
use serde_json::{Value, json};
use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// The files of a page, by their names: blocks that say more than their language.
pub fn files(page: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(repository("docs").join(page)).unwrap();
    let blocks = text.split("\n```").skip(1).step_by(2);
    let named = blocks.filter_map(|block| {
        let (head, text) = block.split_once('\n')?;
        let (_, name) = head.split_once(' ')?;
        Some((name.to_owned(), format!("{text}\n")))
    });
    named.collect()
}

/// The app of a page, live and served.
fn served(page: &str) -> (App, Club) {
    let app = App::empty();
    for (name, text) in files(page) {
        app.file(&format!("app/{name}"), &text);
    }
    let outcome = publish_in(&app.dir.path().join("app"), Some(&app.live), None);
    let outcome = outcome.unwrap_or_else(|e| panic!("{page}: {e}"));
    assert_eq!(outcome.warnings, Vec::<String>::new(), "{page}");
    let club = club(&app);
    (app, club)
}

fn post(club: &Club, path: &str, body: &Value) -> Value {
    let reply = club.serving.ask("POST", path).json(body).send();
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    reply.json()
}

fn refused(club: &Club, path: &str) -> (u16, String) {
    let post = club.serving.ask("POST", path).json(&json!({}));
    post.send().refusal()
}

#[test]
fn each_interface_of_the_page_answers_where_it_says() {
    let (app, club) = served("interfaces.md");
    // web
    let page = club.serving.page();
    assert!(club.serving.get("/").text().contains("<title>Shop</title>"));
    let called = club.serving.call(token(&page), "count-orders", &json!({}));
    assert_eq!(called.json()["output"], 0);
    // api
    let order = post(&club, "/_/api/orders", &json!({ "text": "eggs" }));
    let id = order["id"].as_str().unwrap();
    let got = club.serving.get(&format!("/_/api/orders/{id}"));
    assert_eq!(got.json()["text"], "eggs");
    assert_eq!(
        club.serving.get("/_/api/orders/none").refusal(),
        (404, "no_such_order".to_owned())
    );
    // A property without `?` is not NOT NULL.
    assert!(post(&club, "/_/api/orders", &json!({}))["text"].is_null());
    let document = club.serving.get("/_/api/openapi.json").json();
    assert!(document["paths"]["/orders/{id}"]["get"].is_object());
    // cron
    let mut cron = Command::new(built_program("remy-command"));
    let jobs = stdout(cron.args(["cron", "--json", "--db"]).arg(&app.live));
    let jobs: Value = serde_json::from_str(&jobs).unwrap();
    assert_eq!(
        (&jobs[0]["method"], &jobs[0]["schedule"]),
        (&json!("clean-up"), &json!("0 3 * * *"))
    );
    // webhook
    let paid = club.serving.ask("POST", "/_/webhook/wh-3b1f0c7a");
    assert_eq!(paid.json(&json!({ "id": id })).send().status, 204);
    assert_eq!(app.ask("SELECT count(*) FROM orders WHERE paid"), "1");
    assert_eq!(refused(&club, "/_/webhook/other").0, 401);
    // email
    secret(&app, "EMAIL_SECRET", "s3cret");
    assert_eq!(refused(&club, "/_/email").0, 401);
    let letter = "From: ada@example.org\r\nTo: in@shop.example\r\nSubject: milk\r\n\r\nPlease\r\n";
    let mail = club.serving.ask("POST", "/_/email").bearer("s3cret");
    assert_eq!(mail.body(letter).send().status, 200);
    assert_eq!(
        app.ask("SELECT count(*) FROM orders WHERE text = 'ada@example.org: milk'"),
        "1"
    );
    agents(&club);
    bots(&app, &club);
}

/// mcp, and the agent.
fn agents(club: &Club) {
    let mcp = |method: &str, params: Value| {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        post(club, "/_/mcp", &request)["result"].clone()
    };
    let tools = mcp("tools/list", json!({}))["tools"].clone();
    assert_eq!(
        (&tools[0]["name"], &tools[0]["description"]),
        (
            &json!("add-order"),
            &json!("Adds an order. Ask for the amount before.\n")
        )
    );
    assert_eq!(tools[1]["description"], "How many orders there are.");
    let prompt = json!({ "name": "thank", "arguments": { "who": "Ada" } });
    let prompt = mcp("prompts/get", prompt)["messages"][0]["content"]["text"].clone();
    assert!(prompt.as_str().unwrap().starts_with("Thank Ada for"));
    assert_eq!(
        refused(club, "/_/agent/threads"),
        (401, "auth_required".to_owned())
    );
    let page = club.serving.page();
    let ask = |path: &str, body: &Value| {
        let ask = club.serving.ask("POST", &format!("/_/agent/threads{path}"));
        ask.bearer(token(&page)).json(body).send()
    };
    let thread = ask("", &json!({})).json();
    let messages = format!("/{}/messages", thread["id"].as_str().unwrap());
    let said = ask(&messages, &json!({ "content": "Hello" }));
    assert_eq!(said.refusal(), (501, "not_supported".to_owned()));
}

/// Discord and Telegram ask for what they are known by.
fn bots(app: &App, club: &Club) {
    for (path, key, value, code) in [
        (
            "/_/discord",
            "DISCORD_PUBLIC_KEY",
            "07".repeat(32),
            "invalid_signature",
        ),
        (
            "/_/telegram",
            "TELEGRAM_BOT_TOKEN",
            "123:hush".to_owned(),
            "unknown_secret",
        ),
    ] {
        assert_eq!(refused(club, path), (501, "not_supported".to_owned()));
        secret(app, key, &value);
        assert_eq!(refused(club, path), (401, code.to_owned()));
    }
}

#[test]
fn what_methods_import_does_as_the_page_says() {
    let (app, club) = served("sdk.md");
    let call = |id: &str| post(&club, &format!("/_/api/{id}"), &json!({}));
    let fails = |id: &str| refused(&club, &format!("/_/api/{id}"));
    let wrote = call("writes");
    assert_eq!(
        (&wrote["deleted"], &wrote["gone"], &wrote["left"]),
        (&json!(false), &json!(1), &json!(2))
    );
    let asked = call("asks");
    assert_eq!(asked["open"][0]["number"], "A3");
    assert_eq!(
        (&asked["paid"]["number"], &asked["none"]),
        (&json!("A1"), &Value::Null)
    );
    assert_eq!(
        (&asked["any"], &asked["total"]),
        (&json!(false), &json!(15))
    );
    assert_eq!(asked["byStatus"].as_array().unwrap().len(), 2);
    assert_eq!(asked["sql"], json!([{ "n": 1 }]));
    assert_eq!(call("at-once")["count"], 3);
    assert_eq!(fails("clerks-only").0, 401);
    assert_eq!(fails("refuses"), (409, "out_of_eggs".to_owned()));
    assert_eq!(fails("breaks"), (500, "method_failed".to_owned()));
    assert_eq!(fails("mails"), (501, "not_supported".to_owned()));
    let aloud = club.serving.ask("POST", "/_/api/counts-aloud");
    let aloud = aloud.header("accept", "text/event-stream").json(&json!({}));
    assert!(
        aloud
            .send()
            .text()
            .contains(r#"{"type":"token","text":"one two"}"#)
    );
    let grant = call("tells");
    let listens = club.serving.ask("GET", "/_/events");
    let mut listens = listens.bearer(token(&grant)).begin();
    assert_eq!(head(&mut listens).unwrap().status, 200);
    drop(listens);
    let later = club.serving.ask("POST", "/_/api/later").json(&json!({}));
    assert_eq!(later.send().status, 200);
    // As the table has it, without a page.
    let me = club.serving.get("/_/auth/me").json();
    assert_eq!(
        refused(&club, "/_/auth/email/send"),
        (401, "auth_required".to_owned())
    );
    let member = club.signs_in(&me, "ada@example.org");
    let who = club.serving.call(token(&member), "who", &json!({}));
    assert_eq!(who.json()["output"]["user"], member["user"]["id"]);
    let refused = club.serving.call(token(&member), "clerks-only", &json!({}));
    assert_eq!(refused.refusal(), (403, "forbidden".to_owned()));
    let until = Instant::now() + Duration::from_secs(30);
    while app.ask("SELECT count(*) FROM orders WHERE number = 'C1'") != "1" {
        assert!(Instant::now() < until, "what goes on after the answer");
        thread::sleep(Duration::from_millis(20));
    }
}
