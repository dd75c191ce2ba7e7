//! Event logs found through the TXT heap, in a memory that is made up.

use std::io;

use tboot_policy::{
    log::{LogEvent, heap},
    platform::BANKS,
};
use tpm::Bank;

use crate::written::*;

fn events() -> Vec<LogEvent> {
    log_events(&files("extpol=embedded", None))
}

/// Physical memory with a heap in it.
struct Fake(Vec<(u64, Vec<u8>)>);

impl heap::Memory for Fake {
    fn read(&self, address: u64, len: usize) -> io::Result<Vec<u8>> {
        let found = self.0.iter().find_map(|(base, bytes)| {
            let at = usize::try_from(address.checked_sub(*base)?).ok()?;
            bytes.get(at..at.checked_add(len)?).map(<[u8]>::to_vec)
        });
        found.ok_or_else(|| io::Error::other("Operation not permitted"))
    }
}

/// Registers and heap whose OsSinitData has these elements.
fn machine(elements: &[u8], logs: &[(u64, Vec<u8>)]) -> Fake {
    let mut heap = Vec::new();
    let part = |heap: &mut Vec<u8>, bytes: &[u8]| {
        heap.extend((bytes.len() as u64 + 8).to_le_bytes());
        heap.extend(bytes);
    };
    part(&mut heap, &[1; 20]);
    part(&mut heap, &[2; 100]);
    let mut sinit = 7u32.to_le_bytes().to_vec();
    sinit.extend([0; 96]);
    sinit.extend(elements);
    sinit.extend([0, 0, 0, 0, 8, 0, 0, 0]);
    part(&mut heap, &sinit);
    heap.resize(4096, 0);
    let mut registers = 0x1000_0000u64.to_le_bytes().to_vec();
    registers.extend(4096u64.to_le_bytes());
    let mut memory = vec![(0xfed3_0300, registers), (0x1000_0000, heap)];
    memory.extend_from_slice(logs);
    Fake(memory)
}

fn element(kind: u32, numbers: &[&[u8]]) -> Vec<u8> {
    let data = numbers.concat();
    let mut out = kind.to_le_bytes().to_vec();
    out.extend((u32::try_from(data.len()).unwrap() + 8).to_le_bytes());
    out.extend(data);
    out
}

#[test]
fn the_heap_leads_to_each_kind_of_log() {
    let all = events();
    let address = 0x2000_0000u64;
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let tcg = agile(&all, &BANKS);
    let pointer = element(
        8,
        &[
            &address.to_le_bytes(),
            &8192u32.to_le_bytes(),
            &[0; 4],
            &len(&tcg),
        ],
    );
    let log = heap::read(&machine(&pointer, &[(address, tcg.clone())])).unwrap();
    assert_eq!(log.events, all);

    let (sha1, sha256) = (legacy(&all, Bank::Sha1), legacy(&all, Bank::Sha256));
    let other = 0x3000_0000u64;
    let pointer = element(
        7,
        &[
            &2u32.to_le_bytes(),
            &[4, 0, 0, 0],
            &address.to_le_bytes(),
            &4096u32.to_le_bytes(),
            &[0; 4],
            &len(&sha1),
            &[11, 0, 0, 0],
            &other.to_le_bytes(),
            &4096u32.to_le_bytes(),
            &[0; 4],
            &len(&sha256),
        ],
    );
    let log = heap::read(&machine(&pointer, &[(address, sha1), (other, sha256)])).unwrap();
    assert_eq!(log.events, only(&all, &[Bank::Sha1, Bank::Sha256]));

    let mut tpm12 = container(&all);
    tpm12.resize(0x5000, 0);
    let pointer = element(5, &[&address.to_le_bytes()]);
    let log = heap::read(&machine(&pointer, &[(address, tpm12)])).unwrap();
    assert_eq!(log.events, only(&all, &[Bank::Sha1]));
}

#[test]
fn a_machine_without_a_log_says_so() {
    let error = heap::read(&Fake(vec![])).unwrap_err().to_string();
    assert!(error.contains("STRICT_DEVMEM"), "{error}");
    let error = heap::read(&Fake(vec![(0xfed3_0300, vec![0xff; 16])])).unwrap_err();
    assert!(matches!(error, heap::HeapError::NoHeap { .. }));
    let error = heap::read(&machine(&[], &[])).unwrap_err();
    assert!(matches!(error, heap::HeapError::NoLog));
    let error = heap::read(&machine(&element(8, &[&[0xff; 20]]), &[])).unwrap_err();
    assert!(matches!(error, heap::HeapError::Damaged(_)), "{error}");
    // First event behind the last address.
    let (first, next) = (0x20u32.to_le_bytes(), 0x40u32.to_le_bytes());
    let numbers: [&[u8]; 4] = [
        &(u64::MAX - 1).to_le_bytes(),
        &4096u32.to_le_bytes(),
        &first,
        &next,
    ];
    let error = heap::read(&machine(&element(8, &numbers), &[])).unwrap_err();
    assert!(
        matches!(error, heap::HeapError::Address { first: 0x20, .. }),
        "{error}"
    );
    let error = heap::read(&machine(&[8, 0, 0, 0, 0, 0, 0, 0], &[])).unwrap_err();
    assert!(matches!(error, heap::HeapError::Damaged(_)), "{error}");
}
