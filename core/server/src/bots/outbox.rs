//! Brings services outside what they are to be told of what is live: the last state, one service after
//! the other, and again with pauses that grow where it fails. One process at a time does so.

use super::call::HEARS;
use crate::state::now;
use remy_db::Remy;
use remy_db_app::{
    outbox::{Lag, Request, Wanted, wanted},
    place::store_beside,
    private,
};
use remy_db_runtime::{
    failure::Failure,
    remote::{Client, Tell, is_safe},
    target::of_core,
};
use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

const LOCK: &str = "outbox.lock";

/// How long another process is waited for that tells them.
const WAITS: Duration = Duration::from_secs(30);

/// The longest pause before it is tried again.
const LONGEST: Duration = Duration::from_secs(300);

/// What a service was told, or was not.
pub struct Said {
    /// For people.
    pub message: String,
    /// Whether it was told.
    pub is_told: bool,
}

/// What came of telling services.
#[derive(Default)]
pub(super) struct Told {
    pub said: Vec<Said>,
    /// What stays in the outbox.
    pub left: Vec<Lag>,
}

/// Tells services what they were not told yet, once each; what fails stays in the outbox.
pub fn tell(live: &Path, client: &Client) -> Result<Vec<Said>, Failure> {
    Ok(tell_those(live, client, &|lag| lag.is_due(i64::MAX))?.said)
}

/// The same of those services alone whose turn it is.
pub(super) fn tell_those(
    live: &Path,
    client: &Client,
    is_due: &dyn Fn(&Lag) -> bool,
) -> Result<Told, Failure> {
    let remy = Remy::open(live).map_err(of_core)?;
    let Some(store) = store_beside(Path::new(&remy.place().path)) else {
        return Ok(Told::default());
    };
    let mut said = Vec::new();
    let mut lock = None;
    let mut told = Vec::new();
    loop {
        let all = wanted(&remy, &store).map_err(of_core)?;
        // Each state once: what has failed is tried again later.
        let next = all
            .iter()
            .find(|it| is_due(&it.lag()) && !told.contains(&it.hash));
        let Some(next) = next else {
            let left = all.iter().map(Wanted::lag).collect();
            return Ok(Told { said, left });
        };
        if lock.is_none() {
            // What is wanted may be another by the time that it is this one's turn.
            lock = Some(locked(&store)?);
            continue;
        }
        said.push(tell_one(&remy, client, next)?);
        told.push(next.hash.clone());
    }
}

/// Waits for whoever tells them now.
fn locked(store: &Path) -> Result<File, Failure> {
    let path = store.join(LOCK);
    let io = |e: std::io::Error| {
        Failure::new(
            "io",
            500,
            format!("locking {}: {e}. Nothing was told", path.display()),
        )
    };
    private::locked(&path, WAITS).map_err(io)?.map_err(|_| {
        let message = format!("another process holds {}. Nothing was told", path.display());
        Failure::new("busy", 503, message)
    })
}

/// Tells a service, and records how that went.
fn tell_one(remy: &Remy, client: &Client, it: &Wanted) -> Result<Said, Failure> {
    let began = Instant::now();
    let done = it
        .requests
        .iter()
        .try_for_each(|request| post(client, request));
    let mut delivered = it.delivered.clone();
    let commands = match it.commands {
        1 => "1 command".to_owned(),
        count => format!("{count} commands"),
    };
    let (service, release) = (it.service, it.live.release);
    let message = match &done {
        Ok(()) => {
            delivered.sent = Some(it.hash.clone());
            (delivered.release, delivered.sent_at) = (Some(release), Some(now()));
            (delivered.tried, delivered.error) = (None, None);
            (delivered.attempts, delivered.next_at) = (0, None);
            format!("{service} has the {commands} of release {release}")
        }
        Err((why, after)) => {
            let is_again = delivered.tried.as_ref() == Some(&it.hash);
            let attempts = if is_again {
                delivered.attempts.saturating_add(1)
            } else {
                1
            };
            let pause = after.unwrap_or_else(|| pause(attempts));
            delivered.tried = Some(it.hash.clone());
            (delivered.attempts, delivered.next_at) =
                (attempts, Some(now() + pause.as_millis() as i64));
            delivered.error = Some(why.clone());
            format!(
                "{service} could not be told of the {commands} of release {release} (attempt {attempts}): {why}. A server tries again, and so does the next publish"
            )
        }
    };
    let about = (release, message.as_str(), began.elapsed());
    let recorded = remy.outbox().deliver(service, &delivered, about);
    recorded.map_err(of_core)?;
    Ok(Said {
        message,
        is_told: done.is_ok(),
    })
}

/// How long is waited after so many attempts.
fn pause(attempts: u32) -> Duration {
    LONGEST.min(Duration::from_secs(1 << attempts.min(20)))
}

/// Why a request has failed, and how much later it is to be tried again, where that was said. No word
/// of it is a secret.
type Why = (String, Option<Duration>);

fn post(client: &Client, request: &Request) -> Result<(), Why> {
    if !is_safe(&request.url) {
        return Err(("its URL is none with https".to_owned(), None));
    }
    let answered = client.tell(Tell {
        verb: request.verb,
        url: &request.url,
        authorization: request.authorization.as_deref(),
        body: &request.body,
        within: HEARS,
    });
    let answered = answered.map_err(|e| (e.message, None))?;
    if (200..300).contains(&answered.status) {
        return Ok(());
    }
    let why = format!("it has answered {}", answered.status);
    Err((why, answered.retry_after(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_to_grow() {
        let seconds = [2, 4, 8].map(Duration::from_secs);
        assert_eq!([1, 2, 3].map(pause), seconds);
        assert_eq!((pause(9), pause(u32::MAX)), (LONGEST, LONGEST));
    }
}
