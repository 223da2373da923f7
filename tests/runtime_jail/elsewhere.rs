//! Where this machine, its Node.js or the runtime's own process is not as it should be.
use super::cell::{Cell, With, until, working_in};
use remy_db_runtime::{
    child::Workplace,
    sandbox::{self, Isolation},
};
use remy_tests::{built_program, repository, stdout};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    thread,
};

/// On this thread the kernel has no Landlock.
fn without_landlock() {
    let load = |k| libc::sock_filter {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let returns = |k| libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let mut filter = [
        load(0),
        libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: u32::try_from(libc::SYS_landlock_create_ruleset).unwrap(),
        },
        returns(libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned()),
        returns(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: 4,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: binds this thread alone; the program outlives the call, which copies it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let (mode, program) = (libc::SECCOMP_MODE_FILTER, &raw const program);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, program), 0);
    }
}

#[test]
fn without_landlock_node_watches_over_files_and_seccomp_over_the_rest() {
    // The thread that forks is there before: it is not this one's.
    assert!(sandbox::probe(Isolation::On).unwrap().files);
    let without = thread::spawn(|| {
        without_landlock();
        let probed = sandbox::probe(Isolation::On).unwrap();
        assert!(!probed.files && probed.sockets && probed.processes && probed.signals);
        assert_eq!(probed.landlock, 0);
        let attack = "const tried = [];
            for (const f of [() => fs.readFileSync('/etc/passwd'), () => fs.readFileSync(input.database),
                () => fs.writeFileSync(input.methods + '/x', ''), () => require('native'),
                () => { const { error } = require('node:child_process').spawnSync('/bin/true'); if (error) throw error; },
                () => fs.writeFileSync(os.tmpdir() + '/x', '')])
              try { f(); tried.push('done'); } catch (e) { tried.push(e.code); }
            return tried.join()";
        let cell = Cell::new(&[("attack", attack)], With::default());
        let came = cell.call("attack").unwrap();
        let refused = "ERR_ACCESS_DENIED,ERR_ACCESS_DENIED,ERR_ACCESS_DENIED,ERR_DLOPEN_DISABLED,ERR_ACCESS_DENIED,done";
        assert_eq!(came, refused);
        cell.ends_healthy();
    });
    without.join().unwrap();
}

#[test]
fn a_runtime_that_is_killed_takes_its_processes_along_and_the_next_one_cleans_up() {
    let dir = tempfile::tempdir().unwrap();
    let (run, module) = (dir.path().join("run"), dir.path().join("method.mjs"));
    fs::create_dir(&run).unwrap();
    fs::write(&module, "export const method = () => { for (;;); }").unwrap();
    let mut runtime = Command::new(built_program("remy-methods"));
    let runtime = runtime.args([&run, &module]).stdout(Stdio::piped());
    let mut runtime = runtime.spawn().unwrap();
    let mut said = String::new();
    let output = runtime.stdout.as_mut().unwrap();
    BufReader::new(output).read_line(&mut said).unwrap();
    assert_eq!(said, "runs\n");
    assert_eq!(working_in(&run).len(), 1);
    runtime.kill().unwrap();
    runtime.wait().unwrap();
    until("its process ends", || working_in(&run).is_empty());
    assert_eq!(fs::read_dir(&run).unwrap().count(), 1);
    drop(Workplace::new(&run).unwrap());
    assert_eq!(fs::read_dir(&run).unwrap().count(), 0);
}

#[test]
fn a_node_that_is_too_old_says_so() {
    let script = format!(
        "const child = require('child_process').spawn(process.execPath, [{:?}, '3', '99.1'], {{ stdio: ['ignore', 'inherit', 'inherit', 'pipe'] }});
         const load = Buffer.from(JSON.stringify({{ t: 'load', methods: {{}}, tables: {{}}, auth: null }}));
         const head = Buffer.alloc(4); head.writeUInt32LE(load.length);
         child.stdio[3].write(Buffer.concat([head, load]));
         child.stdio[3].on('data', (data) => {{ console.log(JSON.parse(data.subarray(4)).error.code); child.kill(); }});",
        repository("core/runtime/js/host.mjs")
    );
    let said = stdout(Command::new("node").args(["-e", &script]));
    assert_eq!(said, "node_too_old\n");
}
