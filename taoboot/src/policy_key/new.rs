//! `taoboot policy-key new`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use argh::FromArgs;
use p256::{
    SecretKey,
    pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding},
};
use zeroize::Zeroizing;

use super::files;

/// Make a P-256 key: the private half for the machine that signs, the public one for `taoboot
/// enroll --policy-key`. Existing files are not overwritten.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "new",
    note = "A key of your own does as well: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256; one in an HSM signs what `digest` prints."
)]
pub struct New {
    /// new file for the private key, PKCS#8 PEM without password; keep it away from the machine
    /// that boots
    #[argh(option, arg_name = "file")]
    private: PathBuf,
    /// new file for the public key, PEM
    #[argh(option, arg_name = "file")]
    public: PathBuf,
}

impl New {
    pub fn run(self) -> Result<ExitCode> {
        let mut scalar = Zeroizing::new([0_u8; 32]);
        // One of 2^32 numbers is not a scalar of the curve.
        let key = loop {
            getrandom::fill(scalar.as_mut_slice())
                .map_err(|error| anyhow::anyhow!("the kernel gave no random bytes: {error}"))?;
            if let Ok(key) = SecretKey::from_slice(scalar.as_slice()) {
                break key;
            }
        };
        let private = key
            .to_pkcs8_pem(LineEnding::LF)
            .context("the key cannot be written as PEM")?;
        let public = key
            .public_key()
            .to_public_key_pem(LineEnding::LF)
            .context("the key cannot be written as PEM")?;
        files::write_new(&self.private, &private, 0o600)?;
        if let Err(error) = files::write_new(&self.public, &public, 0o644) {
            // A private key whose public half nobody has is of no use, and in the way next time.
            fs::remove_file(&self.private)
                .with_context(|| format!("cannot remove {}", self.private.display()))?;
            return Err(error);
        }
        println!(
            "policy key made: sign with {}, enroll with {}",
            self.private.display(),
            self.public.display()
        );
        Ok(ExitCode::SUCCESS)
    }
}
