//! A message, as methods are told of it.

use crate::answer::Refusal;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mail_parser::{Addr, Address, HeaderValue, Message, MessageParser, MimeHeaders as _};
use serde_json::{Value, json};

/// A message that came.
pub(super) struct Letter {
    /// All whom it says it is from, as addresses; at least one.
    pub senders: Vec<String>,
    /// All whom it says it is for.
    pub recipients: Vec<String>,
    /// What the method gets.
    pub input: Value,
}

impl Letter {
    /// Fails with `invalid_email` where it is none, and with `invalid_sender` where it is from nobody.
    pub fn read(raw: &[u8]) -> Result<Self, Refusal> {
        let parsed = MessageParser::default().parse(raw);
        let message = parsed.ok_or_else(|| {
            let message = "The body is no e-mail, with its headers. Nothing was called";
            Refusal::new(400, "invalid_email", message)
        })?;
        let senders = addresses(message.from());
        if senders.is_empty() {
            let message = "The message does not say whom it is from. Nothing was called";
            return Err(Refusal::new(400, "invalid_sender", message));
        }
        let [to, cc] = [addresses(message.to()), addresses(message.cc())];
        let input = input(&message, &senders, &to, &cc);
        Ok(Self {
            senders,
            recipients: [to, cc].concat(),
            input,
        })
    }
}

fn input(message: &Message<'_>, senders: &[String], to: &[String], cc: &[String]) -> Value {
    // What is no HTML would be made to be some.
    let mut bodies = message.html_bodies();
    let html = bodies.find(|part| part.is_text_html());
    let html = html.and_then(mail_parser::MessagePart::text_contents);
    let name = each(message.from()).find_map(|one| one.name.as_deref());
    json!({
        "to": to.join(", "),
        "from": senders[0],
        "fromName": name,
        "subject": message.subject().unwrap_or_default(),
        "message": message.body_text(0).unwrap_or_default(),
        "html": html,
        "attachments": message.attachments().map(attachment).collect::<Vec<_>>(),
        "messageId": message.message_id(),
        "inReplyTo": texts(message.in_reply_to()).first(),
        "references": texts(message.references()),
        "replyTo": addresses(message.reply_to()).first(),
        "cc": cc,
        "date": message.date().map(mail_parser::DateTime::to_rfc3339),
    })
}

fn attachment(part: &mail_parser::MessagePart<'_>) -> Value {
    let kind = part.content_type().map(|kind| match kind.subtype() {
        Some(sub) => format!("{}/{sub}", kind.ctype()),
        None => kind.ctype().to_owned(),
    });
    let content = part.contents();
    json!({
        "filename": part.attachment_name(),
        "contentType": kind.unwrap_or_else(|| "application/octet-stream".to_owned()),
        "size": content.len(),
        "content": STANDARD.encode(content),
    })
}

fn each<'a>(address: Option<&'a Address<'a>>) -> impl Iterator<Item = &'a Addr<'a>> {
    address.into_iter().flat_map(Address::iter)
}

fn addresses(address: Option<&Address<'_>>) -> Vec<String> {
    let known = each(address).filter_map(|one| one.address.as_deref());
    known.map(str::to_owned).collect()
}

fn texts(value: &HeaderValue<'_>) -> Vec<String> {
    let all = value.as_text_list();
    let all = all.map(|all| all.iter().map(ToString::to_string).collect());
    all.or_else(|| Some(vec![value.as_text()?.to_owned()]))
        .unwrap_or_default()
}
