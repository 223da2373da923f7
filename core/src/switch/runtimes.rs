//! Those who run methods on live: processes that listen below the store's `run/`, a socket each.
//! What is about to be switched is announced to all of them, a line of JSON each way:
//!
//! ```text
//! verb → runtime     comes, switching, done | failed
//! runtime → verb     warm, drained
//! ```
//!
//! None of it decides anything: that old code never works on new data is the marker's work. A
//! runtime that is silent costs the verb `drain_ms`, and nothing that one says makes a verb fail.
//! The end of the connection is the end of the hold: a verb that dies holds up no call.

use crate::{
    base::{clock::Moment, error::Result, ids::ReleaseId, progress::Progress},
    live::columns,
    os::{
        folder::{self, Folder},
        sockets,
    },
    store::Store,
};
use rusqlite::Connection;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ffi::OsStr, io, os::unix::net::UnixStream, time::Duration};

/// How the name of a socket ends. Other things are in that folder, too.
pub const SUFFIX: &str = ".sock";

/// How long a caller waits at most to be heard.
const NAP: Duration = Duration::from_millis(20);

/// The most bytes that an answer has.
const ANSWER: usize = 1024;

/// The tables of a release, with the logical type of each column.
pub type TablesTold = BTreeMap<String, BTreeMap<String, String>>;

/// What a verb says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Announced {
    /// A release is about to be live: its first process can be started.
    Comes {
        /// Its number.
        release: ReleaseId,
        /// Its tables.
        tables: TablesTold,
    },
    /// Live is about to be switched: calls that come from now on are held.
    Switching {
        /// How long calls under way may take to end.
        drain_ms: u64,
        /// How long calls are held at most after that.
        switch_ms: u64,
    },
    /// The release is live.
    Done {
        /// Its number.
        release: ReleaseId,
    },
    /// It is not.
    Failed,
}

/// What a runtime says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Answered {
    /// The process of the release that comes can be called, or will not be.
    Warm,
    /// No call is under way.
    Drained {
        /// How many were.
        calls: u64,
    },
}

/// Those who run methods on live, and wait for the end of a switch.
#[must_use = "they hold calls until they are told, or this goes"]
pub(crate) struct Runtimes {
    all: Vec<Runtime>,
}

struct Runtime {
    socket: UnixStream,
    unsent: Vec<u8>,
    unread: Vec<u8>,
    heard: Heard,
    calls: u64,
}

/// What one has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Heard {
    Nothing,
    Warm,
    Drained,
    /// It is not spoken to any more.
    Gone,
}

/// What a wait has come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waited {
    pub(crate) took: Duration,
    /// How many calls were waited for.
    pub(crate) calls: u64,
    /// How many runtimes have not said that theirs have ended.
    pub(crate) silent: usize,
}

