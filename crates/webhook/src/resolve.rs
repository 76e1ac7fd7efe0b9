//! Names to addresses.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use dns_lookup::LookupErrorKind;
use tokio::sync::Semaphore;

/// How many look-ups of the operating system's may be under way: each holds a thread, and cannot be interrupted.
const MAX_LOOKUPS: usize = 64;

/// A look-up under way. Dropping it gives it up.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, LookupError>> + Send + 'a>>;

/// Finds the addresses of a host, such as the operating system's resolver. What it finds is vetted afterwards.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a host, the preferred ones first. Called within the request's deadline.
    fn lookup<'a>(&'a self, host: &'a str) -> Lookup<'a>;
}

/// Why a host has no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// DNS says so.
    #[error("DNS knows no address of the host")]
    NotFound,
    /// DNS gave no answer.
    #[error("DNS gave no answer for the host")]
    Unavailable,
}

/// The operating system's resolver (`getaddrinfo`): hosts file, DNS and whatever else it is set up for.
#[derive(Debug, Clone)]
pub struct SystemResolver {
    threads: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self {
            threads: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }
}

impl Resolve for SystemResolver {
    fn lookup<'a>(&'a self, host: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            let permit = Arc::clone(&self.threads)
                .acquire_owned()
                .await
                .map_err(|_| LookupError::Unavailable)?;
            let host = host.to_owned();
            let search = move || {
                // Held by the thread, not by the caller: a caller that gives up must not let another thread start.
                let _permit = permit;
                dns_lookup::lookup_host(&host).map(Iterator::collect::<Vec<_>>)
            };
            let addresses = tokio::task::spawn_blocking(search)
                .await
                .map_err(|_| LookupError::Unavailable)?
                .map_err(|error| meaning(error.kind()))?;
            if addresses.is_empty() {
                Err(LookupError::NotFound)
            } else {
                Ok(addresses)
            }
        })
    }
}

const fn meaning(kind: LookupErrorKind) -> LookupError {
    match kind {
        LookupErrorKind::NoName | LookupErrorKind::NoData => LookupError::NotFound,
        LookupErrorKind::Again
        | LookupErrorKind::Badflags
        | LookupErrorKind::Fail
        | LookupErrorKind::Family
        | LookupErrorKind::Socktype
        | LookupErrorKind::Service
        | LookupErrorKind::Memory
        | LookupErrorKind::System
        | LookupErrorKind::Unknown
        | LookupErrorKind::IO => LookupError::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finds_this_machine() {
        let addresses = SystemResolver::default().lookup("localhost").await.unwrap();
        assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
    }

    #[test]
    fn tells_a_name_that_does_not_exist_from_a_resolver_that_does_not_answer() {
        assert_eq!(meaning(LookupErrorKind::NoName), LookupError::NotFound);
        assert_eq!(meaning(LookupErrorKind::Again), LookupError::Unavailable);
    }
}
