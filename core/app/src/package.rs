//! An app that is built, packed into one file for another machine. A package is never trusted: it
//! is looked at whole before anything is written, holds files and folders alone, and stays in the
//! folder that it is unpacked into.

use crate::{
    AppError, FILE,
    build::{
        Cancel, Result,
        disk::{self, At},
        path,
    },
    effects, read, work,
};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use remy_db::{Error, OptionName, Remedy, State, VerbName, internals::text::human, remedy};
use serde_json::Value;
use std::{
    cell::Cell,
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tar::{Archive, Builder, Entry, EntryType, Header};

/// The format of app.json that this version writes and reads.
const FORMAT: u64 = 1;
/// What a package says of the file that comes next: a long name. More is meant to fill the memory.
const LONGEST_HEADER: u64 = 1 << 20;
/// What may come behind the end of a package: tar fills its last block with zeros.
const LONGEST_END: u64 = 1 << 20;
/// More than an app.json ever has.
const LARGEST_APP: u64 = 64 << 20;
/// What a file takes on a disk besides its content, and the piece that it grows by.
const BLOCK: u64 = 4096;

/// Whether a path is a package's, by its name.
pub fn is_package(path: &str) -> bool {
    [".tar", ".tar.gz", ".tgz"]
        .iter()
        .any(|end| path.ends_with(end))
}

/// A package that is to be written, and what it is written by: neither is part of the app, where it
/// lies in its folder.
///
/// Fails with `invalid_argument` where no package can be written there.
pub fn beside(file: &str) -> Result<Vec<PathBuf>> {
    if !is_package(file) {
        return Err(refused(
            format!("{file} is no name of a package"),
            "Name one that ends in .tar, .tar.gz or .tgz, such as app.tar",
            file,
        ));
    }
    let to = disk::lexical(Path::new(file));
    if to.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        return Err(refused(
            format!("{file} is a folder"),
            "Name a file that is to be the package",
            file,
        ));
    }
    let (folder, name) = place_of(&to)?;
    let begins = work_name(&name);
    let entries = match fs::canonicalize(&folder).and_then(fs::read_dir) {
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            let folder = folder.display();
            return Err(refused(
                format!("there is no folder {folder} for the package {name}"),
                "Make the folder, or name another",
                &folder.to_string(),
            ));
        }
        entries => entries.at("listing", &folder)?,
    };
    let folder = fs::canonicalize(&folder).at("looking for", &folder)?;
    let mut all = vec![folder.join(&name)];
    for entry in entries {
        let other = entry.at("listing", &folder)?.file_name();
        if other.to_string_lossy().starts_with(&begins) {
            all.push(folder.join(other));
        }
    }
    Ok(all)
}

fn refused(what: String, hint: &str, object: &str) -> AppError {
    Error::invalid_argument(what)
        .state(State::NothingDone)
        .hint(hint)
        .object(object)
        .into()
}

/// The folder and the name of a package that is to be written.
fn place_of(to: &Path) -> Result<(PathBuf, String)> {
    match (to.parent(), to.file_name()) {
        (Some(folder), Some(name)) => Ok((folder.to_owned(), name.to_string_lossy().into_owned())),
        _ => Err(Error::internal(format!("{} is no file", to.display())).into()),
    }
}

/// How the name of the folder begins that a package is written in, beside its place.
fn work_name(name: &str) -> String {
    format!(".{name}-")
}

// Packing.

/// Packs the built app in `dir`, and returns the bytes of the package. The same files give the same
/// bytes. The package is there whole or not at all.
///
/// Fails with `invalid_argument` for what is no file of the app.
pub fn pack(dir: &Path, file: &Path, cancel: Cancel<'_>) -> Result<u64> {
    let to = disk::lexical(file);
    let (folder, name) = place_of(&to)?;
    let mut paths = Vec::new();
    list(dir, &mut String::new(), &mut paths)?;
    paths.sort();
    let work = work::folder(&folder, &work_name(&name))?;
    let made = work.path().join("app.tar");
    let out = BufWriter::new(File::create_new(&made).at("making", &made)?);
    let out = match name.ends_with(".tar") {
        true => write(dir, &paths, out, cancel)?,
        false => {
            let packed = GzEncoder::new(out, Compression::default());
            let packed = write(dir, &paths, packed, cancel)?;
            packed.finish().at("writing", &made)?
        }
    };
    let whole = out.into_inner().map_err(io::IntoInnerError::into_error);
    let whole = whole.at("writing", &made)?;
    whole.sync_all().at("writing", &made)?;
    fs::rename(&made, &to).at("moving", &made)?;
    Ok(whole.metadata().at("looking at", &to)?.len())
}

