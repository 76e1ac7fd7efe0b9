//! How to send.

use std::time::Duration;

use http::HeaderValue;
use rustls::pki_types::pem;

use crate::guard::Guard;

/// How a client sends.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What may be asked. Default: public addresses only.
    pub guard: Guard,
    /// For everything: DNS, connection, encryption, request and answer. Default: 10 s.
    pub timeout: Duration,
    /// Within it, for connection and encryption. Default: 5 s.
    pub connect_timeout: Duration,
    /// The largest body that is sent; a larger one is refused. Default: 256 KiB.
    pub max_request_bytes: usize,
    /// How much of an answer's body is read and kept. Default: 16 KiB.
    pub max_response_bytes: usize,
    /// `user-agent`. Default: `cdc-relay/` and the version.
    pub user_agent: String,
    /// Whether the operating system's certificate authorities are trusted. Default: yes.
    pub system_roots: bool,
    /// Certificates in PEM that are trusted too. Default: none.
    pub extra_roots_pem: Option<Vec<u8>>,
    /// Whether HTTP/2 is offered to encrypted endpoints. Default: yes.
    pub http2: bool,
    /// Whether names of headers are written as `Webhook-Id` over HTTP/1.1, for receivers that take no other; HTTP/2 has
    /// lower case only. Default: no.
    pub title_case_headers: bool,
    /// How long a connection waits for the next request. Default: 30 s.
    pub idle_timeout: Duration,
    /// How many connections wait, of all endpoints together; 0 keeps none. Default: 512. An encrypted one costs some
    /// 40 KiB.
    pub max_idle: usize,
    /// How long the addresses of a host are remembered; 0 asks each time. Default: 30 s.
    pub dns_cache: Duration,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSettings {
    /// A limit of no time.
    #[error("the time limit of {setting} is zero")]
    NoTime {
        /// Which.
        setting: &'static str,
    },
    /// Characters that no header can have.
    #[error("the user agent has characters that no header can have")]
    UserAgent,
    /// No certificate authorities.
    #[error(
        "the operating system lists no certificate authority; install ca-certificates, or name a file of your own"
    )]
    NoSystemRoots,
    /// Certificates that cannot be read.
    #[error("the additional certificates are not PEM")]
    Pem(#[source] pem::Error),
    /// PEM without a certificate in it.
    #[error("there is no certificate among the additional ones")]
    NoCertificate,
    /// Certificates that cannot be used.
    #[error("the additional certificates cannot be used")]
    Tls(#[source] rustls::Error),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            guard: Guard::default(),
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            max_request_bytes: 256 * 1024,
            max_response_bytes: 16 * 1024,
            user_agent: concat!("cdc-relay/", env!("CARGO_PKG_VERSION")).to_owned(),
            system_roots: true,
            extra_roots_pem: None,
            http2: true,
            title_case_headers: false,
            idle_timeout: Duration::from_secs(30),
            max_idle: 512,
            dns_cache: Duration::from_secs(30),
        }
    }
}

impl Settings {
    pub(super) fn checked_user_agent(&self) -> Result<HeaderValue, InvalidSettings> {
        for (setting, time) in [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
        ] {
            if time.is_zero() {
                return Err(InvalidSettings::NoTime { setting });
            }
        }
        HeaderValue::from_str(&self.user_agent).map_err(|_| InvalidSettings::UserAgent)
    }
}
