//! Whose live is, and who acts on it: its owner, or root as that owner.
//!
//! Root that followed a link of somebody's, or gave a file that a link names to them, would give
//! away what it may read. So it takes the owner's place for as long as a verb is at work: the
//! system then refuses whatever it would refuse the owner. A program that is started meanwhile
//! becomes the owner's whole ([`becoming`]).

use crate::base::error::{Context, Error, Result, State};
use std::{
    cell::RefCell,
    ffi::{CStr, CString, OsString, c_int},
    fs::{self, File, Permissions},
    io,
    marker::PhantomData,
    os::unix::{
        ffi::OsStringExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    ptr,
    sync::{Mutex, PoisonError},
};

/// Whose a file is, and what others may do with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    /// Without what its group may do, where files of that group cannot be made here: another group
    /// would get it.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    gid: u32,
    /// Whether files of its group can be made here.
    has_group: bool,
}

impl Owner {
    pub(crate) fn of(metadata: &fs::Metadata) -> Self {
        let (mode, uid, gid) = (metadata.mode() & 0o777, metadata.uid(), metadata.gid());
        let has_group =
            user() == 0 || group() == gid || groups().is_ok_and(|all| all.contains(&gid));
        Self {
            mode: if has_group { mode } else { mode & !0o070 },
            uid,
            gid,
            has_group,
        }
    }

    /// Lets root act as the owner, on this thread and on those that it starts, until the result is
    /// dropped. Anybody else stays who they are.
    pub(crate) fn act(self) -> Result<Acting> {
        let mut acting = Acting {
            counted: false,
            _of_this_thread: PhantomData,
        };
        let again = PLACE.with_borrow_mut(|place| {
            let place = place.as_mut().filter(|place| place.owner.uid == self.uid);
            place.map(|place| place.depth += 1).is_some()
        });
        if again {
            acting.counted = true;
            return Ok(acting);
        }
        if user() != 0 || self.uid == 0 {
            return Ok(acting);
        }
        let doing = || {
            format!(
                "taking the place of {}, as whom root works here",
                name(self.uid)
            )
        };
        let groups = groups().context(doing)?;
        // From here on what fails puts it all back.
        acting.counted = true;
        let place = Place {
            owner: self,
            depth: 1,
            gid: group(),
            groups,
            _dumpable: Dumpable::kept(),
        };
        PLACE.replace(Some(place));
        match self.take_place() {
            Ok(true) => Ok(acting),
            Ok(false) => Err(Error::io(format!(
                "{}: the system does not allow it",
                doing()
            ))),
            Err(e) => Err(e).context(doing),
        }
        .map_err(|e| {
            e.state(State::NothingDone)
                .hint(format!("Run it as {}", name(self.uid)))
        })
    }

    /// Makes this thread reach files as the owner. Returns whether it does.
    fn take_place(self) -> io::Result<bool> {
        set_groups(&all_groups(self.uid, self.gid))?;
        // SAFETY: these set the user and group by which this thread reaches files, and touch no
        // memory.
        unsafe {
            libc::setfsgid(self.gid);
            libc::setfsuid(self.uid);
        }
        Ok(user() == self.uid && group() == self.gid)
    }

    /// Whether it is the owner who acts, or root in their place.
    pub(crate) fn acts(self) -> bool {
        user() == self.uid
    }

    /// Whether root acts in the owner's place, in files alone: code that it loads is root's.
    pub(crate) fn is_another_of_root(self) -> bool {
        // SAFETY: takes nothing and cannot fail.
        self.uid != 0 && unsafe { libc::geteuid() } == 0
    }

    /// Gives a file that was made here to the owner, with this mode.
    pub(crate) fn give(self, file: &File, path: &Path, mode: u32) -> Result<()> {
        let doing = || format!("giving {} to live's owner", path.display());
        let made = file.metadata().context(doing)?;
        let uid = (made.uid() != self.uid && user() == 0).then_some(self.uid);
        let gid = (made.gid() != self.gid && self.has_group).then_some(self.gid);
        if uid.or(gid).is_some() {
            std::os::unix::fs::fchown(file, uid, gid).context(doing)?;
        }
        // Last: the umask may have taken bits that live has, and a change of the group takes some.
        file.set_permissions(Permissions::from_mode(mode))
            .context(doing)
    }
}

/// As [`Owner::act`], for whoever owns what is at `path`.
pub fn act_as_owner_of(path: &Path) -> Result<Acting> {
    let found = fs::metadata(path).context(|| format!("looking at {}", path.display()))?;
    Owner::of(&found).act()
}

