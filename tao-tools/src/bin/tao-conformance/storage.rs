//! What a hosted program can keep: sealed data, counters, and what becomes of them when its
//! name grows.

use tao::{
    client::{CallError, Parent, SealPolicy},
    logic::Head,
};

use super::{
    asked::{POLICIES, statement, subprin},
    report::{Breach, Report, expect, refused},
};

type Call<T> = Result<T, CallError>;

pub fn sealing(host: &Parent, report: &mut Report) {
    for policy in POLICIES {
        for length in [0, 1, 65_536] {
            let property = format!(
                "{length} bytes sealed for {} come back with their policy",
                policy.as_str()
            );
            let data = vec![7; length];
            let opened = host
                .seal(&data, policy)
                .and_then(|sealed| host.unseal(&sealed));
            report.note(
                &property,
                opened.map_err(Breach::from).and_then(|(opened, found)| {
                    expect(*opened == data && found == policy, "something else")
                }),
            );
        }
    }
    report.check("the same data sealed twice are different bytes", || {
        let seal = || host.seal(b"data", SealPolicy::Own).map_err(Breach::from);
        expect(seal()? != seal()?, "the same bytes")
    });
    report.check("sealed bytes do not show the data", || {
        let data = b"something to be recognised by";
        let sealed = host.seal(data, SealPolicy::Own)?;
        expect(
            !sealed.windows(data.len()).any(|window| window == data),
            "they do",
        )
    });
    report.check("a changed bit anywhere in sealed bytes is noticed", || {
        let sealed = host.seal(b"data", SealPolicy::Own)?;
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            if let Some(byte) = changed.get_mut(place) {
                *byte ^= 1;
            }
            // The original does not authenticate its header: there the data may come back.
            if let Ok((opened, _)) = host.unseal(&changed)
                && *opened != *b"data"
            {
                return Err(Breach::found(format!("byte {place}")));
            }
        }
        Ok(())
    });
    report.check("cut sealed bytes do not open", || {
        let sealed = host.seal(b"data", SealPolicy::Own)?;
        let mut cut = sealed;
        while cut.pop().is_some() {
            if host.unseal(&cut).is_ok() {
                return Err(Breach::found(format!("{} bytes do", cut.len())));
            }
        }
        Ok(())
    });
    report.note(
        "nothing at all does not unseal",
        refused(host.unseal(b""), ""),
    );
}

/// `at` makes labels that nobody has used.
pub fn counters(host: &Parent, at: i64, report: &mut Report) {
    let label = format!("conformance {at}");
    let value = || host.counter(&label).map_err(Breach::from);
    report.note(
        "a counter that nobody made is none",
        refused(host.counter(&label), "No such counter"),
    );
    report.check("a counter begins where it is told to", || {
        host.init_counter(&label, 5)?;
        expect(value()? == 5, value()?)
    });
    report.check("a counter does not go down", || {
        host.init_counter(&label, 3)?;
        expect(value()? == 5, value()?)
    });
    let seal = |data: &[u8]| -> Call<Vec<u8>> {
        host.rollback_protected_seal(&label, data, SealPolicy::Own)
    };
    report.check("sealing against rollback counts one up", || {
        seal(b"first")?;
        expect(value()? == 6, value()?)
    });
    let (old, new) = (seal(b"old"), seal(b"new"));
    report.check("what was sealed last against rollback comes back", || {
        let (data, _) = host.rollback_protected_unseal(&new.clone()?)?;
        expect(*data == *b"new", "something else")
    });
    report.check("what was sealed before does not", || {
        let old = old.clone()?;
        refused(host.rollback_protected_unseal(&old), "bad counter")
    });
    report.check("another label does not count for this one", || {
        let other = format!("{label} other");
        host.rollback_protected_seal(&other, b"x", SealPolicy::Own)?;
        host.rollback_protected_unseal(&new.clone()?)
            .map(drop)
            .map_err(Breach::from)
    });
    report.check("a program deletes the counters that it has made", || {
        host.delete_counter(&label)?;
        host.delete_counter(&format!("{label} other"))
            .map_err(Breach::from)
    });
}

