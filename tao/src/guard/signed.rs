//! Rule files: the rules, signed by the policy key, in the original's format.

use prost::Message;

use crate::{
    keys::{KeyError, Signer},
    wire::messages::{SignedAclSet, SignedDatalogRules},
};

/// What access control lists are signed for.
pub const ACL_CONTEXT: &str = "tao.ACLGuard Version 1";
/// What Datalog rules are signed for.
pub const DATALOG_CONTEXT: &str = "Datalog Rules Signing Context V1";

/// A `SignedACLSet` file from a serialized `ACLSet`.
///
/// # Errors
/// When the key cannot sign.
pub fn sign_acl(signer: &Signer, serialized_aclset: Vec<u8>) -> Result<Vec<u8>, KeyError> {
    let signature = signer.sign(ACL_CONTEXT, &serialized_aclset)?;
    Ok(SignedAclSet {
        serialized_aclset,
        signature,
    }
    .encode_to_vec())
}

/// A `SignedDatalogRules` file from serialized `DatalogRules`.
///
/// # Errors
/// When the key cannot sign.
pub fn sign_datalog(signer: &Signer, serialized_rules: Vec<u8>) -> Result<Vec<u8>, KeyError> {
    let signature = signer.sign(DATALOG_CONTEXT, &serialized_rules)?;
    Ok(SignedDatalogRules {
        serialized_rules,
        signature,
    }
    .encode_to_vec())
}
