//! Dates and times: from the text that PostgreSQL prints to numbers, and to the text of ISO 8601.

/// Microseconds since the Unix epoch, before it negative.
pub(crate) type UnixMicros = i64;

const MICROS_A_SECOND: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;
const MICROS_A_DAY: i64 = SECONDS_A_DAY * MICROS_A_SECOND;

/// Days since the Unix epoch of `2024-02-29` or `0044-03-15 BC`. `None` for anything else, such as `infinity`.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    let (text, is_bc) = strip_era(text);
    days_of(text, is_bc)
}

/// The midnight at which a date begins in UTC.
pub(crate) fn parse_date_time(text: &str) -> Option<UnixMicros> {
    parse_date(text)?.checked_mul(MICROS_A_DAY)
}

/// Microseconds since midnight of `12:34:56.789`.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let (hours, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
    let seconds = parts.next()?;
    let (seconds, micros) = match seconds.split_once('.') {
        Some((seconds, fraction)) => (number(seconds)?, fraction_micros(fraction)?),
        None => (number(seconds)?, 0),
    };
    if hours > 24 || minutes > 59 || seconds > 60 {
        return None;
    }
    Some(((hours * 60 + minutes) * 60 + seconds) * MICROS_A_SECOND + micros)
}

/// Microseconds since midnight UTC of `12:34:56.5+02`.
pub(crate) fn parse_zoned_time(text: &str) -> Option<i64> {
    let (time, offset) = split_offset(text)?;
    Some((parse_time(time)? - offset * MICROS_A_SECOND).rem_euclid(MICROS_A_DAY))
}

/// A timestamp with or without offset from UTC (then it is UTC), as PostgreSQL prints it or as ISO 8601 has it.
pub(crate) fn parse_timestamp(text: &str) -> Option<UnixMicros> {
    let (text, is_bc) = strip_era(text);
    let (date, clock) = text.split_once([' ', 'T'])?;
    let (time, offset) = split_offset(clock).unwrap_or((clock, 0));
    let days = days_of(date, is_bc)?;
    days.checked_mul(MICROS_A_DAY)?
        .checked_add(parse_time(time)?)?
        .checked_sub(offset * MICROS_A_SECOND)
}

/// `2024-02-29T10:34:56.789012Z`, with `digits` digits of the second's fraction, at most 6.
pub(crate) fn iso_timestamp(time: UnixMicros, digits: u8) -> String {
    let (year, month, day) = civil(time.div_euclid(MICROS_A_DAY));
    // Java's form: a sign for years that four digits do not hold.
    let year = match year {
        0..=9999 => format!("{year:04}"),
        10_000.. => format!("+{year}"),
        _ => format!("-{:04}", -year),
    };
    let mut text = format!("{year}-{month:02}-{day:02}T");
    let micros = time.rem_euclid(MICROS_A_DAY);
    push_clock(&mut text, micros);
    if digits > 0 {
        let fraction = format!("{:06}", micros % MICROS_A_SECOND);
        text.push('.');
        text.push_str(&fraction[..usize::from(digits.min(6))]);
    }
    text.push('Z');
    text
}

/// `10:34:56.5Z`: the fraction without zeros at its end.
pub(crate) fn iso_time(micros: i64) -> String {
    let mut text = String::new();
    push_clock(&mut text, micros);
    let fraction = format!("{:06}", micros % MICROS_A_SECOND);
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text.push('Z');
    text
}

fn push_clock(text: &mut String, micros: i64) {
    let seconds = micros / MICROS_A_SECOND;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    text.push_str(&format!("{hours:02}:{minutes:02}:{:02}", seconds % 60));
}

fn strip_era(text: &str) -> (&str, bool) {
    match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    }
}

fn days_of(date: &str, is_bc: bool) -> Option<i64> {
    let mut parts = date.splitn(3, '-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year > 300_000 {
        return None;
    }
    // The year 1 BC is the year 0.
    Some(days(if is_bc { 1 - year } else { year }, month, day))
}

