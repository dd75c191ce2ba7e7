//! The signature part of the originals' listings.

use lcp::list::{ListVersion, PolicyList, Signature, SignatureValue};

use super::listing::{alg_number, block, line};

/// Number and name of a list's `sig_alg`.
pub fn alg(list: &PolicyList) -> String {
    let name = match (list.version(), list.signature()) {
        (ListVersion::V1_0, None) => "0x0, LCP_POLSALG_NONE",
        (ListVersion::V1_0, Some(_)) => "0x1, LCP_POLSALG_RSA_PKCS_15",
        (_, None) => "0x10, TPM_ALG_NULL",
        (_, Some(signature)) => {
            return format!(
                "{:#x}, {}",
                signature.alg_number(),
                name(signature.alg_number())
            );
        }
    };
    name.to_owned()
}

fn name(number: u16) -> &'static str {
    match number {
        0x14 => "TPM_ALG_RSASSA",
        0x16 => "TPM_ALG_RSAPSS",
        0x18 => "TPM_ALG_ECDSA",
        _ => "TPM_ALG_SM2",
    }
}

/// The signature of a list.
pub fn signature(prefix: &str, signature: &Signature, v3: bool, brief: bool) -> String {
    if v3 {
        new_form(signature)
    } else {
        old_form(prefix, signature, brief)
    }
}

/// Up to version 2.1.
fn old_form(prefix: &str, signature: &Signature, brief: bool) -> String {
    let mut out = String::new();
    let inner = format!("{prefix}    ");
    let (counter, size) = (signature.revocation_counter, signature.key_len());
    line!(out, "{prefix} signature:");
    line!(out, "{inner} revocation_counter: {counter:#x} ({counter})");
    line!(out, "{inner} pubkey_size: {size:#x} ({size})");
    if brief {
        return out;
    }
    let bytes = format!("{inner}\t");
    match signature.value() {
        SignatureValue::Rsa {
            modulus, signature, ..
        } => {
            line!(out, "{inner} pubkey_value:");
            out.push_str(&block(&bytes, modulus));
            line!(out, "{inner} sig_block:");
            out.push_str(&block(&bytes, signature));
        }
        // The original crashes on these, so that the form is ours.
        SignatureValue::Ec { x, y, r, s, .. } => {
            for (label, number) in [("qx", x), ("qy", y), ("r", r), ("s", s)] {
                line!(out, "{inner} {label}:");
                out.push_str(&block(&bytes, number));
            }
        }
    }
    out
}

/// Version 3.0; indented as it is also inside of a data file's listing.
fn new_form(signature: &Signature) -> String {
    let mut out = String::new();
    let inner = "        ";
    let counter = signature.revocation_counter;
    let bits = signature.key_len().saturating_mul(8);
    let bytes = format!("{inner}\t");
    line!(out, "{inner} revocation_counter: {counter:#x} ({counter})");
    let size = format!("{inner} Version: 0x10\n{inner} KeySize: {bits:#x} ({bits})");
    let scheme = signature.alg_number();
    let scheme = format!("{inner} SigScheme: {scheme:#x} ({})", name(scheme));
    let hash = signature.hash().map_or_else(String::new, alg_number);
    match signature.value() {
        SignatureValue::Rsa {
            modulus, signature, ..
        } => {
            line!(out, "RSA_KEY_AND_SIGNATURE:");
            line!(out, "{inner} Version: 0x10");
            line!(out, "{inner} KeyAlg: 0x1 (TPM_ALG_RSA)");
            line!(out, "RSA_PUBLIC_KEY:\n{size}");
            line!(out, "{inner} Exponent: 0x10001");
            line!(out, "{inner} Modulus:");
            out.push_str(&block(&bytes, modulus));
            line!(out, "End of RSA_PUBLIC_KEY\n{scheme}");
            line!(out, "RSA_SIGNATURE:\n{size}\n{inner} HashAlg: {hash}");
            line!(out, "{inner} sig_block:");
            out.push_str(&block(&bytes, signature));
        }
        SignatureValue::Ec { x, y, r, s, .. } => {
            line!(out, "ECC_KEY_AND_SIGNATURE:");
            line!(out, "{inner} Version: 0x10");
            line!(out, "{inner} KeyAlg: 0x23 (TPM_ALG_ECC)");
            line!(out, "ECC_PUBLIC_KEY:\n{size}");
            line!(out, "Public key Qx: ");
            out.push_str(&block(&bytes, x));
            line!(out, "Public key Qy: ");
            out.push_str(&block(&bytes, y));
            line!(out, "End of ECC_PUBLIC_KEY\n{scheme}");
            line!(out, "ECC_SIGNATURE:\n{size}\n{inner} HashAlg: {hash}");
            line!(out, "Signature R part: ");
            out.push_str(&block(&bytes, r));
            line!(out, "Signature S part: ");
            out.push_str(&block(&bytes, s));
        }
    }
    out
}
