//! A made-up SINIT module, signed with a test key as Intel's are.

use std::fs;

use rsa::{RsaPrivateKey, pkcs1v15::Pkcs1v15Sign, pkcs8::DecodePrivateKey, traits::PublicKeyParts};
use txt::hash::HashAlg;

use crate::recorded;

/// Offset of the user area of a module of header version 0.0 with `SCRATCH` words of scratch.
pub const USER: usize = 644 + 4 * SCRATCH;
/// Words of scratch that real modules have.
pub const SCRATCH: usize = 143;

fn reversed(bytes: &[u8], len: usize) -> Vec<u8> {
    let mut out: Vec<u8> = bytes.iter().rev().copied().collect();
    out.resize(len, 0);
    out
}

/// One module: two chipsets, two processors, TPM information with sha1 and sha256.
pub fn make(v3: bool) -> Vec<u8> {
    let (key_name, key_len, header_len) = if v3 {
        ("rsa3072", 384, 896)
    } else {
        ("rsa2048", 256, 644)
    };
    let directory = recorded::vectors().join("keys");
    let pem = fs::read_to_string(directory.join(format!("{key_name}.pem"))).unwrap();
    let key = RsaPrivateKey::from_pkcs8_pem(&pem).unwrap();
    let user = header_len + 4 * SCRATCH;
    let u16s = |out: &mut Vec<u8>, numbers: &[u16]| {
        numbers.iter().for_each(|n| out.extend(n.to_le_bytes()));
    };
    let u32s = |out: &mut Vec<u8>, numbers: &[u32]| {
        numbers.iter().for_each(|n| out.extend(n.to_le_bytes()));
    };
    let word = |number: usize| u32::try_from(number).unwrap();
    let mut head = Vec::new();
    u16s(&mut head, &[2, 0]);
    u32s(
        &mut head,
        &[word(header_len / 4), if v3 { 0x30000 } else { 0 }],
    );
    u16s(&mut head, &[0xb0aa, 0]);
    // Vendor, date, size (filled in below), security versions, control, entry point.
    u32s(
        &mut head,
        &[
            0x8086,
            0x2020_1231,
            0,
            0x0003_0002,
            0,
            0x48,
            0x30,
            0x4c0,
            8,
            0x1234,
        ],
    );
    head.resize(120, 0);
    u32s(&mut head, &[word(key_len / 4), word(SCRATCH)]);
    let mut area = hex::decode("aa3ac07fa746db182eac698f8d417f5a").unwrap();
    area.extend([1, 5]);
    u16s(&mut area, &[0x30]);
    let lists = user + 0x30;
    u32s(&mut area, &[word(lists), 7, 0x20000, 0x36e]);
    area.extend([77, 0, 0, 0]);
    u32s(&mut area, &[word(lists + 36), word(lists + 36 + 52)]);
    u32s(&mut area, &[2]);
    for (device, revision) in [(0xb008u16, 1u16), (0xb00a, 6)] {
        u32s(&mut area, &[1]);
        u16s(&mut area, &[0x8086, device, revision, 0]);
        u32s(&mut area, &[0]);
    }
    u32s(&mut area, &[2]);
    u32s(&mut area, &[0x506e0, 0x0fff_3ff0, 0, 0, 0, 0]);
    u32s(
        &mut area,
        &[0x206a0, 0x0fff_3ff0, 0, 0x10_0000, 0, 0x1c_0000],
    );
    u32s(&mut area, &[0x4f]);
    u16s(&mut area, &[3, 4, 0xb, 0x14]);
    area.extend([0x90; 40]);
    area.resize(area.len().next_multiple_of(4), 0);
    let size = word((user + area.len()) / 4);
    head[24..28].copy_from_slice(&size.to_le_bytes());
    let digest = HashAlg::Sha256.digest_parts(&[&head, &area]);
    let signed = reversed(digest.as_bytes(), 32);
    let signature = key.sign(Pkcs1v15Sign::new_unprefixed(), &signed).unwrap();
    let mut file = head;
    file.extend(reversed(&key.n_bytes(), key_len));
    if !v3 {
        u32s(&mut file, &[65537]);
    }
    file.extend(reversed(&signature, key_len));
    file.resize(user, 0x55);
    file.extend(area);
    file
}
