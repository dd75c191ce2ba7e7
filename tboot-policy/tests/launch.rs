//! The events and PCR values of a launch, against a real TXT host and against another project's
//! predictor. Both records stay outside of the project: the tests that need them say so and pass
//! when they aren't there.
// Clippy's permission for tests covers test functions only, not what they call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{collections::BTreeMap, fs, path::PathBuf};

use lcp::hash::HashAlg;
use tboot_policy::{
    launch::{
        Event, Finding, HashStartReading, Launch, LaunchError, LaunchInput, event_type, launch,
        replay, replay_reading,
    },
    module::Module,
    platform::{Measured, PlatformRecord},
    vlp::{Check, Entry, ModuleNumber, Object, Policy, PolicyType},
};
use tpm::pcr::{Bank, PcrIndex};

fn pcr(number: u8) -> PcrIndex {
    PcrIndex::try_from(number).unwrap()
}

/// Recorded data outside of the project; `None`, said on stderr, without it.
fn shared(path: &str) -> Option<Vec<u8>> {
    let full = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/vectors")
        .join(path);
    let bytes = fs::read(&full).ok();
    if bytes.is_none() {
        eprintln!("skipped: {path} is not there (../shared/vectors)");
    }
    bytes
}

/// A minimal tboot: one of the synthetic MLEs of crate lcp's tests.
fn tboot() -> Vec<u8> {
    let path = "../lcp/tests/vectors/mlehash/one-seg.elf.gz";
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn module(name: &str, cmdline: &str, bytes: &[u8]) -> Module {
    Module {
        name: name.into(),
        cmdline: cmdline.into(),
        bytes: bytes.into(),
    }
}

fn entry(number: u8, register: u8) -> Entry {
    Entry::measure(
        Object::Module(ModuleNumber::new(number).unwrap()),
        Some(pcr(register)),
    )
}

/// Kernel into PCR 18, initramfs into PCR 19.
fn policy(policy_type: PolicyType) -> Policy {
    Policy::new(
        policy_type,
        HashAlg::Sha256,
        1,
        vec![entry(0, 18), entry(1, 19)],
    )
    .unwrap()
}

fn input(vlp: Option<Policy>) -> LaunchInput {
    LaunchInput {
        tboot: tboot(),
        tboot_cmdline: b"logging=serial".to_vec(),
        modules: vec![
            module("vmlinuz", "root=/dev/sda1 ro", b"kernel"),
            module("initramfs", "", b"070701"),
        ],
        vlp,
        platform: PlatformRecord::simulated(),
    }
}

fn chain(bank: HashAlg, digests: &[&[u8]]) -> Vec<u8> {
    let zeros = vec![0; bank.digest_len()];
    digests.iter().fold(zeros, |value, digest| {
        bank.digest_parts(&[&value, digest]).as_bytes().to_vec()
    })
}

/// What tboot extends into a register, in order: (name, file).
fn by_tboot(launch: &Launch, register: u8) -> Vec<(&str, Option<&str>)> {
    launch
        .events
        .iter()
        .filter(|event| event.locality == 2 && event.pcr == pcr(register))
        .map(|event| (event.name.as_str(), event.file.as_deref()))
        .collect()
}

#[test]
fn each_module_goes_where_its_entry_says_and_module_0_into_pcr_17_too() {
    let launch = launch(&input(Some(policy(PolicyType::Halt)))).unwrap();
    assert!(launch.findings.is_empty() && !launch.halts);
    let (kernel, initramfs) = (
        ("module 0", Some("vmlinuz")),
        ("module 1", Some("initramfs")),
    );
    assert_eq!(by_tboot(&launch, 17), [("tboot policy", None), kernel]);
    assert_eq!(by_tboot(&launch, 18), [("tboot policy", None), kernel]);
    assert_eq!(by_tboot(&launch, 19), [initramfs]);
    let values = replay(&launch.events).unwrap();
    let hash = input(None).modules[1].hash(HashAlg::Sha256).unwrap();
    assert_eq!(
        values[&Bank::Sha256].get(pcr(19)).unwrap(),
        chain(HashAlg::Sha256, &[hash.as_bytes()])
    );
    // tboot extends only the bank of its extpol: PCR 19 of the others stays at zeros.
    assert_eq!(values[&Bank::Sha1].get(pcr(19)).unwrap(), [0; 20]);
}

#[test]
fn the_built_in_policy_measures_every_module_into_pcr_17() {
    let launch = launch(&input(None)).unwrap();
    let expected = [
        ("tboot policy", None),
        ("module 0", Some("vmlinuz")),
        ("module 1", Some("initramfs")),
    ];
    assert_eq!(by_tboot(&launch, 17), expected);
    assert_eq!(by_tboot(&launch, 18), expected[..1]);
    assert!(by_tboot(&launch, 19).is_empty());
}

#[test]
fn hash_start_comes_first_at_locality_4_with_its_data() {
    let launch = launch(&input(None)).unwrap();
    let first = &launch.events[0];
    assert_eq!(
        (first.event_type, first.locality, first.pcr),
        (event_type::HASH_START, 4, pcr(17))
    );
    let data = first.data.clone().unwrap();
    assert_eq!(
        first.digests[&Bank::Sha384],
        HashAlg::Sha384.digest(&data).as_bytes()
    );
    // TPM_HASH_START/DATA/END leave PCR 17 = H( 0 || H(data) ).
    let value = &replay(&launch.events[..1]).unwrap()[&Bank::Sha256];
    let digest = HashAlg::Sha256.digest(&data);
    assert_eq!(
        value.get(pcr(17)).unwrap(),
        chain(HashAlg::Sha256, &[digest.as_bytes()])
    );
    assert!(
        launch.events[1..]
            .iter()
            .all(|event| event.locality < 4 && event.data.is_none())
    );
}

#[test]
fn any_changed_input_changes_a_register() {
    let values = |input: &LaunchInput| replay(&launch(input).unwrap().events).unwrap();
    let base = input(Some(policy(PolicyType::Halt)));
    let before = values(&base);
    let differs = |change: &dyn Fn(&mut LaunchInput)| -> Vec<u8> {
        let mut changed = base.clone();
        change(&mut changed);
        let after = values(&changed);
        (17..=19)
            .filter(|n| after[&Bank::Sha256].get(pcr(*n)) != before[&Bank::Sha256].get(pcr(*n)))
            .collect()
    };
    assert_eq!(differs(&|input| input.tboot_cmdline.push(b'x')), [17]);
    assert_eq!(
        differs(&|input| input.modules[0].cmdline.push(b' ')),
        [17, 18]
    );
    assert_eq!(differs(&|input| input.modules[1].bytes.push(0)), [19]);
    assert_eq!(differs(&|input| input.vlp = None), [17, 18, 19]);
    assert_eq!(
        differs(&|input| input.platform.sinit_pubkey_hash = Measured::Data(vec![1])),
        [18]
    );
}

#[test]
fn a_policy_that_does_not_fit_is_named_and_halts_only_when_it_says_so() {
    let only_kernel = |kind| {
        let mut kernel = entry(0, 18);
        kernel.check = Check::Image;
        kernel.hashes = vec![HashAlg::Sha256.digest(b"another kernel")];
        Policy::new(kind, HashAlg::Sha256, 1, vec![kernel]).unwrap()
    };
    for (kind, halts) in [(PolicyType::Halt, true), (PolicyType::NonFatal, false)] {
        let launch = launch(&input(Some(only_kernel(kind)))).unwrap();
        assert_eq!(launch.halts, halts);
        assert!(matches!(
            launch.findings[0],
            Finding::HashNotAllowed { number: 0, .. }
        ));
        assert!(matches!(
            launch.findings[1],
            Finding::NoEntry { number: 1, .. }
        ));
        let text = launch.findings[0].to_string();
        assert!(
            text.contains("vmlinuz") && text.contains("policy allows"),
            "{text}"
        );
        // Measured all the same: tboot extends before it compares.
        assert_eq!(by_tboot(&launch, 18).len(), 2);
    }
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let mut no_module = input(None);
    no_module.modules.clear();
    assert!(matches!(launch(&no_module), Err(LaunchError::NoModules)));

    let mut agile = input(None);
    agile.tboot_cmdline = b"extpol=agile".to_vec();
    assert!(matches!(launch(&agile), Err(LaunchError::Extpol(_))));

    let mut sha1_hashes = input(Some(policy(PolicyType::Halt)));
    sha1_hashes.tboot_cmdline = b"extpol=sha1".to_vec();
    assert!(launch(&sha1_hashes).is_ok(), "no hash is compared");
    let mut compared = entry(0, 18);
    compared.check = Check::Image;
    sha1_hashes.vlp =
        Some(Policy::new(PolicyType::Halt, HashAlg::Sha256, 1, vec![compared]).unwrap());
    assert!(matches!(
        launch(&sha1_hashes),
        Err(LaunchError::PolicyAlg { .. })
    ));

    let mut many = input(None);
    many.modules = vec![module("m", "", b""); 40];
    assert!(matches!(launch(&many), Err(LaunchError::TooManyEvents(42))));

    let mut sha1_only = input(None);
    sha1_only.platform.hash_start = Measured::Digests([(Bank::Sha1, vec![0; 20])].into());
    assert!(matches!(
        launch(&sha1_only),
        Err(LaunchError::Bank(Bank::Sha256))
    ));
}

#[test]
fn extpol_embedded_extends_every_bank_and_compares_nothing() {
    let mut wrong = entry(0, 18);
    wrong.check = Check::Image;
    let mut input = input(Some(
        Policy::new(
            PolicyType::Halt,
            HashAlg::Sha256,
            1,
            vec![wrong, entry(1, 19)],
        )
        .unwrap(),
    ));
    input.tboot_cmdline = b"extpol=embedded".to_vec();
    let launch = launch(&input).unwrap();
    assert!(launch.findings.is_empty() && !launch.halts);
    let policy = input.vlp.as_ref().unwrap();
    let by_tboot: Vec<&Event> = launch.events.iter().filter(|e| e.locality == 2).collect();
    assert!(by_tboot.iter().all(|event| event.digests.len() == 3));
    // Seen on a real host: the policy is hashed with SHA-256 in every bank.
    let inner = HashAlg::Sha256.digest(&policy.to_bytes());
    let expected = HashAlg::Sha1.digest_parts(&[&1u32.to_le_bytes(), inner.as_bytes()]);
    assert_eq!(by_tboot[0].digests[&Bank::Sha1], expected.as_bytes());
    let kernel = input.modules[0].hash(HashAlg::Sha384).unwrap();
    assert_eq!(by_tboot[2].digests[&Bank::Sha384], kernel.as_bytes());
}

fn logged(register: u8, kind: u32, bank: Bank, digest: &str) -> Event {
    Event {
        pcr: pcr(register),
        locality: 3,
        event_type: kind,
        name: String::new(),
        file: None,
        data: None,
        digests: BTreeMap::from([(bank, hex::decode(digest).unwrap())]),
    }
}

#[test]
fn a_real_hosts_log_replays_to_its_pcrs() {
    let Some(record) = shared("real-host/events.json") else {
        return;
    };
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let mut events = Vec::new();
    for (register, order) in [(17, "pcr17_order"), (18, "pcr18_order")] {
        for name in record[order].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let kind = if name == "HASH_START" {
                event_type::HASH_START
            } else {
                0
            };
            let digest = record["sha256"][name].as_str().unwrap();
            events.push(logged(register, kind, Bank::Sha256, digest));
        }
    }
    let values = &replay(&events).unwrap()[&Bank::Sha256];
    for (register, name) in [(17, "pcr17"), (18, "pcr18")] {
        let expected = record["sha256"][name].as_str().unwrap();
        assert_eq!(
            hex::encode(values.get(pcr(register)).unwrap()),
            expected,
            "{name}"
        );
    }
    // The order in which launch() puts SINIT's events is the host's.
    let launch = launch(&input(None)).unwrap();
    for (register, order) in [(17, "pcr17_order"), (18, "pcr18_order")] {
        let expected: Vec<&str> = record[order]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|name| name.as_str())
            .collect();
        let ours: Vec<&str> = launch
            .events
            .iter()
            .filter(|event| event.pcr == pcr(register) && event.locality > 2)
            .map(|event| event.name.as_str())
            .collect();
        let by_sinit = expected
            .iter()
            .position(|name| *name == "tb_policy")
            .unwrap();
        assert_eq!(ours, expected[..by_sinit], "PCR {register}");
    }
    // And what does not depend on the host has the values of the simulated platform.
    let platform = PlatformRecord::simulated();
    for (name, measured) in [
        ("CPU_SCRTM_STAT", platform.cpu_scrtm_stat),
        ("LCP_CONTROL_HASH", platform.lcp_control_hash),
        ("LCP_DETAILS_HASH", platform.lcp_details_hash),
        ("STM_HASH", platform.stm_hash),
        ("LCP_AUTHORITIES_HASH", platform.lcp_authorities_hash),
    ] {
        let ours = hex::encode(measured.digest(Bank::Sha256).unwrap());
        assert_eq!(ours, record["sha256"][name].as_str().unwrap(), "{name}");
    }
}

