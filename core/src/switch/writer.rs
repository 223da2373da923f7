//! The transaction that writes live.

use crate::{
    base::{
        clock::Moment,
        error::{Context, Error, Result},
        progress::Progress,
        remedy::OptionName,
    },
    live::database::Live,
    os::stops::NoStops,
    remedy,
    sqlite::{
        calls::{self, is_busy},
        tx,
        vfs::wal_buffer,
    },
    switch::{
        contract::{SwitchFailure, lock_timeout},
        overlay::{ImagePages, OpenOverlay},
    },
};
use rusqlite::Transaction;
use std::time::Duration;

/// Statements that take longer than this do not run again while a reader is pinned: it would hold
/// up applications that checkpoint.
pub(super) const SHORT: Duration = Duration::from_millis(50);

/// How long the last round stays pinned while the lock is waited for. An application's TRUNCATE
/// checkpoint may hold it, waiting for our pin: without an end to it the two would wait for each
/// other.
pub(super) const PINNED: Duration = Duration::from_millis(30);

/// The connection that writes. Opened for one switch and closed after it, so that nothing of its
/// cache is used again.
pub(super) struct Writer<'a> {
    pub(super) conn: crate::live::database::LiveConnection<'a>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(live: &'a Live, journal: bool) -> Result<Self> {
        let conn = live.connect_to_write()?;
        let doing = || format!("preparing to write {}", live.shown());
        calls::keep_free_pages(&conn)?;
        conn.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)
            .context(doing)?;
        conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0")
            .context(doing)?;
        if journal {
            // A spill would take the exclusive lock, and with it every reader, before there is
            // anything to commit. EXTRA, or a power cut brings back the journal that COMMIT has
            // removed, and with it what was there before.
            conn.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA cache_spill = OFF")
                .context(doing)?;
        }
        // Reads the schema now, and not under the lock.
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .context(doing)?;
        conn.busy_timeout(Duration::ZERO).context(doing)?;
        Ok(Self { conn })
    }

    /// Takes the write lock, and says how long that took. SQLite's own busy handler sleeps too long
    /// between its tries to get in between busy writers.
    ///
    /// `unpin` is called when it takes longer than [`PINNED`].
    pub(super) fn lock(
        &self,
        timeout: Duration,
        live: &Live,
        progress: Progress<'_>,
        unpin: impl FnOnce(),
    ) -> Result<(WriteLock<'_>, Duration)> {
        let start = Moment::now();
        let mut unpin = Some(unpin);
        loop {
            progress.check()?;
            let waited = start.elapsed();
            if waited > PINNED
                && let Some(unpin) = unpin.take()
            {
                unpin();
            }
            match tx::begin_to_write(&self.conn) {
                Ok(tx) => return Ok((WriteLock { tx }, waited)),
                Err(e) if is_busy(&e) && start.elapsed() < timeout => {
                    std::thread::sleep(Duration::from_micros(20))
                }
                Err(e) if is_busy(&e) => return Err(lock_timeout(live, timeout)),
                Err(e) => {
                    return Err(e).context(|| format!("taking the write lock of {}", live.shown()));
                }
            }
        }
    }
}

/// The write lock, held: a transaction that is rolled back where this is dropped before its commit.
pub(super) struct WriteLock<'w> {
    pub(super) tx: Transaction<'w>,
}

impl Drop for WriteLock<'_> {
    fn drop(&mut self) {
        // Before the ROLLBACK, which the transaction does by itself; of a COMMIT nothing is left.
        wal_buffer::discard(&self.tx);
    }
}

