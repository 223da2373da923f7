//! The one story of publish and rollback: cloned → rehearsed → switched → settled. Each step takes
//! what the one before has left.

use crate::{
    base::{
        clock,
        error::{Context, Error, Result},
        history::{Status, Step},
        ids::ReleaseId,
        text::things,
    },
    live::{database::Live, marker::Marker},
    release::{
        change::{Change, Found, Rehearsed},
        context::Run,
        outcome::{Outcome, Reached},
        preview,
        recover::{self, Decided},
        retention, settle,
    },
    store::{artifacts, place},
    switch::{
        contract::{Committed, Conditions, SwitchEnd, SwitchFailure, Switched},
        follower::{ClonedLive, Follower, Image},
        intent::Announcement,
        runtimes::{self, Runtimes},
    },
};
use rusqlite::Connection;
use std::time::Duration;

/// How often a verb begins with the schema anew because somebody else changes live's.
const FRESH_STARTS: u32 = 3;

/// What a release has come to.
#[must_use]
pub(crate) struct Brought {
    found: Found,
    end: End,
}

enum End {
    DryRun,
    Compiled,
    Preview,
    Live(Switched),
}

/// Rehearses a change on a clone of live, and switches live to what comes of it; or keeps that,
/// where no more was asked for.
pub(crate) fn bring_live<C: Change>(
    run: &Run<'_>,
    mut clone: ClonedLive<'_>,
    change: &C,
) -> Result<Brought> {
    for attempt in 1..=FRESH_STARTS {
        let rehearsed = change.rehearse(run, clone)?;
        if run.ends_rehearsed() {
            return keep(run, rehearsed);
        }
        let stale = match switch(run, rehearsed, change)? {
            Ended::Live(settling) => return Ok(settle(run, *settling)),
            Ended::SchemaChanged(stale) => stale,
        };
        let what = format!(
            "Somebody else changed live's schema meanwhile (attempt {attempt} of {FRESH_STARTS}): starting over"
        );
        run.log.warn(Step::Switch, what);
        // After the last attempt nobody looks at the clone any more.
        if attempt == FRESH_STARTS {
            break;
        }
        clone = stale.start_over()?;
    }
    Err(Error::busy(format!(
        "somebody else changed the schema of {} {FRESH_STARTS} times {}",
        run.live.shown(),
        C::WHILE
    ))
    .hint("Find out who changes the schema, and start again"))
}

/// How a switch ended that did not fail.
enum Ended<'l> {
    Live(Box<Settling<'l>>),
    /// Somebody else changed live's schema.
    SchemaChanged(Stale<'l>),
}

/// A switch that live has committed, and that the store does not know of.
#[must_use = "the store has to settle"]
struct Settling<'l> {
    committed: Committed,
    /// Let go of once that is done.
    follower: Box<dyn Follower + 'l>,
    found: Found,
}

/// A clone of a live that has another schema now.
#[must_use = "it is started over with, or given up"]
struct Stale<'l>(Box<dyn Follower + 'l>);

impl<'l> Stale<'l> {
    fn start_over(self) -> Result<ClonedLive<'l>> {
        let Self(mut follower) = self;
        let overlay = follower.start_over()?;
        Ok(ClonedLive { overlay, follower })
    }
}

/// Switches live to the image, while those who run methods on it hold their calls.
fn switch<'l, C: Change>(
    run: &Run<'_>,
    rehearsed: Rehearsed<'l, C::Script>,
    change: &C,
) -> Result<Ended<'l>> {
    let held = hold(run, rehearsed.image.overlay().conn())?;
    let ended = switch_to(run, rehearsed, change);
    if let Some(held) = held {
        let is_live = matches!(ended, Ok(Ended::Live(_)));
        held.end(is_live.then(|| run.release()));
    }
    ended
}

/// A wait for methods that is worth a line of the log.
const WORTH_TELLING: Duration = Duration::from_millis(5);

/// Has those who run methods on live start the release that comes and hold their calls, where there
/// are any. Fails only where the caller calls the verb off: a switch needs none of them.
fn hold(run: &Run<'_>, image: &Connection) -> Result<Option<Runtimes>> {
    let (log, drain) = (run.log, run.options.drain());
    if drain.is_zero() {
        return Ok(None);
    }
    let found =
        Runtimes::find(&run.session.store).and_then(|found| Ok((runtimes::tables(image)?, found)));
    let (tables, mut found) = match found {
        Ok((_, found)) if found.is_empty() => return Ok(None),
        Ok(found) => found,
        Err(e) => {
            let what = format!("Those who run methods are not told of the switch: {e}");
            log.warn(Step::Switch, what);
            return Ok(None);
        }
    };
    let waited = found.hold(run.release(), tables, drain, log.progress())?;
    if waited.silent > 0 {
        let what = format!(
            "Of those who run methods, {} did not say within {} ms that their calls have ended: one that goes on is refused at its next database call",
            waited.silent,
            drain.as_millis()
        );
        log.warn(Step::Switch, what);
    } else if waited.calls > 0 && waited.took > WORTH_TELLING {
        let what = format!("Waited for {} to end", things(waited.calls, "call"));
        log.note(Step::Switch, what);
    } else if waited.took > WORTH_TELLING {
        log.note(Step::Switch, "Started the processes of methods");
    }
    Ok(Some(found))
}

