//! How many requests were answered, how, and how long it took until their answers began.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The upper ends of the buckets of times, in milliseconds.
pub(super) const BUCKETS: [u64; 9] = [1, 5, 10, 50, 100, 500, 1000, 5000, 30_000];

/// Requests that were answered.
#[derive(Default)]
pub(crate) struct Counts {
    /// By the first digit of their status, from 1 on.
    pub(super) classes: [AtomicU64; 5],
    /// How many took no longer; one that took longer than all is in none.
    pub(super) within: [AtomicU64; BUCKETS.len()],
    /// How long all of them took, in microseconds.
    pub(super) took: AtomicU64,
}

impl Counts {
    pub fn add(&self, status: u16, took: Duration) {
        if let Some(class) = self.classes.get(usize::from(status / 100).wrapping_sub(1)) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.took.fetch_add(micros, Ordering::Relaxed);
        if let Some(at) = BUCKETS.iter().position(|most| micros <= most * 1000) {
            self.within[at].fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_by_its_status_and_its_time() {
        let counts = Counts::default();
        counts.add(200, Duration::from_millis(1));
        counts.add(204, Duration::from_millis(7));
        counts.add(503, Duration::from_secs(60));
        counts.add(0, Duration::ZERO);
        let of = |all: &[AtomicU64]| -> Vec<u64> {
            all.iter().map(|one| one.load(Ordering::Relaxed)).collect()
        };
        assert_eq!(of(&counts.classes), [0, 2, 0, 0, 1]);
        assert_eq!(of(&counts.within), [2, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(counts.took.load(Ordering::Relaxed), 60_008_000);
    }
}