/// Digests of one register out of the verbose output of OpenXT's pcr-calc: "[nn] type: hex...".
fn openxt_log(text: &str) -> Vec<Vec<(u32, String)>> {
    let mut registers: Vec<Vec<(u32, String)>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("log:") {
            registers.push(Vec::new());
        } else if let Some((_, rest)) = line
            .strip_prefix("[")
            .and_then(|rest| rest.split_once("] "))
        {
            let (kind, digest) = rest.split_once(": ").unwrap();
            let kind = u32::from_str_radix(kind.trim(), 16).unwrap();
            if kind != 0 {
                registers
                    .last_mut()
                    .unwrap()
                    .push((kind, digest.replace(' ', "")));
            }
        }
    }
    registers
}

#[test]
fn openxts_predictor_gives_the_same_values() {
    let Some(verbose) = shared("tboot/pcr-openxt/da20-sha256/step02.stdout") else {
        return;
    };
    let log = openxt_log(std::str::from_utf8(&verbose).unwrap());
    let result = shared("tboot/pcr-openxt/da20-sha256/step01.stdout").unwrap();
    let mut events = Vec::new();
    for (register, list) in [17, 18].into_iter().zip(&log) {
        for (kind, digest) in list {
            events.push(logged(register, *kind, Bank::Sha256, digest));
        }
    }
    // pcr-calc's default reading: the logged HASH_START is PCR 17's value.
    let values = replay_reading(&events, HashStartReading::Value).unwrap();
    for (register, line) in [17, 18]
        .into_iter()
        .zip(String::from_utf8(result).unwrap().lines())
    {
        let expected = line.split_once(':').unwrap().1.replace(' ', "");
        assert_eq!(
            hex::encode(values[&Bank::Sha256].get(pcr(register)).unwrap()),
            expected
        );
    }
    // The event for the policy is the one that pcr-calc computed of the same file.
    let bytes = shared("tboot/pcr-openxt/da20-sha256/in/p.pol").unwrap();
    let policy = Policy::parse(&bytes).unwrap();
    let first_by_tboot = log[0]
        .iter()
        .find(|(kind, _)| *kind == event_type::TBOOT)
        .unwrap();
    assert_eq!(
        policy.measurement(HashAlg::Sha256).to_string(),
        first_by_tboot.1
    );
}

#[test]
fn openxts_module_hash_is_the_same() {
    let Some(bytes) = shared("tboot/pcr-openxt/module-hash/in/vmlinuz") else {
        return;
    };
    let cmdline = "root=/dev/mapper/vg-root ro quiet intel_iommu=on";
    for (step, alg, cmdline) in [
        ("step01.stdout", HashAlg::Sha256, cmdline),
        ("step02.stdout", HashAlg::Sha1, cmdline),
        ("step03.stdout", HashAlg::Sha256, ""),
    ] {
        let expected = shared(&format!("tboot/pcr-openxt/module-hash/{step}")).unwrap();
        let hash = module("vmlinuz", cmdline, &bytes).hash(alg).unwrap();
        assert_eq!(
            hash.to_string(),
            std::str::from_utf8(&expected).unwrap().trim()
        );
    }
}