impl WriteLock<'_> {
    /// The pages in which the database, as this transaction sees it, differs from the image.
    fn differing(&self, image: &ImagePages) -> Result<Vec<u32>> {
        let doing = || format!("comparing pages of {}", calls::name(&self.tx));
        let mut select = self
            .tx
            .prepare("SELECT pgno, data FROM sqlite_dbpage ORDER BY pgno")
            .context(doing)?;
        let mut rows = select.query([]).context(doing)?;
        let (mut buffer, mut differs) = (vec![0; image.page_size as usize], Vec::new());
        while let Some(row) = rows.next().context(doing)? {
            let page: u32 = row.get(0).context(doing)?;
            if page > image.pages {
                break;
            }
            image.read(page, &mut buffer)?;
            if row.get_ref(1).context(doing)?.as_blob() != Ok(&buffer[..]) {
                differs.push(page);
            }
        }
        Ok(differs)
    }

    /// Writes the image's pages, and last but page 1 those that `stamp` gives. Returns how many the
    /// image has of them. Goes on for as long as `go_on` says so.
    pub(super) fn write(
        &self,
        image: &ImagePages,
        differs: &[u32],
        cookie: i64,
        go_on: &dyn Fn() -> Result<()>,
        stamp: impl FnOnce() -> Result<Vec<(u32, Vec<u8>)>>,
    ) -> Result<u64> {
        let doing = || format!("writing pages to {}", calls::name(&self.tx));
        let live_pages: u32 = calls::pragma(&self.tx, "page_count")?;
        let mut insert = self
            .tx
            .prepare("INSERT INTO sqlite_dbpage (pgno, data) VALUES (?1, ?2)")
            .context(doing)?;
        let mut buffer = vec![0; image.page_size as usize];
        let mut written = 0;
        let mut put = |page: u32, bytes: &[u8]| -> Result<()> {
            insert
                .execute((page, bytes))
                .context(|| format!("writing page {page} of {}", calls::name(&self.tx)))?;
            Ok(())
        };

        // Every page of the image above live's page count, whatever a comparison said: live may
        // have shrunk since. Before that what differs; each list is ascending, and goes out from
        // its end.
        let above = (live_pages + 1..=image.pages).rev();
        let mut changed = image
            .changed()
            .rev()
            .skip_while(|&page| page > live_pages)
            .peekable();
        let mut differs = differs
            .iter()
            .rev()
            .copied()
            .skip_while(|&page| page > live_pages.min(image.pages))
            .peekable();
        let below = std::iter::from_fn(|| {
            let page = (*changed.peek().unwrap_or(&0)).max(*differs.peek().unwrap_or(&0));
            changed.next_if_eq(&page);
            differs.next_if_eq(&page);
            (page > 0).then_some(page)
        });
        for page in above
            .chain(below)
            .filter(|&page| page != 1 && page != image.lock_page())
        {
            image.read(page, &mut buffer)?;
            put(page, &buffer)?;
            written += 1;
            go_on()?;
        }
        // Once more, and as late as can be: the marker says when live was committed.
        for (page, bytes) in stamp()? {
            put(page, &bytes)?;
        }

        // Page 1 last, with live's present cookie in it: with the new one a truncation would make
        // SQLite read the schema again, through pages that are stale (101 of 139 shrinking switches
        // failed).
        image.read(1, &mut buffer)?;
        let page_1: Vec<u8> = self
            .tx
            .query_row("SELECT data FROM sqlite_dbpage WHERE pgno = 1", [], |row| {
                row.get(0)
            })
            .context(doing)?;
        buffer[18..20].copy_from_slice(&page_1[18..20]);
        buffer[40..44].copy_from_slice(&page_1[40..44]);
        put(1, &buffer)?;
        written += 1;
        if image.pages < live_pages {
            insert
                .execute((image.pages + 1, rusqlite::types::Null))
                .context(doing)?;
        }
        drop(insert);
        // Higher than both: with an equal or a used one, open connections would keep the schema
        // that they have and read garbage by it. The cookie is 32 bits and may wrap: the higher of
        // two is the one that fewer steps lead up to.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cookie is 32 bits in the file"
        )]
        let (ours, theirs) = (cookie as i32, image.cookie as i32);
        let higher = if theirs.wrapping_sub(ours) > 0 {
            theirs
        } else {
            ours
        };
        let next = higher.wrapping_add(1);
        self.tx
            .execute_batch(&format!("PRAGMA schema_version = {next}"))
            .context(doing)?;
        Ok(written)
    }

    /// Commits. From here on nothing is cancelled; an error does not say that live is unchanged.
    pub(super) fn commit(
        self,
        live: &Live,
        journal: bool,
        pause: Moment,
        max_pause: Duration,
    ) -> Result<(), SwitchFailure> {
        loop {
            // Not by the transaction, which would be gone with a COMMIT that has to be tried again.
            let committed = self.tx.execute_batch("COMMIT");
            // A reader of a rollback journal is in: nothing has been written yet.
            if !(journal && committed.as_ref().is_err_and(is_busy)) {
                return committed
                    .context(|| format!("committing the switch of {}", live.shown()))
                    .map_err(|error| SwitchFailure {
                        error,
                        undecided: true,
                    });
            }
            if pause.elapsed() > max_pause {
                return Err(Error::busy(format!(
                    "readers of {} did not leave within {} ms, the longest pause",
                    live.shown(),
                    max_pause.as_millis()
                ))
                .state("Live is unchanged: the transaction was rolled back")
                .hint(remedy![
                    "End the long readers, set ",
                    OptionName::MaxPauseMs,
                    " higher, or put live into WAL mode, where nobody waits for readers",
                ])
                .into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Makes `target`, a database of the store that is no release, equal to the image, while others
/// have it open.
pub(super) fn overwrite(target: &Live, overlay: &OpenOverlay, timeout: Duration) -> Result<()> {
    let journal = {
        let conn = target.connect()?;
        target.shape(&conn)?.journal_mode != "wal"
    };
    let image = overlay.pages()?;
    let _no_stops = NoStops::new();
    let writer = Writer::new(target, journal)?;
    let (lock, _) = writer.lock(timeout, target, Progress::none(), || {})?;
    let pause = Moment::now();
    let cookie = calls::pragma(&lock.tx, "schema_version")?;
    let differs = lock.differing(&image)?;
    lock.write(&image, &differs, cookie, &|| Ok(()), || Ok(Vec::new()))?;
    lock.commit(target, journal, pause, timeout)
        .map_err(|failure| match failure.undecided {
            true => failure
                .error
                .state("Whether it was reset is not known")
                .hint("Reset it again"),
            false => failure.error,
        })
}
