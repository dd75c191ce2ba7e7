//! Signatures: those of the original tools verify, RSA PKCS#1 ones are made byte for byte, and ours
//! verify with openssl.

use std::{fs, process::Command};

use lcp::{
    list::{ListVersion, PolicyList, SignatureValue},
    sign::{PrivateKey, PublicKey, Scheme, SignError, SigningPlan, attach, sign, to_sign, verify},
};
use test_support::required;
use txt::hash::HashAlg;

use crate::recorded;

fn pem(name: &str) -> String {
    fs::read_to_string(recorded::vectors().join("keys").join(name)).unwrap()
}

fn private(name: &str) -> PrivateKey {
    PrivateKey::from_pem(&pem(&format!("{name}.pem"))).unwrap()
}

fn public(name: &str) -> PublicKey {
    PublicKey::from_pem(&pem(&format!("{name}.pub.pem"))).unwrap()
}

fn plan(scheme: Scheme) -> SigningPlan {
    SigningPlan {
        scheme,
        hash: None,
        revocation_counter: 3,
    }
}

/// An unsigned list of a version, out of the recorded ones.
fn unsigned(version: ListVersion) -> PolicyList {
    let case = match version {
        ListVersion::V1_0 => "v100-rsa2048-rsa",
        ListVersion::V2_0 => "v200-rsa2048",
        ListVersion::V2_1 => "v201-rsa3072-sha384-rev",
        ListVersion::V3_0 => "v300-rsa2048-pss",
    };
    let cases = recorded::group("sign");
    let case = cases.iter().find(|known| known.name == case).unwrap();
    PolicyList::parse(&case.made("unsigned.lst").unwrap()).unwrap()
}

#[test]
fn signatures_of_the_original_tools_verify() {
    // What the originals sign although no SINIT takes it: other curves, sha512, sha1 in PSS.
    const NOT_OURS: [&str; 4] = [
        "v300-k256-ecdsa",
        "v200-k256-ecdsa",
        "v300-rsa2048e3-pss",
        "v200-size-mismatch",
    ];
    let mut verified = 0;
    for group in ["sign", "old183"] {
        for case in recorded::group(group) {
            let Some(list) = case.made("l.lst") else {
                continue;
            };
            let list = PolicyList::parse(&list).unwrap();
            if list.signature().is_none() {
                continue;
            }
            let result = verify(&list);
            if NOT_OURS.contains(&case.name.as_str()) || case.name.contains("e3") {
                assert!(result.is_err(), "{}", case.name);
                continue;
            }
            result.unwrap_or_else(|error| panic!("{}: {error}", case.name));
            verified += 1;
            if let Some(tampered) = case.made("t.lst") {
                let tampered = PolicyList::parse(&tampered).unwrap();
                assert!(matches!(verify(&tampered), Err(SignError::Mismatch)));
            }
        }
    }
    assert!(verified >= 20, "{verified}");
}

/// The value of an option in a recorded command line.
fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| *word == name)?;
    words.get(at + 1).copied()
}

#[test]
fn pkcs1_signatures_are_the_originals_byte_for_byte() {
    let mut equal = 0;
    for case in recorded::group("sign") {
        let step = case
            .steps
            .iter()
            .find(|step| step.cmd.contains("--sign ") && step.rc == 0);
        let (Some(step), Some(made)) = (step, case.made("unsigned.lst")) else {
            continue;
        };
        let words: Vec<&str> = step.cmd.split_whitespace().collect();
        let list = PolicyList::parse(&made).unwrap();
        let key = option(&words, "--priv")
            .unwrap()
            .strip_suffix(".pem")
            .unwrap();
        if !option(&words, "--sigalg").unwrap().starts_with("rsa")
            || list.version() == ListVersion::V3_0
            || case.name == "v200-size-mismatch"
        {
            continue;
        }
        let counter = option(&words, "--rev").map_or(0, |text| match text.strip_prefix("0x") {
            Some(hex) => u16::from_str_radix(hex, 16).unwrap(),
            None => text.parse().unwrap(),
        });
        let hash = option(&words, "--hashalg").map(|name| name.parse().unwrap());
        let plan = SigningPlan {
            scheme: Scheme::Rsa,
            hash,
            revocation_counter: counter,
        };
        let signed = sign(list, &private(key), &plan).unwrap();
        let expected = hex::encode(case.made("l.lst").unwrap());
        assert_eq!(
            hex::encode(signed.to_bytes().unwrap()),
            expected,
            "{}",
            case.name
        );
        equal += 1;
    }
    assert!(equal >= 8, "{equal}");
}

