//! The rehearsal and switch of an earlier release.

use crate::{
    base::{
        clock::Moment,
        error::{Context, Error, Result, State},
        history::{Status, Step},
        ids::ReleaseId,
        options::Options,
        progress::Progress,
        remedy::VerbName,
        text::human,
    },
    effects::{Effects, diff, tables},
    live::{
        database::{Live, Shape},
        marker,
    },
    os::{copy, files},
    rehearse::{connection, questions::Looked},
    release::{
        change::{Change, Found, Rehearsed},
        context::{Call, Run, Until},
        finish,
        outcome::Outcome,
        rows_lost,
        run::bring_live,
        session::Session,
    },
    remedy,
    schema::plan::model::StatementKind,
    sqlite::{
        calls, differing_rows::Pages, file_header::set_journal_bytes, foreign::reading_database,
        quote, since::Clients, tx,
    },
    store::{
        catalog::{
            releases::{Entry, Kind},
            snapshots::Snapshot,
        },
        schema_record, snapshots,
    },
    switch::{
        contract::Terms,
        engine,
        follower::{ClonedLive, Image},
        overlay::Overlay,
    },
};
use rusqlite::{Connection, OptionalExtension};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

/// The release of a number.
pub(crate) fn find(session: &Session, release: ReleaseId) -> Result<Entry> {
    session.store.catalog.release(release)?.ok_or_else(|| {
        Error::not_found(format!("there is no release {release}"))
            .object(format!("release {release}"))
            .state(State::LiveUnchanged)
            .hint(remedy![VerbName::Releases, " lists them"])
    })
}

/// Makes a kept release live again, as a release of its own.
pub(crate) fn restore(call: &Call<'_>, mut session: Session, from: &Entry) -> Result<Outcome> {
    let (live, dry_run) = (call.live, call.options.dry_run);
    let snapshot = promotable(&session, from)?;
    if session.lost.is_some() && !dry_run {
        begin_as(live, &session.store.path(&snapshot.path))?;
    }
    let adopted = session.adopt(live, call.options)?;
    let session = &session;
    let catalog = &session.store.catalog;
    let options = Options {
        label: call.options.label.clone().or_else(|| from.label.clone()),
        commit: from.commit.clone(),
        ..call.options.clone()
    };
    let call = &call.with(&options);
    if dry_run {
        let next = session.next(live)?;
        let log = call.log(catalog, next);
        let run = Run::new(call, session, &log, next, Until::Live)?;
        return bring_back(&run, from, &snapshot);
    }
    let release = session.number(Kind::Promote, Status::Building, &options)?;
    catalog.set_restored_from(release, from.release)?;
    catalog.set_files(
        release,
        catalog.files_of(from.release)?,
        from.files_hash.as_deref(),
    )?;
    let log = call.log(catalog, release);
    finish::finish(session, release, &log, Status::Failed, || {
        if let Some(adopted) = &adopted {
            adopted.log(&log);
        }
        session.tell(&log);
        log.fact(
            Step::Build,
            format!("Release {release} brings back release {}", from.release),
        );
        let run = Run::new(call, session, &log, release, Until::Live)?;
        bring_back(&run, from, &snapshot)
    })
}

fn bring_back(run: &Run<'_>, from: &Entry, snapshot: &Snapshot) -> Result<Outcome> {
    let clone = run.clone_live()?;
    let restore = Restore::copy(run, from.release, snapshot)?;
    let brought = bring_live(run, clone, &restore)?;
    for warning in brought.warnings() {
        run.log.warn(Step::Switch, warning.clone());
    }
    Ok(brought.outcome(run, Some(from.release)))
}

