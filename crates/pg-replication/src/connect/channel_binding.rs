//! `tls-server-end-point` (RFC 5929, section 4.1): ties SCRAM to the certificate that was seen, so that nobody
//! in between can pass the authentication on, even where the certificate isn't verified.

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// 1.2.840.113549.1.1, the RSA signatures of PKCS #1.
const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// 1.2.840.10045.4, the ECDSA signatures.
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];

/// The hash of the server's certificate (DER); `None` where the RFC defines none (Ed25519) or the hash is in
/// the signature's parameters (RSA-PSS).
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = hash_of_signature(certificate)?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

/// The hash in the certificate's signature algorithm, where MD5 and SHA-1 count as SHA-256.
fn hash_of_signature(certificate: &[u8]) -> Option<&'static Algorithm> {
    let (body, _) = element(certificate, SEQUENCE)?;
    let (_signed_part, body) = element(body, SEQUENCE)?;
    let (algorithm, _) = element(body, SEQUENCE)?;
    let (identifier, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    match (
        identifier.strip_prefix(PKCS1),
        identifier.strip_prefix(ECDSA),
    ) {
        (Some([0x04 | 0x05 | 0x0b]), _) | (_, Some([0x01] | [0x03, 0x02])) => Some(&SHA256),
        (Some([0x0c]), _) | (_, Some([0x03, 0x03])) => Some(&SHA384),
        (Some([0x0d]), _) | (_, Some([0x03, 0x04])) => Some(&SHA512),
        _ => None,
    }
}

/// The content of the DER element of type `tag` at the start of `bytes`, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if length.len() > 4 {
            return None;
        }
        (
            length
                .iter()
                .fold(0, |sum, &byte| sum << 8 | usize::from(byte)),
            rest,
        )
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(identifier: &[u8]) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| {
            let mut element = vec![tag, 0x81, u8::try_from(content.len()).unwrap()];
            element.extend_from_slice(content);
            element
        };
        let algorithm = wrap(SEQUENCE, &wrap(OBJECT_IDENTIFIER, identifier));
        wrap(
            SEQUENCE,
            &[wrap(SEQUENCE, &[0x02, 0x01, 0x07]), algorithm].concat(),
        )
    }

    #[test]
    fn hashes_as_the_certificate_was_signed() {
        let hash =
            |prefix: &[u8], end: &[u8]| server_end_point(&certificate(&[prefix, end].concat()));
        let length = |prefix, end| hash(prefix, end).map(|hash| hash.len());
        assert_eq!(length(PKCS1, &[0x05]), Some(32), "SHA-1 counts as SHA-256");
        assert_eq!(length(PKCS1, &[0x0c]), Some(48));
        assert_eq!(length(ECDSA, &[0x03, 0x02]), Some(32));
        assert_eq!(length(ECDSA, &[0x03, 0x04]), Some(64));
        assert_eq!(length(PKCS1, &[0x0a]), None, "RSA-PSS");
        assert_eq!(length(&[0x2b, 0x65, 0x70], &[]), None, "Ed25519");
    }

    #[test]
    fn takes_no_garbage() {
        let whole = certificate(&[PKCS1, &[0x0b]].concat());
        for end in 0..whole.len() {
            assert_eq!(server_end_point(&whole[..end]), None, "cut at {end}");
        }
        assert_eq!(
            server_end_point(&[0x30, 0xff, 0xff, 0xff, 0xff, 0xff]),
            None
        );
    }
}
