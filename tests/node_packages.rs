//! Packages that tests call by Node.js, installed once, into `tests/node_modules`, by `package-lock.json`.
use crate::{not_covered, output, repository};
use std::{process::Command, sync::OnceLock};

/// Whether a module can be imported. Where it could not be installed, the run says that it is not
/// covered; one of CI fails.
pub fn are_there(module: &str) -> bool {
    let Err(why) = installed(module) else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none(), "{why}");
    not_covered(module, &why);
    false
}

/// Installs a module, where it cannot be imported. Fails with why that could not be done.
pub fn installed(module: &str) -> Result<(), String> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    if imports(module) {
        return Ok(());
    }
    let why = match INSTALLED.get_or_init(install) {
        Ok(()) if imports(module) => return Ok(()),
        Ok(()) => "it is none of package-lock.json",
        Err(why) => why.trim(),
    };
    Err(format!("{module} could not be installed: {why}"))
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