/// Everything below a folder: paths, those of folders with a slash at their end.
fn list(dir: &Path, below: &mut String, paths: &mut Vec<String>) -> Result<()> {
    let folder = dir.join(&*below);
    for entry in fs::read_dir(&folder).at("listing", &folder)? {
        let entry = entry.at("listing", &folder)?;
        let Ok(name) = entry.file_name().into_string() else {
            let path = format!("{below}{}", entry.file_name().display());
            return Err(refused(
                format!("{path} has a name that is not UTF-8"),
                "Rename it",
                &path,
            ));
        };
        let length = below.len();
        below.push_str(&name);
        if entry.file_type().at("looking at", &entry.path())?.is_dir() {
            below.push('/');
            paths.push(below.clone());
            list(dir, below, paths)?;
        } else {
            paths.push(below.clone());
        }
        below.truncate(length);
    }
    Ok(())
}

fn write<W: Write>(dir: &Path, paths: &[String], out: W, cancel: Cancel<'_>) -> Result<W> {
    let mut tar = Builder::new(out);
    for path in paths {
        cancel.check()?;
        let at = dir.join(path);
        let mut header = Header::new_gnu();
        header.set_mtime(0);
        if path.ends_with('/') {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            tar.append_data(&mut header, path, io::empty())
                .at("packing", &at)?;
            continue;
        }
        let file = File::open(content_of(dir, path)?).at("opening", &at)?;
        let found = file.metadata().at("looking at", &at)?;
        let is_executable = found.permissions().mode() & 0o100 != 0;
        header.set_mode(if is_executable { 0o755 } else { 0o644 });
        header.set_size(found.len());
        let mut content = file.take(found.len());
        tar.append_data(&mut header, path, &mut content)
            .at("packing", &at)?;
        if content.limit() != 0 {
            let cut = io::Error::other("it became shorter meanwhile");
            return Err(cut).at("packing", &at);
        }
    }
    tar.into_inner().at("packing", dir)
}

/// The file to be packed at a path: of a symlink the one that it leads to, which has to be part of
/// the app.
fn content_of(dir: &Path, path: &str) -> Result<PathBuf> {
    let at = dir.join(path);
    let found = at.symlink_metadata().at("looking at", &at)?;
    if found.is_file() {
        return Ok(at);
    }
    let top = fs::canonicalize(dir).at("looking for", dir)?;
    let aim = fs::canonicalize(&at).ok();
    let inside = aim.filter(|aim| aim.starts_with(&top) && aim.is_file());
    let is = match found.is_symlink() {
        true => "is a symlink to what is no file of the app",
        false => "is no file",
    };
    inside.ok_or_else(|| refused(format!("{path} {is}"), "Put the file itself there", path))
}

// Unpacking.

/// A package, unpacked.
#[derive(Debug)]
pub struct Unpacked {
    /// The folder that the caller removes.
    pub work: PathBuf,
    /// What the package holds, in it.
    pub dir: PathBuf,
    /// The commit that it was built of, if it was of one.
    pub commit: Option<String>,
    /// Whether its source was other than the commit's.
    pub dirty: bool,
    /// What the app declares besides tables.
    pub effects: Value,
}

/// What a disk has left.
struct Room {
    folder: PathBuf,
    bytes: u64,
    /// Nothing where the file system makes them as it needs them.
    files: Option<u64>,
}

