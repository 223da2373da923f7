//! What the processes of one release run.

use super::{node, workplace::Workplace};
use crate::{
    failure::Failure,
    protocol::Load,
    sandbox::{Isolation, Means, SOCKET, Sees},
};
use remy_db_app::{build::release::is_scenario, nearest::nearest};
use std::{
    collections::BTreeMap,
    ffi::{CString, OsStr},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How much of V8's heap a process may use, in MiB. Beyond, V8 ends the process; it has to come
/// before the kernel's limit of all memory ([`crate::sandbox::MEMORY_BYTES`]).
const HEAP_MIB: u32 = 768;

/// How long things may take, and how much a call may write.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until all modules are loaded.
    pub start: Duration,
    /// Until a call is answered.
    pub call: Duration,
    /// For what goes on after that.
    pub goes_on: Duration,
    /// The most bytes of output of a call, and of what goes on.
    pub output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(60),
            call: Duration::from_secs(30 * 60),
            goes_on: Duration::from_secs(30 * 60),
            output_bytes: 10 << 20,
        }
    }
}

/// What the processes of one release run.
#[derive(Debug)]
pub struct Program {
    pub(super) load: Load,
    pub(super) limits: Limits,
    pub(super) means: Means,
    pub(super) workplace: Arc<Workplace>,
    node: PathBuf,
    /// The folder of the release's methods.
    methods: PathBuf,
    environment: BTreeMap<String, String>,
    permissions: Option<&'static str>,
}

impl Program {
    /// Processes read the folder `methods`, where `load` has its modules, and have `environment`, all
    /// of it the app's own. An error where methods cannot be shut in, or there is no Node.js.
    pub fn new(
        load: Load,
        methods: &Path,
        environment: BTreeMap<String, String>,
        limits: Limits,
        isolation: Isolation,
        workplace: Arc<Workplace>,
    ) -> Result<Self, Failure> {
        let means = Means::of(isolation)?;
        let node = node::find()?;
        let permissions = means.needs_permissions().then(|| node::permissions(&node));
        Ok(Self {
            load,
            limits,
            means,
            workplace,
            node,
            methods: methods.to_owned(),
            environment,
            permissions,
        })
    }

    /// Whether there is such a method. A scenario is none, though processes of a dev session have it.
    pub(crate) fn has(&self, method: &str) -> bool {
        !is_scenario(method) && self.load.methods.contains_key(method)
    }

    /// That there is no such method, and which it may have been.
    pub(crate) fn has_not(&self, method: &str) -> Failure {
        let ids = self.load.methods.keys().map(String::as_str);
        let all: Vec<_> = ids.filter(|id| !is_scenario(id)).collect();
        let near = match nearest(method, all.iter().copied()) {
            Some(near) => format!(". Did you mean {near}?"),
            None if all.is_empty() => ": it has none.".to_owned(),
            None => format!(": it has {}.", all.join(", ")),
        };
        let message =
            format!("There is no method {method} in this release{near} Nothing was called");
        Failure::new("method_not_found", 404, message)
    }

    /// What a process may open that works in `scratch`.
    pub(super) fn sees(&self, scratch: &Path) -> Sees {
        Sees {
            program: self.node.clone(),
            reads: vec![self.methods.clone(), self.workplace.program()],
            scratch: scratch.to_owned(),
        }
    }

    /// The arguments of Node.js.
    pub(super) fn arguments(&self, scratch: &Path) -> Vec<CString> {
        let mut arguments = vec![
            text("node"),
            text(&format!("--max-old-space-size={HEAP_MIB}")),
            // Bundles lie beside their maps: a stack tells of the app's own files.
            text("--enable-source-maps"),
        ];
        if let Some(flag) = self.permissions {
            let list = |name: &str, path: &Path| {
                let mut argument = format!("--allow-fs-{name}=").into_bytes();
                argument.extend(path.as_os_str().as_bytes());
                argument.extend(b"/*");
                CString::new(argument).expect("paths that exist have no zero byte")
            };
            arguments.push(text(flag));
            arguments.push(list("read", &self.methods));
            arguments.push(list("read", &self.workplace.program()));
            arguments.push(list("read", scratch));
            arguments.push(list("write", scratch));
        }
        arguments.push(path(&self.workplace.program().join("host.mjs")));
        arguments.push(text(&SOCKET.to_string()));
        arguments.push(text(node::OLDEST));
        arguments
    }

    /// The whole environment of a process: the app's, and what every program expects. Nothing of
    /// this process's own.
    pub(super) fn environment(&self, scratch: &Path) -> Vec<CString> {
        let mut variables: BTreeMap<&str, &OsStr> = BTreeMap::from([
            ("NODE_ENV", OsStr::new("production")),
            ("LANG", OsStr::new("C.UTF-8")),
            ("PATH", OsStr::new("/usr/local/bin:/usr/bin:/bin")),
        ]);
        let own = self.environment.iter();
        variables.extend(own.map(|(name, value)| (&**name, OsStr::new(value))));
        // Where these lead elsewhere, nothing could be written; and the first is what a kernel is
        // asked for that refuses it.
        variables.extend([
            ("UV_USE_IO_URING", OsStr::new("0")),
            ("HOME", scratch.as_os_str()),
            ("TMPDIR", scratch.as_os_str()),
        ]);
        // How Node.js itself runs is not the app's to say: flags of it reach beyond its code.
        variables.remove("NODE_OPTIONS");
        let pair = |(name, value): (&str, &OsStr)| {
            let mut pair = name.as_bytes().to_vec();
            pair.push(b'=');
            pair.extend(value.as_bytes());
            // What has a zero byte is no variable.
            CString::new(pair).ok()
        };
        variables.into_iter().filter_map(pair).collect()
    }
}

fn text(text: &str) -> CString {
    CString::new(text).expect("it is written here")
}

fn path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("paths that exist have no zero byte")
}
