//! Which time of a schedule a job is to run for.

use super::schedule::Schedule;
use remy_db::internals::cron::CronSeen;

/// More times that passed without a run than this are not counted.
const COUNTED: i64 = 1000;

/// A time that a job is to run for. Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub at: i64,
    /// How many before it passed without a run.
    pub missed: i64,
}

/// The last time of a schedule that has come and has no run. Where a server was off, that is one for
/// all that passed meanwhile. Nothing is due before the job was seen.
pub(crate) fn due(schedule: &Schedule, seen: &CronSeen, now: i64) -> Option<Due> {
    // A clock that was set back has seen it in what is now the future.
    let since = seen.since?.min(now);
    let after = seen.last.map_or(since, |last| last.max(since));
    let at = schedule.last(now).filter(|at| *at > after)?;
    let mut missed = 0;
    let mut time = schedule.next(after);
    while let Some(passed) = time.filter(|time| *time < at && missed < COUNTED) {
        missed += 1;
        time = schedule.next(passed);
    }
    Some(Due { at, missed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Tz;

    const MINUTE: i64 = 60_000;

    fn of(since: i64, last: Option<i64>, now: i64) -> Option<(i64, i64)> {
        let schedule = Schedule::of("*/10 * * * *", Tz::UTC).unwrap();
        let seen = CronSeen {
            since: Some(since * MINUTE),
            last: last.map(|last| last * MINUTE),
        };
        due(&schedule, &seen, now * MINUTE).map(|due| (due.at / MINUTE, due.missed))
    }

    #[test]
    fn a_time_that_has_come_is_due_once() {
        assert_eq!(of(3, None, 9), None, "not yet");
        assert_eq!(of(3, None, 10), Some((10, 0)));
        assert_eq!(of(3, Some(10), 10), None);
        assert_eq!(of(3, Some(10), 20), Some((20, 0)));
        assert_eq!(of(10, None, 10), None, "it came with that very moment");
    }

    #[test]
    fn what_passed_while_nobody_was_there_is_made_up_for_once() {
        assert_eq!(of(3, Some(10), 65), Some((60, 4)));
        assert_eq!(of(3, Some(60), 69), None);
        assert_eq!(of(3, None, 65), Some((60, 5)), "also of one that never ran");
        assert_eq!(of(0, Some(10), 10_000_000), Some((10_000_000, COUNTED)));
    }

    #[test]
    fn what_passed_while_the_job_was_not_there_is_not() {
        assert_eq!(of(58, Some(10), 59), None);
        assert_eq!(of(58, Some(10), 60), Some((60, 0)));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_due() {
        assert_eq!(of(5000, None, 45), None);
        assert_eq!(of(3, Some(40), 45), None);
    }
}