pub fn deleting(host: &Parent, at: i64, report: &mut Report) {
    let label = format!("conformance, deleted {at}");
    let seal = || host.rollback_protected_seal(&label, b"data", SealPolicy::Own);
    let old = seal();
    report.check(
        "a counter with more of a label than a program may keep is refused",
        || {
            let long = "x".repeat(200 << 10);
            refused(host.init_counter(&long, 1), "")?;
            refused(host.counter(&long), "")
        },
    );
    report.check("a counter that was deleted is none", || {
        host.delete_counter(&label)?;
        refused(host.counter(&label), "No such counter")?;
        refused(host.delete_counter(&label), "No such counter")
    });
    report.check(
        "what was sealed under a deleted counter does not open under the next of its label",
        || {
            let new = seal()?;
            refused(host.rollback_protected_unseal(&old.clone()?), "bad counter")?;
            host.rollback_protected_unseal(&new)?;
            host.delete_counter(&label).map_err(Breach::from)
        },
    );
}

/// What only the host says of a program.
fn describing(host: &Parent, report: &mut Report) {
    for head in Head::ALL {
        let name = head.name();
        report.check(&format!("a program adds no .{name} to its name"), || {
            let before = host.tao_name()?;
            for extension in [format!(".{name}([00])"), format!(".Level(1).{name}()")] {
                refused(
                    host.extend_tao_name(&subprin(&extension)?),
                    "by a host only",
                )?;
            }
            let after = host.tao_name()?;
            expect(after == before, after)
        });
    }
    report.check(
        "a program does not speak for what it would be called as another",
        || {
            let name = host.tao_name()?;
            for head in Head::ALL {
                if head.describes_what_is_before() {
                    let other = name.extended(&subprin(&format!(".{}([00])", head.name()))?);
                    refused(
                        host.attest(Some(&other), None, None, &statement()?),
                        "invalid issuer",
                    )?;
                }
            }
            Ok(())
        },
    );
}

/// Last, because there is no way back.
pub fn extending(host: &Parent, report: &mut Report) {
    describing(host, report);
    report.check("a name does not grow without bound", || {
        let before = host.tao_name()?;
        for more in [
            ".Level(1)".repeat(200),
            format!(".Level(\"{}\")", "x".repeat(500_000)),
        ] {
            refused(host.extend_tao_name(&subprin(&more)?), "")?;
        }
        let after = host.tao_name()?;
        expect(after == before, after)
    });
    let sealed = POLICIES.map(|policy| (policy, host.seal(b"before", policy)));
    let secret = host.shared_secret(32, SealPolicy::Own);
    let before = host.tao_name();
    report.check("a name can be extended, and then is the longer one", || {
        let more = subprin(".Level(1).User(\"x\")")?;
        host.extend_tao_name(&more)?;
        let (before, after) = (before.clone()?, host.tao_name()?);
        expect(after == before.extended(&more), after)
    });
    for (policy, sealed) in sealed {
        let name = policy.as_str();
        let opened = sealed.and_then(|sealed| host.unseal(&sealed));
        if policy == SealPolicy::Any {
            let property = "what was sealed for any program still opens under the longer name";
            report.note(property, opened.map(drop).map_err(Breach::from));
        } else {
            let property =
                format!("what was sealed for {name} under the shorter name opens no more");
            report.note(&property, refused(opened, "not authorized"));
        }
    }
    report.check(
        "a secret shared by self is another one under the longer name",
        || {
            let after = host.shared_secret(32, SealPolicy::Own)?;
            expect(after != secret.clone()?, "the same")
        },
    );
    report.check("a program may no longer speak for its shorter name", || {
        let before = before.clone()?;
        refused(
            host.attest(Some(&before), None, None, &statement()?),
            "invalid issuer",
        )
    });
}
