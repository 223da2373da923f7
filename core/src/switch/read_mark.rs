//! A point in time of live that stays readable.

use crate::{
    base::error::{Context, Error, Result, State},
    live::database::{Live, LiveConnection},
    sqlite::{
        calls, tx,
        wal::{self, Frames, Salts, Wal},
    },
};
use rusqlite::{Connection, Transaction};
use std::sync::atomic::{AtomicU64, Ordering};

/// The point in time that a transaction reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// WAL mode: so many frames of the run of the WAL with these salts.
    Wal { salts: Salts, frames: u32 },
    /// WAL mode, and no frame of the WAL counts since it was last recovered: the main file alone.
    NoWal,
    /// A rollback journal: the change counter.
    Counter(u32),
}

/// A connection that pins points in time of live, one at a time.
pub(super) struct Reader<'l> {
    pub(super) live: &'l Live,
    pub(super) conn: LiveConnection<'l>,
    pub(super) wal: bool,
}

/// A transaction on live that stays where it is while others write, until this is dropped.
///
/// While it is open, an application's FULL, RESTART or TRUNCATE checkpoint waits for it, holding
/// the write lock. So it is open for a copy and for the last rounds only.
pub(super) struct ReadPin<'r> {
    tx: Transaction<'r>,
    pub(super) at: PinnedAt,
}

impl ReadPin<'_> {
    /// The connection, to read with inside the transaction.
    pub(super) fn conn(&self) -> &Connection {
        &self.tx
    }
}

/// What a pin holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct PinnedAt {
    /// Which transaction it is, of all that this process began.
    pub(super) transaction: u64,
    pub(super) mark: Mark,
    /// Pages of the database.
    pub(super) pages: u32,
}

impl<'l> Reader<'l> {
    /// Opens a connection and reads live once: only a connection that has done so gets a read mark
    /// above 0.
    pub(super) fn new(live: &'l Live) -> Result<Self> {
        let conn = live.connect()?;
        let wal = live.shape(&conn)?.journal_mode == "wal";
        let reader = Self { live, conn, wal };
        reader.warm()?;
        Ok(reader)
    }

    fn warm(&self) -> Result<()> {
        self.conn
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .context(|| format!("reading {}", self.live.shown()))
    }

    /// Pins live as it is now.
    pub(super) fn pin(&self) -> Result<ReadPin<'_>> {
        static TRANSACTIONS: AtomicU64 = AtomicU64::new(0);
        // No statement between BEGIN and the snapshot: a SELECT could take read mark 0.
        let tx = tx::begin(&self.conn).context(|| format!("reading {}", self.live.shown()))?;
        let mark = self.mark()?;
        let pages = calls::pragma(&tx, "page_count")?;
        let at = PinnedAt {
            transaction: TRANSACTIONS.fetch_add(1, Ordering::Relaxed),
            mark,
            pages,
        };
        Ok(ReadPin { tx, at })
    }

    /// The mark of the transaction that is open.
    pub(super) fn mark(&self) -> Result<Mark> {
        if !self.wal {
            self.warm()?; // takes the shared lock: nobody commits until the end
            // Somebody may have turned on WAL since this was opened: what is in it shows in no
            // counter.
            if self.live.shape(&self.conn)?.journal_mode == "wal" {
                return Err(Error::busy(format!(
                    "{} was put into WAL mode meanwhile",
                    self.live.shown()
                ))
                .state(State::LiveUnchanged)
                .hint("Start again"));
            }
            let mut counter = [0; 4];
            let n = calls::read_main_file(&self.conn, 24, &mut counter)?;
            return Ok(Mark::Counter(if n == 4 {
                u32::from_be_bytes(counter)
            } else {
                0
            }));
        }
        if let Some(bytes) = calls::snapshot(&self.conn)? {
            let mut salts = [0; 8];
            salts.copy_from_slice(&bytes[32..40]);
            let frames = u32::from_ne_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
            return Ok(Mark::Wal { salts, frames });
        }
        // SQLITE_ERROR has three causes. No transaction that reads, or none that reads through a
        // WAL: then it is one.
        if !calls::reads(&self.conn) || self.live.shape(&self.conn)?.journal_mode != "wal" {
            return Err(
                Error::busy(format!("{} gives no read mark", self.live.shown()))
                    .state(State::LiveUnchanged)
                    .hint("Try again; if it stays so, run `PRAGMA integrity_check` on live"),
            );
        }
        // Or the wal-index was made from a WAL without a header that counts (absent, empty, zeroed,
        // cut short by a crash), and has had no commit since. Then this transaction reads no frame,
        // whatever a writer has begun to put there.
        Ok(Mark::NoWal)
    }
}

/// The frames that a transaction with this mark reads.
pub(super) fn read_by(live: &Live, mark: Mark) -> Result<Option<(Wal, Frames)>> {
    let Mark::Wal { salts, frames } = mark else {
        return Ok(None);
    };
    if frames == 0 {
        return Ok(None);
    }
    let wal = Wal::open(&live.path)?
        .filter(|wal| wal.salts() == salts)
        .ok_or_else(|| {
            Error::corrupt(format!(
                "{} is not the WAL that SQLite reads",
                wal::path_of(&live.path).display()
            ))
            .state(State::LiveUnchanged)
            .hint("Something moved or replaced the WAL of a database that is open: find out what")
        })?;
    let frames = wal.frames(0, frames)?;
    Ok(Some((wal, frames)))
}
