//! Publish: read → clone → rehearse → switch → settle.
use crate::{
    Allow, BuildFailure, Outcome, Release, artifacts,
    catalog::Entry,
    clock::{self, Moment},
    columns, drift,
    effects::{self, Effects},
    error::{Context, Error, Result},
    job::{FRESH_STARTS, Image, Job, Looked, Taken, Terms},
    live::Live,
    log::Log,
    marker::{self, Marker},
    migration::{self, Migration},
    options::Options,
    owner, place, preview,
    progress::Progress,
    quoted::Statements,
    recover::{self, Adopted, Begun},
    rehearse, removals, retention,
    rows::Rows,
    schema::{
        self, Claim, Declared, Schema, Source, VirtualTable,
        app::{App, Recorded},
        diff::Change,
        plan::{Plan, Statement},
    },
    sqlite, usable,
};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeSet, path::PathBuf};

/// What is to go live.
struct Declaration {
    declared: Declared,
    effects: Option<Effects>,
    migrations: Vec<Migration>,
}

impl Declaration {
    /// Reads all of it, once.
    fn read(schema: &str, options: &Options) -> Result<Self> {
        let mut declared = schema::declared(schema, options)?;
        let effects = declared_effects(options)?;
        let folder = options.migrations.as_ref().or(declared.migrations.as_ref());
        let migrations = folder
            .map(|folder| migration::read(folder))
            .transpose()?
            .unwrap_or_default();
        declared.warnings.extend(migrations.warnings);
        Ok(Self {
            declared,
            effects,
            migrations: migrations.files,
        })
    }
}

fn declared_effects(options: &Options) -> Result<Option<Effects>> {
    options.effects.as_ref().map(Effects::from_json).transpose()
}

/// What a staged release keeps, to be published later as it was declared.
#[derive(Debug, Serialize, Deserialize)]
struct Staged {
    /// SQL, or the JSON model.
    schema: String,
    /// An app's tables, in the place of SQL.
    #[serde(default)]
    app: Option<App>,
    renames: Vec<String>,
    effects: Option<serde_json::Value>,
    allow: BTreeSet<Allow>,
    ignore: Option<Vec<String>>,
    extensions: Vec<PathBuf>,
    #[serde(default)]
    migrations: Option<Kept>,
}

/// The migrations of a staged release.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Files(Vec<Migration>),
    /// An early remy kept the path of their folder: read in a store, it is no path that is
    /// followed.
    Path(serde_json::Value),
}

impl Staged {
    fn new(declaration: &Declaration, options: &Options) -> Result<Self> {
        let declared = &declaration.declared;
        Ok(Self {
            schema: declared
                .sql
                .clone()
                .unwrap_or_else(|| declared.schema.to_sql()),
            app: declared.app.clone(),
            renames: options.renames.clone(),
            effects: options.effects.clone(),
            allow: options.allow.clone(),
            ignore: options.ignore.clone(),
            extensions: options.extensions.clone(),
            migrations: Some(Kept::Files(declaration.migrations.clone())),
        })
    }

    fn declaration(&self, options: &Options) -> Result<Declaration> {
        let declared = match &self.app {
            None => schema::read(Source::Sql(self.schema.clone()), options)?,
            Some(app) => Declared::of_app(app.clone(), Source::Sql(self.schema.clone()), options)?,
        };
        let migrations = match &self.migrations {
            None => Vec::new(),
            Some(Kept::Files(files)) => files.clone(),
            Some(Kept::Path(_)) => {
                return Err(Error::not_promotable(
                    "an early remy staged it, and kept only the path of its migrations",
                )
                .hint("Stage it again"));
            }
        };
        Ok(Declaration {
            declared,
            effects: declared_effects(options)?,
            migrations,
        })
    }

