//! The dev server of a web interface: a program of the app's own, in the working tree, which shows
//! pages as they are there.

use super::folder::{Follow, Project, Result};
use crate::{
    AppError, Type,
    build::{
        Cancel,
        cache::read as json,
        changes::Changes,
        disk, environment, listening, path,
        run::{self, Failed, Program, Ran},
        sdk,
        tools::{TOOLS, Tool, WITHOUT_LOCK},
        web::{DevCommand, dev_command},
        workspaces::within,
    },
    place,
};
use remy_db::internals::typescript::Fault;
use rustix::process::Pid;
use serde_json::Value;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How often it is looked where the program listens, until it does; and whether it is elsewhere, then.
const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_secs(2);

/// How long the port that is named is waited for, where the program listens on another.
const BESIDE: Duration = Duration::from_secs(1);

/// How many lines of what the program has said are told when it ends.
const LAST: usize = 12;

/// What shows the pages of a dev session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// What is built: the web interface has no dev server.
    Built,
    /// Nothing yet: packages of this folder are installed.
    Installs(String),
    /// Nothing yet: this command has been started.
    Starts(String),
    /// A dev server, which listens there.
    By(SocketAddr),
    /// Nothing, and why. It is tried again when a file changes.
    Ended(String),
}

impl Project {
    /// Keeps the dev server of the app's web interface at work until the caller calls it off, and
    /// tells what shows the pages. One that has ended is started again when a file of the app changes.
    ///
    /// Fails with `io` where the folder cannot be watched.
    pub fn dev_server(&self, tell: &(dyn Fn(Shown) + Sync), follow: Follow<'_>) -> Result<()> {
        let cancel = follow.cancel();
        let Some(root) = self.place.root.as_deref() else {
            return Ok(());
        };
        while !cancel.is_set() {
            match self.shown(root, tell, cancel) {
                _ if cancel.is_set() => break,
                Ok(shown) => shown.into_iter().for_each(tell),
                Err(e) => tell(Shown::Ended(e.to_string())),
            }
            Changes::watch(root, &self.place.path)?.wait(None, cancel)?;
        }
        Ok(())
    }

    /// Runs the dev server, if there is one, until it ends. Nothing, where the app is declared wrongly,
    /// which its build tells: what was shown before still is.
    fn shown(
        &self,
        root: &Path,
        tell: &(dyn Fn(Shown) + Sync),
        cancel: Cancel<'_>,
    ) -> Result<Option<Shown>> {
        let _acting = self.act(Some(root))?;
        let Ok(app) = crate::read(root, None) else {
            return Ok(None);
        };
        let mut web = app.interfaces.iter();
        let web = web.find(|it| it.kind == Type::Web && it.enabled);
        let Some(command) = web.and_then(|web| dev_command(root, web)) else {
            return Ok(Some(Shown::Built));
        };
        let work = Work {
            root,
            command: &command,
            variables: environment::with_a_home(&place::own_folder(root)?.join("cache")),
            tell,
            cancel,
        };
        work.install()?;
        let ran = work.run()?;
        Ok(Some(Shown::Ended(match ran {
            None => format!("{} needs sh, which is not on this machine", command.command),
            Some(ran) => ended(&command.command, &ran),
        })))
    }
}

/// Why a program shows nothing any more.
fn ended(command: &str, ran: &Ran) -> String {
    let lines: Vec<&str> = ran.output.lines().map(str::trim_end).collect();
    let lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LAST)..];
    let how = ran.how();
    let again = "It is started again when a file of the app changes";
    match last {
        [] => format!("{command} {how}. {again}"),
        last => format!(
            "{command} {how}. {again}. It said last:\n{}",
            last.join("\n")
        ),
    }
}

/// A dev server that is to run.
struct Work<'a> {
    root: &'a Path,
    command: &'a DevCommand,
    variables: environment::Environment,
    tell: &'a (dyn Fn(Shown) + Sync),
    cancel: Cancel<'a>,
}

