//! May a passphrase be tried on this keyslot of an untrusted header?
//!
//! A keyslot whose area has a null cipher opens with any passphrase; one whose key derivation
//! asks for all memory or years of time stops the boot; one whose area lies elsewhere reads
//! bytes that do not belong to it.

use super::{
    header_check::{HASHES, HeaderCheckError, MAX_PBKDF2_ITERATIONS, bounds, check_cipher, shown},
    metadata::{Kdf, Keyslot, Luks2Keyslot, Metadata},
};

const MAX_ARGON2_KIB: u32 = 1 << 20;
const MAX_ARGON2_PASSES: u32 = 64;
const MAX_ARGON2_LANES: u32 = 4;

/// Checks one keyslot before it is used and gives its area as (offset, length) in bytes.
pub(crate) fn check_keyslot(
    metadata: &Metadata,
    number: u32,
    copy_size: u64,
) -> Result<(u64, u64), HeaderCheckError> {
    let refuse = |reason: &str| HeaderCheckError::Keyslot {
        keyslot: number,
        reason: reason.into(),
    };
    let keyslot = match metadata.keyslots.get(&number) {
        Some(Keyslot::Luks2(keyslot)) => keyslot,
        Some(Keyslot::Other(kind)) => {
            return Err(refuse(&format!(
                "is of type {kind:?}, expected a keyslot for a passphrase"
            )));
        }
        None => return Err(refuse("does not exist")),
    };
    let name = number.to_string();
    let bound = metadata
        .digests
        .values()
        .any(|digest| digest.segments.iter().any(|s| s == "0") && digest.keyslots.contains(&name));
    if !bound {
        return Err(refuse("does not hold the volume's key"));
    }
    let place = format!("keyslot {number}");
    check_cipher(&place, &keyslot.area.encryption, keyslot.area.key_size)?;
    check_splitter(&place, keyslot)?;
    check_kdf(&place, &keyslot.kdf)?;
    let start = copy_size.saturating_mul(2);
    let end = start.checked_add(metadata.config.keyslots_size);
    let area = &keyslot.area;
    let inside = area.kind == "raw"
        && area.offset.is_multiple_of(4096)
        && area.offset >= start
        && area
            .offset
            .checked_add(area.size)
            .is_some_and(|area_end| end.is_some_and(|end| area_end <= end));
    let needed = u64::from(keyslot.key_size).saturating_mul(keyslot.af.stripes.into());
    if !inside || area.size < needed {
        return Err(refuse("has its key material outside the keyslots area"));
    }
    Ok((area.offset, area.size))
}

fn check_splitter(place: &str, keyslot: &Luks2Keyslot) -> Result<(), HeaderCheckError> {
    let af = &keyslot.af;
    if af.kind != "luks1" || af.stripes != 4000 || !HASHES.contains(&af.hash.as_str()) {
        return Err(bounds(
            &format!("the splitter of {place}"),
            format!(
                "{} with {} stripes and {}",
                shown(&af.kind),
                af.stripes,
                shown(&af.hash)
            ),
            "luks1 with 4000 stripes and a SHA-1 or SHA-2 hash",
        ));
    }
    Ok(())
}

fn check_kdf(place: &str, kdf: &Kdf) -> Result<(), HeaderCheckError> {
    match kdf {
        Kdf::Pbkdf2 {
            hash, iterations, ..
        } => {
            let good = HASHES.contains(&hash.as_str())
                && (1000..=MAX_PBKDF2_ITERATIONS).contains(iterations);
            good.then_some(()).ok_or_else(|| {
                bounds(
                    &format!("the key derivation of {place}"),
                    format!("pbkdf2-{} with {iterations} iterations", shown(hash)),
                    "a SHA-1 or SHA-2 hash and 1000 to 50000000 iterations",
                )
            })
        }
        Kdf::Argon2i {
            time, memory, cpus, ..
        }
        | Kdf::Argon2id {
            time, memory, cpus, ..
        } => {
            let good = (1..=MAX_ARGON2_PASSES).contains(time)
                && (32..=MAX_ARGON2_KIB).contains(memory)
                && (1..=MAX_ARGON2_LANES).contains(cpus);
            good.then_some(()).ok_or_else(|| {
                bounds(
                    &format!("the key derivation of {place}"),
                    format!("argon2 with {memory} KiB, {time} passes, {cpus} lanes"),
                    "at most 1048576 KiB, 64 passes and 4 lanes",
                )
            })
        }
    }
}
