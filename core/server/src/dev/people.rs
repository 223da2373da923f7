//! Who has signed in to a dev session. A reset, a truncate and a seed take rows of users with all
//! others, under pages that are open: whoever has signed in is made a user again, by the same id.

use crate::state::logins::Logins;
use remy_db_runtime::{runtime::Runtime, target::Target, users::User};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The most who are known: those who have signed in first are forgotten first.
const MOST: usize = 64;

/// Who has signed in, by their ids.
#[derive(Default)]
pub(super) struct People(Mutex<BTreeMap<String, User>>);

impl People {
    /// Somebody is signed in, as they are now.
    pub fn know(&self, user: &User) {
        let mut all = self.all();
        if all.len() >= MOST && !all.contains_key(&user.id) {
            all.pop_first();
        }
        all.insert(user.id.clone(), user.clone());
    }

    /// Sees to it that all of them are users. Who cannot be is signed out.
    pub fn stay(&self, runtime: &Runtime, logins: &Logins, target: &Target) {
        let known: Vec<User> = self.all().values().cloned().collect();
        for user in known {
            let now = runtime.users(target, |users| users.again(&user));
            let Ok(now) = now else { continue };
            if now.id != user.id {
                // A scenario has made a user of this address.
                let _ = logins.are_of(target, &user.id, &now.id);
                self.all().remove(&user.id);
            }
            // With the roles of now.
            self.all().insert(now.id.clone(), now);
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, User>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
