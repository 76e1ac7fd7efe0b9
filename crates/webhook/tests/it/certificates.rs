//! Encrypted endpoints and their certificates.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use webhook::{Class, Client, InvalidSettings, Receipt, Settings};

use crate::receiver::{Receiver, status};
use crate::setup::{send, settings};

/// A certificate authority of one test.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("authority")
    }

    fn named(name: &str) -> Self {
        let params = || {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let key = KeyPair::generate().unwrap();
        Self {
            pem: params().self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(params(), key),
        }
    }

    /// A server with a certificate for these names, which offers these protocols.
    pub(crate) fn acceptor(&self, names: &[&str], protocols: &[&str]) -> TlsAcceptor {
        self.acceptor_with(names, protocols, |_| ())
    }

    fn acceptor_with(
        &self,
        names: &[&str],
        protocols: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsAcceptor {
        let mut params =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())
                .unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        acceptor(&certificate, &key, protocols)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.settings()).unwrap()
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            extra_roots_pem: Some(self.pem.clone().into_bytes()),
            ..settings()
        }
    }
}

fn acceptor(certificate: &Certificate, key: &KeyPair, protocols: &[&str]) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn trusts_an_authority_that_it_was_given() {
    let authority = Authority::new();
    let receiver =
        Receiver::encrypted(authority.acceptor(&["localhost", "127.0.0.1"], &[]), |_| {
            status(200)
        })
        .await;
    let client = authority.client();
    assert_eq!(
        send(&client, &receiver.https_url()).await.class(),
        Class::Delivered
    );
    let by_address = format!("https://{}/", receiver.address);
    assert_eq!(send(&client, &by_address).await.class(), Class::Delivered);
}

/// A server whose certificate was signed by itself.
fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    acceptor(&params.self_signed(&key).unwrap(), &key, &[])
}

#[tokio::test]
async fn sends_nothing_to_an_endpoint_whose_certificate_is_not_valid_and_says_why() {
    let authority = Authority::new();
    let (other, of_its_name) = (Authority::named("other"), Authority::new());
    let with =
        |change: fn(&mut CertificateParams)| authority.acceptor_with(&["localhost"], &[], change);
    let expired = with(|params| params.not_after = date_time_ymd(2001, 1, 1));
    let not_yet = with(|params| params.not_before = date_time_ymd(4000, 1, 1));
    let of_clients = with(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let as_openssl_does = self_signed(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    for (code, acceptor) in [
        ("webhook-certificate-expired", expired),
        ("webhook-certificate-not-yet-valid", not_yet),
        (
            "webhook-certificate-other-host",
            authority.acceptor(&["example.com"], &[]),
        ),
        (
            "webhook-certificate-untrusted",
            other.acceptor(&["localhost"], &[]),
        ),
        (
            "webhook-certificate-untrusted",
            of_its_name.acceptor(&["localhost"], &[]),
        ),
        ("webhook-certificate-untrusted", self_signed(|_| ())),
        ("webhook-certificate-untrusted", as_openssl_does),
        ("webhook-certificate", of_clients),
    ] {
        let receiver = Receiver::encrypted(acceptor, |_| status(200)).await;
        let attempt = send(&authority.client(), &receiver.https_url()).await;
        assert_eq!(
            (attempt.class(), attempt.code().as_str(), attempt.receipt()),
            (Class::Retry, code, Receipt::NotSent),
            "{attempt:?}"
        );
        assert!(receiver.seen().is_empty());
    }
}

#[tokio::test]
async fn takes_an_endpoint_without_encryption_as_a_failure_of_it() {
    let receiver = Receiver::saying("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let attempt = send(&Authority::new().client(), &receiver.https_url()).await;
    assert_eq!(
        (attempt.class(), attempt.receipt()),
        (Class::Retry, Receipt::NotSent),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn refuses_authorities_that_cannot_be_read() {
    for (pem, expected) in [
        ("", "no certificate"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "cannot be used",
        ),
    ] {
        let error = Client::new(Settings {
            extra_roots_pem: Some(pem.into()),
            ..settings()
        })
        .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let agent = Client::new(Settings {
        user_agent: "a\nb".into(),
        ..settings()
    })
    .unwrap_err();
    assert!(matches!(agent, InvalidSettings::UserAgent));
}
