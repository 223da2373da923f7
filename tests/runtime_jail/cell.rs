//! A release's methods in a folder, beside all that they may not touch, and a pool that runs them.
use remy_db_runtime::{
    child::{Limits, Listener, Program, Service, Stream, Workplace},
    failure::Failure,
    pool::{Cancel, Pool, Settings},
    protocol::{Answer, Auth, Call, Load, Module, Request},
    sandbox::Isolation,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// What every method begins with.
const HEAD: &str = "import { createRequire } from 'node:module';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
const require = createRequire(import.meta.url);
const frame = (text) => {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(4);
  head.writeUInt32LE(bytes.length);
  return Buffer.concat([head, bytes]);
};
const forge = (message) => fs.writeSync(3, frame(JSON.stringify(message)));
const native = (name, ...rest) => {
  const { call } = require('native');
  const number = globalThis.$sys[name] ?? name;
  const back = call(number, ...rest);
  if (back < 0) throw Object.assign(new Error('refused'), { code: os.constants.errno && code(-back) });
  return back;
};
const code = (errno) => Object.entries(os.constants.errno).find(([, n]) => n === errno)?.[0] ?? errno;
";

/// What a call's output was, and its stream.
#[derive(Default)]
pub struct Heard {
    pub lines: Mutex<Vec<(Stream, String)>>,
    pub parts: Mutex<Vec<Value>>,
}

impl Heard {
    pub fn text(&self) -> String {
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|(_, line)| format!("{line}\n")).collect()
    }
}

impl Listener for Heard {
    fn line(&self, stream: Stream, text: &str) {
        self.lines.lock().unwrap().push((stream, text.to_owned()));
    }

    fn part(&self, data: Value) {
        self.parts.lock().unwrap().push(data);
    }
}

/// `Service { name: "wait", arguments: [ms] }` waits, and gives how many did so at once at most.
#[derive(Default)]
pub struct Waits {
    now: AtomicUsize,
    pub most: AtomicUsize,
    pub all: AtomicUsize,
}

impl Service for Waits {
    fn answer(&self, _: &Call, request: Request, _: &dyn Fn() -> bool) -> Answer {
        let Request::Service { arguments, .. } = request else {
            return Answer::Error(Failure::new("not_supported", 501, "not here"));
        };
        let now = 1 + self.now.fetch_add(1, Ordering::SeqCst);
        self.most.fetch_max(now, Ordering::SeqCst);
        self.all.fetch_add(1, Ordering::SeqCst);
        let ms = arguments
            .first()
            .and_then(Value::as_u64)
            .unwrap_or_default();
        thread::sleep(Duration::from_millis(ms));
        self.now.fetch_sub(1, Ordering::SeqCst);
        Answer::Value(json!(ms))
    }
}

/// The pool goes first, then the folders.
pub struct Cell {
    pub pool: Option<Pool>,
    pub service: Arc<Waits>,
    workplace: Option<Arc<Workplace>>,
    pub dir: tempfile::TempDir,
    next: AtomicU64,
}

/// How a cell differs from the usual.
pub struct With {
    pub isolation: Isolation,
    pub limits: Limits,
    pub settings: Settings,
}

impl Default for With {
    fn default() -> Self {
        let settings = Settings {
            max_processes: 2,
            ..Settings::default()
        };
        Self {
            isolation: Isolation::On,
            limits: Limits::default(),
            settings,
        }
    }
}

impl Cell {
    /// Runs methods by their bodies, which have `input`. `ok` is always there.
    pub fn new(methods: &[(&str, &str)], with: With) -> Self {
        Self::start(methods, with).unwrap_or_else(|e| panic!("{e}"))
    }

    pub fn start(methods: &[(&str, &str)], with: With) -> Result<Self, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("app.db-remy/releases/7/methods");
        for made in ["", "node_modules/native"] {
            fs::create_dir_all(folder.join(made)).unwrap();
        }
        for (path, text) in [
            ("app.db", "the database"),
            ("app.db-remy/catalog.db", "the catalog"),
            ("home/.ssh/id", "a key"),
            ("other/app.db", "another app's"),
            ("run/x", ""),
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::remove_file(dir.path().join("run/x")).unwrap();
        let package = json!({"name": "native", "main": "native.node"}).to_string();
        fs::write(folder.join("node_modules/native/package.json"), package).unwrap();
        fs::copy(&*NATIVE, folder.join("node_modules/native/native.node")).unwrap();
        let mut load = Load {
            methods: BTreeMap::new(),
            tables: BTreeMap::new(),
            auth: None,
        };
        for (name, body) in methods.iter().chain(&[("ok", "return 'ok'")]) {
            let file = folder.join(format!("{name}.mjs"));
            let whole = match body.strip_prefix("MODULE ") {
                Some(module) => module.to_owned(),
                None => format!(
                    "{HEAD}\nexport async function method(input) {{ globalThis.$sys = input?.sys ?? {{}}; {body} }}\n"
                ),
            };
            fs::write(&file, whole).unwrap();
            let export = "method".to_owned();
            load.methods
                .insert((*name).to_owned(), Module { file, export });
        }
        let workplace = Arc::new(Workplace::new(&dir.path().join("run"))?);
        let environment = BTreeMap::from([("APP_KEY".to_owned(), "its own".to_owned())]);
        let program = Program::new(
            load,
            &folder,
            environment,
            with.limits,
            with.isolation,
            workplace.clone(),
        )?;
        let service = Arc::new(Waits::default());
        let pool = Pool::start(program, with.settings, service.clone())?;
        Ok(Self {
            pool: Some(pool),
            service,
            workplace: Some(workplace),
            dir,
            next: AtomicU64::new(1),
        })
    }

