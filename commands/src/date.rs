//! Dates as commands write them, in UTC.

use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// The last second of the year 9999: later years have five digits, and no date that is true.
const LATEST: i64 = 253_402_300_799;

#[expect(
    clippy::expect_used,
    reason = "the years from 1970 to 9999 are those that the crate knows in any case"
)]
fn utc(seconds: u64) -> OffsetDateTime {
    // What is later is written as the latest: a record's date, for one, is not authenticated
    // before the record is unsealed.
    let seconds = i64::try_from(seconds).map_or(LATEST, |seconds| seconds.min(LATEST));
    OffsetDateTime::from_unix_timestamp(seconds).expect("a second before the year 10000")
}

/// `2026-11-21 12:00 UTC`, from seconds since 1970.
pub fn minute(seconds: u64) -> String {
    let time = utc(seconds);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02} UTC",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute()
    )
}

/// `Sat, 21 Nov 2026 12:00:00 +0000`, from seconds since 1970.
#[expect(
    clippy::expect_used,
    reason = "the format takes years from 1900 on and whole minutes of offset"
)]
pub fn rfc2822(seconds: u64) -> String {
    let formatted = utc(seconds).format(&Rfc2822);
    formatted.expect("a time in UTC after 1970")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_795_262_400, "2026-11-21 12:00 UTC"),
            (u64::MAX, "9999-12-31 23:59 UTC"),
        ] {
            assert_eq!(minute(seconds), text);
        }
    }

    #[test]
    fn times_are_written_as_mail_and_changelogs_have_them() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (4_102_444_800, "Fri, 01 Jan 2100 00:00:00 +0000"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 +0000"),
        ] {
            assert_eq!(rfc2822(seconds), text);
        }
    }
}