/// Switches live to the image.
fn switch_to<'l, C: Change>(
    run: &Run<'_>,
    rehearsed: Rehearsed<'l, C::Script>,
    change: &C,
) -> Result<Ended<'l>> {
    let Rehearsed {
        image,
        mut follower,
        terms,
        script,
        found,
    } = rehearsed;
    let conditions = Conditions {
        options: run.options,
        log: run.log,
        room: &|bytes| run.room_for(&format!("the switch of {}", run.live.shown()), bytes),
        repeat: &|image, live, pages| change.repeat(run, &script, image, live, pages),
    };
    let mut announcement = Announcement::new(&run.session.store.catalog, &run.intent);
    match follower.switch(image, terms, &conditions, &mut announcement) {
        Ok(SwitchEnd::Done(committed)) => Ok(Ended::Live(Box::new(Settling {
            committed,
            follower,
            found,
        }))),
        Ok(SwitchEnd::SchemaChanged) => {
            announcement.take_back()?;
            Ok(Ended::SchemaChanged(Stale(follower)))
        }
        Err(SwitchFailure {
            error,
            undecided: false,
        }) => announcement.take_back().and(Err(error)),
        Err(SwitchFailure {
            error,
            undecided: true,
        }) => Err(decide(run, error)),
    }
}

/// Finds out what became of a switch whose COMMIT failed, and says so.
fn decide(run: &Run<'_>, error: Error) -> Error {
    let store = &run.session.store;
    match recover::decide(run.live, store, &run.intent, run.options.lock_timeout()) {
        Ok(Decided::NotSwitched) => error,
        Ok(Decided::Switched) => {
            error.state("Live was switched all the same, and the store is settled")
        }
        Err(e) => e
            .more(format!("and before that: {error}"))
            .state("Whether live was switched is not known yet; the next call of remy decides it"),
    }
}

/// Settles the store after live's COMMIT. What fails from here on is done again by the next verb.
fn settle(run: &Run<'_>, settling: Settling<'_>) -> Brought {
    let Settling {
        committed:
            Committed {
                switched,
                live_at,
                image,
            },
        follower,
        found,
    } = settling;
    let (log, intent) = (run.log, &run.intent);
    log.note(
        Step::Switch,
        format!(
            "Switched live to release {} (writers waited {} ms; {} pages)",
            intent.release, switched.pause_ms, switched.pages_written
        ),
    );
    let settled = log.last_step(
        Step::Settle,
        || {
            drop(image.close()?);
            let marker = Marker {
                live_at,
                ..run.marker.clone()
            };
            settle::settle(&run.session.store, intent, &marker)?;
            checkpoint(run.live)
        },
        |()| match intent.previous {
            Some(previous) => format!("Kept release {previous} as {}", intent.snapshot()),
            None => "Nothing was live before".into(),
        },
    );
    if let Err(e) = settled {
        log.warn(
            Step::Settle,
            format!("Live is switched; the store will be mended by the next call of remy: {e}"),
        );
    }
    drop(follower);
    retention::after_switch(run);
    Brought {
        found,
        end: End::Live(switched),
    }
}

/// A passive checkpoint on a fresh connection: clients before 3.51.3 have a bug in how they reset
/// the WAL that a big one invites. It waits for nobody.
fn checkpoint(live: &Live) -> Result<()> {
    let conn = live.connect()?;
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        .context(|| format!("checkpointing {}", live.shown()))
}

/// Keeps what was rehearsed, as far as it was asked for, and leaves live as it is.
fn keep<S>(run: &Run<'_>, rehearsed: Rehearsed<'_, S>) -> Result<Brought> {
    let Rehearsed {
        image,
        follower,
        found,
        ..
    } = rehearsed;
    let end = match &run.options.preview {
        _ if run.options.dry_run => {
            drop((image, follower));
            End::DryRun
        }
        Some(name) => {
            keep_preview(run, image, follower, name)?;
            End::Preview
        }
        None => {
            drop((image, follower));
            let release = run.release();
            run.session
                .store
                .catalog
                .set_status(release, Status::Compiled)?;
            run.log.note(
                Step::Settle,
                format!("Release {release} is compiled; promoting it makes it live"),
            );
            End::Compiled
        }
    };
    Ok(Brought { found, end })
}

fn keep_preview(
    run: &Run<'_>,
    image: Image,
    follower: Box<dyn Follower + '_>,
    name: &str,
) -> Result<()> {
    let (log, store, release) = (run.log, &run.session.store, run.release());
    let put = || preview::put(run, image.into_overlay(), name);
    log.step(Step::Rehearse, put, |()| format!("Made the preview {name}"))?;
    drop(follower);
    store.catalog.set_preview(release, name)?;
    // The preview is there, whatever becomes of an earlier one's files.
    if let Err(e) = artifacts::forget_fruitless(store) {
        log.warn(
            Step::Settle,
            format!("Files of earlier releases are left to the next call of remy: {e}"),
        );
    }
    log.note(
        Step::Settle,
        format!("Release {release} can be tried on {}", place::preview(name)),
    );
    Ok(())
}

impl Brought {
    pub(crate) fn warnings(&self) -> &[String] {
        &self.found.warnings
    }

    /// What the verb returns. `restored_from` is the release that came back.
    pub(crate) fn outcome(self, run: &Run<'_>, restored_from: Option<ReleaseId>) -> Outcome {
        let Self { found, end } = self;
        let (status, switch) = match end {
            End::DryRun => (Reached::DryRun, None),
            End::Compiled => (Reached::Compiled, None),
            End::Preview => (Reached::Preview, None),
            End::Live(switched) => (Reached::Live, Some(switched)),
        };
        Outcome {
            release: run.release(),
            status,
            restored_from,
            previous: run.session.live_release(),
            label: run.options.label.clone(),
            commit: run.options.commit.clone(),
            dry_run: run.options.dry_run,
            switch,
            statements: found.statements,
            effects: found.effects,
            set_aside: found.set_aside,
            comes_back: found.comes_back,
            clients: found.clients,
            warnings: found.warnings,
            log: run.log.lines(),
            total_ms: clock::ms(run.started.elapsed()),
        }
    }
}