    pub fn pool(&self) -> &Pool {
        self.pool.as_ref().unwrap()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub fn call(&self, method: &str) -> Result<Value, Failure> {
        self.call_with(method, self.input(), &Arc::default(), &Cancel::default())
    }

    pub fn call_with(
        &self,
        method: &str,
        input: Value,
        heard: &Arc<Heard>,
        cancel: &Cancel,
    ) -> Result<Value, Failure> {
        let call = Call {
            id: self.next.fetch_add(1, Ordering::SeqCst),
            method: method.to_owned(),
            input,
            auth: Auth::default(),
            session: Value::Null,
            request: None,
            origin: None,
            stream: true,
            callback: None,
        };
        self.pool().call(call, heard.clone(), cancel)
    }

    /// Where everything is, and the numbers of the system's calls.
    pub fn input(&self) -> Value {
        let dir = self.dir.path();
        let sys: BTreeMap<&str, i64> = CALLS.iter().copied().collect();
        json!({
            "dir": dir,
            "database": dir.join("app.db"),
            "store": dir.join("app.db-remy"),
            "home": dir.join("home"),
            "other": dir.join("other/app.db"),
            "run": dir.join("run"),
            "methods": dir.join("app.db-remy/releases/7/methods"),
            "parent": std::process::id(),
            "sys": sys,
        })
    }

    /// The processes that work in this cell.
    pub fn processes(&self) -> Vec<u32> {
        working_in(&self.path("run"))
    }

    /// Every rule of the house, after whatever happened: the pool answers, live is as it was, and
    /// nothing stays.
    pub fn ends_healthy(mut self) {
        for _ in 0..3 {
            let answer = self
                .call("ok")
                .unwrap_or_else(|e| panic!("{}: {e}", e.code));
            assert_eq!(answer, "ok");
        }
        assert_eq!(fs::read(self.path("app.db")).unwrap(), b"the database");
        assert_eq!(
            fs::read(self.path("other/app.db")).unwrap(),
            b"another app's"
        );
        self.close();
        assert_eq!(self.processes(), [] as [u32; 0]);
        let left: Vec<_> = fs::read_dir(self.path("run")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }

    pub fn close(&mut self) {
        self.pool = None;
        self.workplace = None;
    }
}

/// The processes that have their working folder in one.
pub fn working_in(folder: &Path) -> Vec<u32> {
    let folder = folder.canonicalize().unwrap();
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&folder))
    })
    .collect()
}

/// Waits until it is so.
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "not in time: {what}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// The addon, compiled once.
static NATIVE: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = remy_tests::repository("tests/runtime_jail/native.c");
    let built = std::env::current_exe()
        .unwrap()
        .with_file_name("runtime_jail_native.node");
    let fresh = built.with_extension(std::process::id().to_string());
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-o"]);
    remy_tests::stdout(compiler.arg(&fresh).arg(source).arg("-lpthread"));
    fs::rename(fresh, &built).unwrap();
    built
});

/// By the names that methods use.
const CALLS: &[(&str, i64)] = &[
    ("openat", libc::SYS_openat),
    ("kill", libc::SYS_kill),
    ("tgkill", libc::SYS_tgkill),
    ("ptrace", libc::SYS_ptrace),
    ("process_vm_readv", libc::SYS_process_vm_readv),
    ("prlimit64", libc::SYS_prlimit64),
    ("pidfd_open", libc::SYS_pidfd_open),
    ("setpriority", libc::SYS_setpriority),
    ("sched_setaffinity", libc::SYS_sched_setaffinity),
    ("kcmp", libc::SYS_kcmp),
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("memfd_create", libc::SYS_memfd_create),
    ("shmget", libc::SYS_shmget),
    ("mq_open", libc::SYS_mq_open),
    ("mount", libc::SYS_mount),
    ("unshare", libc::SYS_unshare),
    ("chroot", libc::SYS_chroot),
    ("bpf", libc::SYS_bpf),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("add_key", libc::SYS_add_key),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("sethostname", libc::SYS_sethostname),
    ("personality", libc::SYS_personality),
    ("name_to_handle_at", libc::SYS_name_to_handle_at),
    ("inotify_init1", libc::SYS_inotify_init1),
    ("inotify_add_watch", libc::SYS_inotify_add_watch),
    ("prctl", libc::SYS_prctl),
    ("mmap", libc::SYS_mmap),
    ("fcntl", libc::SYS_fcntl),
    ("socket", libc::SYS_socket),
    ("socketpair", libc::SYS_socketpair),
    ("clone", libc::SYS_clone),
    ("clone3", libc::SYS_clone3),
    ("setxattr", libc::SYS_setxattr),
    ("listxattr", libc::SYS_listxattr),
    ("fchmodat", libc::SYS_fchmodat),
    ("fchownat", libc::SYS_fchownat),
    ("truncate", libc::SYS_truncate),
    ("execve", libc::SYS_execve),
    ("execveat", libc::SYS_execveat),
    ("capget", libc::SYS_capget),
];
