//! Calls back by HTTP: what a bundle does that carries the hosted platform's own SDK. Each call of
//! such a bundle gets a token, by which it asks for what others ask for on their socket.
//!
//! Only a hash of a token is kept, and only in memory.

use crate::{
    app::App,
    child::{Listener, Service},
    failure::Failure,
    protocol::{Answer, Call, Callback, Request},
    token::{self, Hash, hash},
};
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

/// What the platform's tokens begin with.
const KIND: &str = "InternalCallbackAuthorization@@";

/// How long a token is good: for a call, and for what goes on after it.
const LASTS: Duration = Duration::from_secs(60 * 60);

/// The most tokens; the oldest ones go.
const MOST: usize = 10_000;

/// A call that may ask by HTTP.
pub struct CalledBack {
    /// Without its input.
    call: Call,
    app: Arc<App>,
    /// Gone with the processes of the release.
    service: Weak<dyn Service>,
    listener: Arc<dyn Listener>,
    began: Instant,
}

/// The calls that may.
#[derive(Default)]
pub(crate) struct Callbacks {
    at: OnceLock<String>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    calls: HashMap<Hash, Arc<CalledBack>>,
    /// The oldest first.
    order: VecDeque<Hash>,
}

impl CalledBack {
    /// Does what the call asks for.
    pub fn ask(&self, request: Request) -> Result<Value, Failure> {
        let Some(service) = self.service.upgrade() else {
            let message = "The release that this call is of is not served any more";
            return Err(Failure::new("release_changed", 409, message));
        };
        // Nobody says when the other end of an HTTP request is gone.
        match service.answer(&self.call, request, &|| true) {
            Answer::Value(value) => Ok(value),
            Answer::Error(failure) => Err(failure),
        }
    }

    /// A part of the call's answer; nobody hears it where nobody asked for parts.
    pub fn part(&self, data: Value) {
        if self.call.stream {
            self.listener.part(data);
        }
    }

    /// The call, without its input.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The app that it is of.
    pub fn app(&self) -> &App {
        &self.app
    }
}

impl Callbacks {
    /// Says by which URL this process is reached. The first one counts.
    pub fn reached_at(&self, url: String) {
        let _ = self.at.set(url);
    }

    /// A token for a call of an app that needs one.
    pub fn begin(
        &self,
        app: &Arc<App>,
        call: &Call,
        service: Weak<dyn Service>,
        listener: &Arc<dyn Listener>,
    ) -> Result<Option<Callback>, Failure> {
        let Some(at) = self.at.get().filter(|_| app.calls_back) else {
            return Ok(None);
        };
        let token = token::new(KIND)?;
        let called = CalledBack {
            call: Call {
                input: Value::Null,
                ..call.clone()
            },
            app: Arc::clone(app),
            service,
            listener: Arc::clone(listener),
            began: Instant::now(),
        };
        self.known().add(hash(&token), called);
        Ok(Some(Callback {
            token,
            url: at.clone(),
        }))
    }

    /// The call that a token is of.
    pub fn find(&self, token: &str) -> Option<Arc<CalledBack>> {
        let called = self.known().calls.get(&hash(token)).cloned()?;
        (called.began.elapsed() < LASTS).then_some(called)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn add(&mut self, token: Hash, called: CalledBack) {
        self.calls.insert(token, Arc::new(called));
        self.order.push_back(token);
        let is_over = |known: &Self| {
            let oldest = known.order.front().and_then(|token| known.calls.get(token));
            oldest.is_some_and(|called| called.began.elapsed() >= LASTS)
        };
        while self.order.len() > MOST || is_over(self) {
            if let Some(oldest) = self.order.pop_front() {
                self.calls.remove(&oldest);
            }
        }
    }
}
