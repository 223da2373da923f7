//! How a release comes about.

mod change;
pub(crate) mod context;
pub(crate) mod declaration;
pub(crate) mod drift;
pub(crate) mod finish;
pub(crate) mod known;
pub(crate) mod making;
pub(crate) mod outcome;
pub(crate) mod planning;
pub(crate) mod preview;
pub(crate) mod reading;
mod recover;
pub(crate) mod rehearsal;
pub(crate) mod restore;
pub(crate) mod retention;
pub(crate) mod rows_lost;
pub(crate) mod run;
pub(crate) mod seen;
pub(crate) mod session;
mod settle;
pub(crate) mod staged;
pub(crate) mod standing;
pub(crate) mod unchanged;
mod virtual_rows;
