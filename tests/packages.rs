//! The packages, each unpacked or installed into an empty folder, where it publishes and rolls back
//! without this repository: by the pages of `docs/` that say how, as they stand.
use remy_packages::{Compression, Glibc, Metadata, Parts, Settings, VERSION, glibc, make};
use remy_tests::{
    better_sqlite3, built, built_program, fault_library, not_covered, output, pages::Page,
    repository, shell, stdout,
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// What cargo has built with the tests.
fn parts() -> Parts {
    Parts {
        program: built_program("remy-command"),
        extension: built("libremy0.so"),
        library: built("libremy.so"),
        archive: built("libremy.a"),
        addon: built("libremy_node.so"),
    }
}

fn make_into(out: &Path, parts: &Parts) {
    let repository = repository("");
    let metadata = Metadata::of(&repository).expect("cargo knows the workspace");
    let settings = Settings {
        repository: &repository,
        time: 1_700_000_000,
        compression: Compression::none(), // the tests' own code is slow
    };
    make(parts, &metadata, settings, out).expect("packages");
}

/// All packages, made once.
fn packages() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let out = built_program("remy-command").with_file_name("packages");
        make_into(&out, &parts());
        out
    })
}

/// A package, by how its name begins and ends.
fn package(begins: &str, ends: &str) -> PathBuf {
    let found = names(packages())
        .into_iter()
        .filter(|name| name.starts_with(begins) && name.ends_with(ends));
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), 1, "{begins}*{ends}: {found:?}");
    packages().join(&found[0])
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A folder with nothing but the packages in it.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a folder");
    for name in names(packages()) {
        symlink(packages().join(&name), place.path().join(name)).expect("a link");
    }
    place
}

/// Whether all of `programs` are here, without which `what` is not covered.
fn has(what: &str, programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let tried = Command::new(program).arg("--version").output();
        let is_here = tried.is_ok_and(|out| out.status.success());
        if !is_here {
            not_covered(what, &format!("there is no {program}"));
        }
        is_here
    })
}

/// Whether the pages name the packages of this machine: they are written for the most common one.
fn pages_are_of_this_machine(page: &str) -> bool {
    let is = cfg!(target_arch = "x86_64");
    if !is {
        not_covered(page, "it names the packages of x86_64");
    }
    is
}

fn run(path: &str) {
    if pages_are_of_this_machine(path) {
        Page {
            path,
            but: &[],
            instead: &[],
        }
        .run(place().path(), &[]);
    }
}

/// A port that is free, and is not given to anybody who asks for any.
fn free_port() -> u16 {
    let tried = (2000..3000).find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    tried.expect("a port that is free")
}

#[test]
fn the_checksums_are_those_of_the_packages() {
    let mut check = Command::new("sha256sum");
    check
        .current_dir(packages())
        .args(["-c", "--strict", "SHA256SUMS"]);
    let checked = stdout(&mut check);
    assert_eq!(
        checked.lines().count(),
        names(packages()).len() - 1,
        "{checked}"
    );
}

#[test]
fn the_same_parts_make_the_same_bytes() {
    // Any library will do, and a small one sooner.
    let library = fault_library();
    let parts = Parts {
        program: built_program("remy-command"),
        extension: library.clone(),
        library: library.clone(),
        archive: library.clone(),
        addon: library,
    };
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| {
        let out = folder.path().join(name);
        make_into(&out, &parts);
        fs::read_to_string(out.join("SHA256SUMS")).unwrap()
    });
    assert_eq!(first, second);
}

/// What a package says of where it comes from is not where it was made.
#[test]
fn no_text_of_a_package_names_this_checkout() {
    let here = repository("").canonicalize().unwrap();
    let all = [
        ("remy-0", ".gz"),
        ("remy-db-0", ".tgz"),
        ("remy-db-linux", ".tgz"),
        ("remy-sqlite", ".tgz"),
    ];
    for (begins, ends) in all {
        let folder = tempfile::tempdir().unwrap();
        let mut tar = Command::new("tar");
        stdout(
            tar.arg("-C")
                .arg(folder.path())
                .arg("-xzf")
                .arg(package(begins, ends)),
        );
        let mut grep = Command::new("grep");
        let found = output(
            grep.args(["-rIl", "-F", "--"])
                .arg(&here)
                .arg(folder.path()),
        );
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        assert!(found.is_empty(), "{begins}: {found}");
    }
}

