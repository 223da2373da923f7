//! Signing in: by a code, for as long as the cookie lasts, and what a rollback leaves of it.
use super::{
    Serving,
    http::{Reply, Request},
    shop::{BUILD, preview},
    told,
};
use remy_db_runtime::secrets::{For, Secrets, Whose};
use remy_db_server::{Settings, ShowCode};
use remy_tests::{
    fakes::{Letter, Mail, MailServer, Reply as Answer, WebServer},
    live::App,
    publish_in, shell,
};
use serde_json::{Value, json};
use std::{
    process::Command,
    sync::{Arc, Mutex},
};

const MANIFEST: &str = r#"{
  "name": "members",
  "roles": [{ "id": "admin" }],
  "auth": { "enabled": true, "methods": ["email-code", "sms-code", "api-key"],
    "table": { "name": "people", "columns": { "email": "email", "phone": "phone", "roles": "roles", "apiKey": "apiKey" } } },
  "tables": [{ "path": "src/members.ts", "export": "People" }],
  "methods": [{ "id": "whoami", "path": "src/members.ts", "export": "whoami" }, { "id": "grant", "path": "src/members.ts", "export": "grant" }, { "id": "publish", "path": "src/members.ts", "export": "publish" }],
  "interfaces": [{ "type": "web", "path": "web/web.json" }]
}"#;

const METHODS: &str = r#"
import { auth, db, events, session } from '@mindstudio-ai/agent';
export const People = db.defineTable<{ email?: string; phone?: string; roles?: string[]; apiKey?: string; name?: string }>('people');
export async function whoami() {
  return { user: auth.userId, roles: auth.roles, visitor: session.visitorId };
}
export const grant = (input: any) => events.grant(input.channels, input.options);
export const publish = (input: any) => events.publish(input.channels, input.data);
"#;

/// An app that people sign in to, live.
pub fn members() -> App {
    let app = App::empty();
    app.file("members/mindstudio.json", MANIFEST);
    app.file("members/src/members.ts", METHODS);
    app.file("members/web/web.json", r#"{ "web": {} }"#);
    app.file(
        "members/web/package.json",
        r#"{ "name": "members-web", "type": "module", "scripts": { "build": "node build.mjs" } }"#,
    );
    app.file("members/web/build.mjs", BUILD);
    app.file("members/web/public/robots.txt", "User-agent: *\n");
    app.file("members/web/main.js", "console.log('x')");
    publish(&app);
    app
}

pub fn publish(app: &App) {
    let outcome = publish_in(&app.dir.path().join("members"), Some(&app.live), None);
    assert_eq!(outcome.unwrap().status.as_str(), "live");
}

fn secret(app: &App, key: &str, value: &str) {
    let secrets = Secrets::of(&app.store(""));
    secrets.set(key, Whose::Server, For::Both, value).unwrap();
}

/// The app, its server, and a mail server that it sends by.
struct Lab {
    /// It ends before its database goes.
    serving: Serving,
    mail: MailServer,
    app: App,
}

fn lab() -> Lab {
    let app = members();
    let mail = MailServer::start(Mail::default());
    secret(
        &app,
        "SMTP_URL",
        &format!("smtp://127.0.0.1:{}?from=hello@example.com", mail.port),
    );
    let serving = Serving::of(&app.live, Settings::default());
    Lab { app, serving, mail }
}

/// A browser that is at one place.
struct Browser<'a> {
    serving: &'a Serving,
    host: String,
    cookies: Mutex<Vec<(String, String)>>,
    token: Mutex<String>,
}

impl Lab {
    fn browser(&self) -> Browser<'_> {
        self.browser_at("localhost")
    }

    fn browser_at(&self, name: &str) -> Browser<'_> {
        Browser {
            serving: &self.serving,
            host: format!("{name}:{}", self.serving.address.port()),
            cookies: Mutex::default(),
            token: Mutex::default(),
        }
    }

    /// The code that the last letter has, of so many.
    fn code(&self, letters: usize) -> String {
        code(&self.mail.wait_for(letters)[letters - 1])
    }
}

fn code(letter: &Letter) -> String {
    let subject = letter
        .text
        .lines()
        .find_map(|line| line.strip_prefix("Subject: "));
    subject.unwrap().split(' ').next().unwrap().to_owned()
}

