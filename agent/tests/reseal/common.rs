//! A machine that is up: its volume enrolled for the running launch, its resident agent
//! serving, and files in its /boot.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    thread,
};

use agent::reseal::ResealService;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tao::keys::Hidden;
use tpm::{Tpm2, swtpm::Swtpm};

use crate::enroll_support::{Volume, digest, enroll_current, launched, piped, taoboot, unsealed};

pub struct Machine {
    pub volume: Volume,
    pub swtpm: Swtpm,
    pub boot: PathBuf,
    pub socket: PathBuf,
}

impl Machine {
    /// Booted with kernel "old"; the resident agent serves this process's user.
    pub fn up() -> Self {
        let machine = Self::enrolled(&[]);
        machine.serve(nix::unistd::getuid().as_raw());
        machine
    }

    /// Enrolled, but nothing resident.
    pub fn enrolled(options: &[&str]) -> Self {
        let volume = Volume::new();
        let swtpm = launched("old", "initramfs");
        if options.is_empty() {
            enroll_current(&volume, &swtpm);
        } else {
            let tcti = swtpm.tcti();
            let mut words = vec!["--current", "--tcti", &tcti, "--no-recovery-key"];
            words.extend(options);
            let output = taoboot("enroll", &volume, &words);
            assert!(output.status.success(), "{output:?}");
        }
        let folder = fs::canonicalize(volume.folder.path()).unwrap();
        let boot = folder.join("boot");
        fs::create_dir(&boot).unwrap();
        fs::write(boot.join("vmlinuz"), b"kernel").unwrap();
        let socket = folder.join("reseal.sock");
        Machine {
            volume,
            swtpm,
            boot,
            socket,
        }
    }

    /// What the boot does: unseal, keep the secret, serve.
    pub fn serve(&self, user: u32) {
        let (secret, _) = unsealed(&self.volume, &self.swtpm).unwrap();
        let tcti = self.swtpm.tcti();
        let open = move || -> Result<Box<dyn tpm::Tpm>, tpm::TpmError> {
            Ok(Box::new(Tpm2::open(&tcti)?))
        };
        let service = ResealService::bind(
            &self.socket,
            &self.boot,
            user,
            Hidden::with(|| secret),
            Box::new(open),
        )
        .unwrap();
        thread::spawn(move || service.run());
    }

    /// The next boot, with another kernel.
    pub fn reboot(&mut self, kernel: &str) {
        self.swtpm.reboot().unwrap();
        crate::enroll_support::launch(&self.swtpm, kernel, "initramfs");
    }

    pub fn opens(&self) -> bool {
        unsealed(&self.volume, &self.swtpm).is_ok()
    }

    pub fn secret_id(&self) -> String {
        unsealed(&self.volume, &self.swtpm).unwrap().0.id()
    }

    /// Runs `taoboot VERB --volume V --predictions P --tcti T` and more.
    pub fn run(&self, verb: &str, predictions: &Value, more: &[&str]) -> Output {
        let file = self.boot.join("predictions.json");
        fs::write(&file, predictions.to_string()).unwrap();
        let tcti = self.swtpm.tcti();
        let mut words = vec!["--predictions", file.to_str().unwrap(), "--tcti", &tcti];
        words.extend(more);
        taoboot(verb, &self.volume, &words)
    }

    pub fn reseal(&self, predictions: &Value, more: &[&str]) -> Output {
        let mut words = vec!["--socket", self.socket.to_str().unwrap()];
        words.extend(more);
        self.run("reseal", predictions, &words)
    }

    pub fn keyslots(&self) -> usize {
        self.volume.header().metadata().keyslots.len()
    }

    /// As `tboot-policy predict --all --json` prints it.
    pub fn entry(&self, place: &str, kernel: &str, default: bool) -> Value {
        json!({
            "entry": format!("{place}: Linux {kernel}"),
            "title": format!("Linux {kernel}"),
            "place": place,
            "id": format!("taoboot-{kernel}"),
            "default": default,
            "tboot": true,
            "prediction": {
                "pcrs": { "sha256": pcrs(kernel), "sha1": { "17": "00" } },
                "events": [{ "pcr": 18, "file": "/boot/vmlinuz", "name": "event" }],
                "halts": false,
            },
            "files": [self.file(&self.boot.join("vmlinuz"), b"kernel")],
        })
    }

    pub fn file(&self, path: &Path, content: &[u8]) -> Value {
        json!({ "path": path, "sha256": hex::encode(Sha256::digest(content)), "role": "kernel" })
    }
}

/// PCR 17, 18, 19 of [`crate::enroll_support::launch`], computed here.
pub fn pcrs(kernel: &str) -> Value {
    let extend = |value: &[u8], digest: &[u8]| Sha256::digest([value, digest].concat()).to_vec();
    let start = extend(&[0; 32], &Sha256::digest(b"sinit"));
    json!({
        "17": hex::encode(extend(&start, &digest("policy"))),
        "18": hex::encode(extend(&[0; 32], &digest(kernel))),
        "19": hex::encode(extend(&[0; 32], &digest("initramfs"))),
    })
}

/// A command of `taoboot` without a volume.
pub fn plain(arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_taoboot"));
    piped(command.args(arguments), "")
}

pub fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
