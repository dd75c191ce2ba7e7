//! The first process of a program's own set of processes (its PID name space): it waits for
//! ever. Orphans of the program become its children; they need no waiting for, because it
//! ignores SIGCHLD. The host ends it when the program has ended, and the kernel ends with it
//! whatever the program left behind.
//!
//! The program itself can't be the first process: signals do not reach that one unless it
//! handles them, so SIGTERM, abort() and `kill -9 $$` would do nothing. A copy of the host
//! can't be it either: it would keep the host's keys in its memory. So it is an ELF file of a
//! handful of instructions, made here.

use std::{fs::File, io, io::Write as _, os::fd::OwnedFd};

use super::measured;

/// Where it is loaded.
const ADDRESS: u64 = 0x40_0000;
const HEADER: u64 = 64;
const SEGMENT: u64 = 56;

/// `loop: ppoll(NULL, 0, NULL, NULL, 0)`: returns for no reason but a signal.
#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = &[
    0x31, 0xff, // xor edi, edi
    0x31, 0xf6, // xor esi, esi
    0x31, 0xd2, // xor edx, edx
    0x4d, 0x31, 0xd2, // xor r10, r10
    0x4d, 0x31, 0xc0, // xor r8, r8
    0xb8, 0x0f, 0x01, 0x00, 0x00, // mov eax, 271
    0x0f, 0x05, // syscall
    0xeb, 0xeb, // jmp to the beginning
];
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = &[
    0x00, 0x00, 0x80, 0xd2, // mov x0, 0
    0x01, 0x00, 0x80, 0xd2, // mov x1, 0
    0x02, 0x00, 0x80, 0xd2, // mov x2, 0
    0x03, 0x00, 0x80, 0xd2, // mov x3, 0
    0x04, 0x00, 0x80, 0xd2, // mov x4, 0
    0x28, 0x09, 0x80, 0xd2, // mov x8, 73
    0x01, 0x00, 0x00, 0xd4, // svc 0
    0xf9, 0xff, 0xff, 0x17, // b to the beginning
];

/// The file: an ELF header, one segment, the code.
fn image() -> Vec<u8> {
    let length = HEADER + SEGMENT + CODE.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let half = |file: &mut Vec<u8>, number: u16| file.extend(number.to_le_bytes());
    let word = |file: &mut Vec<u8>, number: u32| file.extend(number.to_le_bytes());
    let long = |file: &mut Vec<u8>, number: u64| file.extend(number.to_le_bytes());
    half(&mut file, 2); // executable
    half(&mut file, measured::MACHINE);
    word(&mut file, 1);
    long(&mut file, ADDRESS + HEADER + SEGMENT); // first instruction
    long(&mut file, HEADER); // segments
    long(&mut file, 0); // no sections
    word(&mut file, 0);
    for number in [HEADER as u16, SEGMENT as u16, 1, 0, 0, 0] {
        half(&mut file, number);
    }
    word(&mut file, 1); // to be loaded
    word(&mut file, 5); // readable, executable
    for number in [0, ADDRESS, ADDRESS, length, length, 0x1000] {
        long(&mut file, number);
    }
    file.extend(CODE);
    file
}

/// The file in sealed memory.
pub(super) fn program() -> io::Result<OwnedFd> {
    let mut memory: File = measured::sealable_memory()?;
    memory.write_all(&image())?;
    measured::seal(&memory)?;
    Ok(memory.into())
}
