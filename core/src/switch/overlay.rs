//! An overlay: a database file of the store and the WAL that its change was written into.
//!
//! One copy serves twice. The main file stays what it was, the WAL holds every page that the change
//! wrote: the main file of a publish's overlay becomes the outgoing release's snapshot, main file
//! and WAL together are the image that live is to have. Any SQLite that opened the two would replay
//! the change into the snapshot; so the WAL loses the name that SQLite looks for before anything is
//! in it, and the connection goes on with it by its descriptor. The folder is synced before live's
//! COMMIT, or a power cut would give the WAL its old name back.

use crate::{
    base::error::{Context, Error, Result},
    live::marker,
    os::files,
    sqlite::{
        calls,
        vfs::read_tracker,
        wal::{self, Frames, Wal, hidden_wal_path},
    },
};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    ffi::CString,
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// An overlay that nobody has open.
#[derive(Debug)]
#[must_use = "it is opened to be changed, or discarded"]
pub(crate) struct Overlay {
    path: PathBuf,
    /// The VFS that it is opened by, where it is not SQLite's default.
    vfs: Option<CString>,
}

impl Overlay {
    /// The overlay whose main file is at `path`, and is in WAL mode by its bytes 18 and 19.
    pub(super) fn new(path: &Path, vfs: Option<CString>) -> Self {
        Self {
            path: path.to_owned(),
            vfs,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it. The connection never checkpoints, also not when it is closed.
    pub(crate) fn open(self) -> Result<OpenOverlay> {
        let doing = || format!("opening {}", self.path.display());
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::from_bits_retain(rusqlite::ffi::SQLITE_OPEN_PRIVATECACHE)
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let conn = match &self.vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs.as_c_str()),
            None => Connection::open_with_flags(&self.path, flags),
        }
        .context(doing)?;
        // EXCLUSIVE before the first read: the wal-index is then in memory and there is no -shm.
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
        Ok(OpenOverlay {
            conn,
            overlay: self,
        })
    }

    /// Removes the change. The main file is left as it is.
    pub(crate) fn discard(&self) -> Result<()> {
        files::remove_if_there(&wal::path_of(&self.path))?;
        files::remove_if_there(&hidden_wal_path(&self.path))
    }

    /// Gives the WAL a name that no SQLite looks for. A crash after live's COMMIT then leaves a
    /// main file that anybody may look at, and that becomes the snapshot as it is.
    fn hide_wal(&self) -> Result<()> {
        match std::fs::rename(wal::path_of(&self.path), hidden_wal_path(&self.path)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).context(|| format!("renaming the WAL of {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// An overlay that is open, on the one connection that it has. Dropped, it is closed, and both
/// files are left.
#[derive(Debug)]
#[must_use = "its change is switched in or discarded"]
pub(crate) struct OpenOverlay {
    conn: Connection,
    overlay: Overlay,
}

impl OpenOverlay {
    pub(crate) fn path(&self) -> &Path {
        self.overlay.path()
    }

    pub(crate) fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Closes the connection, and leaves both files.
    pub(crate) fn close(self) -> Result<Overlay> {
        let Self { conn, overlay } = self;
        conn.close()
            .map_err(|(_, e)| e)
            .context(|| format!("closing {}", overlay.path.display()))?;
        Ok(overlay)
    }

    /// Takes back the change: the main file is left as it was.
    pub(crate) fn discard(self) -> Result<Overlay> {
        let overlay = self.close()?;
        overlay.discard()?;
        Ok(overlay)
    }

    /// Whether the connection may have read anything of a page of the main file since it was
    /// opened.
    pub(super) fn has_read(&self, page: u32, page_size: u32) -> bool {
        read_tracker::of(&self.conn).is_none_or(|reads| reads.has(page, page_size))
    }

    /// The image as it is now, page by page.
    pub(super) fn pages(&self) -> Result<ImagePages> {
        let path = self.path();
        let number = |pragma: &str| {
            self.conn
                .query_row(pragma, [], |row| row.get::<_, i64>(0))
                .context(|| format!("reading the image {}", path.display()))
        };
        let pages = u32::try_from(number("PRAGMA page_count")?)
            .map_err(|_| Error::internal("page count"))?;
        let page_size =
            u32::try_from(number("PRAGMA page_size")?).map_err(|_| Error::internal("page size"))?;
        let cookie = number("PRAGMA schema_version")?;
        calls::write_wal(&self.conn)?;
        let base = File::open(path).context(|| format!("opening {}", path.display()))?;
        let wal = Wal::open_at(hidden_wal_path(path))?;
        let (frames, next) = wal
            .as_ref()
            .map(|wal| wal.own_frames(0))
            .transpose()?
            .unwrap_or_default();
        Ok(ImagePages {
            path: path.to_owned(),
            base,
            wal,
            frames,
            next,
            pages,
            page_size,
            cookie,
        })
    }

    /// Says in the image when it goes live. Returns the pages that this wrote.
    pub(super) fn stamp(&self, image: &ImagePages, live_at: i64) -> Result<Vec<(u32, Vec<u8>)>> {
        marker::stamp(&self.conn, live_at)?;
        calls::write_wal(&self.conn)?;
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
                self.path().display()
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
}

/// The pages that live is to have.
pub(super) struct ImagePages {
    path: PathBuf,
    base: File,
    wal: Option<Wal>,
    frames: Frames,
    /// The frame after the last of them.
    next: u32,
    pub(super) pages: u32,
    pub(super) page_size: u32,
    pub(super) cookie: i64,
}

impl ImagePages {
    /// The pages that the change wrote, ascending.
    pub(super) fn changed(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.frames.pages().filter(|&page| page <= self.pages)
    }

    pub(super) fn changed_len(&self) -> usize {
        self.frames.len()
    }

    /// Reads a page.
    pub(super) fn read(&self, page: u32, buffer: &mut [u8]) -> Result<()> {
        match (&self.wal, self.frames.frame(page)) {
            (Some(wal), Some(frame)) => wal.page(frame, buffer),
            _ => self
                .base
                .read_exact_at(buffer, u64::from(page - 1) * u64::from(self.page_size))
                .context(|| format!("reading page {page} of the image {}", self.path.display())),
        }
    }

    /// The page that holds the byte 2^30. SQLite's locks stand there, never data.
    pub(super) fn lock_page(&self) -> u32 {
        (1 << 30) / self.page_size + 1
    }
}
