//! A switch of live, as methods see it. Every verb that switches announces it on a socket of this
//! runtime's: the process of the release that comes is started, new calls are held, those under way
//! may end, and then live is switched.

mod gate;

use crate::{
    failure::Failure, pool::Cancel, served::Served, starter::Starter, switches::gate::Gate,
    target::of_core,
};
use remy_db::{
    ReleaseId,
    internals::{
        owner::act_as_owner_of,
        runtimes::{Announced, Answered, SUFFIX, peer},
    },
};
use rustix::net::{Shutdown, shutdown};
use serde_json::Value;
use std::{
    fs::{self, File, Permissions},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::{MetadataExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, Weak},
    thread::{self, JoinHandle},
    time::Duration,
};

pub(crate) use gate::UnderWay;

/// The most bytes of a line: of the tables of a release.
const LINE: u64 = 16 << 20;

/// How long a verb may be silent. It holds no call for that: how long it may, it says.
const SILENCE: Duration = Duration::from_secs(600);

/// How long a line to a verb may wait to be taken.
const PATIENCE: Duration = Duration::from_secs(1);

/// Follows the switches of live. Dropped, it follows none any more, and its socket is gone.
pub(crate) struct Switches {
    shared: Arc<Shared>,
    listener: UnixListener,
    socket: PathBuf,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    starter: Arc<Starter>,
    gate: Arc<Gate>,
    /// What calls of live run on.
    live: Mutex<Weak<Served>>,
    coming: Mutex<Coming>,
    started: Condvar,
    connection: Mutex<Connection>,
    /// Live's.
    owner: u32,
}

/// The release that comes.
#[derive(Default)]
struct Coming {
    next: Next,
    /// The release that is live now, as the verb says that has announced it.
    live: Option<ReleaseId>,
}

#[derive(Default)]
enum Next {
    #[default]
    Nothing,
    /// It is being started.
    Starting(ReleaseId),
    Ready(Box<Served>),
}

/// Who is listened to.
#[derive(Default)]
struct Connection {
    now: Option<UnixStream>,
    is_over: bool,
}

impl Switches {
    /// Listens in the folder `run` of live's store.
    pub fn follow(starter: Arc<Starter>, run: &Path) -> Result<Self, Failure> {
        let io = |e: io::Error| {
            let message = format!(
                "listening in {}, where switches of live are announced: {e}. No process was started",
                run.display()
            );
            Failure::new("io", 500, message)
        };
        let owner = fs::metadata(&starter.live).map_err(io)?.uid();
        let acting = act_as_owner_of(&starter.live).map_err(of_core)?;
        let (listener, socket) = listen(starter.workplace.folder(), run).map_err(io)?;
        drop(acting);
        let shared = Arc::new(Shared {
            starter,
            gate: Arc::default(),
            live: Mutex::default(),
            coming: Mutex::default(),
            started: Condvar::new(),
            connection: Mutex::default(),
            owner,
        });
        let mut switches = Self {
            shared: Arc::clone(&shared),
            listener,
            socket,
            thread: None,
        };
        let listener = switches.listener.try_clone().map_err(io)?;
        let thread = thread::Builder::new().name("remy-switches".to_owned());
        let thread = thread.spawn(move || shared.serve(&listener)).map_err(io)?;
        switches.thread = Some(thread);
        Ok(switches)
    }

    /// Begins a call of live: it is under way until what is returned is dropped. Waits while live is
    /// switched.
    pub fn begin(&self, input: &Value, cancel: &Cancel) -> Result<UnderWay, Failure> {
        self.shared.gate.enter(input, cancel)
    }

    /// How many calls wait for the end of a switch.
    pub fn held(&self) -> usize {
        self.shared.gate.held()
    }

    /// Whether calls of live may wait for a process: not while live is switched.
    pub fn may_wait(&self) -> bool {
        self.shared.gate.is_open()
    }

    /// What calls of live run on from now on.
    pub fn run_on(&self, served: &Arc<Served>) {
        *self.shared.live() = Arc::downgrade(served);
    }

    /// What was started of the live release before it was live, if it was, and is as was announced.
    pub fn take(&self) -> Option<Served> {
        let mut coming = self.shared.coming();
        while matches!(coming.next, Next::Starting(release) if coming.live == Some(release)) {
            let waited = self.shared.started.wait(coming);
            coming = waited.expect("no panic while it is held");
        }
        match std::mem::take(&mut coming.next) {
            Next::Ready(served) if served.is_as_announced() => Some(*served),
            // It is not live yet.
            other if coming.live.is_none() => {
                coming.next = other;
                None
            }
            _ => None,
        }
    }
}

