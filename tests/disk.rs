//! A disk that loses power: what a verb did to a folder is written down change by change, and the
//! folder is made again as a disk may have it that lost what was not synced.
//!
//! A file holds what was written up to its last sync, and of what came after it nothing, all, some
//! writes, or parts of writes, of 512 bytes each. A folder has the names of its last sync, and the
//! first so many of the changes after it: a journal keeps their order within a folder, and promises
//! nothing between two, nor of the bytes of a file that has its new name. Of a rename between two
//! folders one side may be on the disk without the other, but the file is never gone.
use crate::rounds::Random;
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The smallest part of a write that arrives whole.
const SECTOR: u64 = 512;

/// What of the changes that were not synced is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of them.
    Nothing,
    /// None.
    Everything,
    /// Names are there, bytes are not.
    Bytes,
    /// Bytes are there, some names are not.
    Names,
    /// Some.
    Some,
    /// Parts of writes, and some names.
    Torn,
}

impl Loss {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::Nothing,
        Self::Everything,
        Self::Bytes,
        Self::Names,
        Self::Some,
        Self::Torn,
    ];
}

/// A file, a link or a folder, whatever its names are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Object {
    File { bytes: Vec<u8>, mode: u32 },
    Symlink(PathBuf),
    Folder { mode: u32 },
}

#[derive(Debug)]
enum Change {
    Write {
        object: usize,
        at: u64,
        bytes: Vec<u8>,
    },
    Length {
        object: usize,
        to: u64,
    },
    /// Space that is taken beforehand.
    Grow {
        object: usize,
        to: u64,
    },
    Mode {
        object: usize,
        mode: u32,
    },
    Sync {
        object: usize,
    },
    Add {
        path: PathBuf,
        object: usize,
    },
    Remove {
        path: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        object: usize,
    },
    SyncFolder {
        path: PathBuf,
    },
}

/// A folder by its names.
type Names = BTreeMap<PathBuf, usize>;

/// What the fault library wrote down of one call (`struct record` in `faults/fault.c`).
struct Record {
    kind: u32,
    mode: u32,
    inode: u64,
    offset: u64,
    first: PathBuf,
    second: PathBuf,
    data: Vec<u8>,
}

impl Record {
    /// Takes one from the front of what is left.
    fn take(rest: &mut &[u8]) -> Self {
        let mut take = |n: usize| {
            let (first, others) = rest.split_at(n);
            *rest = others;
            first
        };
        let kind = u32::from_ne_bytes(take(4).try_into().expect("4 bytes"));
        let mode = u32::from_ne_bytes(take(4).try_into().expect("4 bytes")) & 0o7777;
        let mut number = || u64::from_ne_bytes(take(8).try_into().expect("8 bytes"));
        let (inode, offset) = (number(), number());
        let lengths = [number(), number(), number()].map(|n| usize::try_from(n).expect("a length"));
        let mut path =
            |n: usize| PathBuf::from(String::from_utf8(take(n).to_vec()).expect("a path"));
        let (first, second) = (path(lengths[0]), path(lengths[1]));
        let data = take(lengths[2]).to_vec();
        Self {
            kind,
            mode,
            inode,
            offset,
            first,
            second,
            data,
        }
    }
}

/// A folder, and what was done to it.
#[derive(Debug)]
pub struct Recording {
    root: PathBuf,
    objects: Vec<Object>,
    names: Names,
    inodes: HashMap<u64, usize>,
    changes: Vec<Change>,
}

impl Recording {
    /// What a folder holds before anything is done to it, which is taken to be on the disk.
    pub fn begin(root: &Path) -> Self {
        let mut recording = Self {
            root: root.to_owned(),
            objects: Vec::new(),
            names: Names::new(),
            inodes: HashMap::new(),
            changes: Vec::new(),
        };
        recording.read_folder(root);
        recording
    }

