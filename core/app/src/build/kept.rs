//! What a build leaves at hand for the next one of the same process: whoever follows a working tree
//! builds again and again, and most of a small build is what has to be started for it.

use super::{
    Cancel, Result,
    esbuild::{Service, program},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// At hand for the next build. Nothing of it says what is built: without it the same is built, later.
#[derive(Debug, Default)]
pub struct Kept {
    /// esbuild, with the program that it is of.
    service: Option<(PathBuf, Service)>,
    /// Files that a compiler can read as deep as they are nested, by their paths and hashes.
    pub(super) not_too_deep: BTreeSet<(String, String)>,
}

impl Kept {
    /// Does `work` with a process of esbuild's, which stays for the next build. One that has failed is
    /// of no more use, and goes.
    pub(super) fn with_service<T>(
        &mut self,
        program: &Path,
        cancel: Cancel<'_>,
        work: impl FnOnce(&mut Service) -> Result<T>,
    ) -> Result<T> {
        let at_hand = self.service.take();
        let at_hand = at_hand.filter(|(of, _)| of == program);
        let at_hand = at_hand.and_then(|(_, mut service)| service.is_alive().then_some(service));
        let mut service = match at_hand {
            Some(service) => service,
            None => Service::start(program, program::VERSION, cancel)?,
        };
        let done = work(&mut service)?;
        self.service = Some((program.to_owned(), service));
        Ok(done)
    }
}
