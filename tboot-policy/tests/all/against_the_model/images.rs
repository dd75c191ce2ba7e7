//! Images of a tboot: 32-bit executables of a few segments, most with an MLE header.

use proptest::{collection::vec, prelude::*, sample::select};

const UUID: [u8; 16] = [
    0x5a, 0xac, 0x82, 0x90, 0x6f, 0x47, 0xa7, 0x74, 0x0f, 0x5c, 0x55, 0xa2, 0xcb, 0x51, 0xb6, 0x42,
];

/// A file.
pub fn image() -> impl Strategy<Value = Vec<u8>> {
    let segment = (
        prop_oneof![5 => Just(1u32), 1 => Just(4u32)],
        vec(any::<u8>(), 0..100),
        0..100u32,
    );
    // Mostly where it is looked for.
    let at = prop_oneof![6 => (0..4usize).prop_map(|at| at * 16), 1 => 0..64usize];
    let damage = prop_oneof![9 => Just(None), 1 => (0..52usize, any::<u8>()).prop_map(Some)];
    (
        header(),
        at,
        vec(segment, 0..3),
        select(vec![32u16, 40, 20, 32]),
        damage,
    )
        .prop_map(|(header, at, mut segments, entry_len, damage)| {
            let mut first = vec![0x55; 200];
            first.splice(at..at + header.len(), header);
            segments.insert(0, (1, first, 50));
            let mut file = elf(&segments, entry_len);
            if let Some((at, byte)) = damage {
                file[at] = byte;
            }
            file
        })
}

/// The MLE header, with places that mostly lie in the image.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let place = || prop_oneof![9 => 0..200u32, 1 => any::<u32>()];
    let range = || {
        let sorted = (place(), place()).prop_map(|(a, b)| (a.min(b), a.max(b)));
        prop_oneof![9 => sorted, 1 => (place(), place())]
    };
    (range(), any::<u32>(), range()).prop_map(|(pages, capabilities, cmdline)| {
        let mut bytes = UUID.to_vec();
        for number in [
            0x34,
            0x20001,
            0,
            0,
            pages.0,
            pages.1,
            capabilities,
            cmdline.0,
            cmdline.1,
        ] {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    })
}

/// An executable of these segments: (type, bytes, zeros behind them in memory).
fn elf(segments: &[(u32, Vec<u8>, u32)], entry_len: u16) -> Vec<u8> {
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2, 0, 3, 0, 1, 0, 0, 0]);
    // Entry, program headers, section headers, flags.
    for number in [0u32, 52, 0, 0] {
        file.extend(number.to_le_bytes());
    }
    let count = u16::try_from(segments.len()).unwrap();
    for number in [52, entry_len, count, 0, 0, 0] {
        file.extend(number.to_le_bytes());
    }
    let mut offset = 52 + usize::from(entry_len) * segments.len();
    for (kind, bytes, zeros) in segments {
        let begin = file.len();
        let len = u32::try_from(bytes.len()).unwrap();
        for number in [
            *kind,
            u32::try_from(offset).unwrap(),
            0,
            0,
            len,
            len + zeros,
            0,
            0,
        ] {
            file.extend(number.to_le_bytes());
        }
        file.resize(begin + usize::from(entry_len), 0);
        offset += bytes.len();
    }
    for (_, bytes, _) in segments {
        file.extend(bytes);
    }
    file
}