impl Room {
    fn of(folder: &Path) -> Result<Self> {
        let found = rustix::fs::statvfs(folder)
            .map_err(io::Error::from)
            .at("looking at the disk of", folder)?;
        Ok(Self {
            folder: folder.parent().unwrap_or(folder).to_owned(),
            bytes: found.f_bavail.saturating_mul(found.f_frsize),
            files: (found.f_files != 0).then_some(found.f_favail),
        })
    }

    /// Whether there is room for so many files that take so many bytes.
    fn has(&self, bytes: u64, files: u64) -> bool {
        bytes <= self.bytes && self.files.is_none_or(|free| files <= free)
    }
}

/// What is read of a package: as it is, or decompressed.
struct Content<'a> {
    from: Box<dyn Read + 'a>,
    /// Whether it was over before it was said to be.
    is_over: &'a Cell<bool>,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            self.is_over.set(true);
        }
        Ok(read)
    }
}

/// What an entry of a package is to become.
struct Item {
    path: String,
    is_folder: bool,
    mode: u32,
}

/// A file that is said to be a package.
pub struct Package<'a> {
    /// As its caller has it.
    name: &'a str,
    file: File,
    is_compressed: bool,
}

impl<'a> Package<'a> {
    /// Opens the file of this name, as whoever calls.
    ///
    /// Fails with `not_found`, with `io`, and with `schema_invalid` for what is no file.
    pub fn open(name: &'a str) -> Result<Self> {
        // A pipe would be waited for.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(name);
        let mut file = opened.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::not_found(format!("there is no package {name}"))
                .state(State::NothingDone)
                .hint(makes_one())
                .object(name)
                .into(),
            _ => unreadable(name, &e),
        })?;
        let found = file.metadata().map_err(|e| unreadable(name, &e))?;
        if !found.is_file() && !found.is_dir() {
            return Err(damaged(name));
        }
        let mut first = Vec::new();
        let read = (&mut file).take(2).read_to_end(&mut first);
        read.map_err(|e| unreadable(name, &e))?;
        Ok(Self {
            name,
            file,
            is_compressed: first == [0x1f, 0x8b],
        })
    }

    /// Unpacks it into a folder of its own among the temporary files. Where that fails, nothing is
    /// left.
    ///
    /// Fails with `schema_invalid` for what is no package or holds what no package has, and with
    /// `io`: also where the disk has no room for it, before anything is written.
    pub fn unpack(self, cancel: Cancel<'_>) -> Result<Unpacked> {
        self.unpack_in(&work::temporary(), cancel)
    }

    fn unpack_in(mut self, temporary: &Path, cancel: Cancel<'_>) -> Result<Unpacked> {
        let work = work::folder(temporary, "remy-package-")?;
        self.look(&Room::of(work.path())?, cancel)?;
        let dir = work.path().join("app");
        fs::create_dir(&dir).at("making the folder", &dir)?;
        self.extract(&dir, cancel)?;
        let (commit, dirty) = self.app(&dir)?;
        let app = read(&dir.join("source"), None)?;
        Ok(Unpacked {
            effects: effects(&app.manifest, &app.interfaces),
            work: work.keep(),
            dir,
            commit,
            dirty,
        })
    }

    /// Calls `each` with every entry; `raw`: also with those that only say how the next is named.
    fn entries(
        &mut self,
        raw: bool,
        mut each: impl FnMut(&mut Entry<'_, Content<'_>>) -> Result<()>,
    ) -> Result<()> {
        let name = self.name;
        let failed = |e: io::Error| unreadable(name, &e);
        self.file.rewind().map_err(failed)?;
        let is_over = Cell::new(false);
        let file = BufReader::new(&self.file);
        let from: Box<dyn Read> = match self.is_compressed {
            true => Box::new(MultiGzDecoder::new(file)),
            false => Box::new(file),
        };
        let mut archive = Archive::new(Content {
            from,
            is_over: &is_over,
        });
        for entry in archive.entries().map_err(failed)?.raw(raw) {
            each(&mut entry.map_err(failed)?)?;
        }
        // Its end is said: one that was cut off between two files has none.
        if is_over.get() {
            return Err(damaged(name));
        }
        let mut rest = archive.into_inner().take(LONGEST_END);
        io::copy(&mut rest, &mut io::sink()).map_err(failed)?;
        if rest.limit() == 0 {
            return Err(damaged(name));
        }
        Ok(())
    }

    /// Looks at all of it before anything is written.
    fn look(&mut self, room: &Room, cancel: Cancel<'_>) -> Result<()> {
        let name = self.name;
        let (mut bytes, mut files) = (0_u64, 0_u64);
        self.entries(true, |entry| {
            cancel.check()?;
            let kind = entry.header().entry_type();
            let is_header = kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions();
            if is_header && entry.size() > LONGEST_HEADER {
                return Err(damaged(name));
            }
            files += 1;
            let blocks = entry.size().div_ceil(BLOCK).saturating_add(1);
            bytes = bytes.saturating_add(blocks.saturating_mul(BLOCK));
            match room.has(bytes, files) {
                true => Ok(()),
                false => Err(no_room(name, bytes, files, room)),
            }
        })?;
        let mut foreign = Vec::new();
        let mut names = Names::default();
        self.entries(false, |entry| {
            cancel.check()?;
            match item(entry).and_then(|item| names.add(item)) {
                Ok(()) => {}
                Err(why) if foreign.len() < 20 => foreign.push(why),
                Err(_) => {}
            }
            Ok(())
        })?;
        if foreign.is_empty() {
            return Ok(());
        }
        Err(holds_foreign(name, &foreign.join(", ")))
    }

    /// Writes its files into `dir`, an empty folder of this process's own. What was looked at may be
    /// another content by now, and is not trusted more for it.
    fn extract(&mut self, dir: &Path, cancel: Cancel<'_>) -> Result<()> {
        let name = self.name;
        let mut buffer = vec![0; 256 << 10];
        self.entries(false, |entry| {
            let found = item(entry).map_err(|why| holds_foreign(name, &why))?;
            let Some(Item {
                path,
                is_folder,
                mode,
            }) = found
            else {
                return Ok(());
            };
            let to = dir.join(&path);
            let folder = if is_folder {
                &to
            } else {
                to.parent().unwrap_or(dir)
            };
            fs::create_dir_all(folder).at("making the folder", folder)?;
            if is_folder {
                return Ok(());
            }
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&to)
                .at("making", &to)?;
            loop {
                cancel.check()?;
                let read = entry.read(&mut buffer).map_err(|e| unreadable(name, &e))?;
                if read == 0 {
                    return Ok(());
                }
                file.write_all(&buffer[..read]).at("writing", &to)?;
            }
        })
    }

    /// The commit that it was built of, and whether its source was other than that.
    fn app(&self, dir: &Path) -> Result<(Option<String>, bool)> {
        let wrong = |what: String| is_wrong(self.name, &what, makes_one());
        let text = text_of(&dir.join("app.json"));
        let app: Value = text
            .and_then(|text| serde_json::from_slice(&text).map_err(|e| e.to_string()))
            .map_err(|e| wrong(format!("is no package: its app.json cannot be read ({e})")))?;
        if app["format"] != FORMAT {
            return Err(is_wrong(
                self.name,
                &format!("has format {}, and this remy reads {FORMAT}", app["format"]),
                "Build and publish with the same version of remy",
            ));
        }
        let manifest = dir.join("source").join(FILE);
        if !manifest.symlink_metadata().is_ok_and(|it| it.is_file()) {
            return Err(wrong(format!("is no package: it has no source/{FILE}")));
        }
        Ok((
            app["commit"].as_str().map(str::to_owned),
            app["dirty"] == true,
        ))
    }
}

