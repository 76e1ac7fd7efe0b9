//! A network in CIDR notation.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network such as `10.0.0.0/8` or `fd00::/8`. A bare address is a network of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Not an address with an optional prefix length.
    #[error("{text:?} is no network: expected an address and a prefix length, such as 10.0.0.0/8")]
    Syntax {
        /// What was given.
        text: String,
    },
    /// Bits behind the prefix: which network is meant is a guess.
    #[error("{text:?} has bits set behind its prefix; write {nearest} if that is meant")]
    HostBits {
        /// What was given.
        text: String,
        /// The network that holds the address.
        nearest: Network,
    },
}

impl Network {
    /// For tables: the caller sees to it that no bit is set behind the prefix.
    pub(super) const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Self {
        Self {
            first: IpAddr::V4(Ipv4Addr::new(a, b, c, 0)),
            prefix,
        }
    }

    /// One IPv4 address.
    pub(super) const fn host(a: u8, b: u8, c: u8, d: u8) -> Self {
        Self {
            first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            prefix: 32,
        }
    }

    /// As [`v4`](Self::v4), from the first four groups.
    pub(super) const fn v6(groups: [u16; 4], prefix: u8) -> Self {
        let [a, b, c, d] = groups;
        Self {
            first: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)),
            prefix,
        }
    }

    /// Whether an address lies in it. IPv4 and IPv6 never mix: `::ffff:10.0.0.1` is not in `10.0.0.0/8`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        first_of(address, self.prefix) == Some(self.first)
    }

    /// Whether no bit is set behind the prefix.
    #[cfg(test)]
    pub(super) fn is_exact(&self) -> bool {
        self.contains(self.first)
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let syntax = || InvalidNetwork::Syntax {
            text: text.to_owned(),
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().map_err(|_| syntax())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| syntax())?;
        let prefix = prefix.unwrap_or(if address.is_ipv4() { 32 } else { 128 });
        let network = Self {
            first: first_of(address, prefix).ok_or_else(syntax)?,
            prefix,
        };
        if network.first == address {
            Ok(network)
        } else {
            Err(InvalidNetwork::HostBits {
                text: text.to_owned(),
                nearest: network,
            })
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// The first address of the network of this prefix that holds the address; `None` for a prefix that it cannot have.
fn first_of(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => {
            let behind = 32_u32.checked_sub(prefix.into())?;
            let mask = u32::MAX.checked_shl(behind).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let behind = 128_u32.checked_sub(prefix.into())?;
            let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn holds_what_its_prefix_says() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.8"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("fd00::/8", "fdff::1", "fc00::1"),
            ("::1", "::1", "::2"),
            ("10.0.0.0/8", "10.0.0.1", "::ffff:10.0.0.1"),
        ] {
            assert!(
                network(text).contains(inside.parse().unwrap()),
                "{text} {inside}"
            );
            assert!(
                !network(text).contains(outside.parse().unwrap()),
                "{text} {outside}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/8/9",
            "localhost",
        ] {
            assert!(
                matches!(text.parse::<Network>(), Err(InvalidNetwork::Syntax { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_bits_behind_the_prefix_and_says_what_may_be_meant() {
        let error = "10.0.0.1/8".parse::<Network>().unwrap_err();
        assert!(error.to_string().contains("write 10.0.0.0/8 if"), "{error}");
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(bits in any::<u128>(), prefix in 0_u8..=128) {
            let first = first_of(Ipv6Addr::from_bits(bits).into(), prefix).unwrap();
            let network = Network { first, prefix };
            prop_assert_eq!(network.to_string().parse(), Ok(network));
        }
    }
}