/// The newest symbol of the GNU C library that anything needs is of the version that README and the
/// wheel's tag name.
#[test]
fn the_c_library_that_is_needed_is_named() {
    let Parts {
        program,
        extension,
        library,
        addon,
        ..
    } = parts();
    let newest: Glibc = glibc(&[program, extension, library, addon]).unwrap();
    for page in ["README.md", "docs/packages.md"] {
        let text = fs::read_to_string(repository(page)).unwrap();
        let named = text.contains(&format!("glibc {newest} or newer"));
        assert!(named, "{page} does not say glibc {newest}");
    }
    let wheel = package("remy_sqlite", ".whl");
    let tag = format!("-py3-none-{}_{}.whl", newest.tag(), std::env::consts::ARCH);
    assert!(
        wheel.to_string_lossy().ends_with(&tag),
        "{}",
        wheel.display()
    );
    let control = stdout(
        Command::new("dpkg-deb")
            .arg("-f")
            .arg(package("remy_", ".deb")),
    );
    assert!(
        control.contains(&format!("libc6 (>= {newest})")),
        "{control}"
    );
}

#[test]
fn readme() {
    if !pages_are_of_this_machine("README.md") {
        return;
    }
    // Another server may have the one that it names.
    let port = free_port();
    Page {
        path: "README.md",
        but: &[],
        instead: &[
            ("localhost:3000", format!("localhost:{port}")),
            ("remy dev > ", format!("remy dev --port {port} > ")),
            ("remy serve > ", format!("remy serve --port {port} > ")),
        ],
    }
    .run(place().path(), &[]);
}

#[test]
fn the_tarball_at_the_shell() {
    run("docs/shell.md");
}

#[test]
fn the_tarball_in_ci() {
    run("docs/recipes.md");
}

#[test]
fn the_tarball_in_c() {
    if has("docs/c.md", &["pkg-config"]) {
        run("docs/c.md");
    }
}

/// A Python that can load extensions and make virtual environments, as `python3` of a folder.
fn python() -> Option<tempfile::TempDir> {
    let can =
        "import sqlite3, venv, ensurepip; sqlite3.connect(':memory:').enable_load_extension(True)";
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let tried = Command::new(python).args(["-c", can]).output();
        tried.is_ok_and(|out| out.status.success())
    });
    if python.is_none() {
        not_covered(
            "the wheel",
            "no Python here has venv and can load extensions",
        );
    }
    let path = stdout(Command::new(python?).args(["-c", "import sys; print(sys.executable)"]));
    let folder = tempfile::tempdir().unwrap();
    symlink(path.trim(), folder.path().join("python3")).unwrap();
    Some(folder)
}

