//! SQLite's write-ahead log, as a file.
//!
//! ```text
//! header, 32 bytes   magic 4, format 4, page size 4, checkpoint 4, salts 8, checksum 8     big-endian
//! frame              page number 4, pages after commit 4 (0: not one), salts 8, checksum 8, then the page
//! ```
//!
//! No lock of SQLite's is on this file, so a descriptor of ours may be closed. Which frames count
//! is never decided here for a live database: the snapshot of an open transaction says so (a writer
//! that died in its fsync leaves a whole commit behind the last one that counts).

use crate::base::error::{Context, Error, Result};
use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The WAL of an overlay, once the change is in it.
pub(crate) fn hidden_wal_path(path: &Path) -> PathBuf {
    path.with_extension("frames")
}

const HEADER: u64 = 32;

pub(crate) const FRAME_HEADER: u32 = 24;

/// The salts of a run of a WAL, as they stand in its header. Others: a new run.
pub(crate) type Salts = [u8; 8];

/// Where pages stand in a WAL: the last frame of each, by page number.
#[derive(Debug, Default, Clone)]
pub(crate) struct Frames {
    last: Vec<(u32, u32)>,
}

impl Frames {
    fn collect(mut all: Vec<(u32, u32)>) -> Self {
        // By page, then by frame, latest first; the first of each page stays.
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        all.dedup_by_key(|entry| entry.0);
        Self { last: all }
    }

    /// The frame (from 0) that holds a page.
    pub(crate) fn frame(&self, page: u32) -> Option<u32> {
        self.last
            .binary_search_by_key(&page, |entry| entry.0)
            .ok()
            .map(|i| self.last[i].1)
    }

    /// The pages, ascending.
    pub(crate) fn pages(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.last.iter().map(|entry| entry.0)
    }

    pub(crate) fn len(&self) -> usize {
        self.last.len()
    }
}

/// An open WAL file.
pub(crate) struct Wal {
    file: File,
    path: PathBuf,
    salts: Salts,
    page_size: u32,
}

/// The path of the WAL of a database.
pub(crate) fn path_of(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

impl Wal {
    /// Opens the WAL of `database`. `None` where there is none, or an empty one.
    pub(crate) fn open(database: &Path) -> Result<Option<Self>> {
        Self::open_at(path_of(database))
    }

    /// Opens a WAL by its own path.
    pub(crate) fn open_at(path: PathBuf) -> Result<Option<Self>> {
        // SQLite follows no link to a WAL either.
        let mut file = match OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
        {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).context(|| format!("opening {}", path.display())),
        };
        let mut header = [0; HEADER as usize];
        match file.read_exact(&mut header) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(e).context(|| format!("reading {}", path.display())),
        }
        let page_size = u32_at(&header, 8);
        let mut salts = [0; 8];
        salts.copy_from_slice(&header[16..24]);
        Ok(Some(Self {
            file,
            path,
            salts,
            page_size,
        }))
    }

    pub(crate) fn salts(&self) -> Salts {
        self.salts
    }

    fn frame_size(&self) -> u64 {
        u64::from(FRAME_HEADER) + u64::from(self.page_size)
    }

    fn offset(&self, frame: u32) -> u64 {
        HEADER + u64::from(frame) * self.frame_size()
    }

    fn header(&self, frame: u32) -> std::io::Result<Option<[u8; FRAME_HEADER as usize]>> {
        let mut header = [0; FRAME_HEADER as usize];
        match self.file.read_exact_at(&mut header, self.offset(frame)) {
            Ok(()) if header[8..16] == self.salts => Ok(Some(header)),
            Ok(()) => Ok(None),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The pages in the frames `from..to`, counted from 0, all of which the caller knows to be
    /// committed.
    pub(crate) fn frames(&self, from: u32, to: u32) -> Result<Frames> {
        let mut all = Vec::with_capacity((to - from.min(to)) as usize);
        for frame in from..to {
            let header = self
                .header(frame)
                .context(|| format!("reading {}", self.path.display()))?
                .ok_or_else(|| {
                    Error::corrupt(format!(
                        "frame {} of {} is not of the run that SQLite reads",
                        frame + 1,
                        self.path.display()
                    ))
                    .hint("Run `PRAGMA integrity_check` on live before anything else")
                })?;
            all.push((u32_at(&header, 0), frame));
        }
        Ok(Frames::collect(all))
    }

    /// The pages of a WAL that only this process wrote: every whole frame from `from` up to the
    /// last commit, and the frame after it.
    pub(crate) fn own_frames(&self, from: u32) -> Result<(Frames, u32)> {
        let (mut all, mut committed) = (Vec::new(), 0);
        for frame in from.. {
            let Some(header) = self
                .header(frame)
                .context(|| format!("reading {}", self.path.display()))?
            else {
                break;
            };
            all.push((u32_at(&header, 0), frame));
            if u32_at(&header, 4) != 0 {
                committed = all.len();
            }
        }
        all.truncate(committed);
        let next = all.last().map_or(from, |&(_, frame)| frame + 1);
        Ok((Frames::collect(all), next))
    }

    /// Reads the page that a frame holds.
    pub(crate) fn page(&self, frame: u32, page: &mut [u8]) -> Result<()> {
        self.file
            .read_exact_at(page, self.offset(frame) + u64::from(FRAME_HEADER))
            .context(|| format!("reading frame {} of {}", frame + 1, self.path.display()))
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_frame_of_a_page_counts() {
        let frames = Frames::collect(vec![(3, 0), (1, 1), (3, 2), (2, 3)]);
        assert_eq!(frames.pages().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(
            (frames.frame(3), frames.frame(1), frames.frame(9)),
            (Some(2), Some(1), None)
        );
    }
}