/// What a program has to become that is started now: a user and a group, where root acts in an
/// owner's place. `execve` would make it root again, and what an owner's build runs is the owner's.
pub fn becoming() -> Option<(u32, u32)> {
    // SAFETY: takes nothing and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    (is_root && user() != 0).then(|| (user(), group()))
}

/// Whether the owner of a database or an app may know a variable of root's environment: what
/// programs and messages need. All else may be a secret, and whose a process is may read it.
pub fn is_harmless(variable: &str) -> bool {
    ["PATH", "LANG", "TZ"].contains(&variable) || variable.starts_with("LC_")
}

/// Makes root's process the owner's of the file at `path`, in all that it does and for as long as
/// it lives. Anybody else's process stays whose it is, and so does root's where the file is
/// root's, or is not there.
///
/// `file` is the device and the inode that have to be there, where they are known: who owns the
/// folder may put another file into the place for a moment, and root would stay root for it.
///
/// `first` is done before, where the process becomes another's: whose it is may read its memory
/// then, and so what root left there.
pub fn become_owner_of(path: &Path, file: Option<(u64, u64)>, first: impl FnOnce()) -> Result<()> {
    let found = path.canonicalize().and_then(|path| path.symlink_metadata());
    let is = found.as_ref().ok().map(|found| (found.dev(), found.ino()));
    if user() == 0 && file.is_some() && is != file {
        return Err(
            Error::busy(format!("another file is at {} now", path.display()))
                .state(State::NothingDone)
                .hint("Start it again when nobody puts files there"),
        );
    }
    let Ok((uid, gid)) = found.map(|found| (found.uid(), found.gid())) else {
        return Ok(()); // who opens it says what is wrong
    };
    if user() != 0 || uid == 0 {
        return Ok(());
    }
    first();
    // SAFETY: these take a list that is only read, and numbers. The flag that is set last lets the
    // process see its own descriptors, which the change of its user takes away.
    let changed = unsafe {
        let groups = all_groups(uid, gid);
        libc::setgroups(groups.len(), groups.as_ptr()) == 0
            && libc::setresgid(gid, gid, gid) == 0
            && libc::setresuid(uid, uid, uid) == 0
            && libc::prctl(libc::PR_SET_DUMPABLE, 1) == 0
    };
    if changed {
        return Ok(());
    }
    Err(io::Error::last_os_error())
        .context(|| format!("becoming {}, whose database this is", name(uid)))
        .map_err(|e| {
            e.state(State::NothingDone)
                .hint(format!("Run it as {}", name(uid)))
        })
}

/// Root in an owner's place. What it was is put back when the last of these is dropped, on the
/// thread that they were made on: in which order they end does not matter.
#[derive(Debug)]
pub struct Acting {
    /// Whether it is one of a [`Place`]'s.
    counted: bool,
    _of_this_thread: PhantomData<*const ()>,
}

/// In whose place a thread of root's is, and what it was before.
#[derive(Debug)]
struct Place {
    owner: Owner,
    /// How many take it.
    depth: usize,
    gid: u32,
    groups: Vec<libc::gid_t>,
    /// Last: it is put back once all else is.
    _dumpable: Dumpable,
}

