//! Verify: reads everything again, and says what is not as it should be. Changes nothing.
use crate::{
    Checked, Verified, artifacts,
    error::{Context, Result},
    live::{Access, Live},
    marker, place, recover, settle, sqlite,
    store::Store,
};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// Hosts before this can lose commits when a WAL is reset (fixed in 3.51.3).
const WAL_RESET_FIXED: i32 = 3_051_003;

pub(crate) fn verify(live: &Live) -> Result<Verified> {
    let mut checked = Vec::new();
    let mut warnings = Vec::new();
    let mut check = |object: String, what: &str, found: Result<Option<String>>| {
        let message = found.unwrap_or_else(|e| Some(e.to_string()));
        checked.push(Checked { object, what: what.into(), ok: message.is_none(), message });
    };

    let conn = live.connect()?;
    check(live.shown().to_string(), "integrity_check", integrity(&conn));
    let marker = marker::read(&conn);
    drop(conn);

    match Store::open(live)? {
        None => warnings.push(format!("{} has no store: nothing was published yet", live.shown())),
        Some(store) => {
            let recorded = store.catalog.live()?.map(|entry| entry.release);
            let adopted = recover::adopted(&store.catalog)?;
            let agrees = marker.map(|marker| match marker.map(|m| m.release) {
                None if adopted.is_none() => recorded.map(recover::not_carried),
                Some(release) if recorded != Some(release) => {
                    let recorded = recorded.map_or("none".to_owned(), |release| release.to_string());
                    Some(format!(
                        "live says release {release}, the catalog {recorded}; the next publish mends the catalog"
                    ))
                }
                _ => None,
            });
            check("catalog".into(), "agrees with live", agrees);
            check("catalog".into(), "integrity_check", store.catalog.integrity());
            for (release, written) in store.catalog.misplaced_snapshots()? {
                let message = format!(
                    "the catalog says that the database of release {release} is {written:?}, and it cannot be there: somebody has \
                     written into the catalog"
                );
                check(format!("release {release}"), "place of its snapshot", Ok(Some(message)));
            }
            for snapshot in store.catalog.kept_snapshots()? {
                let path = store.path(&snapshot.path);
                check(
                    snapshot.path.clone(),
                    "size and hash",
                    Ok(settle::check_snapshot(&store, &snapshot).err().map(|e| e.detail().what.clone())),
                );
                check(snapshot.path.clone(), "integrity_check", open(live, &path).and_then(|conn| integrity(&conn)));
            }
            check(
                "objects".into(),
                "hashes",
                artifacts::changed_objects(&store).map(|changed| {
                    (!changed.is_empty())
                        .then(|| format!("{} is not what its name says: it was changed", changed.join(", ")))
                }),
            );
            for (release, hash) in store.catalog.files()? {
                let found = artifacts::hash(&store, release).map(|now| {
                    (now != hash)
                        .then(|| format!("the artifacts of release {release} were changed since they were kept"))
                });
                check(place::files(release), "hash", found);
            }
            if !store.catalog.open_intents()?.is_empty() {
                warnings
                    .push("a switch that was cut off is not decided yet; the next publish or rollback does it".into());
            }
        }
    }
    if live.access == Access::Backup && rusqlite::version_number() < WAL_RESET_FIXED {
        warnings.push(format!(
            "this host's SQLite is {}; before 3.51.3 a WAL that is reset at the wrong moment can lose commits",
            rusqlite::version()
        ));
    }
    Ok(Verified { ok: checked.iter().all(|c| c.ok), checked, warnings })
}

fn open(live: &Live, path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match live.vfs() {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    }
    .context(|| format!("opening {}", path.display()))
}

/// What `integrity_check` finds, if anything.
pub(crate) fn integrity(conn: &Connection) -> Result<Option<String>> {
    let mut query = conn.prepare("PRAGMA integrity_check(10)")?;
    let lines: Vec<String> = query
        .query_map([], |row| row.get(0))
        .and_then(Iterator::collect)
        .context(|| format!("running integrity_check on {}", sqlite::name(conn)))?;
    Ok((lines != ["ok"]).then(|| lines.join("; ")))
}
