//! Publish: read → clone → rehearse → switch → settle.

use crate::{
    base::{
        allow::Allow,
        error::{Error, Result, State},
        history::{Release, Status, Step},
        ids::ReleaseId,
        options::{BuildFailure, Options},
        progress::Progress,
        remedy::{OptionName, Remedy},
    },
    declare::source::Source,
    effects::{Effects, tables},
    live::database::Live,
    rehearse::connection,
    release::{
        context::{Call, Run, Until},
        declaration::Declaration,
        finish::{created, finish},
        outcome::Outcome,
        preview,
        rehearsal::SchemaChange,
        run::bring_live,
        session::{Adopted, Session},
        staged::{Staged, named_by_root},
        unchanged,
    },
    remedy,
    store::{
        artifacts,
        catalog::releases::{Entry, Kind},
        log::Log,
        place, removals,
    },
};
use rusqlite::Connection;

/// Publishes what `schema` declares, or stages it.
pub(crate) fn publish(
    live: &Live,
    schema: &str,
    options: &Options,
    progress: Progress<'_>,
    until: Until,
) -> Result<Outcome> {
    let call = Call::new(live, options, progress);
    if let Some(name) = &options.preview {
        preview::check_name(name)?;
        if until == Until::Live {
            return Err(Error::invalid_argument(format!(
                "the preview {name} is asked for of a release that goes live"
            ))
            .state(State::NothingDone)
            .hint("Stage it"));
        }
    }
    live.libraries(options)?;
    let declaration =
        Declaration::read(schema, options).map_err(|e| e.state(State::NoReleaseMade))?;
    // Before there is a store: what is refused for what was given burns no number, and leaves
    // nothing.
    options
        .artifacts
        .as_deref()
        .map_or(Ok(()), artifacts::are_there)?;
    if !options.extensions.is_empty() {
        connection::prepare(&Connection::open_in_memory()?, live.libraries(options)?)?;
    }
    let mut session = Session::begin(live, options, progress)?;
    whole(&call, &session, &declaration, until)?;
    if options.if_changed
        && let Some(unchanged) = unchanged::outcome(&call, &session, &declaration)?
    {
        return Ok(unchanged);
    }
    let adopted = session.adopt(live, options)?;
    let (session, catalog) = (&session, &session.store.catalog);
    if options.dry_run {
        let next = session.next(live)?;
        let log = call.log(catalog, next);
        log.before(&options.build);
        return bring_declared(&Run::new(&call, session, &log, next, until)?, &declaration);
    }
    let release = session.number(Kind::Publish, Status::Building, options)?;
    let log = call.log(catalog, release);
    finish(session, release, &log, Status::Failed, || {
        if let Some(adopted) = adopted {
            adopted.log(&log);
        }
        session.tell(&log);
        log.fact(Step::Build, created(release, options));
        log.before(&options.build);
        keep(session, &declaration, options, release, &log)?;
        bring_declared(
            &Run::new(&call, session, &log, release, until)?,
            &declaration,
        )
    })
}

/// Keeps what a release is made from.
fn keep(
    session: &Session,
    declaration: &Declaration,
    options: &Options,
    release: ReleaseId,
    log: &Log<'_>,
) -> Result<()> {
    let catalog = &session.store.catalog;
    match &declaration.declared.source {
        // Its folder may be one that the caller built, and gone soon.
        Source::App(_) => {}
        source => log.fact(Step::Build, format!("Schema read from {source}")),
    }
    let staged = Staged::new(declaration, options)?;
    let text = serde_json::to_string(&staged).map_err(|e| Error::internal(e.to_string()))?;
    catalog.describe(release, Some(&text), None)?;
    if let Some(from) = &options.artifacts {
        let hash = log.step(
            Step::Build,
            || artifacts::keep(&session.store, release, from),
            |_| format!("Kept artifacts in {}", place::files(release)),
        )?;
        catalog.set_files(release, Some(release), Some(&hash))?;
    }
    Ok(())
}

/// Rehearses what is declared, and makes it live where that is asked for.
fn bring_declared(run: &Run<'_>, declaration: &Declaration) -> Result<Outcome> {
    let clone = run.clone_live()?;
    let brought = bring_live(run, clone, &SchemaChange::new(declaration))?;
    Ok(brought.outcome(run, None))
}

