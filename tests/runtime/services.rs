//! What a method asks of others, by the server: AI actions, e-mail, events. The others are fakes on
//! loopback.
use super::{Heard, call, output, publish, runtime};
use crate::commands::{fed, remy, said};
use remy_db_runtime::{
    child::Listener,
    events::{Ear, World},
    pool::Cancel,
    runtime::{Invoke, Runtime},
    secrets::{For, Secrets, Whose},
    target::Target,
};
use remy_tests::{
    fakes::{Asked, Mail, MailServer, Reply, Tls, WebServer},
    live::App,
    repository,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

const KEY: &str = "sk-hush-hush-0815";

const MANIFEST: &str = r#"{
  "name": "services",
  "tables": [{ "path": "src/tables.ts", "export": "Items" }],
  "methods": [
    { "id": "action", "path": "src/services.ts", "export": "action" },
    { "id": "mail", "path": "src/services.ts", "export": "mail" },
    { "id": "publish", "path": "src/services.ts", "export": "publish" },
    { "id": "grant", "path": "src/services.ts", "export": "grant" },
    { "id": "stored", "path": "src/services.ts", "export": "stored" },
    { "id": "shared", "path": "src/services.ts", "export": "shared" },
    { "id": "odd", "path": "src/services.ts", "export": "odd" },
    { "id": "environment", "path": "src/services.ts", "export": "environment" },
    { "id": "beside", "path": "src/services.ts", "export": "beside" }
  ]
}"#;

/// The app of `services.ts`, live.
pub(super) fn services() -> App {
    let app = App::empty();
    app.file("app/mindstudio.json", MANIFEST);
    for file in ["services.ts", "tables.ts"] {
        let text = fs::read_to_string(repository("tests/runtime").join(file)).unwrap();
        app.file(&format!("app/src/{file}"), &text);
    }
    publish(&app, &app.dir.path().join("app"));
    app
}

pub(super) fn server_secret(app: &App, key: &str, value: &str) {
    let secrets = Secrets::of(&app.store(""));
    secrets.set(key, Whose::Server, For::Both, value).unwrap();
}

/// The platform is at this URL.
fn platform(app: &App, url: &str) {
    server_secret(app, "MINDSTUDIO_API_KEY", KEY);
    server_secret(app, "MINDSTUDIO_BASE_URL", url);
}

fn act(runtime: &Runtime, name: &str, args: Value) -> Value {
    output(runtime, "action", json!({ "name": name, "args": args }))
}

/// A platform that has done each action at the second look.
fn prompt(asked: &Asked) -> Reply {
    match asked.path.rsplit('/').next().unwrap() {
        "execute-async" => Reply::json(200, &json!({ "executionToken": "t.1" })),
        _ => Reply::json(
            200,
            &json!({ "status": "complete", "output": { "content": "done" } }),
        ),
    }
}

#[test]
fn an_action_is_done_by_the_platform_with_the_servers_key() {
    let app = services();
    let looks = Mutex::new(0);
    let fake = WebServer::start(None, move |asked| {
        if asked.method == "POST" {
            return Reply::json(200, &json!({ "executionToken": "8b1f-4c" }));
        }
        let mut looks = looks.lock().unwrap();
        *looks += 1;
        match *looks {
            1 => Reply::json(200, &json!({ "status": "pending" })),
            _ => Reply::json(
                200,
                &json!({ "status": "complete", "output": { "content": "Hi" } }),
            )
            .with("x-mindstudio-billing-cost", "0.25")
            .with("x-mindstudio-thread-id", "th")
            .with("x-ratelimit-remaining", "7"),
        }
    });
    platform(&app, &fake.url());
    let runtime = runtime(&app);
    let step = json!([{ "message": "Hello" }, { "threadId": "th0", "more": 1 }]);
    let done = act(&runtime, "generateText", step);
    assert_eq!(
        done,
        json!({ "content": "Hi", "$appId": "", "$threadId": "th", "$rateLimitRemaining": 7, "$billingCost": 0.25 })
    );
    let asked = fake.asked();
    let at = "/developer/v2/steps/userMessage/execute-async";
    let paths: Vec<_> = asked
        .iter()
        .map(|asked| (&*asked.method, &*asked.path))
        .collect();
    let poll = format!("{at}/poll/8b1f-4c");
    assert_eq!(paths, [("POST", at), ("GET", &*poll), ("GET", &*poll)]);
    assert_eq!(
        asked[0].json(),
        json!({ "step": { "message": "Hello" }, "threadId": "th0" })
    );
    let bearer = format!("Bearer {KEY}");
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("authorization") == bearer)
    );
    let environment = output(&runtime, "environment", json!({}));
    assert!(!environment.as_str().unwrap().contains(KEY));
}

