//! Files that people upload and methods keep, and how they are served.
use super::{
    Serving,
    ending::{Program, command},
    faults::Disk,
    http::{Reply, Request},
    shop,
    talk::{self, Club, club, club_by, secret, talk},
    token, told,
};
use remy_db::Options;
use remy_db_runtime::{
    files::{Access, Files, Place},
    target::Target,
};
use remy_db_server::{Limits, Log, Settings};
use remy_tests::{browser::Browser, live::App, not_covered, publish_with, repository, shell};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// Leave to upload a file.
fn leave(serving: &Serving, filename: &str, kind: &str) -> Value {
    let page = serving.page();
    let ask = serving.ask("POST", "/_/generate-upload-request");
    let ask = ask
        .bearer(token(&page))
        .json(&json!({ "filename": filename, "contentType": kind }));
    let reply = ask.send();
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// A form with a token, and a file.
fn form(serving: &Serving, token: &str, file: &[u8]) -> Request {
    let mut body = format!(
        "--b\r\ncontent-disposition: form-data; name=\"token\"\r\n\r\n{token}\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"x\"\r\ncontent-type: text/html\r\n\r\n"
    )
    .into_bytes();
    body.extend(file);
    body.extend(b"\r\n--b--\r\n");
    let post = serving.ask("POST", "/_/upload");
    post.header("content-type", "multipart/form-data; boundary=b")
        .body(body)
}

fn upload(serving: &Serving, leave: &Value, file: &[u8]) -> Reply {
    form(
        serving,
        leave["uploadFields"]["token"].as_str().unwrap(),
        file,
    )
    .send()
}

/// The path of a URL of this server's.
fn path<'a>(serving: &Serving, url: &'a Value) -> &'a str {
    let base = format!("http://localhost:{}", serving.address.port());
    url.as_str().unwrap().strip_prefix(&base).unwrap()
}

/// Every file below a folder, if that is there.
fn below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap().path();
        match entry.is_dir() {
            true => all.extend(below(&entry)),
            false => all.push(entry),
        }
    }
    all
}

#[test]
fn what_a_page_uploads_is_served_and_is_nobodys_page() {
    let app = talk();
    let club = club(&app);
    let serving = &club.serving;
    let png = leave(serving, "my picture.png", "image/png");
    assert!(path(serving, &png["uploadUrl"]).starts_with("/_/upload"));
    let at = path(serving, &png["publicUrl"]);
    assert!(at.ends_with("/my%20picture.png"), "{at}");
    assert_eq!(serving.get(at).status, 404);
    assert_eq!(upload(serving, &png, b"0123456789").status, 200);
    let got = serving.get(at);
    assert_eq!((got.status, &got.body[..]), (200, &b"0123456789"[..]));
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-security-policy", "sandbox"),
        ("x-content-type-options", "nosniff"),
        (
            "content-disposition",
            "inline; filename*=UTF-8''my%20picture.png",
        ),
    ] {
        assert_eq!(got.header(name), Some(value));
    }
    let part = serving.ask("GET", at).header("range", "bytes=2-4").send();
    assert_eq!((part.status, &part.body[..]), (206, &b"234"[..]));
    let same = serving
        .ask("GET", at)
        .header("if-none-match", got.header("etag").unwrap());
    assert_eq!(same.send().status, 304);
    let head = serving.ask("HEAD", at).send();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("10"))
    );
    // Also where a page of another site shows it.
    let foreign = serving
        .ask("GET", at)
        .header("sec-fetch-site", "cross-site");
    assert_eq!(foreign.send().status, 200);
    for kind in ["text/html", "image/svg+xml", "application/xhtml+xml"] {
        let leave = leave(serving, "x.html", kind);
        assert_eq!(
            upload(serving, &leave, b"<script>alert(1)</script>").status,
            200
        );
        let got = serving.get(path(serving, &leave["publicUrl"]));
        let way = got.header("content-disposition").unwrap();
        assert!(way.starts_with("attachment"), "{kind}: {way}");
        assert_eq!(got.header("content-security-policy"), Some("sandbox"));
    }
    // Under names that nobody gave, for their owner alone.
    let folder = app.store("files");
    for file in below(&folder) {
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(!file.to_string_lossy().contains("picture"), "{file:?}");
    }
    assert_eq!(below(&folder).len(), 4);
    assert_eq!(
        fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o700
    );
    // It outlives a rollback, and the server.
    drop(club);
    let club = talk::club(&app);
    assert_eq!(club.serving.get(at).status, 200);
}

