//! The program's end: hears what it is to do, does it, and says what came of it.

use crate::{
    frame::{self, Frame, Incoming, Kind, malformed},
    protocol::{Call, Failed, Hello, On, Schema, read, write},
    spawn,
    verb::Verb,
};
use remy_db::{
    Error, Object, Place, Remy, Result, State, become_owner_of,
    client::{self, Features},
    internals::{declare::Source, owner::forget_environment},
};
use remy_db_app::project::{self, Follow, Project, Readers, Told};
use std::{
    collections::BTreeSet,
    ffi::{CStr, CString, OsString, c_char, c_int},
    fs,
    os::fd::BorrowedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

/// Whether the verb is called off: by the host, by its end, or by a signal.
static CANCEL: AtomicBool = AtomicBool::new(false);

/// The program. `entry.c`, which the shared libraries alone are linked with, calls it.
///
/// # Safety
/// As C's `main`: `argv` has `argc` texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remy_helper_main(
    argc: c_int,
    argv: *const *const c_char,
    _environment: *const *const c_char,
) -> c_int {
    let count = usize::try_from(argc).unwrap_or_default();
    // SAFETY: this function's contract.
    let arguments = unsafe {
        slice::from_raw_parts(argv, count)
            .iter()
            .map(|argument| CStr::from_ptr(*argument).to_owned())
    };
    end(&Vec::from_iter(arguments.skip(1)))
}

/// The program, where another one is it as well: `arguments` are those of its process, without its
/// name. Returns where they are not those of a helper that somebody speaks to.
pub fn main_of(arguments: &[OsString]) {
    let text = |argument: &OsString| CString::new(argument.as_encoded_bytes()).unwrap_or_default();
    let arguments = Vec::from_iter(arguments.iter().map(text));
    if arguments
        .first()
        .is_some_and(|first| **first == *spawn::HELPS)
        && is_socket(0)
    {
        end(&arguments);
    }
}

fn end(arguments: &[CString]) -> ! {
    let status = catch_unwind(|| main(arguments)).unwrap_or(101);
    // SAFETY: ends the process. Nothing waits to be written, and the thread that listens would not
    // end.
    unsafe { libc::_exit(status) }
}

fn main(arguments: &[CString]) -> c_int {
    signals();
    let has = |wanted: &CStr| arguments.iter().any(|argument| **argument == *wanted);
    if has(spawn::BY_3) && is_socket(3) {
        // SAFETY: numbers of descriptors; 3 is nobody's here but its starter's.
        unsafe {
            libc::dup2(3, 0);
            libc::dup2(3, 1);
            libc::close(3);
        }
    }
    let follows = has(spawn::FOLLOWS);
    if !is_socket(0) {
        eprintln!(
            "This is remy {}, a library. Load it: into SQLite as an extension, into a program by its C interface, or into Node.js. It is also the \
             program that does its work, which it starts itself.",
            remy_db::VERSION
        );
        return 2;
    }
    let host = Host {
        // SAFETY: 0 is the socket, and stays open as long as the process; so does the other, where
        // an argument says that it is there.
        socket: unsafe { BorrowedFd::borrow_raw(0) },
        // SAFETY: as above.
        process: follows.then(|| unsafe { BorrowedFd::borrow_raw(spawn::HOST) }),
        waiting: Mutex::default(),
    };
    close_for_programs(follows);
    let Ok(hello) = write(&Hello::of_this()) else {
        return 1;
    };
    host.last(Kind::Hello, &hello);
    let mut incoming = Incoming::default();
    let done = match host.next(&mut incoming) {
        Ok(Some(Frame {
            kind: Kind::Call,
            text,
            ..
        })) => read(&text, "a call").and_then(|call| host.run(&call, incoming)),
        Ok(Some(_)) => Err(malformed("something else than a call")),
        Ok(None) => return 0,
        Err(e) => Err(e),
    };
    match done {
        Ok(Done::Result(json)) => host.last(Kind::Result, &json),
        Ok(Done::NotHere(why)) => host.last(Kind::NotHere, &why),
        Err(e) => host.fail(&e),
    }
    0
}

/// What the host says to the schemas that it is asked about.
type Answers = Mutex<mpsc::Receiver<String>>;

/// How a verb ended that has no error.
enum Done {
    Result(String),
    NotHere(String),
}

/// The process that has started this one.
struct Host {
    socket: BorrowedFd<'static>,
    process: Option<BorrowedFd<'static>>,
    /// What was begun to be sent, and did not fit.
    waiting: Mutex<Vec<u8>>,
}

impl Host {
    fn run(&self, call: &Call, incoming: Incoming) -> Result<Done> {
        let (answers, answered) = mpsc::channel();
        let answered = Mutex::new(answered);
        let (socket, process) = (self.socket, self.process);
        // It listens as long as the process lives.
        let listens = thread::Builder::new()
            .name("remy-host".to_owned())
            .spawn(move || listen(socket, process, incoming, &answers));
        if let Err(e) = listens {
            return Ok(Done::NotHere(format!("no thread could be made: {e}")));
        }
        catch_unwind(AssertUnwindSafe(|| self.work(call, &answered)))
            .unwrap_or_else(|panic| Err(Error::of_panic(panic.as_ref())))
    }

