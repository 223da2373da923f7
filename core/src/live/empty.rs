//! A live that was made for a verb which then put nothing in it.

use crate::{
    base::error::{Context, Result},
    live::{beside::beside, database::Live},
    sqlite::calls,
};
use std::{fs, time::Duration};

impl Live {
    /// Removes live where it has 0 bytes, no store and nobody at work on it. Returns whether it is
    /// gone.
    ///
    /// SQLite's own lock says that nobody is: whoever has begun to write holds one. A verb that has
    /// found the file and not begun yet sees in its switch that it is gone (`same_file`).
    pub(crate) fn remove_if_empty(&self) -> Result<bool> {
        let _acting = self.owner.act()?;
        let conn = self.connect()?;
        calls::wait_for_locks(&conn, Duration::ZERO)?;
        let doing = || format!("removing {}, which is empty", self.shown());
        conn.execute_batch("BEGIN EXCLUSIVE").context(doing)?;
        // SQLite's journal of this very transaction stands beside it, and goes with it.
        let is_empty = self.path.symlink_metadata().is_ok_and(|it| it.len() == 0)
            && beside(&self.path).symlink_metadata().is_err();
        if is_empty {
            self.same_file()?;
            fs::remove_file(&self.path).context(doing)?;
        }
        Ok(is_empty)
    }
}