    fn read_folder(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if is_shared_memory(&path) {
                continue;
            }
            let metadata = fs::symlink_metadata(&path).expect("a file");
            let mode = metadata.mode() & 0o7777;
            let object = if metadata.is_dir() {
                Object::Folder { mode }
            } else if metadata.is_symlink() {
                Object::Symlink(fs::read_link(&path).expect("a link"))
            } else {
                Object::File {
                    bytes: fs::read(&path).expect("a file"),
                    mode,
                }
            };
            let number = match self.inodes.get(&metadata.ino()) {
                Some(&number) => number, // another name of it
                None => self.add(object),
            };
            self.inodes.insert(metadata.ino(), number);
            self.names.insert(self.below(&path), number);
            if metadata.is_dir() {
                self.read_folder(&path);
            }
        }
    }

    fn add(&mut self, object: Object) -> usize {
        self.objects.push(object);
        self.objects.len() - 1
    }

    fn below(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root)
            .unwrap_or_else(|_| panic!("{} is elsewhere", path.display()))
            .to_owned()
    }

    /// Adds what the fault library wrote down.
    pub fn end(&mut self, log: &Path) {
        let bytes = fs::read(log).expect("the fault library wrote its log");
        let mut rest = &bytes[..];
        let mut names = self.names.clone();
        while !rest.is_empty() {
            let record = Record::take(&mut rest);
            let change = self.change(record, &names);
            apply_name(&mut names, &change, |_| true);
            self.changes.push(change);
        }
        self.witnessed();
    }

    fn known(&self, inode: u64) -> usize {
        *self
            .inodes
            .get(&inode)
            .expect("a file whose making was seen")
    }

    /// What a record says, where things have these names.
    fn change(&mut self, record: Record, names: &Names) -> Change {
        match record.kind {
            1 => Change::Write {
                object: self.known(record.inode),
                at: record.offset,
                bytes: record.data,
            },
            2 => Change::Length {
                object: self.known(record.inode),
                to: record.offset,
            },
            3 => Change::Grow {
                object: self.known(record.inode),
                to: record.offset,
            },
            4 => Change::Sync {
                object: self.known(record.inode),
            },
            5 => Change::SyncFolder {
                path: self.below(&record.first),
            },
            6 | 10 | 11 => {
                let (path, object) = match record.kind {
                    6 => (
                        record.first,
                        Object::File {
                            bytes: Vec::new(),
                            mode: record.mode,
                        },
                    ),
                    10 => (record.second, Object::Symlink(record.first)),
                    _ => (record.first, Object::Folder { mode: record.mode }),
                };
                let object = self.add(object);
                self.inodes.insert(record.inode, object);
                Change::Add {
                    path: self.below(&path),
                    object,
                }
            }
            7 | 12 => Change::Remove {
                path: self.below(&record.first),
            },
            8 => {
                let from = self.below(&record.first);
                Change::Rename {
                    object: names[&from],
                    from,
                    to: self.below(&record.second),
                }
            }
            9 => Change::Add {
                object: names[&self.below(&record.first)],
                path: self.below(&record.second),
            },
            13 => Change::Mode {
                object: self.known(record.inode),
                mode: record.mode,
            },
            kind => panic!("a change of kind {kind}, which this disk does not know"),
        }
    }

    /// How many changes there were: the power may be cut after any number of them.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The moments around which something becomes durable, or a name changes.
    pub fn moments(&self) -> Vec<usize> {
        let heavy = |change: &Change| {
            !matches!(
                change,
                Change::Write { .. } | Change::Length { .. } | Change::Grow { .. }
            )
        };
        let around = |n: usize| [n, n + 1];
        (0..self.len())
            .filter(|&n| heavy(&self.changes[n]))
            .flat_map(around)
            .collect()
    }

    /// The moments around which a file, by the end of its path, is synced.
    pub fn syncs_of(&self, file: &str) -> Vec<usize> {
        let is_sync = |change: &Change| match change {
            Change::Sync { object } => self
                .name(*object)
                .is_some_and(|path| path.to_string_lossy().ends_with(file)),
            _ => false,
        };
        let around = |n: usize| n..(n + 12).min(self.len());
        (0..self.len())
            .filter(|&n| is_sync(&self.changes[n]))
            .flat_map(around)
            .collect()
    }

    /// What the `n`-th change was, for messages.
    pub fn describe(&self, n: usize) -> String {
        match self.changes.get(n) {
            None => "the end".into(),
            Some(Change::Write { object, at, bytes }) => {
                format!(
                    "a write of {} bytes at {at} of {:?}",
                    bytes.len(),
                    self.name(*object)
                )
            }
            Some(
                Change::Sync { object }
                | Change::Length { object, .. }
                | Change::Grow { object, .. }
                | Change::Mode { object, .. },
            ) => format!("{:?} of {:?}", self.changes[n], self.name(*object)),
            Some(change) => format!("{change:?}"),
        }
    }

    fn name(&self, object: usize) -> Option<&PathBuf> {
        let added = self.changes.iter().find_map(|change| match change {
            Change::Add {
                path,
                object: added,
            } if *added == object => Some(path),
            _ => None,
        });
        added.or_else(|| {
            self.names
                .iter()
                .find(|(_, named)| **named == object)
                .map(|(path, _)| path)
        })
    }

    /// Makes the folder `to` as the disk has it when the power is cut after `changes` changes.
    pub fn after_power_cut(&self, changes: usize, loss: Loss, random: &mut Random, to: &Path) {
        let (names, objects) = self.on_disk(changes, loss, random);
        let mut made = HashMap::<usize, PathBuf>::new();
        fs::create_dir_all(to).expect("a folder");
        // Ascending, so that a folder comes before what is in it; one that is gone takes everything
        // with it.
        for (name, &object) in &names {
            let path = to.join(name);
            if !path.parent().is_some_and(Path::exists) {
                continue;
            }
            if let Some(first) = made.get(&object) {
                fs::hard_link(first, &path).expect("another name");
                continue;
            }
            match &objects[object] {
                Object::Folder { mode } => {
                    fs::create_dir(&path).expect("a folder");
                    fs::set_permissions(&path, fs::Permissions::from_mode(*mode))
                        .expect("its mode");
                }
                Object::Symlink(aim) => std::os::unix::fs::symlink(aim, &path).expect("a link"),
                Object::File { bytes, mode } => {
                    fs::write(&path, bytes).expect("a file");
                    fs::set_permissions(&path, fs::Permissions::from_mode(*mode))
                        .expect("its mode");
                    made.insert(object, path);
                }
            }
        }
    }

    fn on_disk(&self, cut: usize, loss: Loss, random: &mut Random) -> (Names, Vec<Object>) {
        let changes = &self.changes[..cut];
        let (mut synced, mut folders) = (HashMap::new(), HashMap::new());
        for (n, change) in changes.iter().enumerate() {
            match change {
                Change::Sync { object } => drop(synced.insert(*object, n)),
                Change::SyncFolder { path } => drop(folders.insert(path.clone(), n)),
                _ => {}
            }
        }
        // Up to which change each folder has its names.
        let mut until = HashMap::<PathBuf, usize>::new();
        let mut arrived = |path: &Path, n: usize, random: &mut Random| {
            let folder = path.parent().expect("a name is in a folder");
            let synced = folders.get(folder).map_or(0, |n| n + 1);
            let until = *until
                .entry(folder.to_owned())
                .or_insert_with(|| match loss {
                    Loss::Nothing | Loss::Bytes => cut,
                    Loss::Everything => synced,
                    Loss::Names | Loss::Some | Loss::Torn => {
                        synced
                            + usize::try_from(random.below((cut - synced) as u64 + 1))
                                .expect("small")
                    }
                });
            n < until
        };
        let (mut names, mut objects) = (self.names.clone(), self.objects.clone());
        for (n, change) in changes.iter().enumerate() {
            let object = match change {
                Change::Write { object, .. }
                | Change::Length { object, .. }
                | Change::Grow { object, .. }
                | Change::Mode { object, .. } => *object,
                _ => {
                    apply_name(&mut names, change, |path| arrived(path, n, random));
                    continue;
                }
            };
            let durable = synced.get(&object).is_some_and(|&sync| n < sync);
            let whole = durable
                || match loss {
                    Loss::Nothing | Loss::Names => true,
                    Loss::Everything | Loss::Bytes => false,
                    Loss::Some => !random.once_in(2),
                    Loss::Torn => random.once_in(4),
                };
            apply_bytes(&mut objects, change, |_| {
                whole || (loss == Loss::Torn && random.once_in(2))
            });
        }
        (names, objects)
    }

    /// Whether every change below the folder was seen: replayed, they give the folder as it is.
    fn witnessed(&self) {
        let (names, objects) = self.on_disk(self.len(), Loss::Nothing, &mut Random::new(0));
        let now = Self::begin(&self.root);
        let seen: BTreeMap<_, _> = names
            .iter()
            .map(|(path, &object)| (path, &objects[object]))
            .collect();
        let real: BTreeMap<_, _> = now
            .names
            .iter()
            .map(|(path, &object)| (path, &now.objects[object]))
            .collect();
        for (path, object) in &real {
            assert!(
                seen.get(path) == Some(object),
                "{}: a change was not seen by the fault library",
                path.display()
            );
        }
        assert!(
            seen.keys().eq(real.keys()),
            "a removal was not seen: {:?} for {:?}",
            seen.keys(),
            real.keys()
        );
    }
}

