//! The browser and the page that ask, and what a page is told once somebody else is signed in on it.

use crate::{
    answer::{Refusal, json},
    asked::{Asked, bearer, cookie},
    context::Context,
    on_page::OnPage,
    page::visitor,
    state::{
        logins::{self, Login},
        sessions::Session,
    },
};
use axum::{
    http::{HeaderMap, header},
    response::Response,
};
use remy_db_runtime::{target::Target, users::User};
use serde_json::{Value, json as value};
use std::{net::IpAddr, ops::Deref};

/// The cookie of who has signed in.
const COOKIE: &str = "__ms_auth";

impl OnPage {
    /// Reads its body, and does `work` by that, on a thread for what waits for the disk.
    pub(super) async fn read<T: Send + 'static>(
        self,
        work: impl FnOnce(&Page<'_>, &Value) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (at, asked, headers, given) = self.given().await?;
        at.read(move |at| work(&Page::of(at, asked, headers)?, &given))
            .await
    }

    /// As [`Self::read`], on a thread for what may take as long as a call.
    pub(super) async fn call<T: Send + 'static>(
        self,
        work: impl FnOnce(&Page<'_>, &Value) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (at, asked, headers, given) = self.given().await?;
        at.call(move |at, _| work(&Page::of(at, asked, headers)?, &given))
            .await
    }
}

/// A browser.
pub(super) struct Browser<'a> {
    pub at: &'a Context,
    pub target: Target,
    headers: HeaderMap,
    asked: Asked,
}

/// A page in it, by whose token it is asked.
pub(super) struct Page<'a> {
    pub session: Session,
    browser: Browser<'a>,
}

impl<'a> Deref for Page<'a> {
    type Target = Browser<'a>;

    fn deref(&self) -> &Browser<'a> {
        &self.browser
    }
}

impl<'a> Page<'a> {
    /// Fails with `auth_required` and `invalid_session` (401).
    pub fn of(at: &'a Context, asked: Asked, headers: HeaderMap) -> Result<Self, Refusal> {
        let browser = Browser::of(at, asked, headers)?;
        let session = at
            .sessions
            .find(bearer(&browser.headers), &browser.target)?;
        Ok(Self { session, browser })
    }

    /// The user who is signed in on it. Fails with `not_authenticated` (401).
    pub fn user(&self) -> Result<User, Refusal> {
        let user = match &self.session.user {
            Some(id) => self.at.runtime.users(&self.target, |users| users.get(id))?,
            None => None,
        };
        user.ok_or_else(|| Refusal::new(401, "not_authenticated", "Nobody is signed in"))
    }
}

impl<'a> Browser<'a> {
    pub fn of(at: &'a Context, asked: Asked, headers: HeaderMap) -> Result<Self, Refusal> {
        let target = at.target(&asked.judged.place)?;
        Ok(Self {
            at,
            target,
            headers,
            asked,
        })
    }

    pub fn client(&self) -> IpAddr {
        self.asked.judged.client
    }

    /// The login of its cookie.
    pub fn login(&self) -> Result<Option<Login>, Refusal> {
        login_of(self.at, &self.target, &self.headers)
    }

    /// What a page is told, with a token for what it is from here on: signed in as this user, or as
    /// nobody.
    pub fn bundle(&self, signed: Option<(&Login, &User)>) -> Result<Value, Refusal> {
        let (release, app) = self.at.runtime.serving(&self.target)?;
        let visitor = match signed {
            Some((_, user)) => user.id.clone(),
            None => visitor::of(&self.headers)?.0,
        };
        let session = Session {
            target: self.target.clone(),
            release,
            user: signed.map(|(_, user)| user.id.clone()),
            login: signed.map(|(login, _)| login.hash),
            visitor,
        };
        let token = self.at.sessions.begin(&session)?;
        Ok(value!({
            "user": signed.map(|(_, user)| user),
            "token": token,
            "methods": app.exports(),
            "visitorId": session.visitor,
        }))
    }

    /// The bundle of who has just signed in, with the cookie.
    pub fn signs_in(&self, user: &User) -> Result<Response, Refusal> {
        if let Some(dev) = &self.at.dev {
            dev.knows(user);
        }
        let (token, login) = self.at.logins.begin(&self.target, &user.id)?;
        let response = json(&self.bundle(Some((&login, user)))?);
        Ok(self.with_cookie(response, &token, logins::LASTS / 1000))
    }

    /// The same without one.
    pub fn signs_out(&self) -> Result<Response, Refusal> {
        let response = json(&self.bundle(None)?);
        Ok(self.with_cookie(response, "", 0))
    }

    fn with_cookie(&self, mut response: Response, token: &str, seconds: i64) -> Response {
        let secure = if self.asked.judged.is_secure {
            "; Secure"
        } else {
            ""
        };
        let cookie =
            format!("{COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        if let Ok(cookie) = cookie.parse() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

fn login_of(at: &Context, target: &Target, headers: &HeaderMap) -> Result<Option<Login>, Refusal> {
    Ok(at.logins.find(cookie(headers, COOKIE), target)?)
}

/// Who has signed in in the browser that sends these headers; nobody, where a rollback has taken the
/// user.
pub(crate) fn signed_in(
    at: &Context,
    target: &Target,
    headers: &HeaderMap,
) -> Result<Option<(Login, User)>, Refusal> {
    let Some(login) = login_of(at, target, headers)? else {
        return Ok(None);
    };
    match at.runtime.users(target, |users| users.get(&login.user)) {
        Ok(user) => {
            if let (Some(dev), Some(user)) = (&at.dev, &user) {
                dev.knows(user);
            }
            Ok(user.map(|user| (login, user)))
        }
        // A release that signs nobody in.
        Err(e) if e.code == "not_supported" => Ok(None),
        Err(e) => Err(e.into()),
    }
}
