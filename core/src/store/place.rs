//! Places: where in the store a thing stands.
//!
//! Each is derived from the number of a release, the id of a switch, or a name that was checked.
//! The catalog keeps some of them for people who look into it, and live's marker one. What is read
//! there is data and never a path: a `releases/../../photos` that somebody wrote into a database
//! once had a prune remove the folder.

/// The clone that a switch works on, or another file of it.
pub(crate) fn work(switch_id: &str) -> String {
    format!("work/{switch_id}.db")
}

/// The database of a release as it was when a switch took its place.
pub(crate) fn snapshot(release: i64, switch_id: &str) -> String {
    format!("snapshots/{release}-{switch_id}.db")
}

/// The files that are kept with a release.
pub(crate) fn files(release: i64) -> String {
    format!("{FILES}/{release}")
}

/// The folder of [`files`].
pub(crate) const FILES: &str = "releases";

/// The database of a dev session, whose name was checked.
pub(crate) fn dev(name: &str) -> String {
    format!("dev/{name}.db")
}

/// The database of a preview, whose name was checked.
pub(crate) fn preview(name: &str) -> String {
    format!("previews/{name}.db")
}

/// Whether a text is an id as switches have it, so that it can be part of a file's name.
pub(crate) fn is_switch_id(text: &str) -> bool {
    text.len() == 16
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The place of a release's snapshot, where `written` is one.
pub(crate) fn of_snapshot(release: i64, written: &str) -> Option<String> {
    let switch_id = written
        .strip_prefix(&format!("snapshots/{release}-"))?
        .strip_suffix(".db")?;
    is_switch_id(switch_id).then(|| snapshot(release, switch_id))
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
        assert_eq!(of_snapshot(3, place).as_deref(), Some(place));
        for other in [
            "/srv/photos",
            "../snapshots/3-0123456789abcdef.db",
            "snapshots/4-0123456789abcdef.db",
            "snapshots/3-0123456789abcdef.db-wal",
            "snapshots/3-../../../../x/0123.db",
            "snapshots/3-0123456789ABCDEF.db",
            "",
        ] {
            assert_eq!(of_snapshot(3, other), None, "{other}");
        }
    }
}
