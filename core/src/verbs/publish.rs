//! Publish: read → clone → rehearse → switch → settle.

use crate::{
    base::{
        clock::{self, Moment},
        error::{Error, Result},
        history::{Release, ReleaseId, Status},
        options::{BuildFailure, Options},
        progress::Progress,
    },
    declare::source::Source,
    effects::{Effects, tables},
    live::database::Live,
    rehearse::connection,
    release::{
        declaration::Declaration,
        finish::{created, finish},
        outcome::{Outcome, Reached},
        preview,
        rehearsal::{rehearse_again, rehearse_first},
        retention,
        run::{FRESH_STARTS, Job},
        session::{self, Adopted, Begun},
        staged::{Staged, named_by_root},
    },
    store::{
        artifacts,
        catalog::releases::{Entry, Kind},
        log::Log,
        place, removals,
    },
    switch::follower::Image,
};
use rusqlite::Connection;
use std::collections::BTreeSet;

/// How far a publish goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Leaves the release `compiled`.
    Rehearsed,
    Live,
}

/// Publishes what `schema` declares, or stages it.
pub(crate) fn publish(
    live: &Live,
    schema: &str,
    options: &Options,
    progress: Progress<'_>,
    until: Until,
) -> Result<Outcome> {
    let start = Moment::now();
    if let Some(name) = &options.preview {
        preview::check_name(name)?;
        if until == Until::Live {
            return Err(Error::invalid_argument(format!(
                "the preview {name} is asked for of a release that goes live"
            ))
            .state("Nothing was done")
            .hint("Stage it"));
        }
    }
    live.libraries(options)?;
    let declaration = Declaration::read(schema, options)
        .map_err(|e| e.state("Live is unchanged; no release was made"))?;
    // Before there is a store: what is refused for what was given burns no number, and leaves
    // nothing.
    options
        .artifacts
        .as_deref()
        .map_or(Ok(()), artifacts::are_there)?;
    if !options.extensions.is_empty() {
        connection::prepare(&Connection::open_in_memory()?, live.libraries(options)?)?;
    }
    let mut begun = session::begin(live, options, progress)?;
    whole(live, &begun, &declaration, options, until)?;
    let adopted = begun.adopt(live, options)?;
    if options.dry_run {
        let next = begun.next(live)?;
        let log = Log::new(None, next, progress).since(start);
        log.before(&options.build);
        return run(
            live,
            &begun,
            &declaration,
            options,
            next,
            &log,
            start,
            until,
        );
    }
    let release = begun.number(Kind::Publish, Status::Building, options)?;
    let log = Log::new(Some(&begun.store.catalog), release, progress).since(start);
    finish(&begun, release, &log, Status::Failed, || {
        if let Some(adopted) = adopted {
            adopted.log(&log);
        }
        begun.tell(&log);
        log.fact("build", created(release, options));
        log.before(&options.build);
        match &declaration.declared.source {
            // Its folder may be one that the caller built, and gone soon.
            Source::App(_) => {}
            source => log.fact("build", format!("Schema read from {source}")),
        }
        let staged = Staged::new(&declaration, options)?;
        let text = serde_json::to_string(&staged).map_err(|e| Error::internal(e.to_string()))?;
        begun.store.catalog.describe(release, Some(&text), None)?;
        if let Some(from) = &options.artifacts {
            let hash = log.step(
                "build",
                || artifacts::keep(&begun.store, release, from),
                |_| format!("Kept artifacts in {}", place::files(release)),
            )?;
            begun
                .store
                .catalog
                .set_files(release, Some(release), Some(&hash))?;
        }
        run(
            live,
            &begun,
            &declaration,
            options,
            release,
            &log,
            start,
            until,
        )
    })
}

/// Refuses the tables alone of an app whose live release has more: who calls has not read the rest,
/// which would go, or stay as it was, without a word.
fn whole(
    live: &Live,
    begun: &Begun,
    declaration: &Declaration,
    options: &Options,
    until: Until,
) -> Result<()> {
    let Source::App(manifest) = &declaration.declared.source else {
        return Ok(());
    };
    // A diff is of the tables.
    if options.dry_run && until == Until::Rehearsed {
        return Ok(());
    }
    let code = options.artifacts.is_none()
        && begun
            .marker
            .as_ref()
            .is_some_and(|marker| marker.artifacts.is_some());
    let effects =
        declaration.effects.is_none() && tables::read(&*live.connect()?)? != Effects::default();
    let (has, options) = match (code, effects) {
        (false, false) => return Ok(()),
        (true, false) => ("code", "the option artifacts"),
        (false, true) => ("roles, jobs, routes or commands", "the option effects"),
        (true, true) => (
            "code, and roles, jobs, routes or commands",
            "the options artifacts and effects",
        ),
    };
    Err(Error::invalid_argument(format!(
        "of {} only the tables are read here, and release {}, which is live, has {has} besides",
        manifest.display(),
        begun.release
    ))
    .object(manifest.display().to_string())
    .state("Live is unchanged; no release was made")
    .hint(format!("Publish the app with the command, which builds all of it; or give the rest of it by {options}")))
}

