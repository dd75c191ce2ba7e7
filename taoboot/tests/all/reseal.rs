//! The next launch is approved before it happens: through the resident agent, with a
//! passphrase, or by the owner's signature. Real LUKS2 volumes, a real swtpm, the real command.

pub mod common;
mod key;
mod known_files;
mod parent;
mod pin;
mod pin_change_kill;
mod refusals;
mod resident;
mod room;
mod signed;
mod verdict;
mod verdict_tpm;
