//! One machine: firmware, disks and TPM in QEMU, and what became of it.

mod command;
mod description;
mod outcome;
mod running;
mod tpm;

pub use description::{DirectKernel, Machine};
pub use outcome::{Ending, Outcome};
pub use running::Running;
pub use tpm::{Tpm, TpmInterface, TpmVersion};
