//! Encrypts connections.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::settings::{InvalidSettings, Settings};
use crate::error::SendError;

const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// How endpoints are encrypted to, and whom it trusts.
#[derive(Clone)]
pub(super) struct Encryption(TlsConnector);

impl Encryption {
    pub(super) fn new(settings: &Settings) -> Result<Self, InvalidSettings> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(InvalidSettings::Tls)?
            .with_root_certificates(roots(settings)?)
            .with_no_client_auth();
        let offered: &[&[u8]] = if settings.http2 {
            &[HTTP_2, HTTP_1]
        } else {
            &[HTTP_1]
        };
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// The encrypted connection, and whether HTTP/2 was agreed on.
    pub(super) async fn handshake(
        &self,
        name: &ServerName<'static>,
        socket: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, bool), SendError> {
        let stream = self.0.connect(name.clone(), socket).await.map_err(failed)?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        Ok((stream, http2))
    }
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encryption")
    }
}

fn failed(error: io::Error) -> SendError {
    match error.downcast::<rustls::Error>() {
        Ok(invalid @ rustls::Error::InvalidCertificate(_)) => SendError::Certificate(invalid),
        Ok(other) => SendError::Tls(io::Error::other(other)),
        Err(error) => SendError::Tls(error),
    }
}

fn roots(settings: &Settings) -> Result<RootCertStore, InvalidSettings> {
    let mut roots = RootCertStore::empty();
    if settings.system_roots {
        // Some systems carry certificates that cannot be read; the others count all the same.
        let (usable, _) =
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if usable == 0 && settings.extra_roots_pem.is_none() {
            return Err(InvalidSettings::NoSystemRoots);
        }
    }
    if let Some(pem) = &settings.extra_roots_pem {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(InvalidSettings::Pem)?;
        if certificates.is_empty() {
            return Err(InvalidSettings::NoCertificate);
        }
        for certificate in certificates {
            roots.add(certificate).map_err(InvalidSettings::Tls)?;
        }
    }
    Ok(roots)
}
