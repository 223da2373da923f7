//! Calls that clients wait for, so that each may call off its own.

use crate::token::{Hash, hash};
use remy_db_runtime::pool::Cancel;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a request is known by: who has sent it, and by which id. Ids are each client's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    client: Hash,
    id: Value,
}

impl Name {
    /// Of a request of the client that has been given a session, and shows a key, where it has one.
    pub fn of(session: &str, key: Option<&str>, id: &Value) -> Self {
        Self {
            // No header has a line end.
            client: hash(&format!("{session}\n{}", key.unwrap_or_default())),
            id: id.clone(),
        }
    }
}

/// The calls that are under way. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    next: u64,
    calls: BTreeMap<u64, (Name, Cancel)>,
}

/// A call that is under way. Dropped, it is over.
pub(super) struct Begun {
    all: UnderWay,
    number: u64,
}

impl UnderWay {
    pub(super) fn begin(&self, name: Name, cancel: &Cancel) -> Begun {
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        table.calls.insert(number, (name, cancel.clone()));
        Begun {
            all: self.clone(),
            number,
        }
    }

    /// Calls off what is known by this. One that is over, or never was, is none of it.
    pub(super) fn cancel(&self, name: &Name) {
        let table = self.table();
        let known = table.calls.values().filter(|(known, _)| known == name);
        let found: Vec<Cancel> = known.map(|(_, cancel)| cancel.clone()).collect();
        drop(table);
        found.iter().for_each(Cancel::cancel);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.all.table().calls.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_client_calls_off_its_own_call_of_an_id_and_no_other() {
        let (all, cancel) = (UnderWay::default(), Cancel::default());
        let mine = || Name::of("one", Some("key"), &json!(1));
        let begun = all.begin(mine(), &cancel);
        for other in [
            Name::of("two", Some("key"), &json!(1)),
            Name::of("one", Some("other"), &json!(1)),
            Name::of("one", None, &json!(1)),
            Name::of("one\nkey", None, &json!(1)),
            Name::of("one", Some("key"), &json!("1")),
            Name::of("one", Some("key"), &json!(2)),
        ] {
            all.cancel(&other);
            assert!(!cancel.is_set(), "{other:?}");
        }
        all.cancel(&mine());
        assert!(cancel.is_set());
        drop(begun);
        let next = Cancel::default();
        let _begun = all.begin(Name::of("one", Some("key"), &json!(2)), &next);
        all.cancel(&mine());
        assert!(!next.is_set(), "it was over");
    }
}
