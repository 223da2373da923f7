//! Ages: how old something is, when a clock may have been wrong. What came after what is told by
//! switches; a clock only tells by how much, and is believed from its last jump on.

const HOUR_MS: i64 = 60 * 60 * 1000;

const DAY_MS: i64 = 24 * HOUR_MS;

/// A clock that goes back by more than this has jumped. Less makes no difference to what is counted
/// in days.
const BACK: i64 = HOUR_MS;

/// A clock that goes ahead by more than this between two switches has jumped, or nothing was
/// published for long.
const AHEAD: i64 = 365 * DAY_MS;

/// What is known of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ages {
    now: i64,
    /// The last jump: what the clock said before it and after it.
    pub(crate) jump: Option<(i64, i64)>,
}

impl Ages {
    /// By what the clock said at each switch, in their order, and what it says now.
    pub(crate) fn new(mut switches: Vec<i64>, now: i64) -> Self {
        switches.push(now);
        let jumps = |pair: &&[i64]| {
            pair[1].saturating_sub(pair[0]) > AHEAD || pair[0].saturating_sub(pair[1]) > BACK
        };
        let jump = switches
            .windows(2)
            .rev()
            .find(jumps)
            .map(|pair| (pair[0], pair[1]));
        Self { now, jump }
    }

    /// Whether what was made when the clock said `at` is older than so many days. Time before the
    /// last jump does not count. 0 days asks no clock.
    pub(crate) fn older(&self, at: i64, days: u32) -> bool {
        days == 0 || self.now.saturating_sub(self.counted_from(at)) > i64::from(days) * DAY_MS
    }

    fn counted_from(&self, at: i64) -> i64 {
        match self.jump {
            Some((_, after)) if at > self.now => after,
            Some((_, after)) => at.max(after),
            None => at,
        }
    }

    /// Whether the clock alone, without regard to its jump, would make it older.
    pub(crate) fn seems_older(&self, at: i64, days: u32) -> bool {
        Self {
            jump: None,
            ..*self
        }
        .older(at, days)
    }

    /// What to say where something is not pruned because of the jump, with the days of before and
    /// after it.
    pub(crate) fn said(before: &str, after: &str) -> String {
        format!(
            "The clock went from {before} to {after} between two switches, so that ages before that are not known: nothing of then is pruned by age \
             until its days have passed since. Set the clock right; limits by number and by size ask no clock, nor does a prune of all"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old(switches: &[i64], now: i64, days: u32) -> Vec<bool> {
        let ages = Ages::new(
            switches.iter().map(|day| day * DAY_MS).collect(),
            now * DAY_MS,
        );
        switches
            .iter()
            .map(|day| ages.older(day * DAY_MS, days))
            .collect()
    }

    #[test]
    fn time_counts_from_the_last_jump_on() {
        assert_eq!(old(&[100, 120, 150], 151, 30), [true, true, false]);
        // The year 2090, and the year 2090 once more: nothing of before is older than its days
        // since.
        assert_eq!(old(&[100, 120], 30_000, 30), [false, false]);
        assert_eq!(old(&[100, 120, 30_000], 30_001, 30), [false, false, false]);
        assert_eq!(old(&[100, 120, 30_000], 30_031, 30), [true, true, true]);
        // The clock is right again.
        assert_eq!(old(&[100, 120, 30_000], 121, 30), [false, false, false]);
        assert_eq!(
            old(&[100, 120, 30_000, 121], 140, 30),
            [false, false, false, false]
        );
        assert_eq!(
            old(&[100, 120, 30_000, 121], 160, 30),
            [true, true, true, true]
        );
        // A clock that went back, and is right again a day later.
        assert_eq!(old(&[20_000, 20_010, 5], 6, 30), [false, false, false]);
        assert_eq!(old(&[20_000, 20_010, 5], 20_011, 30), [false, false, false]);
        assert_eq!(old(&[20_000, 20_010, 5], 20_011, 0), [true, true, true]);
    }
}
