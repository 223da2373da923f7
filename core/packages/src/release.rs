//! `remy-VERSION-linux-ARCH.tar.gz`: everything, to be unpacked anywhere.

use crate::{Making, Package, VERSION, shell, tree::Tree};
use std::{env::consts::ARCH, fs, io};

pub(crate) fn tarball(making: &Making<'_>) -> io::Result<Package> {
    let mut tree = Tree::default();
    // Found by where it lies: the folder may be moved.
    add_files(
        making,
        &mut tree,
        Places {
            root: "",
            libraries: "lib",
            prefix: "${pcfiledir}/../..",
        },
    )?;
    making.add_docs(&mut tree, "")?;
    making.add_licences(&mut tree, "")?;
    let name = format!("remy-{VERSION}-linux-{ARCH}");
    Ok(Package {
        bytes: tree.tar_gz(&format!("{name}/"), making.settings)?,
        name: format!("{name}.tar.gz"),
    })
}

/// Where files go.
pub(crate) struct Places<'a> {
    /// Ends with `/`, or is empty.
    pub(crate) root: &'a str,
    /// The folder of libraries, below `root`.
    pub(crate) libraries: &'a str,
    /// What pkg-config is to take for `root`.
    pub(crate) prefix: &'a str,
}

/// The program, the libraries and what belongs to them, which a `.deb` has, too.
pub(crate) fn add_files(
    making: &Making<'_>,
    tree: &mut Tree,
    places: Places<'_>,
) -> io::Result<()> {
    let Places {
        root,
        libraries,
        prefix,
    } = places;
    let parts = making.parts;
    tree.program(format!("{root}bin/remy"), fs::read(&parts.program)?);
    tree.program(
        format!("{root}{libraries}/remy0.so"),
        fs::read(&parts.extension)?,
    );
    tree.program(
        format!("{root}{libraries}/libremy.so.0"),
        fs::read(&parts.library)?,
    );
    tree.link(format!("{root}{libraries}/libremy.so"), "libremy.so.0");
    tree.file(
        format!("{root}{libraries}/libremy.a"),
        fs::read(&parts.archive)?,
    );
    tree.file(
        format!("{root}include/remy.h"),
        making.read("include/remy.h")?,
    );
    let template = String::from_utf8_lossy(&making.read("include/remy.pc.in")?).into_owned();
    let libdir = format!("${{exec_prefix}}/{libraries}");
    let values = [
        ("@prefix@", prefix),
        ("@libdir@", &libdir),
        ("@includedir@", "${prefix}/include"),
        ("@version@", VERSION),
    ];
    let file = values
        .iter()
        .fold(template, |text, (name, value)| text.replace(name, value));
    tree.file(format!("{root}{libraries}/pkgconfig/remy.pc"), file);
    shell::add_completions(making, tree, &format!("{root}share"))
}
