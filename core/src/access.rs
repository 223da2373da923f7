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
            return refuse(
                format!("{shown} is read-only for this process"),
                "Give this user write permission on the file and its folder".into(),
            );
        }
        let mut shm = self.path.as_os_str().to_owned();
        shm.push("-shm");
        if found.wal && !self.owner.acts() && std::path::Path::new(&shm).symlink_metadata().is_err() {
            return refuse(
                format!(
                    "nobody has {shown} open, and it belongs to {its}: opened by {me} it would get files beside it that keep its owner out"
                ),
                format!("Run it as {its}: {WRITERS}. Who reads it does so while the application has it open"),
            );
        }
        Ok(())
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
