//! The rules that no record shows.

use std::{fs, path::PathBuf};

use launch_model::{Bank, Boot, Complaint, Launch, ModelError, Module, Platform, launch};

/// One of the synthetic MLEs of crate lcp's tests.
fn tboot() -> Vec<u8> {
    let path = "../../lcp/tests/vectors/mlehash/one-seg.elf.gz";
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn boot(options: &str, vlp: Option<Vec<u8>>) -> Boot {
    let module = |name: &str, cmdline: &str| Module {
        name: name.to_owned(),
        cmdline: cmdline.into(),
        file: name.into(),
    };
    Boot {
        tboot: tboot(),
        tboot_cmdline: options.into(),
        modules: vec![module("vmlinuz", "ro"), module("initramfs", "")],
        vlp,
        platform: Platform::simulated(),
    }
}

/// A policy of entries (module, register, hash type, hashes).
fn policy(kind: u8, entries: &[(u8, u8, u8, &[Vec<u8>])]) -> Vec<u8> {
    let mut bytes = vec![2, kind, 0xb, 1, 0, 0, 0, 0, 0, 0, 0];
    bytes.push(u8::try_from(entries.len()).unwrap());
    for (module, register, hash_type, hashes) in entries {
        bytes.extend([*module, *register, *hash_type, 0, 0, 0, 0]);
        bytes.push(u8::try_from(hashes.len()).unwrap());
        bytes.extend(hashes.concat());
    }
    bytes
}

fn by_tboot(launch: &Launch) -> Vec<(u8, &str)> {
    let by_tboot = launch.events.iter().filter(|event| event.locality == 2);
    by_tboot
        .map(|event| (event.pcr, event.name.as_str()))
        .collect()
}

#[test]
fn each_module_goes_where_its_first_entry_says_and_module_0_into_pcr_17_too() {
    let entries: [(u8, u8, u8, &[Vec<u8>]); 4] = [
        (130, 22, 0, &[]), // an NV index is not a module
        (0, 18, 0, &[]),
        (129, 19, 0, &[]),
        (1, 20, 0, &[]),
    ];
    let launch = launch(&boot("", Some(policy(2, &entries)))).unwrap();
    let expected = [
        (17, "tboot policy"),
        (18, "tboot policy"),
        (17, "module 0"),
        (18, "module 0"),
        (19, "module 1"),
    ];
    assert_eq!(by_tboot(&launch), expected);
    assert!(launch.complaints.is_empty() && !launch.halts);
}

#[test]
fn the_cpu_comes_first_and_tboot_last() {
    let launch = launch(&boot("", None)).unwrap();
    let localities: Vec<u8> = launch.events.iter().map(|event| event.locality).collect();
    assert_eq!(localities[..2], [4, 3]);
    assert!(localities.is_sorted_by(|before, after| before >= after));
    let first = &launch.events[0].digests[&Bank::Sha384];
    assert_eq!(*first, Bank::Sha384.hash(&launch.hash_data));
}

#[test]
fn tboot_extends_the_bank_of_its_option_or_all() {
    for (options, banks) in [
        ("", 1),
        ("extpol=sha1", 1),
        ("extpol=sha1 extpol=embedded", 3),
    ] {
        let launch = launch(&boot(options, None)).unwrap();
        let mut by_tboot = launch.events.iter().filter(|event| event.locality == 2);
        assert!(
            by_tboot.all(|event| event.digests.len() == banks),
            "{options}"
        );
        assert!(launch.events[0].digests.len() == 3);
    }
    // Extending all, it hashes the policy with SHA-256 in each.
    let launch = launch(&boot("extpol=embedded", None)).unwrap();
    let of_policy = launch
        .events
        .iter()
        .find(|event| event.locality == 2)
        .unwrap();
    let inner = Bank::Sha256.hash(&launch_model::policy::Policy::DEFAULT);
    let both = [vec![1, 0, 0, 0], inner].concat();
    assert_eq!(of_policy.digests[&Bank::Sha1], Bank::Sha1.hash(&both));
}

#[test]
fn a_module_that_is_not_as_the_policy_wants_it_halts_tboot_as_the_policy_says() {
    let wrong = vec![vec![7; 32]];
    let not_allowed: [(u8, u8, u8, &[Vec<u8>]); 2] = [(0, 18, 1, &wrong), (1, 19, 0, &[])];
    let not_named: [(u8, u8, u8, &[Vec<u8>]); 1] = [(0, 18, 0, &[])];
    for (kind, halts_at_wrong, halts_at_unnamed) in
        [(0, false, false), (1, false, true), (2, true, true)]
    {
        let wrong = launch(&boot("", Some(policy(kind, &not_allowed)))).unwrap();
        assert_eq!(wrong.complaints, [Complaint::NotAllowed(0)]);
        assert_eq!(wrong.halts, halts_at_wrong, "{kind}");
        // It is on the list of extends before it is compared.
        assert!(by_tboot(&wrong).contains(&(18, "module 0")));
        let unnamed = launch(&boot("", Some(policy(kind, &not_named)))).unwrap();
        assert_eq!(unnamed.complaints, [Complaint::NotNamed(1)]);
        assert_eq!(unnamed.halts, halts_at_unnamed, "{kind}");
        assert!(
            !by_tboot(&unnamed)
                .iter()
                .any(|(_, name)| *name == "module 1")
        );
    }
    let compared = policy(2, &not_allowed);
    let embedded = launch(&boot("extpol=embedded", Some(compared.clone()))).unwrap();
    assert!(embedded.complaints.is_empty(), "nothing is compared");
    let other = launch(&boot("extpol=sha1", Some(compared)));
    assert!(matches!(other, Err(ModelError::OtherAlgorithm { .. })));
}

#[test]
fn a_register_of_a_bank_that_nothing_extends_stays_at_zeros() {
    let vlp = policy(0, &[(0, 18, 0, &[]), (1, 19, 0, &[])]);
    let launch = launch(&boot("", Some(vlp))).unwrap();
    assert_eq!(launch.pcrs(Bank::Sha1)[&19], [0; 20]);
    assert_ne!(launch.pcrs(Bank::Sha256)[&19], [0; 32]);
    assert_ne!(
        launch.pcrs(Bank::Sha1)[&18],
        [0; 20],
        "SINIT extends every bank"
    );
}

#[test]
fn what_does_not_start_is_refused() {
    let mut no_kernel = boot("", None);
    no_kernel.modules.clear();
    assert!(matches!(launch(&no_kernel), Err(ModelError::NoKernel)));
    let agile = launch(&boot("extpol=agile", None));
    assert!(matches!(agile, Err(ModelError::Extpol(_))));
    let mut no_tboot = boot("", None);
    no_tboot.tboot = b"a kernel".to_vec();
    assert!(matches!(launch(&no_tboot), Err(ModelError::NotTboot(_))));
}
