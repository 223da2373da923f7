//! What nobody has any more goes: leaves that are over, files of what is gone itself, bytes that are
//! nobody's. Live's files stay until they are removed: a row may name one, however old it is.

use super::{Files, uploads};
use crate::{
    failure::Failure,
    state::{Kept, now},
    target::Target,
};
use rusqlite::{Connection, params};
use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
};

/// How long what is written of late stays, in milliseconds: what it is of may not be known yet, or is
/// run by a process of its own.
const LATE: i64 = 60 * 60_000;

impl Files {
    /// Removes it. `there` are the previews and dev sessions that there are.
    pub fn sweep(&self, there: &[Target]) -> Result<(), Failure> {
        let there: BTreeSet<String> = there
            .iter()
            .chain([&Target::Live])
            .map(ToString::to_string)
            .collect();
        let before = now() - LATE;
        let state = self.state()?;
        state.write(Kept::Now, "removing files of what is gone", |tx| {
            uploads::sweep(tx)?;
            let of = "SELECT DISTINCT target FROM files WHERE made < ?1";
            for target in texts(tx, of, before)? {
                if there.contains(&target) {
                    continue;
                }
                let loosen = "INSERT OR REPLACE INTO loose (name, since)
                              SELECT name, ?3 FROM files WHERE target = ?1 AND made < ?2";
                tx.execute(loosen, params![target, before, now()])?;
                let remove = "DELETE FROM files WHERE target = ?1 AND made < ?2";
                tx.execute(remove, params![target, before])?;
            }
            Ok(())
        })?;
        let all = state.read("looking for what is nobody's", |conn| {
            texts(conn, "SELECT name FROM loose WHERE since <= ?1", i64::MAX)
        })?;
        // One that cannot be removed keeps no other.
        let mut swept = Ok(());
        for name in all {
            swept = self.sweep_one(&name, before).and(swept);
        }
        swept
    }

    /// Removes the bytes of a name that is loose, unless somebody writes them.
    fn sweep_one(&self, name: &str, before: i64) -> Result<(), Failure> {
        let at = self.path(name)?;
        let failed = |e: io::Error| {
            let message = format!("removing {}: {e}. It stays there", at.display());
            Failure::new("io", 500, message)
        };
        let options = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&at);
        let locked = match options {
            // Who has named it may be about to make it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return self.forget(name, before),
            opened => {
                let file = opened.map_err(failed)?;
                match file.try_lock() {
                    Err(TryLockError::WouldBlock) => return Ok(()),
                    tried => tried.map_err(io::Error::from).map(|()| file),
                }
            }
        };
        let _locked = locked.map_err(failed)?;
        // It may have come to be a row's until then.
        let is_loose = self.state()?.read("looking for what is nobody's", |conn| {
            let find = "SELECT count(*) FROM loose WHERE name = ?1";
            conn.query_row(find, [name], |row| row.get::<_, i64>(0))
        })?;
        if is_loose == 0 {
            return Ok(());
        }
        fs::remove_file(&at).map_err(failed)?;
        self.forget(name, i64::MAX)
    }

    /// A name is none any more, where it has been loose for long.
    fn forget(&self, name: &str, before: i64) -> Result<(), Failure> {
        self.state()?.write(Kept::Soon, "forgetting a file", |tx| {
            let remove = "DELETE FROM loose WHERE name = ?1 AND since < ?2";
            tx.execute(remove, params![name, before])
        })?;
        Ok(())
    }
}

fn texts(conn: &Connection, sql: &str, before: i64) -> rusqlite::Result<Vec<String>> {
    let mut find = conn.prepare(sql)?;
    let rows = find.query_map([before], |row| row.get(0))?;
    rows.collect()
}