    /// Does what is to be done, and closes all that it opened.
    fn work(&self, call: &Call, answered: &Answers) -> Result<Done> {
        match &call.on {
            On::Host {
                verb,
                place,
                features,
            } => self.work_for_host((verb, place), features.as_ref(), call.lines, answered),
            On::Path { verb, path } => self.work_for_node(call.lines, answered, |follow| {
                verb.check()?;
                let done = follow.with(|progress| verb.run(&Remy::open(path)?, progress));
                Ok(done?)
            }),
            On::Project { call: of, place } => self.work_for_node(call.lines, answered, |follow| {
                let project = Project::at(place.clone(), |path| Remy::open(path));
                of.run(&project, follow)
            }),
        }
    }

    /// A verb on a database that a host of SQL or C has open.
    fn work_for_host(
        &self,
        (verb, place): (&Verb, &Place),
        features: Option<&Features>,
        lines: bool,
        answered: &Answers,
    ) -> Result<Done> {
        if let Some(why) = out_of_reach(&place.path) {
            return Ok(Done::NotHere(why));
        }
        if !verb.has_files_of_the_caller()? {
            become_owner_of(place.path.as_ref(), place.file, forget_environment)?;
        }
        let remy = Remy::at(place)?;
        let engine = features.map(|_| Features::here()).transpose()?;
        if let Some((host, engine)) = features.zip(engine.as_ref())
            && let Some(name) = wants_its_host(verb, &host.beyond(engine), &remy)?
        {
            return Ok(Done::NotHere(format!(
                "the SQLite of this process has {name}, which the schema may use, and the embedded one has not"
            )));
        }
        let readers = |objects: &[Object]| match &engine {
            Some(engine) => {
                let (objects, engine) = (objects.to_vec(), engine.clone());
                self.ask(&write(&Schema { objects, engine })?, answered)
            }
            None => self.ask("", answered),
        };
        let asked: Option<Readers<'_>> = (lines || engine.is_some()).then_some(&readers);
        let on_line = |told: &Told<'_>| self.told(lines, told);
        let follow = Follow::new(&on_line, &CANCEL).asking(asked);
        let done = match verb.app()? {
            Some(root) => verb.run_whole(&root, place, follow),
            None => follow.with(|progress| verb.run(&remy, progress)),
        };
        done.map(Done::Result)
    }

