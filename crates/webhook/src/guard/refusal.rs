//! Why an endpoint is not asked.

use std::net::IpAddr;

/// Why a URL or an address is not asked. It may be shown to the owner of the endpoint: no address is in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No URL.
    #[error("it is not a URL")]
    Url(#[source] url::ParseError),
    /// A URL longer than any in use.
    #[error("the URL is longer than {limit} bytes")]
    TooLong {
        /// The most there may be.
        limit: usize,
    },
    /// Spaces, control characters and backslashes, which programs read differently.
    #[error("the URL has characters that must be percent-encoded")]
    Characters,
    /// Neither `http` nor `https`.
    #[error("the URL's scheme is neither https nor http")]
    Scheme,
    /// `http` where only `https` is allowed.
    #[error("the URL must be an https one")]
    NotEncrypted,
    /// A user or a password in the URL.
    #[error("the URL has a user name or a password in it; use a header for them")]
    Credentials,
    /// What follows a `#` is never sent, so it can only mislead.
    #[error("the URL has a fragment (#…), which is never sent")]
    Fragment,
    /// No host, or a name that no host can have.
    #[error("the URL's host is not one that can be asked")]
    Host,
    /// A port of another kind of service.
    #[error("port {port} is not allowed for webhooks")]
    Port {
        /// The port.
        port: u16,
    },
    /// A name by which clouds serve credentials to their machines.
    #[error("the URL's host is a metadata service")]
    MetadataName,
    /// An address that is not public.
    #[error(
        "the URL's host has an address that is not allowed; allow_private_networks opens networks"
    )]
    Address {
        /// The address.
        address: IpAddr,
        /// What it is, such as `loopback`.
        kind: &'static str,
    },
    /// An address where this program itself listens.
    #[error("the URL leads back to this program")]
    Own {
        /// The address.
        address: IpAddr,
    },
}
