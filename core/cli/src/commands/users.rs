//! The users of the app that is live.

use super::{Answer, Context, owner};
use crate::{
    arguments::Users as Given,
    failure::Result,
    show::table::{Table, text},
};
use remy_db_runtime::users::{User, list};

/// How many are listed where nobody says how many.
const LISTED: u32 = 1000;

pub(super) fn users(at: &Context<'_>, given: &Given) -> Result<Answer> {
    let project = at.project()?;
    owner::become_owner(&project)?;
    let all = list(&project.place().path, given.limit.unwrap_or(LISTED))?;
    if all.is_empty() {
        return Answer::of(&all, vec!["No user: nobody has signed in yet".to_owned()]);
    }
    let mut table = Table::new(["ID", "EMAIL", "PHONE", "ROLES", "SINCE"].map(text));
    for user in &all {
        table.row(cells(user));
    }
    Answer::of(&all, table.lines(at.room()))
}

fn cells(user: &User) -> [String; 5] {
    [
        user.id.clone(),
        user.email.clone().unwrap_or_default(),
        user.phone.clone().unwrap_or_default(),
        user.roles.join(", "),
        user.created_at.clone().unwrap_or_default(),
    ]
}
