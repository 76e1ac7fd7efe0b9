//! Which addresses are public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::network::Network;

/// What an address is that is not public.
pub(super) type Kind = &'static str;

/// Special-purpose IPv4 networks (IANA's registry), where no endpoint of somebody else's can be, and a public address by
/// which a cloud serves settings and secrets to its machines.
const V4: [(Network, Kind); 16] = [
    (Network::v4(0, 0, 0, 8), "this network"),
    (Network::v4(10, 0, 0, 8), "private"),
    (Network::v4(100, 64, 0, 10), "shared by a carrier"),
    (Network::v4(127, 0, 0, 8), "loopback"),
    (Network::v4(169, 254, 0, 16), "link-local"),
    // Azure's WireServer.
    (Network::host(168, 63, 129, 16), "cloud platform"),
    (Network::v4(172, 16, 0, 12), "private"),
    (Network::v4(192, 0, 0, 24), "protocol assignments"),
    (Network::v4(192, 0, 2, 24), "documentation"),
    (Network::v4(192, 88, 99, 24), "6to4 relay"),
    (Network::v4(192, 168, 0, 16), "private"),
    (Network::v4(198, 18, 0, 15), "benchmarking"),
    (Network::v4(198, 51, 100, 24), "documentation"),
    (Network::v4(203, 0, 113, 24), "documentation"),
    (Network::v4(224, 0, 0, 4), "multicast"),
    (Network::v4(240, 0, 0, 4), "reserved"),
];

/// Special-purpose IPv6 networks. Those that can hold an IPv4 address are here too, whatever it is: except for NAT64,
/// no public endpoint is reached that way.
const V6: [(Network, Kind); 11] = [
    // Unspecified, loopback, IPv4-compatible, IPv4-mapped, SIIT, NAT64, local NAT64, and ISATAP without a prefix.
    (
        Network::v6([0, 0, 0, 0], 8),
        "reserved, or IPv4 in disguise",
    ),
    (Network::v6([0x100, 0, 0, 0], 64), "discard-only"),
    // Teredo, benchmarking, ORCHID and other protocols. A few assignments in it are public; none of them is a web server.
    (Network::v6([0x2001, 0, 0, 0], 23), "protocol assignments"),
    (Network::v6([0x2001, 0xdb8, 0, 0], 32), "documentation"),
    (Network::v6([0x2002, 0, 0, 0], 16), "6to4"),
    (Network::v6([0x3fff, 0, 0, 0], 20), "documentation"),
    (Network::v6([0x5f00, 0, 0, 0], 16), "segment routing"),
    (Network::v6([0xfc00, 0, 0, 0], 7), "private"),
    (Network::v6([0xfe80, 0, 0, 0], 10), "link-local"),
    (Network::v6([0xfec0, 0, 0, 0], 10), "site-local"),
    (Network::v6([0xff00, 0, 0, 0], 8), "multicast"),
];

/// `64:ff9b::/96`: a gateway turns it into the IPv4 address that its last 32 bits are.
const NAT64: Network = Network::v6([0x64, 0xff9b, 0, 0], 96);

/// The IPv4 address that a NAT64 gateway would turn this one into.
pub(super) fn behind_nat64(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V6(v6) if NAT64.contains(address) => {
            let [.., a, b, c, d] = v6.octets();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// What the address is, if it is not public.
pub(super) fn special(address: IpAddr) -> Option<Kind> {
    let table: &[(Network, Kind)] = match address {
        IpAddr::V4(_) => &V4,
        IpAddr::V6(v6) if is_isatap(v6) => return Some("ISATAP"),
        IpAddr::V6(_) => &V6,
    };
    table
        .iter()
        .find(|(network, _)| network.contains(address))
        .map(|(_, kind)| *kind)
}

/// An interface id of `::0:5efe:a.b.c.d` or `::200:5efe:a.b.c.d` under any prefix: a tunnel to the IPv4 address.
fn is_isatap(address: Ipv6Addr) -> bool {
    let [.., high, low, _, _] = address.segments();
    matches!(high, 0 | 0x200) && low == 0x5efe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_tables_hold_networks() {
        for (network, _) in V4.iter().chain(&V6).chain([&(NAT64, "")]) {
            assert!(network.is_exact(), "{network}");
        }
    }

    fn verdict(address: impl Into<IpAddr>) -> bool {
        special(address.into()).is_none()
    }

    proptest! {
        #[test]
        fn every_ipv4_address_in_disguise_is_special(bits in any::<u32>()) {
            let [a, b] = [(bits >> 16) as u16, bits as u16];
            for disguise in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, a, b),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, a, b),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, a, b),
                Ipv6Addr::new(0x2002, a, b, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 1, 2, 3, 4, !a, !b),
                Ipv6Addr::new(0x2a00, 0x1450, 1, 2, 0, 0x5efe, a, b),
                Ipv6Addr::new(0x2a00, 0x1450, 1, 2, 0x200, 0x5efe, a, b),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, a, b),
            ] {
                prop_assert!(!verdict(disguise), "{}", disguise);
            }
        }

        #[test]
        fn nat64_is_what_it_leads_to(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            let [a, b] = [(bits >> 16) as u16, bits as u16];
            prop_assert_eq!(behind_nat64(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b).into()), Some(v4));
            prop_assert_eq!(behind_nat64(v4.into()), None);
        }

        #[test]
        fn nothing_of_the_first_eighth_bit_block_and_of_6to4_is_public(rest in any::<u128>()) {
            prop_assert!(!verdict(Ipv6Addr::from_bits(rest >> 8)));
            prop_assert!(!verdict(Ipv6Addr::from_bits((0x2002 << 112) | (rest >> 16))));
        }

        #[test]
        fn agrees_with_the_standard_library_where_that_knows(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            let known = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()
                || v4.is_documentation() || v4.is_multicast() || v4.is_unspecified();
            prop_assert!(!(known && verdict(v4)), "{}", v4);
        }
    }
}
