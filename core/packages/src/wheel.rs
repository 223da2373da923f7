//! The wheel `remy_sqlite`: the extension for Python's `sqlite3`, of any Python 3.

use crate::{Making, Package, VERSION, tree::Tree};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::Compression;
use sha2::{Digest, Sha256};
use std::{
    env::consts::ARCH,
    fmt::Write as _,
    fs,
    io::{self, Cursor, Write as _},
};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

pub(crate) fn wheel(making: &Making<'_>) -> io::Result<Package> {
    let tag = format!("py3-none-{}_{ARCH}", making.glibc.tag());
    let info = format!("remy_sqlite-{VERSION}.dist-info");
    let mut tree = Tree::default();
    for name in ["__init__.py", "py.typed"] {
        let source = making.read(&format!("sqlite-ext/python/remy_sqlite/{name}"))?;
        tree.file(format!("remy_sqlite/{name}"), source);
    }
    tree.program("remy_sqlite/remy0.so", fs::read(&making.parts.extension)?);
    tree.file(format!("{info}/METADATA"), metadata(making)?);
    tree.file(
        format!("{info}/WHEEL"),
        format!("Wheel-Version: 1.0\nGenerator: remy-packages ({VERSION})\nRoot-Is-Purelib: false\nTag: {tag}\n"),
    );
    making.add_licences(&mut tree, &format!("{info}/licenses/"))?;
    let record = format!("{info}/RECORD");
    tree.file(record.clone(), recorded(&tree, &record));
    Ok(Package {
        name: format!("remy_sqlite-{VERSION}-{tag}.whl"),
        bytes: zipped(&tree, making)?,
    })
}

fn metadata(making: &Making<'_>) -> io::Result<String> {
    let page = String::from_utf8_lossy(&making.read("docs/python.md")?).into_owned();
    Ok(format!(
        "Metadata-Version: 2.1
Name: remy-sqlite
Version: {VERSION}
Summary: remy as a loadable SQLite extension: publish a schema in one transaction, roll it back
License: MIT OR Apache-2.0
Requires-Python: >=3.8
Description-Content-Type: text/markdown

{page}"
    ))
}

/// A line a file: its path, hash and size. The list itself has neither.
fn recorded(tree: &Tree, record: &str) -> String {
    let mut lines = tree
        .files()
        .fold(String::new(), |mut lines, (path, bytes)| {
            let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(bytes));
            let _ = writeln!(lines, "{path},sha256={hash},{}", bytes.len());
            lines
        });
    let _ = writeln!(lines, "{record},,");
    lines
}

fn zipped(tree: &Tree, making: &Making<'_>) -> io::Result<Vec<u8>> {
    let stored = making.settings.compression == Compression::none();
    let method = if stored {
        CompressionMethod::Stored
    } else {
        CompressionMethod::Deflated
    };
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .last_modified_time(time(making.settings.time));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, entry) in tree.iter() {
        if let crate::tree::Entry::File { bytes, .. } = entry {
            zip.start_file(path, options.unix_permissions(entry.mode()))?;
            zip.write_all(bytes)?;
        }
    }
    Ok(zip.finish()?.into_inner())
}

/// A time as a zip has it, which knows none before 1980.
fn time(seconds: u64) -> DateTime {
    let days = i64::try_from(seconds / 86_400).unwrap_or_default();
    let (year, month, day) = civil(days);
    let of_day = seconds % 86_400;
    #[allow(clippy::cast_possible_truncation, reason = "parts of a day")]
    let [hour, minute, second] =
        [of_day / 3600, of_day / 60 % 60, of_day % 60].map(|part| part as u8);
    DateTime::from_date_and_time(year, month, day, hour, minute, second).unwrap_or_default()
}

/// The date of a day since 1970-01-01, counted in eras of 400 years that begin in March.
fn civil(days: i64) -> (u16, u8, u8) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let small = |number: i64| u8::try_from(number).unwrap_or(1);
    (
        u16::try_from(year).unwrap_or(1980),
        small(month),
        small(day),
    )
}
