//! The programs that go into the machine need nothing of it.

use harness::programs;
use object::elf;
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};

/// Interpreter and needed libraries of an ELF file.
fn needs(bytes: &[u8]) -> Vec<String> {
    let header = elf::FileHeader64::<object::Endianness>::parse(bytes).unwrap();
    let endian = header.endian().unwrap();
    let mut found = Vec::new();
    for segment in header.program_headers(endian, bytes).unwrap() {
        if segment.p_type(endian) == elf::PT_INTERP {
            found.push("PT_INTERP".to_owned());
        }
        for entry in segment
            .dynamic(endian, bytes)
            .unwrap()
            .into_iter()
            .flatten()
        {
            if entry.d_tag(endian) == elf::DT_NEEDED {
                found.push("DT_NEEDED".to_owned());
            }
        }
    }
    found
}

#[test]
fn no_program_of_taoboot_has_an_interpreter_or_needs_a_library() {
    for name in ["init", "taoboot", "tao", "tao-report"] {
        let bytes = std::fs::read(programs::path(name).unwrap()).unwrap();
        assert!(needs(&bytes).is_empty(), "{name}: {:?}", needs(&bytes));
    }
    // The control: this test itself has both.
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(needs(&own).contains(&"PT_INTERP".to_owned()));
    assert!(needs(&own).contains(&"DT_NEEDED".to_owned()));
}
