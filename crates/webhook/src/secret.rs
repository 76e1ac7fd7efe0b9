//! A key that requests are signed with.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use ring::{error::Unspecified, hmac};
use zeroize::Zeroizing;

const SYMMETRIC: &str = "whsec_";
const PRIVATE: &str = "whsk_";
const PUBLIC: &str = "whpk_";

const HMAC_BYTES: std::ops::RangeInclusive<usize> = 24..=75;
const GENERATED_BYTES: usize = 32;
const SEED_BYTES: usize = 32;

/// As lenient as the published libraries, which take a secret without its padding and with bits after its last byte.
pub(crate) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A secret of an endpoint: symmetric (`whsec_`, HMAC-SHA256) or asymmetric (`whsk_`, Ed25519).
///
/// Its text is wiped from memory when it is dropped, and is in no `Debug`.
pub struct Secret {
    pub(crate) key: Key,
    text: Zeroizing<String>,
}

pub(crate) enum Key {
    Symmetric(hmac::Key),
    Asymmetric(Ed25519KeyPair),
}

/// Why a text is no secret. It never says what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Not base64.
    #[error("a secret is base64, with the prefix whsec_ (symmetric) or whsk_ (Ed25519)")]
    Encoding,
    /// Too short to be safe, or longer than receivers take.
    #[error("a symmetric secret has {min} to {max} bytes, this one has {actual}", min = HMAC_BYTES.start(), max = HMAC_BYTES.end())]
    Length {
        /// Bytes after decoding.
        actual: usize,
    },
    /// Neither a seed (32 bytes) nor a seed with its public key (64 bytes).
    #[error(
        "a whsk_ secret holds an Ed25519 seed of 32 bytes, alone or followed by its public key"
    )]
    KeyPair,
    /// A public key, which only verifies.
    #[error("whpk_ marks a public key; to sign, the private one is needed (whsk_)")]
    PublicKey,
}

impl Secret {
    /// Reads a secret: `whsec_` or nothing before the base64 of 24 to 75 bytes, or `whsk_` before that of an Ed25519
    /// key. Padding may be missing.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        if text.starts_with(PUBLIC) {
            return Err(InvalidSecret::PublicKey);
        }
        if let Some(encoded) = text.strip_prefix(PRIVATE) {
            return Self::asymmetric(&decode(encoded)?);
        }
        let bytes = decode(text.strip_prefix(SYMMETRIC).unwrap_or(text))?;
        if HMAC_BYTES.contains(&bytes.len()) {
            Ok(Self::symmetric(&bytes))
        } else {
            Err(InvalidSecret::Length {
                actual: bytes.len(),
            })
        }
    }

    /// A new symmetric secret of 32 random bytes.
    ///
    /// # Errors
    ///
    /// [`Unspecified`] when the operating system has no random numbers.
    pub fn generate() -> Result<Self, Unspecified> {
        Ok(Self::symmetric(&*random::<GENERATED_BYTES>()?))
    }

    /// A new Ed25519 key.
    ///
    /// # Errors
    ///
    /// [`Unspecified`] when the operating system has no random numbers.
    pub fn generate_asymmetric() -> Result<Self, Unspecified> {
        Self::asymmetric(&*random::<SEED_BYTES>()?).map_err(|_| Unspecified)
    }

    /// The secret as text, with its prefix: to be shown once to the receiver, or stored encrypted.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What the receiver verifies with, if that is not the secret itself: `whpk_` and the public key.
    #[must_use]
    pub fn public_key(&self) -> Option<String> {
        match &self.key {
            Key::Symmetric(_) => None,
            Key::Asymmetric(pair) => {
                Some(format!("{PUBLIC}{}", STANDARD.encode(pair.public_key())))
            }
        }
    }

    fn symmetric(bytes: &[u8]) -> Self {
        let key = Key::Symmetric(hmac::Key::new(hmac::HMAC_SHA256, bytes));
        Self {
            key,
            text: encode(SYMMETRIC, bytes),
        }
    }

    fn asymmetric(bytes: &[u8]) -> Result<Self, InvalidSecret> {
        let pair = match bytes.split_at_checked(SEED_BYTES) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => return Err(InvalidSecret::KeyPair),
        };
        let pair = pair.map_err(|_| InvalidSecret::KeyPair)?;
        let whole = Zeroizing::new([&bytes[..SEED_BYTES], pair.public_key().as_ref()].concat());
        Ok(Self {
            key: Key::Asymmetric(pair),
            text: encode(PRIVATE, &whole),
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.key {
            Key::Symmetric(_) => "Secret(whsec_…)",
            Key::Asymmetric(_) => "Secret(whsk_…)",
        })
    }
}

