//! Removals: databases of dev sessions and previews that the catalog has decided to remove. It is
//! decided before anything goes, so that what a crash leaves is told from what the catalog does not
//! know.

use crate::{
    base::error::Result,
    store::{Store, place},
};

/// Removes what is to be removed, each with the store that it has where somebody published into it.
pub(crate) fn run(store: &Store) -> Result<()> {
    let removals = store.catalog.removals()?;
    for (folder, name) in &removals {
        if !matches!(folder.as_str(), "dev" | "previews") || !place::is_name(name) {
            continue; // written by somebody else: it is no place of a store
        }
        let place = format!("{folder}/{name}.db");
        store.remove_database(&store.path(&place))?;
        store.remove(&format!("{place}-remy"))?;
    }
    if removals.is_empty() {
        Ok(())
    } else {
        store.catalog.all_removed()
    }
}
