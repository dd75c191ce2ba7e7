//! Verifying a chain of attestations beside the bare signature checks in it.

use p256::ecdsa::{
    Signature, SigningKey,
    signature::{Signer as _, Verifier as _},
};
use tao::{
    attestation::{attest, verify},
    keys::{KeyKind, SignatureFormat, Signer},
    logic::{Form, Prin, Says, Speaksfor},
};

use crate::{
    clock::{in_turns, turn},
    hosted::statement,
    rows::Rows,
};

const LIMIT: f64 = 1.3;

fn says(speaker: &Prin, message: Form, until: i64) -> Says {
    Says {
        speaker: speaker.clone().into(),
        time: None,
        expiration: Some(until),
        message: Box::new(message),
    }
}

/// A chain of three: a root lets a host speak for it, the host a key, the key says something.
fn chain(now: i64) -> anyhow::Result<Vec<u8>> {
    let key = || Signer::generate(KeyKind::P256);
    let until = now.saturating_add(3_600_000_000_000);
    let signers = [key()?, key()?, key()?];
    let [root, host, last] = &signers;
    let mut delegation = None;
    for (delegator, delegate) in [(root, host), (host, last)] {
        let message = Form::Speaksfor(Speaksfor {
            delegate: delegate.name().clone().into(),
            delegator: root.name().clone().into(),
        });
        let statement = says(root.name(), message, until);
        delegation = Some(attest(
            delegator,
            SignatureFormat::Strong,
            statement,
            delegation,
        )?);
    }
    let statement = says(root.name(), statement()?, until);
    Ok(attest(
        last,
        SignatureFormat::Strong,
        statement,
        delegation,
    )?)
}

/// Measures.
pub fn measure(rows: &mut Rows) -> anyhow::Result<()> {
    let now = tao::attestation::now()?;
    let attestation = chain(now)?;
    anyhow::ensure!(
        verify(&attestation, now)?.length == 3,
        "not a chain of three"
    );
    let key = SigningKey::from_slice(&[7; 32])?;
    let message = [7; 300];
    let signature: Signature = key.sign(&message);
    let check = || {
        for _ in 0..3 {
            key.verifying_key().verify(&message, &signature)?;
        }
        Ok(())
    };
    let pair = in_turns(|| turn(|| Ok(verify(&attestation, now)?)), || turn(check))?;
    let note = format!("{:.0} us / {:.0} us", pair.ours, pair.floor);
    rows.target(
        "verify a chain of 3 / 3 signature checks",
        pair.ratio,
        "",
        LIMIT,
        &note,
    );
    Ok(())
}
