//! As whom a call runs: who that is, and who has which role.

use crate::{
    database::{
        Caller, Database,
        request::{Filter, Operation, Reply},
    },
    failure::Failure,
    protocol::{Auth, AuthTable, RoleAssignment},
};
use remy_db::internals::sqlite::ident;
use serde_json::Value;

/// What stands before the id in a `user` column.
const MARK: &str = "@@user@@";

/// Who calls by `--as` and is nobody of the app's.
const IMPERSONATED: &str = "impersonated";

/// Who calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// The id of a row in the auth table; none is nobody.
    pub user: Option<String>,
    /// Roles for this call, in the place of the user's own.
    pub roles: Option<Vec<String>>,
}

impl Who {
    /// Cron, webhooks and e-mail.
    pub fn system() -> Self {
        Self {
            user: Some("system".to_owned()),
            roles: Some(vec!["system".to_owned()]),
        }
    }
}

/// What a call is told of its caller.
pub(crate) fn auth_of(
    who: &Who,
    table: Option<&AuthTable>,
    database: &Database,
) -> Result<Auth, Failure> {
    let user = match (&who.user, &who.roles) {
        (Some(user), _) => Some(user.strip_prefix(MARK).unwrap_or(user).to_owned()),
        (None, Some(_)) => Some(IMPERSONATED.to_owned()),
        (None, None) => None,
    };
    let mut assigned = match table {
        Some(table) => assignments(table, database)?,
        None => Vec::new(),
    };
    if let (Some(user), Some(roles)) = (&user, &who.roles) {
        assigned.retain(|of| of.user_id != *user);
        assigned.extend(roles.iter().map(|role| RoleAssignment {
            user_id: user.clone(),
            role_name: role.clone(),
        }));
    }
    Ok(Auth {
        user_id: user,
        role_assignments: assigned,
    })
}

/// Refuses a user whom the app does not have.
pub(crate) fn is_there(
    user: &str,
    table: Option<&AuthTable>,
    database: &Database,
) -> Result<(), Failure> {
    let nobody = || {
        let message = format!("there is no user {user}. Nothing was called");
        Failure::new("user_not_found", 404, message)
    };
    let table = table.ok_or_else(nobody)?;
    let is_it = Filter::Equal("id".to_owned(), user.into());
    let read = Operation::select(&table.table, is_it, Some(1));
    let replies = database.run(&runtime(), &[read])?;
    match replies.first() {
        Some(Reply { rows, .. }) if !rows.is_empty() => Ok(()),
        _ => Err(nobody()),
    }
}

/// The runtime asks for itself.
pub(crate) fn runtime() -> Caller {
    Caller {
        user: None,
        is_runtime: true,
    }
}

/// Who has a role. Of users without one nothing is read.
fn assignments(table: &AuthTable, database: &Database) -> Result<Vec<RoleAssignment>, Failure> {
    let Some(column) = table.columns.get("roles") else {
        return Ok(Vec::new());
    };
    let (roles, users) = (ident(column), ident(&table.table));
    let read = Operation::Sql {
        text: format!(
            "SELECT id, {roles} FROM {users} WHERE {roles} IS NOT NULL AND {roles} NOT IN ('', '[]')"
        ),
        params: Vec::new(),
        reads: true,
    };
    let replies = database.run(&runtime(), &[read])?;
    let rows = replies.into_iter().next().unwrap_or_default().rows;
    let of = |row: Vec<Value>| {
        let [Value::String(id), roles] = &row[..] else {
            return Vec::new();
        };
        roles_in(roles)
            .into_iter()
            .map(|role_name| RoleAssignment {
                user_id: id.clone(),
                role_name,
            })
            .collect()
    };
    Ok(rows.into_iter().flat_map(of).collect())
}

/// The roles that a column holds: a JSON list, or one as it is.
pub(crate) fn roles_in(stored: &Value) -> Vec<String> {
    let Some(text) = stored.as_str() else {
        return Vec::new();
    };
    match serde_json::from_str(text) {
        Ok(Value::Array(roles)) => roles
            .iter()
            .filter_map(|role| role.as_str().map(str::to_owned))
            .collect(),
        Ok(Value::String(role)) => vec![role],
        _ => vec![text.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::roles_in;

    #[test]
    fn roles_are_a_list_or_one() {
        for (stored, roles) in [
            (r#"["admin","ap"]"#, vec!["admin", "ap"]),
            (r#"["admin",1]"#, vec!["admin"]),
            ("admin", vec!["admin"]),
            (r#""admin""#, vec!["admin"]),
        ] {
            assert_eq!(roles_in(&stored.into()), roles, "{stored}");
        }
        assert!(roles_in(&serde_json::Value::Null).is_empty());
    }
}
