//! What the fuzz targets of `lcp` do with their bytes.

use lcp::{
    check::{self, Target},
    list::PolicyList,
    policy_data::PolicyData,
    sign::{self, PrivateKey, PublicKey, Scheme, SigningPlan},
    spec::{self, Spec},
};
use original_options::{getopt, hash_file, pconf_file, pconf_file_tpm12, strtoul};
use txt::{
    acm::{Acm, Platform},
    element::Element,
    hash::HashAlg,
    hash_text,
    mlehash::Mle,
    policy::{Policy, PolicyDataV1, PolicyV1},
};

use crate::target::FuzzTarget;

/// Names of the targets, with their functions.
pub const TARGETS: [FuzzTarget; 11] = [
    ("lcp_element", element),
    ("lcp_list", list),
    ("lcp_policy", policy),
    ("lcp_data", data),
    ("lcp_mle", mle),
    ("lcp_acm", acm),
    ("lcp_hash_text", hash_text),
    ("lcp_spec", spec),
    ("lcp_key", key),
    ("lcp_signature", signature),
    ("lcp_original", original),
];

/// An element: what is read is written back as it was.
pub fn element(bytes: &[u8]) {
    if let Ok(element) = Element::parse(bytes) {
        assert_eq!(element.to_bytes().unwrap(), bytes);
    }
}

/// A list, with its signature and hashes.
pub fn list(bytes: &[u8]) {
    let Ok(list) = PolicyList::parse(bytes) else {
        return;
    };
    assert_eq!(list.to_bytes().unwrap(), bytes);
    list.hash(HashAlg::Sha256).unwrap();
    let signed = list.signed_bytes().unwrap();
    assert_eq!(signed.is_some(), list.signature().is_some());
    // Nothing random verifies; it must only come to an end.
    let verified = sign::verify(&list).is_ok();
    assert!(!verified || list.signature().is_some());
}

/// A policy of any generation.
pub fn policy(bytes: &[u8]) {
    if let Ok(policy) = Policy::parse(bytes) {
        assert_eq!(policy.to_bytes(), bytes);
        check::check(&policy, None, &Target::default()).unwrap();
        assert!(check::against_previous(&policy, &policy).is_empty());
    }
    if let Ok(policy) = PolicyV1::parse(bytes) {
        assert!(policy.version <= 1 && bytes.len() == PolicyV1::LEN);
    }
    if let Ok(data) = PolicyDataV1::parse(bytes) {
        let hashes: usize = data.lists.iter().map(|list| list.hashes.len()).sum();
        assert!(hashes * 20 < bytes.len());
    }
}

/// A policy (the first 54 or 70 bytes), its data file, and whether SINIT takes them.
pub fn data(bytes: &[u8]) {
    if let Ok(data) = PolicyData::parse(bytes) {
        assert_eq!(data.to_bytes().unwrap(), bytes);
    }
    for len in [54, 70] {
        let Some((policy, data)) = bytes.split_at_checked(len) else {
            continue;
        };
        if let (Ok(policy), Ok(data)) = (Policy::parse(policy), PolicyData::parse(data)) {
            let target = Target {
                mle_hashes: vec![HashAlg::Sha256.digest(b"x")],
                sinit_version: Some(7),
                ..Target::default()
            };
            check::check(&policy, Some(&data), &target).unwrap();
        }
    }
}

/// tboot.gz, with a command line.
pub fn mle(bytes: &[u8]) {
    if let Ok(mle) = Mle::parse(bytes) {
        // Both may fail: a command line can be too long for its area.
        let plain = mle.hash(HashAlg::Sha256, b"");
        let other = mle.hash_as_original(HashAlg::Sha1, b"logging=none vga_delay=1");
        assert!(mle.hash_unmodified(HashAlg::Sha256).is_ok());
        drop((plain, other));
    }
}

/// A SINIT module.
pub fn acm(bytes: &[u8]) {
    if let Ok(acm) = Acm::parse(bytes) {
        let platform = Platform {
            didvid: Some(0x1_b008_8086),
            fms: Some(0x506e3),
            platform_id: Some(0),
            ..Platform::default()
        };
        assert_eq!(platform.compare(&acm).len(), 4);
        let verified = lcp::acm_signature::check(&acm).is_ok();
        assert!(!verified || acm.header().exponent > 1);
    }
}

/// A text file of hashes.
pub fn hash_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for alg in HashAlg::ALL {
        if let Ok(hashes) = hash_text::parse(&text, alg) {
            assert!(hashes.iter().all(|hash| hash.alg() == alg));
            assert!(hashes.len() * alg.digest_len() <= bytes.len());
        }
    }
}

/// A spec; the files that it names hold their own names, or are missing.
pub fn spec(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(spec) = Spec::parse(&text) else {
        return;
    };
    let read = |path: &str| Ok((!path.len().is_multiple_of(3)).then(|| path.as_bytes().to_vec()));
    if let Ok(spec::Outcome::Complete(built)) = spec::build(&spec, &read) {
        assert_eq!(Policy::parse(&built.policy.to_bytes()), Ok(built.policy));
        assert!(!built.files.is_empty());
    }
}

/// PEM files of keys.
pub fn key(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(key) = PublicKey::from_pem(&text) {
        assert!(matches!(key.size(), 32 | 48 | 128 | 256 | 384));
    }
    if let Ok(key) = PrivateKey::from_pem(&text) {
        assert!(matches!(key.public().size(), 32 | 48 | 128 | 256 | 384));
    }
}

/// A signature file for a list.
pub fn signature(bytes: &[u8]) {
    const KEY: &str = include_str!("../../../lcp/tests/vectors/keys/p256.pub.pem");
    const SM2: &str = include_str!("../../../lcp/tests/vectors/keys/sm2.pub.pem");
    const RSA: &str = include_str!("../../../lcp/tests/vectors/keys/rsa2048.pub.pem");
    for (pem, scheme) in [
        (KEY, Scheme::Ecdsa),
        (SM2, Scheme::Sm2),
        (RSA, Scheme::RsaPss),
    ] {
        let list = PolicyList::new(lcp::list::ListVersion::V3_0, Vec::new());
        let plan = SigningPlan {
            scheme,
            hash: None,
            revocation_counter: 1,
        };
        let key = PublicKey::from_pem(pem).unwrap();
        // Nobody made a signature of this list with these keys.
        assert!(sign::attach(list, &key, &plan, bytes).is_err());
    }
}

/// The text files and command lines of the original tools.
pub fn original(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for compat in [false, true] {
        if let Ok(hashes) = hash_file::parse("h", bytes, HashAlg::Sha1, 32, compat) {
            assert!(hashes.len() <= 32);
        }
        if let Ok(info) = pconf_file::parse("p", bytes, compat) {
            assert_eq!(info.select().len(), 1);
        }
        if let Ok(info) = pconf_file_tpm12::parse("p", bytes, compat) {
            assert_eq!(info.select().len(), 3);
        }
    }
    for base in [0, 10, 16] {
        let (_, used) = strtoul::strtoul(&text, base);
        assert!(used <= text.len());
    }
    let options = [
        getopt::flag("create", 'C'),
        getopt::with("ctrl", 'c'),
        getopt::with("alg", 'a'),
        getopt::with("alg", 'a'),
    ];
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let (steps, operands) = getopt::parse(&words, &options);
    assert!(steps.len() + operands.len() <= words.len());
}
