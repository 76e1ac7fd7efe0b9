//! Every address and spelling of the acceptance list.

use proptest::prelude::*;

use super::*;

const REFUSED: [&str; 66] = [
    "127.0.0.1",
    "127.254.254.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.254.0.0",
    "172.16.10.65",
    "192.168.10.65",
    "169.254.45.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.127.255.254",
    "192.0.0.255",
    "192.88.99.3",
    "198.18.0.0",
    "224.0.0.1",
    "239.255.255.250",
    "240.240.240.240",
    "255.255.255.255",
    "::",
    "::1",
    "1::1",
    "ff:ffff::1",
    "::ffff:127.0.0.1",
    "::ffff:0.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::7f00:1",
    "::a9fe:a9fe",
    "::ffff:0:7f00:1",
    "::ffff:0:5db8:d822",
    "::5efe:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::a00:1",
    "64:ff9b::e000:1",
    "64:ff9b::c058:6301",
    "64:ff9b::",
    "64:ff9b:0:1::1",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "100::1",
    "2001::1",
    "2001:1ff::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "3fff::1",
    "3fff:fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd7a:115c:a1e0::1",
    "fe80::1",
    "febf:ffff::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "100.100.100.200",
    "169.254.170.2",
    "168.63.129.16",
    "::ffff:168.63.129.16",
    "64:ff9b::a83f:8110",
    "64:ff9b::168.63.129.16",
    "192.0.2.1",
    "::ffff:93.184.216.34",
];

const ALLOWED: [&str; 15] = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.254",
    "100.128.0.1",
    "168.63.129.15",
    "168.63.129.17",
    "192.88.98.255",
    "192.88.100.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "100:0:0:1::1",
    "2001:200::1",
    "3fff:1000::1",
    "64:ff9b::5db8:d822",
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn check(guard: &Guard, address: IpAddr) -> Result<(), Refusal> {
    guard.check_address(SocketAddr::new(address, 443))
}

fn allowing(networks: &[&str]) -> Guard {
    let allow = networks
        .iter()
        .map(|network| network.parse().unwrap())
        .collect();
    Guard::new(GuardSettings {
        allow,
        ..GuardSettings::default()
    })
}

fn refusal(url: &str) -> Refusal {
    Guard::default().check_url(url).expect_err(url)
}

#[test]
fn refuses_every_address_that_is_not_public() {
    for text in REFUSED {
        assert!(
            matches!(
                check(&Guard::default(), ip(text)),
                Err(Refusal::Address { .. })
            ),
            "{text}"
        );
        let url = if ip(text).is_ipv4() {
            format!("https://{text}/")
        } else {
            format!("https://[{text}]/")
        };
        assert!(matches!(refusal(&url), Refusal::Address { .. }), "{url}");
    }
}

#[test]
fn allows_public_addresses_next_to_those_that_are_not() {
    for text in ALLOWED {
        assert_eq!(check(&Guard::default(), ip(text)), Ok(()), "{text}");
    }
}

#[test]
fn sees_through_every_spelling_of_an_address() {
    for url in [
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://0xA9FEA9FE/",
        "http://2852039166/",
        "http://[::ffff:7f00:1]/",
        "http://[0000:0000:0000:0000:0000:ffff:7f00:0001]/",
        "http://127.0.0.1./",
        "http://①②⑦.⓪.⓪.①/",
        "http://127.0.0.1/",
        "http://127。0。0。1/",
        "http://0x7f.0x0.0x0.0x1:8080/x?y",
        "HTTP://%31%32%37.0.0.1/",
        "http://0/",
    ] {
        assert!(matches!(refusal(url), Refusal::Address { .. }), "{url}");
    }
}

#[test]
fn refuses_urls_that_programs_read_differently() {
    for (url, expected) in [
        ("http://user@127.0.0.1/", Refusal::Credentials),
        ("http://1:2@[::1]:9876", Refusal::Credentials),
        ("https://:secret@example.com/", Refusal::Credentials),
        ("http://public.example#@127.0.0.1/", Refusal::Fragment),
        ("https://example.com/#", Refusal::Fragment),
        ("http://example.com\\@127.0.0.1/", Refusal::Characters),
        ("http://exa\tmple.com/", Refusal::Characters),
        (" http://example.com/", Refusal::Characters),
        ("http://example.com/\r\nHost: x", Refusal::Characters),
        ("http://a b.example/", Refusal::Characters),
    ] {
        assert_eq!(refusal(url), expected, "{url}");
    }
    for url in [
        "https://[127.0.0.1]",
        "https://[::1%lo]",
        "https://::1",
        "",
        "example.com",
        "//example.com/",
        "http://",
        "http://a..b/%",
        "http://exa%00mple.com/",
    ] {
        let refused = refusal(url);
        assert!(
            matches!(refused, Refusal::Url(_) | Refusal::Host),
            "{url}: {refused:?}"
        );
    }
    for scheme in [
        "file",
        "gopher",
        "ftp",
        "dict",
        "data",
        "unix",
        "ws",
        "javascript",
    ] {
        let refused = refusal(&format!("{scheme}://example.com/"));
        assert!(
            matches!(refused, Refusal::Scheme | Refusal::Url(_)),
            "{scheme}: {refused:?}"
        );
    }
    assert_eq!(
        refusal(&format!("https://example.com/{}", "x".repeat(5000))),
        Refusal::TooLong { limit: 4096 }
    );
}

