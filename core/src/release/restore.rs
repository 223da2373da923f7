//! The rehearsal and switch of an earlier release.

use crate::{
    base::{
        clock::{self, Moment},
        error::{Context, Error, Result},
        history::{ReleaseId, Status},
        options::Options,
        progress::Progress,
        text::human,
    },
    effects::{Effects, diff, tables},
    live::database::Live,
    os::{copy, files},
    rehearse::{connection, questions::Looked},
    release::{
        finish,
        outcome::{Outcome, Reached},
        retention, rows_lost,
        run::{FRESH_STARTS, Job},
        session::Begun,
    },
    sqlite::{
        calls, differing_rows::Pages, file_header::set_journal_bytes, foreign::reading_database,
        quote, tx,
    },
    store::{
        catalog::{
            releases::{Entry, Kind},
            snapshots::Snapshot,
        },
        log::Log,
        schema_record, snapshots,
    },
    switch::{
        contract::Terms,
        follower::{Image, Taken},
        overlay::Pair,
    },
};
use rusqlite::{Connection, OptionalExtension};
use std::{collections::BTreeSet, path::Path};

pub(crate) fn find(begun: &Begun, release: ReleaseId) -> Result<Entry> {
    begun.store.catalog.release(release)?.ok_or_else(|| {
        Error::not_found(format!("there is no release {release}"))
            .object(format!("release {release}"))
            .state("Live is unchanged")
            .hint("The verb releases lists them")
    })
}

pub(crate) fn restore(
    live: &Live,
    mut begun: Begun,
    from: &Entry,
    options: &Options,
    progress: Progress<'_>,
    start: Moment,
) -> Result<Outcome> {
    let snapshot = promotable(&begun, from)?;
    if begun.lost.is_some() && !options.dry_run {
        begin_as(live, &begun.store.path(&snapshot.path))?;
    }
    let adopted = begun.adopt(live, options)?;
    let begun = &begun;
    let catalog = &begun.store.catalog;
    let options = Options {
        label: from.label.clone(),
        commit: from.commit.clone(),
        ..options.clone()
    };
    if options.dry_run {
        let next = begun.next(live)?;
        let log = Log::new(None, next, progress).since(start);
        return run(live, begun, from, &snapshot, &options, next, &log, start);
    }
    let release = begun.number(Kind::Promote, Status::Building, &options)?;
    catalog.set_restored_from(release, from.release)?;
    catalog.set_files(
        release,
        catalog.files_of(from.release)?,
        from.files_hash.as_deref(),
    )?;
    let log = Log::new(Some(catalog), release, progress).since(start);
    finish::finish(begun, release, &log, Status::Failed, || {
        if let Some(adopted) = &adopted {
            adopted.log(&log);
        }
        begun.tell(&log);
        log.fact(
            "build",
            format!("Release {release} brings back release {}", from.release),
        );
        run(live, begun, from, &snapshot, &options, release, &log, start)
    })
}

/// The snapshot of a release that can go live, whole.
fn promotable(begun: &Begun, entry: &Entry) -> Result<Snapshot> {
    let release = entry.release;
    let refuse = |what: String| {
        Err(Error::not_promotable(what)
            .object(format!("release {release}"))
            .state("Live is unchanged"))
    };
    match entry.status {
        Status::Superseded => {}
        Status::Live => return refuse(format!("release {release} is live already")),
        Status::Failed => {
            return refuse(format!("release {release} failed; its build log says why"));
        }
        status => return refuse(format!("release {release} is {status}")),
    }
    let Some(snapshot) = begun.store.catalog.snapshot(release)? else {
        if let Some(name) = entry.preview.as_ref().filter(|_| entry.live_at.is_none()) {
            return Err(Error::not_promotable(format!(
                "release {release} was the preview {name}, which was staged again since or pruned; it never was live"
            ))
            .object(format!("release {release}"))
            .state("Live is unchanged")
            .hint("Promote the release that is a preview now, or stage this one again; the verb releases lists them"));
        }
        return refuse(format!(
            "release {release} has no database: it stopped being live by a detach, or by hand, and nothing of it was kept then"
        ));
    };
    if snapshot.pruned_at.is_some() {
        return Err(
            Error::pruned(format!("the database of release {release} was pruned"))
                .object(format!("release {release}"))
                .state("Live is unchanged")
                .hint(
                    "Promote a release that still has its database; the verb releases lists them",
                ),
        );
    }
    snapshots::check_snapshot(&begun.store, &snapshot)?;
    Ok(snapshot)
}

