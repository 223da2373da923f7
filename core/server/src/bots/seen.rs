//! What has come already: whoever sends it again, by mistake or by design, calls nothing.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The most that is remembered; the oldest goes.
const MOST: usize = 100_000;

/// What has come of late.
pub(crate) struct Seen {
    lasts: Duration,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    all: HashSet<String>,
    /// The oldest first.
    order: VecDeque<(Instant, String)>,
}

impl Seen {
    /// Remembers for as long.
    pub fn for_as_long_as(lasts: Duration) -> Self {
        Self {
            lasts,
            known: Mutex::default(),
        }
    }

    /// Whether it comes for the first time.
    pub fn is_new(&self, id: &str) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_over = |known: &Known| {
            let oldest = known.order.front();
            oldest.is_some_and(|(at, _)| now - *at > self.lasts || known.order.len() >= MOST)
        };
        while is_over(&known) {
            if let Some((_, oldest)) = known.order.pop_front() {
                known.all.remove(&oldest);
            }
        }
        let is_new = known.all.insert(id.to_owned());
        if is_new {
            known.order.push_back((now, id.to_owned()));
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_is_known_for_a_while() {
        let seen = Seen::for_as_long_as(Duration::from_millis(30));
        assert!(seen.is_new("a") && seen.is_new("b") && !seen.is_new("a"));
        std::thread::sleep(Duration::from_millis(60));
        assert!(seen.is_new("a"));
    }
}
