//! Methods run in processes that are shut in: what they may not do, how they end, and what is left.
mod calls;
mod cell;
mod elsewhere;
mod ends;
mod pools;

use cell::{Cell, Heard, With};
use remy_db_runtime::{
    pool::Cancel,
    sandbox::{self, Isolation},
};
use remy_tests::cases;
use std::{os::unix::fs::MetadataExt as _, sync::Arc};

/// What an attack came to: `done`, or the code of its error.
fn attempt(attack: &str, isolation: Isolation) -> String {
    let body = format!(
        "try {{ await (async () => {{ {attack} }})(); return 'done'; }}
         catch (error) {{ return String(error.code ?? error.message); }}"
    );
    let with = With {
        isolation,
        ..With::default()
    };
    let cell = Cell::new(&[("attack", &body)], with);
    let came = cell
        .call("attack")
        .unwrap_or_else(|e| panic!("{}: {e}", e.code));
    cell.ends_healthy();
    came.as_str().unwrap().to_owned()
}

/// It is refused with this code, and is done where methods are not shut in: so nothing else refuses it.
fn is_refused(attack: &str, code: &str) {
    assert_eq!(attempt(attack, Isolation::On), code);
    assert_eq!(attempt(attack, Isolation::Off), "done", "without the jail");
}

/// The same of what would do harm without the jail, or is not there on every machine.
fn is_refused_here(attack: &str, code: &str) {
    assert_eq!(attempt(attack, Isolation::On), code);
}

cases! { is_refused: {
    // Trap 1: threads that Node.js has by the time that it runs any code, and threads of native code.
    passwd_by_a_thread_of_nodes("await fs.promises.readFile('/etc/passwd')", "EACCES"),
    passwd_by_the_main_thread("fs.readFileSync('/etc/passwd')", "EACCES"),
    passwd_by_a_thread_of_native_code("native('openat', -100, '/etc/passwd', 0)", "EACCES"),
    passwd_by_a_worker(
        "const { Worker } = require('node:worker_threads');
         await new Promise((resolve, reject) => {
           const worker = new Worker(`require('fs').readFileSync('/etc/passwd')`, { eval: true });
           worker.on('error', reject).on('exit', resolve);
         })",
        "EACCES",
    ),
    database("fs.readFileSync(input.database)", "EACCES"),
    database_for_writing("fs.closeSync(fs.openSync(input.database, 'r+'))", "EACCES"),
    database_by_a_link(
        "const link = path.join(os.tmpdir(), 'link'); fs.symlinkSync(input.database, link); fs.readFileSync(link)",
        "EACCES",
    ),
    database_by_proc("fs.readFileSync(`/proc/self/root${input.database}`)", "EACCES"),
    database_by_a_folder_of_its_own("process.chdir(input.dir); fs.readFileSync('app.db')", "EACCES"),
    database_moved_away("fs.renameSync(input.database, input.database + '.x'); fs.renameSync(input.database + '.x', input.database)", "EACCES"),
    a_file_beside_the_database("fs.writeFileSync(input.database + '-wal', '')", "EACCES"),
    store("fs.readFileSync(input.store + '/catalog.db')", "EACCES"),
    store_listed("fs.readdirSync(input.store)", "EACCES"),
    home("fs.readFileSync(input.home + '/.ssh/id')", "EACCES"),
    other_app("fs.readFileSync(input.other)", "EACCES"),
    other_processes_folders("fs.readdirSync(path.dirname(os.tmpdir()))", "EACCES"),
    its_own_release("fs.writeFileSync(input.methods + '/new.mjs', '')", "EACCES"),
    its_own_program("fs.appendFileSync(process.argv[1], '')", "EACCES"),
    temporary_files_of_others("fs.readdirSync('/tmp')", "EACCES"),
    environment_of_the_parent("fs.readFileSync(`/proc/${input.parent}/environ`)", "EACCES"),
    memory_of_the_parent("fs.closeSync(fs.openSync(`/proc/${input.parent}/mem`, 'r'))", "EACCES"),
    who_runs("fs.readdirSync('/proc')", "EACCES"),
    // Trap 2: what Landlock does not cover.
    owner("fs.chownSync(input.database, 0, 0)", "EPERM"),
    attributes_written("native('setxattr', input.other, 'user.x', Buffer.from('x'), 1, 0)", "EPERM"),
    attributes_listed("native('listxattr', input.database, 0, 0)", "EPERM"),
    file_watched("native('inotify_add_watch', native('inotify_init1', 0), input.database, 2)", "EPERM"),
    socket_with_a_path("native('socket', 1, 1, 0)", "EAFNOSUPPORT"),
    pair_of_sockets("native('socketpair', 1, 2, 0, Buffer.alloc(8))", "EAFNOSUPPORT"),
    socket_of_the_kernels("native('socket', 16, 3, 15)", "EAFNOSUPPORT"),
    signal_by_node("process.kill(input.parent, 0)", "EPERM"),
    signal_by_native_code("native('kill', input.parent, 0)", "EPERM"),
    signal_to_a_thread("native('tgkill', input.parent, input.parent, 0)", "EPERM"),
    signals_of_a_descriptor("native('fcntl', 1, 8, input.parent)", "EPERM"),
    // Trap 3: other processes, and no children.
    limits_of_the_parent("native('prlimit64', input.parent, 7, 0, Buffer.alloc(16))", "EPERM"),
    priority_of_the_parent("native('setpriority', 0, input.parent, 0)", "EPERM"),
    processor_of_the_parent("native('sched_setaffinity', input.parent, 8, Buffer.from([255, 255, 255, 255, 0, 0, 0, 0]))", "EPERM"),
    descriptor_of_the_parent("native('pidfd_open', input.parent, 0)", "EPERM"),
    comparison_with_the_parent("native('kcmp', input.parent, input.parent, 2, 0, 0)", "EPERM"),
    memory_that_no_limit_counts("native('mmap', 0, 4096, 3, 0x21, -1, 0)", "ENOMEM"),
    files_that_no_limit_counts("native('memfd_create', 'x', 0)", "ENOSYS"),
    watch_over_its_parent_undone("native('prctl', 1, 0)", "EPERM"),
    another_domain("native('personality', 0)", "EPERM"),
    child_by_node(
        "const done = require('node:child_process').spawnSync('/bin/true', { stdio: 'inherit' }); if (done.error) throw done.error",
        "EPERM",
    ),
} }

