//! `remy_VERSION_ARCH.deb`: an ar of two tars, for Debian and what comes of it.

use crate::{
    Making, Package, VERSION, elf, hex,
    release::{self, Places},
    tree::Tree,
};
use md5::{Digest, Md5};
use std::{collections::BTreeSet, fmt::Write as _, io};

/// What Debian calls this machine, and its folder of libraries.
const DEBIAN: (&str, &str) = if cfg!(target_arch = "aarch64") {
    ("arm64", "lib/aarch64-linux-gnu")
} else {
    ("amd64", "lib/x86_64-linux-gnu")
};

pub(crate) fn deb(making: &Making<'_>) -> io::Result<Package> {
    let (architecture, libraries) = DEBIAN;
    let mut data = Tree::default();
    release::add_files(
        making,
        &mut data,
        Places {
            root: "usr/",
            libraries,
            prefix: "/usr",
        },
    )?;
    making.add_docs(&mut data, "usr/share/doc/remy/")?;
    making.add_licences(&mut data, "usr/share/doc/remy/")?;
    data.file("usr/share/doc/remy/copyright", COPYRIGHT);

    let mut control = Tree::default();
    control.file("control", described(making, &data)?);
    control.file("md5sums", sums(&data));
    // Libraries are found by the loader's cache.
    control.file("triggers", "activate-noawait ldconfig\n");

    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", control.tar_gz("./", making.settings)?),
        ("data.tar.gz", data.tar_gz("./", making.settings)?),
    ];
    Ok(Package {
        name: format!("remy_{VERSION}_{architecture}.deb"),
        bytes: ar(&members, making.settings.time),
    })
}

const COPYRIGHT: &str = "remy is under the MIT licence or the Apache licence 2.0, as you like: LICENSE-MIT, LICENSE-APACHE.
What is linked into it is listed, with its licences, in LICENSES-THIRD-PARTY.
";

fn described(making: &Making<'_>, data: &Tree) -> io::Result<String> {
    let kib: usize = data
        .files()
        .map(|(_, bytes)| bytes.len().div_ceil(1024))
        .sum();
    Ok(format!(
        "Package: remy
Version: {VERSION}
Architecture: {}
Maintainer: The authors of remy <remy@remy.invalid>
Installed-Size: {kib}
Depends: {}
Section: database
Priority: optional
Description: deploy an SQLite database like code
 Publishes a schema to a live SQLite database, with the code that belongs to it,
 in one transaction, and rolls both back with their data. Has the program remy,
 the extension remy0.so, and libremy for C programs.
",
        DEBIAN.0,
        depends(making)?
    ))
}

/// The packages of the libraries that anything in it is loaded with.
fn depends(making: &Making<'_>) -> io::Result<String> {
    let parts = making.parts;
    let mut packages = BTreeSet::new();
    for file in [&parts.program, &parts.extension, &parts.library] {
        for library in elf::needs(file)? {
            packages.insert(match &*library {
                "libgcc_s.so.1" => "libgcc-s1".to_owned(),
                "libc.so.6" | "libm.so.6" | "libdl.so.2" | "libpthread.so.0" | "librt.so.1" => {
                    format!("libc6 (>= {})", making.glibc)
                }
                _ if library.starts_with("ld-linux") => continue,
                _ => {
                    let what = format!("no package is known that has {library}");
                    return Err(io::Error::other(what));
                }
            });
        }
    }
    Ok(packages.into_iter().collect::<Vec<_>>().join(", "))
}

fn sums(data: &Tree) -> String {
    data.files().fold(String::new(), |mut text, (path, bytes)| {
        let _ = writeln!(text, "{}  {path}", hex(&Md5::digest(bytes)));
        text
    })
}

/// An archive in the common format of ar: names of up to 16 bytes, members at even offsets.
fn ar(members: &[(&str, Vec<u8>)], time: u64) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        let head = format!(
            "{name:<16}{time:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            "100644",
            bytes.len()
        );
        archive.extend(head.as_bytes());
        archive.extend(bytes);
        if bytes.len() % 2 == 1 {
            archive.push(b'\n');
        }
    }
    archive
}
