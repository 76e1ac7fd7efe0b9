//! Signs a request as Standard Webhooks 1.0 has it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use ring::hmac;

use crate::secret::{Key, Secret};
use crate::webhook_id::WebhookId;

/// The secrets of an endpoint: one, or two while the old one is still accepted by its receivers.
#[derive(Debug)]
pub struct Secrets {
    current: Secret,
    previous: Option<Secret>,
}

impl Secrets {
    /// One secret.
    #[must_use]
    pub const fn new(current: Secret) -> Self {
        Self {
            current,
            previous: None,
        }
    }

    /// During a rotation: requests are signed with both, and the receiver takes either.
    #[must_use]
    pub const fn rotating(current: Secret, previous: Secret) -> Self {
        Self {
            current,
            previous: Some(previous),
        }
    }

    /// The secret that stays.
    #[must_use]
    pub const fn current(&self) -> &Secret {
        &self.current
    }

    /// The value of `webhook-signature` for a body that is sent at `seconds` since 1970: the current secret's
    /// signature first, then the previous one's.
    #[must_use]
    pub fn sign(&self, id: &WebhookId, seconds: u64, body: &[u8]) -> HeaderValue {
        let head = format!("{id}.{seconds}.");
        let mut text = String::with_capacity(100);
        for secret in std::iter::once(&self.current).chain(&self.previous) {
            if !text.is_empty() {
                text.push(' ');
            }
            sign(&secret.key, head.as_bytes(), body, &mut text);
        }
        #[expect(clippy::expect_used, reason = "versions, base64 and spaces only")]
        HeaderValue::try_from(text).expect("visible ASCII")
    }
}

fn sign(key: &Key, head: &[u8], body: &[u8], text: &mut String) {
    match key {
        Key::Symmetric(key) => {
            let mut context = hmac::Context::with_key(key);
            context.update(head);
            context.update(body);
            text.push_str("v1,");
            STANDARD.encode_string(context.sign(), text);
        }
        Key::Asymmetric(pair) => {
            text.push_str("v1a,");
            STANDARD.encode_string(pair.sign(&[head, body].concat()), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;
    use crate::secret::LENIENT;

    const V1: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const V2: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const V3: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SENT: u64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const SIGNED_BY_V3: &str = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

    fn key(text: &str) -> Secret {
        Secret::parse(text).unwrap()
    }

    fn signed(secrets: &Secrets, id: &str, seconds: u64, body: &[u8]) -> String {
        let header = secrets.sign(&WebhookId::new(id).unwrap(), seconds, body);
        header.to_str().unwrap().to_owned()
    }

    #[test]
    fn signs_as_the_published_libraries_do() {
        assert_eq!(signed(&Secrets::new(key(V1)), ID, SENT, BODY), SIGNED);
        assert_eq!(
            signed(
                &Secrets::new(key(V1.trim_start_matches("whsec_"))),
                ID,
                SENT,
                BODY
            ),
            SIGNED
        );
        let other = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            signed(
                &Secrets::new(key(V2)),
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                other
            ),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn signs_with_ed25519_as_the_specification_does() {
        assert_eq!(signed(&Secrets::new(key(V3)), ID, SENT, BODY), SIGNED_BY_V3);
    }

    #[test]
    fn a_receiver_verifies_ed25519_with_the_public_key_alone() {
        let secret = Secret::generate_asymmetric().unwrap();
        let public = secret.public_key().unwrap();
        let public = STANDARD
            .decode(public.strip_prefix("whpk_").unwrap())
            .unwrap();
        let header = signed(&Secrets::new(secret), ID, SENT, BODY);
        let signature = STANDARD
            .decode(header.strip_prefix("v1a,").unwrap())
            .unwrap();
        let text = [format!("{ID}.{SENT}.").as_bytes(), BODY].concat();
        UnparsedPublicKey::new(&ED25519, public)
            .verify(&text, &signature)
            .unwrap();
    }

    #[test]
    fn signs_with_both_secrets_during_a_rotation_the_current_one_first() {
        assert_eq!(
            signed(&Secrets::rotating(key(V1), key(V2)), ID, SENT, BODY),
            format!("{SIGNED} v1,78nXHjpFP0tVJQW5D0SBwmVyyW87BV/rL6MgfM/Bw44=")
        );
        assert_eq!(
            signed(&Secrets::rotating(key(V1), key(V3)), ID, SENT, BODY),
            format!("{SIGNED} {SIGNED_BY_V3}")
        );
    }

    #[test]
    fn every_attempt_has_a_signature_of_its_own() {
        let secrets = Secrets::new(key(V1));
        for (seconds, signature) in [
            (
                SENT + 300,
                "v1,oyLs6Hby/GAMWTm5rGjFbRGSTs+49Naq2VregV+YfPQ=",
            ),
            (SENT + 1, "v1,l6C9/1+N/lSU6+gfh+YEGqTK2aQ+k8nMEWDvvCgHh7U="),
        ] {
            assert_eq!(signed(&secrets, ID, seconds, BODY), signature);
        }
    }

    #[test]
    fn signs_the_bytes_as_they_are() {
        let secrets = Secrets::new(key(V1));
        for (body, signature) in [
            (
                &br#"{"test":2432232314}"#[..],
                "v1,Vif40peJBP7Iyl0XGmu61n4MwdrcHov5CFREBpE0svs=",
            ),
            (b"", "v1,v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A="),
            (
                "{\"text\":\"안녕하세요\"}".as_bytes(),
                "v1,yqjq1iQn6bcfsaGTRCTTGq7TIdElGiHlL1519DgSXoM=",
            ),
            (
                br#"{"a":1}"#,
                "v1,eWbO+OPhT2JUpF3dbJUxlLHb0oUfKtdFE1jL2Ow+m/U=",
            ),
            (
                b"{\"a\":1}\n",
                "v1,gHpkzUwAcTCAx6mVTdVP1Xcvw5OF91BO8CGnDfdstVo=",
            ),
        ] {
            assert_eq!(signed(&secrets, ID, SENT, body), signature);
        }
    }

    #[test]
    fn agrees_on_a_key_that_is_too_short_to_be_accepted() {
        // The published vector of an unpadded secret has 23 bytes, which `Secret` refuses.
        let bytes = LENIENT.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS").unwrap();
        let mut text = String::new();
        let head = format!("{ID}.{SENT}.");
        sign(
            &Key::Symmetric(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
            head.as_bytes(),
            BODY,
            &mut text,
        );
        assert_eq!(text, "v1,LVOXivKoo4FWasi/IaHvzhE/u+7/cu2AME+zS/nXqzk=");
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", Secrets::rotating(key(V1), key(V3)));
        assert!(!shown.contains("MfKQ") && !shown.contains("6Xb"), "{shown}");
    }
}
