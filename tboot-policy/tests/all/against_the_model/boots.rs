//! Boots of every kind: tboot's options, modules in each form of gzip, policies with any entries.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use launch_model::{Bank, Boot, Module, Platform};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::written::tboot;

/// A boot of the synthetic tboot.
pub fn boot() -> impl Strategy<Value = Boot> {
    let boot = (options(), vec(module(), 1..6));
    boot.prop_flat_map(|(tboot_cmdline, modules)| {
        let vlp = option::weighted(0.8, policy(modules.clone()));
        vlp.prop_map(move |vlp| Boot {
            tboot: tboot(),
            tboot_cmdline: tboot_cmdline.clone().into(),
            modules: modules.clone(),
            vlp,
            platform: Platform::simulated(),
        })
    })
}

/// tboot's command line, with few options that mean something.
fn options() -> impl Strategy<Value = String> {
    let extpol = select(vec![
        "",
        "extpol=sha256",
        "extpol=sha1",
        "extpol=sha384",
        "extpol=embedded",
    ]);
    let other = select(vec![
        "logging=serial",
        "force_tpm2_legacy_log=true",
        "force_tpm2_legacy_log=false",
        " ",
        "extpol=sha256",
    ]);
    (extpol, vec(other, 0..2)).prop_map(|(extpol, others)| format!("{} {extpol}", others.join(" ")))
}

fn module() -> impl Strategy<Value = Module> {
    let bytes = vec(any::<u8>(), 0..50);
    let form = select(vec!["plain", "gzip", "members", "trailing"]);
    ("[ -~]{0,30}", bytes, form).prop_map(|(cmdline, bytes, form)| Module {
        name: "module".into(),
        cmdline: cmdline.into(),
        file: match form {
            "gzip" => gzip(&bytes),
            "members" => [gzip(&bytes), gzip(b"more")].concat(),
            "trailing" => [gzip(&bytes), vec![0; 7]].concat(),
            // A file of gzip's first two bytes is not one that GRUB loads.
            _ => [b"plain".to_vec(), bytes].concat(),
        },
    })
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// The bytes of a policy, written by hand. Hashes that it allows are of the modules, or made up.
fn policy(modules: Vec<Module>) -> impl Strategy<Value = Vec<u8>> {
    // SHA-256 mostly: a policy of another algorithm than tboot's is refused if it compares.
    let algs = vec![0x0b, 0x0b, 0x0b, 4, 0x0c, 0x0d];
    let alg = select(algs);
    alg.prop_flat_map(move |alg: u8| {
        let header = (0..3u8, 0..4u32, Just(alg));
        (header, vec(entry(alg, modules.clone()), 0..6)).prop_map(
            |((kind, control, alg), entries)| {
                let mut bytes = vec![2, kind, alg];
                bytes.extend(control.to_le_bytes());
                bytes.extend([0; 4]);
                bytes.push(u8::try_from(entries.len()).unwrap());
                bytes.extend(entries.concat());
                bytes
            },
        )
    })
}

fn entry(alg: u8, modules: Vec<Module>) -> impl Strategy<Value = Vec<u8>> {
    let object = prop_oneof![4 => 0..6u8, 2 => Just(129u8), 1 => 130..132u8];
    let register = prop_oneof![4 => 17..20u8, 1 => 0..24u8, 1 => Just(255u8)];
    let hash = option::of(0..modules.len());
    (object, register, 0..2u8, vec(hash, 0..4)).prop_map(move |(object, register, kind, hashes)| {
        let mut bytes = vec![object, register, kind, 0, 0, 0, 0];
        bytes.push(u8::try_from(hashes.len()).unwrap());
        for of_module in hashes {
            bytes.extend(hash_in(alg, of_module.map(|number| &modules[number])));
        }
        bytes
    })
}

fn hash_in(alg: u8, module: Option<&Module>) -> Vec<u8> {
    let bank = match alg {
        4 => Bank::Sha1,
        0x0b => Bank::Sha256,
        0x0c => Bank::Sha384,
        _ => return vec![7; 64],
    };
    match module {
        Some(module) => module.hashes(&[bank]).unwrap()[&bank].clone(),
        None => vec![7; bank.digest_len()],
    }
}