impl Work<'_> {
    /// Installs the project's packages in the working tree, where nobody has, and puts the SDK beside
    /// them, where it is not there.
    fn install(&self) -> Result<()> {
        let folder = &self.command.folder;
        let manifest = within(folder, "package.json");
        let wanted: Value = json(&self.root.join(&manifest)).unwrap_or_default();
        let asks = ["dependencies", "devDependencies"]
            .iter()
            .any(|kind| wanted[kind].as_object().is_some_and(|all| !all.is_empty()));
        if !asks {
            return Ok(());
        }
        let around = || {
            std::iter::once(folder.as_str())
                .chain(path::folders_above(folder).filter(|above| above != folder))
        };
        let packages = |of: &str| self.root.join(of).join("node_modules");
        if !around().any(|of| packages(of).is_dir()) {
            let of_lock = around().find_map(|of| {
                let is_there = |tool: &&Tool| self.root.join(of).join(tool.lock).is_file();
                Some((of, TOOLS.iter().find(is_there)?))
            });
            let (at, tool) = of_lock.unwrap_or((folder, &WITHOUT_LOCK));
            (self.tell)(Shown::Installs(at.to_owned()));
            self.run_tool(at, tool, &manifest)?;
        }
        let is_above = around()
            .skip(1)
            .any(|of| packages(of).join(sdk::INTERFACE).is_dir());
        let at = self.root.join(folder);
        // What vite has made of an earlier one it would not make again.
        if !is_above && sdk::lend(&at)? {
            disk::remove(&packages(folder).join(".vite"))?;
        }
        Ok(())
    }

    fn run_tool(&self, at: &str, tool: &Tool, manifest: &str) -> Result<()> {
        let mut variables = self.variables.clone();
        let more = tool.variables.iter();
        variables.extend(more.map(|(name, value)| (name.into(), value.into())));
        let arguments = [tool.arguments, tool.flags].concat();
        let folder = self.root.join(at);
        let program = tool.program;
        let ran = run::run(program, &arguments, &folder, &variables, self.cancel)?;
        let Some(ran) = ran else {
            let message = format!("needs {program}, which is not on this machine. Install it");
            let fault = Fault::of_file(manifest, message);
            return Err(AppError::does_not_build(vec![fault]));
        };
        if ran.is_well() {
            return Ok(());
        }
        Err(ran.fault(&Failed {
            file: manifest,
            pointer: "",
            program: &format!("{program} {}", tool.arguments.join(" ")),
            tree: self.root,
            before: "",
        }))
    }

    /// Runs the command until it ends, and tells where it listens.
    fn run(&self) -> Result<Option<Ran>> {
        let command = self.command;
        (self.tell)(Shown::Starts(command.command.clone()));
        let program = Program {
            name: "sh",
            arguments: &["-c", &command.command],
            at: &self.root.join(&command.folder),
            variables: &self.variables,
        };
        let is_over = &AtomicBool::new(false);
        thread::scope(|threads| {
            let on_start = |process: Pid| {
                threads.spawn(move || self.follow(process, is_over));
            };
            let ran = run::follow(&program, self.cancel, &on_start);
            is_over.store(true, Ordering::SeqCst);
            ran
        })
    }

    /// Tells where a process listens, and where else it does later.
    fn follow(&self, process: Pid, is_over: &AtomicBool) {
        let mut told = None;
        let mut first: Option<Instant> = None;
        let mut nap = Duration::ZERO;
        while !is_over.load(Ordering::SeqCst) {
            // The end is not waited for longer than is noticed.
            if nap.is_zero() {
                let found = place_of(&listening::addresses(process), self.command.port);
                // Another port than the one that is named may be that of something beside it.
                let is_named = |at: SocketAddr| self.command.port.is_none_or(|it| it == at.port());
                let is_it = found.is_some_and(|at| {
                    is_named(at) || first.get_or_insert_with(Instant::now).elapsed() >= BESIDE
                });
                if is_it && found != told {
                    told = found;
                    found.into_iter().for_each(|at| (self.tell)(Shown::By(at)));
                }
                nap = if told.is_some() { LATER } else { SOON };
            }
            let turn = nap.min(SOON);
            thread::sleep(turn);
            nap -= turn;
        }
    }
}

/// Which of the places a process listens at is the dev server: the port that it is said to have, else
/// the lowest.
fn place_of(all: &[SocketAddr], port: Option<u16>) -> Option<SocketAddr> {
    let rank = |at: &&SocketAddr| (Some(at.port()) != port, at.port(), at.is_ipv6());
    let mut found = *all.iter().min_by_key(rank)?;
    match found.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => found.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => found.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_places_it_is_the_port_that_is_named() {
        let all: Vec<SocketAddr> = ["[::]:24678", "0.0.0.0:5174", "[::1]:5174"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let of = |port| place_of(&all, port).unwrap().to_string();
        assert_eq!(of(None), "127.0.0.1:5174");
        assert_eq!(of(Some(5173)), "127.0.0.1:5174");
        assert_eq!(of(Some(24678)), "[::1]:24678");
        assert_eq!(place_of(&[], Some(1)), None);
    }
}
