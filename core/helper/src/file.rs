//! Which file is the program.

use std::{
    env,
    ffi::{CStr, CString, OsStr, c_int, c_void},
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    slice,
};

/// Where the program is looked for, after what `REMY_HELPER` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// The library that this code is in.
    Own,
    /// Where this code was linked into a program, a `libremy.so` beside that program, or the program
    /// `remy`.
    OwnOrBeside,
}

/// A file that can be started, and what loads it where it may not be executed itself.
#[derive(Debug)]
pub struct Program {
    /// The file.
    pub path: CString,
    /// What loads it.
    pub loader: CString,
    /// Whether it has to be loaded so: the loader that it names is not on this system.
    pub by_loader: bool,
}

/// Finds the program. `Err` says why there is none.
pub fn find(lookup: Lookup) -> Result<Program, String> {
    // SAFETY: asks for a number of the process.
    let is_secure = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    // A set-uid program would start what its caller names.
    let named = env::var_os("REMY_HELPER").filter(|named| !is_secure && !named.is_empty());
    let path = match named {
        Some(named) if named == "none" => return Err("REMY_HELPER is none".to_owned()),
        Some(named) => PathBuf::from(named),
        None => match own_file()? {
            Own::Library(path) => path,
            Own::Program if lookup == Lookup::OwnOrBeside && !is_secure => beside()?,
            Own::Program => return Err(LINKED.to_owned()),
        },
    };
    let path = CString::new(path.into_os_string().into_vec()).map_err(|e| e.to_string())?;
    // SAFETY: the path ends in NUL.
    if unsafe { libc::access(path.as_ptr(), libc::R_OK) } != 0 {
        let why = std::io::Error::last_os_error();
        return Err(format!("{} cannot be read: {why}", path.to_string_lossy()));
    }
    let by_loader = !Path::new(OsStr::from_bytes(LOADER.to_bytes())).exists();
    let loader = by_loader.then(loader_of_this).flatten();
    Ok(Program {
        path,
        loader: loader.unwrap_or_else(|| LOADER.to_owned()),
        by_loader,
    })
}

const LINKED: &str = "remy is linked into this program, and has no file of its own";

/// What `entry.c` names.
#[cfg(target_arch = "x86_64")]
const LOADER: &CStr = c"/lib64/ld-linux-x86-64.so.2";
#[cfg(target_arch = "aarch64")]
const LOADER: &CStr = c"/lib/ld-linux-aarch64.so.1";

/// What this code is a part of.
enum Own {
    Program,
    Library(PathBuf),
}

fn own_file() -> Result<Own, String> {
    let here = own_file as *const () as usize;
    let object = object_at(here).ok_or("the loader does not know this code")?;
    if object.is_program {
        return Ok(Own::Program);
    }
    if !object.names_a_loader {
        return Err("the library that has remy linked in is no program".to_owned());
    }
    // As the kernel knows it: the loader's name may be relative to a folder that the process was in
    // once.
    let path = match mapped_at(here) {
        Some(path) => path,
        None if object.name.starts_with(b"/") => object.name,
        None => return Err("/proc is not there, which knows this library's file".to_owned()),
    };
    let shown = String::from_utf8_lossy(&path).into_owned();
    if let Some(path) = shown.strip_suffix(" (deleted)") {
        return Err(format!(
            "{path} was removed or replaced since this process loaded it"
        ));
    }
    Ok(Own::Library(PathBuf::from(OsStr::from_bytes(&path))))
}

fn beside() -> Result<PathBuf, String> {
    let program = fs::read_link("/proc/self/exe").map_err(|e| format!("{LINKED}: {e}"))?;
    let [library, command] = ["libremy.so", "remy"].map(|name| program.with_file_name(name));
    let is_there = |path: &&PathBuf| path.is_file() && **path != program;
    match [&library, &command].into_iter().find(is_there) {
        Some(path) => Ok(path.clone()),
        None => Err(format!(
            "{LINKED}, and there is neither {} nor {}",
            library.display(),
            command.display()
        )),
    }
}

/// A program or library as the loader has it.
struct Loaded {
    name: Vec<u8>,
    is_program: bool,
    names_a_loader: bool,
}

/// What is loaded at an address.
fn object_at(address: usize) -> Option<Loaded> {
    struct Search {
        address: usize,
        first: bool,
        found: Option<Loaded>,
    }
    unsafe extern "C" fn look(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader gives an object with its headers and a name that ends in NUL, all of
        // which stay during the call; the search is what the call below has given.
        let (search, info, headers, name) = unsafe {
            let info = &*info;
            (
                &mut *search.cast::<Search>(),
                info,
                slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()),
                CStr::from_ptr(info.dlpi_name),
            )
        };
        // The program itself comes first.
        let is_program = std::mem::replace(&mut search.first, false);
        #[allow(
            clippy::unnecessary_cast,
            reason = "the widths differ between machines"
        )]
        let base = info.dlpi_addr as usize;
        #[allow(
            clippy::unnecessary_cast,
            reason = "the widths differ between machines"
        )]
        let holds = headers.iter().any(|header| {
            let start = base.wrapping_add(header.p_vaddr as usize);
            header.p_type == libc::PT_LOAD
                && (start..start.wrapping_add(header.p_memsz as usize)).contains(&search.address)
        });
        if holds {
            search.found = Some(Loaded {
                name: name.to_bytes().to_owned(),
                is_program,
                names_a_loader: headers
                    .iter()
                    .any(|header| header.p_type == libc::PT_INTERP),
            });
        }
        c_int::from(holds)
    }
    let mut search = Search {
        address,
        first: true,
        found: None,
    };
    // SAFETY: the callback is called with what is given, during the call.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    search.found
}

/// The file that the kernel has mapped at an address.
fn mapped_at(address: usize) -> Option<Vec<u8>> {
    let maps = fs::read("/proc/self/maps").ok()?;
    maps.split(|&byte| byte == b'\n').find_map(|line| {
        // from-to perms offset device inode path
        let mut parts = line.splitn(6, |&byte| byte == b' ');
        let (from, to) = std::str::from_utf8(parts.next()?).ok()?.split_once('-')?;
        let range = usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?;
        let path = parts.nth(4)?.trim_ascii_start();
        (range.contains(&address) && path.starts_with(b"/")).then(|| path.to_owned())
    })
}

/// The loader that has loaded this process.
fn loader_of_this() -> Option<CString> {
    // SAFETY: asks for a number of the process.
    let base = unsafe { libc::getauxval(libc::AT_BASE) };
    CString::new(mapped_at(usize::try_from(base).ok()?)?).ok()
}