/// Splits off `Z`, `+02`, `-03:30` or `+01:02:03`; the offset in seconds.
fn split_offset(clock: &str) -> Option<(&str, i64)> {
    if let Some(time) = clock.strip_suffix('Z') {
        return Some((time, 0));
    }
    let at = clock.rfind(['+', '-'])?;
    let (time, offset) = clock.split_at(at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let mut parts = offset[1..].split(':').map(number);
    let hours = parts.next()??;
    let minutes = parts.next().unwrap_or(Some(0))?;
    let seconds = parts.next().unwrap_or(Some(0))?;
    if hours > 24 || minutes > 59 || seconds > 59 {
        return None;
    }
    Some((time, sign * ((hours * 60 + minutes) * 60 + seconds)))
}

fn number(text: &str) -> Option<i64> {
    let is_number = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn fraction_micros(fraction: &str) -> Option<i64> {
    let padded = format!("{fraction:0<6}");
    number(fraction).and_then(|_| number(&padded[..6]))
}

/// Days from the Unix epoch to a date of the Gregorian calendar.
///
/// Counts years from March, so that the leap day is the last one, in eras of 400 years, which are all equally long.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_postgresql_prints() {
        for (text, micros) in [
            ("1970-01-01 00:00:00", 0),
            ("2024-02-29 12:34:56.789012", 1_709_210_096_789_012),
            ("2024-02-29 12:34:56.789012+02", 1_709_202_896_789_012),
            ("2024-02-29 10:34:56-03:30", 1_709_215_496_000_000),
            ("2024-02-29T10:34:56.5Z", 1_709_202_896_500_000),
            ("1960-01-01 00:00:00.000001", -315_619_199_999_999),
        ] {
            assert_eq!(parse_timestamp(text), Some(micros), "{text}");
        }
        assert_eq!(parse_date("2024-02-29"), Some(19_782));
        assert_eq!(parse_date("1960-01-01"), Some(-3_653));
        assert_eq!(parse_time("12:34:56.789012"), Some(45_296_789_012));
        assert_eq!(parse_time("24:00:00"), Some(MICROS_A_DAY));
        assert_eq!(parse_zoned_time("01:00:00+02"), Some(82_800_000_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "infinity",
            "-infinity",
            "2024-02-29",
            "2024-13-01 00:00:00",
            "2024-02-29 25:00:00",
            "2024-02-29 1:2",
            "2024-02-29 12:34:56.+02",
            "x",
            "1700000000123",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text:?}");
        }
        assert_eq!(parse_date("infinity"), None);
    }

    #[test]
    fn prints_iso_8601_as_debezium_does() {
        let iso = |text: &str, digits| iso_timestamp(parse_timestamp(text).unwrap(), digits);
        assert_eq!(
            iso("2024-02-29 12:34:56+02", 6),
            "2024-02-29T10:34:56.000000Z"
        );
        assert_eq!(
            iso("2024-02-29 10:34:56.78+00", 3),
            "2024-02-29T10:34:56.780Z"
        );
        assert_eq!(iso("2024-02-29 10:34:56+00", 0), "2024-02-29T10:34:56Z");
        assert_eq!(
            iso("0044-03-15 12:00:00+00 BC", 6),
            "-0043-03-15T12:00:00.000000Z"
        );
        assert_eq!(
            iso("12024-02-29 12:34:56.5+00", 6),
            "+12024-02-29T12:34:56.500000Z"
        );
        assert_eq!(iso_time(38_096_500_000), "10:34:56.5Z");
        assert_eq!(iso_time(82_800_000_000), "23:00:00Z");
    }

    proptest! {
        #[test]
        fn every_timestamp_comes_back(micros in -200_000_000_000_000_000_i64..9_000_000_000_000_000_000) {
            let text = iso_timestamp(micros, 6);
            if !text.starts_with(['-', '+']) {
                prop_assert_eq!(parse_timestamp(&text), Some(micros));
            }
        }
    }
}