#[test]
fn a_leave_is_for_one_file_once_and_nothing_is_left_of_what_fails() {
    let app = talk();
    let limits = Limits {
        file_bytes: 1 << 20,
        ..Limits::default()
    };
    let club = club_by(
        &app,
        Settings {
            limits,
            ..Settings::default()
        },
    );
    let serving = &club.serving;
    let nobody = serving.ask("POST", "/_/generate-upload-request");
    let nobody = nobody.json(&json!({ "filename": "x", "contentType": "image/png" }));
    assert_eq!(nobody.send().refusal(), (401, "auth_required".to_owned()));
    let page = serving.page();
    let wrong = serving
        .ask("POST", "/_/generate-upload-request")
        .bearer(token(&page));
    let wrong = wrong.json(&json!({ "filename": "x", "contentType": "image/png\r\nx: y" }));
    assert_eq!(
        wrong.send().refusal(),
        (400, "content_type_not_allowed".to_owned())
    );
    let leave = leave(serving, "../../x", "text/plain");
    assert!(path(serving, &leave["publicUrl"]).ends_with("/x"));
    let token = leave["uploadFields"]["token"].as_str().unwrap();
    for forged in ["", "up_forged", &token[..20]] {
        let refused = form(serving, forged, b"x").send();
        assert_eq!(
            refused.refusal(),
            (403, "invalid_token".to_owned()),
            "{forged}"
        );
    }
    let large = form(serving, token, &vec![b'x'; 2 << 20]).send();
    assert_eq!(large.refusal(), (413, "file_too_large".to_owned()));
    // Cut off within the file, and before its end.
    let whole = form(serving, token, &vec![b'x'; 1000]);
    let bytes = whole.bytes();
    let mut cut = super::http::connect(serving.address);
    cut.write_all(&bytes[..bytes.len() - 500]).unwrap();
    drop(cut);
    let no_end = form(serving, token, b"x")
        .body("--b\r\ncontent-disposition: form-data; name=\"token\"\r\n\r\n");
    assert_eq!(no_end.send().refusal(), (400, "invalid_body".to_owned()));
    let no_form = form(serving, token, b"x").header("content-type", "application/json");
    assert_eq!(no_form.send().refusal().0, 400);
    let began = Instant::now();
    while !below(&app.store("files")).is_empty() {
        assert!(began.elapsed().as_secs() < 20, "something was left");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(upload(serving, &leave, b"fine").status, 200);
    let again = upload(serving, &leave, b"evil");
    assert_eq!(again.refusal(), (403, "invalid_token".to_owned()));
    assert_eq!(
        serving.get(path(serving, &leave["publicUrl"])).body,
        b"fine"
    );
}

#[test]
fn keys_are_no_paths() {
    let app = talk();
    let club = club(&app);
    fs::create_dir_all(app.store("files")).unwrap();
    fs::write(app.store("files/secret"), "hush").unwrap();
    for path in [
        "/_/files/public/uploads/..%2f..%2fserver.db",
        "/_/files/public/..%2f/secret",
        "/_/files/public/uploads/%2e%2e/%2e%2e/secret",
        "/_/files/private/x/y",
        "/_/files/new/x/y",
        "/_/files/public/uploads/%00",
        "/_/files/public/uploads/%ff",
    ] {
        let status = club.serving.get(path).status;
        assert!(matches!(status, 400 | 401 | 404), "{path}: {status}");
    }
    let private = club.serving.get("/_/files/private/x/y");
    assert_eq!(private.refusal(), (401, "not_authenticated".to_owned()));
    // Who has signed in may look, and finds nothing.
    let member = club.member("ada@example.org");
    let look = club
        .serving
        .ask("GET", "/_/files/private/x/y")
        .bearer(token(&member));
    assert_eq!(look.send().status, 404);
}

/// A verb of private files, by a page.
fn papers(club: &Club, verb: &str, args: &Value) -> Value {
    let serving = &club.serving;
    let input = json!({ "verb": verb, "args": args });
    let reply = serving.call(token(&serving.page()), "papers", &input);
    assert_eq!(reply.status, 200, "{verb}: {reply:?}");
    reply.json()["output"].take()
}

/// The server of an app that has the private files `a b.txt` and `b`, and the path of the former.
fn with_papers(settings: Settings) -> (App, Club, String) {
    let app = talk();
    let club = club_by(&app, settings);
    let put = json!(["hush", { "key": "a b.txt", "contentType": "text/plain" }]);
    let put = papers(&club, "put", &put);
    papers(&club, "put", &json!(["other", { "key": "b" }]));
    let at = put["url"].as_str().unwrap().to_owned();
    (app, club, at)
}

#[test]
fn a_private_file_is_for_who_has_signed_in_and_who_has_a_link() {
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&lines);
    let log = Log::new(move |line: &Value| log.lock().unwrap().push(line.to_string()));
    let (app, club, at) = with_papers(Settings {
        log,
        ..Settings::default()
    });
    let serving = &club.serving;
    let nobody = serving.get(&at).refusal();
    assert_eq!(nobody, (401, "not_authenticated".to_owned()));
    let member = club.member("ada@example.org");
    let read = serving.ask("GET", &at).bearer(token(&member)).send();
    assert_eq!((read.status, read.text().as_str()), (200, "hush"));
    assert_eq!(read.header("cache-control"), Some("private, no-cache"));

    let link = papers(&club, "shareUrl", &json!(["a b.txt"]));
    let link = path(serving, &link).to_owned();
    let got = serving.get(&link);
    assert_eq!((got.status, got.text().as_str()), (200, "hush"));
    assert_eq!(got.header("content-security-policy"), Some("sandbox"));
    let part = serving.ask("GET", &link).header("range", "bytes=1-2");
    let part = part.send();
    assert_eq!((part.status, part.text().as_str()), (206, "us"));
    // Wherever it is shown.
    let by_another = |path: &str| {
        let shown = serving.ask("GET", path);
        let shown = shown.header("sec-fetch-site", "cross-site");
        shown.header("origin", "https://example.net").send()
    };
    assert_eq!(by_another(&link).status, 200);
    let bare = by_another(&at).refusal();
    assert_eq!(bare, (403, "foreign_origin".to_owned()));
    // A server that comes later knows it, and no log has it.
    drop(club);
    let later = talk::club(&app);
    assert_eq!(later.serving.get(&link).status, 200);
    drop(later);
    let lines = lines.lock().unwrap().join("\n");
    let records = shell(&app.store("calls.db"), "SELECT path FROM requests");
    for told in [lines, records] {
        assert!(told.contains("/_/files/private/papers/"), "{told}");
        assert!(!told.contains("signature"), "{told}");
    }
}

