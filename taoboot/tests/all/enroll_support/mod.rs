//! Volumes made by the real cryptsetup, launches played into a real swtpm, and the
//! `taoboot` command run as a person would run it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use agent::unlock::{
    BootSecret, CheckedHeader, Pinned, SealedRecord, TokenId, UnsealError, find_records, unseal,
};
use serde_json::Value;
use tempfile::TempDir;
use tpm::{
    Tpm2,
    swtpm::{Extend, Swtpm},
};

pub const PASSPHRASE: &str = "correct horse battery staple";

/// An image file with a LUKS2 volume of the smallest usual kind.
pub struct Volume {
    pub directory: TempDir,
    pub image: PathBuf,
}

impl Volume {
    pub fn new() -> Self {
        Self::formatted(&["--type", "luks2", "--pbkdf", "pbkdf2"])
    }

    /// Another volume that says it is this one.
    pub fn in_place_of(volume: &Self) -> Self {
        let uuid = volume.header().uuid().to_string();
        Self::formatted(&["--type", "luks2", "--pbkdf", "pbkdf2", "--uuid", &uuid])
    }

    pub fn luks1() -> Self {
        Self::formatted(&["--type", "luks1"])
    }

    pub fn formatted(kind: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let image = directory.path().join("disk.img");
        fs::File::create(&image).unwrap().set_len(20 << 20).unwrap();
        let output = piped(
            Command::new("cryptsetup")
                .args(["luksFormat", "-q", "--pbkdf-force-iterations", "1000"])
                .args(kind)
                .arg(&image),
            PASSPHRASE,
        );
        assert!(output.status.success(), "{output:?}");
        Self { directory, image }
    }

    /// Does the real cryptsetup open the volume with it?
    pub fn opens_with(&self, passphrase: &[u8]) -> bool {
        let mut child = Command::new("cryptsetup")
            .args(["open", "--test-passphrase", "--key-file", "-"])
            .arg(&self.image)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(passphrase).unwrap();
        child.wait().unwrap().success()
    }

    pub fn header(&self) -> CheckedHeader {
        CheckedHeader::read(&self.image).unwrap()
    }

    /// The one record.
    pub fn record(&self) -> SealedRecord {
        find_records(&self.header()).remove(0).1.unwrap()
    }

    /// Replaces a token through the real cryptsetup.
    pub fn replace_token(&self, token: TokenId, json: &Value) {
        let number = token.0.to_string();
        let remove = Command::new("cryptsetup")
            .args(["token", "remove", "--token-id", &number])
            .arg(&self.image)
            .output()
            .unwrap();
        assert!(remove.status.success(), "{remove:?}");
        self.add_token(token, json);
    }

    /// Puts a token where none is.
    pub fn add_token(&self, token: TokenId, json: &Value) {
        let number = token.0.to_string();
        let import = piped(
            Command::new("cryptsetup")
                .args(["token", "import", "--token-id", &number, "--json-file", "-"])
                .arg(&self.image),
            &json.to_string(),
        );
        assert!(import.status.success(), "{import:?}");
    }

    pub fn token(&self, token: TokenId) -> Value {
        self.header().metadata().tokens[&token.0].json.clone()
    }
}

/// A TPM after a launch of kernel and initramfs with these names.
pub fn launched(kernel: &str, initramfs: &str) -> Swtpm {
    let swtpm = Swtpm::start().unwrap();
    launch(&swtpm, kernel, initramfs);
    swtpm
}

pub fn launch(swtpm: &Swtpm, kernel: &str, initramfs: &str) {
    let extend = |pcr, what: &str| Extend {
        locality: 2,
        pcr,
        digest: digest(what),
    };
    swtpm
        .launch(
            b"sinit",
            &[
                extend(17, "policy"),
                extend(18, kernel),
                extend(19, initramfs),
            ],
        )
        .unwrap();
}

/// What a launch leaves in a bank that tboot does not extend.
pub fn launch_by_sinit_alone(swtpm: &Swtpm) {
    let extends = [17, 18].map(|pcr| Extend {
        locality: 3,
        pcr,
        digest: digest("SINIT's own"),
    });
    swtpm.launch(b"sinit", &extends).unwrap();
}

pub fn digest(what: &str) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(what).into()
}

pub fn taoboot(verb: &str, volume: &Volume, arguments: &[&str]) -> Output {
    taoboot_on(verb, &volume.image, arguments)
}

pub fn taoboot_on(verb: &str, image: &Path, arguments: &[&str]) -> Output {
    piped(command(verb, image, arguments), PASSPHRASE)
}

pub fn command<'a>(verb: &str, image: &Path, arguments: &[&str]) -> &'a mut Command {
    let command = Box::leak(Box::new(Command::new(env!("CARGO_BIN_EXE_taoboot"))));
    command.arg(verb).arg("--volume").arg(image).args(arguments)
}

/// Enrols the launch that the TPM shows.
pub fn enroll_current(volume: &Volume, swtpm: &Swtpm) {
    let output = taoboot(
        "enroll",
        volume,
        &["--current", "--tcti", &swtpm.tcti(), "--no-recovery-key"],
    );
    assert!(output.status.success(), "{output:?}");
}

/// The same where there is a record already, whose host secret nobody here knows.
pub fn enroll_again(volume: &Volume, swtpm: &Swtpm) {
    enroll_once_more(volume, swtpm, &[]);
}

/// The same on another machine.
pub fn enroll_elsewhere(volume: &Volume, swtpm: &Swtpm) {
    enroll_once_more(volume, swtpm, &["--new-tpm"]);
}

fn enroll_once_more(volume: &Volume, swtpm: &Swtpm, more: &[&str]) {
    let tcti = swtpm.tcti();
    let words = ["--current", "--tcti", &tcti, "--no-recovery-key"];
    let output = taoboot(
        "enroll",
        volume,
        &[&words[..], &["--new-host-secret"], more].concat(),
    );
    assert!(output.status.success(), "{output:?}");
}

/// What the boot does.
pub fn unsealed(volume: &Volume, swtpm: &Swtpm) -> Result<(BootSecret, SealedRecord), UnsealError> {
    let records: Vec<SealedRecord> = find_records(&volume.header())
        .into_iter()
        .filter_map(|(_, r)| r.ok())
        .collect();
    let mut tpm = Tpm2::open(&swtpm.tcti()).unwrap();
    let unsealing = unseal(&mut tpm, &records, Pinned::default()).unwrap();
    unsealing
        .released
        .map(|(secret, record)| (secret, record.clone()))
}

pub fn piped(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments may be gone before it reads.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

/// The one sentence of a failed run; the exit code must be 2.
pub fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().rfind(|line| line.starts_with("taoboot: "));
    line.unwrap_or_else(|| panic!("no sentence: {text}"))
        .to_owned()
}
