//! Sends e-mail, by the server secret `SMTP_URL`: what methods send, and codes of logins.
//!
//! ```text
//! smtps://user:password@host[:465][?from=Shop <hello@example.com>]   TLS from the start
//! smtp://user:password@host[:587][?from=…]                           STARTTLS, without which nothing is sent
//! ```
//!
//! To this very machine a server that has no TLS is taken as well.

use crate::{failure::Failure, mask::Mask, records, remote::is_local, target::of_core};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::{
    Address, SmtpTransport, Transport as _,
    address::Envelope,
    message::{
        Attachment, Mailbox, Mailboxes, MultiPart, SinglePart,
        header::{self, ContentType},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use percent_encoding::percent_decode_str;
use std::{
    fmt::{self, Write as _},
    time::Duration,
};
use url::Url;

/// The server secret that it takes.
pub const SMTP_URL: &str = "SMTP_URL";

/// How long the other end may take for one step of it.
const STEP: Duration = Duration::from_secs(30);

/// The most bytes of a message: what servers take.
const LARGEST: usize = 25 << 20;

/// The most bytes of a line of a header, before it is encoded.
const LONGEST: usize = 1000;

/// An e-mail. Addresses are as people write them: `a@b.c`, `Name <a@b.c>`.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// Who is told to have it.
    pub to: Vec<String>,
    /// Who is told to have it, too.
    pub cc: Vec<String>,
    /// Who has it, and is not told of.
    pub bcc: Vec<String>,
    /// In the place of the server's own sender: of its domain.
    pub from: Option<String>,
    /// Where an answer goes.
    pub reply_to: Option<String>,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The same as HTML.
    pub html: Option<String>,
    /// What goes with it.
    pub attachments: Vec<Attached>,
    /// The id of the message that it answers.
    pub in_reply_to: Option<String>,
    /// The ids of those before.
    pub references: Vec<String>,
}

/// A file that goes with a message.
#[derive(Debug, Clone)]
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Its type, as HTTP has it.
    pub kind: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// Sends by one server.
pub struct Mailer {
    transport: SmtpTransport,
    sender: Mailbox,
    /// What no message of a failure has.
    mask: Mask,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

impl Mailer {
    /// The mailer of an [`SMTP_URL`]. Fails with `not_supported` where there is none, and where it is
    /// none that can be used.
    pub fn of(url: Option<&str>) -> Result<Self, Failure> {
        let Some(url) = url else {
            return Err(not_supported(&format!(
                "e-mail needs a server to send by. Nothing was sent. Set it: remy secrets set {SMTP_URL} --server"
            )));
        };
        let bad = |why: &str| {
            not_supported(&format!(
                "the server secret {SMTP_URL} cannot be used: {why}. Nothing was sent. It is smtps://user:password@host?from=hello@example.com, or smtp:// for STARTTLS, with signs that a URL does not take as %40"
            ))
        };
        let parsed = Url::parse(url.trim()).map_err(|_| bad("it is no URL"))?;
        let host = parsed.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| bad("it names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = decoded(parsed.username());
        let password = decoded(parsed.password().unwrap_or_default());
        let mut from = None;
        for (name, value) in parsed.query_pairs() {
            match &*name {
                "from" => from = Some(value.into_owned()),
                _ => return Err(bad("behind ? it has more than from=")),
            }
        }
        let from = from.unwrap_or_else(|| user.clone());
        let sender = from.parse().map_err(|_| {
            bad("it does not say which address is the sender: its user is none, and ?from= is missing or none")
        })?;
        let tls = TlsParameters::new(host.to_owned());
        let tls = tls.map_err(|e| not_supported(&format!("TLS cannot be used here: {e}")))?;
        let (tls, port) = match parsed.scheme() {
            "smtps" => (Tls::Wrapper(tls), 465),
            // The one place where nobody listens in.
            "smtp" if is_local(host) => (Tls::Opportunistic(tls), 587),
            "smtp" => (Tls::Required(tls), 587),
            _ => return Err(bad("it begins with neither smtps:// nor smtp://")),
        };
        let mut transport = SmtpTransport::builder_dangerous(host)
            .port(parsed.port().unwrap_or(port))
            .tls(tls)
            .timeout(Some(STEP));
        let plain = STANDARD.encode(format!("\0{user}\0{password}"));
        let mask = Mask::of([
            url,
            &*password,
            parsed.password().unwrap_or_default(),
            &*plain,
        ]);
        if !user.is_empty() {
            transport = transport.credentials(Credentials::new(user, password));
        }
        Ok(Self {
            transport: transport.build(),
            sender,
            mask,
        })
    }

    /// Who it is from, where a message says nothing else.
    pub fn sender(&self) -> String {
        self.sender.to_string()
    }

    /// Sends a message, and returns who it is from. It was sent once the server has taken it.
    ///
    /// Fails with `invalid_email` (400) for what is no message, `sender_not_allowed` (400),
    /// `email_too_large` (413), and `email_failed` (502) with what the server said.
    pub fn send(&self, mail: &Mail) -> Result<String, Failure> {
        let from = self.from(mail.from.as_deref())?;
        let (envelope, message) = self.message(&from, mail)?;
        let bytes = message.formatted();
        if bytes.len() > LARGEST {
            let message = format!(
                "an e-mail of {} MiB is larger than {} MiB. It was not sent",
                bytes.len() >> 20,
                LARGEST >> 20
            );
            return Err(Failure::new("email_too_large", 413, message));
        }
        let sent = self.transport.send_raw(&envelope, &bytes);
        sent.map_err(|e| {
            let mut why = e.to_string();
            let mut source = std::error::Error::source(&e);
            while let Some(cause) = source {
                let text = cause.to_string();
                if !why.contains(&text) {
                    let _ = write!(why, ": {text}");
                }
                source = cause.source();
            }
            let message = format!("the mail server did not take it: {}", self.mask.hide(&why));
            Failure::new("email_failed", 502, message)
        })?;
        Ok(from.to_string())
    }

    /// The sender that a message names: of the server's domain.
    fn from(&self, named: Option<&str>) -> Result<Mailbox, Failure> {
        let Some(named) = named else {
            return Ok(self.sender.clone());
        };
        let domain = self.sender.email.domain();
        let whole = match named.contains('@') {
            true => named.to_owned(),
            false => format!("{named}@{domain}"),
        };
        let from = mailbox("from", &whole)?;
        if from.email.domain().eq_ignore_ascii_case(domain) {
            return Ok(from);
        }
        let message =
            format!("from {named} is not of {domain}, which e-mail is sent as. Nothing was sent");
        Err(Failure::new("sender_not_allowed", 400, message))
    }

    fn message(&self, from: &Mailbox, mail: &Mail) -> Result<(Envelope, lettre::Message), Failure> {
        let (to, cc) = (mailboxes("to", &mail.to)?, mailboxes("cc", &mail.cc)?);
        let bcc = mailboxes("bcc", &mail.bcc)?;
        let all = to.iter().chain(cc.iter()).chain(bcc.iter());
        let all: Vec<Address> = all.map(|one| one.email.clone()).collect();
        let envelope = Envelope::new(Some(from.email.clone()), all);
        let envelope = envelope.map_err(|_| invalid("it has no recipient"))?;
        let id = records::new_id().map_err(of_core)?;
        let id = format!("<{id}@{}>", from.email.domain());
        let mut message = lettre::Message::builder()
            .envelope(envelope.clone())
            .from(from.clone())
            .subject(line("subject", &mail.subject)?)
            .message_id(Some(id))
            .date_now();
        // Nobody that is named: as other mailers, to the sender.
        let to = match mail.to.is_empty() && mail.cc.is_empty() {
            true => Mailboxes::from(from.clone()),
            false => to,
        };
        if to.iter().next().is_some() {
            message = message.mailbox(header::To::from(to));
        }
        if !mail.cc.is_empty() {
            message = message.mailbox(header::Cc::from(cc));
        }
        if let Some(reply_to) = &mail.reply_to {
            message = message.reply_to(mailbox("replyTo", reply_to)?);
        }
        if let Some(id) = &mail.in_reply_to {
            message = message.in_reply_to(line("inReplyTo", id)?.to_owned());
        }
        for id in &mail.references {
            message = message.references(line("references", id)?.to_owned());
        }
        let message = match body(mail)? {
            Body::One(part) => message.singlepart(part),
            Body::Many(parts) => message.multipart(parts),
        };
        let message = message.map_err(|e| invalid(&e.to_string()))?;
        Ok((envelope, message))
    }
}

/// Whether an e-mail can go to this address, and it is that and nothing else.
pub fn is_address(text: &str) -> bool {
    text.len() <= 254 && text.parse::<Address>().is_ok()
}

enum Body {
    One(SinglePart),
    Many(MultiPart),
}

fn body(mail: &Mail) -> Result<Body, Failure> {
    let text = SinglePart::plain(mail.text.clone());
    let alternatives = mail
        .html
        .clone()
        .map(|html| MultiPart::alternative_plain_html(mail.text.clone(), html));
    if mail.attachments.is_empty() {
        return Ok(match alternatives {
            Some(both) => Body::Many(both),
            None => Body::One(text),
        });
    }
    let mixed = MultiPart::mixed();
    let mut mixed = match alternatives {
        Some(both) => mixed.multipart(both),
        None => mixed.singlepart(text),
    };
    for Attached {
        name,
        kind,
        content,
    } in &mail.attachments
    {
        let name = line("filename", name)?.to_owned();
        // What is no type says nothing of it.
        let any = || ContentType::parse("application/octet-stream").expect("it is a type");
        let kind = ContentType::parse(kind).unwrap_or_else(|_| any());
        mixed = mixed.singlepart(Attachment::new(name).body(content.clone(), kind));
    }
    Ok(Body::Many(mixed))
}

fn mailboxes(field: &str, addresses: &[String]) -> Result<Mailboxes, Failure> {
    let all: Result<Vec<_>, _> = addresses.iter().map(|one| mailbox(field, one)).collect();
    Ok(all?.into_iter().collect())
}

fn mailbox(field: &str, address: &str) -> Result<Mailbox, Failure> {
    let address = line(field, address)?;
    let parsed = address.trim().parse();
    parsed.map_err(|_| invalid(&format!("{field} {address:?} is no address")))
}

/// What becomes a part of a header: no second line of it.
fn line<'a>(field: &str, text: &'a str) -> Result<&'a str, Failure> {
    if text.len() > LONGEST {
        let message = format!("{field} is longer than {LONGEST} bytes");
        return Err(invalid(&message));
    }
    if text.contains(char::is_control) {
        return Err(invalid(&format!("{field} has a control character in it")));
    }
    Ok(text)
}

fn invalid(why: &str) -> Failure {
    Failure::new(
        "invalid_email",
        400,
        format!("this is no e-mail: {why}. It was not sent"),
    )
}

fn not_supported(message: &str) -> Failure {
    Failure::new("not_supported", 501, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_smtp_url_is_taken_or_said_what_is_wrong_with_it_without_its_password() {
        for url in [
            "smtps://a%40example.com:geheim12@mail.example.com",
            "smtp://u:geheim12@mail.example.com:2525?from=Shop%20%3Chello@example.com%3E",
            "smtp://[::1]:25?from=hello@example.com",
        ] {
            Mailer::of(Some(url)).unwrap_or_else(|e| panic!("{url}: {e}"));
        }
        for (url, why) in [
            ("geheim12", "no URL"),
            ("smtp:geheim12", "no host"),
            ("http://u:geheim12@h?from=a@b.c", "begins with neither"),
            ("smtps://u:geheim12@h", "sender"),
            ("smtps://u:geheim12@h?from=a@b.c&tls=none", "more than from"),
        ] {
            let e = Mailer::of(Some(url)).unwrap_err();
            assert_eq!(e.code, "not_supported", "{url}");
            assert!(e.message.contains(why), "{url}: {e}");
            assert!(!e.message.contains("geheim12"), "{e}");
        }
        let none = Mailer::of(None).unwrap_err();
        assert!(none.message.contains("remy secrets set SMTP_URL"), "{none}");
    }

    #[test]
    fn a_message_is_what_it_says_and_no_header_has_two_lines() {
        let mailer =
            Mailer::of(Some("smtp://127.0.0.1?from=Shop%20%3Chello@example.com%3E")).unwrap();
        let mail = Mail {
            to: vec!["Ä <a@example.org>".to_owned()],
            bcc: vec!["b@example.org".to_owned()],
            subject: "Grüße".to_owned(),
            text: "text".to_owned(),
            html: Some("<p>text</p>".to_owned()),
            attachments: vec![Attached {
                name: "ü.pdf".to_owned(),
                kind: "application/pdf".to_owned(),
                content: b"%PDF".to_vec(),
            }],
            ..Default::default()
        };
        let made = |mail: &Mail| mailer.message(&mailer.from(mail.from.as_deref())?, mail);
        let (envelope, message) = made(&mail).unwrap();
        assert_eq!(envelope.to().len(), 2);
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(!text.contains("b@example.org"), "{text}");
        for header in [
            "From: Shop <hello@example.com>\r\n",
            "Date: ",
            "Message-ID: <",
        ] {
            assert!(text.contains(header), "{text}");
        }
        for bad in [
            Mail {
                subject: "a\r\nBcc: x@y.z".to_owned(),
                ..mail.clone()
            },
            Mail {
                to: vec!["a@b.c\r\nBcc: x@y.z".to_owned()],
                ..mail.clone()
            },
            Mail {
                to: vec!["nobody".to_owned()],
                ..mail.clone()
            },
            Mail {
                to: Vec::new(),
                bcc: Vec::new(),
                ..mail.clone()
            },
            Mail {
                in_reply_to: Some("<a>\nX: y".to_owned()),
                ..mail.clone()
            },
            Mail {
                reply_to: Some("a@b.c>\n".to_owned()),
                ..mail.clone()
            },
        ] {
            assert_eq!(made(&bad).unwrap_err().code, "invalid_email", "{bad:?}");
        }
        let from = |from: &str| {
            made(&Mail {
                from: Some(from.to_owned()),
                ..mail.clone()
            })
        };
        assert!(from("Help <help@EXAMPLE.com>").is_ok() && from("help").is_ok());
        assert_eq!(from("a@evil.com").unwrap_err().code, "sender_not_allowed");
    }
}
