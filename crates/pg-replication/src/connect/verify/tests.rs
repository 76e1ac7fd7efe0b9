use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd,
};

use super::*;

fn params(names: &[&str], is_ca: bool) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

fn self_signed(names: &[&str], is_ca: bool) -> Certificate {
    params(names, is_ca)
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap()
}

/// Checks `shown` for the host `name` in `year`, trusting `listed`.
fn check(
    shown: &Certificate,
    listed: &Certificate,
    check_name: bool,
    name: &str,
    year: u64,
) -> Result<(), Error> {
    let provider = rustls::crypto::ring::default_provider();
    let mut roots = RootCertStore::empty();
    roots.add(listed.der().clone()).unwrap();
    let trust = Trust {
        roots,
        listed: vec![listed.der().clone()],
        check_name,
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_556_952));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    Verifier::new(Some(trust), &provider)
        .verify_server_cert(shown.der(), &[], &name, &[], now)
        .map(drop)
}

#[test]
fn trusts_what_a_listed_authority_issued() {
    let key = KeyPair::generate().unwrap();
    let authority = params(&[], true).self_signed(&key).unwrap();
    let server = params(&["db.example"], false)
        .signed_by(
            &KeyPair::generate().unwrap(),
            &Issuer::new(params(&[], true), key),
        )
        .unwrap();
    check(&server, &authority, true, "db.example", 2025).unwrap();
    check(&server, &authority, false, "other.example", 2025).unwrap();
    assert!(check(&server, &authority, true, "other.example", 2025).is_err());
    assert!(check(&server, &self_signed(&[], true), false, "db.example", 2025).is_err());
    assert!(check(&server, &authority, false, "db.example", 2031).is_err());
}

#[test]
fn trusts_a_listed_certificate_that_is_its_own_authority() {
    for is_ca in [true, false] {
        let server = self_signed(&["db.example"], is_ca);
        check(&server, &server, true, "db.example", 2025).unwrap();
        assert!(
            check(&server, &server, true, "other.example", 2025).is_err(),
            "wrong name"
        );
        assert!(
            check(&server, &server, true, "db.example", 2031).is_err(),
            "expired"
        );
        let namesake = self_signed(&["db.example"], is_ca);
        assert!(
            check(&namesake, &server, true, "db.example", 2025).is_err(),
            "another one of the name"
        );
    }
}

#[test]
fn takes_any_certificate_when_nothing_is_asked() {
    let provider = rustls::crypto::ring::default_provider();
    let name = ServerName::try_from("other.example").unwrap();
    let expired = UnixTime::since_unix_epoch(Duration::from_secs(4_000_000_000));
    Verifier::new(None, &provider)
        .verify_server_cert(
            self_signed(&["db.example"], true).der(),
            &[],
            &name,
            &[],
            expired,
        )
        .unwrap();
}
