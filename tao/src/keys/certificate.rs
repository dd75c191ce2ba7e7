//! X.509 certificates: the self-signed one of a policy key, and the public key in one.
//!
//! Certificates are not validated here: a policy key is trusted because it is the policy key.

use std::time::Duration;

use sha2::{Digest, Sha256};
use x509_cert::{
    attr::AttributeTypeAndValue,
    builder::{self, Builder, CertificateBuilder, profile::BuilderProfile},
    certificate::TbsCertificate,
    der::{
        self, DateTime, Decode, Encode, Reader, SliceReader, Tag, TagNumber,
        asn1::{Any, ObjectIdentifier, OctetString},
        oid::db::rfc4519,
    },
    ext::{
        Extension, ToExtension,
        pkix::{BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier},
    },
    name::{Name, RdnSequence, RelativeDistinguishedName},
    serial_number::SerialNumber,
    spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef},
    time::{Time, Validity},
};

use super::{error::KeyError, signer::Signer};

/// Parts of a distinguished name, in the order in which they are written.
const NAMES: [(&str, ObjectIdentifier); 5] = [
    ("CN", rfc4519::CN),
    ("C", rfc4519::C),
    ("ST", rfc4519::ST),
    ("O", rfc4519::O),
    ("OU", rfc4519::OU),
];

/// A certificate of a P-256 key by itself, DER: serial 1, valid from day `from` after 1970
/// for `days` days. `names` are parts of the distinguished name: CN, C, ST, O, OU.
///
/// # Errors
/// For keys of other kinds, days before 1970 or after the year 9999, or when signing fails.
pub fn self_signed(
    signer: &Signer,
    names: &[(&str, &str)],
    from: i64,
    days: i64,
) -> Result<Vec<u8>, KeyError> {
    let Some(key) = signer.p256() else {
        let reason = "certificates are made for P-256 keys only".to_owned();
        return Err(KeyError::Certificate(reason));
    };
    let make = || -> builder::Result<Vec<u8>> {
        let profile = PolicyKey(distinguished_name(names)?);
        let serial = SerialNumber::new(&[1])?;
        let validity = Validity::new(time(from)?, time(from.saturating_add(days))?);
        let spki = SubjectPublicKeyInfoOwned::from_der(signer.spki())?;
        let builder = CertificateBuilder::new(profile, serial, validity, spki)?;
        let certificate = builder.build::<_, p256::ecdsa::DerSignature>(key)?;
        Ok(certificate.to_der()?)
    };
    make().map_err(|error| KeyError::Certificate(error.to_string()))
}

/// The beginning of a day after 1970.
fn time(day: i64) -> der::Result<Time> {
    let seconds = u64::try_from(day)
        .ok()
        .and_then(|day| day.checked_mul(86_400))
        .ok_or(der::ErrorKind::DateTime)?;
    Ok(DateTime::from_unix_duration(Duration::from_secs(seconds))?.into())
}

fn distinguished_name(names: &[(&str, &str)]) -> der::Result<Name> {
    let mut sequence = RdnSequence::default();
    for (part, oid) in NAMES {
        for (_, value) in names.iter().filter(|(name, _)| *name == part) {
            let mut name = RelativeDistinguishedName::default();
            let value = Any::new(Tag::Utf8String, value.as_bytes())?;
            name.insert(AttributeTypeAndValue { oid, value })?;
            sequence.push(name);
        }
    }
    Name::from_der(&sequence.to_der()?)
}

/// What the certificate of a policy key with this name says besides.
struct PolicyKey(Name);

