//! Remembers for a while what names stand for.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::resolve::{LookupError, Resolve};

/// Names that are remembered at most; of 40 to 300 bytes each.
const MAX_NAMES: usize = 16_384;

/// A resolver and what it said. Only what was found is kept.
pub(super) struct Names {
    resolver: Box<dyn Resolve>,
    keep: Duration,
    known: Mutex<HashMap<Box<str>, Known>>,
}

struct Known {
    addresses: Arc<[IpAddr]>,
    until: Instant,
}

impl Names {
    pub(super) fn new(resolver: impl Resolve, keep: Duration) -> Self {
        Self {
            resolver: Box::new(resolver),
            keep,
            known: Mutex::default(),
        }
    }

    /// The addresses of a host; never none.
    pub(super) async fn addresses(&self, host: &str) -> Result<Arc<[IpAddr]>, LookupError> {
        if let Some(addresses) = self.remembered(host) {
            return Ok(addresses);
        }
        let addresses: Arc<[IpAddr]> = self.resolver.lookup(host).await?.into();
        if addresses.is_empty() {
            return Err(LookupError::NotFound);
        }
        if !self.keep.is_zero() {
            self.remember(host, Arc::clone(&addresses));
        }
        Ok(addresses)
    }

    fn remembered(&self, host: &str) -> Option<Arc<[IpAddr]>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(host)?;
        (Instant::now() < known.until).then(|| Arc::clone(&known.addresses))
    }

    fn remember(&self, host: &str, addresses: Arc<[IpAddr]>) {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_NAMES && !known.contains_key(host) {
            known.retain(|_, known| now < known.until);
            if known.len() >= MAX_NAMES {
                known.clear();
            }
        }
        known.insert(
            host.into(),
            Known {
                addresses,
                until: now + self.keep,
            },
        );
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names")
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;
    use crate::resolve::Lookup;

    /// A new address each time.
    #[derive(Default)]
    struct Counting(AtomicU8);

    impl Resolve for Counting {
        fn lookup<'a>(&'a self, _: &'a str) -> Lookup<'a> {
            let address = IpAddr::from([1, 1, 1, self.0.fetch_add(1, Ordering::SeqCst)]);
            Box::pin(async move { Ok(vec![address]) })
        }
    }

    async fn last_byte(names: &Names, host: &str) -> u8 {
        match names.addresses(host).await.unwrap()[..] {
            [IpAddr::V4(address)] => address.octets()[3],
            ref other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn remembers_for_as_long_as_it_was_told() {
        let names = Names::new(Counting::default(), Duration::from_secs(30));
        assert_eq!(last_byte(&names, "a").await, 0);
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(last_byte(&names, "a").await, 0);
        assert_eq!(last_byte(&names, "b").await, 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(last_byte(&names, "a").await, 2);
    }

    #[tokio::test]
    async fn remembers_nothing_if_told_so() {
        let names = Names::new(Counting::default(), Duration::ZERO);
        assert_eq!(last_byte(&names, "a").await, 0);
        assert_eq!(last_byte(&names, "a").await, 1);
    }

    #[tokio::test]
    async fn remembers_a_bounded_number() {
        let names = Names::new(Counting::default(), Duration::from_secs(30));
        for number in 0..MAX_NAMES + 10 {
            names.addresses(&number.to_string()).await.unwrap();
        }
        assert!(names.known.lock().unwrap().len() <= MAX_NAMES);
    }
}
