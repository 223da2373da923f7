//! Dev databases: a copy of live for a dev session, changed, reset and truncated under its open
//! connections.

pub(crate) mod kept;
pub(crate) mod sync;

use crate::{
    base::{
        error::{Context, Error, Result, State},
        history::DevStatus,
        ids::ReleaseId,
        options::Options,
        progress::Progress,
        remedy::VerbName,
    },
    live::database::Live,
    os::{files, stops::NoStops},
    release::session,
    remedy,
    schema::introspect,
    sqlite::{
        calls, libraries, quote,
        strangers::{Kind, Stranger},
        tx,
    },
    store::{Store, catalog::dev::Session, names::check_name, place, removals},
    switch::{engine, follower::ClonedLive},
    verbs::clone,
};
use rusqlite::{Connection, config::DbConfig};
use serde::Serialize;
use std::path::PathBuf;

/// What faces say of a session: `dev reset` is never the session of that name.
const WORDS: [&str; 7] = ["start", "sync", "reset", "truncate", "seed", "stop", "list"];

/// Clones live for a session. Before the first publish that is an empty database: an app is tried
/// before it is published.
pub(crate) fn start(live: &Live, name: &str, progress: Progress<'_>) -> Result<Dev> {
    check_name("dev session", name)?;
    if WORDS.contains(&name) {
        return Err(Error::invalid_argument(format!(
            "{name} is what is done with a dev session, and the name of none"
        ))
        .object(name)
        .state(State::NothingDone)
        .hint("Give the session another name"));
    }
    let begun = session::Session::begin(live, &Options::default(), progress)?;
    let store = &begun.store;
    if store.catalog.dev_open(name)?.is_some() {
        return Err(
            Error::invalid_argument(format!("the dev session {name} is running"))
                .object(name)
                .state("It is as it was")
                .hint("Reset it, or stop it first"),
        );
    }
    begun.make_first_page(live)?;
    let path = store.path(&place::dev(name));
    // Whole, or not there: nobody is to find half a database under the session's name.
    let work = store.path(&place::work(&store.catalog.unique()?));
    clone::copy(live, &work, progress)?;
    store.catalog.will_remove("dev", name)?;
    files::rename_new(&work, &path)?;
    files::sync_name(&path)?;
    store.catalog.dev_started(name, begun.live_release())?;
    show(store, &open(store, name)?)
}

/// Makes a session's database equal to live as it is now.
pub(crate) fn reset(live: &Live, name: &str, progress: Progress<'_>) -> Result<Dev> {
    let begun = session::Session::begin(live, &Options::default(), progress)?;
    let store = &begun.store;
    open(store, name)?;
    begun.make_first_page(live)?;
    let removed = overwrite(live, (store, name), (live, "live"), progress)?;
    store
        .catalog
        .dev_was_reset(name, begun.live_release())
        .and(removed)
        .and_then(|()| show(store, &open(store, name)?))
        .map_err(|e| e.state("The session is reset"))
}

/// Makes a session's database equal to another one, which is `called` so, under its open
/// connections. `Ok` once it is: what is in it then says whether what was made for it could be
/// removed.
fn overwrite(
    live: &Live,
    (store, name): (&Store, &str),
    (from, called): (&Live, &str),
    progress: Progress<'_>,
) -> Result<Result<()>> {
    let dev = live.sibling(&store.path(&place::dev(name)))?;
    let work = store.path(&place::work(&store.catalog.unique()?));
    let engine = engine::of(live);
    let ClonedLive { overlay, follower } = engine.clone_live(from, store, &work, progress)?;
    let result = (|| {
        progress.check()?;
        let image = overlay.open()?;
        let conn = dev.connect()?;
        let (theirs, ours) = (dev.shape(&conn)?, from.shape(image.conn())?);
        drop(conn);
        if (theirs.page_size, &theirs.encoding) != (ours.page_size, &ours.encoding) {
            return Err(Error::unsupported_change(format!(
                "the database of dev session {name} has page size {} and encoding {}, {called} has {} and {}",
                theirs.page_size, theirs.encoding, ours.page_size, ours.encoding
            ))
            .object(name)
            .state(State::SessionUnchanged)
            .hint("Stop the session and start it again"));
        }
        engine
            .overwrite(&dev, &image, Options::default().lock_timeout())
            .map_err(|e| e.state(State::SessionUnchanged))
    })();
    drop(follower);
    let removed = store
        .remove_database(&work)
        .and_then(|()| store.remove_database(&work.with_extension("plain.db")));
    result.map(|()| removed)
}

