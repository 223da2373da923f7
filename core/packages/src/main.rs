//! `cargo packages`: builds what packages are made of, and makes them all in `target/packages`.

use clap::Parser;
use remy_packages::{Compression, Metadata, Parts, Settings, glibc, make};
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// Makes all packages of remy, with their checksums.
#[derive(Parser)]
struct Arguments {
    /// The profile to build with. Only packages of `dist` are for others: their sizes have limits
    #[arg(long, default_value = DIST)]
    profile: String,
    /// Where they go, in the place of what is there
    #[arg(long, default_value = "target/packages")]
    out: PathBuf,
}

const DIST: &str = "dist";
const MIB: u64 = 1 << 20;

fn main() -> ExitCode {
    match packages(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

/// How large each may be, in MiB, as docs/packages.md says and why.
fn limit(name: &str) -> u64 {
    match name {
        "remy" => 24,
        "libremy.a" => 32,
        _ => 13,
    }
}

fn packages(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()?;
    let metadata = Metadata::of(&repository)?;
    let is_dist = arguments.profile == DIST;
    build(&repository, &arguments.profile)?;
    // The profile of `cargo build` without flags has another name than its folder.
    let folder = if arguments.profile == "dev" {
        "debug"
    } else {
        &arguments.profile
    };
    let parts = Parts::within(&metadata.target().join(folder));

    let stripped = tempfile::tempdir()?;
    let stripped = parts.stripped(stripped.path())?;
    let mut over = Vec::new();
    for (name, path) in stripped.named() {
        let limit = limit(name) * MIB;
        let bytes = fs::metadata(path)?.len();
        println!(
            "{name:10}  {:6.2} MiB, at most {}",
            as_mib(bytes),
            limit / MIB
        );
        if is_dist && bytes > limit {
            over.push(name);
        }
    }
    if !over.is_empty() {
        return Err(format!("over the limit: {}. No package was made", over.join(", ")).into());
    }
    let [program, extension, library, addon, _] = stripped.named().map(|(_, path)| path);
    println!(
        "needs glibc {}\n",
        glibc(&[program, extension, library, addon])?
    );

    let settings = Settings {
        repository: &repository,
        time: time(&repository)?,
        compression: if is_dist {
            Compression::best()
        } else {
            Compression::fast()
        },
    };
    for path in make(&parts, &metadata, settings, &arguments.out)? {
        println!(
            "{:6.2} MiB  {}",
            as_mib(fs::metadata(&path)?.len()),
            path.display()
        );
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "shown with two digits")]
fn as_mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

/// All faces in one call, so that what they share is built once.
fn build(repository: &Path, profile: &str) -> Result<(), Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(repository)
        .args(["build", "--profile", profile]);
    for face in remy_packages::FACES {
        command.args(["-p", face]);
    }
    match command.status()?.success() {
        true => Ok(()),
        false => Err("cargo could not build them. No package was made".into()),
    }
}

/// What files in packages are dated: `SOURCE_DATE_EPOCH`, or when the commit was made.
fn time(repository: &Path) -> Result<u64, Box<dyn Error>> {
    if let Ok(time) = std::env::var("SOURCE_DATE_EPOCH") {
        return time
            .parse()
            .map_err(|_| format!("SOURCE_DATE_EPOCH is {time}: not a number of seconds").into());
    }
    let mut git = Command::new("git");
    let out = git
        .current_dir(repository)
        .args(["log", "-1", "--format=%ct"])
        .output()?;
    let text = String::from_utf8(out.stdout)?;
    text.trim().parse().map_err(|_| {
        "git does not know when the commit was made: set SOURCE_DATE_EPOCH to the date of the packages' files".into()
    })
}
