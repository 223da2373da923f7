//! The releases, how they came about, and where things stand.

use super::{Answer, Context, Shown};
use crate::{
    failure::Result,
    name::called,
    output,
    show::{
        advice,
        table::{Table, list, number, text},
        text::{commit, lines, mark, message, quoted, time, took},
    },
};
use remy_db::{
    Release, ReleaseId,
    internals::text::{human, things},
};
use remy_db_app::{outbox::Lag, place::From, project::Status};

/// The newest `limit`, or all.
pub(super) fn releases(at: &Context<'_>, limit: Option<u32>) -> Result<Answer> {
    let mut releases = at.project()?.releases()?;
    if releases.is_empty() {
        let first = format!("No release yet: {} publish makes the first", called());
        return Answer::of(&releases, vec![first]);
    }
    if let Some(limit) = limit {
        releases.truncate(limit as usize);
    }
    let mut table = Table::new([
        number("RELEASE"),
        text("STATUS"),
        text("MADE"),
        text("LABEL"),
        text("COMMIT"),
        number("BRINGS BACK"),
        text("DATABASE"),
    ]);
    for release in &releases {
        table.row([
            release.release.to_string(),
            release.status.to_string(),
            time(release.created_at),
            release.label.clone().unwrap_or_default(),
            release.commit.as_deref().map(commit).unwrap_or_default(),
            release
                .restored_from
                .map_or_else(String::new, |from| from.to_string()),
            database(release),
        ]);
    }
    Answer::of(&releases, table.lines(at.room()))
}

fn database(release: &Release) -> String {
    let database = release.database.clone().unwrap_or_default();
    if release.pruned_at.is_some() {
        return "pruned".to_owned();
    }
    // Of a preview nobody keeps the size: it changes while it is tried.
    match release
        .database_bytes
        .and_then(|bytes| u64::try_from(bytes).ok())
    {
        Some(bytes) if !database.is_empty() => format!("{database} [{}]", human(bytes)),
        _ => database,
    }
}

pub(super) fn log(at: &Context<'_>, release: Option<ReleaseId>) -> Result<Answer> {
    let lines = at.project()?.build_log(release)?;
    if lines.is_empty() {
        return Answer::of(&lines, vec!["No line yet".to_owned()]);
    }
    let mut table = Table::new([
        number("RELEASE"),
        text("AT"),
        text(" "),
        text("STEP"),
        number("TOOK"),
        text("MESSAGE"),
    ]);
    let mut more = Vec::new();
    for line in &lines {
        let advised = advice::message(&line.message, line.remedy.as_ref());
        let mut messages = message(line.step.as_str(), line.outcome, &advised).into_iter();
        table.row([
            line.release.to_string(),
            time(line.at),
            mark(line.outcome).to_owned(),
            line.step.to_string(),
            took(line.duration_ms),
            messages.next().unwrap_or_default(),
        ]);
        more.push(messages.collect::<Vec<_>>());
    }
    let (titles, rows) = table.rows(at.room());
    let rows = rows
        .into_iter()
        .zip(more)
        .flat_map(|(row, more)| [row, more].concat());
    Answer::of(&lines, std::iter::once(titles).chain(rows).collect())
}

pub(super) fn schema(at: &Context<'_>, release: Option<ReleaseId>) -> Result<Answer> {
    let dumped = at.project()?.schema(release)?;
    let answer = Answer::of(&dumped, Vec::new())?;
    // For another program, so that nothing of a name is shown otherwise.
    let shown = match output::is_terminal() {
        true => Shown::Lines(lines(dumped.sql.trim_end())),
        false => Shown::Bytes(dumped.sql.into_bytes()),
    };
    Ok(Answer { shown, ..answer })
}

pub(super) fn status(at: &Context<'_>) -> Result<Answer> {
    let status = at.project()?.status()?;
    let mut lines = list(&facts(&status));
    lines.extend(
        status
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}")),
    );
    Answer::of(&status, lines)
}

