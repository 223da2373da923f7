//! Who may do what with live, found out before SQLite touches it: a `-shm` that somebody else made
//! keeps its owner from writing.

use crate::{
    base::{
        error::{Context, Error, Result, State},
        owner,
    },
    live::database::Live,
    os::{copy, files::COMPANIONS},
};
use std::{fs, io::ErrorKind, os::unix::fs::MetadataExt, path::Path};

/// Who makes files beside live.
const WRITERS: &str =
    "only its owner, and root, who acts as that owner, may run a verb that writes";

impl Live {
    /// Refuses where SQLite could not open live to write, or would leave a file of somebody else's
    /// beside it.
    pub(crate) fn may_be_opened(&self) -> Result<()> {
        let refuse =
            |what: String, hint: String| Err(Error::io(what).state(State::NothingDone).hint(hint));
        let (shown, me, its) = (
            self.shown(),
            owner::name(owner::user()),
            owner::name(self.owner.uid),
        );
        let Some(found) = copy::rights(&self.path)? else {
            return Ok(());
        };
        if !found.readable {
            return refuse(
                format!("{shown} may not be read by {me}: it belongs to {its}"),
                format!(
                    "Run it as {its}, or give this user read and write permission on the file and its folder"
                ),
            );
        }
        if !found.writable {
            return Err(self.may_not_be_written(found.read_only));
        }
        let mut shm = self.path.as_os_str().to_owned();
        shm.push("-shm");
        if found.wal && !self.owner.acts() && Path::new(&shm).symlink_metadata().is_err() {
            return refuse(
                format!(
                    "no process has {shown} open, and it belongs to {its}: opened by {me} it would get files beside it that keep its owner out"
                ),
                format!(
                    "Run it as {its}: {WRITERS}. Who reads it does so while the application has it open"
                ),
            );
        }
        Ok(())
    }

    /// Why live cannot be opened to be written, which SQLite has to do to read it as well: a reader
    /// takes part in its locks, and in the shared memory of its WAL.
    pub(crate) fn may_not_be_written(&self, read_only_disk: bool) -> Error {
        let (shown, me, its) = (
            self.shown(),
            owner::name(owner::user()),
            owner::name(self.owner.uid),
        );
        let (what, hint) = if read_only_disk {
            (
                format!("{shown} is on a file system that is mounted read-only"),
                "Mount it to be written as well; or copy the database, with its -wal, to a disk that can be written, and work there".to_owned(),
            )
        } else if self.owner.acts() {
            (
                format!("{shown} may be read and not written by {me}, its owner"),
                format!("Run chmod u+w {shown} where it is to be written"),
            )
        } else {
            (
                format!(
                    "{shown} may be read and not written by {me}, and remy works where it may do both: it belongs to {its}"
                ),
                format!(
                    "Run it as {its}: {WRITERS}, and has others read a copy that it has cloned"
                ),
            )
        };
        Error::io(what)
            .object(shown.to_string())
            .state(State::NothingDone)
            .hint(hint)
    }

    /// Refuses what lies beside live and is not of somebody who may write live, and for root a
    /// folder in which somebody else can put such a thing at any time. SQLite believes it: it plays
    /// a journal back into the database, and removes the file that the journal names as that of a
    /// transaction with other databases.
    pub(crate) fn is_among_its_own(&self) -> Result<()> {
        if owner::user() == 0 {
            self.is_in_a_folder_of_root()?;
        }
        for end in COMPANIONS {
            let mut path = self.path.as_os_str().to_owned();
            path.push(end);
            let path = Path::new(&path);
            let found = match path.symlink_metadata() {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                found => found.context(|| format!("looking at {}", path.display()))?,
            };
            if end == "-wal" && found.len() > 0 {
                self.has_a_page_for_its_wal(path, found.len())?;
            }
            let what = if !found.is_file() {
                "is no plain file".to_owned()
            } else if found.nlink() > 1 {
                format!("has {} hard links", found.nlink())
            } else if self.may_be_written_by(&found)? {
                continue;
            } else {
                format!(
                    "belongs to {}, who may not write {}",
                    owner::name(found.uid()),
                    self.shown()
                )
            };
            return Err(Error::io(format!(
                "{} {what}: SQLite would believe what it says",
                path.display()
            ))
            .object(path.display().to_string())
            .state(State::NothingDone)
            .hint(
                "Find out where it comes from, and move it away while nobody has the database open",
            ));
        }
        Ok(())
    }

