//! Where this program differs from the recorded originals. Each stands in docs/man/lcp-compat.7.

/// Where ours differs: case, step from 1, and our exit code. Each stands in
/// docs/man/lcp-compat.7; what follows in the same case follows from it.
pub struct Difference {
    pub case: &'static str,
    pub step: usize,
    pub rc: i32,
}

const fn differs(case: &'static str, step: usize, rc: i32) -> Difference {
    Difference { case, step, rc }
}

/// All of them.
pub const DIFFERENCES: &[Difference] = &[
    // Malformed files are refused, not read beyond their end or shown as nothing.
    differs("elt/show-mle2-numhash-lie", 1, 0), // head's exit code
    differs("list/mal-eltsize0", 1, 1),
    differs("list/mal-ver9", 1, 1),
    differs("pol/neg-show-extra", 1, 1),
    // The hash files' parser knows sha512 and sm3, as the original's help promises.
    differs("elt/neg-mle2-sha512", 1, 0),
    differs("elt/neg-mle2-sm3", 1, 0),
    differs("elt/neg-stm-sha512", 1, 0),
    differs("elt/neg-stm-sm3", 1, 0),
    // A wrong sequence is not fatal: policy and data are told apart by their contents.
    differs("pol/list-2.4-unsigned", 3, 0),
    // Eight lists can be shown, a ninth is refused.
    differs("pol/list-3.0-nine", 1, 1),
    // Numbers that don't fit are refused.
    differs("pol/any-maxsinit-300", 1, 1),
    differs("pol/any-rev-9", 1, 1),
    // PCR 7 is part of the digest.
    differs("elt/pconf2-sha256-7", 1, 0),
    differs("elt/pconf2-sha256-0-7", 1, 0),
    // No digit is no hash.
    differs("elt/neg-pconf2-nothex", 1, 1),
    // Elliptic curve lists: shown, verified and taken into policies.
    differs("sign/v200-p256-ecdsa", 4, 0),
    differs("sign/v300-p256-ecdsa", 5, 0),
    differs("sign/v300-p384-ecdsa", 5, 0),
    differs("sign/v300-p384-ecdsa-hash256", 5, 0),
    differs("pol/list-3.0-ecdsa-p256", 1, 0),
    differs("pol/list-3.0-ecdsa-p384", 1, 0),
    differs("pol/list-3.2-ecdsa-p384", 1, 0),
    // Curves and exponents that SINIT doesn't take are refused.
    differs("sign/v300-k256-ecdsa", 3, 1),
    differs("sign/v300-rsa2048e3-pss", 3, 1),
    // --nosig and --addsig work.
    differs("sign/v200-nosig-addsig", 2, 0),
    differs("sign/v200-nosig-addsig", 5, 0),
    // A 1024 bit list of version 1.0 verifies.
    differs("sign/v100-rsa1024", 4, 0),
    // A bad signature is exit code 1.
    differs("sign/v300-tampered", 4, 1),
    differs("sign/v300-tampered", 5, 1),
    differs("pol/list-3.0-ecdsa-k256", 1, 1),
];