/// Publishes a release that was staged: from a fresh clone, so that nothing written since is lost.
pub(crate) fn promote_compiled(
    live: &Live,
    begun: &Begun,
    adopted: Option<&Adopted>,
    entry: &Entry,
    options: &Options,
    progress: Progress<'_>,
    start: Moment,
) -> Result<Outcome> {
    let staged: Staged = serde_json::from_str(entry.declared.as_deref().unwrap_or_default()).map_err(|e| {
        Error::not_promotable(format!(
            "what release {} was staged with cannot be read in the catalog ({e}): somebody has written into it",
            entry.release
        ))
        .hint("Stage it again")
    })?;
    named_by_root(live, &staged, entry, options)?;
    let options = staged.options(entry, options);
    live.libraries(&options)?;
    let declaration = staged.declaration(&options)?;
    let log = Log::new(
        (!options.dry_run).then_some(&begun.store.catalog),
        entry.release,
        progress,
    )
    .since(start);
    // It stays what it is where it cannot go live: the reason may pass.
    let mut outcome = finish(begun, entry.release, &log, entry.status, || {
        if let Some(adopted) = adopted {
            adopted.log(&log);
        }
        begun.tell(&log);
        run(
            live,
            begun,
            &declaration,
            &options,
            entry.release,
            &log,
            start,
            Until::Live,
        )
    })?;
    if let Some(name) = entry
        .preview
        .as_ref()
        .filter(|_| entry.status == Status::Preview && !options.dry_run)
    {
        let place = place::preview(name);
        match removals::run(&begun.store) {
            Ok(()) => log.note(
                "settle",
                format!("Removed {place}, the preview of this release: what was tried on it is not in live"),
            ),
            Err(e) => log
                .warn("settle", format!("{place}, the preview of this release, is left to the next call of remy: {e}")),
        }
        outcome.log = log.lines();
    }
    Ok(outcome)
}

/// Records a release that failed before there was anything to publish, with the steps that led to
/// it.
pub(crate) fn fail(
    live: &Live,
    failure: &BuildFailure,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Release> {
    let begun = session::begin(live, options, progress)?;
    let catalog = &begun.store.catalog;
    let release = begun.number(Kind::Publish, Status::Failed, options)?;
    let log = Log::new(Some(catalog), release, progress);
    log.fact("build", created(release, options));
    log.before(&options.build);
    log.give_up(failure);
    let made = catalog
        .releases()?
        .into_iter()
        .find(|made| made.release == release);
    made.ok_or_else(|| Error::internal(format!("release {release} is gone")))
}

#[expect(clippy::too_many_arguments, reason = "what a publish is about")]
pub(crate) fn run(
    live: &Live,
    begun: &Begun,
    declaration: &Declaration,
    options: &Options,
    release: ReleaseId,
    log: &Log<'_>,
    start: Moment,
    until: Until,
) -> Result<Outcome> {
    let job = Job::new(live, begun, options, log, release)?;
    let mut taken = job.take()?;
    let mut done = None;
    for attempt in 1..=FRESH_STARTS {
        let rehearsed = rehearse_first(&job, &mut taken, declaration)?;
        if !options.dry_run {
            let plan = serde_json::to_string(&rehearsed.statements)
                .map_err(|e| Error::internal(e.to_string()))?;
            begun.store.catalog.describe(release, None, Some(&plan))?;
        }
        if options.dry_run || until == Until::Rehearsed {
            if let Some(name) = options.preview.as_ref().filter(|_| !options.dry_run) {
                let put = || preview::put(&job, &mut taken.pair, name);
                log.step("rehearse", put, |()| format!("Made the preview {name}"))?;
            }
            done = Some((rehearsed, None));
            break;
        }
        let mut change = |image: &Connection, _: &Connection, pages: Option<&BTreeSet<u32>>| {
            rehearse_again(&job, image, &rehearsed, declaration, pages)
        };
        let switched = job.switch(&mut taken, Image::Clone, rehearsed.terms, &mut change)?;
        if let Some(switched) = switched {
            done = Some((rehearsed, Some(switched)));
            break;
        }
        job.start_over(&mut taken, attempt)?;
    }
    drop(taken);
    if done
        .as_ref()
        .is_some_and(|(_, switched)| switched.is_some())
    {
        retention::after_switch(&job);
    }
    let Some((rehearsed, switched)) = done else {
        return Err(Error::busy(format!(
            "somebody else changed the schema of {} {FRESH_STARTS} times while it was published",
            live.shown()
        ))
        .hint("Find out who changes the schema, and start again"));
    };
    let status = match (&switched, options.dry_run, &options.preview) {
        (Some(_), ..) => Reached::Live,
        (None, true, _) => Reached::DryRun,
        (None, false, Some(name)) => {
            begun.store.catalog.set_preview(release, name)?;
            // The preview is there, whatever becomes of an earlier one's files.
            if let Err(e) = artifacts::forget_fruitless(&begun.store) {
                log.warn(
                    "settle",
                    format!("Files of earlier releases are left to the next call of remy: {e}"),
                );
            }
            log.note(
                "settle",
                format!("Release {release} can be tried on {}", place::preview(name)),
            );
            Reached::Preview
        }
        (None, false, None) => {
            begun.store.catalog.set_status(release, Status::Compiled)?;
            log.note(
                "settle",
                format!("Release {release} is compiled; promoting it makes it live"),
            );
            Reached::Compiled
        }
    };
    Ok(Outcome {
        release,
        status,
        restored_from: None,
        previous: begun.live_release(),
        label: options.label.clone(),
        commit: options.commit.clone(),
        dry_run: options.dry_run,
        switch: switched,
        statements: rehearsed.statements,
        effects: rehearsed.effects,
        set_aside: Vec::new(),
        comes_back: Vec::new(),
        warnings: rehearsed.warnings,
        log: log.lines(),
        total_ms: clock::ms(start.elapsed()),
    })
}
