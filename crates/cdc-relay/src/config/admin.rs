//! Section `[admin]`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// The admin HTTP server.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AdminConfig {
    /// Where it listens; `None` turns it off.
    #[serde(deserialize_with = "listen")]
    pub(crate) listen: Option<ListenAddress>,
}

/// `host:port`; port 0 lets the system choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    text: String,
}

impl ListenAddress {
    /// The address as written, which the standard library resolves.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The address for a client on this machine: an unspecified one stands for loopback.
    pub(crate) fn reachable(&self) -> String {
        match self.text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_unspecified() => match address {
                SocketAddr::V4(_) => format!("127.0.0.1:{}", address.port()),
                SocketAddr::V6(_) => format!("[::1]:{}", address.port()),
            },
            _ => self.text.clone(),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(Self {
                text: text.to_owned(),
            }),
            _ => Err(format!(
                "{text:?} is not an address such as \"127.0.0.1:9464\"; \"\" turns the server off"
            )),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ListenAddress>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        Ok(None)
    } else {
        text.parse().map(Some).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_host_and_port() {
        for text in [
            "9464",
            ":9464",
            "localhost",
            "localhost:99999",
            "127.0.0.1:",
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text:?} was taken");
        }
        assert_eq!(
            "[::1]:9464".parse::<ListenAddress>().unwrap().as_str(),
            "[::1]:9464"
        );
    }

    #[test]
    fn an_unspecified_address_is_reached_over_loopback() {
        let reachable = |text: &str| text.parse::<ListenAddress>().unwrap().reachable();
        assert_eq!(reachable("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reachable("[::]:80"), "[::1]:80");
        assert_eq!(reachable("relay.internal:80"), "relay.internal:80");
    }
}
