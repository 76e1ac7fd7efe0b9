//! Keeps requests away from what is not meant to be asked: server-side request forgery.
//!
//! The owner of an endpoint chooses its URL, and the sender stands inside a network where that owner does not. So every
//! address is vetted, of a literal and of a name, at every attempt, and the connection goes to a vetted address and
//! no other: there is no second look-up that could answer differently.

mod address;
mod network;
mod ports;
mod refusal;
mod target;

use std::net::{IpAddr, SocketAddr};

pub use self::network::{InvalidNetwork, Network};
pub use self::ports::{InvalidPorts, Ports};
pub use self::refusal::Refusal;
pub use self::target::Target;
pub(crate) use self::target::TargetHost;

/// Names by which clouds serve credentials to their machines. Their addresses are not public either; the names are
/// refused so that an allow list cannot open them by accident.
const METADATA_NAMES: [&str; 8] = [
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.amazonaws.com",
    "metadata.azure.internal",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.tencentyun.com",
];

/// What may be asked. The default allows public addresses only.
#[derive(Debug, Clone, Default)]
pub struct GuardSettings {
    /// Networks that may be asked although they are not public.
    pub allow: Vec<Network>,
    /// Ports that may be asked, in allowed networks too.
    pub ports: Ports,
    /// Refuse `http`.
    pub https_only: bool,
    /// What to make of `64:ff9b::/96`.
    pub nat64: Nat64,
    /// Where this program itself listens: never asked, whatever is allowed. `0.0.0.0` and `::` stand for every address
    /// of this machine.
    pub own: Vec<SocketAddr>,
}

/// What to make of an IPv6 address that a NAT64 gateway turns into an IPv4 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nat64 {
    /// Judge it as the IPv4 address: on networks with IPv6 only, DNS64 gives such an address for every IPv4 host.
    #[default]
    Decode,
    /// Refuse it.
    Refuse,
}

/// Decides which URLs and addresses may be asked.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    settings: GuardSettings,
}

impl Guard {
    /// A guard with these settings.
    #[must_use]
    pub const fn new(settings: GuardSettings) -> Self {
        Self { settings }
    }

    /// Checks a URL as far as that is possible without asking DNS, and takes it apart. To be called when an endpoint
    /// is entered, and once when it is loaded; [`Client::send`](crate::Client::send) checks again, addresses too.
    ///
    /// # Errors
    ///
    /// [`Refusal`] for what is no `http` or `https` URL, has credentials or a fragment, names a port or an address that
    /// is not allowed, or a metadata service.
    pub fn check_url(&self, url: &str) -> Result<Target, Refusal> {
        let target = Target::parse(url)?;
        self.check_target(&target)?;
        if let TargetHost::Address(address) = target.host() {
            self.check_address(SocketAddr::new(*address, target.port()))?;
        }
        Ok(target)
    }

    /// Checks an address.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if it is neither public nor allowed, or this program's own.
    pub fn check_address(&self, address: SocketAddr) -> Result<(), Refusal> {
        let ip = address.ip();
        if self.settings.own.iter().any(|own| is_own(*own, address)) {
            return Err(Refusal::Own { address: ip });
        }
        match self.special(ip) {
            Some(kind) => Err(Refusal::Address { address: ip, kind }),
            None => Ok(()),
        }
    }

    /// What does not depend on addresses.
    pub(crate) fn check_target(&self, target: &Target) -> Result<(), Refusal> {
        if self.settings.https_only && !target.is_encrypted() {
            return Err(Refusal::NotEncrypted);
        }
        let port = target.port();
        if !self.settings.ports.contains(port) {
            return Err(Refusal::Port { port });
        }
        match target.host() {
            TargetHost::Name(name) if METADATA_NAMES.contains(&&**name) => {
                Err(Refusal::MetadataName)
            }
            TargetHost::Name(_) | TargetHost::Address(_) => Ok(()),
        }
    }

    /// Checks an open connection: one from an address of this machine to the same address leads to this machine.
    pub(crate) fn check_connection(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Result<(), Refusal> {
        let own = |own: &SocketAddr| own.ip().is_unspecified() && own.port() == peer.port();
        if local.ip() == peer.ip() && self.settings.own.iter().any(own) {
            return Err(Refusal::Own { address: peer.ip() });
        }
        Ok(())
    }

    fn special(&self, address: IpAddr) -> Option<&'static str> {
        if self
            .settings
            .allow
            .iter()
            .any(|network| network.contains(address))
        {
            return None;
        }
        match (address::behind_nat64(address), self.settings.nat64) {
            (Some(v4), Nat64::Decode) => self.special(v4.into()),
            (Some(_), Nat64::Refuse) | (None, _) => address::special(address),
        }
    }
}

fn is_own(own: SocketAddr, asked: SocketAddr) -> bool {
    let ip = asked.ip().to_canonical();
    let here = if own.ip().is_unspecified() {
        ip.is_loopback() || ip.is_unspecified()
    } else {
        own.ip().to_canonical() == ip
    };
    own.port() == asked.port() && here
}

#[cfg(test)]
mod tests;
