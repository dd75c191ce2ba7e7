//! A machine that is up: its volume enrolled for the running launch, its resident agent
//! serving, and files in its /boot.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    thread,
};

use agent::{
    reseal::{BOOT_FILES, BootFiles, KnownFile, Origin, ResealService},
    unlock::BootSecret,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tao::keys::Hidden;
use tpm::{
    Tpm2,
    swtpm::{Extend, Swtpm},
};
use txt::{hash::HashAlg, mlehash::Mle};

use crate::enroll_support::{Volume, digest, enroll_current, piped, taoboot, unsealed};

/// A real tboot image in small.
pub const TBOOT: &[u8] = include_bytes!("../../../../lcp/tests/vectors/mlehash/one-seg.elf.gz");
pub const TBOOT_WORDS: &str = "logging=memory";
pub const KERNEL_WORDS: &str = "root=/dev/mapper/root ro";

/// The key that the resident agent says its Tao host has.
pub const HOST_KEY: [u8; 32] = [0xab; 32];

pub struct Machine {
    pub volume: Volume,
    pub swtpm: Swtpm,
    pub root: PathBuf,
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
        let swtpm = Swtpm::start().unwrap();
        launch(&swtpm, "old");
        if options.is_empty() {
            enroll_current(&volume, &swtpm);
        } else {
            let tcti = swtpm.tcti();
            let mut words = vec!["--current", "--tcti", &tcti, "--no-recovery-key"];
            words.extend(options);
            let output = taoboot("enroll", &volume, &words);
            assert!(output.status.success(), "{output:?}");
        }
        let directory = fs::canonicalize(volume.directory.path()).unwrap();
        let boot = directory.join("boot");
        fs::create_dir(&boot).unwrap();
        fs::create_dir_all(directory.join("var/lib/taoboot")).unwrap();
        let socket = directory.join("reseal.sock");
        let machine = Self {
            volume,
            swtpm,
            root: directory,
            boot,
            socket,
        };
        machine.known("tboot.gz", TBOOT);
        machine.known("image", b"initramfs");
        machine
    }

    /// A file in /boot that the administrator has named.
    pub fn known(&self, name: &str, content: &[u8]) {
        fs::write(self.boot.join(name), content).unwrap();
        let list = self.root.join(BOOT_FILES);
        let mut known = BootFiles::read(&list).unwrap();
        known.set(
            &format!("/boot/{name}"),
            KnownFile {
                sha256: hex::encode(Sha256::digest(content)),
                origin: Origin::Administrator,
                coming: false,
            },
        );
        known.write(&list).unwrap();
    }

    /// What the boot does: unseal, keep the secret, serve.
    pub fn serve(&self, user: u32) {
        let (secret, _) = unsealed(&self.volume, &self.swtpm).unwrap();
        self.serve_with(secret, user);
    }

    /// The same with what was unsealed otherwise.
    pub fn serve_with(&self, secret: BootSecret, user: u32) {
        let tcti = self.swtpm.tcti();
        self.serve_over(secret, user, move || Ok(Box::new(Tpm2::open(&tcti)?)));
    }

    /// The same, with whatever answers for the TPM then.
    pub fn serve_over(
        &self,
        secret: BootSecret,
        user: u32,
        open: impl Fn() -> Result<Box<dyn tpm::Tpm>, tpm::TpmError> + Send + 'static,
    ) {
        let service = ResealService::bind(
            &self.socket,
            &self.boot,
            user,
            Hidden::with(|| secret),
            Box::new(open),
        )
        .unwrap();
        let service = service.with_root(&self.root).with_host_key(Some(HOST_KEY));
        thread::spawn(move || service.run());
    }

    /// The next boot, with another kernel.
    pub fn reboot(&mut self, kernel: &str) {
        self.swtpm.reboot().unwrap();
        launch(&self.swtpm, kernel);
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
        let root = self.root.to_str().unwrap();
        let mut words = vec!["--socket", self.socket.to_str().unwrap(), "--root", root];
        words.extend(more);
        self.run("reseal", predictions, &words)
    }

    pub fn keyslots(&self) -> usize {
        self.volume.header().metadata().keyslots.len()
    }

    /// As `tboot-policy predict --all --json` prints it, for files that are all known.
    pub fn entry(&self, place: &str, kernel: &str, default: bool) -> Value {
        self.known(&format!("vmlinuz-{kernel}"), kernel.as_bytes());
        self.entry_as_it_lies_there(place, kernel, default)
    }

    /// The same for a kernel that is not known.
    pub fn entry_as_it_lies_there(&self, place: &str, kernel: &str, default: bool) -> Value {
        entry_at(&self.boot, "image", place, kernel, default)
    }
}

