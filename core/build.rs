//! Compiles the SQLite that `libsqlite3-sys` ships (the one this rusqlite was tested with) into one
//! private object.
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    println!("cargo::rerun-if-changed=engine");
    let (os, arch, env_) = (
        target("OS"),
        target("ARCH"),
        env::var("CARGO_CFG_TARGET_ENV").unwrap_or_default(),
    );
    if os != "linux" || env_ != "gnu" || !["x86_64", "aarch64"].contains(&arch.as_str()) {
        println!(
            "cargo::error=remy runs on Linux with glibc, x86_64 or aarch64; this target is {arch}-{os}-{env_}"
        );
        return;
    }
    if env::var_os("CARGO_FEATURE_ENGINE").is_none() {
        return;
    }
    let mut engine = cc::Build::new();
    engine
        .file("engine/engine.c")
        .include(amalgamation())
        .warnings(false);
    for define in [
        "SQLITE_ENABLE_DBPAGE_VTAB",
        "SQLITE_ENABLE_DBSTAT_VTAB",
        "SQLITE_ENABLE_SNAPSHOT",
        "SQLITE_ENABLE_SESSION",
        "SQLITE_ENABLE_PREUPDATE_HOOK",
        "SQLITE_ENABLE_FTS3",
        "SQLITE_ENABLE_FTS3_PARENTHESIS",
        "SQLITE_ENABLE_FTS4",
        "SQLITE_ENABLE_FTS5",
        "SQLITE_ENABLE_RTREE",
        "SQLITE_ENABLE_GEOPOLY",
        "SQLITE_ENABLE_MATH_FUNCTIONS",
        "SQLITE_ENABLE_COLUMN_METADATA",
        "SQLITE_SOUNDEX",
        "SQLITE_USE_URI",
        "HAVE_USLEEP",
        "HAVE_FDATASYNC",
    ] {
        engine.define(define, "1");
    }
    // The engine is always built as it ships: an unoptimised one would make every test wait on it.
    engine
        .define("SQLITE_THREADSAFE", "1")
        .opt_level(2)
        .debug(false)
        .compile("remy_engine");
}

fn target(what: &str) -> String {
    env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default()
}

/// The package that has the engine's source, and the version of it that Cargo.toml pins.
const SOURCE: [&str; 2] = ["libsqlite3-sys", "0.38.2"];

/// The folder of `sqlite3.c`, so that nothing is vendored.
fn amalgamation() -> PathBuf {
    let [name, version] = SOURCE;
    let here = env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo");
    // Of a package out of a registry, or vendored, a neighbour: that needs no network, and no
    // second resolving.
    for neighbour in [format!("{name}-{version}"), name.to_owned()] {
        let package = Path::new(&here).with_file_name(neighbour);
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap_or_default();
        if manifest.contains(&format!("\nversion = \"{version}\"\n")) {
            return package.join("sqlite3");
        }
    }
    // Else through the dependency graph. Offline first: the build itself has fetched all that this
    // needs, unless a dev-dependency is missing.
    let json = metadata(&["--offline"])
        .or_else(|_| metadata(&[]))
        .unwrap_or_else(|why| panic!("cargo metadata could not find {name}: {why}"));
    let (before, _) = json
        .split_once(&format!("/{name}-{version}/Cargo.toml\""))
        .unwrap_or_else(|| panic!("no {name} {version} in the dependency graph"));
    let start = before.rfind('"').expect("a quoted path") + 1;
    Path::new(&before[start..]).join(format!("{name}-{version}/sqlite3"))
}

fn metadata(how: &[&str]) -> Result<String, String> {
    let out = Command::new(env::var_os("CARGO").expect("set by cargo"))
        .args([
            "metadata",
            "--format-version=1",
            "--filter-platform",
            &env::var("TARGET").expect("set by cargo"),
        ])
        .args(how)
        .arg("--manifest-path")
        .arg(
            Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo")).join("Cargo.toml"),
        )
        .output()
        .map_err(|e| e.to_string())?;
    if out.status.success() {
        String::from_utf8(out.stdout).map_err(|e| e.to_string())
    } else {
        Err(String::from_utf8_lossy(&out.stderr).into_owned())
    }
}
