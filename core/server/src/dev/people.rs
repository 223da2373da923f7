//! Who has signed in to a dev session. A reset, a truncate and a seed take rows of users with all
//! others, under pages that are open: whoever has signed in is made a user again, by the same id.

use crate::state::logins::Logins;
use remy_db_runtime::{runtime::Runtime, target::Target, users::User};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most who are known: of more, those are forgotten who signed in first.
const MOST: usize = 64;

/// Who has signed in, the last one last.
#[derive(Default)]
pub(super) struct People(Mutex<Vec<User>>);

impl People {
    /// Somebody is signed in, as they are now.
    pub fn know(&self, user: &User) {
        let mut all = self.all();
        all.retain(|known| known.id != user.id);
        all.push(user.clone());
        let too_many = all.len().saturating_sub(MOST);
        all.drain(..too_many);
    }

    /// Sees to it that all of them are users. Who cannot be is signed out.
    pub fn stay(&self, runtime: &Runtime, logins: &Logins, target: &Target) {
        let known = self.all().clone();
        if known.is_empty() {
            return;
        }
        let ids: Vec<&str> = known.iter().map(|user| user.id.as_str()).collect();
        let Ok(there) = runtime.users(target, |users| users.those(&ids)) else {
            return;
        };
        for user in &known {
            let now = match there.iter().find(|it| it.id == user.id) {
                Some(now) => now.clone(),
                None => match runtime.users(target, |users| users.again(user)) {
                    Ok(now) => now,
                    Err(_) => continue,
                },
            };
            if now.id != user.id {
                // A scenario has made a user of this address.
                let _ = logins.are_of(target, &user.id, &now.id);
            }
            // With the roles of now.
            self.is(&user.id, now);
        }
    }

    /// Somebody who is known is this user by now.
    fn is(&self, id: &str, now: User) {
        let mut all = self.all();
        if now.id != id {
            all.retain(|known| known.id != now.id);
        }
        if let Some(known) = all.iter_mut().find(|known| known.id == id) {
            *known = now;
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<User>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> User {
        User {
            id: id.to_owned(),
            email: None,
            phone: None,
            roles: Vec::new(),
            api_key: None,
            created_at: None,
        }
    }

    fn ids(people: &People) -> Vec<String> {
        people.all().iter().map(|user| user.id.clone()).collect()
    }

    #[test]
    fn of_too_many_those_are_forgotten_who_signed_in_first() {
        let people = People::default();
        // Their ids are not in the order in which they came.
        for id in (0..MOST).rev() {
            people.know(&user(&format!("{id:02}")));
        }
        people.know(&user("63"));
        people.know(&user("new"));
        let known = ids(&people);
        assert_eq!(known.len(), MOST);
        assert_eq!((known[0].as_str(), known[MOST - 1].as_str()), ("61", "new"));
        assert!(known.contains(&"63".to_owned()) && !known.contains(&"62".to_owned()));
    }

    #[test]
    fn who_is_another_user_by_now_is_known_once() {
        let people = People::default();
        for id in ["a", "b", "c"] {
            people.know(&user(id));
        }
        people.is("a", user("c"));
        assert_eq!(ids(&people), ["c", "b"]);
        let admin = User {
            roles: vec!["admin".to_owned()],
            ..user("b")
        };
        people.is("b", admin);
        // Whoever was forgotten meanwhile stays so.
        people.is("gone", user("gone"));
        assert_eq!(ids(&people), ["c", "b"]);
        assert_eq!(people.all()[1].roles, ["admin"]);
    }
}