#[test]
fn the_wheel() {
    let Some(python) = python() else { return };
    if !pages_are_of_this_machine("docs/python.md") {
        return;
    }
    let place = place();
    // What PyPI has is no part of it.
    let has_sqlalchemy = {
        let venv = place.path().join("try");
        stdout(
            Command::new(python.path().join("python3"))
                .args(["-m", "venv"])
                .arg(&venv),
        );
        let mut pip = Command::new(venv.join("bin/pip"));
        output(pip.args(["install", "--quiet", "sqlalchemy"])).status
    };
    let but: &[&str] = if has_sqlalchemy.success() {
        &[]
    } else {
        &["SQLAlchemy"]
    };
    if !has_sqlalchemy.success() {
        not_covered("SQLAlchemy", "pip could not install it");
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", python.path().display());
    Page {
        path: "docs/python.md",
        but,
        instead: &[],
    }
    .run(place.path(), &[("PATH", path)]);
}

/// Whether npm can install `what` into `folder`, of a registry or of what it has kept.
fn npm_installs(folder: &Path, what: &str) -> bool {
    fs::write(folder.join("package.json"), "{}").unwrap();
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args(["install", what]);
    let is_installed = output(npm.envs(npm_settings())).status.success();
    if !is_installed {
        not_covered(what, "npm could not install it");
    }
    is_installed
}

/// Whether there is the exact esbuild that the package asks for.
fn has_esbuild() -> bool {
    let text = fs::read_to_string(repository("node-binding/package.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let version = manifest["dependencies"]["esbuild"].as_str();
    let folder = tempfile::tempdir().unwrap();
    npm_installs(
        folder.path(),
        &format!("esbuild@{}", version.expect("a version")),
    )
}

/// As an application has npm: without questions, and from what is kept where it is kept.
fn npm_settings() -> Vec<(&'static str, String)> {
    [
        ("npm_config_audit", "false"),
        ("npm_config_fund", "false"),
        ("npm_config_prefer_offline", "true"),
        ("npm_config_update_notifier", "false"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

#[test]
fn the_npm_packages() {
    if !pages_are_of_this_machine("docs/node.md") || !has_esbuild() {
        return;
    }
    let place = place();
    // The application's own packages stand above it, where Node.js looks, too.
    let application = place.path().join("application");
    fs::create_dir(&application).unwrap();
    for name in names(packages()) {
        symlink(packages().join(&name), application.join(name)).unwrap();
    }
    let but: &[&str] = if !better_sqlite3::is_there() {
        &["better-sqlite3", "drizzle"]
    } else if npm_installs(place.path(), "drizzle-orm") {
        &[]
    } else {
        &["drizzle"]
    };
    let modules = place.path().join("node_modules");
    fs::create_dir_all(&modules).unwrap();
    let built = repository("tests/node_modules/better-sqlite3");
    symlink(built, modules.join("better-sqlite3")).unwrap();
    Page {
        path: "docs/node.md",
        but,
        instead: &[],
    }
    .run(&application, &npm_settings());
}

#[test]
fn the_npm_package_publishes_an_app() {
    if pages_are_of_this_machine("docs/app.md") && has_esbuild() {
        Page {
            path: "docs/app.md",
            but: &[],
            instead: &[],
        }
        .run(place().path(), &npm_settings());
    }
}

/// A `.deb`, unpacked as a file system.
struct Installed {
    folder: tempfile::TempDir,
}

const SCHEMA: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT);";

impl Installed {
    fn new() -> Self {
        let installed = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let deb = package("remy_", ".deb");
        let mut unpack = Command::new("dpkg-deb");
        stdout(unpack.arg("-x").arg(&deb).arg(installed.root()));
        shell(
            &installed.database(),
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)",
        );
        installed
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn libraries(&self) -> PathBuf {
        let name = format!("{}-linux-gnu", std::env::consts::ARCH);
        self.root().join("usr/lib").join(name)
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    fn columns(&self) -> String {
        let sql = "SELECT group_concat(name) FROM pragma_table_info('users')";
        shell(&self.database(), sql).trim().to_owned()
    }
}

#[test]
fn the_deb_says_what_it_holds() {
    if !has("the .deb", &["dpkg-deb"]) {
        return;
    }
    let installed = Installed::new();
    let deb = package("remy_", ".deb");
    let mut control = Command::new("dpkg-deb");
    stdout(
        control
            .arg("-e")
            .arg(&deb)
            .arg(installed.root().join("DEBIAN")),
    );
    let mut sums = Command::new("md5sum");
    sums.args(["-c", "--quiet", "DEBIAN/md5sums"]);
    stdout(sums.current_dir(installed.root()));
    let mut version = Command::new("dpkg-deb");
    let version = stdout(version.arg("-f").arg(&deb).arg("Version"));
    assert_eq!(version.trim(), VERSION);
}

#[test]
fn the_program_of_the_deb() {
    if !has("the .deb", &["dpkg-deb"]) {
        return;
    }
    let installed = Installed::new();
    let remy = |arguments: &[&str]| {
        let mut remy = Command::new(installed.root().join("usr/bin/remy"));
        remy.args(arguments).arg("--quiet");
        stdout(remy.arg("--db").arg(installed.database()))
    };
    remy(&["publish", SCHEMA]);
    assert_eq!(installed.columns(), "id,name,email");
    remy(&["rollback"]);
    assert_eq!(installed.columns(), "id,name");
}

#[test]
fn the_extension_of_the_deb() {
    if !has("the .deb", &["dpkg-deb"]) {
        return;
    }
    let installed = Installed::new();
    let sql = format!(
        ".load {}\nSELECT remy_publish('{SCHEMA}') ->> '$.status';
        SELECT remy_rollback() ->> '$.status', remy_debug() ->> '$.process';",
        installed.libraries().join("remy0").display()
    );
    let script = installed.folder.path().join("script.sql");
    fs::write(&script, sql).unwrap();
    let mut sqlite3 = Command::new("sqlite3");
    sqlite3.arg("-bail").arg(installed.database());
    let said = stdout(sqlite3.arg(format!(".read {}", script.display())));
    assert_eq!(said, "live\nlive|own\n");
    assert_eq!(installed.columns(), "id,name");
}

#[test]
fn the_library_of_the_deb() {
    if !has("the .deb", &["dpkg-deb", "pkg-config"]) {
        return;
    }
    let installed = Installed::new();
    let mut flags = Command::new("pkg-config");
    flags.args(["--cflags", "--libs", "remy"]);
    flags.envs([
        ("PKG_CONFIG_SYSROOT_DIR", installed.root()),
        ("PKG_CONFIG_PATH", installed.libraries().join("pkgconfig")),
        ("PKG_CONFIG_ALLOW_SYSTEM_CFLAGS", "1".into()),
        ("PKG_CONFIG_ALLOW_SYSTEM_LIBS", "1".into()),
    ]);
    let flags = stdout(&mut flags);
    let program = installed.folder.path().join("release");
    let mut cc = Command::new("cc");
    cc.arg(repository("tests/hosts/release.c"))
        .arg("-o")
        .arg(&program);
    stdout(cc.args(flags.split_whitespace()));
    let mut release = Command::new(&program);
    release.arg(installed.database()).arg(SCHEMA);
    stdout(release.env("LD_LIBRARY_PATH", installed.libraries()));
    assert_eq!(installed.columns(), "id,name");
}

/// The program for the other machine, where a compiler for it is at hand, and what runs it.
#[test]
fn aarch64() {
    let target = "aarch64-unknown-linux-gnu";
    let mut rustc = Command::new("rustc");
    let libraries = output(rustc.args(["--print", "target-libdir", "--target", target])).stdout;
    if !Path::new(String::from_utf8_lossy(&libraries).trim()).exists() {
        return not_covered("aarch64", &format!("Rust has no target {target} here"));
    }
    if !has("aarch64", &["aarch64-linux-gnu-gcc", "qemu-aarch64"]) {
        return;
    }
    let folder = built_program("remy-command").with_file_name("aarch64");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(repository("")).args([
        "build",
        "--quiet",
        "--target",
        target,
        "-p",
        "remy-db-cli",
        "--target-dir",
    ]);
    cargo.arg(&folder).env(
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
        "aarch64-linux-gnu-gcc",
    );
    stdout(cargo.env("CC_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-gcc"));
    let place = tempfile::tempdir().unwrap();
    let db = place.path().join("app.db");
    shell(&db, "CREATE TABLE users (id INTEGER PRIMARY KEY)");
    let remy = |arguments: &[&str]| {
        let mut qemu = Command::new("qemu-aarch64");
        qemu.args(["-L", "/usr/aarch64-linux-gnu"])
            .arg(folder.join(target).join("debug/remy"));
        stdout(qemu.args(arguments))
    };
    assert_eq!(remy(&["version"]).trim(), VERSION);
    let debug = remy(&["debug", "--json", "--db", db.to_str().expect("a path")]);
    assert!(debug.contains("\"engine\":\"embedded\""), "{debug}");
}
