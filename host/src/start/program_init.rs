//! The first process of a program's own set of processes (its PID namespace): it waits for
//! the host's end. Orphans of the program become its children; they need no waiting for,
//! because it ignores SIGCHLD. The host ends it when the program has ended, and the kernel ends
//! with it whatever the program left behind; if the host is killed it ends by itself.
//!
//! SIGTERM ends it if it is alone: a machine that shuts down asks all processes to end, and
//! would wait for a set that no program uses yet.
//!
//! The program itself cannot be the first process: signals do not reach that one unless it
//! handles them, so SIGTERM, abort() and `kill -9 $$` would do nothing. A copy of the host
//! cannot be it either: it would keep the host's keys in its memory. So it is an ELF file of a
//! handful of instructions, made here.

use std::{fs::File, io, io::Write as _, os::fd::OwnedFd};

use crate::measure::{
    kind::MACHINE,
    sealed_memory::{seal, sealable_memory},
};

/// Where it is loaded.
const ADDRESS: u64 = 0x40_0000;
const HEADER: u64 = 64;
const SEGMENT: u64 = 56;

/// Descriptor 0 is one of the host's process, and tells of its end; 2 tells of SIGTERM.
///
/// ```text
/// struct pollfd both[] = {{0, POLLIN}, {2, POLLIN}};
/// do {
///     if (ppoll(both, 2, NULL, NULL, 0) <= 0 || both[0].revents) break;
///     read(2, buffer, 128);
/// } while (kill(-1, 0) == 0);      // there is another process
/// exit_group(0);
/// ```
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const CODE: &[u8] = &[
    0x48, 0xb8, 0x02, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, // mov rax, 0x100000002
    0x50, // push rax
    0x48, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, // mov rax, 0x100000000
    0x50, // push rax
    0x48, 0x89, 0xe7, // again: mov rdi, rsp
    0xbe, 0x02, 0x00, 0x00, 0x00, // mov esi, 2
    0x31, 0xd2, // xor edx, edx
    0x4d, 0x31, 0xd2, // xor r10, r10
    0x4d, 0x31, 0xc0, // xor r8, r8
    0xb8, 0x0f, 0x01, 0x00, 0x00, // mov eax, 271
    0x0f, 0x05, // syscall
    0x85, 0xc0, // test eax, eax
    0x7e, 0x3a, // jle end
    0x80, 0x7c, 0x24, 0x06, 0x00, // cmp byte ptr [rsp + 6], 0
    0x75, 0x33, // jne end
    0x48, 0x81, 0xec, 0x80, 0x00, 0x00, 0x00, // sub rsp, 128
    0xbf, 0x02, 0x00, 0x00, 0x00, // mov edi, 2
    0x48, 0x89, 0xe6, // mov rsi, rsp
    0xba, 0x80, 0x00, 0x00, 0x00, // mov edx, 128
    0x31, 0xc0, // xor eax, eax
    0x0f, 0x05, // syscall
    0x48, 0x81, 0xc4, 0x80, 0x00, 0x00, 0x00, // add rsp, 128
    0x48, 0xc7, 0xc7, 0xff, 0xff, 0xff, 0xff, // mov rdi, -1
    0x31, 0xf6, // xor esi, esi
    0xb8, 0x3e, 0x00, 0x00, 0x00, // mov eax, 62
    0x0f, 0x05, // syscall
    0x85, 0xc0, // test eax, eax
    0x74, 0xab, // jz again
    0x31, 0xff, // end: xor edi, edi
    0xb8, 0xe7, 0x00, 0x00, 0x00, // mov eax, 231
    0x0f, 0x05, // syscall
];
#[cfg(target_arch = "aarch64")]
#[rustfmt::skip]
const CODE: &[u8] = &[
    0x41, 0x00, 0x80, 0xd2, // mov x1, 2
    0x21, 0x00, 0xc0, 0xf2, // movk x1, 1, lsl 32
    0x20, 0x00, 0xc0, 0xd2, // mov x0, 0x100000000
    0xe0, 0x07, 0xbf, 0xa9, // stp x0, x1, [sp, -16]!
    0xe0, 0x03, 0x00, 0x91, // again: mov x0, sp
    0x41, 0x00, 0x80, 0xd2, // mov x1, 2
    0x02, 0x00, 0x80, 0xd2, // mov x2, 0
    0x03, 0x00, 0x80, 0xd2, // mov x3, 0
    0x04, 0x00, 0x80, 0xd2, // mov x4, 0
    0x28, 0x09, 0x80, 0xd2, // mov x8, 73
    0x01, 0x00, 0x00, 0xd4, // svc 0
    0x1f, 0x00, 0x00, 0x71, // cmp w0, 0
    0xed, 0x01, 0x00, 0x54, // b.le end
    0xe0, 0x0f, 0x40, 0x79, // ldrh w0, [sp, 6]
    0xa0, 0x01, 0x00, 0x35, // cbnz w0, end
    0xff, 0x03, 0x02, 0xd1, // sub sp, sp, 128
    0x40, 0x00, 0x80, 0xd2, // mov x0, 2
    0xe1, 0x03, 0x00, 0x91, // mov x1, sp
    0x02, 0x10, 0x80, 0xd2, // mov x2, 128
    0xe8, 0x07, 0x80, 0xd2, // mov x8, 63
    0x01, 0x00, 0x00, 0xd4, // svc 0
    0xff, 0x03, 0x02, 0x91, // add sp, sp, 128
    0x00, 0x00, 0x80, 0x92, // mov x0, -1
    0x01, 0x00, 0x80, 0xd2, // mov x1, 0
    0x28, 0x10, 0x80, 0xd2, // mov x8, 129
    0x01, 0x00, 0x00, 0xd4, // svc 0
    0x40, 0xfd, 0xff, 0x34, // cbz w0, again
    0x00, 0x00, 0x80, 0xd2, // end: mov x0, 0
    0xc8, 0x0b, 0x80, 0xd2, // mov x8, 94
    0x01, 0x00, 0x00, 0xd4, // svc 0
];

/// The file: an ELF header, one segment, the code.
fn image() -> Vec<u8> {
    let length = (HEADER + SEGMENT).saturating_add(CODE.len() as u64);
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let half = |file: &mut Vec<u8>, number: u16| file.extend(number.to_le_bytes());
    let word = |file: &mut Vec<u8>, number: u32| file.extend(number.to_le_bytes());
    let long = |file: &mut Vec<u8>, number: u64| file.extend(number.to_le_bytes());
    half(&mut file, 2); // executable
    half(&mut file, MACHINE);
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
pub(crate) fn program() -> io::Result<OwnedFd> {
    let mut memory: File = sealable_memory(c"tao-program-init")?;
    memory.write_all(&image())?;
    seal(&memory)?;
    Ok(memory.into())
}