fn file(path: &Path, content: &[u8]) -> Value {
    json!({ "path": path, "sha256": hex::encode(Sha256::digest(content)), "role": "kernel" })
}

/// An entry of the menu as `tboot-policy predict --all --json` prints it, with files of this /boot.
pub fn entry_at(boot: &Path, image: &str, place: &str, kernel: &str, default: bool) -> Value {
    let vmlinuz = boot.join(format!("vmlinuz-{kernel}"));
    let with_role = |path: &Path, content: &[u8], role: &str, words: &str| {
        let mut file = file(path, content);
        file["role"] = json!(role);
        file["cmdline"] = json!(words);
        file
    };
    let events: Vec<Value> = extends(kernel)
        .into_iter()
        .map(|(pcr, name, digest)| {
            let file = (pcr == 18 && name == "module 0").then(|| "/boot/vmlinuz".to_owned());
            json!({
                "pcr": pcr,
                "name": name,
                "file": file,
                "changed": true,
                "new": {
                    "pcr": pcr,
                    "type": 0x501,
                    "digests": { "sha256": hex::encode(digest) },
                },
            })
        })
        .collect();
    json!({
        "entry": format!("{place}: Linux {kernel}"),
        "title": format!("Linux {kernel}"),
        "place": place,
        "id": format!("taoboot-{kernel}"),
        "script": "/etc/grub.d/20_linux_taoboot",
        "default": default,
        "tboot": true,
        "prediction": {
            "pcrs": { "sha256": pcrs(kernel), "sha1": { "17": "00" } },
            "events": events,
            "halts": false,
        },
        "files": [
            with_role(&boot.join("tboot.gz"), TBOOT, "tboot", TBOOT_WORDS),
            with_role(&vmlinuz, kernel.as_bytes(), "kernel", KERNEL_WORDS),
            with_role(&boot.join(image), b"initramfs", "initramfs", ""),
        ],
    })
}

/// Every extend of the launch of a kernel whose file holds its name.
pub fn extends(kernel: &str) -> Vec<(u8, &'static str, [u8; 32])> {
    let mle = Mle::parse(TBOOT).unwrap();
    let mle = mle.hash(HashAlg::Sha256, TBOOT_WORDS.as_bytes()).unwrap();
    let module = |words: &str, content: &str| -> [u8; 32] {
        Sha256::digest([digest(words), digest(content)].concat()).into()
    };
    let kernel = module(KERNEL_WORDS, kernel);
    vec![
        (17, "HASH_START", digest("sinit")),
        (17, "MLE_HASH", mle.as_bytes().try_into().unwrap()),
        (18, "SINIT_PUBKEY_HASH", digest("key")),
        (17, "tboot policy", digest("policy")),
        (18, "tboot policy", digest("policy")),
        (17, "module 0", kernel),
        (18, "module 0", kernel),
        (19, "module 1", module("", "initramfs")),
    ]
}

pub fn launch(swtpm: &Swtpm, kernel: &str) {
    let extends: Vec<Extend> = extends(kernel)[1..]
        .iter()
        .map(|(pcr, _, digest)| Extend {
            locality: 2,
            pcr: *pcr,
            digest: *digest,
        })
        .collect();
    swtpm.launch(b"sinit", &extends).unwrap();
}

/// PCR 17, 18, 19 of such a launch, computed here.
pub fn pcrs(kernel: &str) -> Value {
    let value = |wanted: u8| {
        let of_it = extends(kernel)
            .into_iter()
            .filter(|(pcr, _, _)| *pcr == wanted);
        hex::encode(of_it.fold([0; 32], |value, (_, _, digest)| {
            Sha256::digest([value, digest].concat()).into()
        }))
    };
    json!({ "17": value(17), "18": value(18), "19": value(19) })
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
