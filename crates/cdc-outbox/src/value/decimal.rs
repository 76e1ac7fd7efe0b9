//! Numbers with a scale, as Java's `BigDecimal` has them.

use std::borrow::Cow;

/// A decimal number: its digits as one integer, and how many of them stand behind the point.
///
/// Made from the text that PostgreSQL prints, which always shows as many digits behind the point as the scale says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal<'a> {
    text: &'a str,
    is_negative: bool,
    /// All digits without sign and point, no zeros in front; at least one.
    digits: String,
    scale: usize,
}

impl<'a> Decimal<'a> {
    /// `None` for `NaN` and the infinities, which have no digits.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (is_negative, number) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all = [whole, fraction].concat();
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = all.trim_start_matches('0');
        Some(Self {
            text,
            is_negative,
            digits: if significant.is_empty() {
                "0".to_owned()
            } else {
                significant.to_owned()
            },
            scale: fraction.len(),
        })
    }

    /// The same number without zeros at the end of its fraction.
    pub(crate) fn stripped(mut self) -> Self {
        let zeros = self.digits.len() - self.digits.trim_end_matches('0').len();
        let spare = if self.digits == "0" {
            self.scale
        } else {
            zeros.min(self.scale)
        };
        self.scale -= spare;
        if self.digits != "0" {
            self.digits.truncate(self.digits.len() - spare);
        }
        self
    }

    pub(crate) const fn scale(&self) -> usize {
        self.scale
    }

    /// As PostgreSQL prints it.
    pub(crate) const fn text(&self) -> &'a str {
        self.text
    }

    /// As `BigDecimal.toString` prints it: like PostgreSQL, but very small numbers have an exponent.
    pub(crate) fn java(&self) -> Cow<'a, str> {
        let length = self.digits.len();
        // At most as many zeros behind the point as make the exponent -6.
        if self.scale < length + 6 {
            return Cow::Borrowed(self.text);
        }
        let sign = if self.is_negative { "-" } else { "" };
        let (first, rest) = self.digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let exponent = self.scale + 1 - length;
        Cow::Owned(format!("{sign}{first}{point}{rest}E-{exponent}"))
    }

    /// The digits as an integer, in two's complement, the highest byte first, as `BigInteger.toByteArray` gives it.
    pub(crate) fn unscaled_bytes(&self) -> Vec<u8> {
        const DIGITS_A_STEP: usize = 9;
        // Limbs of 32 bits, the lowest first.
        let mut limbs: Vec<u32> = Vec::with_capacity(self.digits.len() / 9 + 2);
        for chunk in self.digits.as_bytes().chunks(DIGITS_A_STEP) {
            let mut carry = chunk
                .iter()
                .fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
            let base: u64 = chunk.iter().fold(1, |base, _| base * 10);
            for limb in &mut limbs {
                carry += u64::from(*limb) * base;
                *limb = low_half(carry);
                carry >>= 32;
            }
            if carry > 0 {
                limbs.push(low_half(carry));
            }
        }
        let mut bytes: Vec<u8> = limbs
            .iter()
            .rev()
            .flat_map(|limb| limb.to_be_bytes())
            .collect();
        if self.is_negative {
            // Minus one, then every bit the other way round.
            for byte in bytes.iter_mut().rev() {
                let (less, borrow) = byte.overflowing_sub(1);
                *byte = less;
                if !borrow {
                    break;
                }
            }
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
        }
        let sign: u8 = if self.is_negative && self.digits != "0" {
            0xff
        } else {
            0
        };
        let spare = bytes.iter().take_while(|byte| **byte == sign).count();
        bytes.drain(..spare);
        // The highest bit is the sign.
        if bytes.first().is_none_or(|first| (first ^ sign) & 0x80 != 0) {
            bytes.insert(0, sign);
        }
        bytes
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper half is the carry"
)]
fn low_half(number: u64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal<'_> {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn prints_as_java_does() {
        for (text, printed) in [
            ("12.50", "12.50"),
            ("-0.50", "-0.50"),
            ("0.00", "0.00"),
            ("0.0000001000", "1.000E-7"),
            ("0.000001", "0.000001"),
            ("-0.0000001", "-1E-7"),
            ("0.0000000000", "0E-10"),
            (
                "1000000000000000000000000000000",
                "1000000000000000000000000000000",
            ),
        ] {
            assert_eq!(decimal(text).java(), printed);
        }
    }

    #[test]
    fn the_unscaled_number_has_no_byte_too_many() {
        for (text, bytes) in [
            ("0", &[0][..]),
            ("0.00", &[0]),
            ("12.50", &[0x04, 0xe2]),
            ("-0.50", &[0xce]),
            ("1.27", &[0x7f]),
            ("1.28", &[0x00, 0x80]),
            ("-1.28", &[0x80]),
            ("-1.29", &[0xff, 0x7f]),
            ("-2.56", &[0xff, 0x00]),
            ("12345", &[0x30, 0x39]),
        ] {
            assert_eq!(decimal(text).unscaled_bytes(), bytes, "{text}");
        }
    }

    #[test]
    fn strips_the_fraction_but_not_the_number() {
        for (text, scale, bytes) in [
            ("12.340", 2, &[0x04, 0xd2][..]),
            ("100", 0, &[100]),
            ("100.00", 0, &[100]),
            ("0.00", 0, &[0]),
        ] {
            let stripped = decimal(text).stripped();
            assert_eq!(stripped.scale(), scale, "{text}");
            assert_eq!(stripped.unscaled_bytes(), bytes, "{text}");
        }
    }

    #[test]
    fn what_has_no_digits_is_no_decimal() {
        for text in ["NaN", "Infinity", "-Infinity", "", "-", ".", "1e5"] {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_unscaled_number_is_the_integer(number: i128) {
            let text = number.to_string();
            let bytes = decimal(&text).unscaled_bytes();
            let fill = if number < 0 { 0xff } else { 0 };
            let mut wide = [fill; 16];
            wide[16 - bytes.len()..].copy_from_slice(&bytes);
            prop_assert_eq!(i128::from_be_bytes(wide), number);
        }
    }
}
