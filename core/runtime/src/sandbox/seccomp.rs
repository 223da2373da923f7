//! Which calls of the system a process may make: what Landlock has no word for.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, sock_filter,
};
use std::{collections::BTreeMap, io};

/// Filters that are made, and are laid on each other. A filter has one answer for all that it
/// refuses.
pub(super) struct Filters(Vec<Filter>);

struct Filter {
    program: BpfProgram,
    /// Which instructions hold [`OWN`].
    own: Vec<usize>,
}

/// Stands for the number of the process, which nobody knows before it is there. No process has this
/// one.
const OWN: u32 = 0x7fff_fff1;

/// No call of the system that is numbered from here on is known to this list: what a newer kernel
/// brings (and, on x86-64, the calls of its other ABI) is not there.
const KNOWN: u32 = 463;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

impl Filters {
    /// `landlock` is the ABI that the kernel has of it, 0 for none: what it does not cover yet is
    /// covered here. Nothing where this machine's architecture is not known.
    pub fn new(landlock: u32) -> Option<Self> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).ok()?;
        let filter = |rules: Rules, errno: i32| {
            let action = SeccompAction::Errno(errno.cast_unsigned());
            let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch);
            let program: BpfProgram = filter.and_then(BpfProgram::try_from).ok()?;
            let holds =
                |(at, instruction): (usize, &sock_filter)| (instruction.k == OWN).then_some(at);
            let own = program.iter().enumerate().filter_map(holds).collect();
            Some(Filter { program, own })
        };
        let mut filters = vec![Filter {
            program: unknown(),
            own: Vec::new(),
        }];
        filters.push(filter(refused(landlock), libc::EPERM)?);
        filters.push(filter(not_there(), libc::ENOSYS)?);
        filters.push(filter(without_effect(), 0)?);
        filters.push(filter(sockets(), libc::EAFNOSUPPORT)?);
        filters.push(filter(shared_memory(), libc::ENOMEM)?);
        Some(Self(filters))
    }

    /// Lays the filters on this process. Between fork and exec: makes calls of the system alone.
    pub fn apply(&mut self, pid: libc::pid_t) -> io::Result<()> {
        for Filter { program, own } in &mut self.0 {
            for at in own {
                program[*at].k = pid.cast_unsigned();
            }
            let program = libc::sock_fprog {
                len: program.len() as libc::c_ushort,
                filter: program.as_mut_ptr().cast(),
            };
            // SAFETY: the kernel copies the program, which is as long as it says, and whose
            // instructions have the layout of the kernel's.
            let done = unsafe {
                libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const program,
                )
            };
            if done != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}

