//! The peer's enrolment: what `taoboot enroll` does, done with tpm2-tools and cryptsetup.
//!
//! The same TPM, the same launch and latch PCRs, the same kind of storage key and keyslot;
//! only the tools differ. The sealed object is a pair of files in the peer's initramfs.

use std::fs;
use std::path::{Path, PathBuf};

use ::harness::swtpm::HostTpm;
use ::harness::tool::Tool;
use ::harness::world::{PASSPHRASE, World};
use anyhow::{Context, Result};

/// The keyslot of the peer; ours and the owner's have lower numbers.
pub const KEYSLOT: &str = "7";
/// The PCRs of its policy, in the order of the digests in the file of values.
pub const PCRS: &str = "sha256:15,17,18,19";

/// The sealed object as tpm2-tools keep it.
pub struct PeerSecret {
    /// TPM2B_PUBLIC.
    pub public: PathBuf,
    /// TPM2B_PRIVATE.
    pub private: PathBuf,
}

/// Seals a new secret to the world's launch and adds it to the world's volume.
pub fn enroll(world: &World, directory: &Path) -> Result<PeerSecret> {
    let path = |name: &str| directory.join(name);
    let secret = random_passphrase()?;
    fs::write(path("secret"), &secret).context("cannot write the peer's secret")?;
    fs::write(path("passphrase"), PASSPHRASE).context("cannot write the passphrase")?;
    fs::write(path("pcrs"), pcr_values(world)?).context("cannot write the PCR values")?;
    Tool::new("cryptsetup")
        .args([
            "luksAddKey",
            "--batch-mode",
            "--pbkdf",
            "pbkdf2",
            "--pbkdf-force-iterations",
            "1000",
        ])
        .args(["--key-slot", KEYSLOT, "--key-file"])
        .arg(path("passphrase"))
        .arg(&world.root)
        .arg(path("secret"))
        .run()
        .context("cannot add the peer's keyslot")?;
    let tpm = HostTpm::start(&world.tpm)?;
    let call = |arguments: &[&str]| tpm2(&tpm, directory, arguments);
    call(&[
        "createprimary",
        "-Q",
        "-C",
        "o",
        "-G",
        "ecc",
        "-c",
        "primary",
    ])?;
    call(&[
        "createpolicy",
        "-Q",
        "--policy-pcr",
        "-l",
        PCRS,
        "-f",
        "pcrs",
        "-L",
        "policy",
    ])?;
    call(&[
        "create",
        "-Q",
        "-C",
        "primary",
        "-i",
        "secret",
        "-L",
        "policy",
        "-a",
        "fixedtpm|fixedparent|noda",
        "-u",
        "sealed.pub",
        "-r",
        "sealed.priv",
    ])?;
    tpm.stop()?;
    Ok(PeerSecret {
        public: path("sealed.pub"),
        private: path("sealed.priv"),
    })
}

fn tpm2(tpm: &HostTpm, directory: &Path, arguments: &[&str]) -> Result<()> {
    // tpm2-tools read and write their files in the working directory.
    let script = "cd \"$1\" && shift && exec tpm2 \"$@\"";
    Tool::new("sh")
        .args(["-c", script, "sh"])
        .arg(directory)
        .args(arguments)
        .env("TPM2TOOLS_TCTI", tpm.tcti())
        .run()?;
    Ok(())
}

/// The values of [`PCRS`]: the latch in its reset state, then the launch.
fn pcr_values(world: &World) -> Result<Vec<u8>> {
    let mut values = vec![0; 32];
    for pcr in 17..=19 {
        values.extend(
            hex::decode(world.launch.sha256_hex(pcr)?).context("a PCR value is not a hex")?,
        );
    }
    Ok(values)
}

/// As much entropy as our boot secret has.
fn random_passphrase() -> Result<String> {
    use std::io::Read;
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom")?
        .read_exact(&mut bytes)
        .context("cannot read random bytes")?;
    Ok(hex::encode(bytes))
}
