//! The event logs in the TXT heap of the running machine.
//!
//! Linux has no file for them; they are read through /dev/mem, which a kernel with lockdown or
//! CONFIG_STRICT_DEVMEM refuses. The heap's place stands in TXT's public registers; in it the
//! OsSinitData structure points to the logs (TXT Software Development Guide, appendix C).

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use txt::{
    codec::{FormatError, Reader, value},
    hash::HashAlg,
};

use super::{EventLog, LogError, container, crypto_agile, stream};
use crate::platform::{BANKS, bank_alg};

/// TXT.HEAP.BASE and TXT.HEAP.SIZE, eight bytes each.
const HEAP_REGISTERS: u64 = 0xfed3_0300;
/// Largest heap, and largest log, that is believed, in bytes.
const MAX_HEAP: u64 = 16 << 20;
const MAX_LOG: u32 = 1 << 20;
/// Where OsSinitData's extended data elements begin (version 6 and up), in bytes.
const EXTENDED_AT: usize = 100;
/// First version that has them.
const EXTENDED_VERSION: u32 = 6;
/// Element types.
const END: u32 = 0;
const LOG_TPM12: u32 = 5;
const LOG_TPM20_LEGACY: u32 = 7;
const LOG_TPM20_TCG: u32 = 8;

/// Physical memory.
pub trait Memory {
    /// Reads `len` bytes at a physical address.
    fn read(&self, address: u64, len: usize) -> io::Result<Vec<u8>>;
}

/// /dev/mem.
#[derive(Debug)]
pub struct DevMem(File);

impl DevMem {
    /// Opens it.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(File::open(path)?))
    }
}

impl Memory for DevMem {
    fn read(&self, address: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.0.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }
}

/// A machine without a log, or one that does not show it.
#[derive(Debug, thiserror::Error)]
pub enum HeapError {
    /// The kernel refuses.
    #[error(
        "cannot read {what} at {address:#x}: {source}; the kernel may forbid it (lockdown, STRICT_DEVMEM): take the log with txt-stat on a kernel that allows it, or from tboot's serial output"
    )]
    Memory {
        /// What was read.
        what: &'static str,
        /// The physical address.
        address: u64,
        /// Why not.
        source: io::Error,
    },
    /// No TXT, or no launch.
    #[error(
        "TXT's registers say that there is no heap (base {base:#x}, size {size:#x}): the machine has no Intel TXT, or it is off in the firmware"
    )]
    NoHeap {
        /// TXT.HEAP.BASE.
        base: u64,
        /// TXT.HEAP.SIZE.
        size: u64,
    },
    /// Not a heap.
    #[error("the TXT heap is damaged: {0}")]
    Damaged(#[from] FormatError),
    /// A log that would reach over the end of the address space.
    #[error(
        "the TXT heap is damaged: the event log at {address:#x} has its first event {first:#x} bytes further, behind the last address"
    )]
    Address {
        /// Where the log begins.
        address: u64,
        /// Its first event.
        first: u32,
    },
    /// No pointer to a log.
    #[error("the TXT heap has no event log: tboot did not launch, or the SINIT module keeps none")]
    NoLog,
    /// A log that cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Reads the log that the last launch left.
pub fn read(memory: &impl Memory) -> Result<EventLog, HeapError> {
    let get = |what: &'static str, address: u64, len: usize| {
        memory
            .read(address, len)
            .map_err(|source| HeapError::Memory {
                what,
                address,
                source,
            })
    };
    let registers = get("TXT's registers", HEAP_REGISTERS, 16)?;
    let mut reader = Reader::new(&registers);
    let (base, size) = (
        u64_field(&mut reader, "base")?,
        u64_field(&mut reader, "size")?,
    );
    if base == 0 || base == u64::MAX || size == 0 || size > MAX_HEAP {
        return Err(HeapError::NoHeap { base, size });
    }
    let heap = get("the TXT heap", base, usize::try_from(size).unwrap_or(0))?;
    let mut logs = Vec::new();
    for pointer in pointers(&heap)? {
        let what = "the event log";
        match pointer {
            Pointer::Container(address) => {
                let header = get(what, address, 48)?;
                let mut reader = Reader::new(&header);
                reader.take("signature and version", 36)?;
                let size = checked_len("container size", reader.offset(), reader.u32("size")?)?;
                logs.push(container::parse(&get(what, address, size)?)?);
            }
            Pointer::Legacy {
                alg,
                address,
                first,
                next,
            } => {
                let bank = BANKS.into_iter().find(|bank| bank_alg(*bank) == alg);
                if let (Some(bank), true) = (bank, next > first) {
                    let bytes = get(
                        what,
                        behind(address, first)?,
                        next.saturating_sub(first) as usize,
                    )?;
                    logs.push(stream::parse_bank(&bytes, bank)?);
                }
            }
            Pointer::Tcg {
                address,
                first,
                next,
            } => {
                if next > first {
                    let bytes = get(
                        what,
                        behind(address, first)?,
                        next.saturating_sub(first) as usize,
                    )?;
                    logs.push(crypto_agile::parse(&bytes)?);
                }
            }
        }
    }
    logs.retain(|log| !log.events.is_empty());
    if logs.is_empty() {
        return Err(HeapError::NoLog);
    }
    Ok(EventLog::merge(logs)?)
}

