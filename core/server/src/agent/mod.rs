//! People talk to the app's agent: `/_/agent/threads…`. The model is one behind an endpoint as OpenAI
//! has it, by server secrets; its tools are the app's methods, and what the client does by itself.

mod declared;
mod model;
mod turn;
pub(crate) mod turns;
pub(crate) mod waiting;

use crate::{
    answer::{Refusal, json},
    asked::{Asked, bearer},
    context::Context,
    interface::{Declared, declared},
    methods::stream::told,
    on_page::OnPage,
    state::{sessions::Session, threads::Owner},
};
use axum::{extract::Path, response::Response};
use declared::{Agent, Talking};
use model::Model;
use remy_db_runtime::target::Target;
use serde::Deserialize;
use serde_json::{Value, json as value};
use turn::Turn;

/// Server secrets: where the model is, by what the server is known there, and which one it is, where
/// it is another than the app's own.
const URL: &str = "AGENT_API_URL";
const KEY: &str = "AGENT_API_KEY";
const MODEL: &str = "AGENT_MODEL";

/// The most characters of what somebody says, and of a title.
const SAID: usize = 32_000;
const TITLE: usize = 200;

/// The most characters of what a client's tool returns.
const RESULT: usize = 32_000;

/// The most attachments of a message.
const ATTACHMENTS: usize = 20;

/// A page whose request was read.
struct Page<'a> {
    at: &'a Context,
    target: Target,
    session: Session,
    owner: Owner,
    agent: Agent,
}

impl<'a> Page<'a> {
    /// Who talks, and to which agent: whether they may.
    fn of(at: &'a Context, asked: &Asked, token: Option<&str>) -> Result<Self, Refusal> {
        let found: Declared<Agent> = declared(at, asked, "agent").map_err(|e| match &*e.code {
            "not_found" => Refusal::new(404, "no_agent_config", "This app has no agent"),
            _ => e,
        })?;
        let session = at.sessions.find(token, &found.target)?;
        let auth = &found.interface.auth;
        if auth.require_user || !auth.require_role.is_empty() {
            let nobody =
                || Refusal::new(401, "auth_required", "The agent talks to who has signed in");
            let user = session.user.as_deref().ok_or_else(nobody)?;
            let user = at.runtime.users(&found.target, |users| users.get(user))?;
            let roles = user.ok_or_else(nobody)?.roles;
            let has = |role: &String| roles.contains(role);
            if !auth.require_role.is_empty() && !auth.require_role.iter().any(has) {
                let message = "The agent talks to others: a role is missing";
                return Err(Refusal::new(403, "role_required", message));
            }
        }
        Ok(Self {
            at,
            owner: owner(&found.target, &session),
            target: found.target,
            session,
            agent: found.interface,
        })
    }
}

/// Whose the threads of a session are.
fn owner(target: &Target, session: &Session) -> Owner {
    Owner {
        target: target.to_string(),
        who: match &session.user {
            Some(user) => format!("user:{user}"),
            None => format!("visitor:{}", session.visitor),
        },
    }
}

