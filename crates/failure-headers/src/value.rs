//! Values of headers, as they are written and as they are believed.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

/// More attempts than this are not believed, and not counted: the bound of Spring Kafka.
const MOST_ATTEMPTS: u32 = 32_767;

/// Further ahead than this, no time is believed: clocks differ, but not by so much.
const FUTURE: Duration = Duration::from_secs(24 * 60 * 60);

/// 32 bits, big endian.
pub(crate) fn of_attempts(attempts: NonZeroU32) -> Vec<u8> {
    attempts.get().min(MOST_ATTEMPTS).to_be_bytes().to_vec()
}

/// Milliseconds since 1970, 64 bits, big endian; what lies before is 0.
pub(crate) fn of_time(time: SystemTime) -> Vec<u8> {
    let age = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let milliseconds = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    milliseconds.to_be_bytes().to_vec()
}

/// Within 1 and 32767; `None` when it is no number of 4 bytes, or of one, as old versions of Spring Kafka write it.
pub(crate) fn attempts(value: &[u8]) -> Option<NonZeroU32> {
    let number = match value {
        [byte] => i64::from(i8::from_be_bytes([*byte])),
        _ => i64::from(int32(value)?),
    };
    Some(clamped(number))
}

/// Within 1 and 32767.
pub(crate) fn clamped(attempts: i64) -> NonZeroU32 {
    let within = attempts.clamp(1, i64::from(MOST_ATTEMPTS));
    u32::try_from(within)
        .ok()
        .and_then(NonZeroU32::new)
        .unwrap_or(NonZeroU32::MIN)
}

/// 32 bits, big endian.
pub(crate) fn int32(value: &[u8]) -> Option<i32> {
    value.try_into().ok().map(i32::from_be_bytes)
}

/// 64 bits, big endian.
pub(crate) fn int64(value: &[u8]) -> Option<i64> {
    value.try_into().ok().map(i64::from_be_bytes)
}

/// Milliseconds since 1970 in at most 8 bytes, big endian, as Java's `BigInteger` writes them too.
pub(crate) fn time(value: &[u8]) -> Option<SystemTime> {
    if value.is_empty() || value.len() > 8 || value[0] > 0x7f {
        return None;
    }
    let milliseconds = value
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
}

/// As [`time`], but not far ahead of `now`.
pub(crate) fn plausible_time(value: &[u8], now: SystemTime) -> Option<SystemTime> {
    let latest = now.checked_add(FUTURE)?;
    time(value).filter(|time| *time <= latest)
}

/// Text of any bytes.
pub(crate) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// A number that is written in decimal digits.
pub(crate) fn decimal<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_stay_within_bounds_whatever_is_written() {
        let read = |value: &[u8]| attempts(value).map(NonZeroU32::get);
        assert_eq!(read(&[0, 0, 0, 3]), Some(3));
        assert_eq!(read(&[3]), Some(3));
        assert_eq!(read(&(-5_i32).to_be_bytes()), Some(1));
        assert_eq!(read(&0_i32.to_be_bytes()), Some(1));
        assert_eq!(read(&i32::MAX.to_be_bytes()), Some(32_767));
        for wrong in [&b""[..], &[0, 3], &[0; 5], &[0; 8], b"three"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        assert_eq!(
            of_attempts(NonZeroU32::MAX),
            MOST_ATTEMPTS.to_be_bytes().to_vec()
        );
    }

    #[test]
    fn a_time_is_believed_if_it_is_one_and_not_far_ahead() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let read = |value: &[u8]| plausible_time(value, now);
        assert_eq!(read(&of_time(now)), Some(now));
        // As Java's BigInteger has it.
        assert_eq!(read(&of_time(now)[2..]), Some(now));
        assert_eq!(read(&of_time(at(1_700_086_400))), Some(at(1_700_086_400)));
        assert_eq!(read(&of_time(at(1_700_086_401))), None);
        for wrong in [
            &b""[..],
            &[0; 9],
            &[0xff],
            &i64::MIN.to_be_bytes(),
            &i64::MAX.to_be_bytes(),
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
