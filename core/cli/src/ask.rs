//! A question to whoever sits at the terminal.

use crate::{
    failure::{Result, usage},
    screen, stdin,
};

/// Whether somebody is there to answer.
pub fn somebody() -> bool {
    stdin::is_terminal()
}

/// Fails unless the answer is yes.
pub fn ask(question: &str) -> Result<()> {
    screen::say(&format!("{question} [y/N] "));
    let answer = stdin::line()?;
    if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Err(usage("it was not confirmed. Nothing was done"));
    }
    Ok(())
}