/// The snapshot of a release that can go live, whole.
fn promotable(session: &Session, entry: &Entry) -> Result<Snapshot> {
    let release = entry.release;
    let refuse = |what: String| {
        Err(Error::not_promotable(what)
            .object(format!("release {release}"))
            .state(State::LiveUnchanged))
    };
    match entry.status {
        Status::Superseded => {}
        Status::Live => return refuse(format!("release {release} is live already")),
        Status::Failed => {
            return refuse(format!("release {release} failed; its build log says why"));
        }
        status => return refuse(format!("release {release} is {status}")),
    }
    let Some(snapshot) = session.store.catalog.snapshot(release)? else {
        if let Some(name) = entry.preview.as_ref().filter(|_| entry.live_at.is_none()) {
            return Err(Error::not_promotable(format!(
                "release {release} was the preview {name}, which was staged again since or pruned; it never was live"
            ))
            .object(format!("release {release}"))
            .state(State::LiveUnchanged)
            .hint(remedy!["Promote the release that is a preview now, or stage this one again; ", VerbName::Releases, " lists them"]));
        }
        return refuse(format!(
            "release {release} has no database: it stopped being live by a detach, or by hand, and nothing of it was kept then"
        ));
    };
    if snapshot.pruned_at.is_some() {
        return Err(
            Error::pruned(format!("the database of release {release} was pruned"))
                .object(format!("release {release}"))
                .state(State::LiveUnchanged)
                .hint(remedy![
                    "Promote a release that still has its database; ",
                    VerbName::Releases,
                    " lists them"
                ]),
        );
    }
    snapshots::check_snapshot(&session.store, &snapshot)?;
    Ok(snapshot)
}

/// A rollback: live is to be what a release was.
struct Restore {
    /// The release that comes back.
    release: ReleaseId,
    /// Its database, as the store keeps it.
    snapshot: PathBuf,
    /// The copy of it that goes live.
    copy: PathBuf,
}

impl Restore {
    /// Copies the snapshot, which itself stays as it is.
    fn copy(run: &Run<'_>, release: ReleaseId, snapshot: &Snapshot) -> Result<Self> {
        let path = run.work_path("image");
        run.log.step(
            Step::Rehearse,
            || {
                run.room_for("a copy of the snapshot", snapshot.bytes)
                    .map_err(|e| e.state(State::NothingStarted))?;
                copy_snapshot(run.session, snapshot, &path, run.log.progress())
            },
            |()| format!("Copied {} [{}]", snapshot.path, human(snapshot.bytes)),
        )?;
        Ok(Self {
            release,
            snapshot: run.session.store.path(&snapshot.path),
            copy: path,
        })
    }

    /// What goes and what comes back, by a clone and the pages in which the copy differs from it.
    /// The clone is left without a WAL.
    fn compare(
        &self,
        run: &Run<'_>,
        clone: Overlay,
        differs: &[u32],
        page_size: u32,
    ) -> Result<rows_lost::Difference> {
        let set: BTreeSet<u32> = differs.iter().copied().collect();
        let pages = Pages::new(clone.path(), &self.snapshot, page_size, &set)?;
        let clone = clone.open()?;
        let libraries = run.live.libraries(run.options)?;
        connection::prepare(clone.conn(), libraries)?;
        let compare =
            || rows_lost::compare(clone.conn(), &self.snapshot, pages.as_ref(), libraries);
        let difference = run.log.step(Step::Rehearse, compare, told)?;
        drop(clone.discard()?);
        Ok(difference)
    }

    /// Brings the image up to date.
    fn make(&self, run: &Run<'_>, image: &Connection) -> Result<Made> {
        let conn = run.live.connect()?;
        // One transaction: where live has a rollback journal, each would wait for writers, and that
        // is no part of the work.
        let tx = tx::begin(&conn).context(|| format!("reading {}", run.live.shown()))?;
        let old = tables::read(&tx)?;
        let start = Moment::now();
        let new = tables::read(image)?;
        bring_up_to_date(run, image, &tx)?;
        let took = start.elapsed();
        // Whoever is asked next may take their time, and writers wait for a transaction on live.
        drop(tx);
        drop(conn);
        let clients = run.may_go_live(image)?;
        run.record_schema(&schema_record::record(image)?)?;
        Ok(Made {
            took,
            old,
            new,
            clients,
        })
    }
}

/// An image that is up to date.
struct Made {
    /// How long that took.
    took: Duration,
    /// The effects that live has.
    old: Effects,
    /// Those that it is to have.
    new: Effects,
    clients: Option<Clients>,
}