fn decode(encoded: &str) -> Result<Zeroizing<Vec<u8>>, InvalidSecret> {
    LENIENT
        .decode(encoded)
        .map(Zeroizing::new)
        .map_err(|_| InvalidSecret::Encoding)
}

fn encode(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    // Reserved at once: growing would leave copies behind that nobody wipes.
    let mut text = Zeroizing::new(String::with_capacity(
        prefix.len() + bytes.len().div_ceil(3) * 4,
    ));
    text.push_str(prefix);
    STANDARD.encode_string(bytes, &mut text);
    text
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Unspecified> {
    let mut bytes = Zeroizing::new([0; N]);
    SystemRandom::new().fill(&mut *bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: &str =
        "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    const PUBLIC_KEY: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

    fn base64_of(bytes: usize) -> String {
        STANDARD.encode(vec![7; bytes])
    }

    #[test]
    fn takes_a_secret_with_and_without_its_prefix_and_padding() {
        let whole = Secret::parse(&format!("whsec_{}", base64_of(25))).unwrap();
        for text in [
            base64_of(25),
            base64_of(25).trim_end_matches('=').to_owned(),
        ] {
            assert_eq!(Secret::parse(&text).unwrap().expose(), whole.expose());
        }
        assert!(whole.public_key().is_none());
    }

    #[test]
    fn refuses_a_secret_that_is_too_short_or_too_long() {
        for bytes in [24, 32, 64, 75] {
            assert!(Secret::parse(&base64_of(bytes)).is_ok(), "{bytes}");
        }
        for actual in [0, 1, 23, 76] {
            assert_eq!(
                Secret::parse(&base64_of(actual)).unwrap_err(),
                InvalidSecret::Length { actual }
            );
        }
    }

    #[test]
    fn refuses_what_is_not_base64_and_keys_that_cannot_sign() {
        for text in [
            "whsec_not base64, not at all!!!!!!!!",
            "whsk_%%",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
        ] {
            assert_eq!(Secret::parse(text).unwrap_err(), InvalidSecret::Encoding);
        }
        assert_eq!(
            Secret::parse(PUBLIC_KEY).unwrap_err(),
            InvalidSecret::PublicKey
        );
        for bytes in [31, 33, 63, 65] {
            let text = format!("whsk_{}", base64_of(bytes));
            assert_eq!(
                Secret::parse(&text).unwrap_err(),
                InvalidSecret::KeyPair,
                "{bytes}"
            );
        }
        let foreign = format!("whsk_{}", base64_of(64));
        assert_eq!(Secret::parse(&foreign).unwrap_err(), InvalidSecret::KeyPair);
    }

    #[test]
    fn a_seed_alone_is_the_same_key_as_with_its_public_key() {
        let whole = Secret::parse(&format!("whsk_{PAIR}")).unwrap();
        assert_eq!(whole.expose(), format!("whsk_{PAIR}"));
        assert_eq!(whole.public_key().unwrap(), PUBLIC_KEY);
        let seed = STANDARD.encode(&STANDARD.decode(PAIR).unwrap()[..32]);
        assert_eq!(
            Secret::parse(&format!("whsk_{seed}")).unwrap().expose(),
            whole.expose()
        );
    }

    #[test]
    fn generates_secrets_that_differ_and_can_be_read_back() {
        let (one, two) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(one.expose(), two.expose());
        assert_eq!(one.expose().len(), "whsec_".len() + 44);
        assert_eq!(Secret::parse(one.expose()).unwrap().expose(), one.expose());
        let pair = Secret::generate_asymmetric().unwrap();
        assert_eq!(
            Secret::parse(pair.expose()).unwrap().public_key(),
            pair.public_key()
        );
    }

    #[test]
    fn is_not_shown() {
        let secret = Secret::generate().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(whsec_…)");
        let refused = format!("{:?}", Secret::parse("whsec_c2VjcmV0LXRleHQ").unwrap_err());
        assert!(!refused.contains("c2Vjcm"), "{refused}");
    }
}
