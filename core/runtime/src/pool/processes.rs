//! The processes of one release: as many as there is work for.

use super::{
    cancel::Cancel,
    queue::Queue,
    ticket::{Ticket, Turn},
};
use crate::{
    child::{Listener, Owner, Process, Program, Service, Stage},
    failure::Failure,
    frame,
    protocol::{Call, ToChild},
};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, Weak},
    time::{Duration, Instant},
};

/// How many processes there are, and how many calls wait.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The most processes at once; each runs one call.
    pub max_processes: usize,
    /// How many stay when there is nothing to do.
    pub keep: usize,
    /// How long the others do.
    pub idle: Duration,
    /// How many calls may wait for a process.
    pub queue: usize,
    /// How long a call waits for one of the processes that are there before another one is started.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            // Most methods wait most of the time: for a service elsewhere, or the database.
            max_processes: 4.max(2 * processors),
            keep: 1,
            idle: Duration::from_secs(60),
            queue: 1000,
            // Most calls take less. To start a process takes the time of hundreds of them, and more
            // processes than processors are slower together where none of them waits.
            patience: Duration::from_millis(2),
        }
    }
}

/// What a pool is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// All processes.
    pub processes: usize,
    /// Those of them that wait to be called.
    pub free: usize,
    /// Calls that wait for a process.
    pub queued: usize,
}

/// The processes of one release.
pub struct Pool {
    shared: Arc<Shared>,
}

/// Whether a call is still to be run here, as whoever calls sees it.
pub(crate) trait Standing {
    /// Whether it may wait for a process.
    fn may_wait(&self) -> bool;

    /// Whether it may begin once it has waited.
    fn may_begin(&self) -> bool;
}

/// Here and nowhere else.
struct Always;

impl Standing for Always {
    fn may_wait(&self) -> bool {
        true
    }

    fn may_begin(&self) -> bool {
        true
    }
}

/// What became of a call.
#[derive(Debug)]
pub(crate) enum Ran {
    /// What the method returned.
    Returned(Value),
    /// It was given back before it had a process: nothing of it has begun.
    NotBegun,
}

struct Shared {
    this: Weak<Self>,
    program: Program,
    service: Arc<dyn Service>,
    settings: Settings,
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    processes: BTreeMap<u64, Arc<Process>>,
    /// Those that were told to end.
    ending: BTreeMap<u64, Arc<Process>>,
    /// Those that are called next; the last one was at work last.
    free: Vec<u64>,
    /// Those that load, or are about to be there.
    starting: BTreeSet<u64>,
    queue: Queue<Ticket>,
    next: u64,
    /// Why the last one did not start.
    failed: Option<Failure>,
    is_retired: bool,
}

impl Pool {
    /// Starts the first process, and waits until it can be called. An error where it cannot: then
    /// nothing is left of it.
    pub fn start(
        program: Program,
        settings: Settings,
        service: Arc<dyn Service>,
    ) -> Result<Self, Failure> {
        let inner = Inner {
            processes: BTreeMap::new(),
            ending: BTreeMap::new(),
            free: Vec::new(),
            starting: BTreeSet::new(),
            queue: Queue::new(),
            next: 1,
            failed: None,
            is_retired: false,
        };
        let shared = Arc::new_cyclic(|this| Shared {
            this: this.clone(),
            program,
            service,
            settings,
            inner: Mutex::new(inner),
            changed: Condvar::new(),
        });
        let pool = Self { shared };
        let number = pool.shared.lock().reserve();
        pool.shared.start(number);
        let mut inner = pool.shared.lock();
        while inner.free.is_empty() {
            if let Some(failure) = inner.failed.take() {
                return Err(failure);
            }
            inner = pool.shared.wait(inner);
        }
        drop(inner);
        Ok(pool)
    }

    /// Runs a method, and waits for its answer; from as many threads as there are.
    pub fn call(
        &self,
        call: Call,
        listener: Arc<dyn Listener>,
        cancel: &Cancel,
    ) -> Result<Value, Failure> {
        self.has(&call.method)?;
        match self.run(&Arc::new(call), &listener, cancel, &Always)? {
            Ran::Returned(output) => Ok(output),
            Ran::NotBegun => Err(closed()),
        }
    }

    /// Refuses what is no method of the release: a scenario is none.
    pub(crate) fn has(&self, method: &str) -> Result<(), Failure> {
        let program = &self.shared.program;
        if program.has(method) {
            return Ok(());
        }
        Err(program.has_not(method))
    }

