//! Keeps the secrets of endpoints in the database unreadable.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

use crate::endpoint::EndpointId;

/// What a sealed secret begins with; the key's name and the base64 of nonce and ciphertext follow.
const SEALED: &str = "sealed:";

/// Bytes of a key's digest that name it.
const NAME_BYTES: usize = 4;

/// The keys that secrets are sealed with, by AES-256-GCM, so that a copy of the database alone does not reveal them.
///
/// The first key seals, all of them open: a new one is put before the old one until every secret was rotated. Without
/// any, secrets are stored as they are.
#[derive(Default)]
pub struct SecretKeys(Vec<SealKey>);

struct SealKey {
    name: String,
    key: LessSafeKey,
}

/// Why a secret cannot be sealed or opened. It never says what the secret is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// A key that is not 32 bytes in base64.
    #[error("a key to seal secrets with is 32 bytes in base64")]
    InvalidKey,
    /// It was sealed with a key that is not configured.
    #[error("the secret was sealed with the key {0}, which is not configured")]
    NoKey(String),
    /// It was changed, belongs to another endpoint, or is no sealed secret at all.
    #[error("the sealed secret was changed, or belongs to another endpoint")]
    Broken,
    /// The operating system has no random numbers.
    #[error("the operating system has no random numbers")]
    NoRandom,
}

impl SecretKeys {
    /// Keys in base64, 32 bytes each; the first seals.
    ///
    /// # Errors
    ///
    /// [`SecretError::InvalidKey`].
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<Self, SecretError> {
        keys.into_iter()
            .map(SealKey::new)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What is stored of a secret of `endpoint`.
    pub(crate) fn seal(&self, endpoint: &EndpointId, secret: &str) -> Result<String, SecretError> {
        let Some(SealKey { name, key }) = self.0.first() else {
            return Ok(secret.to_owned());
        };
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| SecretError::NoRandom)?;
        let mut sealed = secret.as_bytes().to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            of(endpoint),
            &mut sealed,
        )
        .map_err(|_| SecretError::Broken)?;
        Ok(format!(
            "{SEALED}{name}:{}",
            STANDARD.encode([&nonce[..], &sealed].concat())
        ))
    }

    /// The reverse of [`seal`](Self::seal); what is not sealed stays as it is.
    pub(crate) fn open(&self, endpoint: &EndpointId, stored: &str) -> Result<String, SecretError> {
        let Some(sealed) = stored.strip_prefix(SEALED) else {
            return Ok(stored.to_owned());
        };
        let (name, text) = sealed.split_once(':').ok_or(SecretError::Broken)?;
        let key = self.0.iter().find(|key| key.name == name);
        let key = &key
            .ok_or_else(|| SecretError::NoKey(name.chars().take(16).collect()))?
            .key;
        let mut bytes = STANDARD.decode(text).map_err(|_| SecretError::Broken)?;
        let (nonce, ciphertext) = bytes
            .split_at_mut_checked(NONCE_LEN)
            .ok_or(SecretError::Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SecretError::Broken)?;
        let opened = key
            .open_in_place(nonce, of(endpoint), ciphertext)
            .map_err(|_| SecretError::Broken)?;
        String::from_utf8(opened.to_vec()).map_err(|_| SecretError::Broken)
    }
}

/// A sealed secret is of no use for another endpoint.
fn of(endpoint: &EndpointId) -> Aad<&[u8]> {
    Aad::from(endpoint.as_str().as_bytes())
}

impl SealKey {
    fn new(text: &str) -> Result<Self, SecretError> {
        let bytes = STANDARD
            .decode(text.trim())
            .map_err(|_| SecretError::InvalidKey)?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SecretError::InvalidKey)?;
        let digest = digest(&SHA256, &bytes);
        let name = digest.as_ref()[..NAME_BYTES]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Self {
            name,
            key: LessSafeKey::new(key),
        })
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|key| &key.name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    fn keys(bytes: &[u8]) -> SecretKeys {
        let keys: Vec<_> = bytes.iter().map(|byte| key(*byte)).collect();
        SecretKeys::new(keys.iter().map(String::as_str)).unwrap()
    }

    fn id(text: &str) -> EndpointId {
        EndpointId::new(text).unwrap()
    }

    #[test]
    fn what_is_stored_does_not_show_the_secret_and_opens_to_it() {
        let keys = keys(&[1]);
        let sealed = keys.seal(&id("a"), SECRET).unwrap();
        assert!(
            sealed.starts_with(SEALED) && !sealed.contains(&SECRET[6..]),
            "{sealed}"
        );
        assert_ne!(
            sealed,
            keys.seal(&id("a"), SECRET).unwrap(),
            "a nonce was used twice"
        );
        assert_eq!(keys.open(&id("a"), &sealed).unwrap(), SECRET);
    }

    #[test]
    fn opens_nothing_that_was_changed_or_is_of_another_endpoint() {
        let keys = keys(&[1]);
        let sealed = keys.seal(&id("a"), SECRET).unwrap();
        assert_eq!(keys.open(&id("b"), &sealed), Err(SecretError::Broken));
        let (head, text) = sealed.rsplit_once(':').unwrap();
        let mut bytes = STANDARD.decode(text).unwrap();
        for place in 0..bytes.len() {
            bytes[place] ^= 1;
            let changed = format!("{head}:{}", STANDARD.encode(&bytes));
            assert_eq!(
                keys.open(&id("a"), &changed),
                Err(SecretError::Broken),
                "{place}"
            );
            bytes[place] ^= 1;
        }
        for text in [
            "sealed:",
            "sealed:00",
            &format!("{head}:"),
            &format!("{head}:%%"),
            &format!("{head}:AAAA"),
        ] {
            assert!(keys.open(&id("a"), text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_new_key_seals_and_the_old_one_still_opens() {
        let sealed = keys(&[1]).seal(&id("a"), SECRET).unwrap();
        let both = keys(&[2, 1]);
        assert_eq!(both.open(&id("a"), &sealed).unwrap(), SECRET);
        let anew = both.seal(&id("a"), SECRET).unwrap();
        assert_eq!(keys(&[2]).open(&id("a"), &anew).unwrap(), SECRET);
        assert!(matches!(
            keys(&[2]).open(&id("a"), &sealed),
            Err(SecretError::NoKey(_))
        ));
    }

    #[test]
    fn without_a_key_secrets_are_stored_as_they_are() {
        let keys = SecretKeys::default();
        assert_eq!(keys.seal(&id("a"), SECRET).unwrap(), SECRET);
        assert_eq!(keys.open(&id("a"), SECRET).unwrap(), SECRET);
    }

    #[test]
    fn refuses_a_key_that_is_too_short_and_shows_none() {
        for text in ["", "AAAA", "not base64", &STANDARD.encode([0; 31])] {
            assert_eq!(
                SecretKeys::new([text]).unwrap_err(),
                SecretError::InvalidKey
            );
        }
        assert!(!format!("{:?}", keys(&[1])).contains(&key(1)));
    }
}
