//! Which release live is, by its marker.

use crate::{
    base::{error::Result, ids::ReleaseId},
    live::marker::Marker,
    store::{
        Store,
        catalog::{Catalog, releases::Entry},
    },
};

/// Whether the catalog knows what live says of itself. Otherwise live or the store is another's, or
/// the catalog an older one, which does not say what may go.
pub(super) fn knows(catalog: &Catalog, marker: Option<&Marker>) -> Result<bool> {
    match marker {
        Some(marker) => Ok(known(catalog, marker)?.is_some()),
        None => Ok(catalog
            .live()?
            .is_none_or(|entry| entry.switch_id.is_none())),
    }
}

/// The release that a marker is of, by its switch: its number is that of the history that it was
/// published in.
pub(super) fn known(catalog: &Catalog, marker: &Marker) -> Result<Option<ReleaseId>> {
    if let Some(release) = catalog.release_of(&marker.switch_id)? {
        return Ok(Some(release));
    }
    // Adopted under a format that kept no switch of it. Nobody else's release of that number went
    // live in that millisecond.
    let is_this = |entry: &Entry| {
        entry.switch_id.is_none()
            && entry.release == marker.release
            && entry.live_at == Some(marker.live_at)
    };
    Ok(catalog.live()?.filter(is_this).map(|entry| entry.release))
}

/// The number of the live release in the history that is kept beside live. `None` where live has no
/// release, or one that is not of that history.
pub(crate) fn number(store: Option<&Store>, marker: Option<&Marker>) -> Result<Option<ReleaseId>> {
    match (store, marker) {
        (Some(store), Some(marker)) => known(&store.catalog, marker),
        (Some(store), None) => adopted(&store.catalog),
        (None, marker) => Ok(marker.map(|marker| marker.release)),
    }
}

/// The release that live is where it carries no marker: it was adopted, and never switched since.
pub(crate) fn adopted(catalog: &Catalog) -> Result<Option<ReleaseId>> {
    Ok(catalog
        .live()?
        .filter(|entry| entry.switch_id.is_none())
        .map(|entry| entry.release))
}
