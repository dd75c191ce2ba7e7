//! X.509 certificates: the self-signed one of a policy key, and the public key in one.
//!
//! As much of DER as that takes (X.690, RFC 5280); certificates are not validated here: a
//! policy key is trusted because it is the policy key.

use sha2::{Digest, Sha256};

use super::{KeyError, KeyKind, Signer};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const GENERALIZED_TIME: u8 = 0x18;
const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_3: u8 = 0xa3;

const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// keyUsage: digitalSignature, keyAgreement, keyCertSign.
const KEY_USAGE: &[u8] = &[
    0x30, 0x0e, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff, 0x04, 0x04, 0x03, 0x02, 0x02, 0x8c,
];
/// basicConstraints: a CA.
const CA: &[u8] = &[
    0x30, 0x0f, 0x06, 0x03, 0x55, 0x1d, 0x13, 0x01, 0x01, 0xff, 0x04, 0x05, 0x30, 0x03, 0x01, 0x01,
    0xff,
];
/// subjectKeyIdentifier.
const KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];

/// Parts of a distinguished name and their object identifiers.
const NAMES: [(&str, u8); 5] = [("CN", 3), ("C", 6), ("ST", 8), ("O", 10), ("OU", 11)];

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..0x80) => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let significant: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            // At most eight bytes of length.
            out.push(0x80 | u8::try_from(significant.len()).unwrap_or_default());
            out.extend_from_slice(&significant);
        }
    }
    out.extend_from_slice(content);
    out
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

fn distinguished_name(names: &[(&str, &str)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (part, number) in NAMES {
        for (_, value) in names.iter().filter(|(name, _)| *name == part) {
            let oid = tlv(OID, &[0x55, 4, number]);
            let value = tlv(UTF8_STRING, value.as_bytes());
            content.extend_from_slice(&tlv(SET, &sequence(&[&oid, &value])));
        }
    }
    tlv(SEQUENCE, &content)
}

/// `YYYYMMDDHHMMSSZ` of a day after 1970 (civil-from-days, proleptic Gregorian).
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the days are clamped to four-digit years, and no step leaves an i64 by far"
)]
fn time(days: i64) -> Vec<u8> {
    let shifted = days.clamp(0, 2_932_896) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    tlv(
        GENERALIZED_TIME,
        format!("{year:04}{month:02}{day:02}000000Z").as_bytes(),
    )
}

/// A certificate of a P-256 key by itself, DER: serial 1, valid from day `from` after 1970
/// for `days` days. `names` are parts of the distinguished name: CN, C, ST, O, OU.
///
/// # Errors
/// For keys of other kinds, or when signing fails.
pub fn self_signed(
    signer: &Signer,
    names: &[(&str, &str)],
    from: i64,
    days: i64,
) -> Result<Vec<u8>, KeyError> {
    if signer.kind() != KeyKind::P256 {
        let reason = "certificates are made for P-256 keys only".to_owned();
        return Err(KeyError::Signing(reason));
    }
    let algorithm = sequence(&[&tlv(OID, ECDSA_SHA256)]);
    let name = distinguished_name(names);
    let identifier = Sha256::digest(signer.spki());
    let identifier = identifier.get(..20).unwrap_or_default();
    let identifier = sequence(&[
        &tlv(OID, KEY_IDENTIFIER),
        &tlv(OCTET_STRING, &tlv(OCTET_STRING, identifier)),
    ]);
    let extensions = sequence(&[KEY_USAGE, CA, &identifier]);
    let body = sequence(&[
        &tlv(EXPLICIT_0, &tlv(INTEGER, &[2])),
        &tlv(INTEGER, &[1]),
        &algorithm,
        &name,
        &sequence(&[&time(from), &time(from.saturating_add(days))]),
        &name,
        signer.spki(),
        &tlv(EXPLICIT_3, &extensions),
    ]);
    let signature = signer.ecdsa(&Sha256::digest(&body))?;
    let signature = tlv(BIT_STRING, &[&[0], signature.as_slice()].concat());
    Ok(sequence(&[&body, &algorithm, &signature]))
}

/// An element's tag and content, all of it, and what follows it.
type Element<'a> = (u8, &'a [u8], &'a [u8], &'a [u8]);

/// Takes one element off the front.
fn element(der: &[u8]) -> Option<Element<'_>> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.is_empty() || bytes.len() > 4 {
            return None;
        }
        let length = bytes
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        (length, rest)
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = der.get(..der.len().checked_sub(after.len())?)?;
    Some((tag, content, whole, after))
}

/// The SubjectPublicKeyInfo of a certificate, DER.
pub fn public_key(certificate: &[u8]) -> Result<&[u8], KeyError> {
    let find = || {
        let (SEQUENCE, certificate, _, _) = element(certificate)? else {
            return None;
        };
        let (SEQUENCE, mut body, _, _) = element(certificate)? else {
            return None;
        };
        if body.first() == Some(&EXPLICIT_0) {
            (_, _, _, body) = element(body)?;
        }
        // Serial number, algorithm, issuer, validity, subject.
        for expected in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
            let (tag, _, _, rest) = element(body)?;
            if tag != expected {
                return None;
            }
            body = rest;
        }
        let (SEQUENCE, _, key, _) = element(body)? else {
            return None;
        };
        Some(key)
    };
    find().ok_or_else(|| KeyError::PublicKey("not an X.509 certificate".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Secret;

    #[test]
    fn a_certificate_names_its_key_and_is_signed_by_it() {
        let signer = Signer::new(Secret::new([5; 32])).unwrap();
        let long = "x".repeat(300);
        let names = [("O", "organization"), ("CN", long.as_str())];
        let certificate = self_signed(&signer, &names, 20_000, 365).unwrap();
        assert_eq!(public_key(&certificate).unwrap(), signer.spki());
        let (_, parts, _, rest) = element(&certificate).unwrap();
        assert!(rest.is_empty());
        let (_, _, body, rest) = element(parts).unwrap();
        let (_, _, _, rest) = element(rest).unwrap();
        let (BIT_STRING, signature, _, _) = element(rest).unwrap() else {
            panic!("no signature");
        };
        let digest = Sha256::digest(body).into();
        assert_eq!(
            signer.verifier().verify_digest(&digest, &signature[1..]),
            Ok(())
        );
        for length in 0..certificate.len() {
            assert!(public_key(&certificate[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, text) in [(0, "19700101"), (11_016, "20000229"), (20_778, "20261121")] {
            let time = time(days);
            assert_eq!(&time[2..10], text.as_bytes());
        }
    }
}