#[expect(clippy::too_many_arguments, reason = "what a rollback is about")]
fn run(
    live: &Live,
    begun: &Begun,
    from: &Entry,
    snapshot: &Snapshot,
    options: &Options,
    release: ReleaseId,
    log: &Log<'_>,
    start: Moment,
) -> Result<Outcome> {
    let job = Job::new(live, begun, options, log, release)?;
    let mut taken = job.take()?;
    let path = job.work_path("image");
    let mut image = log.step(
        "rehearse",
        || {
            job.room_for("a copy of the snapshot", snapshot.bytes)
                .map_err(|e| e.state("Nothing was started"))?;
            copy_snapshot(begun, snapshot, &path, log.progress())
        },
        |_| format!("Copied {} [{}]", snapshot.path, human(snapshot.bytes)),
    )?;
    let mut change = |image: &Connection, live: &Connection, _: Option<&BTreeSet<u32>>| {
        bring_up_to_date(&job, image, live).map(|()| Looked::AtAll)
    };
    let mut effects = None;
    let mut switched = None;
    let mut drifted = None;
    let mut difference = rows_lost::Difference::default();
    for attempt in 1..=FRESH_STARTS {
        image.discard()?;
        job.is_still_the_same(taken.pair.open(live)?)?;
        drifted = job.drift(taken.pair.open(live)?)?;
        let cookie = same_shape(&mut taken, &mut image, live, from.release)?;
        let page_size = taken.page_size(live)?;
        let differs = copy::differing_files(&path, taken.pair.path(), page_size)?;
        {
            let then = begun.store.path(&snapshot.path);
            let set: BTreeSet<u32> = differs.iter().copied().collect();
            let pages = Pages::new(taken.pair.path(), &then, page_size, &set)?;
            let clone = taken.pair.open(live)?;
            connection::prepare(clone, live.libraries(options)?)?;
            let compare =
                || rows_lost::compare(clone, &then, pages.as_ref(), live.libraries(options)?);
            difference = log.step("rehearse", compare, told)?;
        }
        taken.pair.discard()?;
        let terms = {
            let conn = live.connect()?;
            // One transaction: where live has a rollback journal, each would wait for writers, and
            // that is no part of the work.
            let tx = tx::begin(&conn).context(|| format!("reading {}", live.shown()))?;
            let old = tables::read(&tx)?;
            let rehearsing = Moment::now();
            let pair = image.open(live)?;
            effects = Some((old, tables::read(pair)?));
            change(pair, &tx, None)?;
            job.may_go_live(pair)?;
            job.record_schema(&schema_record::record(pair)?)?;
            Terms {
                cookie,
                took: rehearsing.elapsed(),
            }
        };
        log.note("check", format!("{} pages differ from live", differs.len()));
        if options.dry_run {
            break;
        }
        switched = job.switch(
            &mut taken,
            Image::Other {
                pair: &mut image,
                differs,
            },
            terms,
            &mut change,
        )?;
        if switched.is_some() {
            break;
        }
        job.start_over(&mut taken, attempt)?;
    }
    drop((taken, image));
    if switched.is_none() && !options.dry_run {
        return Err(Error::busy(format!(
            "somebody else changed the schema of {} {FRESH_STARTS} times meanwhile",
            live.shown()
        ))
        .hint("Find out who changes the schema, and start again"));
    }
    if switched.is_some() {
        retention::after_switch(&job);
    }
    let (old, new) = effects.unwrap_or_else(|| (Effects::default(), Effects::default()));
    let mut warnings = diff::warnings(&old, &new);
    warnings.extend(difference.warnings);
    warnings.extend(drifted);
    warnings.extend(begun.warnings.iter().cloned());
    for warning in &warnings {
        log.warn("switch", warning.clone());
    }
    Ok(Outcome {
        release,
        status: if options.dry_run {
            Reached::DryRun
        } else {
            Reached::Live
        },
        restored_from: Some(from.release),
        previous: begun.live_release(),
        label: options.label.clone(),
        commit: options.commit.clone(),
        dry_run: options.dry_run,
        switch: switched,
        statements: difference.statements,
        effects: diff(&old, &new),
        set_aside: difference.set_aside,
        comes_back: difference.comes_back,
        warnings,
        log: log.lines(),
        total_ms: clock::ms(start.elapsed()),
    })
}

/// What a rollback takes away and brings back, in a line.
fn told(difference: &rows_lost::Difference) -> String {
    let mut parts: Vec<String> = difference
        .statements
        .iter()
        .filter_map(|statement| {
            statement
                .loses
                .as_ref()
                .map(|loses| format!("{} ({loses})", statement.object))
        })
        .collect();
    // A table that goes has said so.
    let goes = |table: &str| {
        difference
            .statements
            .iter()
            .any(|s| s.kind == "drop_table" && s.object == table)
    };
    let stays = difference
        .set_aside
        .iter()
        .filter(|aside| !goes(&aside.table));
    parts.extend(stays.map(|aside| format!("rows of {}: {}", aside.table, aside.rows)));
    let goes = if parts.is_empty() {
        "Nothing that is in live goes".to_owned()
    } else {
        format!("Goes: {}", parts.join(", "))
    };
    let back = difference.comes_back.iter().map(|back| match &back.column {
        Some(column) => format!("values of {}.{column}: {}", back.table, back.rows),
        None => format!("rows of {}: {}", back.table, back.rows),
    });
    let back: Vec<String> = back.collect();
    if back.is_empty() {
        goes
    } else {
        format!("{goes}; comes back: {}", back.join(", "))
    }
}