#[test]
fn refuses_metadata_services_by_name_whatever_is_allowed() {
    let open = allowing(&["0.0.0.0/0", "::/0"]);
    for url in [
        "http://metadata.google.internal/",
        "http://metadata.amazonaws.com/",
        "http://METADATA.google.internal./x",
    ] {
        assert_eq!(
            open.check_url(url).unwrap_err(),
            Refusal::MetadataName,
            "{url}"
        );
    }
}

#[test]
fn refuses_ports_of_other_services() {
    for (url, port) in [
        ("http://1.1.1.1:22/", 22),
        ("https://1.1.1.1:25/", 25),
        ("https://1.1.1.1:0/", 0),
    ] {
        assert_eq!(refusal(url), Refusal::Port { port });
    }
    assert!(Guard::default().check_url("https://1.1.1.1:8443/").is_ok());
    let ports = "443".parse().unwrap();
    let strict = Guard::new(GuardSettings {
        ports,
        https_only: true,
        ..GuardSettings::default()
    });
    assert_eq!(
        strict.check_url("https://1.1.1.1:8443/").unwrap_err(),
        Refusal::Port { port: 8443 }
    );
    assert_eq!(
        strict.check_url("http://1.1.1.1:443/").unwrap_err(),
        Refusal::NotEncrypted
    );
}

#[test]
fn an_allow_list_opens_what_it_lists_and_nothing_else() {
    let guard = allowing(&["10.1.0.0/16", "fd00::/8"]);
    for text in [
        "10.1.0.1",
        "10.1.255.255",
        "fd00::1",
        "64:ff9b::a01:1",
        "1.1.1.1",
    ] {
        assert_eq!(check(&guard, ip(text)), Ok(()), "{text}");
    }
    for text in [
        "10.2.0.1",
        "10.0.255.255",
        "fc00::1",
        "127.0.0.1",
        "169.254.169.254",
        "::ffff:10.1.0.1",
        "2002:a01:1::1",
    ] {
        assert!(check(&guard, ip(text)).is_err(), "{text}");
    }
}

#[test]
fn never_asks_where_this_program_listens() {
    let own = |own: &str| {
        let open = allowing(&["0.0.0.0/0", "::/0"]);
        Guard::new(GuardSettings {
            own: vec![own.parse().unwrap()],
            ..open.settings
        })
    };
    let asked = |guard: &Guard, address: &str| guard.check_address(address.parse().unwrap());
    let exact = own("10.0.0.1:9464");
    assert!(matches!(
        asked(&exact, "10.0.0.1:9464"),
        Err(Refusal::Own { .. })
    ));
    assert!(matches!(
        asked(&exact, "[::ffff:10.0.0.1]:9464"),
        Err(Refusal::Own { .. })
    ));
    assert_eq!(asked(&exact, "10.0.0.1:9465"), Ok(()));
    assert_eq!(asked(&exact, "10.0.0.2:9464"), Ok(()));
    let every = own("0.0.0.0:9464");
    for address in ["127.0.0.1:9464", "[::1]:9464", "0.0.0.0:9464"] {
        assert!(
            matches!(asked(&every, address), Err(Refusal::Own { .. })),
            "{address}"
        );
    }
    let (here, there) = (
        "10.0.0.1:40000".parse().unwrap(),
        "10.0.0.1:9464".parse().unwrap(),
    );
    assert!(every.check_connection(here, there).is_err());
    assert_eq!(
        every.check_connection(here, "10.0.0.2:9464".parse().unwrap()),
        Ok(())
    );
    assert_eq!(
        every.check_connection(here, "10.0.0.1:80".parse().unwrap()),
        Ok(())
    );
}

#[test]
fn nat64_can_be_refused_altogether() {
    let guard = Guard::new(GuardSettings {
        nat64: Nat64::Refuse,
        ..GuardSettings::default()
    });
    assert!(check(&guard, ip("64:ff9b::5db8:d822")).is_err());
}

#[test]
fn tells_the_owner_of_an_endpoint_no_address() {
    let error = check(&Guard::default(), ip("10.254.0.7")).unwrap_err();
    assert!(!error.to_string().contains("10.254"), "{error}");
}

proptest! {
    #[test]
    fn nat64_has_the_verdict_of_what_it_leads_to(bits in any::<u32>()) {
        let guard = allowing(&["172.16.0.0/12"]);
        let v4 = std::net::Ipv4Addr::from_bits(bits);
        let [a, b] = [(bits >> 16) as u16, bits as u16];
        let v6 = std::net::Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b);
        prop_assert_eq!(check(&guard, v4.into()).is_ok(), check(&guard, v6.into()).is_ok());
    }

    #[test]
    fn never_panics_on_a_url(text in "\\PC{0,60}", scheme in "https?://|") {
        if let Ok(target) = Guard::default().check_url(&format!("{scheme}{text}")) {
            prop_assert!(target.origin().starts_with("http"));
        }
    }
}
