//! A host whose name and key rest on a TPM after a launch: a real swtpm.

use agent::host::Root;
use tao::logic::Prin;
use tpm::{
    Bank, PcrIndex, PcrSet, Tpm, Tpm2,
    swtpm::{Extend, Swtpm},
};

use super::common::{TestHost, command};

fn launched(kernel: u8) -> Swtpm {
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

fn root(swtpm: &Swtpm) -> Root {
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
