//! Encrypts a TCP connection: PostgreSQL's SSLRequest, then a TLS handshake.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::stream::Stream;
use super::verify::{Trust, Verifier};
use crate::options::{ClientCertificate, SslMode, TlsOptions, TrustedRoots};

/// Why a connection could not be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// `sslmode` asks for encryption and the server has none.
    #[error("the server does not offer TLS (its setting ssl is off), and sslmode asks for it")]
    NotOffered,
    /// The answer to the request for encryption was neither yes nor no.
    #[error("the answer to the TLS request is not PostgreSQL's (byte {answer:#04x})")]
    NotPostgres {
        /// The byte that came.
        answer: u8,
    },
    /// A file of the connection string.
    #[error("{parameter}: {} can't be read", path.display())]
    File {
        /// The parameter that names it.
        parameter: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The operating system's certificate authorities.
    #[error("sslrootcert=system: the operating system lists no certificate authority")]
    NoSystemRoots,
    /// The host can't be the name in a certificate.
    #[error("the host name is not one that a certificate can have")]
    ServerName(#[source] rustls::pki_types::InvalidDnsNameError),
    /// The certificates and keys of the connection string.
    #[error("sslrootcert, sslcert or sslkey is not usable")]
    Settings(#[source] rustls::Error),
    /// The server's certificate is not one that `sslmode` lets through.
    #[error("the server's certificate is refused")]
    Certificate(#[source] rustls::Error),
    /// The handshake broke off.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
}

impl TlsError {
    /// Whether it lies in our own settings, whatever the server.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::File { .. } | Self::NoSystemRoots | Self::Settings(_) => true,
            Self::NotOffered
            | Self::NotPostgres { .. }
            | Self::ServerName(_)
            | Self::Certificate(_)
            | Self::Handshake(_) => false,
        }
    }

    /// Whether it lies in settings or certificates, which a new attempt doesn't change.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::NotOffered
            | Self::File { .. }
            | Self::NoSystemRoots
            | Self::ServerName(_)
            | Self::Settings(_)
            | Self::Certificate(_) => true,
            Self::NotPostgres { .. } | Self::Handshake(_) => false,
        }
    }
}

/// Asks the server for encryption and does the handshake. When the server has none: a plain connection, unless
/// `required`.
pub(super) async fn negotiate(
    mut socket: TcpStream,
    host: &str,
    options: &TlsOptions,
    required: bool,
) -> Result<Stream, TlsError> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    socket
        .write_all(&request)
        .await
        .map_err(TlsError::Handshake)?;
    // A single byte: whatever came with it would be plain text that claims to be encrypted (CVE-2021-23222).
    match socket.read_u8().await.map_err(TlsError::Handshake)? {
        b'S' => {}
        b'N' if required => return Err(TlsError::NotOffered),
        b'N' => return Ok(Stream::Tcp(socket)),
        // A server that fails to fork answers with an ErrorResponse; nothing in it can be trusted.
        answer => return Err(TlsError::NotPostgres { answer }),
    }
    let name = ServerName::try_from(host.to_owned()).map_err(TlsError::ServerName)?;
    let connector = TlsConnector::from(Arc::new(configure(options)?));
    let stream = connector
        .connect(name, socket)
        .await
        .map_err(handshake_error)?;
    Ok(Stream::Tls(Box::new(stream)))
}

fn handshake_error(error: io::Error) -> TlsError {
    match error.downcast::<rustls::Error>() {
        Ok(refused @ rustls::Error::InvalidCertificate(_)) => TlsError::Certificate(refused),
        Ok(other) => TlsError::Handshake(io::Error::other(other)),
        Err(error) => TlsError::Handshake(error),
    }
}

fn configure(options: &TlsOptions) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(trust(options)?, &provider);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Settings)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &options.client {
        None => builder.with_no_client_auth(),
        Some(ClientCertificate { certificates, key }) => {
            let chain = read_certificates("sslcert", certificates)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::File {
                parameter: "sslkey",
                path: key.clone(),
                source,
            })?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(TlsError::Settings)?
        }
    };
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(config)
}

/// `None`: any certificate will do.
fn trust(options: &TlsOptions) -> Result<Option<Trust>, TlsError> {
    let check_name = options.mode == SslMode::VerifyFull;
    let listed = match &options.roots {
        Some(TrustedRoots::File(path)) => read_certificates("sslrootcert", path)?,
        Some(TrustedRoots::System) => system_roots()?,
        None if check_name => system_roots()?,
        None => return Ok(None),
    };
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(listed.iter().cloned());
    if usable == 0 {
        return Err(TlsError::Settings(rustls::Error::General(
            "no usable certificate in sslrootcert".into(),
        )));
    }
    Ok(Some(Trust {
        roots,
        listed,
        check_name,
    }))
}

fn system_roots() -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        Err(TlsError::NoSystemRoots)
    } else {
        Ok(found)
    }
}

fn read_certificates(
    parameter: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refused = |source| TlsError::File {
        parameter,
        path: path.to_owned(),
        source,
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(refused)?;
    if certificates.is_empty() {
        Err(refused(pem::Error::NoItemsFound))
    } else {
        Ok(certificates)
    }
}
