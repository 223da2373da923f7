//! The packages of remy, made of what cargo has built. The same files, at the same commit, make the
//! same bytes.

mod deb;
mod elf;
mod metadata;
mod npm;
mod release;
mod shell;
mod tree;
mod wheel;

pub use elf::{Glibc, glibc, needs};
pub use flate2::Compression;
pub use metadata::{FACES, Metadata};

use sha2::{Digest, Sha256};
use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};
use tree::Tree;

/// The version of every package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What cargo has built.
#[derive(Debug, Clone)]
pub struct Parts {
    /// `remy`.
    pub program: PathBuf,
    /// `libremy0.so`, which hosts load.
    pub extension: PathBuf,
    /// `libremy.so`.
    pub library: PathBuf,
    /// `libremy.a`.
    pub archive: PathBuf,
    /// `libremy_node.so`.
    pub addon: PathBuf,
}

impl Parts {
    /// What `cargo build` leaves in a folder such as `target/release`.
    pub fn within(folder: &Path) -> Self {
        Self {
            program: folder.join("remy"),
            extension: folder.join("libremy0.so"),
            library: folder.join("libremy.so"),
            archive: folder.join("libremy.a"),
            addon: folder.join("libremy_node.so"),
        }
    }

    /// Each by the name that people know, those that are loaded or started first.
    pub fn named(&self) -> [(&'static str, &Path); 5] {
        [
            ("remy", &self.program),
            ("remy0.so", &self.extension),
            ("libremy.so", &self.library),
            ("remy.node", &self.addon),
            ("libremy.a", &self.archive),
        ]
    }

    /// Copies of them in `folder`, without what only a debugger reads. The profile `dist` leaves
    /// symbols out where rustc links; of an archive, which it does not link, it leaves them in.
    pub fn stripped(&self, folder: &Path) -> io::Result<Self> {
        let stripped = Self::within(folder);
        for ((_, from), (name, to)) in self.named().into_iter().zip(stripped.named()) {
            let kept = if name.ends_with(".a") {
                "--strip-debug"
            } else {
                "--strip-all"
            };
            let strip = Command::new("strip")
                .arg(kept)
                .arg("-o")
                .arg(to)
                .arg(from)
                .output()?;
            if !strip.status.success() {
                let why = String::from_utf8_lossy(&strip.stderr).into_owned();
                return Err(io::Error::other(format!("strip {}: {why}", from.display())));
            }
        }
        Ok(stripped)
    }
}

/// Where packages come from, and how they are written.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The checkout, of which the texts are.
    pub repository: &'a Path,
    /// The time of every file in a package, Unix seconds.
    pub time: u64,
    /// How hard to press.
    pub compression: Compression,
}

/// What all packages share.
struct Making<'a> {
    parts: &'a Parts,
    settings: Settings<'a>,
    glibc: Glibc,
    /// The licences of the crates that are linked in.
    third_parties: String,
}

impl Making<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let path = self.settings.repository.join(path);
        fs::read(&path).map_err(|e| io::Error::other(format!("{}: {e}", path.display())))
    }

    /// Adds the licences: remy's own, and those of what is linked in.
    fn add_licences(&self, tree: &mut Tree, folder: &str) -> io::Result<()> {
        for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
            tree.file(format!("{folder}{name}"), self.read(name)?);
        }
        tree.file(
            format!("{folder}LICENSES-THIRD-PARTY"),
            self.third_parties.clone().into_bytes(),
        );
        Ok(())
    }

    /// Adds README, the changelog and the pages that README leads to.
    fn add_docs(&self, tree: &mut Tree, folder: &str) -> io::Result<()> {
        for name in ["README.md", "CHANGELOG.md"] {
            tree.file(format!("{folder}{name}"), self.read(name)?);
        }
        for entry in fs::read_dir(self.settings.repository.join("docs"))? {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
            if path.extension().is_some_and(|extension| extension == "md") {
                tree.file(format!("{folder}docs/{}", name.display()), fs::read(path)?);
            }
        }
        Ok(())
    }
}

/// A package, by the name of its file.
struct Package {
    name: String,
    bytes: Vec<u8>,
}

/// Makes all packages, and `SHA256SUMS` of them, in the place of what is in `out`. Returns their
/// paths, `SHA256SUMS` last.
pub fn make(
    parts: &Parts,
    metadata: &Metadata,
    settings: Settings<'_>,
    out: &Path,
) -> io::Result<Vec<PathBuf>> {
    let folder = tempfile::tempdir()?;
    let parts = &parts.stripped(folder.path())?;
    let making = Making {
        parts,
        settings,
        glibc: glibc([
            &parts.program,
            &parts.extension,
            &parts.library,
            &parts.addon,
        ])?,
        third_parties: metadata.licences()?,
    };
    let mut packages = vec![release::tarball(&making)?];
    packages.extend(npm::tarballs(&making)?);
    packages.push(wheel::wheel(&making)?);
    packages.push(deb::deb(&making)?);
    packages.sort_by(|a, b| a.name.cmp(&b.name));

    // A package of an earlier version is none of this one's.
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out)?;
    let (mut sums, mut paths) = (String::new(), Vec::new());
    for Package { name, bytes } in packages {
        let _ = writeln!(sums, "{}  {name}", hex(&Sha256::digest(&bytes)));
        fs::write(out.join(&name), bytes)?;
        paths.push(out.join(name));
    }
    fs::write(out.join("SHA256SUMS"), sums)?;
    paths.push(out.join("SHA256SUMS"));
    Ok(paths)
}

/// A hash as the tools that check it write it.
fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
