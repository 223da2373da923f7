//! Compiles the entry point of a library that is a program as well, and names the build.
use std::{
    env, fs,
    hash::{DefaultHasher, Hasher},
    path::{Path, PathBuf},
};

/// What a verb's answer depends on, from here.
const SOURCES: &[&str] = &["src", "../src", "../engine"];

fn main() {
    println!("cargo::rerun-if-changed=entry.c");
    let objects = cc::Build::new()
        .file("entry.c")
        .opt_level(1)
        .compile_intermediates();
    for object in objects {
        println!("cargo::metadata=ENTRY={}", object.display());
    }
    println!("cargo::rustc-env=REMY_BUILD={}", build_id());
}

/// Two that are built of the same sources speak the same protocol, and no others do.
fn build_id() -> String {
    let mut hasher = DefaultHasher::new();
    let here = env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo");
    for folder in SOURCES {
        println!("cargo::rerun-if-changed={folder}");
        let mut files = Vec::new();
        collect(&Path::new(&here).join(folder), &mut files);
        files.sort();
        for file in files {
            hasher.write(&fs::read(file).unwrap_or_default());
        }
    }
    format!("{:016x}", hasher.finish())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
