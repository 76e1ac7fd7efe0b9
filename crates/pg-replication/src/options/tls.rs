//! How the connection is encrypted and what is asked of the server's certificate.

use std::path::PathBuf;

use super::invalid::InvalidOptions;

/// libpq's `sslmode`. Unix sockets are never encrypted, whatever the mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Plain; encrypted when the server refuses that.
    Allow,
    /// Encrypted when the server can, plain otherwise. Protects from nobody who can change packets.
    #[default]
    Prefer,
    /// Encrypted; the certificate is checked only when `sslrootcert` is given, and then as by `verify-ca`.
    Require,
    /// Encrypted, and the certificate is issued by a trusted authority.
    VerifyCa,
    /// As `verify-ca`, and the certificate is for this host. A name must be a subject alternative name of the
    /// certificate; its common name doesn't count.
    VerifyFull,
}

/// Whom to trust (`sslrootcert`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedRoots {
    /// The certificate authorities of the operating system (`system`).
    System,
    /// The certificates of a PEM file.
    File(PathBuf),
}

/// The client's own certificate (`sslcert` and `sslkey`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The file with the chain, the client's certificate first.
    pub certificates: PathBuf,
    /// The file with the private key, not encrypted.
    pub key: PathBuf,
}

/// Everything about TLS that a connection string can say. Files are read anew for each connection, so that a
/// renewed certificate is taken without a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// When to encrypt and what to check.
    pub mode: SslMode,
    /// Whom to trust.
    pub roots: Option<TrustedRoots>,
    /// How to show who we are.
    pub client: Option<ClientCertificate>,
}

impl SslMode {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

impl TlsOptions {
    pub(super) fn parse(
        mode: Option<&str>,
        roots: Option<&str>,
        certificates: Option<&str>,
        key: Option<&str>,
    ) -> Result<Self, InvalidOptions> {
        let roots = roots
            .filter(|path| !path.is_empty())
            .map(|path| match path {
                "system" => TrustedRoots::System,
                path => TrustedRoots::File(path.into()),
            });
        let system = roots == Some(TrustedRoots::System);
        let mode = match mode {
            Some(text) => SslMode::parse(text).ok_or(InvalidOptions::Value {
                parameter: "sslmode",
                allowed: "disable, allow, prefer, require, verify-ca or verify-full",
            })?,
            None if system => SslMode::VerifyFull,
            None => SslMode::default(),
        };
        if system && mode != SslMode::VerifyFull {
            return Err(InvalidOptions::Contradiction(
                "sslrootcert=system trusts every public authority, so it needs sslmode=verify-full",
            ));
        }
        if mode == SslMode::VerifyCa && roots.is_none() {
            return Err(InvalidOptions::Contradiction(
                "sslmode=verify-ca needs sslrootcert=<file>",
            ));
        }
        let client = match (certificates, key) {
            (None, None) => None,
            (Some(certificates), Some(key)) => Some(ClientCertificate {
                certificates: certificates.into(),
                key: key.into(),
            }),
            _ => {
                return Err(InvalidOptions::Contradiction(
                    "sslcert and sslkey are needed together",
                ));
            }
        };
        Ok(Self {
            mode,
            roots,
            client,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_would_check_less_than_it_seems() {
        for (mode, roots) in [(Some("require"), Some("system")), (Some("verify-ca"), None)] {
            let refused = TlsOptions::parse(mode, roots, None, None);
            assert!(
                matches!(refused, Err(InvalidOptions::Contradiction(_))),
                "{mode:?} {roots:?}"
            );
        }
        assert!(TlsOptions::parse(None, None, Some("a.pem"), None).is_err());
        assert!(TlsOptions::parse(Some("Require"), None, None, None).is_err());
    }

    #[test]
    fn checks_everything_when_the_system_is_trusted() {
        let tls = TlsOptions::parse(None, Some("system"), None, None).unwrap();
        assert_eq!(tls.mode, SslMode::VerifyFull);
        assert_eq!(
            TlsOptions::parse(None, None, None, None).unwrap().mode,
            SslMode::Prefer
        );
    }
}
