//! Numbers as Java prints them.

use std::fmt::{Display, LowerExp};
use std::str::FromStr;

/// A floating point number as `Double.toString` and `Float.toString` print it since Java 19: the shortest digits that are
/// read back as the same number, plain from 10⁻³ to 10⁷, else with an exponent.
pub(crate) fn float<F>(number: F) -> String
where
    F: Copy + PartialEq + Display + LowerExp + FromStr + Into<f64>,
{
    let wide: f64 = number.into();
    if wide.is_nan() {
        return "NaN".to_owned();
    }
    if wide.is_infinite() {
        return if wide > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = wide.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        let plain = number.to_string();
        return if plain.contains('.') {
            plain
        } else {
            plain + ".0"
        };
    }
    let shortest = format!("{number:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    if digits.contains('.') {
        return format!("{digits}E{exponent}");
    }
    // Java prints two digits at least, and of those that are read back as the number the nearest.
    let two = format!("{number:.1e}");
    match two.split_once('e') {
        Some((digits, exponent)) if two.parse::<F>().is_ok_and(|read| read == number) => {
            format!("{digits}E{exponent}")
        }
        _ => format!("{digits}.0E{exponent}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_java_does() {
        for (number, printed) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (100.0, "100.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1_234_567.0, "1234567.0"),
            (9_999_999.999, "9999999.999"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (1.5e300, "1.5E300"),
            (123_456_789_012_345_680.0, "1.2345678901234568E17"),
            (5e-324, "4.9E-324"),
            (2.225_073_858_507_201_4e-308, "2.2250738585072014E-308"),
            (1e21, "1.0E21"),
            (1e23, "1.0E23"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(float(number), printed);
        }
        for (number, printed) in [(1.1_f32, "1.1"), (1e20, "1.0E20"), (1.4e-45, "1.4E-45")] {
            assert_eq!(float(number), printed);
        }
    }
}
