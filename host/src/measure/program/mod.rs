//! What runs together with a program's own file: its loader and dynamic libraries, or the
//! interpreter of a script. Only what the files say; nothing here is executed.
//!
//! * [`elf`]: what an ELF file asks for. [`ld_cache`]: where the loader looks.
//! * [`libraries`]: following the one through the other.
//! * [`script`]: the first line of a script.

pub mod elf;
pub mod ld_cache;
pub mod libraries;
pub mod script;