/// Every list version with every key that can sign it.
fn possible() -> Vec<(ListVersion, &'static str, Scheme)> {
    let mut all = Vec::new();
    for version in ListVersion::ALL {
        let rsa = if version == ListVersion::V3_0 {
            Scheme::RsaPss
        } else {
            Scheme::Rsa
        };
        all.extend([(version, "rsa2048", rsa), (version, "rsa3072", rsa)]);
        if version != ListVersion::V1_0 {
            all.push((version, "p256", Scheme::Ecdsa));
            all.push((version, "p384", Scheme::Ecdsa));
            all.push((version, "sm2", Scheme::Sm2));
        }
    }
    all
}

#[test]
fn what_is_signed_verifies_and_any_changed_byte_does_not() {
    for (version, key, scheme) in possible() {
        let signed = sign(unsigned(version), &private(key), &plan(scheme)).unwrap();
        assert!(verify(&signed).is_ok());
        let bytes = signed.to_bytes().unwrap();
        assert_eq!(PolicyList::parse(&bytes).unwrap(), signed);
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[at] ^= 4;
            let still = PolicyList::parse(&changed).is_ok_and(|list| verify(&list).is_ok());
            assert!(!still, "{version} {key} with byte {at} changed");
        }
    }
}

#[test]
fn a_policy_names_the_key_so_that_a_signed_list_can_be_replaced() {
    let list = unsigned(ListVersion::V2_1);
    let other = PolicyList::new(ListVersion::V2_1, list.elements()[..1].to_vec());
    let key = private("p256");
    let hash = |list: PolicyList| {
        sign(list, &key, &plan(Scheme::Ecdsa))
            .unwrap()
            .hash(HashAlg::Sha256)
            .unwrap()
    };
    assert_eq!(hash(list), hash(other));
}

/// Runs openssl; `None` when it is not installed.
fn openssl(arguments: &[&str]) -> Option<bool> {
    let output = Command::new("openssl").args(arguments).output().ok()?;
    Some(output.status.success())
}

#[test]
fn an_offline_key_signs_through_openssl_and_openssl_verifies_ours() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let keys = |name: &str| {
        recorded::vectors()
            .join("keys")
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    };
    for (version, key, scheme) in possible() {
        let message = to_sign(unsigned(version), &public(key), &plan(scheme)).unwrap();
        fs::write(path("message"), &message.bytes).unwrap();
        let hash = format!("-{}", message.hash.name());
        let mut arguments = vec!["dgst", hash.as_str()];
        match scheme {
            Scheme::RsaPss => {
                arguments.extend([
                    "-sigopt",
                    "rsa_padding_mode:pss",
                    "-sigopt",
                    "rsa_pss_saltlen:-1",
                ]);
            }
            Scheme::Sm2 => arguments.extend(["-sigopt", "distid:"]),
            Scheme::Rsa | Scheme::Ecdsa => {}
        }
        let (signature, message_file) = (path("signature"), path("message"));
        let (private_pem, public_pem) =
            (keys(&format!("{key}.pem")), keys(&format!("{key}.pub.pem")));
        let sign_with: Vec<&str> = arguments
            .iter()
            .copied()
            .chain(["-sign", &private_pem, "-out", &signature, &message_file])
            .collect();
        let Some(made) = required(openssl(&sign_with), "openssl") else {
            return;
        };
        assert!(made, "openssl {sign_with:?}");
        let by_openssl = fs::read(&signature).unwrap();
        let list = attach(unsigned(version), &public(key), &plan(scheme), &by_openssl).unwrap();
        assert!(verify(&list).is_ok());

        // And the other way round: our signature in openssl's form.
        let ours = sign(unsigned(version), &private(key), &plan(scheme)).unwrap();
        let big_endian = |number: &Vec<u8>| number.iter().rev().copied().collect::<Vec<u8>>();
        let bytes = match ours.signature().unwrap().value() {
            SignatureValue::Rsa { signature, .. } => big_endian(signature),
            SignatureValue::Ec { r, s, .. } => {
                let raw = [big_endian(r), big_endian(s)].concat();
                if r.len() == 32 {
                    p256::ecdsa::Signature::from_slice(&raw)
                        .unwrap()
                        .to_der()
                        .as_bytes()
                        .to_vec()
                } else {
                    p384::ecdsa::Signature::from_slice(&raw)
                        .unwrap()
                        .to_der()
                        .as_bytes()
                        .to_vec()
                }
            }
        };
        fs::write(&signature, bytes).unwrap();
        let verify_with: Vec<&str> = arguments
            .iter()
            .copied()
            .chain([
                "-verify",
                &public_pem,
                "-signature",
                &signature,
                &message_file,
            ])
            .collect();
        assert_eq!(openssl(&verify_with), Some(true), "openssl {verify_with:?}");
    }
}

