//! A thread that reads: each request in a transaction of its own, on one view of the database.

use crate::{
    database::{
        failures, operations,
        queue::{Job, Queue},
        session::Session,
    },
    failure::Failure,
};

/// Serves until the queue is closed.
pub(super) fn serve(mut session: Session<'_>, queue: &Queue) {
    while let Some(job) = queue.take(1).pop_front() {
        match job {
            Job::Request {
                caller,
                operations,
                answer,
            } => {
                let replies = transaction(&mut session, |session| {
                    session.begin_request(session.settings().limits.query);
                    let replies = operations::run(session, &caller, &operations);
                    session.end_request();
                    replies
                });
                let _ = answer.send(replies);
            }
            Job::Tables { answer } => {
                let tables = transaction(&mut session, |session| Ok(session.tables().told()));
                let _ = answer.send(tables);
            }
        }
    }
}

/// Has something read in a transaction, which ends whatever becomes of it.
fn transaction<'c, T>(
    session: &mut Session<'c>,
    read: impl FnOnce(&mut Session<'c>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    session
        .service("BEGIN", &[])
        .map_err(|e| failures::of_statement(e, "beginning to read"))?;
    let done = session.look().and_then(|()| read(session));
    if session.service("ROLLBACK", &[]).is_err() {
        session.forget();
        let _ = session.conn.execute_batch("ROLLBACK");
    }
    done
}