/// SQLite's wal-index is memory that is shared, and is made again after a crash.
fn is_shared_memory(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"-shm")
}

fn apply_name(names: &mut Names, change: &Change, mut arrived: impl FnMut(&Path) -> bool) {
    match change {
        Change::Add { path, object } if arrived(path) => drop(names.insert(path.clone(), *object)),
        Change::Remove { path } if arrived(path) => drop(names.remove(path)),
        Change::Rename { from, to, object } if arrived(to) => {
            if arrived(from) {
                names.remove(from);
            }
            names.insert(to.clone(), *object);
        }
        _ => {}
    }
}

/// `arrived` is asked for each part of a write, and once for any other change.
fn apply_bytes(objects: &mut [Object], change: &Change, mut arrived: impl FnMut(u64) -> bool) {
    let (Change::Write { object, .. }
    | Change::Length { object, .. }
    | Change::Grow { object, .. }
    | Change::Mode { object, .. }) = change
    else {
        return;
    };
    if let Change::Mode { mode: to, .. } = change {
        let (Object::File { mode, .. } | Object::Folder { mode }) = &mut objects[*object] else {
            return;
        };
        if arrived(0) {
            *mode = *to;
        }
        return;
    }
    let Object::File { bytes: file, .. } = &mut objects[*object] else {
        panic!("{change:?} of what is no file")
    };
    let index = |n: u64| usize::try_from(n).expect("a small file");
    match change {
        Change::Write { at, bytes, .. } => {
            let (mut from, end) = (*at, at + bytes.len() as u64);
            while from < end {
                let to = ((from / SECTOR + 1) * SECTOR).min(end);
                if arrived(from) {
                    if file.len() < index(to) {
                        file.resize(index(to), 0);
                    }
                    file[index(from)..index(to)]
                        .copy_from_slice(&bytes[index(from - at)..index(to - at)]);
                }
                from = to;
            }
        }
        Change::Length { to, .. } if arrived(0) => file.resize(index(*to), 0),
        Change::Grow { to, .. } if arrived(0) && file.len() < index(*to) => {
            file.resize(index(*to), 0)
        }
        _ => {}
    }
}
