//! Files that people upload, and how they are served.
use super::{
    Serving,
    http::{Reply, Request},
    talk::{club, club_by, talk},
    token,
};
use remy_db_server::{Limits, Settings};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, SystemTime},
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

/// Every file below a folder, but for those of SQLite.
fn below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
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
    let club = super::talk::club(&app);
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
    let began = std::time::Instant::now();
    while !below(&app.store("files")).is_empty() {
        assert!(began.elapsed().as_secs() < 20, "something was left");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(upload(serving, &leave, b"fine").status, 200);
    let again = upload(serving, &leave, b"evil");
    assert_eq!(again.refusal(), (403, "invalid_token".to_owned()));
    assert_eq!(
        serving.get(path(serving, &leave["publicUrl"])).body,
        b"fine"
    );
    // What a server that was killed was writing is gone once one is started.
    let left = app.store("files/new/left");
    let file = fs::File::create(&left).unwrap();
    let ago = SystemTime::now() - Duration::from_secs(4000);
    file.set_modified(ago).unwrap();
    let at_work = app.store("files/new/at-work");
    fs::write(&at_work, "x").unwrap();
    drop(club);
    let _club = super::talk::club(&app);
    assert!(!left.exists() && at_work.exists());
}

#[test]
fn keys_are_no_paths() {
    let app = talk();
    let club = club(&app);
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
