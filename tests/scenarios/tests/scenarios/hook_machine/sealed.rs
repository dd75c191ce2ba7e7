//! The hook's machine with the real `taoboot`, a LUKS2 volume and a TPM.

use std::{
    fs::{self, File},
    process::Command,
};

use agent::unlock::{CheckedHeader, find_records};
use harness::{programs, swtpm::HostTpm};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::hook_machine::{HookMachine, KERNELS, Run};

const PASSPHRASE: &str = "correct horse battery staple";

/// The real one, told where this machine's files and its TPM are.
const TAOBOOT: &str = r#"#!/bin/sh
case $1 in
    status) exec "$TEST_TAOBOOT" "$@" ;;
    trust) exec "$TEST_TAOBOOT" "$@" --root "$TEST_ROOT" ;;
    *) exec "$TEST_TAOBOOT" "$@" --root "$TEST_ROOT" --tcti "$TEST_TCTI" ;;
esac
"#;

pub struct Sealed {
    /// Ends before the directory goes that its state is in.
    tpm: HostTpm,
    pub machine: HookMachine,
}

impl Sealed {
    /// A machine whose volume is enrolled for the first entry of its menu, and for that only.
    pub fn new() -> Option<Self> {
        let machine = HookMachine::new()?;
        fs::create_dir(machine.path("tpm")).unwrap();
        let this = Self {
            tpm: HostTpm::start(&machine.path("tpm")).unwrap(),
            machine,
        };
        let m = &this.machine;
        m.program("bin/taoboot", TAOBOOT);
        m.machine.write("passphrase", PASSPHRASE);
        let image = m.path("volume");
        File::create(&image).unwrap().set_len(20 << 20).unwrap();
        let made = Command::new("cryptsetup")
            .args(["luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2"])
            .args(["--pbkdf-force-iterations", "1000", "--key-file"])
            .arg(m.path("passphrase"))
            .arg(&image)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        m.machine.write(
            "etc/default/taoboot",
            &format!("TAOBOOT_VOLUME={}\nTAOBOOT_KEEP=0\n", image.display()),
        );
        // With tboot's built-in policy PCR 19 stays empty on a TPM 2.0, and such a launch is not sealed
        // to.
        let policy = harness::world::policy().unwrap().to_bytes();
        fs::write(m.path("etc/taoboot/vlp.pol"), policy).unwrap();
        let first = &m.launches()[&format!("taoboot-tboot-{}", KERNELS[1])];
        m.machine
            .write("expected", &json!({ "sha256": first }).to_string());
        this.enroll_first(&[]);
        Some(this)
    }

    /// Enrols the launch of the first entry of the first menu.
    pub fn enroll_first(&self, more: &[&str]) {
        let m = &self.machine;
        let enrolled = Command::new(programs::path("taoboot").unwrap())
            .args(["enroll", "--no-recovery-key", "--volume"])
            .arg(m.path("volume"))
            .arg("--expect")
            .arg(m.path("expected"))
            .arg("--passphrase-file")
            .arg(m.path("passphrase"))
            .args(["--tcti", &self.tpm.tcti()])
            .arg("--config")
            .arg(m.path("etc/taoboot/image.toml"))
            .args(more)
            .output()
            .unwrap();
        assert!(enrolled.status.success(), "{enrolled:?}");
    }

    pub fn run(&self, arguments: &[&str], passphrase: bool) -> Run {
        let file = self.machine.path("passphrase");
        let mut all = arguments.to_vec();
        if passphrase {
            let file = file.to_str().unwrap();
            all.extend(["--", "--passphrase-file", file, "--new-host-secret"]);
        }
        self.machine.finish(self.command(&all))
    }

    /// The hook's script with the real `taoboot`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.machine.command(arguments);
        command
            .env("TEST_TAOBOOT", programs::path("taoboot").unwrap())
            .env("TEST_TCTI", self.tpm.tcti());
        command
    }

    /// `taoboot trust FILE --sha256 DIGEST` with the digest that the file has.
    pub fn trust(&self, file: &str) {
        let path = self.machine.path(file);
        let digest = hex::encode(Sha256::digest(fs::read(&path).unwrap()));
        let output = Command::new(programs::path("taoboot").unwrap())
            .arg("trust")
            .arg(path)
            .args(["--sha256", &digest, "--root"])
            .arg(self.machine.machine.directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Does a record of the volume open for a launch with these values?
    pub fn opens(&self, pcrs: &Value) -> bool {
        let header = CheckedHeader::read(&self.machine.path("volume")).unwrap();
        find_records(&header).into_iter().any(|(_, record)| {
            let record = record.unwrap();
            (17..=19).all(|pcr| {
                let index = tpm::PcrIndex::try_from(pcr).unwrap();
                let expected = record.expected().get(index).map(hex::encode);
                expected.as_deref() == pcrs[pcr.to_string()].as_str()
            })
        })
    }

    /// Number of records in the volume's header.
    pub fn records(&self) -> usize {
        let output = Command::new("cryptsetup")
            .args(["luksDump", "--dump-json-metadata"])
            .arg(self.machine.path("volume"))
            .output()
            .unwrap();
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        metadata["tokens"].as_object().unwrap().len()
    }
}