impl Browser<'_> {
    fn send(&self, request: Request) -> Reply {
        let cookies: Vec<_> = self
            .cookies
            .lock()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = request.header("host", &self.host);
        if !cookies.is_empty() {
            request = request.header("cookie", &cookies.join("; "));
        }
        let reply = request.send();
        for (_, cookie) in reply
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
        {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            cookies.retain(|(known, _)| known != name);
            if !cookie.contains("Max-Age=0;") {
                cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        reply
    }

    /// Loads the page, and returns what it is told.
    fn load(&self) -> Value {
        let page = told(&self.send(self.serving.ask("GET", "/")));
        *self.token.lock().unwrap() = page["token"].as_str().unwrap().to_owned();
        page
    }

    /// As the page asks: a bundle that it gets takes the place of what it was told.
    fn post(&self, path: &str, body: &Value) -> Reply {
        let token = self.token.lock().unwrap().clone();
        let reply = self.send(self.serving.ask("POST", path).bearer(&token).json(body));
        let bundle = reply.json();
        if let Some(token) = bundle["token"].as_str() {
            *self.token.lock().unwrap() = token.to_owned();
        }
        reply
    }

    fn ok(&self, path: &str, body: &Value) -> Value {
        let reply = self.post(path, body);
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.json()
    }

    fn no(&self, path: &str, body: &Value) -> (u16, String) {
        let reply = self.post(path, body);
        (
            reply.status,
            reply.json()["code"].as_str().unwrap_or_default().to_owned(),
        )
    }

    fn whoami(&self) -> Value {
        self.ok("/_/methods/whoami/invoke", &json!({}))["output"].clone()
    }

    fn me(&self) -> Value {
        self.send(self.serving.ask("GET", "/_/auth/me?releaseId=1"))
            .json()
    }

    /// Signs in, where `letters` have come before.
    fn sign_in(&self, lab: &Lab, address: &str) -> Value {
        self.load();
        let letters = lab.mail.letters().len();
        let sent = self.ok("/_/auth/email/send", &json!({ "email": address }));
        let code = lab.code(letters + 1);
        let given =
            json!({ "verificationId": sent["verificationId"], "code": code, "embedded": false });
        self.ok("/_/auth/email/verify", &given)
    }
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Another code than this.
fn wrong(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

#[test]
fn who_has_the_code_is_signed_in_until_they_sign_out() {
    let lab = lab();
    let browser = lab.browser();
    let page = browser.load();
    assert_eq!(
        (&page["user"], &browser.whoami()["user"]),
        (&Value::Null, &Value::Null)
    );
    let before = browser.token.lock().unwrap().clone();
    let sent = browser.ok(
        "/_/auth/email/send",
        &json!({ "email": " Ann@Example.org" }),
    );
    let letter = lab.mail.wait_for(1).pop().unwrap();
    assert_eq!(letter.to, ["ann@example.org"]);
    let given = json!({ "verificationId": sent["verificationId"], "code": code(&letter) });
    let reply = browser.post("/_/auth/email/verify", &given);
    let cookie = reply.header("set-cookie").unwrap();
    for part in [
        "__ms_auth=ms_auth_",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Path=/",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let bundle = reply.json();
    let user = bundle["user"]["id"].as_str().unwrap();
    assert_eq!(
        (
            &bundle["user"]["email"],
            &bundle["user"]["roles"],
            &bundle["visitorId"]
        ),
        (&json!("ann@example.org"), &json!([]), &json!(user))
    );
    assert!(bundle["user"]["createdAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(bundle["methods"]["whoami"], "whoami");
    assert_eq!(
        browser.whoami(),
        json!({ "user": user, "roles": [], "visitor": user })
    );
    // A page that is loaded, and one that asks, is the same user's; what was open before is nobody's.
    assert_eq!(browser.load()["user"], bundle["user"]);
    assert_eq!(browser.me()["user"], bundle["user"]);
    let earlier = lab.serving.call(&before, "whoami", &json!({})).json();
    assert_eq!(earlier["output"]["user"], Value::Null);
    let signed_in = browser.token.lock().unwrap().clone();
    let cookies = browser.cookies.lock().unwrap().clone();
    let out = browser.ok("/_/auth/logout", &json!({}));
    assert_eq!(
        (&out["user"], &browser.whoami()["user"]),
        (&Value::Null, &Value::Null)
    );
    // Neither an open page nor the cookie is anybody's any more.
    let open = lab.serving.call(&signed_in, "whoami", &json!({})).json();
    assert_eq!(open["output"]["user"], Value::Null);
    *browser.cookies.lock().unwrap() = cookies;
    assert_eq!(
        (&browser.load()["user"], browser.me().get("user")),
        (&Value::Null, None)
    );
    // The second time it is the same user.
    assert_eq!(browser.sign_in(&lab, "ANN@example.org")["user"]["id"], user);
    // Nothing of it can be used by who reads the store.
    let token = browser.token.lock().unwrap().clone();
    let grep = Command::new("grep")
        .args(["-rlaE", &format!("{token}|ms_auth_[A-Za-z0-9_-]{{43}}")])
        .arg(lab.app.store(""))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "");
}

#[test]
fn known_and_unknown_addresses_are_answered_alike() {
    let lab = lab();
    shell(
        &lab.app.live,
        "INSERT INTO people (id, email, roles) VALUES ('1', 'Known@example.org', '[\"admin\"]')",
    );
    let browser = lab.browser();
    browser.load();
    let shape = |address: &str| {
        let sent = browser.ok("/_/auth/email/send", &json!({ "email": address }));
        let keys: Vec<String> = sent.as_object().unwrap().keys().cloned().collect();
        (keys, sent["verificationId"].as_str().unwrap().len())
    };
    assert_eq!(shape("known@example.org"), shape("nobody@example.org"));
    let text = |letter: &Letter| {
        let (_, body) = letter.text.split_once("\n\n").unwrap();
        body.replace(&code(letter), "CODE")
    };
    let letters = lab.mail.wait_for(2);
    assert_eq!(text(&letters[0]), text(&letters[1]));
    assert_eq!(
        shell(&lab.app.live, "SELECT count(*) FROM people"),
        "1\n",
        "nobody is made by asking"
    );
    let known = browser.sign_in(&lab, "known@example.org");
    assert_eq!(
        (&known["user"]["id"], &known["user"]["roles"]),
        (&json!("1"), &json!(["admin"]))
    );
}

#[test]
fn codes_are_not_guessed() {
    let lab = lab();
    let browser = lab.browser();
    browser.load();
    let send = || browser.ok("/_/auth/email/send", &json!({ "email": "a@example.org" }));
    let try_ = |sent: &Value, code: &str| {
        browser.no(
            "/_/auth/email/verify",
            &json!({ "verificationId": sent["verificationId"], "code": code }),
        )
    };
    let first = send();
    let old = lab.code(1);
    let second = send();
    let new = lab.code(2);
    assert_eq!(try_(&first, &old), refused(400, "verification_expired"));
    for _ in 0..3 {
        assert_eq!(try_(&second, &wrong(&new)), refused(400, "invalid_code"));
    }
    assert_eq!(try_(&second, &new), refused(400, "max_attempts_exceeded"));
    for _ in 0..3 {
        send();
    }
    let sixth = browser.post("/_/auth/email/send", &json!({ "email": "a@example.org" }));
    assert_eq!(
        (sixth.status, sixth.json()["code"].as_str()),
        (429, Some("rate_limited"))
    );
    assert!(sixth.header("retry-after").is_some());
    for (path, body, code) in [
        ("send", json!({ "email": "nobody" }), "invalid_email"),
        (
            "send",
            json!({ "email": "a@x.org\r\nBcc: b@x.org" }),
            "invalid_email",
        ),
        ("send", json!({}), "invalid_body"),
        (
            "verify",
            json!({ "verificationId": "x", "code": "123456" }),
            "verification_expired",
        ),
        (
            "verify",
            json!({ "verificationId": 1, "code": "123456" }),
            "invalid_body",
        ),
    ] {
        assert_eq!(
            browser.no(&format!("/_/auth/email/{path}"), &body),
            refused(400, code),
            "{body}"
        );
    }
    assert_eq!(browser.whoami()["user"], Value::Null);
    *browser.token.lock().unwrap() = "ms_iface_forged".to_owned();
    let forged = browser.no("/_/auth/email/send", &json!({ "email": "b@example.org" }));
    assert_eq!(forged, refused(401, "invalid_session"));
}

#[test]
fn the_known_code_of_test_users_is_none_on_live_and_on_previews() {
    let lab = lab();
    preview(&lab.app, "members", "red");
    for place in ["localhost", "red.localhost"] {
        let browser = lab.browser_at(place);
        browser.load();
        let letters = lab.mail.letters().len();
        let sent = browser.ok(
            "/_/auth/email/send",
            &json!({ "email": "remy@mindstudio.ai" }),
        );
        // It may be the one in a million.
        if lab.code(letters + 1) != "123456" {
            let given = json!({ "verificationId": sent["verificationId"], "code": "123456" });
            assert_eq!(
                browser.no("/_/auth/email/verify", &given),
                refused(400, "invalid_code"),
                "{place}"
            );
        }
        let phone = browser.no("/_/auth/sms/send", &json!({ "phone": "+15555555555" }));
        assert_eq!(phone, refused(400, "not_supported"), "{place}");
    }
}

#[test]
fn a_preview_has_users_and_logins_of_its_own() {
    let lab = lab();
    preview(&lab.app, "members", "red");
    let live = lab.browser();
    live.sign_in(&lab, "a@example.org");
    let preview = lab.browser_at("red.localhost");
    // A browser keeps them apart; who means no good does not.
    *preview.cookies.lock().unwrap() = live.cookies.lock().unwrap().clone();
    assert_eq!(
        (&preview.load()["user"], preview.me().get("user")),
        (&Value::Null, None)
    );
    let token = live.token.lock().unwrap().clone();
    *preview.token.lock().unwrap() = token;
    assert_eq!(
        preview.no("/_/methods/whoami/invoke", &json!({})),
        refused(401, "invalid_session")
    );
    let there = preview.sign_in(&lab, "a@example.org");
    assert_ne!(there["user"]["id"], live.whoami()["user"]);
}

#[test]
fn a_rollback_takes_users_and_brings_nothing_back_that_was_revoked() {
    let lab = lab();
    let early = lab.browser();
    let early_user = early.sign_in(&lab, "early@example.org")["user"]["id"].clone();
    let key = early.ok("/_/auth/api-key/create", &json!({}));
    publish(&lab.app);
    let late = lab.browser();
    late.sign_in(&lab, "late@example.org");
    let revoked = lab.browser();
    revoked.sign_in(&lab, "early@example.org");
    let cookies = revoked.cookies.lock().unwrap().clone();
    revoked.ok("/_/auth/logout", &json!({}));
    early.ok("/_/auth/api-key/revoke", &json!({}));
    lab.app.rollback(None).unwrap();
    // Whose row is gone is nobody, on open pages and on those that come; all else goes on.
    assert_eq!(
        (&late.whoami()["user"], &late.load()["user"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        late.no("/_/auth/api-key/create", &json!({})),
        refused(401, "not_authenticated")
    );
    assert_eq!(
        (&early.whoami()["user"], &early.load()["user"]["id"]),
        (&early_user, &early_user)
    );
    *revoked.cookies.lock().unwrap() = cookies;
    assert_eq!(revoked.load()["user"], Value::Null);
    // The row shows the key again, and it is none.
    let shown = early.me()["user"]["apiKey"].clone();
    assert_eq!(shown, key["apiKey"]);
    let kept = shell(&lab.app.store("server.db"), "SELECT count(*) FROM keys");
    assert_eq!(kept, "0\n");
}

#[test]
fn an_address_is_changed_by_who_has_the_new_one() {
    let lab = lab();
    let browser = lab.browser();
    browser.load();
    let new = json!({ "newEmail": "new@example.org" });
    assert_eq!(
        browser.no("/_/auth/email/change", &new),
        refused(401, "not_authenticated")
    );
    let user = browser.sign_in(&lab, "old@example.org")["user"]["id"].clone();
    let other = lab.browser();
    other.sign_in(&lab, "other@example.org");
    assert_eq!(browser.ok("/_/auth/email/change", &new), json!({}));
    let code = lab.code(3);
    let confirm = |browser: &Browser<'_>, address: &str, code: &str| {
        let reply = browser.post(
            "/_/auth/email/change/confirm",
            &json!({ "newEmail": address, "code": code }),
        );
        (reply.status, reply.json())
    };
    assert_eq!(
        confirm(&other, "new@example.org", &code).1["code"],
        "verification_expired"
    );
    assert_eq!(
        confirm(&browser, "new@example.org", &wrong(&code)).1["code"],
        "invalid_code"
    );
    let (status, bundle) = confirm(&browser, "New@example.org", &code);
    assert_eq!(
        (status, &bundle["user"]["email"], &bundle["user"]["id"]),
        (200, &json!("new@example.org"), &user)
    );
    assert_eq!(browser.whoami()["user"], user);
    // One that is another's already.
    browser.ok(
        "/_/auth/email/change",
        &json!({ "newEmail": "other@example.org" }),
    );
    let (status, taken) = confirm(&browser, "other@example.org", &lab.code(4));
    assert_eq!((status, &taken["code"]), (400, &json!("invalid_state")));
    assert_eq!(
        shell(
            &lab.app.live,
            "SELECT group_concat(email) FROM (SELECT email FROM people ORDER BY email)"
        ),
        "new@example.org,other@example.org\n"
    );
}

#[test]
fn a_key_is_shown_once_and_kept_as_its_hash() {
    let lab = lab();
    let browser = lab.browser();
    browser.load();
    assert_eq!(
        browser.no("/_/auth/api-key/create", &json!({})),
        refused(401, "not_authenticated")
    );
    browser.sign_in(&lab, "a@example.org");
    let made = browser.ok("/_/auth/api-key/create", &json!({}));
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("sk_") && key.len() > 40, "{key}");
    assert_eq!(
        shell(&lab.app.live, "SELECT apiKey FROM people"),
        format!("{}\n", made["apiKey"].as_str().unwrap())
    );
    assert_eq!(browser.load()["user"]["apiKey"], made["apiKey"]);
    let second = browser.ok("/_/auth/api-key/create", &json!({}));
    assert_ne!(second["key"], made["key"]);
    let grep = Command::new("grep")
        .args(["-rla", key])
        .arg(lab.app.dir.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "");
    assert_eq!(browser.ok("/_/auth/api-key/revoke", &json!({})), json!({}));
    assert_eq!(
        shell(&lab.app.live, "SELECT apiKey IS NULL FROM people"),
        "1\n"
    );
}

#[test]
fn without_a_way_to_send_it_is_said_what_to_set_unless_codes_are_shown() {
    let app = members();
    let serving = Serving::of(&app.live, Settings::default());
    let lab = Lab {
        app,
        serving,
        mail: MailServer::start(Mail::default()),
    };
    let browser = lab.browser();
    browser.load();
    for (path, body, key) in [
        ("email", json!({ "email": "a@example.org" }), "SMTP_URL"),
        ("sms", json!({ "phone": "+4915112345678" }), "SMS_URL"),
    ] {
        let reply = browser.post(&format!("/_/auth/{path}/send"), &body);
        let said = reply.json();
        assert_eq!(
            (reply.status, &said["code"]),
            (400, &json!("not_supported"))
        );
        assert!(said["error"].as_str().unwrap().contains(key), "{said}");
    }
    let sms = WebServer::start(None, |_| Answer::json(200, &json!({})));
    secret(
        &lab.app,
        "SMS_URL",
        &format!("{}/send?key=geheim12", sms.url()),
    );
    let sent = browser.ok("/_/auth/sms/send", &json!({ "phone": "+49 151 12345678" }));
    let message = sms.asked()[0].json();
    assert_eq!(message["to"], "+4915112345678");
    let code = message["message"]
        .as_str()
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let given = json!({ "verificationId": sent["verificationId"], "code": code });
    let bundle = browser.ok("/_/auth/sms/verify", &given);
    assert_eq!(bundle["user"]["phone"], "+4915112345678");
    secret(&lab.app, "SMS_URL", "http://sms.example.com/geheim12");
    let clear = browser.post("/_/auth/sms/send", &json!({ "phone": "+4915112345679" }));
    assert!(!clear.text().contains("geheim12"), "{clear:?}");
    assert_eq!(clear.json()["code"], "not_supported");
    let Lab { app, serving, .. } = lab;
    drop(serving);
    let shown: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let heard = shown.clone();
    let show = move |address: &str, code: &str| {
        heard
            .lock()
            .unwrap()
            .push((address.to_owned(), code.to_owned()))
    };
    let settings = Settings {
        show_code: Some(ShowCode(Arc::new(show))),
        ..Settings::default()
    };
    let serving = Serving::of(&app.live, settings);
    let lab = Lab {
        app,
        serving,
        mail: MailServer::start(Mail::default()),
    };
    let browser = lab.browser();
    browser.load();
    let sent = browser.ok("/_/auth/email/send", &json!({ "email": "a@example.org" }));
    let (address, code) = shown.lock().unwrap()[0].clone();
    assert_eq!(address, "a@example.org");
    let given = json!({ "verificationId": sent["verificationId"], "code": code });
    browser.ok("/_/auth/email/verify", &given);
}

#[test]
fn the_test_user_and_their_code_are_of_dev_sessions_alone() {
    let lab = lab();
    preview(&lab.app, "members", "red");
    for (letters, place) in ["localhost", "red.localhost"].into_iter().enumerate() {
        let browser = lab.browser_at(place);
        browser.load();
        let address = json!({ "email": "remy@mindstudio.ai" });
        let sent = browser.ok("/_/auth/email/send", &address);
        // It is an address as any other: a code goes there, and it is another one.
        let code = lab.code(letters + 1);
        let given = json!({ "verificationId": sent["verificationId"], "code": "123456" });
        let refused = browser.no("/_/auth/email/verify", &given);
        assert!(
            code == "123456" || refused == (400, "invalid_code".to_owned()),
            "{place}"
        );
    }
    // Nobody is it either who does not sign in.
    let browser = lab.browser();
    browser.load();
    assert_eq!(browser.whoami()["user"], Value::Null);
}
