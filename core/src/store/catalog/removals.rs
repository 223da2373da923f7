//! What the catalog has decided to remove.

use crate::{base::error::Result, store::catalog::Catalog};

impl Catalog {
    /// Records, durably and before a database has its name in `dev` or `previews`, that it goes
    /// unless it is said to be there.
    pub(crate) fn will_remove(&self, folder: &str, name: &str) -> Result<()> {
        self.write_durably(
            "recording a database that is being made",
            "INSERT OR IGNORE INTO removals (folder, name) VALUES (?1, ?2)",
            [folder, name],
        )
    }

    /// The databases that are to be removed, by folder and name. One that is said to be there
    /// stays.
    pub(crate) fn removals(&self) -> Result<Vec<(String, String)>> {
        self.rows(
            "SELECT folder, name FROM removals
             WHERE NOT EXISTS (SELECT 1 FROM dev WHERE folder = 'dev' AND dev.name = removals.name AND status = 'dev')
               AND NOT EXISTS (SELECT 1 FROM releases WHERE folder = 'previews' AND preview = removals.name AND status = 'preview')",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// Records that there is nothing left to remove.
    pub(crate) fn all_removed(&self) -> Result<()> {
        self.write("recording removals", "DELETE FROM removals", [])
    }
}
