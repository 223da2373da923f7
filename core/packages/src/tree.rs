//! The files of a package, and the tar that holds them.

use crate::Settings;
use flate2::write::GzEncoder;
use std::{collections::BTreeMap, io};
use tar::{Builder, EntryType, Header};

/// What a name in a package is.
pub(crate) enum Entry {
    File {
        bytes: Vec<u8>,
        executable: bool,
    },
    /// A link, to a path that is relative to its folder.
    Link(&'static str),
}

impl Entry {
    pub(crate) fn mode(&self) -> u32 {
        match self {
            Self::File {
                executable: false, ..
            } => 0o644,
            Self::File {
                executable: true, ..
            }
            | Self::Link(_) => 0o755,
        }
    }
}

/// Files by path, in the order in which they are packed.
#[derive(Default)]
pub(crate) struct Tree(BTreeMap<String, Entry>);

impl Tree {
    pub(crate) fn file(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        let (bytes, executable) = (bytes.into(), false);
        self.0
            .insert(path.into(), Entry::File { bytes, executable });
    }

    /// A program. So are the shared libraries: a verb's process is started from its library.
    pub(crate) fn program(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        let (bytes, executable) = (bytes.into(), true);
        self.0
            .insert(path.into(), Entry::File { bytes, executable });
    }

    pub(crate) fn link(&mut self, path: impl Into<String>, target: &'static str) {
        self.0.insert(path.into(), Entry::Link(target));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (&**path, entry))
    }

    /// All files, with their bytes.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().filter_map(|(path, entry)| match entry {
            Entry::File { bytes, .. } => Some((path, &**bytes)),
            Entry::Link(_) => None,
        })
    }

    /// A gzipped tar of it, of root's files, every path behind `prefix`. The folders are in it: where
    /// they were not, who unpacks it would make them after their own taste.
    pub(crate) fn tar_gz(&self, prefix: &str, settings: Settings<'_>) -> io::Result<Vec<u8>> {
        let mut tar = Builder::new(GzEncoder::new(Vec::new(), settings.compression));
        let mut made = String::new();
        for (path, entry) in self.iter() {
            let path = format!("{prefix}{path}");
            for (end, _) in path.match_indices('/') {
                let folder = &path[..=end];
                if !made.starts_with(folder) {
                    append(
                        &mut tar,
                        folder,
                        header(EntryType::Directory, 0o755, settings.time),
                        &[],
                    )?;
                }
            }
            made.clone_from(&path);
            match entry {
                Entry::File { bytes, .. } => {
                    append(
                        &mut tar,
                        &path,
                        header(EntryType::Regular, entry.mode(), settings.time),
                        bytes,
                    )?;
                }
                Entry::Link(target) => {
                    let mut header = header(EntryType::Symlink, entry.mode(), settings.time);
                    tar.append_link(&mut header, &path, target)?;
                }
            }
        }
        tar.into_inner()?.finish()
    }
}

fn header(kind: EntryType, mode: u32, time: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

fn append<W: io::Write>(
    tar: &mut Builder<W>,
    path: &str,
    mut header: Header,
    bytes: &[u8],
) -> io::Result<()> {
    header.set_size(bytes.len() as u64);
    tar.append_data(&mut header, path, bytes)
}