#[test]
fn a_step_by_its_type_a_batch_and_a_platform_that_only_waits() {
    let app = services();
    let fake = WebServer::start(None, |asked| {
        match asked.path.strip_prefix("/developer/v2/steps/").unwrap() {
            path if path.ends_with("-async") => {
                Reply::json(404, &json!({ "error": "no such path" }))
            }
            "bad/execute" => Reply::json(422, &json!({ "error": "no prompt", "code": "bad_step" })),
            path => Reply::json(200, &json!({ "output": { "at": path } })),
        }
    });
    platform(&app, &fake.url());
    let runtime = runtime(&app);
    let at = |done: &Value| done["at"].clone();
    assert_eq!(
        at(&act(&runtime, "generateAsset", json!([{}]))),
        "generatePdf/execute"
    );
    assert_eq!(
        at(&act(
            &runtime,
            "executeStep",
            json!(["scrapeUrl", { "url": "x" }])
        )),
        "scrapeUrl/execute"
    );
    assert_eq!(
        at(&act(&runtime, "getMediaMetadata", json!([]))),
        "getMediaMetadata/execute"
    );
    let steps = json!([[{ "stepType": "a", "step": {} }, { "stepType": "bad", "step": {} }]]);
    let results = act(&runtime, "executeStepBatch", steps)["results"].clone();
    assert_eq!(at(&results[0]["output"]), "a/execute");
    assert_eq!(
        results[1],
        json!({ "stepType": "bad", "error": "bad: no prompt" })
    );
    let bad = act(&runtime, "bad", json!([{}]));
    assert_eq!(
        bad,
        json!({ "code": "bad_step", "status": 422, "message": "bad: no prompt" })
    );
    let elsewhere = act(&runtime, "executeStep", json!(["../users", {}]));
    assert_eq!(elsewhere["code"], "invalid_argument");
    let other = act(&runtime, "listModels", json!([]));
    assert_eq!(
        (&other["code"], &other["status"]),
        (&json!("not_supported"), &json!(501))
    );
}

#[test]
fn a_busy_platform_is_asked_again_and_not_without_end() {
    let app = services();
    let count = Mutex::new(0);
    let fake = WebServer::start(None, move |asked| {
        if asked.path.contains("/never/") {
            return Reply::json(503, &json!({ "error": "busy" })).with("retry-after", "0");
        }
        let mut count = count.lock().unwrap();
        *count += 1;
        match *count {
            1 => Reply::json(429, &json!({ "error": "slow down" })).with("retry-after", "0.3"),
            2 => Reply::bytes(502, "<html>Bad gateway</html>").with("retry-after", "0"),
            _ => prompt(asked),
        }
    });
    platform(&app, &fake.url());
    let runtime = runtime(&app);
    let began = Instant::now();
    assert_eq!(act(&runtime, "x", json!([{}]))["content"], "done");
    assert!(
        began.elapsed() >= Duration::from_millis(500),
        "it waits as it is told"
    );
    let never = act(&runtime, "never", json!([{}]));
    assert_eq!(
        never,
        json!({ "code": "api_error", "status": 503, "message": "never: busy" })
    );
    let asked = fake.asked();
    assert_eq!(
        asked
            .iter()
            .filter(|asked| asked.path.contains("/never/"))
            .count(),
        4
    );
}

