//! A host whose name and key rest on a TPM after a launch: a real swtpm.

use agent::{
    host::{self, HostSettings, QuotedRoot, key_digest},
    unlock::{KnownTpms, close_latch, record_boot, record_resume},
};
use sha2::{Digest as _, Sha256};
use tao::{
    attestation::{self, AcpiTables, AttestationError, BootEvent, BootVolume, Opened, QuoteError},
    keys::{Hidden, Secret, SignatureFormat, Signer},
    logic::{Form, Prin, Says, Speaksfor, SubPrin},
};
use tao_host::Root as _;
use tpm::{
    Bank, PcrIndex, PcrSet, Tpm, Tpm2,
    swtpm::{Extend, Swtpm},
};

use super::common::{TestHost, command, program};

pub fn launched(kernel: u8) -> Swtpm {
    let swtpm = Swtpm::start().unwrap();
    let extends = [(3, 17, 1), (2, 18, kernel), (2, 19, 3)];
    let extends = extends.map(|(locality, pcr, byte)| Extend {
        locality,
        pcr,
        digest: [byte; 32],
    });
    swtpm.launch(b"SINIT", &extends).unwrap();
    swtpm
}

/// What /init says of a boot whose host has this secret.
pub fn event(secret: u8) -> BootEvent {
    let key = key_digest(&Secret::new([secret; 32]), &HostSettings::default());
    BootEvent {
        opened: Opened::Tpm,
        volume: BootVolume::Secret([7; 16]),
        host_key: Some(key.unwrap()),
        acpi: AcpiTables::Digest([9; 32]),
    }
}

/// What /init does after the unsealing, once a boot: the latch, then the event.
pub fn booted(swtpm: &Swtpm, event: &BootEvent) {
    let mut tpm = Tpm2::open(&swtpm.tcti()).unwrap();
    close_latch(&mut tpm, &KnownTpms::one("/none", false)).unwrap();
    record_boot(&mut tpm, event).unwrap();
}

pub fn root(swtpm: &Swtpm, secret: u8) -> QuotedRoot {
    let tpm = Box::new(Tpm2::open(&swtpm.tcti()).unwrap());
    QuotedRoot::new(tpm, Bank::Sha256, PcrSet::LAUNCH, event(secret))
}

#[test]
fn a_program_on_a_launched_machine_proves_tpm_pcrs_and_itself() {
    let swtpm = launched(2);
    let values = Tpm2::open(&swtpm.tcti())
        .unwrap()
        .pcr_read(Bank::Sha256, PcrSet::LAUNCH)
        .unwrap();
    let hex: Vec<String> = [17, 18, 19]
        .map(|number| hex::encode(values.get(PcrIndex::try_from(number).unwrap()).unwrap()))
        .to_vec();
    booted(&swtpm, &event(40));
    let host = TestHost::with(root(&swtpm, 40), 40);
    let report = host.report(&command("tao-report"), &[]);
    let verdict = &report["attestation"]["verdict"];
    assert_eq!(verdict["verified"], true, "{report}");
    assert_eq!(verdict["speaker"], report["name"]);
    assert_eq!(verdict["chain"], 2);
    let name: Prin = report["name"].as_str().unwrap().parse().unwrap();
    let root: Prin = verdict["root"].as_str().unwrap().parse().unwrap();
    assert_eq!(root.kind.as_str(), "tpm2");
    let pcrs = format!("{root}.PCRs(\"17,18,19\", \"{}\")", hex.join(","));
    let host_name = format!("{pcrs}.TrivialGuard(\"Liberal\")");
    assert_eq!(host.admin().host_name().unwrap().to_string(), host_name);
    assert!(name.is_within(&pcrs.parse().unwrap()));
    // And so says the command, from a file.
    let file = host.path("attestation");
    std::fs::write(&file, report["attestation"]["hex"].as_str().unwrap()).unwrap();
    let trusted = root.to_string();
    let file_name = file.to_str().unwrap();
    let untold = host.run(&["attestation", "verify", file_name]);
    assert_eq!(untold.status.code(), Some(3));
    let words = ["attestation", "verify", "--root", &trusted, "--json"];
    let verified = host.run(&[words.as_slice(), &[file_name]].concat());
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stdout)
    );
    let verified = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.contains(&event(40).to_string()), "{verified}");
    let shown = host.run(&["host", "show", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["boot_event"], event(40).to_string());
    // What is demanded of the boot.
    let file = file.to_str().unwrap();
    let demanded = |words: &[&str]| {
        let mut all = vec!["attestation", "verify", "--root", &trusted];
        all.extend(words);
        all.push(file);
        host.run(&all).status.code()
    };
    let key = hex::encode(event(40).host_key.unwrap());
    let (good, bad) = ("07".repeat(16), "08".repeat(16));
    let good = ["--opened", "tpm", "--volume", &good, "--host-key", &key];
    assert_eq!(demanded(&good), Some(0));
    for words in [
        ["--opened", "recovery-key"],
        ["--volume", &bad],
        ["--host-key", &bad],
    ] {
        assert_eq!(demanded(&words), Some(1), "{words:?}");
    }
    let years_later = "99000000000000000000";
    let late = &years_later[..19];
    let expired = host.run(&["attestation", "verify", "--at", late, file]);
    assert_eq!(expired.status.code(), Some(1));
}

