//! The parts of a listing: lines, bytes, algorithms.

use txt::hash::HashAlg;

/// Appends a line to a listing.
macro_rules! line {
    ($out:expr, $($argument:tt)*) => {
        { $out.push_str(&format!($($argument)*)); $out.push('\n'); }
    };
}
pub(in crate::original) use line;

/// Bytes in hexadecimal, twenty on a line. `prefix` begins every line but the first.
pub fn hex(first: &str, prefix: &str, bytes: &[u8]) -> String {
    let mut out = first.to_owned();
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % 20 == 0 {
            out.push('\n');
            out.push_str(prefix);
        }
        out.push_str(&format!("{byte:02x} "));
    }
    out.push('\n');
    out
}

/// Bytes in hexadecimal, the prefix on every line.
pub fn block(prefix: &str, bytes: &[u8]) -> String {
    if bytes.is_empty() {
        String::new()
    } else {
        hex(prefix, prefix, bytes)
    }
}

/// The name of an algorithm in elements of TPM 2.0.
pub fn alg_name(alg: HashAlg) -> &'static str {
    match alg {
        HashAlg::Sha1 => "TPM_ALG_SHA1",
        HashAlg::Sha256 => "TPM_ALG_SHA256",
        HashAlg::Sha384 => "TPM_ALG_SHA384",
        HashAlg::Sha512 => "TPM_ALG_SHA512",
        HashAlg::Sm3 => "TPM_ALG_SM3_256",
    }
}

/// The same with its number.
pub fn alg_number(alg: HashAlg) -> String {
    format!("{:#x} ({})", alg.tpm_alg(), alg_name(alg))
}
