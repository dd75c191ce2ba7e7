//! Secrets that are wrong, and more than the TPM has room for.

use tpm::tpm12::{KeyUsage, Resource, ReturnCode, Secret};

use super::{Machine12, code, owner, sha1};

#[test]
fn each_wrong_secret_is_refused_and_leaves_no_session() {
    let machine = Machine12::new();
    let mut tpm = machine.open();
    let wrong = Secret::from_password(b"wrong");
    let label = sha1(&[b"x"]);
    assert_eq!(code(tpm.owner_flags(&wrong)), ReturnCode::AUTH_FAIL);
    assert_eq!(
        code(tpm.create_key(&wrong, KeyUsage::Storage, &wrong)),
        ReturnCode::AUTH_FAIL
    );
    assert_eq!(
        code(tpm.make_identity(&wrong, &owner(), &label, &wrong)),
        ReturnCode::AUTH_FAIL
    );
    assert!(tpm.handles(Resource::Session).unwrap().is_empty());
}
