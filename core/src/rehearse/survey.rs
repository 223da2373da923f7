//! What the rows say to a plan, beside the plan, which stays as it is.

use crate::{
    base::error::{Error, Result},
    schema::plan::model::{Statement, Violations},
};

/// What the rows say to a plan.
#[derive(Debug)]
pub struct Survey {
    /// The plan's statements as they run, each with what it needs and what it takes away.
    pub statements: Vec<Statement>,
    /// What nobody has said may be done, and what the rows do not allow.
    pub refusals: Vec<Error>,
    /// The foreign keys that did not hold before. Empty where nothing is going to be checked.
    pub violations: Violations,
}

impl Survey {
    /// Fails with the first refusal, if there is one.
    pub(crate) fn allowed(mut self) -> Result<Self> {
        if self.refusals.is_empty() {
            Ok(self)
        } else {
            Err(self.refusals.swap_remove(0))
        }
    }
}
