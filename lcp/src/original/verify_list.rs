//! lcp2_crtpollist --show and --verify.

use anyhow::Result;
use lcp::{list::ListVersion, sign};

use super::{list_file, show};

/// Shows a list and verifies its signature.
pub fn show_file(path: &str) -> Result<()> {
    let list = list_file::read(path)?;
    let verified = sign::verify(&list);
    let v3 = list.version() == ListVersion::V3_0;
    if v3 && list.signature().is_none() {
        println!("Verify TPM2.0 Policy List 2.1 success");
    }
    println!("policy list file: {path}");
    print!("{}", show::list("", &list, false));
    if list.signature().is_some() && !v3 && list.version() != ListVersion::V1_0 {
        let result = if verified.is_ok() {
            "signature verified"
        } else {
            "failed to verify signature"
        };
        println!("{result}");
    }
    match verified {
        Err(sign::SignError::Unsigned) | Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Verifies a list's signature.
pub fn verify(path: &str) -> Result<()> {
    let list = list_file::read(path)?;
    let v3 = list.version() == ListVersion::V3_0;
    match sign::verify(&list) {
        Err(sign::SignError::Unsigned) => {
            if v3 {
                println!("Verify TPM2.0 Policy List 2.1 success");
                println!("Verification successful. List is not signed. Exiting.");
            }
            Ok(())
        }
        Ok(_) => {
            if v3 {
                println!("List signature verified positively.");
                println!("List signature correct. Verification successful");
            }
            Ok(())
        }
        Err(error) => {
            if v3 {
                println!("List signature did not verify.");
                println!("List signature did not verify positively.");
            }
            Err(error.into())
        }
    }
}
