//! Keys that a program keeps with its host's help.

use tao::{
    attestation::verify,
    client::{Parent, SealPolicy, sealed_keyset},
    logic::Form,
};

use super::common::{Raw, TestHost};

fn parent(raw: &Raw) -> Parent {
    Parent::over(
        raw.stream.try_clone().unwrap(),
        raw.stream.try_clone().unwrap(),
    )
}

#[test]
fn a_programs_sealed_key_set_outlives_its_host_and_is_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let host = TestHost::start(150);
    let first = host.raw();
    let program = parent(&first);
    assert!(sealed_keyset::read(&program, dir.path()).unwrap().is_none());
    let made = sealed_keyset::read_or_make(&program, dir.path()).unwrap();
    // The host lets the key speak for the program.
    let delegation = made.delegation.unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let verified = verify(&delegation, i64::try_from(now).unwrap()).unwrap();
    assert_eq!(verified.speaker, program.tao_name().unwrap());
    let signer = made.signer.unwrap();
    let said = match *verified.statement.message {
        Form::Speaksfor(said) => said,
        other => panic!("{other}"),
    };
    assert_eq!(said.delegate.to_string(), signer.name().to_string());
    drop((program, first, host));

    let again = TestHost::start(150);
    let raw = again.raw();
    let program = parent(&raw);
    let read = sealed_keyset::read_or_make(&program, dir.path()).unwrap();
    assert_eq!(read.signer.unwrap().name(), signer.name());
    assert_eq!(read.delegation, Some(delegation));
    let sealed = made.crypter.unwrap().seal("key", b"data").unwrap();
    assert_eq!(&*read.crypter.unwrap().open(&sealed).unwrap(), b"data");
    // Under a longer name it is another program.
    program
        .extend_tao_name(&".More()".parse().unwrap())
        .unwrap();
    let refused = sealed_keyset::read(&program, dir.path()).err().unwrap();
    assert!(refused.to_string().contains("not authorized"), "{refused}");
}

#[test]
fn a_key_set_that_any_program_could_have_sealed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let host = TestHost::start(151);
    let raw = host.raw();
    let program = parent(&raw);
    let keys = sealed_keyset::read_or_make(&program, dir.path()).unwrap();
    let sealed = program
        .seal(&keys.encode().unwrap(), SealPolicy::Any)
        .unwrap();
    std::fs::write(dir.path().join(sealed_keyset::FILE), sealed).unwrap();
    let refused = sealed_keyset::read(&program, dir.path()).err().unwrap();
    assert!(refused.to_string().contains("policy any"), "{refused}");
    let sealed = program.seal(b"no keys", SealPolicy::Own).unwrap();
    std::fs::write(dir.path().join(sealed_keyset::FILE), sealed).unwrap();
    let refused = sealed_keyset::read(&program, dir.path()).err().unwrap();
    assert!(refused.to_string().contains("not a key set"), "{refused}");
}
