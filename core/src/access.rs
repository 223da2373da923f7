//! Who may do what with live, found out before SQLite touches it: a `-shm` that somebody else made keeps its owner from writing.
use crate::{
    copy,
    error::{Error, Result},
    live::Live,
    owner,
};

/// Who makes files beside live.
const WRITERS: &str = "only its owner, and root, who acts as that owner, may run a verb that writes";

impl Live {
    /// Refuses where SQLite could not open live to write, or would leave a file of somebody else's beside it.
    pub(crate) fn may_be_opened(&self) -> Result<()> {
        let refuse = |what: String, hint: String| Err(Error::io(what).state("Nothing was done").hint(hint));
        let (shown, me, its) = (self.shown(), owner::name(owner::user()), owner::name(self.owner.uid));
        let Some(found) = copy::look(&self.path)? else { return Ok(()) };
        if !found.readable {
            return refuse(
                format!("{shown} may not be read by {me}: it belongs to {its}"),
                format!("Run it as {its}, or give this user read and write permission on the file and its folder"),
            );
        }
        if !found.writable {
            return Err(self.may_not_be_written(found.read_only));
        }
        let mut shm = self.path.as_os_str().to_owned();
        shm.push("-shm");
        if found.wal && !self.owner.acts() && std::path::Path::new(&shm).symlink_metadata().is_err() {
            return refuse(
                format!(
                    "no process has {shown} open, and it belongs to {its}: opened by {me} it would get files beside it that keep its owner out"
                ),
                format!("Run it as {its}: {WRITERS}. Who reads it does so while the application has it open"),
            );
        }
        Ok(())
    }

    /// Why live cannot be opened to be written, which SQLite has to do to read it as well: a reader takes part in its locks, and in the
    /// shared memory of its WAL.
    pub(crate) fn may_not_be_written(&self, read_only_disk: bool) -> Error {
        let (shown, me, its) = (self.shown(), owner::name(owner::user()), owner::name(self.owner.uid));
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
                format!("Run it as {its}: {WRITERS}, and has others read a copy that it has cloned"),
            )
        };
        Error::io(what).object(shown.to_string()).state("Nothing was done").hint(hint)
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
        .state("Nothing was done")
        .hint(format!("Run it as {its}")))
    }
}