impl Drop for Switches {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
        {
            let mut connection = self.shared.connection();
            connection.is_over = true;
            if let Some(now) = connection.now.take() {
                let _ = now.shutdown(std::net::Shutdown::Both);
            }
        }
        // `accept` returns by that.
        let _ = shutdown(&self.listener, Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Listens on a socket for live's owner alone, in `run`, and named as the folder `ours` is. What
/// others have left who are gone is removed.
fn listen(ours: &Path, run: &Path) -> io::Result<(UnixListener, PathBuf)> {
    for entry in fs::read_dir(run)? {
        let path = entry?.path();
        let owner = path.with_extension("");
        let is_ours = path
            .as_os_str()
            .as_encoded_bytes()
            .ends_with(SUFFIX.as_bytes());
        if is_ours && !owner.exists() {
            let _ = fs::remove_file(path);
        }
    }
    // By the descriptor of its folder: the address of a socket ends at 108 bytes.
    let folder = File::open(ours)?;
    let made = PathBuf::from(format!("/proc/self/fd/{}/socket", folder.as_raw_fd()));
    let listener = UnixListener::bind(&made)?;
    fs::set_permissions(&made, Permissions::from_mode(0o600))?;
    // In its place only now: a verb takes a socket for left behind that nobody listens at yet.
    let mut place = ours.as_os_str().to_owned();
    place.push(SUFFIX);
    fs::rename(made, &place)?;
    Ok((listener, place.into()))
}

impl Shared {
    /// Listens to one verb after the other: only one is at work at a time.
    fn serve(&self, listener: &UnixListener) {
        loop {
            let accepted = listener.accept();
            let mut connection = self.connection();
            if connection.is_over {
                return;
            }
            let Ok((verb, _)) = accepted else {
                drop(connection);
                // Too many files are open, say.
                thread::sleep(Duration::from_millis(20));
                continue;
            };
            connection.now = verb.try_clone().ok();
            drop(connection);
            let is_trusted = peer(&verb).is_ok_and(|uid| uid == self.owner || uid == 0);
            if is_trusted && verb.set_read_timeout(Some(SILENCE)).is_ok() {
                self.listen_to(&verb);
            }
            self.connection().now = None;
        }
    }

    /// Does what a verb says until it has ended.
    fn listen_to(&self, verb: &UnixStream) {
        let _ = verb.set_write_timeout(Some(PATIENCE));
        let is_live = thread::scope(|scope| {
            let mut is_live = false;
            let mut starts = None;
            let mut lines = BufReader::new(verb);
            while let Some(word) = word(&mut lines) {
                match word {
                    Announced::Comes { release, tables } if starts.is_none() => {
                        *self.coming() = Coming {
                            next: Next::Starting(release),
                            live: None,
                        };
                        let start = move || {
                            let started = self.starter.ahead(release, tables);
                            // What is wrong with it is said to its first call.
                            self.coming().next = started
                                .map_or(Next::Nothing, |served| Next::Ready(Box::new(served)));
                            self.started.notify_all();
                            say(verb, &Answered::Warm);
                        };
                        starts = Some(scope.spawn(start));
                    }
                    Announced::Switching {
                        drain_ms,
                        switch_ms,
                    } => {
                        let [drain, switch] = [drain_ms, switch_ms].map(Duration::from_millis);
                        match verb.try_clone() {
                            Ok(verb) => self.close(verb, drain, switch),
                            Err(_) => break,
                        }
                    }
                    Announced::Done { release } => {
                        self.coming().live = Some(release);
                        is_live = true;
                        break;
                    }
                    Announced::Comes { .. } | Announced::Failed => break,
                }
            }
            self.gate.open();
            is_live
        });
        if !is_live {
            let failed = std::mem::take(&mut self.coming().next);
            drop(failed);
        }
    }

    /// Holds calls of live, those too that wait for a process: nothing of them has begun.
    fn close(&self, verb: UnixStream, drain: Duration, switch: Duration) {
        self.gate.close(verb, drain, switch);
        let live = self.live().upgrade();
        if let Some(served) = live {
            served.pool.recall();
        }
    }

    fn live(&self) -> MutexGuard<'_, Weak<Served>> {
        self.live.lock().expect("no panic while it is held")
    }

    fn coming(&self) -> MutexGuard<'_, Coming> {
        self.coming.lock().expect("no panic while it is held")
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().expect("no panic while it is held")
    }
}

/// The next word of a verb. `None` where there is no more, or none that is understood.
fn word(lines: &mut BufReader<&UnixStream>) -> Option<Announced> {
    let mut line = Vec::new();
    lines.take(LINE).read_until(b'\n', &mut line).ok()?;
    serde_json::from_slice(&line).ok()
}

fn say(mut verb: &UnixStream, answer: &Answered) {
    if let Ok(mut line) = serde_json::to_vec(answer) {
        line.push(b'\n');
        // A verb that is gone needs no answer.
        let _ = verb.write_all(&line);
    }
}
