//! The users of an app, for who signs them in: rows of its auth table. They are data of the app's and
//! roll back with it; what they sign in with is written here alone.

use crate::{
    app::App,
    database::{
        self, Database,
        request::{Operation, Reply},
    },
    failure::Failure,
    protocol::AuthTable,
    target::{self, Target, no_release, of_core},
    who::{roles_in, runtime},
};
use remy_db::{Remy, internals::sqlite::ident};
use remy_db_app::place::store_beside;
use serde::Serialize;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, path::Path};

/// What a user is known by to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
}

impl By {
    /// Its name in the auth table's columns.
    pub fn column(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }

    /// What an app calls signing in by it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Email => "email-code",
            Self::Phone => "sms-code",
        }
    }
}

/// What an app calls having keys.
pub const API_KEY: &str = "api-key";

/// A user, as pages are told of one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Of the row.
    pub id: String,
    /// The address.
    pub email: Option<String>,
    /// The telephone number.
    pub phone: Option<String>,
    /// The ids of roles.
    pub roles: Vec<String>,
    /// The user's key, of which most is hidden.
    pub api_key: Option<String>,
    /// When the row was made, as ISO 8601 has it.
    pub created_at: Option<String>,
}

/// The users of the app that is live, those who were there first at the beginning, `most` at most.
///
/// Fails with `no_release` where nothing is live, with `not_supported` (400) where nobody signs in to
/// the app, and as the database does.
pub fn list(live: &Path, most: u32) -> Result<Vec<User>, Failure> {
    let remy = Remy::open(live).map_err(of_core)?;
    let store = store_beside(Path::new(&remy.place().path)).ok_or_else(no_release)?;
    let found = target::find(&Target::Live, &remy, &store, &store)?;
    let app = App::read(&found.kept, "what is live")?;
    let settings = database::Settings {
        auth: app.auth.clone(),
        ..database::Settings::new(found.bound)
    };
    let database = Database::open(&found.place, settings).map_err(of_core)?;
    Users::new(app.auth.as_ref(), &database, &app.signs_in)?.all(most)
}

/// The users of an app.
pub struct Users<'a> {
    table: &'a AuthTable,
    database: &'a Database,
    signs_in: &'a BTreeSet<String>,
    is_dev: bool,
}

impl<'a> Users<'a> {
    pub(crate) fn new(
        table: Option<&'a AuthTable>,
        database: &'a Database,
        signs_in: &'a BTreeSet<String>,
    ) -> Result<Self, Failure> {
        let table = table.ok_or_else(|| not_supported("nobody signs in to this app"))?;
        Ok(Self {
            table,
            database,
            signs_in,
            is_dev: false,
        })
    }

    /// The same of a dev session: whoever is made a user again is it by the same id.
    pub(crate) fn in_dev(self, is_dev: bool) -> Self {
        Self { is_dev, ..self }
    }

    /// Fails with `not_supported` (400) where the app does not sign in by this, or has no column for
    /// it.
    pub fn check(&self, method: &str, column: &str) -> Result<(), Failure> {
        if self.signs_in.contains(method) && self.table.columns.contains_key(column) {
            return Ok(());
        }
        Err(not_supported(&format!("this app has no {method}")))
    }

    /// The user of an id.
    pub fn get(&self, id: &str) -> Result<Option<User>, Failure> {
        self.find("id", "= ?", id)
    }

    /// Those of some ids who are there.
    pub fn those(&self, ids: &[&str]) -> Result<Vec<User>, Failure> {
        let places = vec!["?"; ids.len()].join(", ");
        let ids = ids.iter().map(|id| Value::from(*id)).collect();
        self.read(&format!("WHERE id IN ({places})"), ids)
    }

    /// The user of an address or a number. An address is the same in any letter case.
    pub fn by(&self, by: By, value: &str) -> Result<Option<User>, Failure> {
        let Some(column) = self.table.columns.get(by.column()) else {
            return Ok(None);
        };
        match (self.find(column, "= ?", value)?, by) {
            (None, By::Email) => self.find(column, "= ? COLLATE NOCASE", value),
            (found, _) => Ok(found),
        }
    }

