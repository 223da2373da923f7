//! Compiles the SQLite that `libsqlite3-sys` ships (the one this rusqlite was tested with) into one
//! private object.
use std::{
    env,
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

/// The folder of `sqlite3.c`, found through the dependency graph, so that nothing is vendored.
fn amalgamation() -> PathBuf {
    // Offline first: the build itself has fetched all that this needs, unless a dev-dependency is
    // missing.
    let json = metadata(&["--offline"])
        .or_else(|_| metadata(&[]))
        .unwrap_or_else(|why| panic!("cargo metadata could not find libsqlite3-sys: {why}"));
    let end = json
        .match_indices("/Cargo.toml\"")
        .map(|(i, _)| i)
        .find(|&i| {
            json[..i]
                .rsplit('/')
                .next()
                .is_some_and(|dir| dir.starts_with("libsqlite3-sys-"))
        })
        .expect("libsqlite3-sys in the dependency graph");
    let start = json[..end].rfind('"').expect("a quoted path") + 1;
    Path::new(&json[start..end]).join("sqlite3")
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
