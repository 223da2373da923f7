//! Bots: what people say to them, and what Discord and Telegram are told of commands.
use super::{
    http::{Reply, Request},
    talk::{club, publish, secret, talk, write},
};
use ed25519_dalek::{Signer as _, SigningKey};
use remy_db_app::outbox::telegram_secret;
use remy_db_runtime::remote::Client;
use remy_db_server::bots::tell;
use remy_tests::{
    fakes::{self, WebServer},
    live::App,
    shell,
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const TOKEN: &str = "123:hush-hush";

/// Discord and Telegram, which answer with a status.
pub struct Services {
    server: WebServer,
    status: Arc<AtomicU16>,
}

impl Services {
    pub fn start() -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let answers = Arc::clone(&status);
        let server = WebServer::start(None, move |_| {
            let status = answers.load(Ordering::SeqCst);
            let reply = fakes::Reply::json(status, &json!({ "ok": status == 200 }));
            match status {
                429 => reply.with("retry-after", "0.05"),
                302 => reply.with("location", "http://127.0.0.1:9/"),
                _ => reply,
            }
        });
        Self { server, status }
    }

    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// What was asked: verb, path and body.
    pub fn heard(&self) -> Vec<(String, String, Value)> {
        let asked = self.server.asked();
        asked
            .iter()
            .map(|it| (it.method.clone(), it.path.clone(), it.json()))
            .collect()
    }
}

fn signing() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn secrets(app: &App, services: &Services) {
    let url = services.server.url();
    for (key, value) in [
        ("DISCORD_APPLICATION_ID", "42"),
        ("DISCORD_BOT_TOKEN", "hush-discord"),
        (
            "DISCORD_PUBLIC_KEY",
            &hex(signing().verifying_key().as_bytes()),
        ),
        ("DISCORD_API_URL", &url),
        ("TELEGRAM_BOT_TOKEN", TOKEN),
        ("TELEGRAM_API_URL", &url),
        ("PUBLIC_URL", "https://shop.example.com/"),
    ] {
        secret(app, key, value);
    }
}

/// The files of the app with a bot of each, whose Discord command greets under this name.
pub fn declare(app: &App, greets: &str) {
    let discord = json!({ "type": "discord", "config": { "commands": [
        { "name": greets, "description": "Greets.", "method": "greet",
          "options": [{ "type": 3, "name": "name", "description": "Whom." }] },
        { "name": "say", "description": "Says.", "method": "echo" },
        { "name": "slow", "description": "Waits.", "method": "slow" },
        { "name": "loud", "description": "Waits.", "method": "slow", "loadingMessage": "One moment" },
        { "name": "refuse", "description": "Throws.", "method": "refuse" },
    ] } });
    let telegram = json!({ "type": "telegram", "config": { "defaultMethod": "echo", "commands": [
        { "command": "/say", "description": "Says.", "method": "echo" },
        { "command": "slow", "description": "Waits.", "method": "slow" },
        { "command": "refuse", "description": "Throws.", "method": "refuse" },
        { "command": "nothing", "description": "Is silent.", "method": "nothing" },
    ] } });
    write(app, &json!([discord, telegram]));
}

fn bots(app: &App, greets: &str) {
    declare(app, greets);
    publish(app);
}

fn live(services: &Services) -> App {
    let app = talk();
    bots(&app, "hello");
    secrets(&app, services);
    app
}

/// Tells services, and returns how many words of it were good.
fn told(app: &App) -> (usize, usize) {
    let said = tell(&app.live, &Client::default()).unwrap();
    let good = said.iter().filter(|said| said.is_told).count();
    assert!(said.iter().all(|said| !said.message.contains("hush")));
    (good, said.len() - good)
}

pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn services_are_told_of_what_is_live_and_the_last_state_wins() {
    let services = Services::start();
    let app = live(&services);
    let lags = || remy_db_app::outbox::wanted(&app.remy(), &app.store("")).unwrap();
    let told_of = || {
        lags()
            .iter()
            .map(|it| (it.service, it.lag().told))
            .collect::<Vec<_>>()
    };
    assert_eq!(told_of(), [("discord", None), ("telegram", None)]);
    assert_eq!(told(&app), (2, 0));
    assert_eq!(told_of(), []);
    let heard = services.heard();
    let paths: Vec<_> = heard
        .iter()
        .map(|(verb, path, _)| format!("{verb} {path}"))
        .collect();
    assert_eq!(
        paths,
        [
            "PUT /applications/42/commands",
            "POST /bot123:hush-hush/setMyCommands",
            "POST /bot123:hush-hush/setWebhook"
        ]
    );
    let asked = services.server.asked();
    assert_eq!(asked[0].header("authorization"), "Bot hush-discord");
    assert_eq!(heard[0].2[0]["name"], "hello");
    assert_eq!(heard[0].2[0]["options"][0]["name"], "name");
    assert_eq!(heard[0].2[0]["method"], Value::Null);
    assert_eq!(
        heard[1].2["commands"][2],
        json!({ "command": "say", "description": "Says." })
    );
    assert_eq!(
        heard[2].2,
        json!({ "url": "https://shop.example.com/_/telegram", "secret_token": telegram_secret(TOKEN) })
    );
    // Nothing has changed, and nothing is told.
    assert_eq!(told(&app), (0, 0));
    bots(&app, "hi");
    bots(&app, "hallo");
    assert_eq!(told(&app), (1, 0));
    let heard = services.heard();
    assert_eq!((heard.len(), &heard[3].2[0]["name"]), (4, &json!("hallo")));
    // By whatever face live is switched, and back as well: no rollback takes back what was told.
    app.rollback(None).unwrap();
    assert_eq!(told_of().len(), 1);
    assert_eq!(told(&app), (1, 0));
    assert_eq!(services.heard()[4].2[0]["name"], "hi");
    // An app without bots.
    write(&app, &json!([]));
    publish(&app);
    assert_eq!(told(&app), (2, 0));
    let heard = services.heard();
    assert_eq!(heard[5].2, json!([]));
    assert_eq!(heard[6].2, json!({ "commands": [] }));
    assert!(heard[7].1.ends_with("/deleteWebhook"));
    assert_eq!(told(&app), (0, 0));
}

#[test]
fn what_fails_is_tried_again_and_stands_in_the_log_without_a_secret() {
    let services = Services::start();
    let app = live(&services);
    services.answer(500);
    assert_eq!(told(&app), (0, 2));
    let lags = remy_db_app::outbox::wanted(&app.remy(), &app.store("")).unwrap();
    let lag = lags[0].lag();
    assert_eq!(
        (lag.attempts, lag.error.as_deref()),
        (1, Some("it has answered 500"))
    );
    assert!(lag.next_at.is_some());
    // No redirect is followed: a token goes where it is meant to go.
    services.answer(302);
    assert_eq!(told(&app), (0, 2));
    services.answer(429);
    assert_eq!(told(&app), (0, 2));
    let before = services.heard().len();
    services.answer(200);
    // A server comes to it by itself.
    let club = club(&app);
    until("a server tells them", || {
        let lags = remy_db_app::outbox::wanted(&app.remy(), &app.store(""));
        lags.unwrap().is_empty()
    });
    assert_eq!(services.heard().len(), before + 3);
    // And to what is published while it serves.
    bots(&app, "bye");
    until("a server tells them", || {
        services
            .heard()
            .last()
            .is_some_and(|(_, _, body)| body[0]["name"] == "bye")
    });
    drop(club);
    let log = app.remy().build_log(Some(remy_db::ReleaseId(2))).unwrap();
    let said: Vec<_> = log
        .iter()
        .filter(|line| {
            line.step == remy_db::Step::Settle && line.object.as_deref() == Some("discord")
        })
        .collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said[0].message.contains("attempt 1") && said[1].message.contains("attempt 2"));
    assert!(said[3].message.contains("has the 5 commands of release 2"));
    let catalog = shell(&app.store("catalog.db"), ".dump");
    assert!(!catalog.contains("hush"));
}