    /// Makes a user who is known by this.
    pub fn make(&self, by: By, value: &str) -> Result<User, Failure> {
        self.check(by.method(), by.column())?;
        let column = &self.table.columns[by.column()];
        let mut row = Map::from_iter([(column.clone(), Value::from(value))]);
        if self.is_dev {
            row.insert("id".to_owned(), id_in_dev(value).into());
        }
        let make = Operation::Insert {
            table: self.table.table.clone(),
            row,
        };
        let replies = self.database.run(&runtime(), &[make])?;
        let id = replies.first().and_then(id_of);
        let made = id.map(|id| self.get(&id)).transpose()?.flatten();
        made.ok_or_else(|| Failure::new("internal", 500, "the user that was made is not there"))
    }

    /// A user who was there, and is to be there still, as they are now: who has the address by now,
    /// else the row that is made again as it was.
    pub fn again(&self, user: &User) -> Result<User, Failure> {
        if let Some(found) = self.get(&user.id)? {
            return Ok(found);
        }
        for (by, value) in [(By::Email, &user.email), (By::Phone, &user.phone)] {
            if let Some(value) = value
                && let Some(found) = self.by(by, value)?
            {
                return Ok(found);
            }
        }
        // As it is kept: text.
        let roles = Value::from(user.roles.clone()).to_string();
        let known = [
            ("email", user.email.as_deref()),
            ("phone", user.phone.as_deref()),
            ("roles", Some(roles.as_str())),
        ];
        let mut row = Map::from_iter([("id".to_owned(), Value::from(user.id.as_str()))]);
        for (what, value) in known {
            if let (Some(column), Some(value)) = (self.table.columns.get(what), value) {
                row.insert(column.clone(), value.into());
            }
        }
        let make = Operation::Insert {
            table: self.table.table.clone(),
            row,
        };
        self.database.run(&runtime(), &[make])?;
        Ok(user.clone())
    }

    /// Sets what a user is known by, or the part of the key that is shown: `email`, `phone`, `apiKey`.
    /// The user as it is then; none where there is none.
    pub fn set(&self, id: &str, what: &str, value: Option<&str>) -> Result<Option<User>, Failure> {
        let column = self.table.columns.get(what);
        let column = column.ok_or_else(|| not_supported(&format!("users have no {what}")))?;
        let update = Operation::Update {
            table: self.table.table.clone(),
            id: id.to_owned(),
            set: Map::from_iter([(column.clone(), value.into())]),
        };
        match self.database.run(&runtime(), &[update]) {
            Ok(_) => self.get(id),
            Err(e) if e.code == "row_not_found" => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The first user, of those who were there first, whose column is as `is` says.
    fn find(&self, column: &str, is: &str, value: &str) -> Result<Option<User>, Failure> {
        let rest = format!(
            "WHERE {} {is} ORDER BY created_at, id LIMIT 1",
            ident(column)
        );
        Ok(self.read(&rest, vec![value.into()])?.pop())
    }

    /// Those who were there first.
    fn all(&self, most: u32) -> Result<Vec<User>, Failure> {
        self.read("ORDER BY created_at, id LIMIT ?", vec![most.into()])
    }

    fn read(&self, rest: &str, params: Vec<Value>) -> Result<Vec<User>, Failure> {
        let of = |what: &str| match self.table.columns.get(what) {
            Some(column) => ident(column),
            None => "NULL".to_owned(),
        };
        let read = Operation::Sql {
            text: format!(
                "SELECT id, {}, {}, {}, {}, strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch')
                 FROM {} {rest}",
                of("email"),
                of("phone"),
                of("roles"),
                of("apiKey"),
                ident(&self.table.table),
            ),
            params,
            reads: true,
        };
        let replies = self.database.run(&runtime(), &[read])?;
        let rows = replies.into_iter().next().unwrap_or_default().rows;
        Ok(rows.into_iter().filter_map(user).collect())
    }
}

/// The id of who is made a user of a dev session by an address: a uuid of that.
pub(crate) fn id_in_dev(address: &str) -> String {
    let hash = blake3::hash(address.as_bytes()).to_hex();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &hash[part]);
    parts.join("-")
}

fn user(row: Vec<Value>) -> Option<User> {
    let text = |at: usize| row.get(at).and_then(Value::as_str).map(str::to_owned);
    Some(User {
        id: text(0)?,
        email: text(1),
        phone: text(2),
        roles: row.get(3).map(roles_in).unwrap_or_default(),
        api_key: text(4),
        created_at: text(5),
    })
}

fn id_of(reply: &Reply) -> Option<String> {
    let at = reply.columns.iter().position(|column| column == "id")?;
    reply.rows.first()?.get(at)?.as_str().map(str::to_owned)
}

fn not_supported(message: &str) -> Failure {
    Failure::new("not_supported", 400, message)
}