/// Gives live, where it has no page yet, the first one that a snapshot can be switched in after:
/// its page size and encoding stay.
fn begin_as(live: &Live, snapshot: &Path) -> Result<()> {
    let conn = live.connect()?;
    if calls::pragma::<u32>(&conn, "page_count")? > 0 {
        return Ok(());
    }
    let shape = reading_database(snapshot, |snapshot| live.shape(snapshot))?;
    let doing = || format!("writing the first page of {}", live.shown());
    conn.execute_batch(&format!(
        "PRAGMA page_size = {}; PRAGMA encoding = {}; PRAGMA synchronous = EXTRA; BEGIN IMMEDIATE; PRAGMA user_version = 0; COMMIT",
        shape.page_size,
        quote::literal(&shape.encoding)
    ))
    .context(doing)
}

/// The snapshot itself stays as it is: what goes live is a copy, as the main file of a pair.
fn copy_snapshot(
    begun: &Begun,
    snapshot: &Snapshot,
    path: &Path,
    progress: Progress<'_>,
) -> Result<Pair> {
    let from = begun.store.path(&snapshot.path);
    let file = std::fs::File::open(&from).context(|| format!("opening {}", from.display()))?;
    let to = files::create_with_owner_of(begun.store.live_path(), path)?;
    copy::file(
        &file,
        &to,
        snapshot.bytes,
        copy::AfterCopy::Remove,
        progress,
    )
    .context(|| format!("copying {}", from.display()))
    .or_else(|e| progress.check().and(Err(e)))?;
    set_journal_bytes(path, 2)?;
    Ok(Pair::new(path))
}

/// Refuses where live and the image cannot be made equal page by page. Gives live's schema cookie.
fn same_shape(
    taken: &mut Taken<'_>,
    image: &mut Pair,
    live: &Live,
    release: ReleaseId,
) -> Result<i64> {
    let conn = taken.pair.open(live)?;
    let cookie = calls::pragma(conn, "schema_version")?;
    let now = live.shape(conn)?;
    taken.pair.discard()?;
    let then = live.shape(image.open(live)?)?;
    for (what, now, then) in [
        (
            "page size",
            now.page_size.to_string(),
            then.page_size.to_string(),
        ),
        ("text encoding", now.encoding, then.encoding),
    ] {
        if now != then {
            return Err(Error::not_promotable(format!(
                "release {release} has {what} {then}, live has {now}: one cannot become the other under open connections"
            ))
            .state("Live is unchanged")
            .hint("Give live back what it had (VACUUM), or copy the snapshot's rows into live by hand"));
        }
    }
    Ok(cookie)
}

/// What an old snapshot needs to be live now: remy's tables, the marker, and ids that are not used
/// again.
fn bring_up_to_date(job: &Job<'_>, image: &Connection, live: &Connection) -> Result<()> {
    let doing = || format!("bringing {} up to date", calls::name(image));
    let tx = tx::begin(image).context(doing)?;
    tables::ensure(&tx)?;
    crate::live::marker::write(&tx, &job.marker)?;
    raise_sequences(&tx, live)
        .context(|| format!("raising sqlite_sequence of {}", calls::name(image)))?;
    tx.commit().context(doing)
}

/// Raises `sqlite_sequence` of the image to live's, where that is higher.
fn raise_sequences(image: &Connection, live: &Connection) -> rusqlite::Result<()> {
    let has = |conn: &Connection| {
        conn.query_row(
            "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'",
            [],
            |_| Ok(()),
        )
        .optional()
    };
    if has(image)?.is_none() || has(live)?.is_none() {
        return Ok(());
    }
    let mut query =
        live.prepare("SELECT name, seq FROM sqlite_sequence WHERE typeof(seq) = 'integer'")?;
    let rows = query.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    })?;
    for row in rows {
        let (name, seq) = row?;
        let raised = image.execute(
            "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1",
            (&name, seq),
        )?;
        if raised == 0 {
            image.execute(
                "INSERT INTO sqlite_sequence (name, seq)
                 SELECT ?1, ?2 FROM sqlite_schema WHERE type = 'table' AND name = ?1 AND sql LIKE '%AUTOINCREMENT%'",
                (&name, seq),
            )?;
        }
    }
    Ok(())
}