/// Refuses, as if they were not there, calls that are newer than this list.
fn unknown() -> BpfProgram {
    let instruction = |code: u32, jt, jf, k| sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    vec![
        // The number of the call stands first.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, KNOWN),
        instruction(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned(),
        ),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

fn always(rules: &mut Rules, calls: &[libc::c_long]) {
    rules.extend(calls.iter().map(|call| (*call, Vec::new())));
}

/// Refuses `call` where all of it is so of its arguments.
fn when(rules: &mut Rules, call: libc::c_long, conditions: &[(u8, SeccompCmpOp, i32)]) {
    let condition = |(argument, is, value): &(u8, SeccompCmpOp, i32)| {
        let value = u64::from(value.cast_unsigned());
        SeccompCondition::new(*argument, Dword, is.clone(), value).expect("there are six arguments")
    };
    let rule = SeccompRule::new(conditions.iter().map(condition).collect());
    let rule = rule.expect("a rule has conditions");
    rules.entry(call).or_default().push(rule);
}

/// What a process may not do.
fn refused(landlock: u32) -> Rules {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let own = OWN.cast_signed();
    let mut rules = Rules::new();
    always(&mut rules, OF_OTHERS);
    always(&mut rules, OF_THE_SYSTEM);
    always(&mut rules, OF_FILES);
    // Signals go to this process alone. Landlock covers them from ABI 6 on.
    for call in [
        libc::SYS_kill,
        libc::SYS_tgkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
    ] {
        when(&mut rules, call, &[(0, Ne, own)]);
    }
    // A descriptor's signals, too; and pipes of a megabyte each are memory that nothing counts.
    const F_SETSIG: i32 = 10;
    const F_SETOWN_EX: i32 = 15;
    for command in [libc::F_SETOWN, F_SETOWN_EX, F_SETSIG, libc::F_SETPIPE_SZ] {
        when(&mut rules, libc::SYS_fcntl, &[(1, Eq, command)]);
    }
    // Limits and priorities are its own alone; 0 is itself.
    when(&mut rules, libc::SYS_prlimit64, &[(0, Ne, 0), (0, Ne, own)]);
    for call in [
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setaffinity,
    ] {
        when(&mut rules, call, &[(0, Ne, 0), (0, Ne, own)]);
    }
    when(
        &mut rules,
        libc::SYS_setpriority,
        &[(1, Ne, 0), (1, Ne, own)],
    );
    // Threads, and no processes.
    when(
        &mut rules,
        libc::SYS_clone,
        &[(0, MaskedEq(libc::CLONE_THREAD as u64), 0)],
    );
    // It ends with its parent.
    when(
        &mut rules,
        libc::SYS_prctl,
        &[(0, Eq, libc::PR_SET_PDEATHSIG)],
    );
    // What a terminal would be typed.
    when(
        &mut rules,
        libc::SYS_ioctl,
        &[(1, Eq, libc::TIOCSTI as i32)],
    );
    if landlock < 3 {
        always(&mut rules, &[libc::SYS_truncate]);
    }
    #[cfg(target_arch = "x86_64")]
    always(
        &mut rules,
        &[
            libc::SYS_fork,
            libc::SYS_vfork,
            libc::SYS_iopl,
            libc::SYS_ioperm,
            libc::SYS_modify_ldt,
        ],
    );
    rules
}

/// Calls on other processes.
const OF_OTHERS: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_tkill,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_ioprio_set,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semctl,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_msgget,
    libc::SYS_msgctl,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

/// Calls on the whole machine.
const OF_THE_SYSTEM: &[libc::c_long] = &[
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_vhangup,
    libc::SYS_personality,
];

/// Calls on files that Landlock does not look at: it lets a process change the owner of, read the
/// attributes of and watch what it may not open.
const OF_FILES: &[libc::c_long] = &[
    libc::SYS_fchown,
    libc::SYS_fchownat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_inotify_add_watch,
];

/// Calls that programs do without when a kernel has them not.
fn not_there() -> Rules {
    let mut rules = Rules::new();
    always(
        &mut rules,
        &[
            // Its flags stand in memory, where no filter sees them: the C library takes clone.
            libc::SYS_clone3,
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_enter,
            libc::SYS_io_uring_register,
            // Files that are in no folder: no limit counts them.
            libc::SYS_memfd_create,
            libc::SYS_memfd_secret,
            libc::SYS_execveat,
        ],
    );
    rules
}

/// Calls that Landlock does not look at, and that programs cannot do without: `fs.copyFile` of
/// Node.js ends with a chmod. They succeed, and nothing is done.
fn without_effect() -> Rules {
    /// Newer than the C library's list.
    const FCHMODAT2: libc::c_long = 452;
    let mut rules = Rules::new();
    always(
        &mut rules,
        &[
            libc::SYS_fchmod,
            libc::SYS_fchmodat,
            FCHMODAT2,
            libc::SYS_utimensat,
            libc::SYS_sync,
        ],
    );
    #[cfg(target_arch = "x86_64")]
    always(
        &mut rules,
        &[
            libc::SYS_chmod,
            libc::SYS_utime,
            libc::SYS_utimes,
            libc::SYS_futimesat,
        ],
    );
    rules
}

/// Networks, and what tells of this machine's addresses. Sockets with a path lead to any process of
/// this machine, and so does a pair of them: each can send to a path.
fn sockets() -> Rules {
    use SeccompCmpOp::{Eq, Ne};
    let mut rules = Rules::new();
    when(
        &mut rules,
        libc::SYS_socket,
        &[
            (0, Ne, libc::AF_INET),
            (0, Ne, libc::AF_INET6),
            (0, Ne, libc::AF_NETLINK),
        ],
    );
    when(
        &mut rules,
        libc::SYS_socket,
        &[(0, Eq, libc::AF_NETLINK), (2, Ne, libc::NETLINK_ROUTE)],
    );
    always(&mut rules, &[libc::SYS_socketpair]);
    rules
}

/// RLIMIT_DATA counts memory that is private alone.
fn shared_memory() -> Rules {
    let mut rules = Rules::new();
    // The bit of MAP_SHARED is in MAP_SHARED_VALIDATE, too, and not in MAP_PRIVATE.
    let shared = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    when(
        &mut rules,
        libc::SYS_mmap,
        &[(
            3,
            SeccompCmpOp::MaskedEq(u64::from(shared.cast_unsigned())),
            shared,
        )],
    );
    rules
}

/// Whether the kernel filters calls, for an architecture that is known here.
pub(super) fn is_there() -> bool {
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: asks, by a number that outlives the call, and changes nothing.
    let asked = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0,
            &raw const action,
        )
    };
    asked == 0 && TargetArch::try_from(std::env::consts::ARCH).is_ok()
}