    /// Runs what the processes have loaded: a method, or a scenario. The call is given back where it is not to wait or to begin, and where it
    /// waits when the pool is told to give back ([`Self::recall`]) or to end.
    pub(crate) fn run(
        &self,
        call: &Arc<Call>,
        listener: &Arc<dyn Listener>,
        cancel: &Cancel,
        standing: &dyn Standing,
    ) -> Result<Ran, Failure> {
        let frame = frame::to_child(&ToChild::Call(call)).ok_or_else(too_large)?;
        loop {
            let Some((number, process)) = self.shared.turn(&call.method, cancel, standing)? else {
                return Ok(Ran::NotBegun);
            };
            if cancel.is_set() {
                self.shared.is_free(number);
                return Err(cancelled());
            }
            // It may have ended since it was free: another one is asked.
            let Some(slot) = process.begin(call, &frame, listener) else {
                continue;
            };
            let called = process.clone();
            cancel.then(move || called.end(cancelled()));
            let answer = process.wait(&slot);
            cancel.forget();
            return answer.map(Ran::Returned);
        }
    }

    /// What it is at.
    pub fn status(&self) -> Status {
        let inner = self.shared.lock();
        Status {
            processes: inner.processes.len(),
            free: inner.free.len(),
            queued: inner.queue.len(),
        }
    }

    /// Whether a call runs or waits, or has left work behind.
    pub fn is_busy(&self) -> bool {
        let inner = self.shared.lock();
        let works = |number: &u64| !inner.free.contains(number) && !inner.starting.contains(number);
        inner.queue.len() > 0 || inner.processes.keys().any(works)
    }

    /// Takes no further calls (`closed`), and gives back those that wait: another release is live.
    /// Those that run end as they do, and each process when it has nothing left to do.
    pub fn retire(&self) {
        let mut inner = self.shared.lock();
        inner.is_retired = true;
        for number in std::mem::take(&mut inner.free) {
            inner.end(number);
        }
        drop(inner);
        self.recall();
    }

    /// Gives back the calls that wait for a process.
    pub(crate) fn recall(&self) {
        let mut inner = self.shared.lock();
        let waiting: Vec<_> = std::iter::from_fn(|| inner.queue.pop()).collect();
        drop(inner);
        for ticket in waiting {
            ticket.give(Ok(None));
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        inner.is_retired = true;
        while let Some(ticket) = inner.queue.pop() {
            ticket.give(Err(closed()));
        }
        // Whoever is about to start one sees that this is over.
        loop {
            let all = inner.processes.values().chain(inner.ending.values());
            let processes: Vec<Arc<Process>> = all.cloned().collect();
            drop(inner);
            for process in &processes {
                process.end(closed());
            }
            for process in &processes {
                process.close();
            }
            inner = self.shared.lock();
            if processes.is_empty() && inner.starting.is_empty() {
                return;
            }
            if processes.is_empty() {
                inner = self.shared.wait(inner);
            }
        }
    }
}

impl Inner {
    /// A number for a process that is about to be started.
    fn reserve(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.starting.insert(number);
        number
    }

    /// Ends one that is free.
    fn end(&mut self, number: u64) {
        if let Some(process) = self.processes.remove(&number) {
            process.end(closed());
            self.ending.insert(number, process);
        }
    }

    /// How many there are, or are about to be.
    fn count(&self) -> usize {
        let coming = |number: &&u64| !self.processes.contains_key(*number);
        self.processes.len() + self.starting.iter().filter(coming).count()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while it is held")
    }

    fn wait<'a>(&self, inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        self.changed.wait(inner).expect("no panic while it is held")
    }

