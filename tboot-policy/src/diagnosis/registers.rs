//! TXT's public registers, as txt-stat and tboot print them or as they are in memory.

use std::{fmt, io};

use super::errorcode::ErrorCode;
use crate::log::heap::Memory;

/// Where they are in physical memory.
const BASE: u64 = 0xfed3_0000;

/// One register's name as TXT's documents have it behind `TXT.`, and its place.
const PLACES: [(&str, u64); 8] = [
    ("STS", 0x000),
    ("ESTS", 0x008),
    ("ERRORCODE", 0x030),
    ("DIDVID", 0x110),
    ("SINIT.BASE", 0x270),
    ("HEAP.BASE", 0x300),
    ("HEAP.SIZE", 0x308),
    ("E2STS", 0x8f0),
];

/// A register and its value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Register {
    /// Its name, behind `TXT.`.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
}

/// The registers in order of their appearance, the last value of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Registers(Vec<Register>);

impl Registers {
    /// Those of the running machine.
    ///
    /// # Errors
    /// The memory cannot be read.
    pub fn read(memory: &impl Memory) -> io::Result<Self> {
        let mut registers = Self::default();
        for (name, place) in PLACES {
            let bytes = memory.read(BASE.saturating_add(place), 8)?;
            let bytes = bytes.first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
            registers.set(name, u64::from_le_bytes(*bytes));
        }
        Ok(registers)
    }

    /// Takes in a line `NAME: VALUE` of txt-stat or tboot; is it one?
    pub fn line(&mut self, line: &str) -> bool {
        let Some((name, value)) = line.split_once(':') else {
            return false;
        };
        let name = name.trim();
        let name = name.strip_prefix("TXT.").unwrap_or(name);
        let Some((name, _)) = PLACES.iter().find(|(known, _)| *known == name) else {
            return false;
        };
        let value = value.trim();
        // txt-stat has sizes in decimal first: "327680B (0x50000)".
        let hex = value.split("0x").nth(1).unwrap_or_default();
        let end = hex.find(|c: char| !c.is_ascii_hexdigit());
        let digits = hex.get(..end.unwrap_or(hex.len())).unwrap_or_default();
        match u64::from_str_radix(digits, 16) {
            Ok(value) => self.set(name, value),
            Err(_) => return false,
        }
        true
    }

    fn set(&mut self, name: &'static str, value: u64) {
        match self.0.iter_mut().find(|register| register.name == name) {
            Some(register) => register.value = value,
            None => self.0.push(Register { name, value }),
        }
    }

    /// A register's value.
    pub fn get(&self, name: &str) -> Option<u64> {
        let found = self.0.iter().find(|register| register.name == name)?;
        Some(found.value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Register> {
        self.0.iter()
    }

    /// Why the last launch ended, if it is known.
    pub fn error(&self) -> Option<ErrorCode> {
        let value = self.get("ERRORCODE")?;
        Some(ErrorCode::from((value & 0xffff_ffff) as u32))
    }

    /// Was there a launch, by TXT.STS: SENTER was done and not ended by SEXIT?
    pub fn launched(&self) -> Option<bool> {
        let status = self.get("STS")?;
        Some(status != u64::MAX && status & 0b11 == 0b01)
    }
}

/// Bits of a register and what they say.
fn flags(name: &str) -> &'static [(u32, &'static str)] {
    match name {
        "STS" => &[
            (0, "SENTER done"),
            (1, "SEXIT done"),
            (6, "memory configuration locked"),
            (7, "private space open"),
            (15, "locality 1 open"),
            (16, "locality 2 open"),
        ],
        "ESTS" => &[(
            0,
            "TXT reset: SENTER is disabled until the power is switched off",
        )],
        "E2STS" => &[
            (0, "error at waking from sleep"),
            (1, "secrets in memory"),
            (2, "memory blocked until it is scrubbed"),
            (3, "reset noted"),
        ],
        _ => &[],
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TXT.{} {:#x}", self.name, self.value)?;
        if self.name == "ERRORCODE" {
            let code = ErrorCode::from((self.value & 0xffff_ffff) as u32);
            return write!(f, ": {code}");
        }
        let set = flags(self.name)
            .iter()
            .filter(|(bit, _)| self.value.wrapping_shr(*bit) & 1 == 1);
        let words: Vec<&str> = set.map(|(_, words)| *words).collect();
        if !words.is_empty() {
            write!(f, ": {}", words.join(", "))?;
        }
        Ok(())
    }
}
