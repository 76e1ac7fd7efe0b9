//! W3C Trace Context: which values are passed on.

/// The names of the two headers.
pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";

/// Whether this is a `traceparent`: version, trace id, parent id, flags, in lower-case hexadecimal.
pub(crate) fn is_traceparent(text: &[u8]) -> bool {
    const VERSION_0_LENGTH: usize = 55;
    let mut parts = text.split(|byte| *byte == b'-');
    let mut hex = |length: usize| {
        parts.next().is_some_and(|part| {
            part.len() == length && part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    if !(hex(2) && hex(32) && hex(16) && hex(2)) {
        return false;
    }
    let is_zero = |range: std::ops::Range<usize>| text[range].iter().all(|byte| *byte == b'0');
    // A later version may add parts; ff is none.
    (text.len() == VERSION_0_LENGTH || !text.starts_with(b"00"))
        && !text.starts_with(b"ff")
        && !is_zero(3..35)
        && !is_zero(36..52)
}

/// Whether this is a `tracestate`: up to 32 members `key=value` of printable characters, at most 512 bytes.
pub(crate) fn is_tracestate(text: &[u8]) -> bool {
    let mut members = 0;
    let mut is_member = |member: &[u8]| {
        let member = member.trim_ascii();
        if member.is_empty() {
            return true;
        }
        members += 1;
        let equals = member.iter().position(|byte| *byte == b'=');
        members <= 32
            && equals.is_some_and(|at| at > 0 && at + 1 < member.len())
            && member.iter().all(|byte| matches!(byte, b' '..=b'~'))
    };
    text.len() <= 512
        && !text.trim_ascii().is_empty()
        && text.split(|byte| *byte == b',').all(&mut is_member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_examples_of_the_specification() {
        assert!(is_traceparent(
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        ));
        assert!(is_traceparent(
            b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"
        ));
        assert!(is_tracestate(
            b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE, a@b=c"
        ));
    }

    #[test]
    fn refuses_what_the_specification_refuses() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b77-01",
        ] {
            assert!(!is_traceparent(text.as_bytes()), "{text:?} was taken");
        }
        let many = vec!["a=1"; 33].join(",");
        for text in ["", " ", "a", "=1", "a=", "a=\n", &many, &"a=1".repeat(200)] {
            assert!(!is_tracestate(text.as_bytes()), "{text:?} was taken");
        }
    }
}
