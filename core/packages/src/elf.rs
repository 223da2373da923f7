//! What a program or library needs of the system that it is loaded on.

use object::{
    Endianness,
    elf::{DT_NEEDED, FileHeader64},
    read::elf::{Dyn as _, FileHeader as _},
};
use std::{fmt, fs, io, path::Path};

/// A version of the GNU C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glibc {
    major: u32,
    minor: u32,
}

impl Glibc {
    /// Of a symbol's version, `GLIBC_2.34`.
    fn of_symbol(version: &str) -> Option<Self> {
        let mut parts = version.strip_prefix("GLIBC_")?.split('.');
        Some(Self {
            major: parts.next()?.parse().ok()?,
            minor: parts.next()?.parse().ok()?,
        })
    }

    /// As a wheel's tag has it: `manylinux_2_34`.
    pub fn tag(self) -> String {
        format!("manylinux_{}_{}", self.major, self.minor)
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The newest version that a symbol of one of `files` is of: an older library does not load them.
pub fn glibc<'a>(
    files: impl IntoIterator<Item = &'a (impl AsRef<Path> + 'a)>,
) -> io::Result<Glibc> {
    let mut newest = None;
    for file in files {
        let file = file.as_ref();
        let bytes = fs::read(file)?;
        let versions = versions(&bytes).map_err(|e| unreadable(file, e))?;
        newest = newest.max(
            versions
                .iter()
                .filter_map(|version| Glibc::of_symbol(version))
                .max(),
        );
    }
    newest.ok_or_else(|| io::Error::other("no file needs the GNU C library"))
}

/// The libraries that `file` is loaded with.
pub fn needs(file: &Path) -> io::Result<Vec<String>> {
    needed(&fs::read(file)?).map_err(|e| unreadable(file, e))
}

fn unreadable(file: &Path, why: object::read::Error) -> io::Error {
    io::Error::other(format!("{}: {why}", file.display()))
}

/// The versions of the symbols that it takes from others.
fn versions(bytes: &[u8]) -> object::read::Result<Vec<String>> {
    let header = FileHeader64::<Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let mut found = Vec::new();
    let Some((mut libraries, strings)) = sections.gnu_verneed(endian, bytes)? else {
        return Ok(found);
    };
    let strings = sections.strings(endian, bytes, strings)?;
    while let Some((_, mut versions)) = libraries.next()? {
        while let Some(version) = versions.next()? {
            found.push(String::from_utf8_lossy(version.name(endian, strings)?).into_owned());
        }
    }
    Ok(found)
}

fn needed(bytes: &[u8]) -> object::read::Result<Vec<String>> {
    let header = FileHeader64::<Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let Some((entries, strings)) = sections.dynamic(endian, bytes)? else {
        return Ok(Vec::new());
    };
    let strings = sections.strings(endian, bytes, strings)?;
    let needed = entries
        .iter()
        .filter(|entry| entry.d_tag(endian) == DT_NEEDED);
    needed
        .map(|entry| Ok(String::from_utf8_lossy(entry.string(endian, strings)?).into_owned()))
        .collect()
}
