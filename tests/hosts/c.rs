//! The C ABI: programs against both libraries, and the header against what they export.
use crate::{SCHEMA, database};
use remy_tests::{built, repository, stdout};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

/// Compiles `program` and runs it with `args`, against the static and then against the shared
/// library.
pub fn run(program: &str, args: impl FnMut() -> Vec<String>, check: impl FnMut(&str, String)) {
    run_with(&[], &[], program, args, check);
}

/// The same, with more for the compiler, and for the environment.
pub fn run_with(
    more: &[OsString],
    environment: &[(&str, &str)],
    program: &str,
    mut args: impl FnMut() -> Vec<String>,
    mut check: impl FnMut(&str, String),
) {
    let folder = tempfile::tempdir().unwrap();
    let (static_, shared) = (built("libremy.a"), built("libremy.so"));
    for name in ["libremy.so", "libremy.so.0"] {
        symlink(&shared, folder.path().join(name)).unwrap();
    }
    let search = format!("-L{}", folder.path().display());
    let libraries = [
        (
            "static",
            vec![static_.to_str().unwrap(), "-lm", "-ldl", "-lpthread"],
        ),
        ("shared", vec![&*search, "-lremy", "-lpthread", "-ldl"]),
    ];
    for (how, libraries) in libraries {
        let exe = folder.path().join(how);
        let mut cc = Command::new("cc");
        cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
            .arg(repository("include"));
        stdout(
            cc.arg(repository("tests/hosts").join(program))
                .args(more)
                .args(libraries)
                .arg("-o")
                .arg(&exe),
        );
        check(
            how,
            stdout(
                Command::new(&exe)
                    .args(args())
                    .envs(environment.iter().copied())
                    .env("LD_LIBRARY_PATH", folder.path()),
            ),
        );
    }
}

#[test]
fn a_program_compiles_and_survives_nulls() {
    run("smoke.c", Vec::new, |how, out| {
        assert_eq!(out.trim(), remy_db::VERSION, "{how}")
    });
}

#[test]
fn the_header_is_cpp_too() {
    let mut cpp = Command::new("c++");
    cpp.args([
        "-std=c++11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        "-fsyntax-only",
        "-x",
        "c++",
    ]);
    stdout(cpp.arg(repository("include/remy.h")));
}

#[test]
fn the_header_declares_what_the_library_exports() {
    let header = std::fs::read_to_string(repository("include/remy.h")).unwrap();
    let declared: BTreeSet<_> = header
        .lines()
        .filter(|line| {
            !line.starts_with("//") && !line.starts_with('#') && !line.starts_with("typedef")
        })
        .filter_map(|line| line.split_once('(').map(|(before, _)| before))
        .filter_map(|before| before.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("remy_"))
        .map(str::to_owned)
        .collect();
    let symbols = stdout(
        Command::new("nm")
            .args(["-D", "--defined-only"])
            .arg(built("libremy.so")),
    );
    let exported: BTreeSet<_> = symbols
        .lines()
        .filter_map(|line| line.rsplit(' ').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(declared, exported, "and nothing of SQLite's");
    assert!(declared.len() > 20);
}

#[test]
fn the_shared_library_names_its_abi() {
    let dynamic = stdout(Command::new("readelf").arg("-d").arg(built("libremy.so")));
    assert!(dynamic.contains("[libremy.so.0]"), "{dynamic}");
    assert!(!dynamic.contains("libsqlite3"), "{dynamic}");
}

#[test]
fn the_pkg_config_file_has_what_a_static_program_needs() {
    let text = std::fs::read_to_string(repository("include/remy.pc.in")).unwrap();
    for part in [
        "Version: @version@",
        "-lremy",
        "Libs.private: -lm -ldl -lpthread",
        "-I${includedir}",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(Path::new(&repository("include/remy.h")).exists());
}

#[test]
fn publish_and_roll_back() {
    let mut folders = Vec::new();
    let args = || {
        let (folder, path) = database();
        folders.push(folder);
        vec![path.display().to_string(), SCHEMA.to_owned()]
    };
    run("release.c", args, |how, out| {
        let lines: Vec<serde_json::Value> = out
            .lines()
            .map(|line| serde_json::from_str(line).expect(how))
            .collect();
        let [published, rolled_back, releases] = &lines[..] else {
            panic!("{how}: {out}")
        };
        assert_eq!(
            (&published["status"], &published["label"]),
            (&"live".into(), &"v2".into()),
            "{how}"
        );
        assert_eq!(rolled_back["restored_from"], published["previous"], "{how}");
        assert_eq!(releases[0]["release"], rolled_back["release"], "{how}");
    });
}

#[test]
fn one_handle_two_threads_and_a_child() {
    let mut folders = Vec::new();
    let args = || {
        let (folder, path) = database();
        folders.push(folder);
        vec![path.display().to_string(), SCHEMA.to_owned()]
    };
    run("threads.c", args, |_, _| {});
}

/// The folder of the `sqlite3.c` that the engine is made of: a program may have linked the very
/// same.
fn amalgamation() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--offline"]);
    let json: serde_json::Value =
        serde_json::from_str(&stdout(cargo.current_dir(repository("tests")))).unwrap();
    let packages = json["packages"].as_array().expect("packages");
    let found = packages
        .iter()
        .find(|package| package["name"] == "libsqlite3-sys")
        .expect("in the dependency graph");
    Path::new(found["manifest_path"].as_str().expect("a path")).with_file_name("sqlite3")
}

#[test]
fn a_program_may_have_an_sqlite_of_its_own_linked_in() {
    let symbols = stdout(
        Command::new("nm")
            .args(["--defined-only", "--extern-only"])
            .arg(built("libremy.a")),
    );
    let clash: Vec<_> = symbols
        .lines()
        .filter(|line| line.contains(" sqlite3"))
        .collect();
    assert!(
        clash.is_empty() && symbols.contains(" remy_open"),
        "{clash:?}"
    );

    let (folder, sqlite) = (tempfile::tempdir().unwrap(), amalgamation());
    let object = folder.path().join("sqlite3.o");
    stdout(
        Command::new("cc")
            .args(["-O0", "-w", "-c"])
            .arg(sqlite.join("sqlite3.c"))
            .arg("-o")
            .arg(&object),
    );
    let mut include = OsString::from("-I");
    include.push(&sqlite);
    let mut folders = Vec::new();
    let args = || {
        let (folder, path) = database();
        let other = folder.path().join("other.db");
        folders.push(folder);
        vec![
            path.display().to_string(),
            SCHEMA.to_owned(),
            other.display().to_string(),
        ]
    };
    run_with(
        &[include, object.into()],
        &[],
        "beside.c",
        args,
        |how, out| {
            let debug: serde_json::Value =
                serde_json::from_str(out.lines().nth(1).expect(how)).expect(how);
            assert_eq!(
                (&debug["engine"], &debug["release"]),
                (&"embedded".into(), &3.into()),
                "{how}"
            );
        },
    );
}
