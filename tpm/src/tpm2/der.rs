//! The two DER structures that leave this crate: a P-256 public key and an ECDSA signature.

/// SubjectPublicKeyInfo { id-ecPublicKey, prime256v1 } up to the point's first byte
/// (RFC 5480): everything before the coordinates is fixed.
const P256_SPKI_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// A P-256 key as SubjectPublicKeyInfo; `None` when a coordinate is longer than 32 bytes.
pub(super) fn p256_spki(x: &[u8], y: &[u8]) -> Option<Vec<u8>> {
    Some([P256_SPKI_HEAD.as_slice(), &padded(x)?, &padded(y)?].concat())
}

/// `SEQUENCE { INTEGER r, INTEGER s }` (RFC 3279, 2.2.3); `None` when either is longer than
/// 32 bytes.
pub(super) fn ecdsa_signature(r: &[u8], s: &[u8]) -> Option<Vec<u8>> {
    let body = [integer(r)?, integer(s)?].concat();
    let length = u8::try_from(body.len()).ok()?;
    Some([[0x30, length].as_slice(), &body].concat())
}

/// A positive INTEGER: no leading zero bytes but the one that keeps it positive.
fn integer(number: &[u8]) -> Option<Vec<u8>> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let digits = number.get(zeros..)?;
    let sign = if digits.first().is_none_or(|first| first & 0x80 != 0) {
        &[0u8][..]
    } else {
        &[]
    };
    let length = u8::try_from(sign.len().saturating_add(digits.len()))
        .ok()
        .filter(|length| *length <= 33)?;
    Some([[0x02, length].as_slice(), sign, digits].concat())
}

/// A coordinate on 32 bytes: a TPM may leave out leading zeros.
fn padded(coordinate: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let start = bytes.len().checked_sub(coordinate.len())?;
    bytes.get_mut(start..)?.copy_from_slice(coordinate);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_minimal_and_positive() {
        assert_eq!(integer(&[0, 0, 1]).unwrap(), [2, 1, 1]);
        assert_eq!(integer(&[0, 0x80]).unwrap(), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[]).unwrap(), [2, 1, 0]);
        assert_eq!(integer(&[0xff; 33]), None);
    }

    #[test]
    fn short_coordinates_are_padded_and_long_ones_refused() {
        let spki = p256_spki(&[1], &[2; 32]).unwrap();
        assert_eq!(spki.len(), 91);
        assert_eq!(&spki[27..59], &[[0; 31].as_slice(), &[1]].concat());
        assert_eq!(p256_spki(&[1; 33], &[2]), None);
    }
}