impl Runtimes {
    /// Connects to all that listen: live's owner's, and root's. A socket that nobody listens at any
    /// more is removed.
    pub(crate) fn find(store: &Store) -> Result<Self> {
        let Some(folder) = store.runtimes()? else {
            return Ok(Self { all: Vec::new() });
        };
        let mut all = Vec::new();
        for name in folder.names()? {
            all.extend(Runtime::connected(store, &folder, &name)?);
        }
        Ok(Self { all })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Has all of them start the release that comes, and hold their calls, and waits until nothing
    /// is under way: for `drain` in all, of which half at most is for the start.
    ///
    /// Fails only where the caller calls the verb off.
    pub(crate) fn hold(
        &mut self,
        release: ReleaseId,
        tables: TablesTold,
        drain: Duration,
        progress: Progress<'_>,
    ) -> Result<Waited> {
        let start = Moment::now();
        self.say(&Announced::Comes { release, tables });
        self.wait(Heard::Warm, start, drain / 2, progress)?;
        let in_ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.say(&Announced::Switching {
            drain_ms: in_ms(drain.saturating_sub(start.elapsed())),
            switch_ms: in_ms(drain),
        });
        self.wait(Heard::Drained, start, drain, progress)?;
        Ok(Waited {
            took: start.elapsed(),
            calls: self.all.iter().map(|runtime| runtime.calls).sum(),
            silent: self.waits_for(Heard::Drained),
        })
    }

    /// Tells all how the switch has ended: which release is live now, where that has changed.
    pub(crate) fn end(mut self, live: Option<ReleaseId>) {
        self.say(&match live {
            Some(release) => Announced::Done { release },
            None => Announced::Failed,
        });
    }

    fn say(&mut self, word: &Announced) {
        let Ok(mut line) = serde_json::to_vec(word) else {
            return; // numbers and texts: they are JSON
        };
        line.push(b'\n');
        for runtime in &mut self.all {
            runtime.unsent.extend_from_slice(&line);
            runtime.send();
        }
        self.all.retain(|runtime| runtime.heard != Heard::Gone);
    }

    fn waits_for(&self, heard: Heard) -> usize {
        let waits = |runtime: &&Runtime| runtime.heard < heard;
        self.all.iter().filter(waits).count()
    }

    /// Waits until all have said so much, or `most` is over since the start.
    fn wait(
        &mut self,
        heard: Heard,
        start: Moment,
        most: Duration,
        progress: Progress<'_>,
    ) -> Result<()> {
        while self.waits_for(heard) > 0 {
            progress.check()?;
            let left = most.saturating_sub(start.elapsed());
            if left.is_zero() {
                break;
            }
            let nap = Timespec::try_from(left.min(NAP)).unwrap_or_default();
            let mut at: Vec<PollFd<'_>> = self.all.iter().map(Runtime::poll).collect();
            // What fails here is tried again, until the time is over.
            let waited = poll(&mut at, Some(&nap));
            let ready: Vec<bool> = at.iter().map(|at| !at.revents().is_empty()).collect();
            if waited.is_err() {
                continue;
            }
            for (runtime, is_ready) in self.all.iter_mut().zip(ready) {
                if is_ready {
                    runtime.send();
                    runtime.hear();
                }
            }
            // An end that was seen is seen again and again.
            self.all.retain(|runtime| runtime.heard != Heard::Gone);
        }
        Ok(())
    }
}

impl Runtime {
    /// Connects to the socket of a name, where it is one to be spoken to.
    fn connected(store: &Store, folder: &Folder, name: &OsStr) -> Result<Option<Self>> {
        let is_named = name.as_encoded_bytes().ends_with(SUFFIX.as_bytes());
        let found = folder.look(name)?.filter(|_| is_named);
        // A name that somebody else has put there leads to whatever they like.
        if !found.is_some_and(|found| folder::is_socket(&found) && store.trusts(found.st_uid)) {
            return Ok(None);
        }
        let socket = match sockets::connected(folder, name)? {
            Ok(socket) => socket,
            Err(e) => {
                if e.kind() == io::ErrorKind::ConnectionRefused {
                    folder.remove(name)?;
                }
                return Ok(None);
            }
        };
        let is_trusted = sockets::peer(&socket).is_ok_and(|uid| store.trusts(uid));
        Ok(is_trusted.then_some(Self {
            socket,
            unsent: Vec::new(),
            unread: Vec::new(),
            heard: Heard::Nothing,
            calls: 0,
        }))
    }

    fn poll(&self) -> PollFd<'_> {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, !self.unsent.is_empty());
        PollFd::new(&self.socket, flags)
    }

    fn send(&mut self) {
        if sockets::send_some(&self.socket, &mut self.unsent).is_err() {
            self.heard = Heard::Gone;
        }
    }

    /// Reads what it has said. Who says what is not understood is not waited for.
    fn hear(&mut self) {
        let received = sockets::receive_some(&self.socket, &mut self.unread, ANSWER);
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Answered::Warm) => self.heard = self.heard.max(Heard::Warm),
                Ok(Answered::Drained { calls }) => {
                    self.calls = calls;
                    self.heard = self.heard.max(Heard::Drained);
                }
                Err(_) => self.heard = Heard::Gone,
            }
        }
        if received.is_err() {
            self.heard = Heard::Gone;
        }
    }
}

/// The tables of a release, as its database says.
pub(crate) fn tables(conn: &Connection) -> Result<TablesTold> {
    let mut told = TablesTold::new();
    for column in columns::declared(conn)? {
        let logical = column.logical.map_or("text", |logical| logical.name());
        told.entry(column.table)
            .or_default()
            .insert(column.name, logical.to_owned());
    }
    Ok(told)
}
