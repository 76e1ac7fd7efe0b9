//! Rates and times as text for people.

use bytesize::ByteSize;

/// A number of bytes a second.
pub(super) fn rate(bytes_per_second: f64) -> ByteSize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate to look at; it saturates"
    )]
    let bytes = bytes_per_second as u64;
    ByteSize(bytes)
}

/// A time to look at: two units at most.
pub(super) fn span(seconds: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")];
    /// Longer ones are as good as never.
    const YEARS: f64 = 10.0 * 365.0 * 86_400.0;
    if seconds > YEARS {
        return "more than ten years".to_owned();
    }
    let largest = UNITS
        .iter()
        .position(|(unit, _)| seconds >= *unit)
        .unwrap_or(UNITS.len() - 1);
    let (unit, name) = UNITS[largest];
    let whole = (seconds / unit).floor();
    match UNITS.get(largest + 1) {
        Some((smaller, smaller_name)) => {
            let rest = ((seconds - whole * unit) / smaller).floor();
            if rest > 0.0 {
                format!("{whole:.0} {name} {rest:.0} {smaller_name}")
            } else {
                format!("{whole:.0} {name}")
            }
        }
        None => format!("{whole:.0} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_two_units_at_most() {
        for (seconds, text) in [
            (0.4, "0 s"),
            (59.9, "59 s"),
            (60.0, "1 min"),
            (3_725.0, "1 h 2 min"),
            (90_000.0, "1 d 1 h"),
            (86_401.0, "1 d"),
            (1e12, "more than ten years"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