#[test]
fn the_key_goes_nowhere_else_and_stands_in_no_message() {
    let app = services();
    let other = WebServer::start(None, |_| Reply::json(200, &json!({ "value": { "a": 1 } })));
    let elsewhere = other.url();
    let fake = WebServer::start(None, move |asked| {
        let key = asked.header("authorization");
        match asked.path.split('/').nth(4).unwrap() {
            "redirects" => Reply::bytes(302, "").with("location", &elsewhere),
            "fails" => Reply::json(400, &json!({ "error": format!("no: {key}") })),
            "html" => Reply::bytes(500, format!("<p>{key}</p>")),
            "unknown" => Reply::json(401, &json!({ "error": "who?" })),
            "large" => Reply::json(200, &json!({ "outputUrl": "/x".replace("/x", &elsewhere) })),
            _ => Reply::json(200, &json!({ "output": { "echo": key } })),
        }
    });
    platform(&app, &fake.url());
    let runtime = runtime(&app);
    for (name, code) in [
        ("redirects", json!("api_error")),
        ("fails", json!("api_error")),
        ("html", json!("api_error")),
        ("unknown", json!("api_error")),
        ("large", json!("api_error")),
        ("echo", Value::Null),
    ] {
        let said = act(&runtime, name, json!([{}]));
        assert_eq!(
            said.get("code").cloned().unwrap_or_default(),
            code,
            "{name}: {said}"
        );
        assert!(!said.to_string().contains(KEY), "{name}: {said}");
    }
    let unknown = act(&runtime, "unknown", json!([{}]));
    assert_eq!(
        unknown["status"], 502,
        "nobody is logged out by it: {unknown}"
    );
    assert!(
        other.asked().is_empty(),
        "what is in the clear is not fetched"
    );
    drop(runtime);
    let grep = std::process::Command::new("grep")
        .args(["-rl", KEY])
        .arg(app.store(""))
        .output();
    let found = String::from_utf8(grep.unwrap().stdout).unwrap();
    assert!(found.trim_end().ends_with("secrets.json"), "{found}");
}

#[test]
fn a_large_output_is_fetched_from_the_platform_without_the_key_and_one_too_large_is_refused() {
    let app = services();
    let fake = WebServer::start(None, |asked| match &*asked.path {
        "/outputs/1" => Reply::json(200, &json!({ "value": { "a": "x".repeat(1 << 20) } })),
        path if path.contains("/huge/") => Reply::bytes(200, vec![b' '; (32 << 20) + 1]),
        _ => {
            let url = format!("http://{}/outputs/1", asked.header("host"));
            Reply::json(200, &json!({ "outputUrl": url }))
        }
    });
    platform(&app, &fake.url());
    let runtime = runtime(&app);
    let done = act(&runtime, "x", json!([{}]));
    assert_eq!(done["a"].as_str().map(str::len), Some(1 << 20));
    assert_eq!(fake.asked().last().unwrap().header("authorization"), "");
    assert_eq!(
        act(&runtime, "huge", json!([{}]))["code"],
        "reply_too_large"
    );
}

#[test]
fn without_a_key_it_is_said_what_to_set() {
    let app = services();
    let runtime = runtime(&app);
    let refused = act(&runtime, "generateText", json!([{}]));
    assert_eq!(
        (&refused["code"], &refused["status"]),
        (&json!("not_supported"), &json!(501))
    );
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("remy secrets set MINDSTUDIO_API_KEY --server"),
        "{message}"
    );
    for clear in [
        "http://example.com",
        "https://u:hush@example.com",
        "example.com",
    ] {
        platform(&app, clear);
        let refused = act(&runtime, "generateText", json!([{}]));
        assert_eq!(refused["code"], "not_supported", "{clear}: {refused}");
        assert!(!refused.to_string().contains("hush@"), "{refused}");
    }
    platform(&app, "http://127.0.0.1:9");
    let refused = act(&runtime, "generateText", json!([{}]));
    assert_eq!(refused["code"], "service_unreachable", "{refused}");
}

#[test]
fn nobody_asks_on_for_a_call_that_is_called_off() {
    let app = services();
    let fake = WebServer::start(None, |asked| match &*asked.method {
        "POST" => Reply::json(200, &json!({ "executionToken": "t" })),
        _ => Reply::json(200, &json!({ "status": "pending" })),
    });
    platform(&app, &fake.url());
    let runtime = runtime(&app);
    let cancel = Cancel::default();
    thread::scope(|scope| {
        let called = scope.spawn(|| {
            let listener: Arc<dyn Listener> = Arc::new(Heard::default());
            let input = json!({ "name": "x", "args": [{}] });
            runtime.call(Invoke::new("action", input), &listener, &cancel)
        });
        let until = Instant::now() + Duration::from_secs(20);
        while fake.asked().len() < 3 && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        cancel.cancel();
        assert_eq!(called.join().unwrap().unwrap_err().code, "cancelled");
    });
    thread::sleep(Duration::from_millis(500));
    let asked = fake.asked().len();
    thread::sleep(Duration::from_secs(4));
    assert_eq!(fake.asked().len(), asked);
}

