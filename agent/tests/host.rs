//! The Tao host on a TPM, with real processes and a real swtpm. Hosts in general are tested
//! in the tao package.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // as in any test
#![allow(missing_docs)] // helpers of this test only

#[path = "host/common.rs"]
mod common;
#[path = "../../tao/tests/host/interrupt.rs"]
mod interrupt;
#[path = "host/killed.rs"]
mod killed;
#[path = "host/memory.rs"]
mod memory;
#[path = "host/tpm2.rs"]
mod tpm2;