enum Pointer {
    Container(u64),
    Legacy {
        alg: HashAlg,
        address: u64,
        first: u32,
        next: u32,
    },
    Tcg {
        address: u64,
        first: u32,
        next: u32,
    },
}

/// The address `first` bytes behind another; both come from the heap.
fn behind(address: u64, first: u32) -> Result<u64, HeapError> {
    address
        .checked_add(first.into())
        .ok_or(HeapError::Address { address, first })
}

fn u64_field(reader: &mut Reader<'_>, field: &'static str) -> Result<u64, FormatError> {
    Ok(u64::from_le_bytes(reader.array(field)?))
}

fn checked_len(field: &'static str, offset: usize, len: u32) -> Result<usize, FormatError> {
    if len > MAX_LOG {
        return Err(value(field, offset, "at most 1 MiB", len));
    }
    Ok(len as usize)
}

/// Bytes of a part's own length field, which the length includes.
const LENGTH_FIELD: u64 = 8;

/// One of the heap's parts: its length (with the length field), then itself.
fn part<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<Reader<'a>, FormatError> {
    let offset = reader.offset();
    let size = u64_field(reader, what)?;
    let left = (reader.rest().len() as u64).saturating_add(LENGTH_FIELD);
    if !(LENGTH_FIELD..=left).contains(&size) {
        return Err(value(
            what,
            offset,
            format!("8 to {left} (the rest of the heap)"),
            size,
        ));
    }
    // At most what is left, which is a usize.
    reader.part(
        what,
        usize::try_from(size.saturating_sub(LENGTH_FIELD)).unwrap_or(0),
    )
}

/// The pointers to logs in OsSinitData.
fn pointers(heap: &[u8]) -> Result<Vec<Pointer>, FormatError> {
    let mut reader = Reader::new(heap);
    part(&mut reader, "BiosData size")?;
    part(&mut reader, "OsMleData size")?;
    let mut data = part(&mut reader, "OsSinitData size")?;
    let offset = data.offset();
    let version = data.u32("OsSinitData version")?;
    if version < EXTENDED_VERSION {
        return Err(value("OsSinitData version", offset, "6 or more", version));
    }
    data.take("OsSinitData", EXTENDED_AT - 4)?;
    let mut pointers = Vec::new();
    while data.rest().len() >= 8 {
        let kind = data.u32("element type")?;
        let offset = data.offset();
        let size = data.u32("element size")?;
        let Some(len) = (size as usize).checked_sub(8) else {
            return Err(value("element size", offset, "at least 8", size));
        };
        if kind == END {
            break;
        }
        let mut element = data.part("element", len)?;
        match kind {
            LOG_TPM12 => {
                pointers.push(Pointer::Container(u64_field(
                    &mut element,
                    "event_log_phys_addr",
                )?));
            }
            LOG_TPM20_LEGACY => legacy(&mut element, &mut pointers)?,
            LOG_TPM20_TCG => {
                let address = u64_field(&mut element, "phys_addr")?;
                let (first, next) = range(&mut element)?;
                pointers.push(Pointer::Tcg {
                    address,
                    first,
                    next,
                });
            }
            _ => {}
        }
    }
    Ok(pointers)
}

fn legacy(element: &mut Reader<'_>, pointers: &mut Vec<Pointer>) -> Result<(), FormatError> {
    let count = element.u32("count")?;
    for _ in 0..count {
        // One for each algorithm: a wrong count runs into the element's end.
        let alg = element.u16("alg")?;
        element.take("reserved", 2)?;
        let address = u64_field(element, "phys_addr")?;
        let (first, next) = range(element)?;
        if let Ok(alg) = HashAlg::from_tpm_alg(alg) {
            pointers.push(Pointer::Legacy {
                alg,
                address,
                first,
                next,
            });
        }
    }
    Ok(())
}

/// Length of the buffer, first and next offset in it.
fn range(element: &mut Reader<'_>) -> Result<(u32, u32), FormatError> {
    let size = element.u32("size")?;
    checked_len("size", element.offset().saturating_sub(4), size)?;
    let (first, next) = (element.u32("first offset")?, element.u32("next offset")?);
    if next < first || next > size {
        let expected = format!("from {first:#x} to {size:#x}");
        return Err(value(
            "next offset",
            element.offset().saturating_sub(4),
            expected,
            next,
        ));
    }
    Ok((first, next))
}
