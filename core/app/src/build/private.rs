//! What no release has, as it belongs to this machine.

/// Never part of a release, whatever git says.
pub fn is_private(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|name| {
        matches!(name, b".git" | b".remy" | b"node_modules") || name.starts_with(b".env")
    })
}