/// What is known, a line each.
fn facts(status: &Status) -> Vec<(&'static str, String)> {
    let called = called();
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default()
    };
    let mut facts = vec![
        ("app", path(&status.root)),
        (
            "live",
            format!("{} ({})", status.live.path.display(), from(status)),
        ),
        ("database", database_of(status)),
        (
            "release",
            status.release.as_ref().map(release).unwrap_or_default(),
        ),
        ("from", status.built.clone().unwrap_or_default()),
    ];
    for waiting in &status.compiled {
        let number = waiting.release;
        let label = waiting.label.as_deref();
        let label = label.map_or_else(String::new, |label| format!(", {}", quoted(label)));
        let made = time(waiting.created_at);
        facts.push((
            "waiting",
            format!("release {number}{label}, compiled {made}: {called} promote {number}"),
        ));
    }
    let store = status.store.as_ref();
    for preview in &status.previews {
        let number = preview.release;
        let name = preview.preview.as_deref().unwrap_or_default();
        let database = preview.database.as_deref().unwrap_or_default();
        let store = store.map(|store| store.path.as_str()).unwrap_or_default();
        facts.push((
            "preview",
            format!("{name}: {store}/{database}, of release {number}: {called} promote {number}"),
        ));
    }
    for dev in &status.dev {
        facts.push(("dev", format!("{}: {}", dev.name, dev.path)));
    }
    facts.extend(status.outbox.iter().map(|lag| ("outbox", untold(lag))));
    if let Some(store) = store {
        if store.bytes > 0 {
            let snapshots = things(store.snapshots as u64, "snapshot");
            let size = human(store.bytes);
            facts.push(("store", format!("{} [{size}, {snapshots}]", store.path)));
        }
        facts.push(("free", human(store.free_bytes)));
    }
    facts
}

/// What a service has not been told yet, and why.
fn untold(lag: &Lag) -> String {
    let told = lag.told.map_or_else(
        || "has been told of no release".to_owned(),
        |release| format!("was told of release {release} last"),
    );
    let since = lag.since.map(|since| format!(" since {}", time(since)));
    let since = since.unwrap_or_default();
    let what = format!("{} {told}, and {} is live{since}", lag.service, lag.release);
    let called = called();
    match (&lag.waits_for[..], &lag.error) {
        ([], None) => format!("{what}: {called} serve tells it, and so does a publish"),
        ([], Some(why)) => {
            let next = lag.next_at.map(time).unwrap_or_default();
            format!(
                "{what}: {why} (attempt {}, the next at {next})",
                lag.attempts
            )
        }
        (keys, _) => {
            let set: Vec<String> = keys
                .iter()
                .map(|key| format!("{called} secrets set {key} --server"))
                .collect();
            format!("{what}: {}", set.join(" and "))
        }
    }
}

fn from(status: &Status) -> &'static str {
    match status.live.from {
        From::Caller => "--db",
        From::Environment => "REMY_DB",
        From::Settings => "remy.json",
        From::Default => "the default",
    }
}

fn database_of(status: &Status) -> String {
    let live = &status.live;
    if let Some(mode) = live.journal_mode.as_ref().filter(|_| live.exists) {
        return format!("{}, journal mode {mode}", human(live.bytes));
    }
    let called = called();
    let made_by = match live.from {
        From::Default => format!("the first {called} publish"),
        _ => format!("{called} publish --create"),
    };
    format!("not there yet: {made_by} makes it")
}

fn release(release: &Release) -> String {
    let parts = [
        Some(release.release.to_string()),
        release.label.as_deref().map(quoted),
        release
            .commit
            .as_deref()
            .map(|name| format!("commit {}", commit(name))),
        release
            .restored_from
            .map(|from| format!("as release {from} was")),
        release.live_at.map(|at| format!("since {}", time(at))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