fn text_of(path: &Path) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(|e| disk::reason(&e))?;
    file.take(LARGEST_APP)
        .read_to_end(&mut text)
        .map_err(|e| disk::reason(&e))?;
    Ok(text)
}

/// What an entry is to become, nothing where it is the folder itself; or why no package has it.
fn item(entry: &Entry<'_, Content<'_>>) -> Result<Option<Item>, String> {
    let header = entry.header();
    let kind = header.entry_type();
    if kind.is_pax_global_extensions() {
        return Ok(None);
    }
    let bytes = entry.path_bytes();
    let told = String::from_utf8_lossy(&bytes);
    let Ok(name) = std::str::from_utf8(&bytes) else {
        return Err(format!("{told} has a name that is not UTF-8"));
    };
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return Err(format!("{told} leaves the folder"));
    }
    if name.contains('\0') || name.is_empty() {
        return Err(format!("{told} is no name"));
    }
    let is_file = kind.is_file() || kind.is_contiguous();
    if !is_file && !kind.is_dir() {
        return Err(format!("{told} is a {}", kind_name(kind)));
    }
    let path = path::normalize(name);
    let is_folder = kind.is_dir() || name.ends_with('/');
    if is_folder && entry.size() != 0 {
        return Err(format!("{told} is a folder with content"));
    }
    if path == "." {
        return match is_folder {
            true => Ok(None),
            false => Err(format!("{told} is no name")),
        };
    }
    let is_executable = header.mode().unwrap_or(0) & 0o100 != 0;
    Ok(Some(Item {
        path,
        is_folder,
        mode: if is_executable { 0o755 } else { 0o644 },
    }))
}

