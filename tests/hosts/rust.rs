//! A Rust program that depends on the crate, outside of this workspace.
use crate::{SCHEMA, database};
use remy_tests::{built, repository, stdout};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Opens a connection before anything of remy's is called, publishes while it is open, and says
/// what a library of its own, and the C library, have done by being loaded.
const PROGRAM: &str = r#"
use remy_db::{Options, Progress, Remy};
use std::{ffi::{CString, c_int, c_void}, fs, mem::transmute};

fn threads_and_descriptors() -> [usize; 2] {
    ["/proc/self/task", "/proc/self/fd"].map(|of| fs::read_dir(of).unwrap().count())
}

fn load(library: &str) -> *mut c_void {
    let name = CString::new(library).unwrap();
    let loaded = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!loaded.is_null(), "{library}");
    loaded
}

fn main() {
    let [live, schema, own, libremy] = std::env::args().skip(1).collect::<Vec<_>>().try_into().unwrap();
    let conn = rusqlite::Connection::open(&live).unwrap();
    let rows = || conn.query_row("SELECT count(*) FROM users", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(rows(), 1);
    let app = Remy::open(&live).unwrap();
    app.publish(&schema, &Options::default(), Progress::none()).unwrap();
    conn.execute("INSERT INTO users (name, email) VALUES ('Bob', 'bob@x')", []).unwrap();
    app.rollback(None, &Options::default(), Progress::none()).unwrap();
    assert_eq!(rows(), 1);
    assert!(remy_db::engine::init());

    let before = threads_and_descriptors();
    load(&libremy);
    let own = load(&own);
    assert_eq!(threads_and_descriptors(), before);
    let opens: extern "C" fn() -> c_int = unsafe { transmute(libc::dlsym(own, c"opens".as_ptr())) };
    let binds: extern "C" fn() -> c_int = unsafe { transmute(libc::dlsym(own, c"binds".as_ptr())) };
    let refuses: extern "C" fn() -> c_int = unsafe { transmute(libc::dlsym(own, c"refuses".as_ptr())) };
    print!("{} ", opens());
    match std::env::var_os("REMY_HOST_FIRST") {
        Some(_) => print!("{}", refuses()),
        None => print!("{} {}", binds(), opens()),
    }
}
"#;

/// A library that a host loads, with the crate in it.
const LIBRARY: &str = r#"
use rusqlite::{Connection, ffi};
use std::{ffi::c_int, panic::catch_unwind};

/// Whether rusqlite is bound.
#[unsafe(no_mangle)]
pub extern "C" fn opens() -> c_int {
    std::panic::set_hook(Box::new(|_| {}));
    catch_unwind(|| Connection::open_in_memory().is_ok()).unwrap_or(false).into()
}

#[unsafe(no_mangle)]
pub extern "C" fn binds() -> c_int {
    remy_db::engine::init().into()
}

/// As where a host's SQLite has loaded this library: the routines are those of a copy of the
/// engine's table, and so those of another SQLite for all that remy knows.
#[unsafe(no_mangle)]
pub extern "C" fn refuses() -> c_int {
    unsafe extern "C" {
        fn remy_engine_api() -> *const ffi::sqlite3_api_routines;
    }
    let host = Box::leak(Box::new(unsafe { remy_engine_api().read() }));
    unsafe { ffi::rusqlite_extension_init2(host) }.unwrap();
    let conn = Connection::open(std::env::args().nth(1).unwrap()).unwrap();
    unsafe { remy_db::Remy::on_host(conn.handle()) }.unwrap();
    let refused = remy_db::Remy::open(conn.path().unwrap());
    let code = refused.err().map(|e| e.code());
    (code == Some("live_in_use") && !remy_db::engine::init() && conn.is_autocommit()).into()
}
"#;

/// Builds both, once, in the target folder of the tests: what they have compiled of others is
/// there.
fn outside() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        write("src/main.rs", PROGRAM);
        write("src/lib.rs", LIBRARY);
        // `bundled` is what most programs ask of rusqlite: it brings no second SQLite here.
        write(
            "Cargo.toml",
            &format!(
                r#"[package]
name = "outside"
version = "0.1.0"
edition = "2024"

[lib]
crate-type = ["cdylib"]

[dependencies]
libc = "0.2"
remy-db = {{ path = {:?}, default-features = false, features = ["engine"] }} # no reader of TypeScript: it takes its time
rusqlite = {{ version = "=0.40.2", default-features = false, features = ["bundled"] }}

[workspace]
"#,
                repository("core")
            ),
        );
        fs::copy(repository("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
        let libraries = built("libremy.so");
        let target = libraries.ancestors().nth(3).unwrap(); // target/<profile>/deps/libremy.so
        stdout(
            Command::new(env!("CARGO"))
                .args(["build", "--offline", "--quiet", "--manifest-path"])
                .arg(folder.path().join("Cargo.toml"))
                .arg("--target-dir")
                .arg(target)
                .current_dir(folder.path()),
        );
        target.join("debug")
    })
}

/// What the program says.
fn says(more: &[(&str, &str)]) -> String {
    let (_folder, live) = database();
    let outside = outside();
    stdout(
        Command::new(outside.join("outside"))
            .arg(live)
            .arg(SCHEMA)
            .arg(outside.join("liboutside.so"))
            .arg(built("libremy.so"))
            .envs(more.iter().copied()),
    )
}

#[test]
fn a_program_opens_connections_before_it_calls_remy() {
    // And a library that is loaded has bound nothing before it is asked to.
    assert_eq!(says(&[]), "0 1 1");
}

#[test]
fn the_engine_is_not_bound_over_a_hosts() {
    assert_eq!(says(&[("REMY_HOST_FIRST", "1")]), "0 1");
}
