//! E-mail that comes in.
use super::{
    http::Request,
    talk::{Club, club, publish, secret, talk, write},
};
use remy_tests::{live::App, shell};
use serde_json::{Value, json};

const LETTER: &str = "From: Ada <Ada@example.org>\r\nTo: in@shop.example, Bob <bob@shop.example>\r\nCc: c@x.example\r\n\
    Reply-To: back@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@x>\r\nIn-Reply-To: <0@x>\r\n\
    References: <a@x> <0@x>\r\nDate: Fri, 27 Nov 2026 12:00:00 +0100\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
    --a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello there\r\n\
    --a\r\nContent-Type: text/html\r\n\r\n<p>Hello there</p>\r\n--a--\r\n\
    --b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--b--\r\n";

fn serving(method: &str, approved: &[&str]) -> (App, Club) {
    let app = talk();
    let email =
        json!({ "type": "email", "config": { "method": method, "approvedSenders": approved } });
    write(&app, &json!([email]));
    publish(&app);
    let club = club(&app);
    (app, club)
}

fn deliver(club: &Club, secret: &str, letter: impl Into<Vec<u8>>) -> Request {
    let post = club.serving.ask("POST", "/_/email").bearer(secret);
    post.header("content-type", "message/rfc822").body(letter)
}

#[test]
fn a_message_calls_the_method_as_the_system() {
    let (app, club) = serving("keep", &["*@example.org"]);
    assert_eq!(
        deliver(&club, "s3cret", LETTER).send().refusal(),
        (501, "not_supported".to_owned())
    );
    secret(&app, "EMAIL_SECRET", "s3cret");
    let taken = deliver(&club, "s3cret", LETTER).send();
    assert_eq!((taken.status, taken.json()), (200, json!({})), "{taken:?}");
    let kept: Value = serde_json::from_str(&shell(&app.live, "SELECT what FROM kept")).unwrap();
    assert_eq!(kept["roles"], json!(["system"]));
    let mut input = kept["input"].clone();
    let text = input["message"].take();
    assert_eq!(text.as_str().unwrap().trim_end(), "Hello there");
    let html = input["html"].take();
    assert_eq!(html.as_str().unwrap().trim_end(), "<p>Hello there</p>");
    assert_eq!(
        input,
        json!({
            "to": "in@shop.example, bob@shop.example", "from": "Ada@example.org", "fromName": "Ada",
            "subject": "Grüße", "message": null, "html": null,
            "attachments": [{ "filename": "a.pdf", "contentType": "application/pdf", "size": 4, "content": "JVBERg==" }],
            "messageId": "1@x", "inReplyTo": "0@x", "references": ["a@x", "0@x"],
            "replyTo": "back@example.org", "cc": ["c@x.example"], "date": "2026-11-27T12:00:00+01:00",
        })
    );
}

#[test]
fn who_is_not_approved_or_knows_no_secret_calls_nothing() {
    let (app, club) = serving("keep", &["ada@example.org"]);
    secret(&app, "EMAIL_SECRET", "s3cret");
    let refusal = |secret: &str, letter: &str| deliver(&club, secret, letter).send().refusal();
    for wrong in ["", "s3cre", "s3crett", "S3CRET"] {
        assert_eq!(
            refusal(wrong, LETTER),
            (401, "unknown_secret".to_owned()),
            "{wrong}"
        );
    }
    let none = club.serving.ask("POST", "/_/email").body(LETTER).send();
    assert_eq!(none.refusal().0, 401);
    for from in [
        "eve@example.org",
        "ada@example.org.evil",
        "ada@example.org <eve@x.example>",
        "ada@example.org, eve@x.example",
        "",
    ] {
        let letter = LETTER.replace("Ada <Ada@example.org>", from);
        assert_eq!(
            refusal("s3cret", &letter),
            (400, "invalid_sender".to_owned()),
            "{from}"
        );
    }
    for odd in ["", "no mail at all", "\u{0}\u{0}\r\n\r\n"] {
        assert_eq!(deliver(&club, "s3cret", odd).send().status, 400, "{odd:?}");
    }
    // It is refused before its body is read; and one that is too large is.
    let large = deliver(&club, "x", "").header("content-length", "99999999");
    assert_eq!(large.send().status, 401);
    assert_eq!(
        deliver(&club, "s3cret", vec![b'x'; (25 << 20) + 1])
            .send()
            .status,
        413
    );
    assert_eq!(shell(&app.live, "SELECT count(*) FROM kept"), "0\n");
    app.rollback(None).unwrap();
    assert_eq!(refusal("s3cret", LETTER), (404, "not_found".to_owned()));
}

#[test]
fn a_method_that_throws_is_whoever_delivers_to_know() {
    let (app, club) = serving("refuse", &[]);
    secret(&app, "EMAIL_SECRET", "s3cret");
    assert_eq!(
        deliver(&club, "s3cret", LETTER).send().refusal(),
        (409, "not_for_sale".to_owned())
    );
}