/// Refuses the tables alone of an app whose live release has more: who calls has not read the rest,
/// which would go, or stay as it was, without a word.
fn whole(
    call: &Call<'_>,
    session: &Session,
    declaration: &Declaration,
    until: Until,
) -> Result<()> {
    let Call { live, options, .. } = *call;
    let Source::App(manifest) = &declaration.declared.source else {
        return Ok(());
    };
    // A diff is of the tables.
    if options.dry_run && until == Until::Rehearsed {
        return Ok(());
    }
    let code = options.artifacts.is_none()
        && session
            .marker
            .as_ref()
            .is_some_and(|marker| marker.artifacts.is_some());
    let effects =
        declaration.effects.is_none() && tables::read(&*live.connect()?)? != Effects::default();
    let build =
        "Publish the app with the command, which builds all of it; or give the rest of it by ";
    let (has, hint) = match (code, effects) {
        (false, false) => return Ok(()),
        (true, false) => ("code", remedy![build, OptionName::Artifacts]),
        (false, true) => (
            "roles, jobs, routes or commands",
            remedy![build, OptionName::Effects],
        ),
        (true, true) => (
            "code, and roles, jobs, routes or commands",
            remedy![build, OptionName::Artifacts, " and ", OptionName::Effects],
        ),
    };
    Err(Error::invalid_argument(format!(
        "of {} only the tables are read here, and release {}, which is live, has {has} besides",
        manifest.display(),
        session.release
    ))
    .object(manifest.display().to_string())
    .state(State::NoReleaseMade)
    .hint(hint))
}

/// What to do where a promote finds what may be a rename: it takes no other renames than those that
/// were staged.
fn staged_renames() -> Remedy {
    remedy![
        "Stage it again, and say there by ",
        OptionName::Renames,
        " or a comment @renamed that it is a rename; or say that the drop is meant, with ",
        Allow::Drop,
    ]
}

/// Publishes a release that was staged: from a fresh clone, so that nothing written since is lost.
pub(crate) fn promote_compiled(
    call: &Call<'_>,
    session: &Session,
    adopted: Option<&Adopted>,
    entry: &Entry,
) -> Result<Outcome> {
    let (live, catalog) = (call.live, &session.store.catalog);
    let staged: Staged = serde_json::from_str(entry.declared.as_deref().unwrap_or_default()).map_err(|e| {
        Error::not_promotable(format!(
            "what release {} was staged with cannot be read in the catalog ({e}): somebody has written into it",
            entry.release
        ))
        .hint("Stage it again")
    })?;
    named_by_root(live, &staged, entry, call.options)?;
    let options = staged.options(entry, call.options);
    let call = &call.with(&options);
    live.libraries(&options)?;
    let declaration = staged.declaration(&options)?;
    let release = entry.release;
    let log = call.log(catalog, release);
    // It stays what it is where it cannot go live: the reason may pass.
    let mut outcome = finish(session, release, &log, entry.status, || {
        if let Some(adopted) = adopted {
            adopted.log(&log);
        }
        session.tell(&log);
        bring_declared(
            &Run::new(call, session, &log, release, Until::Live)?,
            &declaration,
        )
        .map_err(|e| match e {
            // Which renames there are was told when it was staged.
            Error::AmbiguousRename(_) => e.hint_instead(staged_renames()),
            e => e,
        })
    })?;
    if let Some(name) = entry
        .preview
        .as_ref()
        .filter(|_| entry.status == Status::Preview && !options.dry_run)
    {
        let place = place::preview(name);
        match removals::run(&session.store) {
            Ok(()) => log.note(
                Step::Settle,
                format!("Removed {place}, the preview of this release: what was tried on it is not in live"),
            ),
            Err(e) => log
                .warn(Step::Settle, format!("{place}, the preview of this release, is left to the next call of remy: {e}")),
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
    let session = Session::begin(live, options, progress)?;
    let catalog = &session.store.catalog;
    let release = session.number(Kind::Publish, Status::Failed, options)?;
    let log = Log::new(Some(catalog), release, progress);
    log.fact(Step::Build, created(release, options));
    log.before(&options.build);
    log.give_up(failure);
    let made = catalog
        .releases()?
        .into_iter()
        .find(|made| made.release == release);
    made.ok_or_else(|| Error::internal(format!("release {release} is gone")))
}
