//! Moments as people write them (RFC 3339, or a date), in nanoseconds since 1970.

const SECOND: i64 = 1_000_000_000;
const EXPECTED: &str = "expected a date (2026-11-30), a time (2026-11-30T09:00:00Z or with +01:00), or nanoseconds since 1970";

/// A moment: a date is its beginning, in UTC. A number of seconds is refused and not taken for
/// nanoseconds: nothing that is verified is of the first seconds of 1970.
pub fn parse(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text}: {EXPECTED}");
    if let Ok(number) = text.parse::<i64>() {
        // In 2286 seconds have eleven digits.
        if (1_000_000_000..100_000_000_000).contains(&number) {
            return Err(format!("{text}: that looks like seconds; {EXPECTED}"));
        }
        return Ok(number);
    }
    moment(text).ok_or_else(wrong)
}

/// So many digits, and nothing else.
fn number(text: &str, digits: usize) -> Option<i64> {
    let all = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

fn moment(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let (seconds, nanoseconds) = time.map_or(Some((0, 0)), time_of_day)?;
    let seconds = days(date)?.checked_mul(86_400)?.checked_add(seconds)?;
    seconds.checked_mul(SECOND)?.checked_add(nanoseconds)
}

/// Days from 1970-01-01, after the proleptic Gregorian calendar.
fn days(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4)?;
    let month = number(parts.next()?, 2)?;
    let day = number(parts.next()?, 2)?;
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March have their odd day at the end.
    let (years, months) = match month {
        1 | 2 => (year.checked_sub(1)?, month.checked_add(9)?),
        _ => (year, month.checked_sub(3)?),
    };
    let of_months = months.checked_mul(153)?.checked_add(2)?.div_euclid(5);
    let leap_days = years
        .div_euclid(4)
        .checked_sub(years.div_euclid(100))?
        .checked_add(years.div_euclid(400))?;
    let all = years.checked_mul(365)?.checked_add(leap_days)?;
    // 719 468 days lie between the first of March of year 0 and 1970.
    all.checked_add(of_months)?
        .checked_add(day)?
        .checked_sub(1 + 719_468)
}

/// Seconds of the day in UTC, and nanoseconds.
fn time_of_day(text: &str) -> Option<(i64, i64)> {
    let zone = text.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = text.split_at(zone);
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, digits)) => (clock, nanoseconds(digits)?),
        None => (clock, 0),
    };
    let mut parts = clock.split(':');
    let hours = number(parts.next()?, 2).filter(|hours| *hours < 24)?;
    let minutes = number(parts.next()?, 2).filter(|minutes| *minutes < 60)?;
    // 60 is a leap second.
    let seconds = number(parts.next()?, 2).filter(|seconds| *seconds <= 60)?;
    if parts.next().is_some() {
        return None;
    }
    let all = in_seconds(hours, minutes)?.checked_add(seconds)?;
    Some((all.checked_sub(offset(zone)?)?, fraction))
}

fn nanoseconds(digits: &str) -> Option<i64> {
    let count = digits.len();
    if count == 0 || count > 9 {
        return None;
    }
    number(&format!("{digits:0<9}"), 9)
}

/// Seconds by which a zone's clock is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':')?;
    let hours = number(hours, 2).filter(|hours| *hours < 24)?;
    let minutes = number(minutes, 2).filter(|minutes| *minutes < 60)?;
    in_seconds(hours, minutes)?.checked_mul(sign)
}

fn in_seconds(hours: i64, minutes: i64) -> Option<i64> {
    hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        for (text, seconds, nanoseconds) in [
            ("1970-01-01", 0, 0),
            ("1970-01-01T00:00:00Z", 0, 0),
            ("2000-02-29", 951_782_400, 0),
            ("2000-03-01", 951_868_800, 0),
            ("2026-11-30T09:00:00Z", 1_796_029_200, 0),
            ("2026-11-30T10:00:00+01:00", 1_796_029_200, 0),
            ("2026-11-29t23:30:00.5-09:30", 1_796_029_200, 500_000_000),
            ("2026-11-30 09:00:00.000000001z", 1_796_029_200, 1),
            ("1969-12-31T23:59:59Z", -1, 0),
        ] {
            assert_eq!(parse(text), Ok(seconds * SECOND + nanoseconds), "{text}");
        }
        assert_eq!(parse("1795252751296796906"), Ok(1_795_252_751_296_796_906));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "now",
            "1795252751",
            "2026-13-01",
            "2026-02-29",
            "1900-02-29",
            "2026-00-10",
            "2026-01-00",
            "2026-1-1",
            "26-01-01",
            "2026-01-01-01",
            "2026-01-01T",
            "2026-01-01T10",
            "2026-01-01T10:00:00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T10:60:00Z",
            "2026-01-01T10:00:61Z",
            "2026-01-01T10:00:00.Z",
            "2026-01-01T10:00:00.1234567890Z",
            "2026-01-01T10:00:00+1",
            "2026-01-01T10:00:00Zx",
            "2026-01-01T10:00:00+25:00",
            "+026-01-01",
            "9999-12-31",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
