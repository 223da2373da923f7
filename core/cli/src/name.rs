//! What the command is called: as it was called.

use std::{env, path::Path, sync::OnceLock};

/// What one types to call it. The registry's package `remy` is somebody else's, and `npx remy` would
/// fetch that one wherever this one is not installed.
pub fn called() -> &'static str {
    static CALLED: OnceLock<&str> = OnceLock::new();
    CALLED.get_or_init(|| {
        let program = env::args_os().next().unwrap_or_default();
        let is_run_by_npx = env::var_os("npm_command").is_some_and(|command| command == "exec");
        name(Path::new(&program), is_run_by_npx)
    })
}

fn name(program: &Path, is_run_by_npx: bool) -> &'static str {
    // `npx` has the command on the path for this one run only.
    if is_run_by_npx {
        return "npx remy-db";
    }
    match program.file_name() {
        Some(name) if name == "remy-db" => "remy-db",
        _ => "remy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npx_has_it_for_this_run_only() {
        assert_eq!(name(Path::new("remy"), true), "npx remy-db");
    }

    #[test]
    fn it_is_the_name_of_the_file_that_was_started() {
        let name = |program| name(Path::new(program), false);
        assert_eq!(name("/a/node_modules/.bin/remy-db"), "remy-db");
        assert_eq!(name("remy-db"), "remy-db");
        assert_eq!(name("/a/node_modules/remy-db-linux-x64-gnu/remy"), "remy");
        assert_eq!(name(""), "remy");
    }
}
