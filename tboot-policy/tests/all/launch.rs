//! The events and PCR values of a launch.

use tboot_policy::{
    launch::{Event, Finding, Launch, LaunchError, LaunchInput, event_type, launch, replay},
    platform::{Measured, PlatformRecord},
    vlp::{Check, Entry, ModuleNumber, Object, Policy, PolicyType},
};
use tpm::pcr::{Bank, PcrIndex};
use txt::hash::HashAlg;

use crate::written::{module, tboot};

fn pcr(number: u8) -> PcrIndex {
    PcrIndex::try_from(number).unwrap()
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
    let change = |input: &mut LaunchInput| input.modules[1] = module("initrd-1", "", b"another");
    assert_eq!(differs(&change), [19]);
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
