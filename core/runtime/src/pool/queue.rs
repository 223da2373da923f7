//! Calls that wait, method by method: many of one do not hold up the others.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// A queue of the calls of each method. They take turns.
pub(super) struct Queue<T> {
    of: BTreeMap<String, VecDeque<Arc<T>>>,
    /// Each method that has calls here, once, the next one first.
    turns: VecDeque<String>,
    length: usize,
}

impl<T> Queue<T> {
    pub fn new() -> Self {
        Self {
            of: BTreeMap::new(),
            turns: VecDeque::new(),
            length: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.length
    }

    pub fn push(&mut self, method: &str, call: Arc<T>) {
        let calls = self.of.entry(method.to_owned()).or_default();
        if calls.is_empty() {
            self.turns.push_back(method.to_owned());
        }
        calls.push_back(call);
        self.length += 1;
    }

    /// The next one, of the method whose turn it is.
    pub fn pop(&mut self) -> Option<Arc<T>> {
        let method = self.turns.pop_front()?;
        let calls = self.of.get_mut(&method)?;
        let call = calls.pop_front()?;
        self.length -= 1;
        if calls.is_empty() {
            self.of.remove(&method);
        } else {
            self.turns.push_back(method);
        }
        Some(call)
    }

    /// Takes one out; whether it was there.
    pub fn remove(&mut self, method: &str, call: &Arc<T>) -> bool {
        let Some(calls) = self.of.get_mut(method) else {
            return false;
        };
        let before = calls.len();
        calls.retain(|other| !Arc::ptr_eq(other, call));
        let was_there = calls.len() < before;
        self.length -= usize::from(was_there);
        if calls.is_empty() {
            self.of.remove(method);
            self.turns.retain(|other| other != method);
        }
        was_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_take_turns() {
        let mut queue = Queue::new();
        for (method, call) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6)] {
            queue.push(method, Arc::new(call));
        }
        let order: Vec<i32> = std::iter::from_fn(|| queue.pop().map(|call| *call)).collect();
        assert_eq!(order, [1, 4, 5, 2, 6, 3]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn who_goes_away_leaves_the_others_their_turns() {
        let mut queue = Queue::new();
        let calls = [1, 2, 3].map(Arc::new);
        queue.push("a", calls[0].clone());
        queue.push("a", calls[1].clone());
        queue.push("b", calls[2].clone());
        assert!(queue.remove("b", &calls[2]) && !queue.remove("b", &calls[2]));
        assert!(queue.remove("a", &calls[0]));
        assert_eq!((queue.len(), queue.pop().as_deref()), (1, Some(&2)));
        assert_eq!(queue.pop(), None);
    }
}