/// Its delegation is good for a year, and the key that it speaks for is in the image.
#[test]
fn a_host_that_was_resumed_attests_nothing() {
    let swtpm = launched(2);
    booted(&swtpm, &event(47));
    let host = TestHost::with(root(&swtpm, 47).hibernating(true), 47);
    let program = command("tao-report");
    let before = host.report(&program, &[]);
    assert_eq!(
        before["attestation"]["verdict"]["verified"], true,
        "{before}"
    );
    record_resume(&mut Tpm2::open(&swtpm.tcti()).unwrap()).unwrap();
    let after = host.run(&["run", program.to_str().unwrap()]);
    assert!(!after.status.success());
    let said = String::from_utf8_lossy(&after.stderr).into_owned();
    assert!(said.contains("resumed from hibernation"), "{said}");
}

/// Where the machine cannot hibernate the TPM is not asked each time: the delegation stands, as it always did.
#[test]
fn a_host_that_is_never_resumed_does_not_ask_the_tpm_for_each_statement() {
    let swtpm = launched(2);
    booted(&swtpm, &event(48));
    let host = TestHost::with(root(&swtpm, 48), 48);
    record_resume(&mut Tpm2::open(&swtpm.tcti()).unwrap()).unwrap();
    host.report(&command("tao-report"), &[]);
}

/// Root, or a member of the group tss, makes a quote as the host does, over a delegation to a key
/// of his own, and signs with that key as the host.
#[test]
fn who_can_open_the_tpm_cannot_quote_for_a_key_of_his_own() {
    let swtpm = launched(2);
    booted(&swtpm, &event(44));
    let own = Signer::new(Secret::new([66; 32])).unwrap();
    let attempt = |event: BootEvent| {
        let tpm = Box::new(Tpm2::open(&swtpm.tcti()).unwrap());
        let mut root = QuotedRoot::new(tpm, Bank::Sha256, PcrSet::LAUNCH, event);
        let guard: SubPrin = ".TrivialGuard(\"Liberal\")".parse().unwrap();
        let host = root.host_name(own.name(), &guard).unwrap();
        let delegation = Form::Speaksfor(Speaksfor {
            delegate: own.name().clone().into(),
            delegator: host.clone().into(),
        });
        let says = |message: Form| Says {
            speaker: host.clone().into(),
            time: None,
            expiration: None,
            message: message.into(),
        };
        // The TPM makes the quote for whoever asks.
        let quote = root.delegate(&says(delegation.clone())).unwrap();
        let format = SignatureFormat::Strong;
        let attestation = attestation::attest(&own, format, says(delegation), quote).unwrap();
        attestation::verify(&attestation, 0).unwrap_err()
    };
    // With the event as it is, which names the host's key.
    let refused = attempt(event(44));
    assert!(
        matches!(refused, AttestationError::QuotedForAnother { .. }),
        "{refused}"
    );
    // With an event of his own making.
    let own_key = Some(Sha256::digest(own.spki()).into());
    let forged = BootEvent {
        host_key: own_key,
        ..event(44)
    };
    let values = AttestationError::Quote(QuoteError::Values);
    assert_eq!(attempt(forged.clone()), values);
    // He can extend the register, but not take back what is in it.
    let mut tpm = Tpm2::open(&swtpm.tcti()).unwrap();
    tpm.pcr_event(PcrIndex::LATCH, forged.to_string().as_bytes())
        .unwrap();
    assert_eq!(attempt(forged), values);
    assert_eq!(attempt(event(44)), values);
}

#[test]
fn a_boot_event_that_does_not_arrive_stops_the_boot() {
    let swtpm = launched(2);
    let mut tpm = Tpm2::open(&swtpm.tcti()).unwrap();
    // Without the latch before it, and with something else before it.
    for _ in 0..2 {
        let refused = record_boot(&mut tpm, &event(45)).unwrap_err().to_string();
        assert!(refused.contains("nothing is mounted"), "{refused}");
        assert!(refused.contains("PCR 15"), "{refused}");
        close_latch(&mut tpm, &KnownTpms::one("/none", false)).unwrap();
    }
    // A boot that a person opened, in which nobody is to be proved anything.
    let none = BootEvent {
        host_key: None,
        opened: Opened::Passphrase,
        ..event(45)
    };
    record_boot(&mut tpm, &none).unwrap();
}

