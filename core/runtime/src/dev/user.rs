//! The test user of a dev session: whoever calls there and does not say as whom.

use crate::{
    database::{
        Database,
        request::{Filter, Operation, Reply},
    },
    failure::Failure,
    protocol::AuthTable,
    users::id_in_dev,
    who::runtime,
};
use serde_json::{Map, Value};

/// What the test user signs in with, by what the auth table has a column for.
const SIGNS_IN: [(&str, &str); 2] = [("email", "remy@mindstudio.ai"), ("phone", "+15555555555")];

/// The id of the test user's row, which is made where it is not there. None where users have
/// neither an e-mail address nor a telephone number.
pub(crate) fn test_user(table: &AuthTable, database: &Database) -> Result<Option<String>, Failure> {
    let known: Vec<_> = SIGNS_IN
        .iter()
        .filter_map(|(what, value)| Some((table.columns.get(*what)?.clone(), Value::from(*value))))
        .collect();
    if known.is_empty() {
        return Ok(None);
    }
    let is_it = |(column, value): &(String, Value)| Filter::Equal(column.clone(), value.clone());
    let any = Filter::Or(known.iter().map(is_it).collect());
    let find = Operation::select(&table.table, any, Some(1));
    if let Some(id) = id_of(&database.run(&runtime(), &[find])?) {
        return Ok(Some(id));
    }
    let (_, address) = &known[0];
    let id = id_in_dev(address.as_str().unwrap_or_default());
    let id = ("id".to_owned(), Value::from(id));
    let make = Operation::Insert {
        table: table.table.clone(),
        row: known.iter().cloned().chain([id]).collect(),
    };
    Ok(id_of(&database.run(&runtime(), &[make])?))
}

/// Gives a user these roles and no other, where the app keeps roles.
pub(crate) fn give_roles(
    user: &str,
    roles: &[String],
    table: &AuthTable,
    database: &Database,
) -> Result<(), Failure> {
    let Some(column) = table.columns.get("roles") else {
        return Ok(());
    };
    let roles = Value::from(roles).to_string();
    let set: Map<String, Value> = [(column.clone(), Value::from(roles))].into_iter().collect();
    let update = Operation::Update {
        table: table.table.clone(),
        id: user.to_owned(),
        set,
    };
    database.run(&runtime(), &[update]).map(drop)
}

fn id_of(replies: &[Reply]) -> Option<String> {
    let Reply { columns, rows, .. } = replies.first()?;
    let at = columns.iter().position(|column| column == "id")?;
    rows.first()?.get(at)?.as_str().map(str::to_owned)
}