    /// The options of a verb, with what was declared at the time.
    fn options(&self, entry: &Entry, options: &Options) -> Options {
        Options {
            allow: &self.allow | &options.allow,
            renames: self.renames.clone(),
            effects: self.effects.clone(),
            ignore: self.ignore.clone(),
            extensions: self.extensions.clone(),
            migrations: None,
            label: entry.label.clone(),
            commit: entry.commit.clone(),
            artifacts: None,
            build: Vec::new(),
            preview: None,
            ..options.clone()
        }
    }
}

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
        rehearse::prepare(&Connection::open_in_memory()?, live.libraries(options)?)?;
    }
    let mut begun = recover::begin(live, options, progress)?;
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
    let release = begun.number("publish", "building", options)?;
    let log = Log::new(Some(&begun.store.catalog), release, progress).since(start);
    finish(&begun, release, &log, "failed", || {
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
        declaration.effects.is_none() && effects::read(&*live.connect()?)? != Effects::default();
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
    let mut outcome = finish(begun, entry.release, &log, &entry.status, || {
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
        .filter(|_| entry.status == "preview" && !options.dry_run)
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

/// Refuses that root loads a library for the reason alone that the store names it: the store is its
/// owner's, who would have root run what they like.
fn named_by_root(live: &Live, staged: &Staged, entry: &Entry, options: &Options) -> Result<()> {
    let unnamed = staged
        .extensions
        .iter()
        .find(|library| !options.extensions.contains(library));
    let Some(library) = unnamed.filter(|_| live.owner.is_another_of_root()) else {
        return Ok(());
    };
    let its = owner::name(live.owner.uid);
    Err(Error::invalid_argument(format!(
        "release {} was staged with the library {}, and root would load it for {its}",
        entry.release,
        library.display()
    ))
    .object(library.display().to_string())
    .state("Live is unchanged")
    .hint(format!(
        "Run it as {its}; or name the library in `extensions` once you know what it does"
    )))
}

/// Runs a verb's work, and leaves the release with `status` and its reason where it fails.
pub(crate) fn finish(
    begun: &Begun,
    release: i64,
    log: &Log<'_>,
    status: &str,
    work: impl FnOnce() -> Result<Outcome>,
) -> Result<Outcome> {
    work().map_err(|e| {
        let e = e.state(format!("Live is unchanged; release {release} is {status}"));
        log.end(&e);
        // A switch that is not decided may have made it live: recovery settles that, with its
        // files.
        if begun
            .store
            .catalog
            .open_intents()
            .is_ok_and(|intents| intents.iter().any(|intent| intent.release == release))
        {
            return e;
        }
        let _ = begun.store.catalog.set_failed(release, status);
        if begun
            .store
            .catalog
            .release(release)
            .is_ok_and(|entry| entry.is_some_and(|entry| entry.status == "failed"))
        {
            let _ = artifacts::forget(&begun.store, release);
        }
        e
    })
}

/// A commit may end in `-dirty`, as `git describe --dirty` has it.
fn created(release: i64, options: &Options) -> String {
    let from = options.commit.as_ref().map_or(String::new(), |commit| {
        match commit.strip_suffix("-dirty") {
            Some(commit) => format!(" from commit {commit} (working tree dirty)"),
            None => format!(" from commit {commit}"),
        }
    });
    format!("Release {release} created{from}")
}

/// Records a release that failed before there was anything to publish, with the steps that led to
/// it.
pub(crate) fn fail(
    live: &Live,
    failure: &BuildFailure,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Release> {
    let begun = recover::begin(live, options, progress)?;
    let catalog = &begun.store.catalog;
    let release = begun.number("publish", "failed", options)?;
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

/// What a rehearsal leaves behind, to do the same again.
struct Rehearsed {
    plan: Plan,
    /// What the plan leads to.
    schema: Schema,
    /// The migrations that ran, and the plan.
    statements: Vec<Statement>,
    /// Whether there were any.
    migrated: bool,
    fingerprint: String,
    effects: Vec<effects::Change>,
    warnings: Vec<String>,
    terms: Terms,
}

#[expect(clippy::too_many_arguments, reason = "what a publish is about")]
fn run(
    live: &Live,
    begun: &Begun,
    declaration: &Declaration,
    options: &Options,
    release: i64,
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
        (Some(_), ..) => "live",
        (None, true, _) => "dry_run",
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
            "preview"
        }
        (None, false, None) => {
            begun.store.catalog.set_status(release, "compiled")?;
            log.note(
                "settle",
                format!("Release {release} is compiled; promoting it makes it live"),
            );
            "compiled"
        }
    };
    Ok(Outcome {
        release,
        status: status.into(),
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

/// Takes the diff on the clone, runs the plan there, and checks what came of it.
fn rehearse_first(
    job: &Job<'_>,
    taken: &mut Taken<'_>,
    declaration: &Declaration,
) -> Result<Rehearsed> {
    let mut before = None;
    loop {
        match rehearse_once(job, taken, declaration, before.as_ref())? {
            Tried::Done(rehearsed) => return Ok(*rehearsed),
            Tried::Doubtful(tables) => {
                let conn = taken.pair.open(job.live)?;
                let check = || Rows::check(conn, tables.iter().map(String::as_str));
                let tables = tables.join(", ");
                before = Some(job.log.step("check", check, |_| {
                    format!(
                        "Rows of {tables} do not pass quick_check: looked whether they did before, and begins again"
                    )
                })?);
            }
        }
    }
}

/// How a rehearsal ended that did not fail.
enum Tried {
    Done(Box<Rehearsed>),
    /// Rows of these tables, by their names before the change, do not pass; it was rolled back.
    Doubtful(Vec<String>),
}

/// As [`rehearse_first`], where it is known what was found in rows `before` the change, or nothing
/// is.
fn rehearse_once(
    job: &Job<'_>,
    taken: &mut Taken<'_>,
    declaration: &Declaration,
    before: Option<&Rows>,
) -> Result<Tried> {
    let (log, options) = (job.log, job.options);
    let conn = taken.pair.open(job.live)?;
    let cookie: i64 = sqlite::pragma(conn, "schema_version")?;
    job.is_still_the_same(conn)?;
    let drift = job.drift(conn)?;
    let start = Moment::now();
    rehearse::prepare(conn, job.live.libraries(options)?)?;
    conn.execute_batch("BEGIN")
        .context(|| format!("beginning the rehearsal on {}", sqlite::name(conn)))?;
    // Before anything changes: a foreign key that does not hold now is not the change's fault.
    let violations = rehearse::violations(conn)?;
    let usable = usable::judge(conn)?;
    // Of what migrations change, too, it counts what it was before them.
    let statements = match declaration.migrations.is_empty() {
        true => None,
        false => Some(Statements::of(&schema::introspect::read_with(
            conn,
            options.ignored_tables(),
            &options.extensions,
        )?)),
    };
    let run = &mut |statement: &Statement, _| log.statement(statement);
    let rehearse::Ran {
        migrated,
        warnings: of_migrations,
    } = rehearse::migrations(conn, &declaration.migrations, run)
        .inspect_err(|e| log.failed_at("rehearse", e))?;
    let texts: Vec<&str> = migrated.iter().map(|m| m.statement.sql.as_str()).collect();
    let (plan, declared, mut warnings) = log.step(
        "rehearse",
        || {
            let (mut plan, declared, warnings) = plan_on(
                conn,
                &declaration.declared,
                options,
                &texts,
                statements.as_ref(),
            )?;
            plan.violations = Some(violations);
            rehearse::measure(conn, &mut plan, options)?;
            Ok((plan, declared, warnings))
        },
        |(plan, ..)| match plan.statements.len() {
            0 => "Nothing to change in the schema".into(),
            1 => "1 statement to run".into(),
            n => format!("{n} statements to run"),
        },
    )?;
    // Before anything fills the disk: what is rewritten is written to the clone's WAL, and to
    // live's in the switch.
    let rewritten = rehearse::rewritten_bytes(conn, &plan)?;
    job.room_for(
        "rewriting what the plan changes, on the clone and in the switch,",
        2 * rewritten,
    )
    .inspect_err(|e| log.failed_at("rehearse", e))?;
    columns::ensure(conn, &declared.schema)?;
    rehearse::apply(conn, &plan, run).inspect_err(|e| log.failed_at("rehearse", e))?;
    let old = effects::read(conn)?;
    let new = declaration.effects.as_ref().unwrap_or(&old);
    let effects = effects::diff(&old, new);
    columns::write(conn, declared.app.as_ref())?;
    write_effects(conn, new, &job.marker)?;
    if !effects.is_empty() {
        log.note(
            "rehearse",
            format!("Effects: {}", effects::summary(&effects)),
        );
    }
    let took = start.elapsed();
    let has_migrated = !migrated.is_empty();
    let all = migrated
        .into_iter()
        .map(|m| m.statement)
        .chain(plan.statements.iter().cloned());
    let statements = (1..)
        .zip(all)
        .map(|(ord, statement)| Statement { ord, ..statement })
        .collect();
    let (rows, strings, more) = log.step(
        "check",
        || {
            let more = rehearse::check_schema(conn, &plan, &declared, options)?;
            let rows = Rows::check(conn, plan.changed.iter().map(String::as_str))?;
            if let Some(before) = before {
                rows.refuse(before, &plan.renamed)?;
            }
            Ok((rows, usable::still_usable(conn, &usable, &plan.renamed)?, more))
        },
        |_| "Checked foreign keys, the schema, the rows of changed tables, views and triggers; not the pages of other tables, which verify reads".into(),
    )?;
    let doubtful = rows.doubtful();
    if before.is_none() && !doubtful.is_empty() {
        conn.execute_batch("ROLLBACK")
            .context(|| format!("ending the rehearsal on {}", sqlite::name(conn)))?;
        let old = |now: &String| {
            plan.renamed
                .iter()
                .find(|(_, to)| to.eq_ignore_ascii_case(now))
                .map(|(from, _)| from)
        };
        return Ok(Tried::Doubtful(
            doubtful
                .iter()
                .map(|now| old(now).unwrap_or(now).clone())
                .collect(),
        ));
    }
    warnings.extend(more.into_iter().chain(of_migrations));
    let fingerprint = rehearse::fingerprint(conn)?;
    job.record_schema(&drift::record(conn)?)?;
    conn.execute_batch("COMMIT")
        .context(|| format!("ending the rehearsal on {}", sqlite::name(conn)))?;
    warnings.extend(strings.into_iter().chain(rows.warnings()).chain(drift));
    for warning in &warnings {
        log.warn("rehearse", warning.clone());
    }
    warnings.extend(job.begun.warnings.iter().cloned());
    warnings.extend(losses(&plan.statements));
    Ok(Tried::Done(Box::new(Rehearsed {
        plan,
        schema: declared.schema,
        statements,
        migrated: has_migrated,
        fingerprint,
        effects,
        warnings,
        terms: Terms { cookie, took },
    })))
}

/// Runs the same statements again, on a clone that has caught up.
fn rehearse_again(
    job: &Job<'_>,
    conn: &Connection,
    rehearsed: &Rehearsed,
    declaration: &Declaration,
    pages: Option<&BTreeSet<u32>>,
) -> Result<Looked> {
    rehearse::prepare(conn, job.live.libraries(job.options)?)?;
    conn.execute_batch("BEGIN")
        .context(|| format!("beginning the rehearsal on {}", sqlite::name(conn)))?;
    let before = rehearsed
        .migrated
        .then(|| rehearse::violations(conn))
        .transpose()?;
    rehearse::migrations(conn, &declaration.migrations, &mut |_, _| {})?;
    // A migration may have written any row.
    let pages = pages.filter(|_| !rehearsed.migrated);
    let looked = rehearse::ask_again(conn, &rehearsed.plan, job.options, pages)?;
    columns::ensure(conn, &rehearsed.schema)?;
    rehearse::apply_again(conn, &rehearsed.plan)?;
    columns::write(conn, declaration.declared.app.as_ref())?;
    let effects = match &declaration.effects {
        Some(effects) => effects.clone(),
        None => effects::read(conn)?,
    };
    write_effects(conn, &effects, &job.marker)?;
    rehearse::recheck(conn, &rehearsed.plan, before.as_ref())?;
    if rehearse::fingerprint(conn)? != rehearsed.fingerprint {
        return Err(
            Error::check_failed("the plan gave another schema than when it was rehearsed")
                .hint("A migration that depends on data may do that: publish again"),
        );
    }
    conn.execute_batch("COMMIT")
        .context(|| format!("ending the rehearsal on {}", sqlite::name(conn)))?;
    Ok(looked)
}

pub(crate) fn write_effects(conn: &Connection, effects: &Effects, marker: &Marker) -> Result<()> {
    effects::ensure(conn)?;
    effects::write(conn, effects)?;
    marker::write(conn, marker)
}

/// The plan of a publish, with what it would lose counted on live, and behind it the effects that
/// it would change. A migration has to run before the diff can be taken: then on a clone.
pub(crate) fn diff(live: &Live, schema: &str, options: &Options) -> Result<Vec<Statement>> {
    live.libraries(options)?;
    live.is_understood()?;
    let Declaration {
        declared,
        effects,
        migrations,
    } = Declaration::read(schema, options)?;
    if !migrations.is_empty() {
        let allow = BTreeSet::from([Allow::TypeChange, Allow::Lossy, Allow::Drop]);
        let options = Options {
            dry_run: true,
            allow,
            ..options.clone()
        };
        let mut outcome = publish(live, schema, &options, Progress::none(), Until::Rehearsed)?;
        // What is lost each statement says itself.
        outcome
            .warnings
            .retain(|warning| !losses(&outcome.statements).any(|loss| loss == *warning));
        let warnings = if options.warnings {
            outcome.warnings
        } else {
            Vec::new()
        };
        return Ok(rows(outcome.statements, &outcome.effects, warnings));
    }
    let _acting = live.owner.act()?;
    let conn = live.connect()?;
    let drift = if options.warnings {
        drift::warning(live, &conn, options)?
    } else {
        None
    };
    rehearse::prepare(&conn, live.libraries(options)?)?;
    conn.execute_batch("BEGIN")
        .context(|| format!("reading {}", live.shown()))?;
    let planned = (|| {
        let (mut plan, _, mut warnings) = plan_on(&conn, &declared, options, &[], None)?;
        warnings.extend(drift);
        plan.violations = Some(Default::default()); // nothing is going to be checked against them
        // What needs leave is what the caller wants to see; what the rows do not allow at all is an
        // error here, too.
        let refusals = rehearse::survey(&conn, &mut plan, options)?;
        let leave = |e: &Error| matches!(e, Error::AmbiguousRename(_) | Error::LossyChange(_));
        if let Some(refusal) = refusals.into_iter().find(|e| !leave(e)) {
            return Err(refusal);
        }
        let changes = match &effects {
            Some(effects) => effects::diff(&effects::read(&conn)?, effects),
            None => Vec::new(),
        };
        Ok(rows(
            plan.statements,
            &changes,
            if options.warnings {
                warnings
            } else {
                Vec::new()
            },
        ))
    })();
    let _ = conn.execute_batch("ROLLBACK");
    planned
}

/// The rows of a diff.
fn rows(
    mut statements: Vec<Statement>,
    changes: &[effects::Change],
    warnings: Vec<String>,
) -> Vec<Statement> {
    statements.extend(
        changes
            .iter()
            .map(Statement::effect)
            .chain(warnings.into_iter().map(Statement::warning)),
    );
    (1..)
        .zip(&mut statements)
        .for_each(|(ord, statement)| statement.ord = ord);
    statements
}

/// What statements take away, as warnings.
fn losses(statements: &[Statement]) -> impl Iterator<Item = String> {
    statements.iter().filter_map(|s| {
        s.loses
            .as_ref()
            .map(|loses| format!("{} loses {loses}", s.object))
    })
}

/// Takes the diff and plans it; `migrations` ran just before, and `before` them there were these
/// statements. Gives what is declared for this very database, and what the caller should know, too.
fn plan_on(
    conn: &Connection,
    declared: &Declared,
    options: &Options,
    migrations: &[&str],
    before: Option<&Statements>,
) -> Result<(Plan, Declared, Vec<String>)> {
    let mut current = schema::current(conn, declared, options)?;
    let recorded = if declared.app.is_some() {
        columns::read(conn)?
    } else {
        Recorded::default()
    };
    let goes = match &declared.app {
        Some(app) => app.tables.is_empty() && !recorded.0.is_empty(),
        None => declared.schema.is_empty() && !current.is_empty(),
    };
    // An empty file is a mistake more often than a wish.
    if goes && !options.allow.contains(&Allow::Drop) {
        return Err(Error::schema_invalid(format!(
            "{} declares nothing, and would drop everything",
            declared.source
        ))
        .state("Nothing was changed")
        .hint("Check that it is the right one; if all of it is to go, say \"allow\":[\"drop\"]"));
    }
    let declared = declared.onto(&current, &recorded, migrations)?;
    let left = current.leave_claimed(&declared.schema, &declared.renames);
    let changes = schema::diff::diff(&current, &declared.schema, &declared.renames)?;
    if declared.app.is_none() && !options.allow.contains(&Allow::Drop) {
        refuse_unsure_drop(&current, &changes)?;
    }
    if changes.iter().any(Change::edits) {
        usable::note(conn, &mut current)?;
    }
    let mut plan = schema::plan::plan(
        &current,
        &declared.schema,
        &changes,
        rusqlite::version_number(),
    )?;
    let mut warnings = declared.warnings.clone();
    warnings.extend(left_alone(&current, &left));
    warnings.extend(without_parent(&current, &declared.schema));
    let statements = before.map_or_else(|| Cow::Owned(Statements::of(&current)), Cow::Borrowed);
    let named = statements.still_name(&Statements::of(&declared.schema), &plan.renamed);
    warnings.extend(named.map_err(|e| e.state("Nothing was changed"))?);
    if declared.app.is_some() {
        warnings.extend(plan.of_app());
    } else if plan.is_empty() {
        warnings.extend(schema::plan::other_order(&current, &declared.schema));
    }
    warnings.append(&mut plan.warnings);
    // A comment stays when its rename is done, and one of a version that this database never had is
    // no mistake. But it may also be a slip of the pen.
    for rename in declared.renames.iter().filter(|rename| rename.comment) {
        let Some(table) = &rename.table else { continue };
        let Some(columns) = current.columns_of(table) else {
            continue;
        };
        // Those of a virtual table whose module is not here are not known.
        let known = |name: &str| {
            columns.is_empty()
                || columns
                    .iter()
                    .any(|column| column.eq_ignore_ascii_case(name))
        };
        if known(&rename.from) || known(&rename.to) {
            continue;
        }
        let what = format!(
            "the comment @renamed from={} names no column of {table}",
            rename.from
        );
        // Beside a column that goes it is one that would take the values with it.
        let goes = changes.iter().find_map(|change| match change {
            Change::AlterTable(change) if change.from.eq_ignore_ascii_case(table) => {
                change.dropped.first()
            }
            _ => None,
        });
        match goes {
            Some(goes) if !options.allow.contains(&Allow::Drop) => {
                return Err(Error::ambiguous_rename(format!("{what}, which loses {goes}"))
                    .object(format!("{table}.{}", rename.to))
                    .state("Nothing was changed")
                    .hint(
                        "Correct the comment, or remove it; or say that the drop is meant, with \"allow\":[\"drop\"]",
                    ));
            }
            _ => warnings.push(format!("{what}: {} is a new column", rename.to)),
        }
    }
    Ok((plan, declared, warnings))
}

/// Refuses to drop a table that may be one of a virtual table's, whose module is not here to tell.
fn refuse_unsure_drop(current: &Schema, changes: &[Change]) -> Result<()> {
    let goes = |name: &str| {
        changes
            .iter()
            .any(|change| matches!(change, Change::DropVirtual(gone) if gone == name))
    };
    let unknown = current
        .virtual_tables
        .iter()
        .find(|table| table.own.is_none() && !goes(&table.name));
    let dropped = changes.iter().find_map(|change| match change {
        Change::DropTable(name) => Some(name),
        _ => None,
    });
    let (Some(unknown), Some(dropped)) = (unknown, dropped) else {
        return Ok(());
    };
    Err(Error::unsupported_change(format!(
        "the table {dropped} would be dropped, and it may belong to the virtual table {}, whose module {} cannot tell here{}",
        unknown.name,
        unknown.module,
        unknown.missing.as_ref().map_or_else(String::new, |why| format!(" ({why})")),
    ))
    .object(dropped)
    .state("Nothing was changed")
    .hint(format!(
        "Name the library that {} needs in `extensions`; or say that the drop is meant, with \"allow\":[\"drop\"]",
        unknown.module
    )))
}

/// Foreign keys to tables that there are not going to be: SQLite makes them, and fails over every
/// row.
fn without_parent(current: &Schema, declared: &Schema) -> Vec<String> {
    let declares = |name: &str| {
        let is = |other: &String| other.eq_ignore_ascii_case(name);
        declared.table(name).is_some()
            || declared.views.iter().any(|view| is(&view.name))
            || declared.virtual_tables.iter().any(|table| is(&table.name))
    };
    // What is left alone is no part of either schema, and stays.
    let stays = |name: &str| {
        current.names.contains(&name.to_ascii_lowercase()) && current.columns_of(name).is_none()
    };
    let keys = declared
        .tables
        .iter()
        .flat_map(|table| table.foreign_keys.iter().map(move |key| (table, key)));
    let missing: BTreeSet<(&str, &str)> = keys
        .filter(|(_, key)| !declares(&key.parent) && !stays(&key.parent))
        .map(|(table, key)| (table.name.as_str(), key.parent.as_str()))
        .collect();
    let said = missing.iter().map(|(table, parent)| {
        format!(
            "a foreign key of {table} refers to {parent}, and there is going to be no such table: SQLite takes no row for {table} where \
             foreign_keys is on"
        )
    });
    said.collect()
}

/// What the caller should know of tables that nobody declares and that stay, as they may belong to
/// a virtual table. Where the module itself says so there is nothing to know.
fn left_alone(current: &Schema, left: &[Claim]) -> Vec<String> {
    let of = |table: &VirtualTable| {
        let own = left
            .iter()
            .filter(|claim| !claim.said && claim.by == table.name);
        let names: Vec<&str> = own.map(|claim| claim.table.as_str()).collect();
        (!names.is_empty()).then(|| {
            let why = match table.own {
                Some(_) => format!("the module {} does not say which tables are its own", table.module),
                None => format!(
                    "the module {} cannot tell here; name the library that it needs in `extensions`",
                    table.module
                ),
            };
            let are = if names.len() == 1 { "is not declared and stays" } else { "are not declared and stay" };
            format!("{} {are}, as a part of the virtual table {}: {why}", names.join(", "), table.name)
        })
    };
    current.virtual_tables.iter().filter_map(of).collect()
}
