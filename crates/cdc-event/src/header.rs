//! Headers of an event.

/// One header: a name and bytes, or a name without a value (which is not the same as no bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name; names may repeat.
    pub name: String,
    /// The value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
}

/// Headers in the order in which they were added. A name may occur more than once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a header after those that are there, whatever its name.
    pub fn push(&mut self, name: impl Into<String>, value: Option<Vec<u8>>) {
        self.0.push(Header {
            name: name.into(),
            value,
        });
    }

    /// The last header of this name, the one that counts where a reader expects a single one.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&Header> {
        self.0.iter().rev().find(|header| header.name == name)
    }

    /// All headers in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Header] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_duplicates_and_tells_null_from_empty() {
        let mut headers = Headers::new();
        headers.push("a", Some(b"1".to_vec()));
        headers.push("b", None);
        headers.push("a", Some(Vec::new()));

        let names: Vec<_> = headers.as_slice().iter().map(|h| h.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "a"]);
        assert_eq!(headers.last("a").unwrap().value.as_deref(), Some(&b""[..]));
        assert_eq!(headers.last("b").unwrap().value, None);
        assert_eq!(headers.last("c"), None);
    }
}