fn kind_name(kind: EntryType) -> String {
    match kind {
        EntryType::Symlink => "SymbolicLink".to_owned(),
        EntryType::Link => "Link".to_owned(),
        EntryType::Fifo => "FIFO".to_owned(),
        EntryType::Char => "CharacterDevice".to_owned(),
        EntryType::Block => "BlockDevice".to_owned(),
        EntryType::GNUSparse => "SparseFile".to_owned(),
        other => format!("file of the kind {:?}", char::from(other.as_byte())),
    }
}

/// The names of a package: each stands for one thing.
#[derive(Default)]
struct Names {
    files: HashSet<String>,
    folders: HashSet<String>,
}

impl Names {
    fn add(&mut self, item: Option<Item>) -> Result<(), String> {
        let Some(Item {
            path, is_folder, ..
        }) = item
        else {
            return Ok(());
        };
        let is_known = self.files.contains(&path) || !is_folder && self.folders.contains(&path);
        if is_known {
            return Err(format!("{path} is there twice"));
        }
        for folder in path::folders_above(&path).take_while(|folder| *folder != ".") {
            if self.files.contains(folder) {
                return Err(format!("{path} is in a file"));
            }
            if !self.folders.insert(folder.to_owned()) {
                break;
            }
        }
        let names = match is_folder {
            true => &mut self.folders,
            false => &mut self.files,
        };
        names.insert(path);
        Ok(())
    }
}

fn makes_one() -> Remedy {
    remedy![VerbName::Build.with(OptionName::Out), " makes one"]
}

fn is_wrong(name: &str, what: &str, hint: impl Into<Remedy>) -> AppError {
    Error::schema_invalid(format!("{name} {what}"))
        .state(State::NothingDone)
        .hint(hint)
        .object(name)
        .into()
}

fn damaged(name: &str) -> AppError {
    is_wrong(
        name,
        "is no package that remy built, or is damaged",
        makes_one(),
    )
}

fn holds_foreign(name: &str, what: &str) -> AppError {
    is_wrong(
        name,
        &format!("holds what no package has: {what}"),
        makes_one(),
    )
}

/// Why a package cannot be read: the system says no, or it is none.
fn unreadable(name: &str, e: &io::Error) -> AppError {
    if e.raw_os_error().is_none() {
        return damaged(name);
    }
    Error::io(format!("{name} cannot be read: {}", disk::reason(e)))
        .state(State::NothingDone)
        .hint("Check that path")
        .object(name)
        .into()
}

