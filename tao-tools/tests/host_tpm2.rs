//! The Tao host on a TPM, with real processes and a real swtpm. Hosts in general are tested
//! in the tao package.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // as in any test
#![allow(missing_docs)] // helpers of this test only

#[path = "host_tpm2/common.rs"]
mod common;
#[path = "host/interrupt.rs"]
mod interrupt;
#[path = "host_tpm2/killed.rs"]
mod killed;
#[path = "host_tpm2/memory.rs"]
mod memory;
#[path = "host_tpm2/tpm2.rs"]
mod tpm2;
