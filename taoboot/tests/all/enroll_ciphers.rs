//! Ciphers of a hostile LUKS2 header: those that give nothing away are listed, every other is refused.

use std::fs;

use agent::unlock::{CheckedHeader, HeaderCheckError, MemoryCopy, OpenError, test_passphrase};
use serde_json::{Value, json};

use crate::{
    enroll_header::{forged, pristine, refusal_of, written},
    enroll_support::*,
};

#[test]
fn null_and_weak_ciphers_are_refused_wherever_they_stand() {
    for cipher in [
        "cipher_null-ecb",
        "null",
        "aes-ecb",
        "aes-cbc-plain",
        "aes-xts-plain",
        "",
    ] {
        let segment = forged(|t| t["segments"]["0"]["encryption"] = cipher.into());
        assert!(
            matches!(refusal_of(&segment), HeaderCheckError::Cipher { .. }),
            "{cipher}"
        );
        let keyslot = forged(|t| t["keyslots"]["0"]["area"]["encryption"] = cipher.into());
        assert!(
            matches!(refusal_of(&keyslot), HeaderCheckError::Cipher { .. }),
            "{cipher}"
        );
    }
}

/// The kernel and cryptsetup hold them safe; an image may lack their modules, which is said.
#[test]
fn listed_ciphers_are_accepted_and_their_module_is_named() {
    let in_kernel = fs::read_to_string("/proc/crypto").unwrap();
    for (cipher, key_bytes, module) in [
        ("serpent-xts-plain64", 64, "serpent_generic"),
        ("twofish-xts-plain64", 32, "twofish_generic"),
        ("camellia-xts-plain64", 64, "camellia_generic"),
        ("xchacha12,aes-adiantum-plain64", 32, "adiantum"),
        ("xchacha20,aes-adiantum-plain64", 32, "adiantum"),
    ] {
        let set = |t: &mut Value, key_bytes: u32| {
            t["segments"]["0"]["encryption"] = cipher.into();
            t["keyslots"]["0"]["key_size"] = key_bytes.into();
            t["keyslots"]["0"]["area"]["encryption"] = cipher.into();
            t["keyslots"]["0"]["area"]["key_size"] = key_bytes.into();
        };
        let (_directory, path) = written(&forged(|t| set(t, key_bytes)));
        let header = CheckedHeader::read(&path).unwrap();
        assert_eq!(header.identity().cipher, cipher);
        assert_eq!(header.image_modules(), [module]);
        MemoryCopy::new(&header, Some(0)).unwrap();
        let error = test_passphrase(&header, PASSPHRASE.as_bytes(), Some(0)).unwrap_err();
        match &error {
            // The key material was encrypted with AES.
            OpenError::WrongPassphrase { .. } => {
                let base = module.trim_end_matches("_generic");
                assert!(in_kernel.contains(base), "{cipher}");
            }
            _ => assert!(
                error.to_string().contains(&format!("--module {module}")),
                "{error}"
            ),
        }
        // Half the key of AES-XTS is a key of AES; of these no other length is taken.
        let other = forged(|t| set(t, 48));
        assert!(matches!(
            refusal_of(&other),
            HeaderCheckError::Cipher { .. }
        ));
    }
    assert!(Volume::new().header().image_modules().is_empty());
}

/// Enrolled without the note, the next image could not open it.
#[test]
fn enrolling_says_which_module_an_image_must_have() {
    let image = forged(|t| {
        let keyslots = t["keyslots"].as_object_mut().unwrap();
        let mut other = keyslots["0"].clone();
        let area = &mut other["area"];
        let end = |name: &str| area[name].as_str().unwrap().parse::<u64>().unwrap();
        area["offset"] = (end("offset") + end("size")).to_string().into();
        area["encryption"] = "serpent-xts-plain64".into();
        keyslots.insert("1".into(), other);
        t["digests"]["0"]["keyslots"] = json!(["0", "1"]);
    });
    let swtpm = launched("kernel", "initramfs");
    let tcti = swtpm.tcti();
    let words = ["--current", "--tcti", &tcti, "--no-recovery-key"];
    for (image, needed) in [(&image[..], true), (pristine(), false)] {
        let (_directory, path) = written(image);
        let output = taoboot_on("enroll", &path, &words);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let note = said.contains("built with --module serpent_generic");
        assert_eq!(note, needed, "{said}");
    }
}

#[test]
fn a_refused_cipher_is_refused_with_its_reason() {
    for (cipher, why) in [
        ("aes-cbc-essiv:sha256", "single bits"),
        ("aes-xts-plain", "2 TiB"),
        ("capi:xts(aes)-plain64", "can select any cipher"),
        ("cipher_null-ecb", "does not encrypt"),
    ] {
        let image = forged(|t| t["segments"]["0"]["encryption"] = cipher.into());
        let sentence = refusal_of(&image).to_string();
        assert!(
            sentence.contains(why) && sentence.contains("accepted are aes-xts-plain64, serpent"),
            "{sentence}"
        );
    }
}
