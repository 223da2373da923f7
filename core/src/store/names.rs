//! Names of dev sessions and previews.

use crate::{
    base::error::{Error, Result, State},
    store::place,
};

/// Refuses a name of a `what` that cannot be a file's.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    if place::is_name(name) {
        return Ok(());
    }
    let what = if name.is_empty() {
        format!("the name of the {what} is empty")
    } else {
        format!("{name:?} is no name for a {what}")
    };
    Err(Error::invalid_argument(what)
        .state(State::NothingDone)
        .hint("Up to 64 letters, digits, points, hyphens and underscores, beginning with a letter or digit"))
}

/// Where in a store the database of a preview stands. Refuses a name that cannot be a file's.
pub fn place_of_preview(name: &str) -> Result<String> {
    check_name("preview", name)?;
    Ok(place::preview(name))
}