impl OnPage {
    /// Reads the body, and does `work` by that.
    async fn talk(
        self,
        work: impl FnOnce(&Page<'_>, &Value) -> Result<Value, Refusal> + Send + 'static,
    ) -> Result<Response, Refusal> {
        let (at, asked, headers, given) = self.given().await?;
        let token = bearer(&headers).map(str::to_owned);
        let done = at.read(move |at| {
            let page = Page::of(at, &asked, token.as_deref())?;
            work(&page, &given)
        });
        Ok(json(&done.await?))
    }

    fn query(&self, wanted: &str) -> Option<String> {
        let query = self.uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
    }
}

#[derive(Deserialize)]
pub(crate) struct Thread {
    id: String,
}

pub(crate) async fn begin(page: OnPage) -> Result<Response, Refusal> {
    page.talk(|page, _| Ok(page.at.threads.begin(&page.owner)?))
        .await
}

pub(crate) async fn list(page: OnPage) -> Result<Response, Refusal> {
    let cursor = page.query("cursor");
    page.talk(move |page, _| page.at.threads.list(&page.owner, cursor.as_deref()))
        .await
}

pub(crate) async fn get(
    Path(Thread { id }): Path<Thread>,
    page: OnPage,
) -> Result<Response, Refusal> {
    page.talk(move |page, _| page.at.threads.get(&page.owner, &id))
        .await
}

pub(crate) async fn rename(
    Path(Thread { id }): Path<Thread>,
    page: OnPage,
) -> Result<Response, Refusal> {
    page.talk(move |page, given| {
        let title = given["title"]
            .as_str()
            .filter(|title| title.chars().count() <= TITLE);
        let title = title.ok_or_else(|| {
            invalid(&format!(
                "\"title\" is a text of at most {TITLE} characters"
            ))
        })?;
        page.at.threads.rename(&page.owner, &id, title)
    })
    .await
}

pub(crate) async fn delete(
    Path(Thread { id }): Path<Thread>,
    page: OnPage,
) -> Result<Response, Refusal> {
    page.talk(move |page, _| {
        page.at.threads.delete(&page.owner, &id)?;
        Ok(value!({}))
    })
    .await
}

/// Whoever talked before signing in takes a thread along.
pub(crate) async fn claim(
    Path(Thread { id }): Path<Thread>,
    page: OnPage,
) -> Result<Response, Refusal> {
    claimed(page, Some(id)).await
}

/// The same of all threads.
pub(crate) async fn claim_all(page: OnPage) -> Result<Response, Refusal> {
    claimed(page, None).await
}

async fn claimed(page: OnPage, id: Option<String>) -> Result<Response, Refusal> {
    page.talk(move |page, given| {
        let before = page
            .at
            .sessions
            .find(given["previousToken"].as_str(), &page.target)?;
        let from = owner(&page.target, &before);
        // What is a user's is nobody else's to take, whoever has a token of that page.
        if before.user.is_some() && from != page.owner {
            let message = "The threads of that page are a user's";
            return Err(Refusal::new(403, "forbidden", message));
        }
        page.at.threads.claim(&from, &page.owner, id.as_deref())?;
        Ok(value!({}))
    })
    .await
}

/// What a client's tool has returned, for the turn that waits for it: `{ toolCallId, output }`, or
/// `{ toolCallId, error }`.
pub(crate) async fn result(
    Path(Thread { id }): Path<Thread>,
    page: OnPage,
) -> Result<Response, Refusal> {
    page.talk(move |page, given| {
        page.at.threads.find(&page.owner, &id)?;
        let call = given["toolCallId"].as_str().unwrap_or_default();
        let is_error = !given["error"].is_null();
        let output = if is_error {
            &given["error"]
        } else {
            &given["output"]
        };
        let is_large = output.to_string().chars().count() > RESULT;
        let (output, is_error) = match is_large {
            true => ("result_too_large".into(), true),
            false => (output.clone(), is_error),
        };
        if !page.at.awaited.say(&id, call, output, is_error) {
            let message = "No turn of this thread waits for that";
            return Err(Refusal::new(404, "not_awaited", message));
        }
        match is_large {
            true => {
                let message = format!("A client's tool returns at most {RESULT} characters");
                Err(Refusal::new(413, "result_too_large", message))
            }
            false => Ok(value!({})),
        }
    })
    .await
}

pub(crate) async fn say(
    Path(Thread { id }): Path<Thread>,
    page: OnPage,
) -> Result<Response, Refusal> {
    let (at, asked, headers, given) = page.given().await?;
    let said = said(&given)?;
    let token = bearer(&headers).map(str::to_owned);
    told(at, move |at, parts, cancel| {
        let page = Page::of(at, &asked, token.as_deref())?;
        at.threads.find(&page.owner, &id)?;
        let _begun = at.turns.begin(&id)?;
        let talking = talking(&page)?;
        let turn = Turn {
            at,
            agent: &page.agent,
            talking: &talking,
            thread: &id,
            parts,
            cancel,
        };
        turn.run(said)
    })
    .await
}

/// What somebody says, as it is kept.
fn said(given: &Value) -> Result<Value, Refusal> {
    let content = given["content"]
        .as_str()
        .filter(|content| content.chars().count() <= SAID);
    let content = content.ok_or_else(|| {
        invalid(&format!(
            "\"content\" is a text of at most {SAID} characters"
        ))
    })?;
    let mut said = value!({ "role": "user", "content": content });
    match &given["attachments"] {
        Value::Null => {}
        Value::Array(all)
            if all.len() <= ATTACHMENTS && given["attachments"].to_string().len() <= SAID =>
        {
            said["attachments"] = given["attachments"].clone();
        }
        _ => {
            return Err(invalid(&format!(
                "\"attachments\" is a list of at most {ATTACHMENTS}"
            )));
        }
    }
    Ok(said)
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(400, "invalid_body", why)
}

/// The model of what is served. Fails with `not_supported` (400) where none is set.
fn talking(page: &Page<'_>) -> Result<Talking, Refusal> {
    let secret = |key: &str| page.at.secret(key, &page.target);
    let base = page
        .at
        .needed(URL, &page.target, "The agent has no model")?;
    Ok(Talking {
        target: page.target.clone(),
        session: page.session.clone(),
        model: Model {
            base,
            key: secret(KEY)?,
        },
        model_name: secret(MODEL)?.unwrap_or_else(|| page.agent.model.clone()),
    })
}
