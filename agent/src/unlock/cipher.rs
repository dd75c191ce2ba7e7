//! The ciphers that a volume and its keyslots may have, and why others may not.
//!
//! An explicit list: what libcryptsetup or the kernel would take is far more, down to no encryption
//! at all (CVE-2025-59054 and its relatives).

struct Accepted {
    /// In dm-crypt notation.
    name: &'static str,
    /// Lengths of its key, in bytes.
    lengths: &'static [u32],
    /// What an image is built with for it; every image has AES and XTS.
    module: Option<&'static str>,
}

const XTS: &[u32] = &[64, 32];

/// Wide 64-bit sector numbers, and modes in which a change of the ciphertext gives noise.
const ACCEPTED: &[Accepted] = &[
    Accepted {
        name: "aes-xts-plain64",
        lengths: XTS,
        module: None,
    },
    Accepted {
        name: "serpent-xts-plain64",
        lengths: XTS,
        module: Some("serpent_generic"),
    },
    Accepted {
        name: "twofish-xts-plain64",
        lengths: XTS,
        module: Some("twofish_generic"),
    },
    Accepted {
        name: "camellia-xts-plain64",
        lengths: XTS,
        module: Some("camellia_generic"),
    },
    Accepted {
        name: "xchacha12,aes-adiantum-plain64",
        lengths: &[32],
        module: Some("adiantum"),
    },
    Accepted {
        name: "xchacha20,aes-adiantum-plain64",
        lengths: &[32],
        module: Some("adiantum"),
    },
];

/// Why a cipher with a key of this length is refused; `None` for one that is not.
pub(crate) fn objection(cipher: &str, key_bytes: u32) -> Option<&'static str> {
    if let Some(accepted) = ACCEPTED.iter().find(|accepted| accepted.name == cipher) {
        let right = accepted.lengths.contains(&key_bytes);
        return (!right).then_some("the cipher does not support keys of that length");
    }
    let parts: Vec<&str> = cipher.split('-').collect();
    let has = |part: &str| parts.contains(&part);
    Some(if cipher.is_empty() || cipher.contains("null") {
        "it does not encrypt, so any passphrase would work"
    } else if cipher.starts_with("capi:") {
        "the kernel's capi: notation can select any cipher"
    } else if has("ecb") {
        "with ECB, equal blocks of data remain recognizable"
    } else if has("cbc") {
        "with CBC, anyone who can write to the disk can change single bits of the data"
    } else if has("ctr") || cipher.starts_with("arc4") {
        "with a stream cipher, anyone who can write to the disk can change single bits of the data"
    } else if has("plain") {
        "its sector numbers (plain) wrap around after 2 TiB, so that sectors share an initialization vector"
    } else {
        "it is not on the list of accepted ciphers"
    })
}

/// The accepted ciphers, for a sentence.
pub(crate) fn accepted() -> String {
    let names: Vec<&str> = ACCEPTED.iter().map(|accepted| accepted.name).collect();
    names.join(", ")
}

/// What an image needs (`taoboot-image --module`) beside that which every image has, to open what
/// is encrypted like this.
pub(crate) fn module(cipher: &str) -> Option<&'static str> {
    let accepted = ACCEPTED.iter().find(|accepted| accepted.name == cipher)?;
    accepted.module
}

/// For an error at the opening: what may be missing.
pub(crate) fn hint(module: &str) -> String {
    format!(
        "its cipher needs the kernel module {module}, which is in an image only if it was built with --module {module} (TAOBOOT_IMAGE_OPTIONS in /etc/default/taoboot)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_is_a_short_list() {
        for (cipher, lengths) in [
            ("aes-xts-plain64", XTS),
            ("serpent-xts-plain64", XTS),
            ("twofish-xts-plain64", XTS),
            ("camellia-xts-plain64", XTS),
            ("xchacha12,aes-adiantum-plain64", &[32]),
            ("xchacha20,aes-adiantum-plain64", &[32]),
        ] {
            for key_bytes in 0..=130 {
                let fine = objection(cipher, key_bytes).is_none();
                assert_eq!(fine, lengths.contains(&key_bytes), "{cipher} {key_bytes}");
            }
            assert_eq!(
                module(cipher).is_none(),
                cipher == "aes-xts-plain64",
                "{cipher}"
            );
        }
    }

    #[test]
    fn a_refusal_says_why() {
        for (cipher, words) in [
            ("", "does not encrypt"),
            ("null", "does not encrypt"),
            ("cipher_null-ecb", "does not encrypt"),
            ("cipher_null-xts-plain64", "does not encrypt"),
            ("aes-ecb", "equal blocks"),
            ("aes-cbc-essiv:sha256", "single bits"),
            ("aes-cbc-plain64", "single bits"),
            ("aes-ctr-plain64", "single bits"),
            ("aes-xts-plain", "2 TiB"),
            ("capi:xts(aes)-plain64", "can select any cipher"),
            ("capi:authenc(hmac(sha256),cbc(aes))-random", "can select"),
            ("xchacha12,aes-adiantum-plain", "2 TiB"),
            ("aes-xts-plain64 ", "not on the list"),
            ("AES-XTS-PLAIN64", "not on the list"),
            ("blowfish-xts-plain64", "not on the list"),
            ("aes-xts-plain64be", "not on the list"),
        ] {
            for key_bytes in [32, 64] {
                let said = objection(cipher, key_bytes);
                assert!(
                    said.is_some_and(|said| said.contains(words)),
                    "{cipher}: {said:?}"
                );
            }
        }
    }
}