#[test]
fn the_database_waits_for_no_action() {
    let app = services();
    let fake = WebServer::start(None, |asked| {
        prompt(asked).after(Duration::from_millis(1500))
    });
    platform(&app, &fake.url());
    let runtime = runtime(&app);
    let took = output(&runtime, "beside", json!({ "actions": 12 }));
    assert!(took.as_u64().unwrap() < 1000, "{took} ms");
}

/// By what a mail server at a port is reached.
fn by(port: u16) -> String {
    format!("smtp://127.0.0.1:{port}?from=Shop%20%3Chello@example.com%3E")
}

#[test]
fn an_email_goes_to_each_by_itself_unless_it_is_transactional() {
    let app = services();
    let fake = MailServer::start(Mail::default());
    server_secret(&app, "SMTP_URL", &by(fake.port));
    let runtime = runtime(&app);
    let mail = |more: Value| {
        let mut mail = json!({ "to": ["a@example.org", "b@example.org"], "cc": "c@example.org", "subject": "Grüße", "body": "<p>Hi<br>you</p>", "batchId": "b1" });
        mail.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        output(&runtime, "mail", mail)
    };
    let receipt = mail(json!({}));
    let from = "Shop <hello@example.com>";
    let all = ["a@example.org", "b@example.org", "c@example.org"];
    assert_eq!(
        receipt,
        json!({ "recipients": all, "cc": [], "bcc": [], "from": from, "suppressed": [], "batchId": "b1" })
    );
    for (letter, to) in fake.wait_for(3).iter().zip(all) {
        assert_eq!(
            (&*letter.from, &*letter.to),
            ("hello@example.com", &[to.to_owned()][..])
        );
        let others = all.iter().filter(|other| **other != to);
        assert!(
            others.into_iter().all(|other| !letter.text.contains(other)),
            "{}",
            letter.text
        );
        assert!(
            letter.text.contains("multipart/alternative") && letter.text.contains("\nHi\nyou"),
            "{}",
            letter.text
        );
    }
    let shared = mail(
        json!({ "category": "transactional", "bcc": "d@example.org", "from": "help", "replyTo": "r@example.org", "inReplyTo": "<1@x>" }),
    );
    assert_eq!(
        (&shared["cc"], &shared["from"]),
        (&json!(["c@example.org"]), &json!("help@example.com"))
    );
    let letter = fake.wait_for(4).pop().unwrap();
    assert_eq!(letter.to.len(), 4);
    for header in [
        "From: help@example.com\n",
        "Cc: c@example.org\n",
        "Reply-To: r@example.org\n",
        "In-Reply-To: <1@x>\n",
    ] {
        assert!(letter.text.contains(header), "{}", letter.text);
    }
    assert!(!letter.text.contains("d@example.org"), "{}", letter.text);
    // The same by the name of an action.
    let args = json!([{ "to": "a@example.org", "subject": "s", "body": "plain", "category": "transactional" }]);
    assert_eq!(
        act(&runtime, "sendEmail", args)["recipients"],
        json!(["a@example.org"])
    );
    let letter = fake.wait_for(5).pop().unwrap();
    assert!(
        letter.text.contains("text/plain") && !letter.text.contains("multipart"),
        "{}",
        letter.text
    );
}

