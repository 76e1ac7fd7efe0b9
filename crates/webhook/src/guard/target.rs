//! An endpoint's URL, taken apart once.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use rustls::pki_types::ServerName;
use url::{Host, Position, Url};

use super::refusal::Refusal;

const MAX_URL_BYTES: usize = 4096;

/// Where requests of an endpoint go. Its path and query may be what authorises the sender (they are for Slack, JANDI
/// and Discord): `Debug` leaves them out.
#[derive(Clone)]
pub struct Target {
    pub(super) host: TargetHost,
    pub(super) port: u16,
    origin: Arc<str>,
    server_name: Option<ServerName<'static>>,
    host_header: HeaderValue,
    /// As HTTP/2 wants it.
    absolute: Uri,
    /// As HTTP/1.1 wants it: path and query.
    relative: Uri,
}

/// Whom the URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TargetHost {
    Name(Box<str>),
    Address(IpAddr),
}

impl Target {
    /// Takes a URL apart, as browsers do: `http://0x7f.1/` is `127.0.0.1`. Says nothing of whether it may be asked.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > MAX_URL_BYTES {
            return Err(Refusal::TooLong {
                limit: MAX_URL_BYTES,
            });
        }
        // The parser would drop or turn them, and a person who checks the text would read another URL.
        if text.contains(|char: char| char.is_whitespace() || char.is_control() || char == '\\') {
            return Err(Refusal::Characters);
        }
        let url = Url::parse(text).map_err(Refusal::Url)?;
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(Refusal::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        if url.fragment().is_some() {
            return Err(Refusal::Fragment);
        }
        let host = match url.host().ok_or(Refusal::Host)? {
            Host::Domain(name) => TargetHost::Name(name.strip_suffix('.').unwrap_or(name).into()),
            Host::Ipv4(address) => TargetHost::Address(address.into()),
            Host::Ipv6(address) => TargetHost::Address(address.into()),
        };
        let server_name = match &host {
            TargetHost::Name(name) => {
                ServerName::try_from(name.to_string()).map_err(|_| Refusal::Host)?
            }
            TargetHost::Address(address) => ServerName::IpAddress((*address).into()),
        };
        let port = url.port_or_known_default().ok_or(Refusal::Host)?;
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        let relative = &url[Position::BeforePath..Position::AfterQuery];
        let unusual = |_| Refusal::Characters;
        Ok(Self {
            origin: format!(
                "{}://{}:{port}",
                url.scheme(),
                url.host_str().unwrap_or_default()
            )
            .into(),
            server_name: secure.then_some(server_name),
            host_header: HeaderValue::from_str(authority).map_err(|_| Refusal::Host)?,
            relative: relative.parse().map_err(unusual)?,
            absolute: url.as_str().parse().map_err(unusual)?,
            host,
            port,
        })
    }

    /// Scheme, host and port: requests of one origin share connections.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether requests are encrypted.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.server_name.is_some()
    }

    pub(crate) const fn shared_origin(&self) -> &Arc<str> {
        &self.origin
    }

    pub(crate) const fn server_name(&self) -> Option<&ServerName<'static>> {
        self.server_name.as_ref()
    }

    pub(crate) const fn host(&self) -> &TargetHost {
        &self.host
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) const fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    pub(crate) const fn absolute(&self) -> &Uri {
        &self.absolute
    }

    pub(crate) const fn relative(&self) -> &Uri {
        &self.relative
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}/…)", self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    #[test]
    fn takes_a_url_apart() {
        let hook = target("https://Example.com./a%20b?token=1&x");
        assert_eq!(hook.origin(), "https://example.com.:443");
        assert_eq!(hook.host, TargetHost::Name("example.com".into()));
        assert_eq!(hook.relative(), "/a%20b?token=1&x");
        assert!(hook.is_encrypted());
        assert_eq!(target("http://example.com").relative(), "/");
        assert_eq!(
            target("https://bücher.example/").host_header(),
            "xn--bcher-kva.example"
        );
    }

    #[test]
    fn names_the_port_to_the_receiver_unless_it_is_the_usual_one() {
        for (url, host) in [
            ("https://example.com:443/", "example.com"),
            ("http://example.com:443/", "example.com:443"),
            ("https://example.com:8443/", "example.com:8443"),
            (
                "http://[2001:4860:4860::8888]:8080/x",
                "[2001:4860:4860::8888]:8080",
            ),
        ] {
            assert_eq!(target(url).host_header(), host);
        }
    }

    #[test]
    fn does_not_show_what_authorises() {
        assert_eq!(
            format!(
                "{:?}",
                target("https://hooks.example.com/services/T0/secret?k=v")
            ),
            "Target(https://hooks.example.com:443/…)"
        );
    }
}
