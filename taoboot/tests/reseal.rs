//! The next launch is approved before it happens: through the resident agent, with a
//! passphrase, or by the owner's signature. Real LUKS2 volumes, a real swtpm, the real command.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

#[path = "reseal/common.rs"]
mod common;
#[path = "enroll_support/mod.rs"]
mod enroll_support;
#[path = "reseal/key.rs"]
mod key;
#[path = "reseal/resident.rs"]
mod resident;
#[path = "reseal/signed.rs"]
mod signed;
#[path = "reseal/verdict.rs"]
mod verdict;