cases! { is_refused_here: {
    child_by_native_code("native('clone', 17, 0, 0, 0, 0)", "EPERM"),
    child_by_the_newer_call("native('clone3', Buffer.alloc(88), 88)", "ENOSYS"),
    trace_of_the_parent("native('ptrace', 0x4206, input.parent, 0, 0)", "EPERM"),
    words_of_the_parents_memory("native('process_vm_readv', input.parent, 0, 0, 0, 0, 0)", "EPERM"),
    memory_that_is_shared_with_others("native('shmget', 0, 4096, 0o1600)", "EPERM"),
    message_queue("native('mq_open', 'remy_test_x', 0o100 | 2, 0o600, 0)", "EPERM"),
    io_uring("native('io_uring_setup', 8, Buffer.alloc(120))", "ENOSYS"),
    mount("native('mount', 'none', '/', 'tmpfs', 0, 0)", "EPERM"),
    namespaces("native('unshare', 0x10000000)", "EPERM"),
    another_root("native('chroot', '/')", "EPERM"),
    bpf("native('bpf', 0, 0, 0)", "EPERM"),
    counters("native('perf_event_open', 0, 0, -1, -1, 0)", "EPERM"),
    keys("native('add_key', 'user', 'x', Buffer.from('x'), 1, -2)", "EPERM"),
    page_faults("native('userfaultfd', 0)", "EPERM"),
    name_of_the_machine("native('sethostname', 'x', 0)", "EPERM"),
    handles("native('name_to_handle_at', -100, input.database, Buffer.alloc(256), Buffer.alloc(8), 0)", "EPERM"),
    raw_packets("native('socket', 17, 3, 0)", "EAFNOSUPPORT"),
    raw_internet_packets("native('socket', 2, 3, 1)", "EPERM"),
    a_file_in_the_place_of_its_program("native('execveat', 1, '', 0, 0, 0x1000)", "ENOSYS"),
    a_database_cut_short("native('truncate', input.database, 0)", "EACCES"),
    calls_of_kernels_to_come("native(600)", "ENOSYS"),
    calls_of_the_other_abi("native(0x40000000 + 39)", "ENOSYS"),
} }

/// What Landlock does not cover and programs do without noticing: it succeeds, and does nothing.
#[test]
fn modes_and_times_of_files_stay_as_they_are() {
    let body = "fs.chmodSync(input.database, 0o777); fs.utimesSync(input.database, 1, 1);
                native('fchmodat', -100, input.other, 0o777); await fs.promises.chmod(input.other, 0o777);
                fs.fchmodSync(1, 0o777); return 'done'";
    let cell = Cell::new(&[("attack", body)], With::default());
    let looks = |path: &str| {
        let found = cell.path(path).metadata().unwrap();
        (found.mode(), found.mtime(), found.uid())
    };
    let before = (looks("app.db"), looks("other/app.db"));
    assert_eq!(cell.call("attack").unwrap(), "done");
    assert_eq!((looks("app.db"), looks("other/app.db")), before);
    cell.ends_healthy();
}