impl BuilderProfile for PolicyKey {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.0.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let usage = KeyUsages::DigitalSignature | KeyUsages::KeyAgreement | KeyUsages::KeyCertSign;
        let ca = BasicConstraints {
            ca: true,
            path_len_constraint: None,
        };
        // As long as the SHA-1 that is usual here.
        let (identifier, _) = Sha256::digest(key.to_der()?).split::<sha2::digest::consts::U20>();
        let identifier = SubjectKeyIdentifier(OctetString::new(identifier.as_slice())?);
        let subject = tbs.subject();
        Ok(vec![
            KeyUsage(usage).to_extension(subject, &[])?,
            ca.to_extension(subject, &[])?,
            identifier.to_extension(subject, &[])?,
        ])
    }
}

/// The SubjectPublicKeyInfo of a certificate, DER.
///
/// # Errors
/// When it is not a certificate.
pub fn public_key(certificate: &[u8]) -> Result<&[u8], KeyError> {
    subject_public_key(certificate)
        .map_err(|error| KeyError::PublicKey(format!("not an X.509 certificate: {error}")))
}

/// Goes over what stands before the key without reading it. This part is in /init, where the
/// types of a whole certificate would take room for nothing.
fn subject_public_key(certificate: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(certificate)?;
    reader.sequence(|certificate| {
        let key = certificate.sequence(|body| {
            let version = Tag::ContextSpecific {
                constructed: true,
                number: TagNumber(0),
            };
            if Tag::peek(body)? == version {
                body.tlv_bytes()?;
            }
            // Serial number, algorithm, issuer, validity, subject.
            for expected in [
                Tag::Integer,
                Tag::Sequence,
                Tag::Sequence,
                Tag::Sequence,
                Tag::Sequence,
            ] {
                element(body, expected)?;
            }
            let key = element(body, Tag::Sequence)?;
            body.read_slice(body.remaining_len())?;
            Ok::<_, der::Error>(key)
        })?;
        certificate.read_slice(certificate.remaining_len())?;
        Ok(key)
    })
}

fn element<'a>(reader: &mut SliceReader<'a>, expected: Tag) -> der::Result<&'a [u8]> {
    Tag::peek(reader)?.assert_eq(expected)?;
    reader.tlv_bytes()
}

#[cfg(test)]
mod tests {
    use x509_cert::Certificate;

    use super::*;
    use crate::keys::Secret;

    #[test]
    fn a_certificate_names_its_key_and_is_signed_by_it() {
        let signer = Signer::new(Secret::new([5; 32])).unwrap();
        let long = "x".repeat(300);
        let names = [("O", "organization"), ("CN", long.as_str())];
        let certificate = self_signed(&signer, &names, 20_000, 365).unwrap();
        assert_eq!(public_key(&certificate).unwrap(), signer.spki());
        let read = Certificate::from_der(&certificate).unwrap();
        let digest = Sha256::digest(read.tbs_certificate().to_der().unwrap()).into();
        let signature = read.signature().as_bytes().unwrap();
        assert_eq!(signer.verifier().verify_digest(&digest, signature), Ok(()));
        for length in 0..certificate.len() {
            assert!(public_key(&certificate[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn the_certificate_is_the_same_each_time() {
        let signer = Signer::new(Secret::new([5; 32])).unwrap();
        let names = [("O", "organization"), ("CN", "name")];
        let certificate = self_signed(&signer, &names, 29_220, 3650).unwrap();
        // Made by the hand-written encoder that was here before. Of times before 2050, which have
        // two digits for the year (RFC 5280, 4.1.2.5), it wrote four.
        assert_eq!(
            hex::encode(Sha256::digest(&certificate)),
            "86ad3eb03aabf4abcb1fd9554ba6ca2e1d7f7776522e94f48481fe8645038e3d"
        );
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (day, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (11_016, "2000-02-29T00:00:00Z"),
            (20_778, "2026-11-21T00:00:00Z"),
            (29_220, "2050-01-01T00:00:00Z"),
        ] {
            assert_eq!(time(day).unwrap().to_string(), text);
        }
        for day in [-1, 2_932_897, i64::MIN, i64::MAX] {
            assert!(time(day).is_err(), "{day}");
        }
    }
}