/// Empties every table of a session's database in one transaction.
pub(crate) fn truncate(
    live: &Live,
    name: &str,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Dev> {
    let libraries = live.libraries(options)?;
    let begun = session::Session::begin(live, options, progress)?;
    let store = &begun.store;
    let session = open(store, name)?;
    let dev = live.sibling(&store.path(&place::dev(name)))?;
    let _no_stops = NoStops::new();
    let conn = dev.connect()?;
    libraries::load_extensions(&conn, libraries).map_err(|e| e.state(State::SessionUnchanged))?;
    let doing = || format!("emptying {}", dev.shown());
    // No trigger fires and nothing cascades: everything goes anyway.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)
        .context(doing)?;
    // EXTRA, or a power cut brings back a rollback journal that COMMIT has removed.
    conn.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = OFF")
        .context(doing)?;
    let tx = tx::begin_to_write(&conn).context(doing)?;
    empty(&tx, libraries)
        .and_then(|()| progress.check())
        .map_err(|e| e.state(State::SessionUnchanged))?;
    calls::commit(&tx, State::SessionUnchanged)?;
    drop(tx);
    drop(conn);
    show(store, &session)
}

fn empty(conn: &Connection, libraries: &[PathBuf]) -> Result<()> {
    let schema = introspect::read_with(conn, &[], libraries)?;
    let run = |name: &str, sql: String| {
        conn.execute_batch(&sql)
            .or_else(|e| match Stranger::behind(&e) {
                Some(stranger) => Err(cannot_be_emptied(name, &sql, &stranger)),
                None => Err(e).context(|| format!("emptying {name} in {}", calls::name(conn))),
            })
    };
    let mut indexes = Vec::new();
    for table in &schema.virtual_tables {
        let claimed = schema.claims.iter().any(|claim| claim.by == table.name);
        let own = match &table.own {
            // What it shows is another table's, or not of this database at all: a file, say, that
            // live's has as well.
            Some(own) if own.is_empty() => continue,
            None if !claimed => continue,
            None => {
                let module = Stranger {
                    kind: Kind::Module,
                    name: table.module.clone(),
                };
                return Err(cannot_be_emptied(&table.name, &table.sql, &module));
            }
            Some(own) => own,
        };
        let name = quote::ident(&table.name);
        match table.option("content") {
            None => run(&table.name, format!("DELETE FROM {name}"))?,
            // An index of rows that are elsewhere, or nowhere.
            Some(_) if table.module.eq_ignore_ascii_case("fts5") => {
                run(
                    &table.name,
                    format!("INSERT INTO {name} ({name}) VALUES ('delete-all')"),
                )?;
            }
            Some(content) if !content.is_empty() => indexes.push(table),
            // FTS4 has no way to forget what it has only indexed. Its settings are the row 2 of its
            // last table.
            Some(_) => {
                for part in own {
                    let but = if part.ends_with("_stat") {
                        " WHERE id <> 2"
                    } else {
                        ""
                    };
                    run(
                        &table.name,
                        format!("DELETE FROM {}{but}", quote::ident(part)),
                    )?;
                }
            }
        }
    }
    for table in &schema.tables {
        run(
            &table.name,
            format!("DELETE FROM {}", quote::ident(&table.name)),
        )?;
    }
    // FTS4 forgets a row by its words, which it reads from the other table: it reads that anew, now
    // that nothing is in it.
    for table in indexes {
        let name = quote::ident(&table.name);
        run(
            &table.name,
            format!("INSERT INTO {name} ({name}) VALUES ('rebuild')"),
        )?;
    }
    let sequences = conn
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence')",
            [],
            |row| row.get(0),
        )
        .context(|| format!("looking for sqlite_sequence in {}", calls::name(conn)))?;
    if sequences {
        conn.execute_batch("DELETE FROM sqlite_sequence")
            .context(|| format!("emptying sqlite_sequence in {}", calls::name(conn)))?;
    }
    Ok(())
}

fn cannot_be_emptied(table: &str, sql: &str, stranger: &Stranger) -> Error {
    Error::unsupported_change(format!(
        "{table} cannot be emptied: {} is not here",
        stranger.name
    ))
    .object(table)
    .sql(sql)
    .hint(format!(
        "{}; or reset the session to what live has",
        stranger.hint()
    ))
}

/// Ends a session and removes its database.
pub(crate) fn stop(live: &Live, name: &str) -> Result<Dev> {
    let begun = session::Session::begin(live, &Options::default(), Progress::none())?;
    let store = &begun.store;
    let session = open(store, name)?;
    store.catalog.dev_stopped(name)?;
    removals::run(store)?;
    let stopped = store
        .catalog
        .dev_sessions()?
        .into_iter()
        .find(|s| s.name == name)
        .unwrap_or(session);
    show(store, &stopped)
}

/// Every session, newest first.
pub(crate) fn list(live: &Live) -> Result<Vec<Dev>> {
    match Store::open(live)? {
        Some(store) => store
            .catalog
            .dev_sessions()?
            .iter()
            .map(|session| show(&store, session))
            .collect(),
        None => Ok(Vec::new()),
    }
}

/// One session, which has to be running.
pub(crate) fn session(live: &Live, name: &str) -> Result<Dev> {
    check_name("dev session", name)?;
    let store = Store::open(live)?.ok_or_else(|| no_session(name))?;
    show(&store, &open(&store, name)?)
}

/// A session that runs.
pub(super) fn open(store: &Store, name: &str) -> Result<Session> {
    check_name("dev session", name)?;
    let session = store.catalog.dev_open(name)?;
    session.ok_or_else(|| no_session(name))
}

pub(super) fn no_session(name: &str) -> Error {
    Error::not_found(format!("there is no dev session {name:?}"))
        .object(name)
        .state(State::NothingDone)
        .hint(remedy![
            "Start it first; ",
            VerbName::DevList,
            " lists the sessions"
        ])
}

fn show(store: &Store, session: &Session) -> Result<Dev> {
    let path = store.path(&place::dev(&session.name));
    let running = session.status == DevStatus::Dev;
    Ok(Dev {
        name: session.name.clone(),
        bytes: if running {
            std::fs::metadata(&path).map_or(0, |m| m.len())
        } else {
            0
        },
        path: path.display().to_string(),
        release: session.release,
        status: session.status,
        created_at: session.created_at,
        reset_at: session.reset_at,
        stopped_at: session.stopped_at,
    })
}

/// A dev session's database.
#[derive(Debug, Clone, Serialize)]
pub struct Dev {
    /// The session.
    pub name: String,
    /// Its database.
    pub path: String,
    /// How large that is.
    pub bytes: u64,
    /// The release that was live when it was taken.
    pub release: Option<ReleaseId>,
    /// Whether it is still there.
    pub status: DevStatus,
    /// When it was started.
    pub created_at: i64,
    /// When it was last reset.
    pub reset_at: Option<i64>,
    /// When it was stopped.
    pub stopped_at: Option<i64>,
}
