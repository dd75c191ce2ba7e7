//! The first process of a program's own set of processes (its PID name space): it waits for
//! the host's end. Orphans of the program become its children; they need no waiting for,
//! because it ignores SIGCHLD. The host ends it when the program has ended, and the kernel ends
//! with it whatever the program left behind; if the host is killed it ends by itself.
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

/// `struct pollfd host = { 0, POLLIN, 0 }; ppoll(&host, 1, NULL, NULL, 0); exit_group(0)`:
/// descriptor 0 is one of the host's process, and tells of its end.
#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = &[
    0x48, 0xb8, 0, 0, 0, 0, 1, 0, 0, 0,    // mov rax, 0x100000000
    0x50, // push rax
    0x48, 0x89, 0xe7, // mov rdi, rsp
    0xbe, 0x01, 0x00, 0x00, 0x00, // mov esi, 1
    0x31, 0xd2, // xor edx, edx
    0x4d, 0x31, 0xd2, // xor r10, r10
    0x4d, 0x31, 0xc0, // xor r8, r8
    0xb8, 0x0f, 0x01, 0x00, 0x00, // mov eax, 271
    0x0f, 0x05, // syscall
    0x31, 0xff, // xor edi, edi
    0xb8, 0xe7, 0x00, 0x00, 0x00, // mov eax, 231
    0x0f, 0x05, // syscall
];
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = &[
    0x20, 0x00, 0xc0, 0xd2, // mov x0, 0x100000000
    0xe0, 0x0f, 0x1f, 0xf8, // str x0, [sp, -16]!
    0xe0, 0x03, 0x00, 0x91, // mov x0, sp
    0x21, 0x00, 0x80, 0xd2, // mov x1, 1
    0x02, 0x00, 0x80, 0xd2, // mov x2, 0
    0x03, 0x00, 0x80, 0xd2, // mov x3, 0
    0x04, 0x00, 0x80, 0xd2, // mov x4, 0
    0x28, 0x09, 0x80, 0xd2, // mov x8, 73
    0x01, 0x00, 0x00, 0xd4, // svc 0
    0x00, 0x00, 0x80, 0xd2, // mov x0, 0
    0xc8, 0x0b, 0x80, 0xd2, // mov x8, 94
    0x01, 0x00, 0x00, 0xd4, // svc 0
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
