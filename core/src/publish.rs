//! Publish: read → clone → rehearse → switch → settle.
use crate::{
    Allow, Outcome, artifacts,
    catalog::Entry,
    clock::{self, Moment},
    effects::{self, Effects},
    error::{Context, Error, Result},
    job::{Image, Job, Taken, Terms},
    live::Live,
    log::Log,
    marker::{self, Marker},
    options::Options,
    progress::Progress,
    recover::{self, Begun},
    rehearse, retention,
    schema::{
        self, Declared, Source,
        plan::{Plan, Statement},
    },
    usable,
};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// How often a publish starts over from the diff because somebody else changed live's schema.
const FRESH_STARTS: u32 = 3;

/// What is to go live.
struct Declaration {
    declared: Declared,
    effects: Option<Effects>,
}

impl Declaration {
    fn read(schema: &str, options: &Options) -> Result<Self> {
        Ok(Self {
            declared: schema::declared(schema, options)?,
            effects: options.effects.as_ref().map(Effects::from_json).transpose()?,
        })
    }
}

/// What a staged release keeps, to be published later as it was declared.
#[derive(Debug, Serialize, Deserialize)]
struct Staged {
    /// SQL, or the JSON model.
    schema: String,
    renames: Vec<String>,
    effects: Option<serde_json::Value>,
    allow: BTreeSet<Allow>,
    ignore: Option<Vec<String>>,
    extensions: Vec<PathBuf>,
    migrations: Option<PathBuf>,
}

impl Staged {
    fn new(declaration: &Declaration, options: &Options) -> Result<Self> {
        let schema = match &declaration.declared.source {
            Source::Sql(sql) => sql.clone(),
            Source::SqlFile(path) => std::fs::read_to_string(path).context(|| format!("reading {}", path.display()))?,
            Source::Model(_) | Source::Database(_) | Source::App(_) => declaration.declared.schema.to_sql(),
        };
        Ok(Self {
            schema,
            renames: options.renames.clone(),
            effects: options.effects.clone(),
            allow: options.allow.clone(),
            ignore: options.ignore.clone(),
            extensions: options.extensions.clone(),
            // It may be promoted from elsewhere.
            migrations: options.migrations.as_ref().map(|folder| std::path::absolute(folder).unwrap_or(folder.clone())),
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
            migrations: self.migrations.clone(),
            label: entry.label.clone(),
            commit: entry.commit.clone(),
            artifacts: None,
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
    let declaration =
        Declaration::read(schema, options).map_err(|e| e.state("Live is unchanged; no release was made"))?;
    let mut begun = recover::begin(live, options)?;
    let adopted = begun.adopt(live, options)?;
    let above = begun.marker.as_ref().map_or(0, |m| m.release);
    if options.dry_run {
        let log = Log::new(None, above.max(begun.release) + 1, progress);
        return run(live, &begun, &declaration, options, above.max(begun.release) + 1, &log, start, until);
    }
    let (label, commit) = (options.label.as_deref(), options.commit.as_deref());
    let release = begun.store.catalog.begin("publish", "building", label, commit, above)?;
    let log = Log::new(Some(&begun.store.catalog), release, progress);
    finish(&begun, release, &log, "failed", || {
        if let Some(adopted) = adopted {
            log.note("adopt", adopted);
        }
        log.note("build", built(release, options, &declaration));
        let staged = Staged::new(&declaration, options)?;
        let text = serde_json::to_string(&staged).map_err(|e| Error::internal(e.to_string()))?;
        begun.store.catalog.describe(release, Some(&text), None)?;
        if let Some(from) = &options.artifacts {
            let (place, hash) = log.step(
                "build",
                || artifacts::keep(&begun.store, release, from),
                |(place, _)| format!("Kept artifacts of {} in {place}", from.display()),
            )?;
            begun.store.catalog.set_artifacts(release, Some(&place), Some(&hash))?;
        }
        run(live, &begun, &declaration, options, release, &log, start, until)
    })
}

/// Publishes a release that was staged: from a fresh clone, so that nothing written since is lost.
pub(crate) fn promote_compiled(
    live: &Live,
    begun: &Begun,
    entry: &Entry,
    options: &Options,
    progress: Progress<'_>,
    start: Moment,
) -> Result<Outcome> {
    let text =
        entry.declared.as_deref().ok_or_else(|| Error::internal("a compiled release without its declaration"))?;
    let staged: Staged = serde_json::from_str(text)
        .map_err(|e| Error::internal(format!("the declaration of a compiled release: {e}")))?;
    let options = staged.options(entry, options);
    let declaration = Declaration::read(&staged.schema, &options)?;
    let log = Log::new((!options.dry_run).then_some(&begun.store.catalog), entry.release, progress);
    // It stays compiled where it cannot go live: the reason may pass.
    finish(begun, entry.release, &log, "compiled", || {
        run(live, begun, &declaration, &options, entry.release, &log, start, Until::Live)
    })
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
        let _ = begun.store.catalog.set_failed(release, status);
        if begun.store.catalog.release(release).is_ok_and(|entry| entry.is_some_and(|entry| entry.status == "failed")) {
            let _ = artifacts::forget(&begun.store, release);
        }
        e
    })
}

fn built(release: i64, options: &Options, declaration: &Declaration) -> String {
    let commit = options.commit.as_ref().map_or(String::new(), |commit| format!(" from commit {commit}"));
    format!("Release {release} created{commit}, schema read from {}", declaration.declared.source)
}

/// What a rehearsal leaves behind, to do the same again.
struct Rehearsed {
    plan: Plan,
    /// The migrations that ran, and the plan.
    statements: Vec<Statement>,
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
    for _ in 0..FRESH_STARTS {
        let rehearsed = rehearse_first(&job, &mut taken, declaration)?;
        if !options.dry_run {
            let plan = serde_json::to_string(&rehearsed.statements).map_err(|e| Error::internal(e.to_string()))?;
            begun.store.catalog.describe(release, None, Some(&plan))?;
        }
        if options.dry_run || until == Until::Rehearsed {
            done = Some((rehearsed, None));
            break;
        }
        let mut change = |image: &Connection, _: &Connection| rehearse_again(&job, image, &rehearsed, declaration);
        let switched = job.switch(&mut taken, Image::Clone, rehearsed.terms, &mut change)?;
        if let Some(switched) = switched {
            done = Some((rehearsed, Some(switched)));
            break;
        }
        log.warn("switch", "Somebody else changed live's schema meanwhile: starting over from the diff");
        taken.start_over(live)?;
    }
    drop(taken);
    if done.as_ref().is_some_and(|(_, switched)| switched.is_some()) {
        retention::after_switch(&job);
    }
    let Some((rehearsed, switched)) = done else {
        return Err(Error::busy(format!(
            "somebody else changed the schema of {} {FRESH_STARTS} times while it was published",
            live.shown()
        ))
        .hint("Find out who changes the schema, and start again"));
    };
    let status = match (&switched, options.dry_run) {
        (Some(_), _) => "live",
        (None, true) => "dry_run",
        (None, false) => "compiled",
    };
    if status == "compiled" {
        begun.store.catalog.set_status(release, status)?;
        log.note("settle", format!("Release {release} is compiled; promoting it makes it live"));
    }
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
        warnings: rehearsed.warnings,
        log: log.lines(),
        total_ms: clock::ms(start.elapsed()),
    })
}

