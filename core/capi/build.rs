//! Names the shared library's ABI, makes it a program as well (the one that does its work), and
//! writes `include/remy.h` from `src/lib.rs`.
use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=cbindgen.toml");
    println!("cargo::rerun-if-changed=../../include/remy.h");
    println!("cargo::rerun-if-env-changed=CI");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libremy.so.0");
    let entry = env::var("DEP_REMY_HELPER_ENTRY").expect("remy-db-helper has compiled it");
    println!("cargo::rustc-cdylib-link-arg={entry}");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-e,remy_start");

    let here = env::var("CARGO_MANIFEST_DIR").expect("set by cargo");
    let out = Path::new(&env::var_os("OUT_DIR").expect("set by cargo")).join("remy.h");
    match cbindgen::generate(&here) {
        Ok(header) => header.write_to_file(&out),
        // Source that does not parse: rustc says so better.
        Err(_) => return,
    };
    // The unit tests compare the two. In CI the committed one stays as it is, so that they fail
    // where it is stale.
    let committed = Path::new(&here).join("../../include/remy.h");
    let stale = fs::read(&out).ok() != fs::read(&committed).ok();
    if stale && env::var_os("CI").is_none() && fs::copy(&out, &committed).is_err() {
        println!("cargo::warning=include/remy.h is stale and could not be written");
    }
}
