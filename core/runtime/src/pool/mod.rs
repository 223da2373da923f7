//! The processes of one release.

mod cancel;
mod processes;
mod queue;
mod ticket;

pub use cancel::Cancel;
pub use processes::{Pool, Settings, Status};
pub(crate) use processes::{Ran, Standing};