    /// A verb of Node.js': what came of it has an app's faults, where there are any.
    fn work_for_node(
        &self,
        lines: bool,
        answered: &Answers,
        work: impl FnOnce(Follow<'_>) -> project::Result<String>,
    ) -> Result<Done> {
        let readers = |_: &[Object]| self.ask("", answered);
        let asked: Option<Readers<'_>> = lines.then_some(&readers);
        let on_line = |told: &Told<'_>| self.told(lines, told);
        let follow = Follow::new(&on_line, &CANCEL).asking(asked);
        project::told(|| work(follow)).map(Done::Result)
    }

    /// Sends a line where the host wants them.
    fn told(&self, lines: bool, told: &Told<'_>) {
        if let (true, Ok(text)) = (lines, write(told)) {
            self.line(&text);
        }
    }

    /// Asks the host whether a schema may go live, which its SQLite is to read. Without one, what it
    /// has to say to the lines that it was sent it says before it answers.
    fn ask(&self, schema: &str, answered: &Answers) -> Result<()> {
        self.last(Kind::Schema, schema);
        let answered = answered.lock().unwrap_or_else(PoisonError::into_inner);
        match answered.recv().as_deref() {
            Ok("") => Ok(()),
            Ok(failed) => Err(read::<Failed>(failed, "an answer")?.error()),
            Err(_) => Err(Error::called_off().state(State::LiveUnchanged)),
        }
    }

    /// Sends a line of the log, or leaves it out: a host that has been stopped (Ctrl-Z) reads
    /// nothing, and must not keep a verb waiting that holds a lock.
    fn line(&self, text: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() {
            waiting.extend(frame::frame(Kind::Line, text).unwrap_or_default());
        }
        let sent = frame::send(self.socket, &waiting).unwrap_or(waiting.len());
        waiting.drain(..sent);
    }

    /// Sends what the host waits for.
    fn last(&self, kind: Kind, text: &str) {
        let Some(bytes) = frame::frame(kind, text) else {
            return self.fail(
                &Error::internal(format!(
                    "the result has {} bytes, and {} is the most",
                    text.len(),
                    frame::LIMIT
                ))
                .state("The verb was done"),
            );
        };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(bytes);
        // Where nobody is there any more, nobody waits.
        let _ = frame::send_all(self.socket, self.process, &waiting);
        waiting.clear();
    }

    fn fail(&self, e: &Error) {
        if let Ok(text) = write(&Failed::new(e)) {
            self.last(Kind::Error, &text);
        }
    }

    /// The next frame; `None` where the host is gone.
    fn next(&self, incoming: &mut Incoming) -> Result<Option<Frame>> {
        next(self.socket, self.process, incoming)
    }
}

fn next(
    socket: BorrowedFd<'_>,
    process: Option<BorrowedFd<'_>>,
    incoming: &mut Incoming,
) -> Result<Option<Frame>> {
    loop {
        if let Some(frame) = incoming.next()? {
            return Ok(Some(frame));
        }
        if incoming.has_ended() {
            return Ok(None);
        }
        let (_, is_gone) = frame::wait(socket, libc::POLLIN, process, None);
        let taken = incoming.take(socket);
        taken.map_err(|e| malformed(&format!("nothing more: {e}")))?;
        if is_gone {
            return Ok(None);
        }
    }
}

/// Hears what the host says while a verb runs. Whatever it is that is no answer, the verb is called
/// off.
fn listen(
    socket: BorrowedFd<'_>,
    process: Option<BorrowedFd<'_>>,
    mut incoming: Incoming,
    answers: &mpsc::Sender<String>,
) {
    while let Ok(Some(Frame {
        kind: Kind::Answer,
        text,
        ..
    })) = next(socket, process, &mut incoming)
    {
        let _ = answers.send(text);
    }
    CANCEL.store(true, Ordering::Relaxed);
    // The host waits for the end, or is gone; who waits for its answer hears of that by the sender.
}

/// Why the database is not to be had here, where its host may have it: a capability that `execve`
/// has taken.
fn out_of_reach(path: &str) -> Option<String> {
    let c_path = CString::new(path).ok()?;
    let mode = libc::R_OK | libc::W_OK;
    // SAFETY: the path ends in NUL. Nothing is opened.
    let code = unsafe { libc::faccessat(libc::AT_FDCWD, c_path.as_ptr(), mode, libc::AT_EACCESS) };
    let why = std::io::Error::last_os_error();
    (code != 0 && why.kind() == std::io::ErrorKind::PermissionDenied)
        .then(|| format!("another process of this user may not read and write {path}"))
}

/// The first of what the host's SQLite has `beyond` the engine that the schema may use.
fn wants_its_host(verb: &Verb, beyond: &BTreeSet<String>, remy: &Remy) -> Result<Option<String>> {
    if beyond.is_empty() {
        return Ok(None);
    }
    let declared = declared(verb)?;
    let declared = declared.iter().find_map(|sql| client::uses(sql, beyond));
    declared.map_or_else(|| remy.uses(beyond), |name| Ok(Some(name)))
}

/// The SQL that a verb is given. What cannot be read is its own to say.
fn declared(verb: &Verb) -> Result<Vec<String>> {
    let text = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut all = Vec::new();
    match verb.schema().map(Source::of) {
        Some(Source::Sql(sql)) => all.push(sql),
        Some(Source::SqlFile(path)) => all.extend(text(path).ok()),
        _ => {}
    }
    let migrations = verb.options()?.migrations;
    let files = migrations.map(fs::read_dir).into_iter().flatten().flatten();
    let files = files.flatten().map(|entry| entry.path());
    let sql = files.filter(|path| path.extension().is_some_and(|end| end == "sql"));
    all.extend(sql.filter_map(|path| text(path).ok()));
    Ok(all)
}

/// The signals of a program that has just begun: `execve` keeps what its host had ignored and
/// blocked. Who ends this process by a signal calls the verb off: systemd does so to all that
/// belong to a service.
fn signals() {
    extern "C" fn cancel(_signal: c_int) {
        CANCEL.store(true, Ordering::Relaxed);
    }
    extern "C" fn nothing(_signal: c_int) {}
    // SAFETY: no other thread is there yet. The handler stores one flag.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL); // some are not to be set, and are as they should be
        }
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::signal(signal, cancel as extern "C" fn(c_int) as libc::sighandler_t);
        }
        // Stopped, it would hold a write lock. Handlers, as programs of a build would keep what is
        // ignored.
        for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            libc::signal(
                signal,
                nothing as extern "C" fn(c_int) as libc::sighandler_t,
            );
        }
    }
    spawn::block(0);
}

/// Keeps the socket and the host's process from programs that a build starts: one that stayed would
/// hold the socket open, or speak in this one's place.
fn close_for_programs(follows: bool) {
    let descriptors = [0, 1, spawn::HOST];
    for descriptor in &descriptors[..if follows { 3 } else { 2 }] {
        // SAFETY: sets a flag of a descriptor of this process.
        unsafe { libc::fcntl(*descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Whether a descriptor is a socket: somebody has started this who speaks to it.
fn is_socket(descriptor: c_int) -> bool {
    let (mut kind, mut length) = (0, size_of::<c_int>() as libc::socklen_t);
    // SAFETY: an int is asked for, and there is room for one.
    unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_TYPE,
            (&raw mut kind as *mut c_int).cast(),
            &raw mut length,
        ) == 0
    }
}
