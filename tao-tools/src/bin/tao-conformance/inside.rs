//! What a hosted program can find out about its host with the calls of the Tao.

use tao::{
    attestation::{self, AttestationError, AttestationMessage, verify},
    client::{Parent, SealPolicy},
    keys::SignatureFormat,
    logic::{Form, Prin, Speaksfor, Term},
    wire::proto2,
};

use super::{
    asked::{POLICIES, now, statement, subprin},
    report::{Breach, Report, Verdict, expect, refused},
    storage,
};

const SECOND: i64 = 1_000_000_000;

fn names(host: &Parent, report: &mut Report) {
    report.check("a program is told its name, and the same each time", || {
        let (one, two) = (host.tao_name()?, host.tao_name()?);
        expect(one == two, format!("{one} and {two}"))
    });
    report.check(
        "the name ends with the program and its hash of 32 bytes",
        || {
            let name = host.tao_name()?;
            let program = name.ext.0.iter().rev().find(|ext| ext.name == *"Program");
            let hash = program.and_then(|program| program.args.last());
            expect(
                matches!(hash, Some(Term::Bytes(hash)) if hash.len() == 32),
                name,
            )
        },
    );
    report.check("the name survives its binary form and its text", || {
        let name = host.tao_name()?;
        let decoded = Prin::decode(&name.encode())?;
        let parsed: Prin = name.to_string().parse()?;
        expect(decoded == name && parsed == name, name)
    });
}

fn randomness(host: &Parent, report: &mut Report) {
    for length in [1, 32, 4096, 1 << 20] {
        let property = format!("{length} random bytes are {length} bytes");
        let bytes = host.random_bytes(length).map_err(Breach::from);
        report.note(
            &property,
            bytes.and_then(|bytes| expect(bytes.len() == length, bytes.len())),
        );
    }
    report.check("random bytes differ from call to call", || {
        let random = || host.random_bytes(32).map_err(Breach::from);
        expect(random()? != random()?, "the same twice")
    });
    report.note(
        "no random bytes are an invalid size",
        refused(host.random_bytes(0), "invalid size"),
    );
    for policy in POLICIES {
        let name = policy.as_str();
        let secret = |length| host.shared_secret(length, policy).map_err(Breach::from);
        report.note(
            &format!("a secret shared by {name} is the same each time"),
            (|| expect(secret(32)? == secret(32)?, "it differs"))(),
        );
        report.note(
            &format!("a longer secret shared by {name} begins with the shorter one"),
            (|| expect(secret(64)?.starts_with(&secret(16)?), "it does not"))(),
        );
    }
    report.check("secrets of different policies differ", || {
        let secret = |policy| host.shared_secret(32, policy).map_err(Breach::from);
        let (own, few, any) = (
            secret(SealPolicy::Own)?,
            secret(SealPolicy::Few)?,
            secret(SealPolicy::Any)?,
        );
        expect(own != few && few != any && own != any, "two are equal")
    });
}

fn lifetime(
    host: &Parent,
    from: i64,
    until: i64,
    at: i64,
) -> Result<Result<(), AttestationError>, Breach> {
    let attestation = host.attest_as(
        SignatureFormat::Original,
        None,
        Some(from),
        Some(until),
        &statement()?,
    )?;
    Ok(verify(&attestation, at).map(drop))
}

fn attesting(host: &Parent, at: i64, report: &mut Report) {
    for format in [SignatureFormat::Original, SignatureFormat::Strong] {
        let property = format!(
            "an attestation in the {format:?} format verifies and says what was asked, as this program"
        );
        report.check(&property, || {
            let form = statement()?;
            let attestation = host.attest_as(format, None, None, None, &form)?;
            let verified = verify(&attestation, now()?)?;
            let name = host.tao_name()?;
            expect(
                verified.speaker == name && *verified.statement.message == form,
                verified.speaker,
            )
        });
    }
    report.check(
        "an attestation is made for a year when nobody says how long",
        || {
            let attestation = host.attest(None, None, None, &statement()?)?;
            let verified = verify(&attestation, now()?)?;
            let now = now()?;
            let days = verified
                .statement
                .expiration
                .map(|until| until.saturating_sub(now) / (86_400 * SECOND));
            expect(matches!(days, Some(364..=365)), format!("{days:?} days"))
        },
    );
    let later = |seconds: i64| at.saturating_add(seconds.saturating_mul(SECOND));
    report.note(
        "an attestation that has expired is refused",
        lifetime(host, at.saturating_sub(9), at.saturating_sub(5), at)
            .and_then(|verdict| refused(verdict, "expired")),
    );
    report.note(
        "an attestation for later is refused now",
        lifetime(host, later(1), later(2), at)
            .and_then(|verdict| refused(verdict, "not valid before")),
    );
    report.check("a program may speak for an extension of its name", || {
        let issuer = host.tao_name()?.extended(&subprin(".User(\"a\")")?);
        let attestation = host.attest(Some(&issuer), None, None, &statement()?)?;
        let verified = verify(&attestation, now()?)?;
        expect(verified.speaker == issuer, verified.speaker)
    });
    report.check("a program may not speak for its host", || {
        let mut issuer = host.tao_name()?;
        issuer.ext.0.pop();
        refused(
            host.attest(Some(&issuer), None, None, &statement()?),
            "invalid issuer",
        )
    });
    report.check("a program may not speak for somebody else", || {
        let issuer: Prin = "key([00]).Program([00])".parse()?;
        refused(
            host.attest(Some(&issuer), None, None, &statement()?),
            "invalid issuer",
        )
    });
    report.check("a delegation by this program verifies", || {
        let name = host.tao_name()?;
        let delegate: Prin = "key([0102])".parse()?;
        let form = Form::Speaksfor(Speaksfor {
            delegate: delegate.into(),
            delegator: name.into(),
        });
        let attestation = host.attest(None, None, None, &form)?;
        verify(&attestation, now()?).map(drop).map_err(Breach::from)
    });
    report.check(
        "an attestation with another statement under the same signature is refused",
        || {
            let attestation = host.attest(None, None, None, &statement()?)?;
            let mut forged: AttestationMessage = proto2::read(&attestation)?;
            if let Some(last) = forged.serialized_statement.last_mut() {
                *last ^= 2;
            }
            refused(verify(&prost::Message::encode_to_vec(&forged), now()?), "")
        },
    );
}

/// Calls from many threads at once.
fn together(host: &Parent, report: &mut Report) {
    let threads: Vec<u8> = (0..8).collect();
    let verdict = std::thread::scope(|scope| {
        let started: Vec<_> = threads
            .iter()
            .map(|number| {
                scope.spawn(move || -> Verdict {
                    for round in 0..16_u8 {
                        let data = [*number, round].repeat(100);
                        let sealed = host.seal(&data, SealPolicy::Any)?;
                        let (opened, _) = host.unseal(&sealed)?;
                        expect(*opened == data, "another thread's data")?;
                    }
                    Ok(())
                })
            })
            .collect();
        started.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Breach::found("a panic")))
        })
    });
    report.note(
        "answers to calls of eight threads at once are not mixed up",
        verdict,
    );
}

/// All of them.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    let host = Parent::from_env()?;
    let at = attestation::now()?;
    names(host, report);
    randomness(host, report);
    storage::sealing(host, report);
    attesting(host, at, report);
    storage::counters(host, at, report);
    storage::deleting(host, at, report);
    together(host, report);
    storage::extending(host, report);
    Ok(())
}
