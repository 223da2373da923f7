//! The thread that writes. Requests that wait are done in one transaction, each in a savepoint, with
//! one sync of the disk for all: no answer goes out before the COMMIT.
//!
//! What one of them does can undo all: `RAISE(ROLLBACK)`, `INSERT OR ROLLBACK`, an interrupt. That
//! one gets its error, and the others are done once more, in a transaction without it.

use crate::{
    database::{
        failures, operations,
        queue::{Job, Queue},
        request::Reply,
        session::Session,
    },
    failure::Failure,
};
use remy_db::{State, internals::sqlite::commit};
use rusqlite::{ffi, types::Value as Stored};
use std::{
    collections::VecDeque,
    ptr, thread,
    time::{Duration, Instant},
};

/// How many requests share a COMMIT at most.
const GROUP: usize = 256;

/// After how long a transaction takes no further request. A transaction holds the lock for that,
/// and for as long as one request may take.
const WINDOW: Duration = Duration::from_millis(50);

/// How long the lock is left alone after a COMMIT, where more requests wait: a switch, or another
/// process, polls for it.
const LETS_OTHERS_IN: Duration = Duration::from_micros(100);

/// How long those of the group before are waited for, where the first of them is back: they were
/// answered at once, and each that comes later costs a sync of its own.
const COME_BACK: Duration = Duration::from_micros(100);

type Outcome = Result<Vec<Reply>, Failure>;

/// Serves until the queue is closed.
pub(super) fn serve(session: Session<'_>, queue: &Queue) {
    let mut writer = Writer { session };
    let mut before = 1;
    loop {
        let mut waiting = queue.take(GROUP);
        if waiting.is_empty() {
            return;
        }
        if waiting.len() < before {
            thread::sleep(COME_BACK);
            waiting.extend(queue.take_now(GROUP - waiting.len()));
        }
        before = waiting.len();
        let mut broken = Vec::new();
        while !waiting.is_empty() {
            writer.transaction(&mut waiting, &mut broken);
            if !waiting.is_empty() || queue.has_more() {
                thread::sleep(LETS_OTHERS_IN);
            }
        }
        // Their errors may come of what the others have done, which is committed only now.
        for (job, outcome) in broken {
            answer(job, outcome);
        }
    }
}

struct Writer<'c> {
    session: Session<'c>,
}

/// What became of a request in its savepoint.
enum Ran {
    /// It is done, or undone alone.
    Within(Outcome),
    /// The transaction is gone.
    Broke(Failure),
}

impl Writer<'_> {
    /// Runs one transaction of what waits. What is left in `waiting` needs another one.
    fn transaction(&mut self, waiting: &mut VecDeque<Job>, broken: &mut Vec<(Job, Outcome)>) {
        if let Err(failure) = self.begin() {
            for job in waiting.drain(..) {
                job.fail(failure.clone());
            }
            return;
        }
        let began = Instant::now();
        let mut done: Vec<(Job, Outcome)> = Vec::new();
        while done.is_empty() || began.elapsed() < WINDOW {
            let Some(job) = waiting.pop_front() else {
                break;
            };
            match self.request(&job) {
                Ran::Within(outcome) => done.push((job, outcome)),
                Ran::Broke(failure) => {
                    broken.push((job, Err(failure)));
                    self.roll_back();
                    for (job, _) in done.into_iter().rev() {
                        waiting.push_front(job);
                    }
                    return;
                }
            }
        }
        if let Err(failure) = self.commit() {
            for (job, _) in done {
                job.fail(failure.clone());
            }
            return;
        }
        for (job, outcome) in done {
            answer(job, outcome);
        }
    }

    /// Takes the lock, and looks whether the release is still live.
    fn begin(&mut self) -> Result<(), Failure> {
        let begun = self.session.service("BEGIN IMMEDIATE", &[]);
        begun.map_err(|e| failures::of_statement(e, "waiting to write"))?;
        let looked = self.session.look();
        if looked.is_err() {
            self.roll_back();
        }
        looked
    }

    fn request(&mut self, job: &Job) -> Ran {
        let Job {
            caller, operations, ..
        } = job;
        let begun = self
            .service("SAVEPOINT request")
            .and_then(|()| self.writes_as(caller.user.as_deref()));
        let mut outcome = begun.and_then(|()| {
            let time = self.session.settings().limits.write;
            self.session.begin_request(time);
            let replies = operations::run(&mut self.session, caller, operations);
            self.session.end_request();
            replies
        });
        if self.session.conn.is_autocommit() {
            return Ran::Broke(outcome.err().unwrap_or_else(|| {
                Failure::new("database_failed", 500, "the transaction was ended")
            }));
        }
        if outcome.is_ok() && self.leaves_foreign_keys() {
            outcome = Err(failures::foreign_key("writing"));
        }
        let ended = match &outcome {
            Ok(_) => self.service("RELEASE request"),
            Err(_) => self
                .service("ROLLBACK TO request")
                .and_then(|()| self.service("RELEASE request")),
        };
        match ended {
            Ok(()) => Ran::Within(outcome),
            Err(failure) => Ran::Broke(failure),
        }
    }

    /// Says who writes, for the triggers of the app's tables.
    fn writes_as(&mut self, user: Option<&str>) -> Result<(), Failure> {
        if !self.session.tables().has_session {
            return Ok(());
        }
        let user = user.map_or(Stored::Null, |user| Stored::Text(user.to_owned()));
        let sql = "UPDATE main._remy_session SET user_id = ?1 WHERE user_id IS NOT ?1";
        let said = self.session.service(sql, &[user]);
        said.map(drop)
            .map_err(|e| failures::of_statement(e, "saying who writes"))
    }

    fn service(&mut self, sql: &str) -> Result<(), Failure> {
        let ran = self.session.service(sql, &[]);
        ran.map(drop)
            .map_err(|e| failures::of_statement(e, "writing"))
    }

    /// Whether a COMMIT would fail for a row that refers to none.
    fn leaves_foreign_keys(&self) -> bool {
        let (mut left, mut highest) = (0, 0);
        // SAFETY: the handle is open, and both places live through the call.
        let code = unsafe {
            let (left, highest) = (ptr::from_mut(&mut left), ptr::from_mut(&mut highest));
            let what = ffi::SQLITE_DBSTATUS_DEFERRED_FKS;
            ffi::sqlite3_db_status(self.session.conn.handle(), what, left, highest, 0)
        };
        code != ffi::SQLITE_OK || left != 0
    }

    /// Commits. Whoever writes after this writes as nobody.
    fn commit(&mut self) -> Result<(), Failure> {
        if let Err(failure) = self.writes_as(None) {
            self.roll_back();
            return Err(failure);
        }
        let unchanged = State::Other("Nothing was changed".into());
        commit(self.session.conn, unchanged).map_err(|e| failures::of_remy(&e))
    }

    fn roll_back(&mut self) {
        if !self.session.conn.is_autocommit() && self.session.service("ROLLBACK", &[]).is_err() {
            self.session.forget();
            let _ = self.session.conn.execute_batch("ROLLBACK");
        }
    }
}

fn answer(job: Job, outcome: Outcome) {
    // Who no longer waits is not told.
    let _ = job.answer.send(outcome);
}
