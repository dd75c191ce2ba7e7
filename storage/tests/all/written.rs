//! A volume group that is written by hand.

use storage::checksum;

/// The UUID of its disk.
pub const PHYSICAL: &str = "aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg";

/// One disk with the volumes root (two segments) and swap.
pub const TEXT: &str = r#"# made by hand
contents = "Text Format Volume Group"
version = 1
vg {
id = "zmdKiA-VZtp-B86L-XAkt-rcu0-4Yww-nmH4Ku"
seqno = 2
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = 64
physical_volumes {
pv0 {
id = "aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg"
device = "/dev/sda"
status = ["ALLOCATABLE"]
flags = []
dev_size = 8192
pe_start = 2048
pe_count = 90
}
}
logical_volumes {
root {
id = "xnALiB-qFJK-sQjH-V7pa-r26a-kgEA-DvyrNa"
status = ["READ", "WRITE", "VISIBLE"]
segment_count = 2
segment1 {
start_extent = 0
extent_count = 4
type = "striped"
stripe_count = 1
stripes = ["pv0", 10]
}
segment2 {
start_extent = 4
extent_count = 6
type = "striped"
stripe_count = 2
stripe_size = 16
stripes = ["pv0", 20,
"pv0", 40]
}
}
swap {
id = "ynALiB-qFJK-sQjH-V7pa-r26a-kgEA-DvyrNa"
status = ["READ", "VISIBLE"]
segment_count = 1
segment1 {
start_extent = 0
extent_count = 2
type = "striped"
stripe_count = 1
stripes = ["pv0", 14]
}
}
}
}
"#;

/// A disk of 4 MiB with a label, a metadata area of 64 KiB and the text at `place` in its ring.
pub fn disk(text: &str, place: usize) -> Vec<u8> {
    const AREA: usize = 4096;
    const RING: usize = 65_536;
    let mut disk = vec![0; 4 << 20];
    let mut put = |at: usize, bytes: &[u8]| disk[at..at + bytes.len()].copy_from_slice(bytes);
    let (first, rest) = text.as_bytes().split_at(text.len().min(RING - place));
    put(AREA + place, first);
    put(AREA + 512, rest);
    let number = |number: usize| (number as u64).to_le_bytes();
    let mut header = b" LVM2 x[5A%r0N*>\x01\0\0\0".to_vec();
    for value in [AREA, RING, place, text.len()] {
        header.extend_from_slice(&number(value));
    }
    header.extend_from_slice(&checksum::lvm(text.as_bytes()).to_le_bytes());
    header.resize(508, 0);
    put(AREA, &checksum::lvm(&header).to_le_bytes());
    put(AREA + 4, &header);
    let mut label = 32_u32.to_le_bytes().to_vec();
    label.extend_from_slice(b"LVM2 001");
    label.extend_from_slice(PHYSICAL.replace('-', "").as_bytes());
    for value in [4 << 20, 1 << 20, 0, 0, 0, AREA, RING, 0, 0] {
        label.extend_from_slice(&number(value));
    }
    label.resize(492, 0);
    put(512, b"LABELONE\x01\0\0\0\0\0\0\0");
    put(528, &checksum::lvm(&label).to_le_bytes());
    put(532, &label);
    disk
}