/// Takes the diff on the clone, runs the plan there, and checks what came of it.
fn rehearse_first(job: &Job<'_>, taken: &mut Taken<'_>, declaration: &Declaration) -> Result<Rehearsed> {
    let (log, options) = (job.log, job.options);
    let conn = taken.pair.open(job.live)?;
    let cookie: i64 = conn.query_row("PRAGMA schema_version", [], |row| row.get(0))?;
    let start = Moment::now();
    rehearse::prepare(conn, options)?;
    conn.execute_batch("BEGIN").context(|| "beginning the rehearsal".into())?;
    // Before anything changes: a foreign key that does not hold now is not the change's fault.
    let violations = rehearse::violations(conn)?;
    let unusable = usable::unusable(conn)?;
    let run = &mut |statement: &Statement, took| log.statement(&statement.object, &statement.sql, took);
    let migrated = match &options.migrations {
        Some(folder) => rehearse::migrations(conn, folder, run).inspect_err(|e| log.failed_at("rehearse", e))?,
        None => Vec::new(),
    };
    let declared = &declaration.declared;
    let (plan, mut warnings) = log.step(
        "rehearse",
        || {
            let (mut plan, warnings) = plan_on(conn, declared, options)?;
            plan.violations = Some(violations);
            rehearse::measure(conn, &mut plan, options)?;
            Ok((plan, warnings))
        },
        |(plan, _)| match plan.statements.len() {
            0 => "Nothing to change in the schema".into(),
            1 => "1 statement to run".into(),
            n => format!("{n} statements to run"),
        },
    )?;
    rehearse::apply(conn, &plan, run).inspect_err(|e| log.failed_at("rehearse", e))?;
    let old = effects::read(conn)?;
    let new = declaration.effects.as_ref().unwrap_or(&old);
    let effects = effects::diff(&old, new);
    write_effects(conn, new, &job.marker)?;
    if !effects.is_empty() {
        log.note("rehearse", format!("Effects: {}", effects::summary(&effects)));
    }
    let took = start.elapsed();
    let statements: Vec<_> = migrated.into_iter().map(|m| m.statement).chain(plan.statements.iter().cloned()).collect();
    log.step(
        "check",
        || {
            rehearse::check(conn, &plan, declared, options)?;
            usable::still_usable(conn, &unusable)
        },
        |()| "Checked foreign keys, the schema, changed tables, views and triggers".into(),
    )?;
    let fingerprint = rehearse::fingerprint(conn)?;
    conn.execute_batch("COMMIT").context(|| "ending the rehearsal".into())?;
    for warning in &warnings {
        log.warn("rehearse", warning.clone());
    }
    warnings.extend(
        plan.statements.iter().filter_map(|s| s.loses.as_ref().map(|loses| format!("{} loses {loses}", s.object))),
    );
    Ok(Rehearsed { plan, statements, fingerprint, effects, warnings, terms: Terms { cookie, took } })
}

