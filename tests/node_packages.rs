//! Packages that tests call by Node.js, installed once, into `tests/node_modules`, by `package-lock.json`.
use crate::{not_covered, output, repository};
use std::{process::Command, sync::OnceLock};

/// Whether a module can be imported. Where it could not be installed, the run says that it is not
/// covered; one of CI fails.
pub fn are_there(module: &str) -> bool {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    if imports(module) {
        return true;
    }
    let why = match INSTALLED.get_or_init(install) {
        Ok(()) if imports(module) => return true,
        Ok(()) => "it is none of package-lock.json".to_owned(),
        Err(why) => why.clone(),
    };
    assert!(
        std::env::var_os("CI").is_none(),
        "{module} could not be installed: {why}"
    );
    not_covered(module, &format!("it could not be installed: {why}"));
    false
}

fn imports(module: &str) -> bool {
    let mut node = Command::new("node");
    let import = format!("await import('{module}')");
    let node = node.current_dir(repository("tests"));
    let ran = output(node.args(["--input-type=module", "-e", &import]));
    ran.status.success()
}

/// Builds nothing: what has to be built is built where it is needed.
fn install() -> Result<(), String> {
    let mut npm = Command::new("npm");
    let npm = npm.current_dir(repository("tests"));
    let ran = output(npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]));
    match ran.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&ran.stderr).into_owned()),
    }
}
