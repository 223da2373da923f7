//! Schedules of cron jobs.

use crate::base::error::Result;

// ---- Cron ---------------------------------------------------------------------------------------------------------

/// A field of a schedule: its name, its least and greatest value, and the names of values from the
/// least on.
struct Field(&'static str, u32, u32, &'static [&'static str]);

const FIELDS: [Field; 5] = [
    Field("minute", 0, 59, &[]),
    Field("hour", 0, 23, &[]),
    Field("day of the month", 1, 31, &[]),
    Field(
        "month",
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    Field(
        "day of the week",
        0,
        7,
        &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    ),
];

/// Whether `schedule` is a cron expression: minute, hour, day of the month, month (or `jan` to
/// `dec`) and day of the week (0 or 7 is Sunday, or `sun` to `sat`), each `*`, `a`, `a-b`, or a
/// list of those with commas. A step stands behind `*`, `a-b` or `a` (which then goes on to the
/// greatest value): `*/15`, `9-17/2`, `5/10`.
///
/// What is wrong is said in words that name the field. A day that no named month has is wrong, too:
/// it would never come.
pub fn check_schedule(schedule: &str) -> Result<(), String> {
    let fields = fields_of(schedule)?;
    let sets = sets_of(&fields)?;
    let days = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let comes = (1..=12)
        .any(|month| sets[3] >> month & 1 == 1 && sets[2].trailing_zeros() <= days[month - 1]);
    if fields[4] == "*" && !comes {
        return Err(format!(
            "day {} does not come in month {}",
            fields[2], fields[3]
        ));
    }
    Ok(())
}

/// The same schedule in the form that every reader of cron expressions takes: each field is `*`, or
/// its values, with commas between them. Fails as [`check_schedule`] does.
pub fn spelled_out(schedule: &str) -> Result<String, String> {
    check_schedule(schedule)?;
    let fields = fields_of(schedule)?;
    let mut sets = sets_of(&fields)?;
    // Sunday is 0 everywhere, and 7 not.
    sets[4] = sets[4] & 0x7f | sets[4] >> 7;
    let spelled = |(text, set): (&&str, u64)| match *text {
        "*" => "*".to_owned(),
        _ => (0..60)
            .filter(|value| set >> value & 1 == 1)
            .map(|value| value.to_string())
            .collect::<Vec<_>>()
            .join(","),
    };
    Ok(fields
        .iter()
        .zip(sets)
        .map(spelled)
        .collect::<Vec<_>>()
        .join(" "))
}

fn fields_of(schedule: &str) -> Result<Vec<&str>, String> {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() == FIELDS.len() {
        return Ok(fields);
    }
    Err(format!(
        "a schedule has five fields (minute hour day month weekday), this one has {}",
        fields.len()
    ))
}

/// The values of each field, a bit each.
fn sets_of(fields: &[&str]) -> Result<[u64; 5], String> {
    let mut sets = [0; 5];
    for ((set, text), field) in sets.iter_mut().zip(fields).zip(&FIELDS) {
        *set = field.set(text)?;
    }
    Ok(sets)
}

impl Field {
    /// The values that `text` stands for, a bit each.
    fn set(&self, text: &str) -> Result<u64, String> {
        text.split(',')
            .try_fold(0, |set, item| Ok(set | self.item(item)?))
    }

    fn item(&self, item: &str) -> Result<u64, String> {
        let &Self(name, least, greatest, _) = self;
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, greatest),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            None if step.is_some() => (self.value(range)?, greatest),
            None => (self.value(range)?, self.value(range)?),
        };
        // A week may end on Sunday: "fri-sun".
        let to = if greatest == 7 && to == 0 && from > 0 {
            7
        } else {
            to
        };
        if from > to {
            return Err(format!("the {name} {range} goes backwards"));
        }
        let step = match step {
            None => 1,
            Some(text) => number(text)
                .filter(|step| (1..=greatest).contains(step))
                .ok_or_else(|| {
                    format!("the step {text:?} of the {name} is not a number from 1 to {greatest}")
                })?,
        };
        Ok((from..=to)
            .step_by(step as usize)
            .fold(0, |set, value| set | 1 << value))
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let &Self(name, least, greatest, names) = self;
        let named = names
            .iter()
            .zip(least..)
            .find(|(known, _)| known.eq_ignore_ascii_case(text))
            .map(|(_, value)| value);
        named
            .or_else(|| number(text))
            .filter(|value| (least..=greatest).contains(value))
            .ok_or_else(|| format!("the {name} {text:?} is not within {least} to {greatest}"))
    }
}

/// Digits alone: `parse` would take a sign as well.
fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::spelled_out;

    #[test]
    fn a_schedule_is_spelled_out_for_every_reader() {
        for (schedule, spelled) in [
            ("* * * * *", "* * * * *"),
            (
                "*/15 9-17/2 1 jan-mar mon",
                "0,15,30,45 9,11,13,15,17 1 1,2,3 1",
            ),
            ("5/20 0 * * fri-sun", "5,25,45 0 * * 0,5,6"),
            ("0 0 * * 7", "0 0 * * 0"),
            ("0  3\t* * 0,sun", "0 3 * * 0"),
        ] {
            assert_eq!(spelled_out(schedule).unwrap(), spelled, "{schedule}");
        }
        assert!(spelled_out("0 0 31 2 *").is_err() && spelled_out("0 0 * *").is_err());
    }
}