/// Runs the same statements again, on a clone that has caught up.
fn rehearse_again(job: &Job<'_>, conn: &Connection, rehearsed: &Rehearsed, declaration: &Declaration) -> Result<()> {
    rehearse::prepare(conn, job.options)?;
    conn.execute_batch("BEGIN").context(|| "beginning the rehearsal".into())?;
    if let Some(folder) = &job.options.migrations {
        rehearse::migrations(conn, folder, &mut |_, _| {})?;
    }
    rehearse::apply(conn, &rehearsed.plan, &mut |_, _| {})?;
    let effects = match &declaration.effects {
        Some(effects) => effects.clone(),
        None => effects::read(conn)?,
    };
    write_effects(conn, &effects, &job.marker)?;
    rehearse::recheck(conn, &rehearsed.plan)?;
    if rehearse::fingerprint(conn)? != rehearsed.fingerprint {
        return Err(Error::check_failed("the plan gave another schema than when it was rehearsed")
            .hint("A migration that depends on data may do that: publish again"));
    }
    conn.execute_batch("COMMIT").context(|| "ending the rehearsal".into())
}

pub(crate) fn write_effects(conn: &Connection, effects: &Effects, marker: &Marker) -> Result<()> {
    effects::ensure(conn)?;
    effects::write(conn, effects)?;
    marker::write(conn, marker)
}

/// The plan of a publish, with what it would lose counted on live. A migration has to run before the diff can be taken:
/// then on a clone.
pub(crate) fn diff(live: &Live, schema: &str, options: &Options) -> Result<Vec<Statement>> {
    if options.migrations.is_some() {
        let allow = BTreeSet::from([Allow::TypeChange, Allow::Lossy, Allow::Drop]);
        let options = Options { dry_run: true, allow, ..options.clone() };
        return Ok(publish(live, schema, &options, Progress::none(), Until::Live)?.statements);
    }
    let declared = schema::declared(schema, options)?;
    let conn = live.connect()?;
    rehearse::prepare(&conn, options)?;
    conn.execute_batch("BEGIN").context(|| format!("reading {}", live.shown()))?;
    let planned = (|| {
        let (mut plan, _) = plan_on(&conn, &declared, options)?;
        plan.violations = Some(Default::default()); // nothing is going to be checked against them
        // What needs leave is what the caller wants to see; what the rows do not allow at all is an error here, too.
        let refusals = rehearse::survey(&conn, &mut plan, options)?;
        let leave = |e: &Error| matches!(e, Error::AmbiguousRename(_) | Error::LossyChange(_));
        match refusals.into_iter().find(|e| !leave(e)) {
            Some(refusal) => Err(refusal),
            None => Ok(plan.statements),
        }
    })();
    let _ = conn.execute_batch("ROLLBACK");
    planned
}

/// Takes the diff and plans it. Gives what the caller should know, too.
fn plan_on(conn: &Connection, declared: &Declared, options: &Options) -> Result<(Plan, Vec<String>)> {
    let current = schema::introspect::read(conn, &options.ignored_tables())?;
    // An empty file is a mistake more often than a wish.
    if declared.schema.is_empty() && !current.is_empty() && !options.allow.contains(&Allow::Drop) {
        return Err(Error::schema_invalid(format!("{} declares nothing, and would drop everything", declared.source))
            .state("Nothing was changed")
            .hint("Check that it is the right one; if all of it is to go, say \"allow\":[\"drop\"]"));
    }
    let changes = schema::diff::diff(&current, &declared.schema, &declared.renames)?;
    let plan = schema::plan::plan(&current, &declared.schema, &changes, rusqlite::version_number())?;
    // A comment stays when its rename is done, and one of a version that this database never had is no mistake. But it
    // may also be a slip of the pen.
    let loose = declared.renames.iter().filter(|rename| rename.comment).filter_map(|rename| {
        let table = current.table(rename.table.as_deref()?)?;
        let known = table.column(&rename.from).is_some() || table.column(&rename.to).is_some();
        (!known).then(|| {
            format!(
                "the comment @renamed from={} names no column of {}: {} is a new column",
                rename.from, table.name, rename.to
            )
        })
    });
    Ok((plan, loose.collect()))
}