#[test]
fn what_an_attachment_leads_to_is_fetched_by_the_methods_own_process() {
    let app = services();
    let fake = MailServer::start(Mail::default());
    server_secret(&app, "SMTP_URL", &by(fake.port));
    let files = WebServer::start(None, |asked| match &*asked.path {
        "/big" => Reply::bytes(200, vec![b'x'; 11 << 20]),
        "/in%20voice.pdf" => Reply::bytes(200, "%PDF").with("content-type", "application/pdf"),
        _ => Reply::bytes(404, "none"),
    });
    let runtime = runtime(&app);
    let send = |attachments: Value| {
        let mail = json!({ "to": "a@example.org", "subject": "s", "body": "b", "attachments": attachments });
        output(&runtime, "mail", mail)
    };
    let at = |path: &str| format!("{}{path}", files.url());
    let sent = send(
        json!([at("/in%20voice.pdf"), { "content": "aGk=", "filename": "hi.txt", "contentType": "text/plain" }]),
    );
    assert_eq!(sent["recipients"], json!(["a@example.org"]));
    let text = fake.wait_for(1).pop().unwrap().text;
    for part in ["in voice.pdf", "application/pdf", "hi.txt"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(send(json!([at("/none")]))["code"], "attachment_not_read");
    assert_eq!(send(json!([at("/big")]))["code"], "email_too_large");
    assert_eq!(
        send(json!([{ "content": "?", "filename": "x" }]))["code"],
        "invalid_email"
    );
    assert_eq!(fake.letters().len(), 1);
}

#[test]
fn what_is_no_email_is_not_sent_and_what_the_server_refuses_is_said() {
    let app = services();
    let none = runtime(&app);
    let mail = |runtime: &Runtime, more: Value| {
        let mut mail = json!({ "to": "a@example.org", "subject": "s", "body": "b" });
        mail.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        output(runtime, "mail", mail)
    };
    let refused = mail(&none, json!({}));
    assert_eq!(refused["code"], "not_supported");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("remy secrets set SMTP_URL --server")
    );
    drop(none);
    let fake = MailServer::start(Mail {
        refuses: Some("550 no such user"),
        ..Default::default()
    });
    let url = format!(
        "smtp://hello%40example.com:geheim12@127.0.0.1:{}",
        fake.port
    );
    server_secret(&app, "SMTP_URL", &url);
    let runtime = runtime(&app);
    for (more, code) in [
        (
            json!({ "to": "x@y.z\r\nBcc: evil@example.org" }),
            "invalid_email",
        ),
        (
            json!({ "subject": "x\nBcc: evil@example.org" }),
            "invalid_email",
        ),
        (json!({ "to": [] }), "invalid_email"),
        (json!({ "to": vec!["a@example.org"; 101] }), "invalid_email"),
        (json!({ "body": 1 }), "invalid_email"),
        (json!({ "from": "boss@bank.example" }), "sender_not_allowed"),
        (json!({}), "email_failed"),
    ] {
        let said = mail(&runtime, more);
        assert_eq!(said["code"], code, "{said}");
        assert!(!said.to_string().contains("geheim12"), "{said}");
        assert!(
            code != "email_failed" || said["message"].as_str().unwrap().contains("no such user"),
            "{said}"
        );
    }
    assert!(fake.letters().is_empty());
}

#[test]
fn no_password_and_no_email_goes_over_the_network_in_the_clear() {
    let app = services();
    let fake = MailServer::start(Mail::default());
    // This machine by a name of which that is not known.
    let url = format!("smtp://hello%40example.com:geheim12@0.0.0.0:{}", fake.port);
    server_secret(&app, "SMTP_URL", &url);
    let refused = output(
        &runtime(&app),
        "mail",
        json!({ "to": "a@example.org", "subject": "s", "body": "b" }),
    );
    assert_eq!(refused["code"], "email_failed", "{refused}");
    let said = fake.said();
    assert!(
        said.iter()
            .all(|said| said.starts_with("EHLO") || said == "QUIT"),
        "{said:?}"
    );
}

