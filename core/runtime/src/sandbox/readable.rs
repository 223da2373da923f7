//! What a process may open of this machine, besides what it is made for.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// What a process may open, besides what every program needs.
#[derive(Debug, Clone)]
pub(crate) struct Sees {
    /// What it runs.
    pub program: PathBuf,
    /// Files and folders that it may read.
    pub reads: Vec<PathBuf>,
    /// Its own folder.
    pub scratch: PathBuf,
}

/// Where libraries are: Node.js and native addons are linked to some of them.
pub(super) const LIBRARIES: &[&str] = &[
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/nix/store",
    "/gnu/store",
];

/// What names, times, certificates and numbers of processors are read from.
pub(super) const SYSTEM: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/timezone",
    "/usr/share/zoneinfo",
    "/etc/resolv.conf",
    // The file is a link into one of these, and is replaced there when the network changes.
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/version",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/max_map_count",
    "/proc/sys/kernel/osrelease",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/kernel/mm/transparent_hugepage",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
];

/// What it may write to, too.
pub(super) const SINK: &str = "/dev/null";

/// What loads a program's libraries: the kernel runs it before the program, by the name that the
/// program gives.
pub(super) fn loader(program: &Path) -> Option<PathBuf> {
    const INTERPRETER: u32 = 3;
    let mut file = File::open(program).ok()?;
    let mut head = [0; 64];
    file.read_exact(&mut head).ok()?;
    let is_ours = head.starts_with(b"\x7fELF") && head[4] == 2 && head[5] == 1;
    let size = usize::from(u16_at(&head, 54));
    if !is_ours || size < 56 {
        return None;
    }
    let mut table = vec![0; size * usize::from(u16_at(&head, 56))];
    file.seek(SeekFrom::Start(u64_at(&head, 32))).ok()?;
    file.read_exact(&mut table).ok()?;
    let entry = table
        .chunks_exact(size)
        .find(|entry| entry[..4] == INTERPRETER.to_le_bytes())?;
    let mut name = Vec::new();
    file.seek(SeekFrom::Start(u64_at(entry, 8))).ok()?;
    file.take(u64_at(entry, 32).min(4096))
        .read_to_end(&mut name)
        .ok()?;
    let name = name.split(|byte| *byte == 0).next()?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(name)))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_loader_is_what_it_names() {
        let this = std::env::current_exe().unwrap();
        assert!(loader(&this).unwrap().is_file());
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        assert_eq!(loader(&script), None);
    }
}
