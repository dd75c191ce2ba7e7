//! What comes of measuring a program.

use std::os::fd::OwnedFd;

/// A program that can only run as it was measured.
#[derive(Debug)]
pub struct MeasuredProgram {
    /// Sealed memory with the program's bytes.
    pub file: OwnedFd,
    /// SHA-256 of those bytes.
    pub sha256: [u8; 32],
    /// How many they are.
    pub length: u64,
    /// It asks for a dynamic linker, or is one: what runs is more than what was measured.
    pub dynamic: bool,
}