fn no_room(name: &str, bytes: u64, files: u64, room: &Room) -> AppError {
    let what = match room.bytes < bytes {
        true => format!(
            "{name} needs {} and more, but {} has {} free",
            human(bytes),
            room.folder.display(),
            human(room.bytes)
        ),
        false => format!(
            "{name} has {files} files and more, and {} has no room for so many",
            room.folder.display()
        ),
    };
    Error::io(what)
        .state(State::NothingDone)
        .hint("Free some space there, or set TMPDIR to another folder")
        .object(name)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use tempfile::TempDir;

    const APP: [(&str, &str); 3] = [
        ("app.json", r#"{"format": 1, "commit": "abc"}"#),
        (
            "source/mindstudio.json",
            r#"{"name": "shop", "methods": [{"id": "hi", "path": "hi.ts", "export": "hi"}]}"#,
        ),
        ("source/hi.ts", "export const hi = () => 1;"),
    ];

    /// A package of an app, and of whatever `more` adds.
    fn package(more: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        for (path, text) in APP {
            add(&mut tar, path, EntryType::Regular, text.as_bytes());
        }
        more(&mut tar);
        tar.into_inner().unwrap()
    }

    /// Adds an entry by the bytes of its name: the crate's own way refuses names that mislead.
    fn add(tar: &mut Builder<Vec<u8>>, path: &str, kind: EntryType, content: &[u8]) {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o6777);
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content).unwrap();
    }

    /// What becomes of a package, and the folder that it is unpacked in.
    fn unpack_in(temporary: &Path, name: &str, never: &AtomicBool) -> Result<Unpacked> {
        Package::open(name)?.unpack_in(temporary, Cancel::new(never))
    }

    fn unpacked(bytes: &[u8]) -> (Result<Unpacked>, TempDir) {
        let (folder, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = folder.path().join("x.tar");
        fs::write(&file, bytes).unwrap();
        let never = AtomicBool::new(false);
        let name = file.to_str().unwrap();
        (unpack_in(temporary.path(), name, &never), temporary)
    }

    fn refusal(bytes: &[u8]) -> String {
        let (refused, temporary) = unpacked(bytes);
        let error = refused.unwrap_err();
        assert_eq!(error.error().code(), "schema_invalid", "{error}");
        assert_eq!(
            fs::read_dir(temporary.path()).unwrap().count(),
            0,
            "{error}"
        );
        error.to_string()
    }

    #[test]
    fn what_a_package_must_not_hold_is_refused_and_leaves_nothing() {
        use EntryType as Kind;
        let entries = [
            ("../a", Kind::Regular, "../a leaves the folder"),
            ("/tmp/a", Kind::Regular, "/tmp/a leaves the folder"),
            ("a/../../b", Kind::Regular, "leaves the folder"),
            ("a/..", Kind::Directory, "leaves the folder"),
            ("a", Kind::Symlink, "a is a SymbolicLink"),
            ("a", Kind::Link, "a is a Link"),
            ("a", Kind::Fifo, "a is a FIFO"),
            ("a", Kind::Char, "a is a CharacterDevice"),
            ("a", Kind::Block, "a is a BlockDevice"),
            ("a", Kind::new(b'Q'), "a is a file of the kind 'Q'"),
            ("./app.json", Kind::Regular, "app.json is there twice"),
            ("source", Kind::Regular, "source is there twice"),
            ("app.json/a", Kind::Regular, "app.json/a is in a file"),
            ("app.json", Kind::Directory, "app.json is there twice"),
            (".", Kind::Regular, ". is no name"),
        ];
        for (path, kind, expected) in entries {
            let told = refusal(&package(|tar| add(tar, path, kind, b"")));
            assert!(told.contains(expected), "{told}");
        }
        let many = package(|tar| {
            for n in 0..3000 {
                add(tar, &format!("../{n}"), EntryType::Regular, b"");
            }
        });
        assert!(refusal(&many).len() < 1000);
    }

    #[test]
    fn a_package_that_was_cut_off_or_altered_is_damaged() {
        let whole = package(|tar| add(tar, "methods/a.mjs", EntryType::Regular, &[b'x'; 2000]));
        let (good, _temporary) = unpacked(&whole);
        let good = good.unwrap();
        assert_eq!(good.commit.as_deref(), Some("abc"));
        let mode = |path: &str| good.dir.join(path).metadata().unwrap().permissions().mode();
        // Whatever its header says: no setuid, nothing that others write.
        assert_eq!(mode("methods/a.mjs") & 0o7022, 0);
        for end in (0..whole.len() - 1024).step_by(256) {
            let told = refusal(&whole[..end]);
            assert!(told.contains("is damaged"), "{end}: {told}");
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&whole).unwrap();
        let packed = packed.finish().unwrap();
        assert!(unpacked(&packed).0.is_ok());
        let mut altered = packed.clone();
        let checksum = altered.len() - 6;
        altered[checksum] ^= 1;
        for bytes in [&packed[..packed.len() / 2], &altered] {
            assert!(refusal(bytes).contains("is damaged"));
        }
    }

    #[test]
    fn a_name_that_fills_the_memory_is_not_read() {
        let bomb = package(|tar| {
            let name = vec![b'a'; LONGEST_HEADER as usize + 1];
            add(tar, "././@LongLink", EntryType::GNULongName, &name);
            add(tar, "a", EntryType::Regular, b"");
        });
        assert!(refusal(&bomb).contains("is damaged"));
    }

    #[test]
    fn a_package_that_the_disk_has_no_room_for_is_not_begun() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.tar");
        // A header promises more than there is anywhere, and nothing of it follows.
        let mut header = Header::new_gnu();
        header.as_old_mut().name[0] = b'a';
        header.set_size(1 << 60);
        header.set_cksum();
        fs::write(&file, header.as_bytes()).unwrap();
        let name = file.to_str().unwrap();
        let never = AtomicBool::new(false);
        let error = unpack_in(folder.path(), name, &never).unwrap_err();
        assert_eq!(error.error().code(), "io");
        let told = error.to_string();
        assert!(
            told.contains("x.tar needs 1152922 TB and more, but"),
            "{told}"
        );
        let room = Room {
            folder: folder.path().to_owned(),
            bytes: u64::MAX,
            files: Some(1),
        };
        fs::write(&file, package(|_| ())).unwrap();
        let mut opened = Package::open(name).unwrap();
        let told = opened
            .look(&room, Cancel::new(&never))
            .unwrap_err()
            .to_string();
        assert!(told.contains("x.tar has 2 files and more, and"), "{told}");
    }

    #[test]
    fn a_file_that_changed_since_it_was_looked_at_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.tar");
        let dir = folder.path().join("to");
        fs::create_dir(&dir).unwrap();
        for path in ["../evil", "a"] {
            let kind = if path == "a" {
                EntryType::Symlink
            } else {
                EntryType::Regular
            };
            fs::write(&file, package(|tar| add(tar, path, kind, b""))).unwrap();
            let mut opened = Package::open(file.to_str().unwrap()).unwrap();
            let extracted = opened.extract(&dir, Cancel::new(&AtomicBool::new(false)));
            assert!(
                extracted
                    .unwrap_err()
                    .to_string()
                    .contains("holds what no package has")
            );
            assert!(!disk::exists(&folder.path().join("evil")) && !disk::exists(&dir.join("a")));
            fs::remove_dir_all(&dir).unwrap();
            fs::create_dir(&dir).unwrap();
        }
    }

    #[test]
    fn long_names_and_large_files_come_back_as_they_were() {
        let never = AtomicBool::new(false);
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("built");
        let deep = format!("methods/{}/{}", "d".repeat(200), "é".repeat(100));
        let content = vec![7; 3 << 20];
        for (path, text) in APP.map(|(path, text)| (path, text.as_bytes())) {
            let at = dir.join(path);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, text).unwrap();
        }
        fs::create_dir_all(dir.join(&deep).parent().unwrap()).unwrap();
        fs::write(dir.join(&deep), &content).unwrap();
        for name in ["a.tar", "a.tgz"] {
            let file = folder.path().join(name);
            pack(&dir, &file, Cancel::new(&never)).unwrap();
            let name = file.to_str().unwrap();
            let it = unpack_in(folder.path(), name, &never).unwrap();
            assert_eq!(fs::read(it.dir.join(&deep)).unwrap(), content);
            fs::remove_dir_all(&it.work).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["a.tar", "a.tgz", "built"]);
    }
}
