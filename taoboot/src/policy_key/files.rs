//! Key files (PEM), and what a key says to an approval.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use agent::unlock::ApprovedLaunch;
use anyhow::{Context as _, Result, bail, ensure};
use p256::{
    PublicKey,
    ecdsa::{Signature, SigningKey, VerifyingKey, signature::hazmat::PrehashVerifier},
    pkcs8::{DecodePrivateKey, DecodePublicKey},
};
use tpm::PolicySigner;
use zeroize::Zeroizing;

/// A PEM file of a P-256 key has some 200 bytes; an approval some 1000.
const MAX_LEN: u64 = 1 << 20;

/// The text of a small file.
pub fn read(file: &Path) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    File::open(file)
        .and_then(|opened| opened.take(MAX_LEN).read_to_string(&mut text))
        .with_context(|| format!("cannot read {}", file.display()))?;
    ensure!(
        (text.len() as u64) < MAX_LEN,
        "{} is larger than {MAX_LEN} bytes",
        file.display()
    );
    Ok(text)
}

/// A new file that only its owner reads (`mode` 0600) or everybody (0644), complete or not there.
pub fn write_new(file: &Path, text: &str, mode: u32) -> Result<()> {
    let context = || format!("cannot write {}", file.display());
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(file)
        .with_context(context)?;
    let written = opened
        .write_all(text.as_bytes())
        .and_then(|()| opened.sync_all());
    if written.is_err() {
        fs::remove_file(file).with_context(context)?;
    }
    written.with_context(context)
}

/// A private key: PKCS#8 PEM of a P-256 key.
pub fn private_key(file: &Path) -> Result<SigningKey> {
    let text = read(file)?;
    if text.contains("ENCRYPTED") {
        bail!(
            "{}: the key has a password: have its owner sign `taoboot policy-key digest` and use `attach`",
            file.display()
        );
    }
    SigningKey::from_pkcs8_pem(&text).map_err(|error| {
        anyhow::anyhow!(
            "{} is not a private P-256 key in PKCS#8 PEM ({error})",
            file.display()
        )
    })
}

/// A public key: PEM SubjectPublicKeyInfo of a P-256 key.
pub fn public_key(file: &Path) -> Result<PolicySigner> {
    let text = read(file)?;
    let key = PublicKey::from_public_key_pem(&text).map_err(|error| {
        anyhow::anyhow!(
            "{} is not a public P-256 key in PEM ({error})",
            file.display()
        )
    })?;
    signer(&key)
}

/// The same as the TPM knows it.
pub fn signer(key: &PublicKey) -> Result<PolicySigner> {
    use p256::elliptic_curve::sec1::ToSec1Point;
    PolicySigner::from_point(key.to_sec1_point(false).as_bytes())
        .context("the public key is the point at infinity")
}

/// Is the signature one of its key over its launch? The TPM asks the same at boot.
pub fn is_good(launch: &ApprovedLaunch) -> bool {
    let signature = &launch.signature;
    let key = VerifyingKey::from_sec1_bytes(&signature.signer.point());
    let parsed = Signature::from_slice(&signature.r_and_s);
    let digest = PolicySigner::signed_digest(&launch.launch);
    match (key, parsed) {
        (Ok(key), Ok(parsed)) => key.verify_prehash(&digest, &parsed).is_ok(),
        _ => false,
    }
}