#[test]
fn a_link_that_was_changed_or_has_ended_is_none_also_for_who_has_signed_in() {
    let (app, club, at) = with_papers(Settings::default());
    let serving = &club.serving;
    let member = club.member("ada@example.org");
    let link = papers(&club, "shareUrl", &json!(["a b.txt"]));
    let query = link.as_str().unwrap().split_once('?').unwrap().1;
    let (expires, signature) = query.split_once('&').unwrap();
    let later = expires.replace("expires=", "expires=9");
    let turned: String = signature.chars().rev().collect();
    for forged in [
        format!("/_/files/private/papers/b?{query}"),
        format!("{at}?{later}&{signature}"),
        format!("{at}?{expires}&signature={turned}"),
        format!("{at}?{expires}&signature="),
        format!("{at}?{signature}"),
    ] {
        let asked = serving.ask("GET", &forged).bearer(token(&member));
        let refused = asked.send().refusal();
        assert_eq!(refused, (403, "invalid_signature".to_owned()), "{forged}");
    }
    // Signed as the server signs.
    let files = Files::of(&app.store(""));
    let place = Place::of(&Target::Live, Access::Private, "papers", "b").unwrap();
    let until = |ends: i64| {
        let signature = files.sign(&place, ends).unwrap().query();
        serving.get(&format!("/_/files/private/papers/b?{signature}"))
    };
    let ended = until(1_000_000_000);
    assert_eq!(ended.refusal(), (403, "link_expired".to_owned()));
    let told = ended.json()["error"].take();
    assert_eq!(told, "This link has ended. Ask for another");
    assert_eq!(until(9_000_000_000).text(), "other");
    papers(&club, "delete", &json!(["b"]));
    assert_eq!(until(9_000_000_000).status, 404);
}

