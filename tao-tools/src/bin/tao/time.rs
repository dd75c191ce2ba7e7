//! Moments as people write them (RFC 3339, or a date), in nanoseconds since 1970.

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

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
    let moment = moment(text).ok_or_else(wrong)?;
    i64::try_from(moment.unix_timestamp_nanos()).map_err(|_| wrong())
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    match text.split_once(['T', 't', ' ']) {
        None => Some(date(text)?.midnight().assume_utc()),
        Some((text, clock)) => {
            let zone = clock.find(['Z', 'z', '+', '-'])?;
            let (clock, zone) = clock.split_at(zone);
            let (time, leap) = time_of_day(clock)?;
            let moment = date(text)?.with_time(time).assume_offset(offset(zone)?);
            moment.checked_add(leap)
        }
    }
}

/// A moment in seconds since 1970, in UTC, as people write it.
pub fn of_seconds(seconds: u64) -> String {
    let moment = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    match moment {
        Some(at) => format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        ),
        // Beyond the year 9999.
        None => format!("{seconds} s"),
    }
}

/// A moment in nanoseconds since 1970, in UTC, to the second, as people write it.
pub fn of_nanoseconds(nanoseconds: i64) -> String {
    match u64::try_from(nanoseconds.div_euclid(SECOND)) {
        Ok(seconds) => of_seconds(seconds),
        Err(_) => "before 1970".to_owned(),
    }
}

/// So many digits, and nothing else.
fn number<T: std::str::FromStr>(text: &str, digits: usize) -> Option<T> {
    let all = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

fn date(text: &str) -> Option<Date> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let month = Month::try_from(number::<u8>(month, 2)?).ok()?;
    Date::from_calendar_date(number(year, 4)?, month, number(day, 2)?).ok()
}

/// The time of day, and what must be added to it: second 60 is a leap second.
fn time_of_day(text: &str) -> Option<(Time, time::Duration)> {
    let (clock, nanoseconds) = match text.split_once('.') {
        Some((clock, digits)) => (clock, nanoseconds(digits)?),
        None => (text, 0),
    };
    let (hours, rest) = clock.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':')?;
    let (seconds, leap) = match number(seconds, 2)? {
        60 => (59, time::Duration::SECOND),
        seconds => (seconds, time::Duration::ZERO),
    };
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    let time = Time::from_hms_nano(hours, minutes, seconds, nanoseconds).ok()?;
    Some((time, leap))
}

fn nanoseconds(digits: &str) -> Option<u32> {
    let count = digits.len();
    if count == 0 || count > 9 {
        return None;
    }
    number(&format!("{digits:0<9}"), 9)
}

/// By how much a zone's clock is ahead of UTC.
fn offset(zone: &str) -> Option<UtcOffset> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(UtcOffset::UTC);
    }
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("+", clock) => (1_i8, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':')?;
    let hours = number::<i8>(hours, 2).filter(|hours| *hours < 24)?;
    let minutes = number::<i8>(minutes, 2).filter(|minutes| *minutes < 60)?;
    UtcOffset::from_hms(hours.checked_mul(sign)?, minutes.checked_mul(sign)?, 0).ok()
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
            ("2016-12-31T23:59:60.5Z", 1_483_228_800, 500_000_000),
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

    #[test]
    fn seconds_are_written_as_they_are_read() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_796_049_562, "2026-11-30T14:39:22Z"),
        ] {
            assert_eq!(of_seconds(seconds), text);
            assert_eq!(of_nanoseconds(seconds as i64 * SECOND + 999_999_999), text);
            assert_eq!(parse(text), Ok(seconds as i64 * 1_000_000_000));
        }
        assert_eq!(of_nanoseconds(-1), "before 1970");
        assert_eq!(of_nanoseconds(i64::MAX), "2262-04-11T23:47:16Z");
        assert_eq!(of_seconds(u64::MAX), format!("{} s", u64::MAX));
    }
}