#[test]
fn without_tokens_it_waits_and_says_for_what() {
    let app = talk();
    bots(&app, "hello");
    assert_eq!(told(&app), (0, 0));
    let lags = remy_db_app::outbox::wanted(&app.remy(), &app.store("")).unwrap();
    assert_eq!(
        lags[0].waits_for,
        ["DISCORD_APPLICATION_ID", "DISCORD_BOT_TOKEN"]
    );
    assert_eq!(lags[1].waits_for, ["TELEGRAM_BOT_TOKEN"]);
    secret(&app, "TELEGRAM_BOT_TOKEN", TOKEN);
    secret(&app, "TELEGRAM_API_URL", "http://example.com");
    // A token goes by TLS, or stays on this machine.
    assert_eq!(told(&app), (0, 1));
    // SQL and C leave it in the outbox: what is declared by them waits as well.
    let plain = App::on("CREATE TABLE t (id INTEGER PRIMARY KEY);");
    let effects = json!({ "effects": { "bot_commands": [
        { "platform": "discord", "name": "x", "method": "m", "description": "X." }] } });
    plain
        .publish("CREATE TABLE t (id INTEGER PRIMARY KEY);", &effects)
        .unwrap();
    let remy = plain.remy();
    let lags = remy_db_app::outbox::wanted(&remy, &plain.store("")).unwrap();
    assert_eq!((lags.len(), lags[0].commands), (1, 1));
}

/// An interaction that Discord has signed now.
fn interaction(club: &super::talk::Club, body: &Value) -> Request {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    signed(club, body, &now.to_string())
}

fn signed(club: &super::talk::Club, body: &Value, time: &str) -> Request {
    let signature = signing().sign(format!("{time}{body}").as_bytes());
    let post = club.serving.ask("POST", "/_/discord").json(body);
    post.header("x-signature-ed25519", &hex(&signature.to_bytes()))
        .header("x-signature-timestamp", time)
}

fn command(id: &str, name: &str, options: Value) -> Value {
    json!({ "id": id, "type": 2, "application_id": "42", "token": "tok-en", "channel_id": "c",
        "member": { "user": { "id": "u1", "username": "ada" } }, "data": { "name": name, "options": options } })
}

#[test]
fn interactions_call_methods_and_late_answers_follow() {
    let services = Services::start();
    let app = live(&services);
    let club = club(&app);
    let say = |body: Value| {
        let reply = interaction(&club, &body).send();
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    };
    assert_eq!(say(json!({ "id": "0", "type": 1 })), json!({ "type": 1 }));
    let option = json!([{ "type": 3, "name": "name", "value": "Ada" }]);
    assert_eq!(
        say(command("1", "hello", option)),
        json!({ "type": 4, "data": { "content": "Hello Ada", "allowed_mentions": { "parse": [] } } })
    );
    let echo = say(command("2", "say", json!([])));
    let echo: Value = serde_json::from_str(echo["data"]["content"].as_str().unwrap()).unwrap();
    assert_eq!(echo["input"]["_discord"]["userId"], "u1");
    assert_eq!(
        (&echo["session"]["channel"], &echo["user"]),
        (&json!("discord"), &Value::Null)
    );
    let refused = say(command("3", "refuse", json!([])));
    assert_eq!(
        refused["data"],
        json!({ "content": "Not for sale.", "flags": 64 })
    );
    assert_eq!(say(command("4", "gone", json!([])))["data"]["flags"], 64);
    assert_eq!(say(json!({ "id": "5", "type": 4 }))["type"], 8);
    // Both at once: each takes longer than Discord waits.
    let (slow, loud) = std::thread::scope(|scope| {
        let slow = scope.spawn(|| say(command("6", "slow", json!([]))));
        let loud = scope.spawn(|| say(command("7", "loud", json!([]))));
        (slow.join().unwrap(), loud.join().unwrap())
    });
    assert_eq!(slow, json!({ "type": 5 }));
    assert_eq!(loud["data"]["content"], "One moment");
    let follow_ups = || {
        let heard = services.heard();
        heard
            .into_iter()
            .filter(|(verb, ..)| verb == "PATCH")
            .collect::<Vec<_>>()
    };
    until("both are answered", || follow_ups().len() == 2);
    let (_, path, message) = &follow_ups()[0];
    assert_eq!(path, "/webhooks/42/tok-en/messages/@original");
    assert_eq!(message["content"], "waited 3000");
}