#[test]
fn a_link_begins_with_the_address_that_live_is_known_by_and_with_none_that_was_made_up() {
    let app = talk();
    let club = club(&app);
    let by = |host: &str| {
        let call = club.serving.calls(token(&club.serving.page()), "papers");
        let body = json!({ "input": { "verb": "shareUrl", "args": ["a"] } });
        call.header("host", host).json(&body).send()
    };
    assert_eq!(by("6.6.6.6").refusal(), (501, "not_supported".to_owned()));
    secret(&app, "PUBLIC_URL", "https://shop.example.com");
    let link = by("6.6.6.6").json()["output"].take();
    assert!(
        link.as_str()
            .unwrap()
            .starts_with("https://shop.example.com/_/files/private/papers/a?"),
        "{link}"
    );
}

#[test]
fn a_page_uploads_what_a_method_lets_it_and_no_more() {
    let app = talk();
    let club = club(&app);
    let serving = &club.serving;
    let leave = |args: Value| {
        let made = papers(&club, "createUploadToken", &args);
        assert_eq!(path(serving, &made["upload"]["url"]), "/_/upload", "{made}");
        made
    };
    let sends = |leave: &Value, kind: &str, file: &[u8]| {
        let token = leave["upload"]["fields"]["token"].as_str().unwrap();
        let form = form(serving, token, file);
        let body = String::from_utf8(form.bytes())
            .unwrap()
            .replace("text/html", kind);
        let body = body.split_once("\r\n\r\n").unwrap().1.to_owned();
        form.body(body).send()
    };
    let own = leave(json!([{ "key": "mine/a.txt", "maxSize": 5 }]));
    assert_eq!(
        (&own["key"], &own["url"]),
        (
            &json!("mine/a.txt"),
            &json!("/_/files/private/papers/mine/a.txt")
        )
    );
    let wrong = sends(&own, "text/html", b"hello");
    assert_eq!(
        wrong.refusal(),
        (400, "content_type_not_allowed".to_owned())
    );
    let large = sends(&own, "text/plain", b"hello!");
    assert_eq!(large.refusal(), (413, "file_too_large".to_owned()));
    assert_eq!(
        sends(&own, "text/plain; charset=utf-8", b"hello").status,
        200
    );
    assert_eq!(
        sends(&own, "text/plain", b"again").refusal(),
        (403, "invalid_token".to_owned())
    );
    assert_eq!(
        papers(&club, "get", &json!(["mine/a.txt"]))["data"],
        json!([104, 101, 108, 108, 111])
    );
    // What the method says that it is, whatever the form says; no more than the store takes.
    let pinned = leave(json!([{ "contentType": "image/png", "filename": "x.png" }]));
    let large = sends(&pinned, "text/html", &vec![b'x'; (1 << 20) + 1]);
    assert_eq!(large.refusal(), (413, "file_too_large".to_owned()));
    assert_eq!(sends(&pinned, "text/html", b"png").status, 200);
    let kept = papers(&club, "head", &json!([pinned["key"]]));
    assert_eq!(kept["contentType"], "image/png");
    assert_eq!(below(&app.store("files")).len(), 2);
}

