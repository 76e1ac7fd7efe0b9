//! Cuts texts to what a service takes.

const ELLIPSIS: char = '…';

/// What a character becomes; `None` if it stays.
pub(super) type Escape = fn(char) -> Option<&'static str>;

pub(super) const AS_IT_IS: Escape = |_| None;

/// At most `limit` characters of the escaped text, counted in UTF-16 units: no service counts a text as longer. A text that
/// is cut ends in an ellipsis, and is never cut inside of a character or of an escape.
pub(super) fn fit(text: &str, limit: usize, escape: Escape) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    let (mut units, mut cut_at) = (0, 0);
    for char in text.chars() {
        units += escape(char).map_or(char.len_utf16(), str::len);
        if units > limit {
            out.truncate(cut_at);
            out.push(ELLIPSIS);
            return out;
        }
        match escape(char) {
            Some(escaped) => out.push_str(escaped),
            None => out.push(char),
        }
        if units < limit {
            cut_at = out.len();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AMPERSAND: Escape = |char| (char == '&').then_some("&amp;");

    #[test]
    fn leaves_what_fits() {
        assert_eq!(fit("안녕", 2, AS_IT_IS), "안녕");
        assert_eq!(fit("", 1, AS_IT_IS), "");
        assert_eq!(fit("a&b", 7, AMPERSAND), "a&amp;b");
    }

    #[test]
    fn cuts_between_characters_and_escapes() {
        assert_eq!(fit("안녕하", 2, AS_IT_IS), "안…");
        assert_eq!(fit("😀😀", 3, AS_IT_IS), "😀…");
        assert_eq!(fit("😀😀", 2, AS_IT_IS), "…");
        assert_eq!(fit("a&b", 6, AMPERSAND), "a…");
        assert_eq!(fit("a&b&", 8, AMPERSAND), "a&amp;b…");
    }

    proptest! {
        #[test]
        fn never_exceeds_the_limit(text in "[a&😀안]{0,30}", limit in 1_usize..30) {
            let cut = fit(&text, limit, AMPERSAND);
            prop_assert!(cut.encode_utf16().count() <= limit);
            let whole = fit(&text, 1000, AMPERSAND);
            prop_assert!(cut == whole || whole.starts_with(cut.strip_suffix(ELLIPSIS).unwrap()));
        }
    }
}
