//! Which engine works on live: the one place that chooses.

use crate::{
    live::database::Live,
    switch::{backup::HostBackup, follower::Engine, pages::Pages},
};

/// The engine of a live database.
pub(crate) fn of(live: &Live) -> &'static dyn Engine {
    if live.library.is_embedded() {
        &Pages
    } else {
        &HostBackup
    }
}
