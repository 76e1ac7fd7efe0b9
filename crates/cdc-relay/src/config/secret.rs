//! Which values must not be shown.

/// What is shown instead of a secret.
pub(super) const MASK: &str = "********";

/// True when the librdkafka property may hold a secret.
pub(super) fn is_secret_property(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "password",
        "secret",
        "token",
        "jaas",
        "oauthbearer.config",
        "ssl.key.pem",
        "credentials",
    ]
    .iter()
    .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_every_property_that_may_hold_a_secret() {
        for name in [
            "sasl.password",
            "ssl.key.password",
            "ssl.keystore.password",
            "SSL.KEY.PEM",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.config",
        ] {
            assert!(is_secret_property(name), "{name}");
        }
        for name in [
            "security.protocol",
            "sasl.username",
            "ssl.ca.location",
            "linger.ms",
        ] {
            assert!(!is_secret_property(name), "{name}");
        }
    }
}
