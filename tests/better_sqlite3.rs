//! better-sqlite3, one of the hosts: built from source, once, into `tests/node_modules`.
use crate::{not_covered, output, repository, stdout};
use std::{process::Command, sync::OnceLock};

/// Whether it is there, or could be built. Where it could not, the run says that it is not covered;
/// one of CI fails.
pub fn is_there() -> bool {
    static BUILT: OnceLock<bool> = OnceLock::new();
    *BUILT.get_or_init(|| match install() {
        Ok(()) => true,
        Err(why) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "better-sqlite3 could not be built: {why}"
            );
            not_covered(
                "the host better-sqlite3",
                &format!("it could not be built: {why}"),
            );
            false
        }
    })
}

fn install() -> Result<(), String> {
    let tests = repository("tests");
    let works = || {
        let mut node = Command::new("node");
        output(node.current_dir(&tests).args([
            "-e",
            "new (require('better-sqlite3'))(':memory:').prepare('SELECT 1').get()",
        ]))
        .status
        .success()
    };
    if works() {
        return Ok(());
    }
    // The headers of the Node.js that runs, which node-gyp would else download.
    let headers = stdout(
        Command::new("node").args(["-p", "require('path').resolve(process.execPath, '../..')"]),
    );
    let out = output(
        Command::new("npm")
            .current_dir(&tests)
            .args(["ci", "--no-audit", "--no-fund", "--build-from-source"])
            .arg(format!("--nodedir={}", headers.trim())),
    );
    if works() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&out.stderr)
            .lines()
            .rev()
            .take(5)
            .collect::<Vec<_>>()
            .join("; "))
    }
}