    /// Refuses a live of 0 bytes beside a WAL that has some: SQLite takes the WAL for one of a
    /// database that is gone, and deletes it as soon as it reads.
    fn has_a_page_for_its_wal(&self, wal: &Path, bytes: u64) -> Result<()> {
        if self
            .path
            .symlink_metadata()
            .is_ok_and(|live| live.len() > 0)
        {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "{} has 0 bytes, and {} beside it {bytes}: what was committed last may stand there, and SQLite would delete it",
            self.shown(),
            wal.display()
        ))
        .object(self.shown().to_string())
        .state(State::NothingDone)
        .hint(format!(
            "Put the database back from a backup, and keep a copy of that WAL until you know what is in it; or move {} away, and bring \
             back a release",
            wal.display()
        )))
    }

    /// Whether who owns a file may write live.
    fn may_be_written_by(&self, file: &fs::Metadata) -> Result<bool> {
        let uid = file.uid();
        if uid == 0 || uid == self.owner.uid {
            return Ok(true);
        }
        let live = self
            .path
            .symlink_metadata()
            .context(|| format!("looking at {}", self.shown()))?;
        // Whom a list of rights lets in is not known here.
        let group = || owner::is_of(uid, live.gid()).unwrap_or(file.gid() == live.gid());
        Ok(live.mode() & 0o002 != 0
            || (live.mode() & 0o020 != 0 && (group() || owner::has_list(&self.path))))
    }

    /// Refuses, for root, a folder of somebody else's: what they put there between a look and
    /// SQLite's would be done as root.
    fn is_in_a_folder_of_root(&self) -> Result<()> {
        let folder = self.path.parent().unwrap_or(&self.path);
        let found = fs::metadata(folder).context(|| format!("looking at {}", folder.display()))?;
        // In a sticky folder nobody replaces what is there.
        let (mode, sticky) = (found.mode(), found.mode() & 0o1000 != 0);
        let its = owner::name(found.uid());
        let (what, hint) = if found.uid() != 0 {
            (
                format!("belongs to {its}"),
                format!("Give the database to {its}, as whom root then acts; or move it"),
            )
        } else if sticky {
            return Ok(());
        } else if mode & 0o002 != 0 {
            (
                "may be written by anybody".to_owned(),
                "Run chmod o-w on the folder; or move the database".to_owned(),
            )
        } else if mode & 0o020 != 0 && found.gid() != 0 {
            (
                format!("may be written by the group {}", found.gid()),
                "Run chmod g-w on the folder, or give the database to who uses it, as whom root then acts; or move it"
                    .to_owned(),
            )
        } else {
            return Ok(());
        };
        Err(Error::io(format!(
            "{} belongs to root, and {}, where it is, {what}: SQLite believes what lies beside a database, and would do as root what they \
             write there",
            self.shown(),
            folder.display()
        ))
        .object(self.shown().to_string())
        .state(State::NothingDone)
        .hint(hint + " into a folder that root alone may write to"))
    }

    /// Refuses who may not run a verb that writes: what it makes is live's owner's.
    pub(crate) fn may_be_changed(&self) -> Result<()> {
        if self.owner.acts() {
            return Ok(());
        }
        let its = owner::name(self.owner.uid);
        Err(Error::io(format!(
            "{} belongs to {its}, and this is {}: {WRITERS}",
            self.shown(),
            owner::name(owner::user())
        ))
        .object(self.shown().to_string())
        .state(State::NothingDone)
        .hint(format!("Run it as {its}")))
    }
}
