//! Where to connect to.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use tokio_postgres::Config;

use super::invalid::InvalidOptions;

const DEFAULT_PORT: u16 = 5432;

/// One server of a connection string. Its `Display` is `name:port`, or the path of the Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A server that is reached by TCP.
    Tcp {
        /// The name, for look-up and for the check of the certificate.
        name: String,
        /// The address to use in place of a look-up (`hostaddr`).
        address: Option<IpAddr>,
        /// The port.
        port: u16,
    },
    /// A server on this machine that is reached through a Unix socket.
    Unix {
        /// The directory of the socket.
        directory: PathBuf,
        /// The port, which is a part of the socket's name.
        port: u16,
    },
}

impl Host {
    /// The path of the Unix socket that PostgreSQL makes in `directory` for `port`.
    pub(crate) fn socket_path(directory: &std::path::Path, port: u16) -> PathBuf {
        directory.join(format!(".s.PGSQL.{port}"))
    }

    /// The hosts that `config` lists, each with its port.
    pub(super) fn all(config: &Config) -> Result<Vec<Self>, InvalidOptions> {
        let (names, addresses, ports) = (
            config.get_hosts(),
            config.get_hostaddrs(),
            config.get_ports(),
        );
        let count = names.len().max(addresses.len());
        if count == 0 {
            return Err(InvalidOptions::NoHost);
        }
        if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
            return Err(InvalidOptions::Contradiction(
                "hostaddr: as many addresses as hosts are needed",
            ));
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(InvalidOptions::Contradiction(
                "port: one port, or as many as hosts, is needed",
            ));
        }
        let host = |index: usize| {
            let port = ports
                .get(index)
                .or_else(|| ports.first())
                .copied()
                .unwrap_or(DEFAULT_PORT);
            let address = addresses.get(index).copied();
            match (names.get(index), address) {
                (Some(tokio_postgres::config::Host::Unix(directory)), _) => Ok(Self::Unix {
                    directory: directory.clone(),
                    port,
                }),
                (Some(tokio_postgres::config::Host::Tcp(name)), _) if !name.is_empty() => {
                    Ok(Self::Tcp {
                        name: name.clone(),
                        address,
                        port,
                    })
                }
                (_, Some(ip)) => Ok(Self::Tcp {
                    name: ip.to_string(),
                    address,
                    port,
                }),
                (_, None) => Err(InvalidOptions::NoHost),
            }
        };
        (0..count).map(host).collect()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { name, port, .. } if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Tcp { name, port, .. } => write!(f, "{name}:{port}"),
            Self::Unix { directory, port } => {
                write!(f, "{}", Self::socket_path(directory, *port).display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Result<Vec<String>, InvalidOptions> {
        let config: Config = text.parse().unwrap();
        Ok(Host::all(&config)?.iter().map(Host::to_string).collect())
    }

    #[test]
    fn gives_each_host_its_port() {
        assert_eq!(hosts("host=a,b port=1,2").unwrap(), ["a:1", "b:2"]);
        assert_eq!(hosts("host=a,b port=1").unwrap(), ["a:1", "b:1"]);
        assert_eq!(
            hosts("host=a,/run/pg").unwrap(),
            ["a:5432", "/run/pg/.s.PGSQL.5432"]
        );
        assert_eq!(
            hosts("postgres://a:1,[::1]:2,c/app").unwrap(),
            ["a:1", "[::1]:2", "c:5432"]
        );
        assert_eq!(hosts("hostaddr=127.0.0.1").unwrap(), ["127.0.0.1:5432"]);
    }

    #[test]
    fn refuses_lists_that_do_not_match() {
        assert_eq!(hosts("user=u"), Err(InvalidOptions::NoHost));
        assert!(matches!(
            hosts("host=a port=1,2"),
            Err(InvalidOptions::Contradiction(_))
        ));
        assert!(matches!(
            hosts("host=a,b hostaddr=127.0.0.1"),
            Err(InvalidOptions::Contradiction(_))
        ));
    }
}