#[test]
fn a_host_with_another_key_than_the_boot_event_s_does_not_start() {
    let swtpm = launched(2);
    booted(&swtpm, &event(46));
    let directory = tempfile::tempdir().unwrap();
    let config = host::config(
        root(&swtpm, 46),
        Hidden::with(|| Secret::new([47; 32])),
        directory.path().to_owned(),
        &HostSettings::default(),
    );
    let refused = tao_host::serve(config).unwrap_err().to_string();
    assert!(refused.contains("PCR 15 says"), "{refused}");
}

/// Every kernel would have that name.
#[test]
fn a_launch_that_left_a_register_alone_gives_no_host_a_name() {
    let swtpm = Swtpm::start().unwrap();
    let extends = [(3, 17, 1), (2, 18, 2)].map(|(locality, pcr, byte)| Extend {
        locality,
        pcr,
        digest: [byte; 32],
    });
    swtpm.launch(b"SINIT", &extends).unwrap();
    let tpm = Box::new(Tpm2::open(&swtpm.tcti()).unwrap());
    let mut root = QuotedRoot::new(tpm, Bank::Sha256, PcrSet::LAUNCH, event(48));
    let own = Signer::new(Secret::new([48; 32])).unwrap();
    let guard: SubPrin = ".TrivialGuard(\"Liberal\")".parse().unwrap();
    let refused = root.host_name(own.name(), &guard).unwrap_err().to_string();
    assert!(refused.contains("nothing into PCR 19"), "{refused}");
}

#[test]
fn another_kernel_is_another_name() {
    let name = |kernel| {
        let swtpm = launched(kernel);
        booted(&swtpm, &event(41));
        let host = TestHost::with(root(&swtpm, 41), 41);
        host.admin().host_name().unwrap()
    };
    assert_ne!(name(2), name(4));
}

#[test]
fn counters_are_anchored_in_the_tpm() {
    use tao::client::SealPolicy;
    use tao::guard::GuardSource;
    use tao_host::ProgramPolicy;
    // Through the host's own interfaces: what a hosted program would do by its channel.
    let swtpm = launched(2);
    booted(&swtpm, &event(42));
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let tpm = Box::new(Tpm2::open(&swtpm.tcti()).unwrap());
        let config = tao_host::HostConfig {
            root: Box::new(QuotedRoot::new(
                tpm,
                Bank::Sha256,
                PcrSet::LAUNCH,
                event(42),
            )),
            host_secret: Hidden::with(|| Secret::new([42; 32])),
            socket_dir: dir.path().to_owned(),
            admin_group: None,
            state_dir: Some(dir.path().join("state")),
            guard: GuardSource::Liberal,
            programs: ProgramPolicy::default(),
        };
        let thread = std::thread::spawn(move || tao_host::serve(config).unwrap());
        let socket = dir.path().join("admin.sock");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
        while tao::admin::Admin::connect(&socket).is_err() {
            assert!(std::time::Instant::now() < deadline);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        (thread, socket)
    };
    let end = |(thread, socket): (std::thread::JoinHandle<()>, std::path::PathBuf)| {
        tao::admin::Admin::connect(&socket)
            .unwrap()
            .shutdown()
            .unwrap();
        thread.join().unwrap();
    };
    let file = dir.path().join("state/counters");
    let host = start();
    let described = tao::admin::Admin::connect(&host.1)
        .unwrap()
        .describe()
        .unwrap();
    assert!(described.anchor.unwrap().contains("0x018074a0"));
    let parent = program(&host.1);
    let seal = |data: &[u8]| parent.rollback_protected_seal("a", data, SealPolicy::Own);
    let old = seal(b"old").unwrap();
    let copy = std::fs::read(&file).unwrap();
    let new = seal(b"new").unwrap();
    drop(parent);
    end(host);
    let newest = std::fs::read(&file).unwrap();
    for (restored, good) in [(Some(&copy), false), (None, false), (Some(&newest), true)] {
        match restored {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let host = start();
        let parent = program(&host.1);
        assert_eq!(parent.rollback_protected_unseal(&new).is_ok(), good);
        assert!(parent.rollback_protected_unseal(&old).is_err());
        drop(parent);
        end(host);
    }
    // Without the index the table that was anchored is good no more.
    Tpm2::open(&swtpm.tcti())
        .unwrap()
        .nv_undefine(agent::host::ANCHOR_INDEX, b"")
        .unwrap();
    let host = start();
    let error = program(&host.1)
        .rollback_protected_unseal(&new)
        .unwrap_err();
    assert!(error.to_string().contains("is gone"), "{error}");
    end(host);
    // Deleted as well: a new beginning, in which nothing old opens.
    std::fs::remove_file(&file).unwrap();
    let host = start();
    let parent = program(&host.1);
    for _ in 0..3 {
        parent
            .rollback_protected_seal("a", b"again", SealPolicy::Own)
            .unwrap();
        assert!(parent.rollback_protected_unseal(&new).is_err());
    }
    drop(parent);
    end(host);
}