thread_local! {
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Does what is the caller's own in the middle of a verb, as who the caller is: root again, where
/// root acts for an owner.
///
/// # Panics
/// Where the system does not let root take the owner's place again: the verb must not go on as
/// root.
pub fn as_the_caller<T>(work: impl FnOnce() -> T) -> T {
    /// Takes the owner's place again, also where `work` panics.
    struct Back(Option<Place>);
    impl Drop for Back {
        fn drop(&mut self) {
            let Some(place) = self.0.take() else { return };
            let taken = place.owner.take_place();
            PLACE.replace(Some(place));
            if !matches!(taken, Ok(true)) && !std::thread::panicking() {
                panic!(
                    "the system does not let root take the place of live's owner again: {taken:?}"
                );
            }
        }
    }
    let back = Back(PLACE.take());
    if let Some(place) = &back.0 {
        place.leave();
    }
    work()
}

impl Place {
    /// Makes this thread reach files as root again.
    fn leave(&self) {
        // SAFETY: as in Owner::take_place. The process is still root's, which may be root again.
        unsafe {
            libc::setfsuid(0);
            libc::setfsgid(self.gid);
        }
        let _ = set_groups(&self.groups);
    }
}

/// Keeps the right to a core dump, which a process loses where one of its threads changes who it
/// is. It is the process's: the last of the threads that act puts it back as the first has found
/// it.
#[derive(Debug)]
struct Dumpable;

/// How many threads act, and what the flag was before.
static ACTING: Mutex<(usize, c_int)> = Mutex::new((0, 0));

impl Dumpable {
    fn kept() -> Self {
        let mut acting = ACTING.lock().unwrap_or_else(PoisonError::into_inner);
        if acting.0 == 0 {
            // SAFETY: asks for a flag of the process.
            acting.1 = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
        }
        acting.0 += 1;
        Self
    }
}

impl Drop for Dumpable {
    fn drop(&mut self) {
        let mut acting = ACTING.lock().unwrap_or_else(PoisonError::into_inner);
        acting.0 -= 1;
        if acting.0 == 0 {
            // SAFETY: sets a flag of the process to what it was.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, acting.1) };
        }
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        if !self.counted {
            return;
        }
        let ended = PLACE.with_borrow_mut(|place| {
            let depth = place.as_mut().map(|place| {
                place.depth -= 1;
                place.depth
            });
            if depth == Some(0) { place.take() } else { None }
        });
        if let Some(place) = ended {
            place.leave();
        }
    }
}

/// The user by whom this thread reaches files.
pub fn user() -> u32 {
    // SAFETY: nobody has this number: nothing is set, and the call returns who it is.
    unsafe { libc::setfsuid(u32::MAX) }.cast_unsigned()
}

fn group() -> u32 {
    // SAFETY: as in user().
    unsafe { libc::setfsgid(u32::MAX) }.cast_unsigned()
}

/// The other groups of this thread.
fn groups() -> io::Result<Vec<libc::gid_t>> {
    // SAFETY: no room asks for the number alone.
    let n = unsafe { libc::getgroups(0, ptr::null_mut()) };
    let mut all = vec![0; usize::try_from(n).map_err(|_| io::Error::last_os_error())?];
    // SAFETY: there is room for n.
    let n = unsafe { libc::getgroups(n, all.as_mut_ptr()) };
    all.truncate(usize::try_from(n).map_err(|_| io::Error::last_os_error())?);
    Ok(all)
}

/// Sets the other groups of this thread alone: the C library's call of that name does so for every
/// thread of the process.
fn set_groups(all: &[libc::gid_t]) -> io::Result<()> {
    // SAFETY: the list has as many as is said, and is only read.
    let code = unsafe { libc::syscall(libc::SYS_setgroups, all.len(), all.as_ptr()) };
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether a user is of a group, as far as the system knows them by name.
pub(crate) fn is_of(uid: u32, group: u32) -> Option<bool> {
    account(uid).map(|it| all_groups(uid, it.gid).contains(&group))
}

/// Who besides its owner may write to what is at `path`: nobody, or who, in words. A group that
/// nobody else is in, as many systems give one to each user, is its owner's own.
pub fn others_who_write(path: &Path) -> io::Result<Option<String>> {
    let found = fs::metadata(path)?;
    let (mode, uid, gid) = (found.mode(), found.uid(), found.gid());
    if mode & 0o002 != 0 {
        return Ok(Some("everybody".to_owned()));
    }
    let is_own = || account(uid).is_some_and(|owner| owner.gid == gid && is_of_one(&owner));
    // Where there is a list of rights, these bits are the most that it gives, to whomever.
    if mode & 0o020 != 0 && (has_list(path) || !is_own()) {
        return Ok(Some(format!("the group {gid}")));
    }
    Ok(None)
}

/// Whether a file has a list of rights besides its mode.
pub(crate) fn has_list(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_encoded_bytes()) else {
        return false;
    };
    let name = c"system.posix_acl_access".as_ptr();
    // SAFETY: both texts end in NUL; a size of 0 asks for the length alone.
    unsafe { libc::lgetxattr(path.as_ptr(), name, ptr::null_mut(), 0) > 0 }
}

/// Whether the first group of a user has their name, and nobody else in it.
fn is_of_one(owner: &Account) -> bool {
    let mut text = vec![0; 1 << 10];
    loop {
        let mut found = ptr::null_mut();
        // SAFETY: as in `account`; the members are texts that end in NUL, and their list with null.
        unsafe {
            let mut entry: libc::group = std::mem::zeroed();
            let code = libc::getgrgid_r(
                owner.gid,
                &raw mut entry,
                text.as_mut_ptr(),
                text.len(),
                &raw mut found,
            );
            if code == 0 {
                if found.is_null() || CStr::from_ptr(entry.gr_name) != &*owner.name {
                    return false;
                }
                let mut member = entry.gr_mem;
                while !member.is_null() && !(*member).is_null() {
                    if CStr::from_ptr(*member) != &*owner.name {
                        return false;
                    }
                    member = member.add(1);
                }
                return true;
            }
            if code != libc::ERANGE || text.len() >= 1 << 20 {
                return false;
            }
        }
        text.resize(text.len() * 4, 0);
    }
}

/// Every group of a user, with `gid`. Of one that the system does not know by name, that alone.
fn all_groups(uid: u32, gid: u32) -> Vec<libc::gid_t> {
    let Some(Account { name, .. }) = account(uid) else {
        return vec![gid];
    };
    let mut room: c_int = 64;
    loop {
        let mut all = vec![0; usize::try_from(room).unwrap_or(0)];
        let before = room;
        // SAFETY: the name is NUL-terminated, and there is room for as many as is said.
        let n = unsafe { libc::getgrouplist(name.as_ptr(), gid, all.as_mut_ptr(), &raw mut room) };
        if n >= 0 {
            all.truncate(usize::try_from(room).unwrap_or(0));
            return all;
        }
        if room <= before {
            return vec![gid];
        }
    }
}

/// A user as the system has them.
#[derive(Debug)]
pub struct Account {
    /// Their name.
    pub name: CString,
    /// Their first group.
    pub(crate) gid: u32,
    /// Where they are at home.
    pub home: PathBuf,
}

/// The account of a user, where the system knows one.
pub fn account(uid: u32) -> Option<Account> {
    let mut text = vec![0; 1 << 10];
    loop {
        let mut found = ptr::null_mut();
        // SAFETY: getpwuid_r fills the struct and the text, which has the room that is said;
        // `found` is null or points to the struct, whose texts point into the text. All-zero is a
        // valid value of the struct.
        unsafe {
            let mut entry: libc::passwd = std::mem::zeroed();
            let code = libc::getpwuid_r(
                uid,
                &raw mut entry,
                text.as_mut_ptr(),
                text.len(),
                &raw mut found,
            );
            if code == 0 {
                return (!found.is_null()).then(|| Account {
                    name: CStr::from_ptr(entry.pw_name).to_owned(),
                    gid: entry.pw_gid,
                    home: OsString::from_vec(CStr::from_ptr(entry.pw_dir).to_bytes().to_vec())
                        .into(),
                });
            }
            if code != libc::ERANGE || text.len() >= 1 << 20 {
                return None;
            }
        }
        text.resize(text.len() * 4, 0);
    }
}

/// A user as messages have them: "the user `alice` (uid 1000)". Somebody's name may be a word, as
/// `nobody` is.
pub fn name(uid: u32) -> String {
    match account(uid) {
        Some(it) => format!("the user `{}` (uid {uid})", it.name.to_string_lossy()),
        None => format!("the user {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    /// Who acts sets a flag of the process: one test at a time looks at it.
    static ALONE: Mutex<()> = Mutex::new(());

    /// Some user who is not root.
    const OTHER: Owner = Owner {
        mode: 0o600,
        uid: 12_345,
        gid: 12_345,
        has_group: true,
    };

    #[test]
    fn who_acts_twice_does_so_until_both_have_ended() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        if user() != 0 {
            return; // only root acts as somebody
        }
        let outer = OTHER.act().unwrap();
        let inner = OTHER.act().unwrap();
        drop(outer);
        assert_eq!((user(), group()), (OTHER.uid, OTHER.gid));
        assert_eq!(as_the_caller(|| (user(), group())), (0, 0));
        let panicked = std::panic::catch_unwind(|| as_the_caller(|| panic!("of the caller's")));
        assert!(panicked.is_err());
        assert_eq!((user(), group()), (OTHER.uid, OTHER.gid));
        drop(inner);
        assert_eq!((user(), group()), (0, 0));
    }

    #[test]
    fn two_threads_that_act_leave_the_process_as_it_was() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        if user() != 0 {
            return; // only root acts as somebody
        }
        // SAFETY: asks for a flag of the process.
        let dumpable = || unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
        let (before, step) = (dumpable(), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let acting = OTHER.act().unwrap();
                step.wait();
                step.wait();
                drop(acting);
                step.wait();
            });
            scope.spawn(|| {
                step.wait();
                let acting = OTHER.act().unwrap();
                step.wait();
                step.wait();
                drop(acting);
            });
        });
        assert_eq!(dumpable(), before);
        assert_eq!((user(), group()), (0, 0));
    }
}
