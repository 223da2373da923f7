//! When a job is to run: by its schedule, on the clocks of a time zone.

use chrono::{DateTime, TimeZone as _};
use chrono_tz::Tz;
use croner::Cron;
use remy_db::internals::effects::spelled_out;
use std::str::FromStr as _;

/// The schedule of a job. Times are Unix milliseconds.
pub(crate) struct Schedule {
    cron: Cron,
    zone: Tz,
}

impl Schedule {
    /// Fails where it is none: what a release declares was checked, and is data all the same.
    pub fn of(schedule: &str, zone: Tz) -> Result<Self, String> {
        let spelled = spelled_out(schedule)?;
        let cron = Cron::from_str(&spelled).map_err(|e| e.to_string())?;
        Ok(Self { cron, zone })
    }

    /// The first time after `at`.
    pub fn next(&self, at: i64) -> Option<i64> {
        let next = self.cron.find_next_occurrence(&self.local(at)?, false);
        next.ok().map(|next| next.timestamp_millis())
    }

    /// The last time until `at`, which may be `at`.
    pub fn last(&self, at: i64) -> Option<i64> {
        let last = self.cron.find_previous_occurrence(&self.local(at)?, true);
        last.ok().map(|last| last.timestamp_millis())
    }

    fn local(&self, at: i64) -> Option<DateTime<Tz>> {
        self.zone.timestamp_millis_opt(at).single()
    }
}

/// The time zone of a name, UTC where there is none. Fails where no zone has that name.
pub(crate) fn zone(name: Option<&str>) -> Result<Tz, String> {
    let name = name.unwrap_or("UTC");
    Tz::from_str_insensitive(name).map_err(|_| {
        format!("{name:?} is no time zone: they have names such as Europe/Berlin, or UTC")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(zone: &str, time: &str) -> i64 {
        let zone: Tz = zone.parse().unwrap();
        let time = chrono::NaiveDateTime::parse_from_str(time, "%F %R").unwrap();
        let local = zone.from_local_datetime(&time).earliest();
        local.unwrap().timestamp_millis()
    }

    fn told(zone: &str, at: i64) -> String {
        let zone: Tz = zone.parse().unwrap();
        zone.timestamp_millis_opt(at)
            .unwrap()
            .format("%F %R %Z")
            .to_string()
    }

    #[test]
    fn times_are_those_of_the_zones_clocks() {
        let of = |schedule, zone: &str| Schedule::of(schedule, zone.parse().unwrap()).unwrap();
        for (schedule, zone, after, next) in [
            (
                "0 9 * * mon-fri",
                "UTC",
                "2026-11-27 09:00",
                "2026-11-30 09:00 UTC",
            ),
            (
                "*/15 * * * *",
                "UTC",
                "2026-11-27 08:59",
                "2026-11-27 09:00 UTC",
            ),
            (
                "0 9 * * *",
                "Europe/Berlin",
                "2026-11-27 08:00",
                "2026-11-27 09:00 CET",
            ),
            (
                "0 9 * * *",
                "Europe/Berlin",
                "2026-07-01 08:00",
                "2026-07-01 09:00 CEST",
            ),
            (
                "0 0 29 2 *",
                "UTC",
                "2026-11-27 09:00",
                "2028-02-29 00:00 UTC",
            ),
            (
                "0 0 13 * fri",
                "UTC",
                "2026-11-10 09:00",
                "2026-11-13 00:00 UTC",
            ),
        ] {
            let found = of(schedule, zone).next(at(zone, after)).unwrap();
            assert_eq!(told(zone, found), next, "{schedule} in {zone}");
        }
    }

    /// Once a day is once a day, also where that hour is there twice, or not at all.
    #[test]
    fn a_daily_job_runs_once_on_days_with_other_clocks() {
        let daily = Schedule::of("30 2 * * *", "Europe/Berlin".parse().unwrap()).unwrap();
        for (from, until) in [
            ("2026-03-28 12:00", "2026-03-30 12:00"), // 02:00 to 03:00 is not there on the 29th
            ("2026-10-24 12:00", "2026-10-26 12:00"), // and is there twice on the 25th of October
        ] {
            let (mut time, until) = (at("Europe/Berlin", from), at("Europe/Berlin", until));
            let mut times = Vec::new();
            while let Some(next) = daily.next(time).filter(|next| *next <= until) {
                times.push(told("Europe/Berlin", next));
                time = next;
            }
            assert_eq!(times.len(), 2, "{times:?}");
        }
    }

    #[test]
    fn the_last_time_is_the_one_whose_next_comes_later() {
        for (schedule, zone) in [
            ("*/7 * * * *", "UTC"),
            ("30 2 * * *", "Europe/Berlin"),
            ("0 * * * *", "America/New_York"),
            ("15 3 1 * *", "Australia/Lord_Howe"),
        ] {
            let schedule = Schedule::of(schedule, zone.parse().unwrap()).unwrap();
            for hour in 0..500_i64 {
                let now = at("UTC", "2026-10-20 00:00") + hour * 3_599_000;
                let last = schedule.last(now).unwrap();
                assert!(last <= now);
                assert!(schedule.next(last).unwrap() > now, "{zone}, hour {hour}");
            }
        }
    }

    #[test]
    fn what_is_no_schedule_and_no_zone_is_refused() {
        for wrong in [
            "",
            "* * * *",
            "61 * * * *",
            "* * * * * *",
            "@daily",
            "0 0 31 2 *",
        ] {
            assert!(Schedule::of(wrong, Tz::UTC).is_err(), "{wrong}");
        }
        assert_eq!(zone(None), Ok(Tz::UTC));
        assert_eq!(zone(Some("europe/berlin")), Ok(Tz::Europe__Berlin));
        assert!(zone(Some("Berlin")).unwrap_err().contains("no time zone"));
    }
}
