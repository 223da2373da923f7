//! Folders by their descriptors: what is in one is reached by a single name, and no link is
//! followed on the way.
//!
//! A path that is joined can lead elsewhere by the time that it is used. What removes something
//! goes this way.

use crate::base::error::{Context, Error, Result, State};
use rustix::{
    fd::{AsRawFd, OwnedFd},
    fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    /// For messages.
    path: PathBuf,
}

impl Folder {
    /// Opens the folder at `path`, whose last name must not be a link. `None` where nothing is
    /// there.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        let opened = rustix::fs::openat(CWD, path, OPEN, Mode::empty());
        Self::opened(opened, path.to_owned())
    }

    /// Opens a folder in this one. `None` where nothing is there.
    pub(crate) fn folder(&self, name: impl AsRef<OsStr>) -> Result<Option<Self>> {
        let name = single(name.as_ref())?;
        Self::opened(
            rustix::fs::openat(&self.fd, name, OPEN, Mode::empty()),
            self.path.join(name),
        )
    }

    fn opened(opened: rustix::io::Result<OwnedFd>, path: PathBuf) -> Result<Option<Self>> {
        match opened {
            Ok(fd) => Ok(Some(Self { fd, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(Error::io(format!(
                "{} is {}, where the store has a folder of its own",
                path.display(),
                match path.symlink_metadata() {
                    Ok(found) if found.is_symlink() => "a symbolic link",
                    _ => "not a folder",
                }
            ))
            .object(path.display().to_string())
            .state(State::NothingDone)
            .hint("Move it away")),
            Err(e) => {
                Err(std::io::Error::from(e)).context(|| format!("opening {}", path.display()))
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the folder itself is.
    pub(crate) fn stat(&self) -> Result<Stat> {
        rustix::fs::fstat(&self.fd)
            .map_err(std::io::Error::from)
            .context(|| format!("looking at {}", self.path.display()))
    }

    /// The status of what has a name: of a link itself, where it is one. `None` where nothing has
    /// the name.
    pub(crate) fn look(&self, name: impl AsRef<OsStr>) -> Result<Option<Stat>> {
        let name = single(name.as_ref())?;
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(std::io::Error::from(e))
                .context(|| format!("looking at {}", self.path.join(name).display())),
        }
    }

    /// A path to a name that holds as long as this does, however the folder is moved, and whose
    /// length does not grow with the folder's: the address of a socket ends at 108 bytes.
    pub(crate) fn by_descriptor(&self, name: impl AsRef<OsStr>) -> Result<PathBuf> {
        let folder = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        Ok(Path::new(&folder).join(single(name.as_ref())?))
    }

    /// All names.
    pub(crate) fn names(&self) -> Result<Vec<OsString>> {
        let doing = || format!("reading {}", self.path.display());
        let entries = rustix::fs::Dir::read_from(&self.fd)
            .map_err(std::io::Error::from)
            .context(doing)?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(std::io::Error::from).context(doing)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    /// Opens the file of a name to read and write it, or makes it with this mode: nothing else than
    /// a plain file.
    pub(crate) fn open_or_make(&self, name: &str, mode: u32) -> Result<File> {
        let doing = || format!("opening {}", self.path.join(name).display());
        // NONBLOCK: a pipe would wait for somebody to write to it.
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(
            &self.fd,
            single(name.as_ref())?,
            flags,
            Mode::from_raw_mode(mode),
        );
        Ok(File::from(
            opened.map_err(std::io::Error::from).context(doing)?,
        ))
    }

    /// Removes all that is in it.
    pub(crate) fn empty(&self) -> Result<()> {
        self.names()?.iter().try_for_each(|name| self.remove(name))
    }

    /// Removes what has a name: a file or link, or a folder with all that is in it. What is not
    /// there is removed already.
    pub(crate) fn remove(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = single(name.as_ref())?;
        let doing = || format!("removing {}", self.path.join(name).display());
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR) => {}
            Err(e) => return Err(std::io::Error::from(e)).context(doing),
        }
        let Some(folder) = self.folder(name)? else {
            return Ok(());
        };
        folder.empty()?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(std::io::Error::from(e)).context(doing),
        }
    }
}

/// Whether something is a plain file: no link, device, pipe or folder.
pub(crate) fn is_file(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
}

/// Whether something is a folder: a link to one is not.
pub(crate) fn is_folder(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Directory
}

/// Whether something is a socket: a link to one is not.
pub(crate) fn is_socket(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Socket
}

fn single(name: &OsStr) -> Result<&OsStr> {
    let one = !matches!(name.as_bytes(), b"" | b"." | b"..") && !name.as_bytes().contains(&b'/');
    if one {
        Ok(name)
    } else {
        Err(Error::internal(format!(
            "{} is not a single name",
            Path::new(name).display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn removing_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let (store, away) = (dir.path().join("store"), dir.path().join("away"));
        for folder in [&store.join("a/b"), &away] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(away.join("photo"), "x").unwrap();
        symlink(&away, store.join("a/b/link")).unwrap();
        symlink(&away, store.join("direct")).unwrap();
        let folder = Folder::open(&store).unwrap().unwrap();
        folder.remove("a").unwrap();
        folder.remove("direct").unwrap();
        folder.remove("never").unwrap();
        assert_eq!(folder.names().unwrap(), Vec::<OsString>::new());
        assert!(away.join("photo").exists());
        for name in ["../away", "..", "", "/etc"] {
            assert_eq!(
                folder.remove(name).unwrap_err().code(),
                "internal",
                "{name}"
            );
        }
        symlink(&away, store.join("again")).unwrap();
        assert_eq!(folder.folder("again").unwrap_err().code(), "io");
    }
}
