//! Certificates for servers and clients of a test.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// A certificate authority whose files are gone when this is dropped.
#[derive(Debug)]
pub struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// What a server or a client shows of itself. The files are the authority's and go with it.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM, readable by its owner only.
    pub key: PathBuf,
    /// Both in one file, the key first, as Kafka's brokers want it.
    pub combined: PathBuf,
}

/// How long a certificate is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// For as long as a test may run.
    Current,
    /// It was over years ago.
    Expired,
}

impl Authority {
    /// An authority that nobody trusts yet.
    ///
    /// # Errors
    /// Fails if its files cannot be written.
    pub fn create(name: &str) -> Result<Self> {
        let dir = TempDir::with_prefix("cdc-e2e-ca.")?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        std::fs::write(
            dir.path().join("authority.pem"),
            params.self_signed(&key)?.pem(),
        )?;
        Ok(Self {
            dir,
            issuer: Issuer::new(params, key),
        })
    }

    /// The folder with `authority.pem` and `NAME.pem` of everything issued.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The authority's own certificate, to be trusted.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("authority.pem")
    }

    /// Issues a certificate for the common name `name` and the host names `hosts`.
    ///
    /// # Errors
    /// Fails if a file cannot be written.
    pub fn issue(&self, name: &str, hosts: &[&str], validity: Validity) -> Result<Credentials> {
        let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name.push(DnType::CommonName, name);
        if validity == Validity::Expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        let key = key.serialize_pem();
        let credentials = Credentials {
            certificate: self.dir.path().join(format!("{name}.crt")),
            key: self.dir.path().join(format!("{name}.key")),
            combined: self.dir.path().join(format!("{name}.pem")),
        };
        std::fs::write(&credentials.certificate, &certificate)?;
        write_secret(&credentials.key, &key)?;
        write_secret(&credentials.combined, &format!("{key}{certificate}"))?;
        Ok(credentials)
    }
}

/// PostgreSQL refuses a key that others may read.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}
