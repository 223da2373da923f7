//! Places: where in the store a thing stands.
//!
//! Each is derived from the number of a release, the id of a switch, or a name that was checked.
//! The catalog keeps some of them for people who look into it, and live's marker one. What is read
//! there is data and never a path: a `releases/../../photos` that somebody wrote into a database
//! once had a prune remove the folder.

use crate::base::ids::{ReleaseId, SwitchId};

/// The clone that a switch works on.
pub(crate) fn work(switch_id: &SwitchId) -> String {
    format!("work/{switch_id}.db")
}

/// Another file of the same switch.
pub(crate) fn beside_work(switch_id: &SwitchId, what: &str) -> String {
    format!("work/{switch_id}.{what}.db")
}

/// The database of a release as it was when a switch took its place.
pub(crate) fn snapshot(release: ReleaseId, switch_id: &SwitchId) -> String {
    format!("snapshots/{release}-{switch_id}.db")
}

/// The files that are kept with a release.
pub(crate) fn files(release: ReleaseId) -> String {
    format!("{FILES}/{release}")
}

/// The folder of [`files`].
pub(crate) const FILES: &str = "releases";

/// The folder of those who run methods on live: a socket each.
pub(crate) const RUN: &str = "run";

/// The database of a dev session, whose name was checked.
pub(crate) fn dev(name: &str) -> String {
    format!("dev/{name}.db")
}

/// The database of a preview, whose name was checked.
pub(crate) fn preview(name: &str) -> String {
    format!("previews/{name}.db")
}

/// The place of a release's snapshot, where `written` is one.
pub(crate) fn of_snapshot(release: ReleaseId, written: &str) -> Option<String> {
    let switch_id = written
        .strip_prefix(&format!("snapshots/{release}-"))?
        .strip_suffix(".db")?;
    let switch_id = SwitchId::from(switch_id);
    switch_id
        .is_well_formed()
        .then(|| snapshot(release, &switch_id))
}

/// Whether a name of a dev session or preview can be a file's.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && !name.starts_with(['.', '-'])
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_one_place() {
        let place = "snapshots/3-0123456789abcdef.db";
        assert_eq!(of_snapshot(ReleaseId(3), place).as_deref(), Some(place));
        for other in [
            "/srv/photos",
            "../snapshots/3-0123456789abcdef.db",
            "snapshots/4-0123456789abcdef.db",
            "snapshots/3-0123456789abcdef.db-wal",
            "snapshots/3-../../../../x/0123.db",
            "snapshots/3-0123456789ABCDEF.db",
            "",
        ] {
            assert_eq!(of_snapshot(ReleaseId(3), other), None, "{other}");
        }
    }
}
