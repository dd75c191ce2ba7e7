//! A host whose name and key rest on a TPM after a launch: a real swtpm.

use agent::host::Root;
use tao::logic::Prin;
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

pub fn root(swtpm: &Swtpm) -> Root {
    let tpm = Tpm2::open(&swtpm.tcti()).unwrap();
    Root::Tpm2 {
        tpm: Box::new(tpm),
        bank: Bank::Sha256,
        pcrs: PcrSet::LAUNCH,
    }
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
    let host = TestHost::with(root(&swtpm), 40);
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
    let verified = host.run(&["attestation", "verify", "--json", file.to_str().unwrap()]);
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stdout)
    );
    let years_later = "99000000000000000000";
    let late = &years_later[..19];
    let expired = host.run(&[
        "attestation",
        "verify",
        "--at",
        late,
        file.to_str().unwrap(),
    ]);
    assert_eq!(expired.status.code(), Some(1));
}

#[test]
fn another_kernel_is_another_name() {
    let name = |kernel| {
        let swtpm = launched(kernel);
        let host = TestHost::with(root(&swtpm), 41);
        host.admin().host_name().unwrap()
    };
    assert_ne!(name(2), name(4));
}

#[test]
fn counters_are_anchored_in_the_tpm() {
    use tao::{
        client::SealPolicy,
        host::{GuardSource, ProgramPolicy},
    };
    // Through the host's own interfaces: what a hosted program would do by its channel.
    let swtpm = launched(2);
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let Root::Tpm2 { tpm, bank, pcrs } = root(&swtpm) else {
            unreachable!();
        };
        let config = tao::host::HostConfig {
            root: Box::new(agent::host::QuotedRoot::new(tpm, bank, pcrs)),
            host_secret: tao::keys::Secret::new([42; 32]),
            socket_dir: dir.path().to_owned(),
            admin_group: None,
            state_dir: Some(dir.path().join("state")),
            guard: GuardSource::Liberal,
            programs: ProgramPolicy::default(),
        };
        let thread = std::thread::spawn(move || tao::host::serve(config).unwrap());
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
