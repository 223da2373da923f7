//! Goes on with what happens, until it is called off.

use super::Answer;
use crate::{
    failure::{Failure, Result},
    signals,
};
use std::{thread, time::Duration};

/// How often it is looked for more.
const NAP: Duration = Duration::from_millis(200);

/// Looks for more again and again.
pub(super) fn follow(mut look: impl FnMut() -> Result<()>) -> Result<Answer> {
    loop {
        if let Some(signal) = signals::called_off() {
            return Err(Failure::CalledOff(signal));
        }
        thread::sleep(NAP);
        look()?;
    }
}
