//! A pair: a database file of the store and the WAL that its change was written into.
//!
//! One copy serves twice. The main file stays what it was, the WAL holds every page that the change
//! wrote: the main file of a publish's pair becomes the outgoing release's snapshot, main file and
//! WAL together are the image that live is to have. Any SQLite that opened the pair would replay
//! the change into the snapshot; so the WAL loses the name that SQLite looks for before anything is
//! in it, and the connection goes on with it by its descriptor. The folder is synced before live's
//! COMMIT, or a power cut would give the WAL its old name back.

use crate::{
    base::error::{Context, Error, Result},
    live::{
        database::{Access, Live},
        marker,
    },
    os::files,
    sqlite::{
        calls,
        vfs::read_tracker,
        wal::{self, Frames, Wal, hidden},
    },
};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

pub(crate) struct Pair {
    path: PathBuf,
    conn: Option<Connection>,
}

impl Pair {
    /// The pair at `path`, whose main file must be in WAL mode by its bytes 18 and 19.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            conn: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The connection to it. It never checkpoints, also not when it is closed.
    pub(crate) fn open(&mut self, live: &Live) -> Result<&Connection> {
        if self.conn.is_none() {
            let doing = || format!("opening {}", self.path.display());
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::from_bits_retain(rusqlite::ffi::SQLITE_OPEN_PRIVATECACHE)
                | OpenFlags::SQLITE_OPEN_NO_MUTEX
                | OpenFlags::SQLITE_OPEN_NOFOLLOW;
            let conn = match (live.access, live.vfs()) {
                (Access::Pages, _) => {
                    Connection::open_with_flags_and_vfs(&self.path, flags, read_tracker::VFS)
                }
                (Access::Backup, Some(vfs)) => {
                    Connection::open_with_flags_and_vfs(&self.path, flags, vfs)
                }
                (Access::Backup, None) => Connection::open_with_flags(&self.path, flags),
            }
            .context(doing)?;
            // EXCLUSIVE before the first read: the wal-index is then in memory and there is no
            // -shm.
            conn.execute_batch("PRAGMA locking_mode = EXCLUSIVE")
                .context(doing)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
                .context(doing)?;
            conn.execute_batch(
                "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16000; PRAGMA temp_store = FILE",
            )
            .context(doing)?;
            let mode: String = conn
                .query_row("PRAGMA journal_mode", [], |row| row.get(0))
                .context(doing)?;
            if mode != "wal" {
                return Err(Error::internal(format!(
                    "{} is in journal mode {mode}",
                    self.path.display()
                )));
            }
            // Reading has made it; nothing is in it yet.
            self.hide_wal()?;
            self.conn = Some(conn);
        }
        self.conn
            .as_ref()
            .ok_or_else(|| Error::internal("no connection to a pair"))
    }

    /// Says in the image when it goes live. Gives the pages that this wrote.
    pub(crate) fn stamp(&self, image: &Image, live_at: i64) -> Result<Vec<(u32, Vec<u8>)>> {
        let conn = self
            .conn
            .as_ref()
            .ok_or_else(|| Error::internal("no connection to a pair"))?;
        marker::stamp(conn, live_at)?;
        calls::write_wal(conn)?;
        let wal = image
            .wal
            .as_ref()
            .ok_or_else(|| Error::internal("an image without a WAL has a marker"))?;
        let (frames, _) = wal.own_frames(image.next)?;
        // Page 1 says how many pages there are and which are free: with others than the image's,
        // live would be malformed.
        if frames.pages().any(|page| page == 1 || page > image.pages) {
            return Err(Error::internal(format!(
                "the marker of {} has grown",
                self.path.display()
            )));
        }
        let read = |page| {
            let mut buffer = vec![0; image.page_size as usize];
            let frame = frames
                .frame(page)
                .ok_or_else(|| Error::internal("a page without its frame"))?;
            wal.page(frame, &mut buffer).map(|()| (page, buffer))
        };
        frames.pages().map(read).collect()
    }

    /// Closes the connection, and leaves both files.
    pub(crate) fn close(&mut self) -> Result<()> {
        match self.conn.take().map(Connection::close) {
            None | Some(Ok(())) => Ok(()),
            Some(Err((_, e))) => Err(e).context(|| format!("closing {}", self.path.display())),
        }
    }

    /// Takes back the change: the main file is left as it was.
    pub(crate) fn discard(&mut self) -> Result<()> {
        self.close()?;
        files::remove_if_there(&wal::path_of(&self.path))?;
        files::remove_if_there(&hidden(&self.path))
    }

    /// Gives the WAL a name that no SQLite looks for. A crash after live's COMMIT then leaves a
    /// main file that anybody may look at, and that becomes the snapshot as it is.
    fn hide_wal(&self) -> Result<()> {
        match std::fs::rename(wal::path_of(&self.path), hidden(&self.path)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).context(|| format!("renaming the WAL of {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Whether the connection may have read anything of a page of the main file since it was
    /// opened.
    pub(crate) fn has_read(&self, page: u32, page_size: u32) -> bool {
        self.conn
            .as_ref()
            .and_then(read_tracker::of)
            .is_none_or(|reads| reads.has(page, page_size))
    }

    /// The image as it is now, page by page.
    pub(crate) fn image(&mut self, live: &Live) -> Result<Image> {
        self.open(live)?;
        let conn = self
            .conn
            .as_ref()
            .ok_or_else(|| Error::internal("no connection to a pair"))?;
        let number = |pragma: &str| conn.query_row(pragma, [], |row| row.get::<_, i64>(0));
        let doing = || format!("reading the image {}", self.path.display());
        let pages = u32::try_from(number("PRAGMA page_count").context(doing)?)
            .map_err(|_| Error::internal("page count"))?;
        let page_size = u32::try_from(number("PRAGMA page_size").context(doing)?)
            .map_err(|_| Error::internal("page size"))?;
        let cookie = number("PRAGMA schema_version").context(doing)?;
        calls::write_wal(conn)?;
        let base = File::open(&self.path).context(|| format!("opening {}", self.path.display()))?;
        let wal = Wal::open_at(hidden(&self.path))?;
        let (frames, next) = wal
            .as_ref()
            .map(|wal| wal.own_frames(0))
            .transpose()?
            .unwrap_or_default();
        Ok(Image {
            path: self.path.clone(),
            base,
            wal,
            frames,
            next,
            pages,
            page_size,
            cookie,
        })
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// The pages that live is to have.
pub(crate) struct Image {
    path: PathBuf,
    base: File,
    wal: Option<Wal>,
    frames: Frames,
    /// The frame after the last of them.
    next: u32,
    pub(crate) pages: u32,
    pub(crate) page_size: u32,
    pub(crate) cookie: i64,
}

impl Image {
    /// The pages that the change wrote, ascending.
    pub(crate) fn changed(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.frames.pages().filter(|&page| page <= self.pages)
    }

    pub(crate) fn changed_len(&self) -> usize {
        self.frames.len()
    }

    /// Reads a page.
    pub(crate) fn read(&self, page: u32, buffer: &mut [u8]) -> Result<()> {
        match (&self.wal, self.frames.frame(page)) {
            (Some(wal), Some(frame)) => wal.page(frame, buffer),
            _ => self
                .base
                .read_exact_at(buffer, u64::from(page - 1) * u64::from(self.page_size))
                .context(|| format!("reading page {page} of the image {}", self.path.display())),
        }
    }

    /// The page that holds the byte 2^30. SQLite's locks stand there, never data.
    pub(crate) fn lock_page(&self) -> u32 {
        (1 << 30) / self.page_size + 1
    }
}
