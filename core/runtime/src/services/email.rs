//! `email.send` of the SDK: its message, as the mailer takes it.

use super::html;
use crate::{
    failure::Failure,
    mail::{Attached, Mail, Mailer},
    records,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// How many addresses a message may go to: each takes a moment of the mail server's.
const MOST: usize = 100;

/// A message, as apps write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    #[serde(default, deserialize_with = "one_or_many")]
    to: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    cc: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    bcc: Vec<String>,
    subject: String,
    body: String,
    #[serde(default)]
    body_type: BodyType,
    text: Option<String>,
    #[serde(default)]
    attachments: Option<Vec<Attachment>>,
    from: Option<String>,
    reply_to: Option<String>,
    in_reply_to: Option<String>,
    #[serde(default)]
    references: Option<Vec<String>>,
    #[serde(default)]
    category: Category,
    batch_id: Option<String>,
}

#[derive(Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum BodyType {
    #[default]
    Auto,
    Html,
    /// As it is written: that is how Markdown was meant to be read.
    Markdown,
    Text,
}

/// Whether those that it goes to see each other.
#[derive(Default, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Category {
    Transactional,
    #[default]
    Marketing,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attachment {
    content: String,
    filename: Option<String>,
    content_type: Option<String>,
}

fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Option::<Given>::deserialize(from)? {
        None => Vec::new(),
        Some(Given::One(one)) => vec![one],
        Some(Given::Many(many)) => many,
    })
}

/// Sends a message, and returns the receipt. Fails as [`Mailer::send`] does; where others have it
/// already, it says how many.
pub(super) fn send(mailer: &Mailer, arguments: Vec<Value>) -> Result<Value, Failure> {
    let given = arguments.into_iter().next().unwrap_or_default();
    let message: Message = serde_json::from_value(given)
        .map_err(|e| invalid(&format!("{e}: it has to, subject and body")))?;
    let all = message.to.len() + message.cc.len() + message.bcc.len();
    if all == 0 || all > MOST {
        return Err(invalid(&format!(
            "it goes to {all} addresses, and 1 to {MOST} are taken"
        )));
    }
    let batch = match message.batch_id.clone() {
        Some(id) => id,
        None => records::new_id().map_err(crate::target::of_core)?,
    };
    let is_shared = message.category == Category::Transactional;
    let (to, cc, bcc) = (message.to.clone(), message.cc.clone(), message.bcc.clone());
    let mail = mail(message)?;
    if is_shared {
        let from = mailer.send(&mail)?;
        let receipt = json!({ "recipients": to, "cc": cc, "bcc": bcc, "from": from, "suppressed": [], "batchId": batch });
        return Ok(receipt);
    }
    let each: Vec<String> = [to, cc, bcc].concat();
    let mut from = mailer.sender();
    for (sent, one) in each.iter().enumerate() {
        let own = Mail {
            to: vec![one.clone()],
            cc: Vec::new(),
            bcc: Vec::new(),
            ..mail.clone()
        };
        from = mailer.send(&own).map_err(|e| match sent {
            0 => e,
            _ => Failure {
                message: format!(
                    "{} (to {one}, the first {sent} of {all} have it)",
                    e.message
                ),
                ..e
            },
        })?;
    }
    Ok(
        json!({ "recipients": each, "cc": [], "bcc": [], "from": from, "suppressed": [], "batchId": batch }),
    )
}

fn mail(message: Message) -> Result<Mail, Failure> {
    let is_html = match message.body_type {
        BodyType::Auto => html::is_html(&message.body),
        BodyType::Html => true,
        BodyType::Markdown | BodyType::Text => false,
    };
    let text = match (message.text, is_html) {
        (Some(text), _) => text,
        (None, true) => html::text(&message.body),
        (None, false) => message.body.clone(),
    };
    let attachments = message
        .attachments
        .unwrap_or_default()
        .into_iter()
        .map(|one| {
            let content = STANDARD.decode(&one.content);
            Ok(Attached {
                name: one.filename.unwrap_or_else(|| "attachment".to_owned()),
                kind: one.content_type.unwrap_or_default(),
                content: content
                    .map_err(|_| invalid("the content of an attachment is no base64"))?,
            })
        });
    Ok(Mail {
        to: message.to,
        cc: message.cc,
        bcc: message.bcc,
        from: message.from,
        reply_to: message.reply_to,
        subject: message.subject,
        text,
        html: is_html.then_some(message.body),
        attachments: attachments.collect::<Result<_, _>>()?,
        in_reply_to: message.in_reply_to,
        references: message.references.unwrap_or_default(),
    })
}

fn invalid(why: &str) -> Failure {
    Failure::new(
        "invalid_email",
        400,
        format!("this is no e-mail: {why}. Nothing was sent"),
    )
}
