//! Brings a code to whom it is for: by e-mail, by a web service that sends SMS, or to the terminal of
//! whoever runs the server.

use crate::{answer::Refusal, context::Context, settings::ShowCode};
use axum::http::StatusCode;
use remy_db_runtime::{
    mail::{Mail, Mailer, SMTP_URL},
    remote::{Ask, is_safe},
    target::Target,
    users::By,
};
use serde_json::json;
use std::time::Duration;

/// The server secret with the URL of what sends SMS: `{ "to", "message" }` is posted to it.
const SMS_URL: &str = "SMS_URL";

/// How long it may take.
const SENDS: Duration = Duration::from_secs(30);

/// How codes go out at a place.
pub(super) struct Delivery<'a> {
    at: &'a Context,
    by: By,
    /// The secret that it takes; none, where codes are shown.
    secret: Option<String>,
}

impl<'a> Delivery<'a> {
    /// Fails with `not_supported` (400) where nothing is set: before a code is made.
    pub fn of(at: &'a Context, target: &Target, by: By) -> Result<Self, Refusal> {
        let is_shown = at.settings.show_code.is_some();
        let key = match by {
            By::Email => SMTP_URL,
            By::Phone => SMS_URL,
        };
        let secret = match is_shown {
            true => None,
            // As clients of the hosted platform know it.
            false => Some(
                at.needed(key, target, "No code can be sent")
                    .map_err(|refusal| Refusal {
                        status: StatusCode::BAD_REQUEST,
                        ..refusal
                    })?,
            ),
        };
        Ok(Self { at, by, secret })
    }

    /// Sends a code. `app` is what it is for.
    pub fn send(&self, address: &str, code: &str, app: &str) -> Result<(), Refusal> {
        if let Some(ShowCode(show)) = &self.at.settings.show_code {
            show(address, code);
            return Ok(());
        }
        let app: String = app.chars().filter(|c| !c.is_control()).take(100).collect();
        match self.by {
            By::Email => self.by_email(address, code, &app),
            By::Phone => self.by_sms(address, code, &app),
        }
    }

    fn by_email(&self, address: &str, code: &str, app: &str) -> Result<(), Refusal> {
        let mailer = Mailer::of(self.secret.as_deref()).map_err(|mut e| {
            e.status = 400;
            e
        })?;
        mailer.send(&Mail {
            to: vec![address.to_owned()],
            subject: format!("{code} is your code for {app}"),
            text: format!(
                "Your code for {app} is\n\n    {code}\n\nIt is good for ten minutes. Who has not asked for it can let it be.\n"
            ),
            ..Mail::default()
        })?;
        Ok(())
    }

    fn by_sms(&self, address: &str, code: &str, app: &str) -> Result<(), Refusal> {
        let url = self.secret.as_deref().unwrap_or_default().trim();
        if !is_safe(url) {
            let message = format!(
                "the server secret {SMS_URL} is no URL that a code may go to: https://… (http:// on this machine). Nothing was sent"
            );
            return Err(Refusal::new(400, "not_supported", message));
        }
        let body = json!({ "to": address, "message": format!("{code} is your code for {app}") });
        let ask = Ask {
            url,
            bearer: None,
            body: Some(&body),
            within: SENDS,
        };
        let answered = self.at.runtime.client().ask(ask)?;
        if (200..300).contains(&answered.status) {
            return Ok(());
        }
        let message = format!(
            "What sends SMS has answered {}. Nothing was sent",
            answered.status
        );
        Err(Refusal::new(502, "sms_failed", message))
    }
}
