//! SHA-1, HMAC-SHA1 and MGF1, which is all that a TPM 1.2 hashes with.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::{Digest as _, Sha1};
use zeroize::Zeroizing;

use super::codec::{Bytes20, DIGEST_LEN};

/// SHA-1 of these parts, one after the other.
pub(super) fn sha1(parts: &[&[u8]]) -> Bytes20 {
    let mut hasher = Sha1::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes keys of any length, this one has 20 bytes"
)]
fn keyed(key: &Bytes20, parts: &[&[u8]]) -> Hmac<Sha1> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("a key of 20 bytes");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// HMAC-SHA1 of these parts.
pub(super) fn hmac(key: &Bytes20, parts: &[&[u8]]) -> Bytes20 {
    keyed(key, parts).finalize().into_bytes().into()
}

/// Is it the HMAC of these parts? In constant time.
pub(super) fn is_hmac(key: &Bytes20, parts: &[&[u8]], hmac: &Bytes20) -> bool {
    keyed(key, parts).verify_slice(hmac).is_ok()
}

/// MGF1 with SHA-1 (RFC 8017, B.2.1): `length` bytes from a seed.
pub(super) fn mgf1(seed: &[&[u8]], length: usize) -> Zeroizing<Vec<u8>> {
    // Its room is reserved: growing would leave copies behind that nobody wipes.
    let mut out = Zeroizing::new(Vec::with_capacity(length.saturating_add(DIGEST_LEN)));
    for counter in 0u32.. {
        if out.len() >= length {
            break;
        }
        let mut hasher = Sha1::new();
        for part in seed {
            hasher.update(part);
        }
        hasher.update(counter.to_be_bytes());
        out.extend_from_slice(&hasher.finalize());
    }
    out.truncate(length);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's hashlib.
    #[test]
    fn mgf1_is_that_of_rfc_8017() {
        let mask = mgf1(&[b"foo"], 3);
        assert_eq!(hex::encode(&*mask), "1ac907");
        let long = mgf1(&[b"f", b"oo"], 50);
        assert_eq!(long[..3], mask[..]);
        assert_eq!(long.len(), 50);
        assert!(mgf1(&[b"foo"], 0).is_empty());
    }

    #[test]
    fn hmac_is_that_of_rfc_2202() {
        let mac = hmac(&[0x0b; 20], &[b"Hi ", b"There"]);
        assert_eq!(hex::encode(mac), "b617318655057264e28bc0b6fb378c8ef146be00");
        assert!(is_hmac(&[0x0b; 20], &[b"Hi There"], &mac));
        assert!(!is_hmac(&[0x0b; 20], &[b"Hi There!"], &mac));
    }
}
