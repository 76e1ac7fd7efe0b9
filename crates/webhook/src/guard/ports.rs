//! Which ports may be asked.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// Ports that may be asked.
///
/// By default 80, 443 and all from 1024 on: what listens below is mail, file shares or remote shells, and never a
/// webhook. What listens above inside a private network is guarded by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(Vec<RangeInclusive<u16>>);

/// A text that names no ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} names no ports: expected numbers from 1 to 65535 and ranges, such as 80,443,1024-65535"
)]
pub struct InvalidPorts {
    text: String,
}

impl Ports {
    /// Whether a port is one of them.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(&port))
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self(vec![80..=80, 443..=443, 1024..=u16::MAX])
    }
}

impl FromStr for Ports {
    type Err = InvalidPorts;

    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (
                first.trim().parse::<u16>().ok()?,
                last.trim().parse::<u16>().ok()?,
            );
            (1 <= first && first <= last).then_some(first..=last)
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        ranges.map(Self).ok_or_else(|| InvalidPorts {
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_has_no_port_of_another_service_below_1024() {
        let ports = Ports::default();
        for port in [80, 443, 1024, 8443, 65535] {
            assert!(ports.contains(port), "{port}");
        }
        for port in [0, 22, 25, 53, 79, 81, 110, 445, 1023] {
            assert!(!ports.contains(port), "{port}");
        }
    }

    #[test]
    fn reads_numbers_and_ranges() {
        let ports: Ports = "443, 8000-8010".parse().unwrap();
        assert!(ports.contains(443) && ports.contains(8000) && ports.contains(8010));
        assert!(!ports.contains(80) && !ports.contains(8011));
    }

    #[test]
    fn refuses_what_names_no_ports() {
        for text in ["", "http", "0", "70000", "10-5", "80,", "1-2-3"] {
            assert!(text.parse::<Ports>().is_err(), "{text}");
        }
    }
}