/// Calls a method by the command, which trusts `trusted` alone, or what this machine does.
fn trusting(app: &App, trusted: Option<&Path>, method: &str, input: &Value) -> Value {
    let mut command = remy(app, &["invoke", method, &input.to_string()]);
    if let Some(trusted) = trusted {
        command.env("SSL_CERT_FILE", trusted);
    }
    let (status, stdout, stderr) = said(&mut command);
    assert_eq!(status, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn tls_is_used_and_who_is_not_trusted_gets_nothing() {
    let app = services();
    let tls = Tls::default();
    let message = json!({ "to": "a@example.org", "subject": "s", "body": "b" });
    for (mail, scheme) in [
        (
            Mail {
                starttls: Some(tls.clone()),
                ..Default::default()
            },
            "smtp",
        ),
        (
            Mail {
                tls: Some(tls.clone()),
                ..Default::default()
            },
            "smtps",
        ),
    ] {
        let fake = MailServer::start(mail);
        let url = format!(
            "{scheme}://hello%40example.com:geheim12@localhost:{}",
            fake.port
        );
        let set = &mut remy(&app, &["secrets", "set", "SMTP_URL", "--server"]);
        assert_eq!(fed(set, &url).0, 0);
        let refused = trusting(&app, None, "mail", &message);
        assert_eq!(refused["code"], "email_failed", "{scheme}: {refused}");
        assert!(fake.letters().is_empty(), "{scheme}");
        let sent = trusting(&app, Some(&tls.trusted), "mail", &message);
        assert_eq!(sent["from"], "hello@example.com", "{scheme}: {sent}");
        let letter = fake.wait_for(1).pop().unwrap();
        assert!(
            letter.by_tls && letter.auth.is_some(),
            "{scheme}: {letter:?}"
        );
    }
    let web = WebServer::start(Some(tls.clone()), prompt);
    platform(&app, &format!("https://localhost:{}", web.port));
    let action = json!({ "name": "x", "args": [{}] });
    let refused = trusting(&app, None, "action", &action);
    assert_eq!(refused["code"], "service_unreachable", "{refused}");
    assert!(web.asked().is_empty());
    let done = trusting(&app, Some(&tls.trusted), "action", &action);
    assert_eq!(done["content"], "done", "{done}");
}

#[derive(Default)]
struct Listens(Mutex<Vec<Value>>);

impl Ear for Listens {
    fn hear(&self, event: &Arc<str>) -> bool {
        let event = serde_json::from_str(event).unwrap();
        self.0.lock().unwrap().push(event);
        true
    }
}

#[test]
fn a_method_grants_and_publishes_in_its_own_world() {
    let app = services();
    let runtime = runtime(&app);
    let live = World::of(&Target::Live);
    let granted = output(
        &runtime,
        "grant",
        json!({ "channels": "jobs:1", "options": { "ttlSeconds": 5, "publish": true } }),
    );
    assert_eq!(granted["ttlSeconds"], 60);
    let token = granted["token"].as_str().unwrap();
    let ear = Arc::new(Listens::default());
    let _listening = runtime.events().listen(&live, token, ear.clone()).unwrap();
    let input = json!({ "channels": ["jobs:1", "jobs:2"], "data": { "n": 1 } });
    let published = output(&runtime, "publish", input.clone());
    assert_eq!(published["delivered"], 1);
    let release = Invoke {
        target: Target::Release(remy_db::ReleaseId(1)),
        ..Invoke::new("publish", input)
    };
    assert_eq!(call(&runtime, release).unwrap().output["delivered"], 0);
    let batch = [(vec!["jobs:1".to_owned()], json!("typing"))];
    let by_page = runtime.events().publish_by(&live, token, &batch);
    assert_eq!(by_page.unwrap(), 1);
    let heard = ear.0.lock().unwrap();
    let data: Vec<_> = heard.iter().map(|event| event["data"].clone()).collect();
    assert_eq!(data, [json!({ "n": 1 }), json!("typing")]);
    assert_eq!(heard[0]["id"], published["id"]);
    for (method, input, code) in [
        (
            "publish",
            json!({ "channels": "a b", "data": 1 }),
            "invalid_channel",
        ),
        (
            "publish",
            json!({ "channels": 5, "data": 1 }),
            "invalid_channel",
        ),
        (
            "publish",
            json!({ "channels": "a", "data": "x".repeat(32 << 10) }),
            "payload_too_large",
        ),
        ("grant", json!({ "channels": [] }), "invalid_channel"),
        (
            "grant",
            json!({ "channels": "a", "options": { "publish": ["b"] } }),
            "invalid_channel",
        ),
    ] {
        assert_eq!(output(&runtime, method, input)["code"], code, "{method}");
    }
    let odd = output(&runtime, "odd", json!({}));
    let codes: Vec<_> = odd
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["code"].clone())
        .collect();
    assert_eq!(
        codes,
        ["invalid_payload", "invalid_payload", "not_supported"]
    );
}
