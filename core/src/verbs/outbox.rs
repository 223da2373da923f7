//! The book of what services outside were told of what is live, for whoever tells them.

use crate::{
    base::{
        clock,
        error::Result,
        history::{Line, Step},
        ids::ReleaseId,
        options::StepOutcome,
    },
    live::database::Live,
    store::{Store, catalog::outbox::Delivered},
};
use std::time::Duration;

/// The book of what services were told.
pub struct OutboxBook<'a> {
    live: &'a Live,
}

impl<'a> OutboxBook<'a> {
    pub(crate) fn of(live: &'a Live) -> Self {
        Self { live }
    }

    /// What a service was told.
    pub fn delivered(&self, service: &str) -> Result<Delivered> {
        Store::in_catalog(self.live, Delivered::default(), |catalog| {
            catalog.delivered(service)
        })
    }

    /// Records what a service was told, or could not be: in the log of the release, too.
    pub fn deliver(
        &self,
        service: &str,
        it: &Delivered,
        (release, message, took): (ReleaseId, &str, Duration),
    ) -> Result<()> {
        Store::in_catalog(self.live, (), |catalog| {
            catalog.deliver(service, it)?;
            let is_told = it.error.is_none();
            let outcome = if is_told {
                StepOutcome::Ok
            } else {
                StepOutcome::Warning
            };
            catalog.add_line(&Line {
                release,
                seq: 0,
                at: clock::now(),
                step: Step::Settle,
                outcome,
                message: message.to_owned(),
                object: Some(service.to_owned()),
                sql: None,
                duration_ms: took.as_secs_f64() * 1e3,
                remedy: None,
            })?;
            Ok(())
        })
    }
}