#[test]
fn a_preview_has_its_own_files_behind_which_are_lives() {
    let app = talk();
    shop::preview(&app, "talk", "red");
    let club = club(&app);
    let serving = &club.serving;
    let port = serving.address.port();
    let red = |request: Request| request.header("host", &format!("red.localhost:{port}"));
    let page = told(&red(serving.ask("GET", "/")).send());
    let there = |verb: &str, args: Value| {
        let body = json!({ "input": { "verb": verb, "args": args } });
        let reply = red(serving.calls(token(&page), "papers").json(&body)).send();
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["output"].take()
    };
    papers(&club, "put", &json!(["of live", { "key": "a" }]));
    papers(&club, "put", &json!(["of live", { "key": "b" }]));
    there("put", json!(["of red", { "key": "b" }]));
    there("delete", json!(["a"]));
    let link = |url: &Value| {
        url.as_str()
            .unwrap()
            .split_once("/_/")
            .map(|(_, at)| format!("/_/{at}"))
            .unwrap()
    };
    let [own, lives] = ["b", "a"].map(|key| there("shareUrl", json!([key])));
    assert!(
        own.as_str()
            .unwrap()
            .starts_with(&format!("http://red.localhost:{port}/")),
        "{own}"
    );
    assert_eq!(red(serving.ask("GET", &link(&own))).send().text(), "of red");
    assert_eq!(
        red(serving.ask("GET", &link(&lives))).send().text(),
        "of live"
    );
    // A link of one is none of the other, and so is a leave.
    let refused = (403, "invalid_signature".to_owned());
    assert_eq!(serving.get(&link(&own)).refusal(), refused);
    let of_live = papers(&club, "shareUrl", &json!(["a"]));
    assert_eq!(
        red(serving.ask("GET", &link(&of_live))).send().refusal(),
        refused
    );
    assert_eq!(serving.get(&link(&of_live)).text(), "of live");
    let leave = there("createUploadToken", json!([{ "key": "c" }]));
    let leave = leave["upload"]["fields"]["token"].as_str().unwrap();
    assert_eq!(
        form(serving, leave, b"x").send().refusal(),
        (403, "invalid_token".to_owned())
    );
    // What the preview has written goes with it.
    let count = || {
        shell(
            &app.store("files.db"),
            "SELECT count(*) FROM files WHERE target = 'preview red'",
        )
    };
    assert_eq!(count(), "1\n");
    shell(
        &app.store("files.db"),
        "UPDATE files SET made = 1000000000000",
    );
    drop(club);
    drop(talk::club(&app));
    assert_eq!(count(), "1\n", "it is there");
    let options = Options {
        retention_days: 0,
        ..Options::default()
    };
    app.remy().prune(Some(0), &options).unwrap();
    let _club = talk::club(&app);
    let began = Instant::now();
    while count() != "0\n" || below(&app.store("files")).len() != 2 {
        assert!(began.elapsed().as_secs() < 20, "it stays");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The app, served by a program that can be killed, on a disk where one is given.
fn program(app: &App) -> (Program, Value) {
    let served = Program::start(&mut command(app, &[]));
    let page = told(&served.ask("GET", "/").send());
    (served, page)
}

/// Leave to upload a file: the token, and where the file will be.
fn leave_of(served: &Program, page: &Value) -> (String, String) {
    let ask = served
        .ask("POST", "/_/generate-upload-request")
        .bearer(token(page));
    let given = ask
        .json(&json!({ "filename": "x", "contentType": "text/plain" }))
        .send()
        .json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let url = text(&given["publicUrl"]);
    let at = url.find("/_/").unwrap();
    (text(&given["uploadFields"]["token"]), url[at..].to_owned())
}

fn form_of(served: &Program, token: &str, file: &[u8]) -> Request {
    let head = format!(
        "--b\r\ncontent-disposition: form-data; name=\"token\"\r\n\r\n{token}\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n"
    );
    let body = [head.as_bytes(), file, b"\r\n--b--\r\n"].concat();
    let post = served.ask("POST", "/_/upload");
    post.header("content-type", "multipart/form-data; boundary=b")
        .body(body)
}

#[test]
fn a_server_that_is_killed_in_uploads_leaves_no_file_without_its_bytes_and_no_bytes_for_long() {
    let app = shop::shop();
    for round in 0..5 {
        let (mut served, page) = program(&app);
        let uploads: Vec<_> = (0..6)
            .map(|_| {
                let (token, at) = leave_of(&served, &page);
                (form_of(&served, &token, &vec![b'x'; 3 << 20]), at)
            })
            .collect();
        thread::scope(|scope| {
            for (form, _) in &uploads {
                scope.spawn(|| form.clone().try_send());
            }
            thread::sleep(Duration::from_millis(20 * round));
            served.signal("KILL");
            let _ = served.ended();
        });
        // Each is whole, or not there.
        let (served, _) = program(&app);
        for (_, at) in &uploads {
            let got = served.ask("GET", at).send();
            assert!(
                got.status == 404 || (got.status, got.body.len()) == (200, 3 << 20),
                "{at}: {}",
                got.status
            );
        }
        let kept = || {
            shell(&app.store("files.db"), "SELECT count(*) FROM files")
                .trim()
                .parse::<usize>()
                .unwrap()
        };
        let began = Instant::now();
        while below(&app.store("files")).len() != kept() {
            assert!(
                began.elapsed().as_secs() < 20,
                "round {round}: something was left"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn on_a_full_disk_an_upload_leaves_nothing_and_says_so() {
    let Some(disk) = Disk::new() else { return };
    let mut app = App::empty();
    app.live = disk.0.path().join("app.db");
    fs::write(&app.live, "").unwrap();
    shop::write(&app);
    let room = Options::from_json(r#"{"margin_bytes": 0}"#).unwrap();
    publish_with(&app.dir.path().join("shop"), Some(&app.live), None, room).unwrap();
    let (served, page) = program(&app);
    let (leave, at) = leave_of(&served, &page);
    disk.fill();
    // Room for a part of it.
    let ballast = fs::File::options()
        .write(true)
        .open(disk.ballast())
        .unwrap();
    ballast
        .set_len(ballast.metadata().unwrap().len() - (256 << 10))
        .unwrap();
    drop(ballast);
    let refused = form_of(&served, &leave, &vec![b'x'; 1 << 20]).send();
    assert_eq!(refused.refusal(), (507, "disk_full".to_owned()));
    assert_eq!(below(&app.store("files")).len(), 0);
    let put = json!({ "what": "files", "operation": "put", "body": { "store": "a", "access": "public", "key": "a", "body": "QUFB".repeat(1 << 17) } });
    let call = served
        .ask("POST", "/_/methods/platform/invoke")
        .bearer(token(&page));
    let put = call.json(&json!({ "input": put })).send();
    assert_eq!(put.json()["output"]["body"]["code"], "disk_full", "{put:?}");
    // None at all.
    disk.fill();
    let none = form_of(&served, &leave, b"x").send();
    assert!(matches!(none.status, 500 | 507), "{none:?}");
    assert_eq!(below(&app.store("files")).len(), 0);
    assert_eq!(served.ask("GET", "/_/health").send().status, 200);
    fs::remove_file(disk.ballast()).unwrap();
    let kept = form_of(&served, &leave, &vec![b'x'; 1 << 20]).send();
    assert_eq!(kept.status, 200, "{kept:?}");
    assert_eq!(served.ask("GET", &at).send().body.len(), 1 << 20);
}

/// What a page does by its client, in a browser, where it is told how far an upload is.
const UPLOADS: &str = r#"(async ([client, phone]) => {
  const module = (text) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  const { createClient, platform } = await import(module(client.replace('./phone.js', module(phone))));
  const file = new File(['x'.repeat(300_000)], 'a b.txt', { type: 'text/plain' });
  const seen = [];
  const url = await platform.uploadFile(file, { onProgress: (part) => seen.push(part) });
  const read = async (url) => (await (await fetch(url)).text()).length;
  const leave = (maxSize) =>
    createClient().papers({ verb: 'createUploadToken', args: [{ maxSize, contentType: 'text/plain' }] });
  const told = await platform.upload(await leave(400_000), file, { onProgress() {} });
  const failed = (error) => [error.name, error.code ?? null, error.status ?? null];
  const large = await platform.upload(await leave(10), file, { onProgress() {} }).catch(failed);
  const off = new AbortController();
  const long = new File([new Uint8Array(60_000_000)], 'long');
  const cut = leave(60_000_000).then((token) =>
    platform.upload(token, long, { signal: off.signal, onProgress: () => off.abort() }),
  );
  return [await read(url), seen.at(-1), Object.keys(told), large, await cut.catch(failed)];
})"#;

#[test]
fn a_page_uploads_by_its_client_in_a_browser() {
    let mut browser = match Browser::start() {
        Ok(browser) => browser,
        Err(why) => return not_covered("uploads in a browser", &why),
    };
    let app = talk();
    let club = club(&app);
    browser.open(&format!("http://localhost:{}", club.serving.address.port()));
    let text = |file: &str| fs::read_to_string(repository("core/app/js").join(file)).unwrap();
    let texts = json!([text("interface.js"), text("phone.js")]);
    assert_eq!(
        browser.does("value", &[&format!("{UPLOADS}({texts})")]),
        json!([
            300_000,
            1,
            ["key", "url"],
            ["MindStudioInterfaceError", "file_too_large", 413],
            ["AbortError", 20, null],
        ])
    );
    let began = Instant::now();
    while below(&app.store("files")).len() != 2 {
        assert!(began.elapsed().as_secs() < 20, "something was left");
        thread::sleep(Duration::from_millis(20));
    }
}
