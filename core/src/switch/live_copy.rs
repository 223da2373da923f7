//! Copies of live's main file.

use crate::{
    base::{
        error::{Context, Result},
        progress::Progress,
    },
    live::database::Live,
    os::{
        copy::{
            AfterCopy, CHUNK, CopyMethod, file, on_own_descriptor_table,
            on_own_descriptor_table_with, open, open_ours, read_full,
        },
        descriptors::FileId,
    },
    sqlite::{
        calls,
        wal::{Frames, Wal},
    },
};
use rusqlite::Connection;
use std::{fs::File, os::unix::fs::FileExt, path::Path};

/// A reader of live's main file: on a descriptor of its own, in a table of its own.
fn open_live(live: &Live) -> Result<File> {
    let file = open(&live.path, false).context(|| format!("opening {}", live.shown()))?;
    let metadata = file
        .metadata()
        .context(|| format!("looking at {}", live.shown()))?;
    if FileId::of(&metadata) != live.identity() {
        live.same_file()?;
    }
    Ok(file)
}

/// Copies the first `bytes` of live's main file into the empty file `to`, at `path`. Returns how.
pub(super) fn main_file(
    live: &Live,
    conn: &Connection,
    to: &File,
    path: &Path,
    bytes: u64,
    progress: Progress<'_>,
) -> Result<CopyMethod> {
    let copied = on_own_descriptor_table_with(Some(to), || {
        let from = open_live(live)?;
        file(&from, to, bytes, AfterCopy::Sync, progress)
            .context(|| format!("copying {}", live.shown()))
    });
    if let Some(result) = copied {
        return result.or_else(|e| progress.check().and(Err(e)));
    }
    // Without a table of our own: through SQLite's descriptor.
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < bytes {
        progress.check()?;
        let want = usize::try_from(bytes - at).map_or(CHUNK, |left| left.min(CHUNK));
        let n = calls::read_main_file(conn, at, &mut buffer[..want])?;
        if n == 0 {
            break;
        }
        to.write_all_at(&buffer[..n], at)
            .context(|| format!("writing {}", path.display()))?;
        at += n as u64;
    }
    Ok(CopyMethod::Copy)
}

/// Makes the clone equal to live, as the open transaction of `conn` sees it, writing only the pages
/// that differ. Returns those pages, ascending.
///
/// `overlay` opens the WAL and returns the frames of it that the transaction reads: they stand
/// before the main file.
pub(super) fn differing(
    live: &Live,
    conn: &Connection,
    path: &Path,
    page_size: u32,
    pages: u32,
    overlay: impl Fn() -> Result<Option<(Wal, Frames)>> + Sync,
) -> Result<Vec<u32>> {
    let compare = |read: &dyn Fn(u64, &mut [u8]) -> Result<usize>| {
        let (clone, overlay) = (open_ours(path)?, overlay()?);
        let page = page_size as usize;
        let chunk = CHUNK.max(page);
        let (mut theirs, mut ours, mut different) = (vec![0; chunk], vec![0; chunk], Vec::new());
        let per_chunk = u32::try_from(chunk / page).unwrap_or(1);
        let mut first = 0; // counted from 0, as bytes are
        while first < pages {
            let n = per_chunk.min(pages - first);
            let bytes = n as usize * page;
            let at = u64::from(first) * u64::from(page_size);
            let got = read(at, &mut theirs[..bytes])?;
            theirs[got..bytes].fill(0);
            let got = read_full(&clone, at, &mut ours[..bytes])
                .context(|| format!("reading {}", path.display()))?;
            for i in 0..n {
                let (number, part) = (first + i + 1, i as usize * page..(i as usize + 1) * page);
                if let Some((wal, frames)) = &overlay
                    && let Some(frame) = frames.frame(number)
                {
                    wal.page(frame, &mut theirs[part.clone()])?;
                }
                if part.end > got || theirs[part.clone()] != ours[part.clone()] {
                    clone
                        .write_all_at(&theirs[part], u64::from(number - 1) * u64::from(page_size))
                        .context(|| format!("writing {}", path.display()))?;
                    different.push(number);
                }
            }
            first += n;
        }
        Ok(different)
    };
    if let Some(result) = on_own_descriptor_table(|| {
        let file = open_live(live)?;
        compare(&|at, buffer| {
            read_full(&file, at, buffer).context(|| format!("reading {}", live.shown()))
        })
    }) {
        return result;
    }
    compare(&|at, buffer| calls::read_main_file(conn, at, buffer))
}
