//! The Tao host on a TPM, with real processes and a real swtpm. Hosts in general: `host`.

mod common;
mod killed;
mod memory;
mod tpm2;