impl Change for Restore {
    type Script = ();

    const WHILE: &'static str = "meanwhile";

    fn rehearse<'l>(&self, run: &Run<'_>, clone: ClonedLive<'l>) -> Result<Rehearsed<'l, ()>> {
        let ClonedLive { overlay, follower } = clone;
        let live = run.live;
        let image = engine::of(live).overlay(live, &self.copy);
        // An earlier rehearsal may have left its own.
        image.discard()?;
        let clone = overlay.open()?;
        run.is_still_the_same(clone.conn())?;
        let drift = run.drift(clone.conn())?;
        let cookie = calls::pragma(clone.conn(), "schema_version")?;
        let now = live.shape(clone.conn())?;
        let page_size = now.page_size;
        let clone = clone.discard()?;
        let image = image.open()?;
        same_shape(now, live.shape(image.conn())?, self.release)?;
        let differs = copy::differing_files(&self.copy, clone.path(), page_size)?;
        let difference = self.compare(run, clone, &differs, page_size)?;
        let Made {
            took,
            old,
            new,
            clients,
        } = self.make(run, image.conn())?;
        run.log.note(
            Step::Check,
            format!("{} pages differ from live", differs.len()),
        );
        let mut warnings = diff::warnings(&old, &new);
        warnings.extend(difference.warnings);
        warnings.extend(drift);
        warnings.extend(run.session.warnings.iter().cloned());
        Ok(Rehearsed {
            image: Image::Other {
                overlay: image,
                differs,
            },
            follower,
            terms: Terms { cookie, took },
            script: (),
            found: Found {
                statements: difference.statements,
                effects: diff(&old, &new),
                set_aside: difference.set_aside,
                comes_back: difference.comes_back,
                clients,
                warnings,
            },
        })
    }

    fn repeat(
        &self,
        run: &Run<'_>,
        (): &(),
        image: &Connection,
        live: &Connection,
        _pages: Option<&BTreeSet<u32>>,
    ) -> Result<Looked> {
        bring_up_to_date(run, image, live).map(|()| Looked::AtAll)
    }
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
            .any(|s| s.kind == StatementKind::DropTable && s.object == table)
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
        "PRAGMA page_size = {}; PRAGMA encoding = {}; PRAGMA synchronous = EXTRA",
        shape.page_size,
        quote::literal(&shape.encoding)
    ))
    .and_then(|()| calls::make_first_page(&conn))
    .context(doing)
}

/// The snapshot itself stays as it is: what goes live is a copy, as the main file of an overlay.
fn copy_snapshot(
    session: &Session,
    snapshot: &Snapshot,
    path: &Path,
    progress: Progress<'_>,
) -> Result<()> {
    let from = session.store.path(&snapshot.path);
    let file = std::fs::File::open(&from).context(|| format!("opening {}", from.display()))?;
    let to = files::create_with_owner_of(session.store.live_path(), path)?;
    copy::file(
        &file,
        &to,
        snapshot.bytes,
        copy::AfterCopy::Remove,
        progress,
    )
    .context(|| format!("copying {}", from.display()))
    .or_else(|e| progress.check().and(Err(e)))?;
    set_journal_bytes(path, 2).map(drop)
}

/// Refuses where live and the image cannot be made equal page by page.
fn same_shape(now: Shape, then: Shape, release: ReleaseId) -> Result<()> {
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
            .state(State::LiveUnchanged)
            .hint("Give live back what it had (VACUUM), or copy the snapshot's rows into live by hand"));
        }
    }
    Ok(())
}

/// What an old snapshot needs to be live now: remy's tables, the marker, and ids that are not used
/// again.
fn bring_up_to_date(run: &Run<'_>, image: &Connection, live: &Connection) -> Result<()> {
    let doing = || format!("bringing {} up to date", calls::name(image));
    let tx = tx::begin(image).context(doing)?;
    tables::ensure(&tx)?;
    marker::write(&tx, &run.marker)?;
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