#[test]
fn a_signature_that_does_not_fit_never_gets_into_a_list() {
    let list = || unsigned(ListVersion::V2_0);
    let rsa = plan(Scheme::Rsa);
    let zeros = attach(list(), &public("rsa2048"), &rsa, &[0; 256]);
    assert!(matches!(zeros, Err(SignError::Mismatch)));
    let short = attach(list(), &public("rsa2048"), &rsa, &[0; 255]);
    assert!(matches!(short, Err(SignError::SignatureFile(_))));
    let raw = attach(list(), &public("p256"), &plan(Scheme::Ecdsa), &[0; 64]);
    assert!(matches!(raw, Err(SignError::SignatureFile(_))));
}

#[test]
fn keys_and_schemes_that_sinit_does_not_take_are_refused() {
    for name in ["rsa4096", "rsa2048e3", "k256"] {
        assert!(
            PrivateKey::from_pem(&pem(&format!("{name}.pem"))).is_err(),
            "{name}"
        );
        assert!(
            PublicKey::from_pem(&pem(&format!("{name}.pub.pem"))).is_err(),
            "{name}"
        );
    }
    let text = PublicKey::from_pem(&pem("p256.pem"))
        .unwrap_err()
        .to_string();
    assert!(text.contains("found a private key"), "{text}");
    assert!(PrivateKey::from_pem("nonsense").is_err());
    for (version, key, scheme) in [
        (ListVersion::V1_0, "p256", Scheme::Ecdsa),
        (ListVersion::V2_0, "rsa2048", Scheme::RsaPss),
        (ListVersion::V3_0, "rsa2048", Scheme::Rsa),
        (ListVersion::V2_0, "p256", Scheme::Sm2),
        (ListVersion::V2_0, "sm2", Scheme::Ecdsa),
        (ListVersion::V2_0, "rsa2048", Scheme::Ecdsa),
    ] {
        assert!(
            sign(unsigned(version), &private(key), &plan(scheme)).is_err(),
            "{version} {key}"
        );
    }
    for (version, scheme, hash) in [
        (ListVersion::V1_0, Scheme::Rsa, HashAlg::Sha256),
        (ListVersion::V2_0, Scheme::Rsa, HashAlg::Sha512),
        (ListVersion::V3_0, Scheme::RsaPss, HashAlg::Sha1),
    ] {
        let plan = SigningPlan {
            scheme,
            hash: Some(hash),
            revocation_counter: 0,
        };
        let result = sign(unsigned(version), &private("rsa2048"), &plan);
        assert!(
            matches!(result, Err(SignError::Hash { .. })),
            "{version} {hash}"
        );
    }
}