/// What an app needs works as it does anywhere.
fn works(body: &str, answer: &str) {
    let cell = Cell::new(&[("works", body)], With::default());
    let heard = Arc::<Heard>::default();
    let came = cell.call_with("works", cell.input(), &heard, &Cancel::default());
    let came = came.unwrap_or_else(|e| panic!("{}: {e}\n{}", e.code, heard.text()));
    assert_eq!(came, answer, "{}", heard.text());
    cell.ends_healthy();
}

cases! { works: {
    temporary_files(
        "const file = path.join(os.tmpdir(), 'a'); fs.writeFileSync(file, 'x'); fs.copyFileSync(file, file + 'b');
         fs.mkdirSync(file + 'd'); fs.renameSync(file + 'b', file + 'd/b'); const text = fs.readFileSync(file + 'd/b', 'utf8');
         fs.rmSync(file + 'd', { recursive: true }); fs.truncateSync(file, 0); return text + os.homedir().slice(0, 1)",
        "x/",
    ),
    its_own_files("return fs.readdirSync(input.methods).includes('works.mjs') ? 'yes' : 'no'", "yes"),
    environment("return [process.env.APP_KEY, process.env.CARGO_MANIFEST_DIR, process.env.NODE_ENV].join()", "its own,,production"),
    memory_used("return process.memoryUsage().rss > 1e6 && os.totalmem() > 1e6 && os.cpus().length > 0 ? 'known' : 'not'", "known"),
    native_addon("native('capget', Buffer.from([0x22, 5, 8, 0x20, 0, 0, 0, 0]), 0); return 'loads'", "loads"),
    no_privileges_are_left(
        "const status = fs.readFileSync('/proc/self/status', 'utf8');
         const caps = (name) => BigInt('0x' + status.match(`${name}:\\\\s*([0-9a-f]+)`)[1]) & ~6n;
         return [caps('CapEff'), caps('CapBnd') && process.getuid() === 0 ? 'some' : 0, status.match(/NoNewPrivs:\\s*(\\d)/)[1]].join()",
        "0,0,1",
    ),
    wasm(
        "const bytes = Buffer.from('0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b', 'hex');
         const { instance } = await WebAssembly.instantiate(bytes); return String(instance.exports.add(2, 3))",
        "5",
    ),
    threads(
        "const { Worker } = require('node:worker_threads');
         return await new Promise((resolve, reject) => {
           const worker = new Worker(`require('worker_threads').parentPort.postMessage('hi')`, { eval: true });
           worker.on('message', resolve).on('error', reject);
         })",
        "hi",
    ),
    network(
        "const server = net.createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
         await new Promise((resolve) => server.on('listening', resolve));
         const text = await new Promise((resolve) => net.connect(server.address().port, '127.0.0.1').on('data', (d) => resolve(String(d))));
         server.close(); return text",
        "hello",
    ),
    names("const { address } = await require('node:dns').promises.lookup('localhost'); return ['127.0.0.1', '::1'].includes(address) ? 'found' : address", "found"),
    addresses("return Object.keys(os.networkInterfaces()).includes('lo') ? 'lo' : 'none'", "lo"),
    cryptography("return String(require('node:crypto').pbkdf2Sync('a', 'b', 10, 8, 'sha256').length + require('node:tls').rootCertificates.length > 100)", "true"),
    time_zones("return new Date(0).toLocaleString('en-GB', { timeZone: 'Europe/Berlin', hour: '2-digit' })", "01"),
} }

/// A host's own code opens files that programs it starts would have, too.
#[test]
fn what_the_parent_has_open_is_closed() {
    let body = "return fs.readdirSync('/proc/self/fd').map((fd) => { try { return fs.readlinkSync(`/proc/self/fd/${fd}`) } catch { return '' } })
                .filter((file) => file.includes('passwd')).length";
    let file = c"/etc/passwd".as_ptr();
    // In no place that the process puts its own in: it would be closed by that. Where 3 is free, it
    // would have been opened there.
    // SAFETY: the name ends with a zero; the descriptors are this test's own.
    let open = unsafe {
        let opened = libc::open(file, libc::O_RDONLY);
        let open = libc::fcntl(opened, libc::F_DUPFD, 64);
        libc::close(opened);
        open
    };
    assert!(open > 3);
    let cell = Cell::new(&[("lists", body)], With::default());
    assert_eq!(cell.call("lists").unwrap(), 0);
    cell.ends_healthy();
    // SAFETY: the same.
    unsafe { libc::close(open) };
}

#[test]
fn what_is_in_force_is_measured() {
    let on = sandbox::probe(Isolation::On).unwrap();
    assert!(
        on.files && on.sockets && on.signals && on.processes && on.limits,
        "{on:?}"
    );
    assert!(on.landlock > 0);
    let off = sandbox::probe(Isolation::Off).unwrap();
    assert!(
        !off.files && !off.sockets && !off.signals && !off.processes && off.limits,
        "{off:?}"
    );
    assert_eq!(off.landlock, 0);
}