#[test]
fn what_discord_has_not_signed_calls_nothing() {
    let services = Services::start();
    let app = live(&services);
    let club = club(&app);
    let body = command("1", "hello", json!([]));
    let code = |reply: Reply| {
        (
            reply.status,
            reply.json()["code"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let no = (401, "invalid_signature".to_owned());
    assert_eq!(
        code(club.serving.ask("POST", "/_/discord").json(&body).send()),
        no
    );
    let other = interaction(&club, &body).json(&command("1", "say", json!([])));
    assert_eq!(code(other.send()), no);
    let forged = interaction(&club, &body).header("x-signature-ed25519", &"0".repeat(128));
    assert_eq!(code(forged.send()), no);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    for time in [
        (now - 400).to_string(),
        (now + 400).to_string(),
        String::new(),
        "x".to_owned(),
    ] {
        assert_eq!(code(signed(&club, &body, &time).send()), no, "{time}");
    }
    // The same once more.
    let once = interaction(&club, &body);
    assert_eq!(once.clone().send().status, 200);
    assert_eq!(code(once.send()), (409, "replayed".to_owned()));
    let large = club
        .serving
        .ask("POST", "/_/discord")
        .body(vec![b'x'; (1 << 20) + 1]);
    assert_eq!(large.send().status, 413);
    write(&app, &json!([]));
    publish(&app);
    for path in ["/_/discord", "/_/telegram"] {
        assert_eq!(
            code(club.serving.ask("POST", path).send()),
            (404, "not_found".to_owned())
        );
    }
}

#[test]
fn updates_call_methods_once() {
    let services = Services::start();
    let app = live(&services);
    let club = club(&app);
    let update = |id: u32, text: &str| {
        json!({ "update_id": id, "message": { "message_id": 9, "text": text, "chat": { "id": -5, "type": "group" },
            "from": { "id": 7, "first_name": "Ada" } } })
    };
    let post = |secret: &str, body: &Value| {
        let post = club.serving.ask("POST", "/_/telegram").json(body);
        post.header("x-telegram-bot-api-secret-token", secret)
            .send()
    };
    let known = telegram_secret(TOKEN);
    let say = |id: u32, text: &str| {
        let reply = post(&known, &update(id, text));
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    };
    let said = say(1, "/say@my_bot two eggs");
    assert_eq!(
        (&said["method"], &said["chat_id"]),
        (&json!("sendMessage"), &json!(-5))
    );
    let echo: Value = serde_json::from_str(said["text"].as_str().unwrap()).unwrap();
    assert_eq!(echo["input"]["text"], "two eggs");
    assert_eq!(echo["input"]["_telegram"]["firstName"], "Ada");
    let free = say(2, "good morning");
    assert!(free["text"].as_str().unwrap().contains("good morning"));
    assert_eq!(say(3, "/refuse")["text"], "Not for sale.");
    assert_eq!(say(4, "/nothing"), json!({}));
    assert_eq!(say(1, "/say again"), json!({}), "it has come before");
    assert_eq!(
        post(&known, &json!({ "update_id": 5, "edited_message": {} })).json(),
        json!({})
    );
    assert_eq!(say(6, "/slow"), json!({}));
    until("it is answered later", || {
        services.heard().last().is_some_and(|(_, path, body)| {
            path.ends_with("/sendMessage")
                && body == &json!({ "chat_id": -5, "text": "waited 3000" })
        })
    });
    for forged in ["", "x", &known[1..], TOKEN] {
        let refused = post(forged, &update(7, "/say x"));
        assert_eq!(refused.refusal(), (401, "unknown_secret".to_owned()));
    }
    assert_eq!(
        club.serving
            .ask("POST", "/_/telegram")
            .json(&update(8, "/say"))
            .send()
            .status,
        401
    );
    let cut = club
        .serving
        .ask("POST", "/_/telegram")
        .header("x-telegram-bot-api-secret-token", &known);
    assert_eq!(
        cut.body("{\"update_id\":").send().refusal(),
        (400, "invalid_json".to_owned())
    );
}
