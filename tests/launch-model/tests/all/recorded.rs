//! `lcp2_mlehash`, `tb_polgen`, and the event log of a real host.

use std::{collections::BTreeMap, fs, path::PathBuf};

use launch_model::{
    Bank, Boot, Event, ModelError, Module, Platform, launch, mle::Mle, policy::Policy, replay,
};
use serde_json::Value;
use test_support::required;

fn package(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&fs::read(package(path)).unwrap()).unwrap()
}

fn bank(name: &str) -> Option<Bank> {
    match name {
        "sha1" => Some(Bank::Sha1),
        "sha256" => Some(Bank::Sha256),
        "sha384" => Some(Bank::Sha384),
        _ => None,
    }
}

/// Debian's tboot.gz among the downloaded assets.
fn debian_tboot() -> Option<Vec<u8>> {
    let assets =
        std::env::var_os("TAOBOOT_ASSETS").map_or_else(|| package("target/assets"), PathBuf::from);
    let list = fs::read(assets.join("assets.json")).ok()?;
    let list: Value = serde_json::from_slice(&list).expect("assets.json is JSON");
    fs::read(list.get("tboot")?.as_str()?).ok()
}

#[test]
fn tboot_has_the_hashes_that_lcp2_mlehash_printed() {
    const VECTORS: &str = "lcp/tests/vectors/mlehash";
    let debian = required(debian_tboot(), "Debian's tboot.gz");
    let (mut equal, mut refused) = (0, 0);
    for case in json(&format!("{VECTORS}/cases.json")).as_array().unwrap() {
        let image = case["image"].as_str().unwrap();
        let file = match (image, &debian) {
            ("tboot.gz", None) => continue,
            ("tboot.gz", Some(file)) => file.clone(),
            _ => fs::read(package(VECTORS).join(image)).unwrap(),
        };
        // Without --cmdline the tool leaves what stands in the file: zeros in a tboot, text in the
        // synthetic images. A boot always has a command line.
        let cmdline = match case["cmdline"].as_str() {
            None if image != "tboot.gz" && !case["hash"].is_null() => continue,
            cmdline => cmdline.unwrap_or(""),
        };
        let mle = Mle::of(&file, cmdline.as_bytes());
        match (
            mle,
            bank(case["alg"].as_str().unwrap()),
            case["hash"].as_str(),
        ) {
            (Ok(mle), Some(bank), Some(hash)) => {
                assert_eq!(hex::encode(mle.hash(bank)), hash, "{}", case["name"]);
                equal += 1;
            }
            // Of a command line that does not fit the tool hashes another, which no boot has.
            (Err(ModelError::CmdlineTooLong { .. }), ..) | (Err(_), _, None) => refused += 1,
            // Another hash algorithm.
            (Ok(_), None, _) => {}
            (mle, ..) => panic!("{}: {mle:?}", case["name"]),
        }
    }
    let expected = if debian.is_some() { 36 } else { 14 };
    assert!(equal >= expected && refused >= 3, "{equal} {refused}");
}

#[test]
fn modules_have_the_hashes_that_tb_polgen_put_into_policies() {
    const VECTORS: &str = "tboot-policy/tests/vectors/vlp";
    let mut equal = 0;
    for case in json(&format!("{VECTORS}/modules.json")).as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let Some(bank) = bank(case["alg"].as_str().unwrap()) else {
            continue;
        };
        let image = package(VECTORS).join(case["image"].as_str().unwrap());
        let module = Module {
            name: name.to_owned(),
            cmdline: case["cmdline"].as_str().unwrap().into(),
            file: fs::read(image).unwrap(),
        };
        if name == "image-gztrunc" {
            // GRUB would not load it.
            assert!(module.hashes(&[bank]).is_err());
            continue;
        }
        if case["rc"] != 0 {
            continue;
        }
        let hash = &module.hashes(&[bank]).unwrap()[&bank];
        let policy = hex::decode(case["policy"].as_str().unwrap()).unwrap();
        let policy = Policy::read(&policy).unwrap();
        let allows = |number| policy.entry(number).is_some_and(|entry| entry.allows(hash));
        assert!((0..3).any(allows), "{name}");
        equal += 1;
    }
    assert!(equal >= 12, "{equal}");
}

#[test]
fn policies_that_tb_polgen_shows_are_read_and_others_are_not() {
    for case in json("tboot-policy/tests/vectors/vlp/policies.json")
        .as_array()
        .unwrap()
    {
        let bytes = hex::decode(case["hex"].as_str().unwrap()).unwrap();
        let read = Policy::read(&bytes);
        let valid = case["valid"].as_bool().unwrap();
        assert_eq!(read.is_ok(), valid, "{}: {read:?}", case["name"]);
    }
}

/// The rest is checked in order: the log of the host, its PCRs, and what every host measures alike.
#[test]
fn a_real_host_has_the_models_events_in_the_models_order() {
    let record = json("tboot-policy/tests/vectors/real-host/events.json");
    let tboot = fs::read(package("lcp/tests/vectors/mlehash/one-seg.elf.gz")).unwrap();
    let module = |name: &str| Module {
        name: name.to_owned(),
        cmdline: Vec::new(),
        file: Vec::new(),
    };
    let modelled = launch(&Boot {
        tboot,
        tboot_cmdline: Vec::new(),
        modules: vec![module("vmlinuz"), module("initrd")],
        vlp: None,
        platform: Platform::simulated(),
    })
    .unwrap();
    let alike = [
        "CPU_SCRTM_STAT",
        "LCP_CONTROL_HASH",
        "LCP_DETAILS_HASH",
        "STM_HASH",
        "LCP_AUTHORITIES_HASH",
    ];
    for (pcr, order) in [(17, "pcr17_order"), (18, "pcr18_order")] {
        let logged: Vec<&str> = record[order]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        let mut ours = modelled.events.iter().filter(|event| event.pcr == pcr);
        let mut hosts = Vec::new();
        for name in &logged {
            let event = ours.next().unwrap();
            let expected = match *name {
                "tb_policy" => "tboot policy",
                "vmlinuz" => "module 0",
                "initrd" => "module 1",
                name => name,
            };
            assert_eq!(event.name, expected, "PCR {pcr}");
            let digest = record["sha256"][name].as_str().unwrap();
            if alike.contains(name) {
                assert_eq!(hex::encode(&event.digests[&Bank::Sha256]), digest, "{name}");
            }
            hosts.push(Event {
                digests: BTreeMap::from([(Bank::Sha256, hex::decode(digest).unwrap())]),
                ..event.clone()
            });
        }
        assert!(ours.next().is_none(), "PCR {pcr}");
        let value = &replay::pcrs(&hosts, Bank::Sha256)[&pcr];
        let expected = record["sha256"][format!("pcr{pcr}")].as_str().unwrap();
        assert_eq!(hex::encode(value), expected);
    }
    // A tboot of those days, whose header had no more than SINIT decides, on a SINIT with a TCG log.
    let caps = hex::encode(Bank::Sha256.hash(&0x201u32.to_le_bytes()));
    assert_eq!(record["sha256"]["OSSINITDATA_CAP_HASH"], caps);
}