    /// Waits for a process that is free, where it may.
    fn turn(&self, method: &str, cancel: &Cancel, standing: &dyn Standing) -> Turn {
        let mut inner = self.lock();
        if inner.is_retired {
            return Ok(None);
        }
        if inner.queue.len() == 0 {
            while let Some(number) = inner.free.pop() {
                if let Some(process) = inner.processes.get(&number) {
                    return Ok(Some((number, process.clone())));
                }
            }
        }
        // Under the lock: what is recalled after this is in the queue by then.
        if !standing.may_wait() {
            return Ok(None);
        }
        if inner.queue.len() >= self.settings.queue {
            return Err(overloaded(self.settings.queue));
        }
        let ticket = Arc::new(Ticket::default());
        inner.queue.push(method, ticket.clone());
        let none = inner.count() == 0;
        drop(inner);
        let (this, of, waits) = (self.this.clone(), method.to_owned(), ticket.clone());
        cancel.then(move || {
            if let Some(shared) = this.upgrade()
                && shared.lock().queue.remove(&of, &waits)
            {
                waits.give(Err(cancelled()));
            }
        });
        let patience = if none {
            Duration::ZERO
        } else {
            self.settings.patience
        };
        let turn = ticket.wait_for(patience).unwrap_or_else(|| {
            let more = self.more(&mut self.lock());
            if let Some(number) = more {
                self.start(number);
            }
            ticket.wait()
        });
        cancel.forget();
        match turn {
            Ok(Some((number, _))) if !standing.may_begin() => {
                self.is_free(number);
                Ok(None)
            }
            turn => turn,
        }
    }

    /// Whether one more is to be started, for the calls that wait.
    fn more(&self, inner: &mut Inner) -> Option<u64> {
        let waits = inner.queue.len() > inner.starting.len();
        (waits && inner.count() < self.settings.max_processes).then(|| inner.reserve())
    }

    /// Starts a process whose number was reserved.
    fn start(&self, number: u64) {
        let owner: Weak<Self> = self.this.clone();
        let started = Process::start(number, &self.program, self.service.clone(), owner);
        let started = started.map(Arc::new);
        let kept = started.and_then(|process| {
            let mut inner = self.lock();
            if inner.is_retired && inner.queue.len() == 0 {
                drop(inner);
                return Err(closed());
            }
            inner.processes.insert(number, process.clone());
            drop(inner);
            process.keep()
        });
        if let Err(why) = kept {
            self.has_ended(number, Stage::Starting, &why);
        }
    }
}

impl Owner for Shared {
    fn is_free(&self, number: u64) {
        let mut inner = self.lock();
        inner.starting.remove(&number);
        let Some(process) = inner.processes.get(&number).cloned() else {
            return;
        };
        if let Some(ticket) = inner.queue.pop() {
            drop(inner);
            ticket.give(Ok(Some((number, process))));
        } else if inner.is_retired {
            inner.end(number);
        } else {
            inner.free.push(number);
            drop(inner);
            self.changed.notify_all();
        }
    }

    fn is_idle(&self, number: u64, since: Instant) {
        let mut inner = self.lock();
        let is_free = inner.free.contains(&number);
        let too_many = inner.processes.len() > self.settings.keep;
        if is_free && too_many && since.elapsed() >= self.settings.idle {
            inner.free.retain(|other| *other != number);
            inner.end(number);
        }
    }

    fn has_ended(&self, number: u64, before: Stage, why: &Failure) {
        let mut inner = self.lock();
        let process = inner.processes.remove(&number);
        let process = process.or_else(|| inner.ending.remove(&number));
        inner.starting.remove(&number);
        inner.free.retain(|other| *other != number);
        let mut more = None;
        if before == Stage::Starting {
            inner.failed = Some(why.clone());
            // It would fail again, and others are there, or the next call tries.
            if inner.count() == 0 {
                while let Some(ticket) = inner.queue.pop() {
                    ticket.give(Err(why.clone()));
                }
            }
        } else {
            more = self.more(&mut inner);
        }
        drop(inner);
        // Not while the lock is held: it may be the last who knows the process.
        drop(process);
        if let Some(number) = more {
            self.start(number);
        }
        self.changed.notify_all();
    }
}

fn cancelled() -> Failure {
    let message = "The call was called off: whoever made it does not wait any more, or the server ends. \
                   Its process was ended; what it has written to the database stays";
    Failure::new("cancelled", 499, message)
}

fn closed() -> Failure {
    let message = "The processes of this release take no more calls: it is not live any more, or the \
                   runtime was closed. Call it again";
    Failure::new("closed", 503, message)
}

fn overloaded(most: usize) -> Failure {
    let message = format!(
        "{most} calls wait for a process already. This one was not run: call it again later, or let \
         more processes run at once (--max-processes)"
    );
    Failure::new("overloaded", 503, message)
}

fn too_large() -> Failure {
    let message = format!(
        "The input of the method is larger than {} MiB. It was not called",
        frame::TO_CHILD >> 20
    );
    Failure::new("input_too_large", 413, message)
}
