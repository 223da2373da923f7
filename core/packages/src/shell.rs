//! What the program says for shells, and where each looks for it.

use crate::Making;
use crate::tree::Tree;
use std::{io, process::Command};

/// A shell, and the file below `share/` that it reads.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "bash-completion/completions/remy"),
    ("zsh", "zsh/site-functions/_remy"),
    ("fish", "fish/vendor_completions.d/remy.fish"),
];

/// Adds the completions, as the program itself prints them.
pub(crate) fn add_completions(making: &Making<'_>, tree: &mut Tree, share: &str) -> io::Result<()> {
    for (shell, path) in SHELLS {
        let out = Command::new(&making.parts.program)
            .args(["completions", shell])
            .output()?;
        if !out.status.success() {
            let why = String::from_utf8_lossy(&out.stderr).into_owned();
            return Err(io::Error::other(format!("remy completions {shell}: {why}")));
        }
        tree.file(format!("{share}/{path}"), out.stdout);
    }
    Ok(())
}
