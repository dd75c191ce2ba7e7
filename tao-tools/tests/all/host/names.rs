//! Names that programs extend.

use tao::{
    client::SealPolicy,
    logic::{Head, SubPrin},
};

use super::{common::TestHost, counters::parent};

#[test]
fn a_name_grows_and_never_shrinks_and_only_so_far() {
    let host = TestHost::start(67);
    let raw = host.raw();
    let started_as = raw.program.clone();
    let program = parent(raw);
    let before = program.seal(b"x", SealPolicy::Own).unwrap();
    let name = program.tao_name().unwrap();
    program
        .extend_tao_name(&".User(\"one\").Level(2)".parse().unwrap())
        .unwrap();
    let longer = program.tao_name().unwrap();
    assert_eq!(longer.to_string(), format!("{name}.User(\"one\").Level(2)"));
    assert!(program.unseal(&before).is_err());
    let listed = host.admin().list().unwrap();
    assert_eq!(listed[0].subprin.0.len(), 3);
    assert!(program.extend_tao_name(&SubPrin::default()).is_err());
    for _ in 0..61 {
        program
            .extend_tao_name(&".More()".parse().unwrap())
            .unwrap();
    }
    let error = program
        .extend_tao_name(&".More()".parse().unwrap())
        .unwrap_err();
    assert!(
        error.to_string().contains("the limits are 64 extensions"),
        "{error}"
    );
    // It is still the program that was started, for those who started it.
    host.admin().kill(&started_as.subprin).unwrap();
}

/// Each head that a host writes, and those of guards, which a host below this one takes so.
#[test]
fn what_a_host_says_of_a_program_no_program_adds_to_its_name() {
    let host = TestHost::start(70);
    let program = parent(host.raw());
    let name = program.tao_name().unwrap();
    let message = "Ready(1)".parse().unwrap();
    for head in Head::ALL {
        for extension in [
            format!(".{}([00])", head.name()),
            format!(".User(1).{}()", head.name()),
        ] {
            let extension: SubPrin = extension.parse().unwrap();
            let error = program.extend_tao_name(&extension).unwrap_err().to_string();
            assert!(error.contains("written by a host only"), "{error}");
            let first = Head::of(&extension.0[0]);
            let described = first.is_some_and(Head::describes_what_is_before);
            let issuer = name.extended(&extension);
            let said = program.attest(Some(&issuer), None, None, &message);
            assert_eq!(said.is_err(), described, "{issuer}");
        }
    }
    assert_eq!(program.tao_name().unwrap(), name);
    for guard in ["TrivialGuard", "ACLGuard", "DatalogGuard", "LocalGuard"] {
        let extension = format!(".{guard}(\"x\")").parse().unwrap();
        program.extend_tao_name(&extension).unwrap();
    }
}
