//! Tests of the reader: what it must read, and that nothing makes it panic.

use proptest::prelude::*;

use super::super::compress::{Compression, compress};
use super::super::tree::{Node, Tree};
use super::*;

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.insert(
            path,
            Node::File {
                mode: 0o644,
                data: text.as_bytes().to_vec(),
            },
        )
        .unwrap();
    }
    tree.to_newc().unwrap()
}

fn names(parts: &[Part<'_>]) -> Vec<String> {
    parts
        .iter()
        .flat_map(|part| &part.entries)
        .map(|entry| String::from_utf8_lossy(&entry.name).into_owned())
        .collect()
}

#[test]
fn archives_open_and_packed_follow_each_other_with_zeros_between() {
    let mut image = archive(&[("early", "1")]);
    image.resize(image.len().next_multiple_of(512), 0);
    for form in [
        Compression::Gzip,
        Compression::Zstd,
        Compression::Xz,
        Compression::Lz4,
    ] {
        let mut inner = archive(&[(form.name(), "x")]);
        inner.resize(inner.len().next_multiple_of(512), 0);
        inner.extend(archive(&[("second", "y")]));
        image.extend(compress(form, &inner).unwrap());
        image.resize(image.len().next_multiple_of(4) + 8, 0);
    }
    let parts = read(&image).unwrap();
    assert_eq!(parts.len(), 9);
    assert_eq!(
        names(&parts),
        [
            "early", "gzip", "second", "zstd", "second", "xz", "second", "lz4", "second"
        ]
    );
    assert_eq!(parts[1].data(&parts[1].entries[0]), b"x");
}

#[test]
fn hard_links_share_the_content_of_the_last_one() {
    let mut image = Vec::new();
    for (name, data) in [("a", &b""[..]), ("b", b"content")] {
        let size = u32::try_from(data.len()).unwrap();
        let mut writer = cpio::newc::Builder::new(name)
            .ino(5)
            .nlink(2)
            .mode(0o100_644)
            .write(&mut image, size);
        std::io::Write::write_all(&mut writer, data).unwrap();
        writer.finish().unwrap();
    }
    cpio::newc::trailer(&mut image).unwrap();
    let parts = read(&image).unwrap();
    assert_eq!(parts[0].contents(), [b"content", b"content"]);
}

#[test]
fn damage_is_named_with_its_offset() {
    let good = archive(&[("file", "0123456789")]);
    let mut wrong_size = good.clone();
    wrong_size[54..62].copy_from_slice(b"FFFFFFFF");
    let mut wrong_digit = good.clone();
    wrong_digit[20] = b'+';
    let mut long_name = good.clone();
    long_name[94..102].copy_from_slice(b"7FFFFFFF");
    let mut no_nul = good.clone();
    no_nul[114] = b'x';
    let mut junk = good.clone();
    junk.extend_from_slice(b"junk");
    let cut = &good[..good.len() - 30];
    for (image, words) in [
        (&wrong_size[..], "only"),
        (&wrong_digit, "not a hexadecimal"),
        (&long_name, "a name of 2147483647"),
        (&no_nul, "does not end in NUL"),
        (&junk, "6a756e6b"),
        (cut, "cut off"),
        (&[0; 64], "no archive"),
        (b"", "no archive"),
        (b"BZh91AY", "bzip2"),
        (b"070707000000", "neither"),
    ] {
        let error = read(image).unwrap_err().to_string();
        assert!(error.contains(words), "{error} should contain {words}");
    }
}

#[test]
fn a_wrong_checksum_of_the_crc_form_is_found() {
    let mut image = Vec::new();
    let mut writer = cpio::newc::Builder::new("a")
        .mode(0o100_644)
        .write_crc(&mut image, 3, 6);
    std::io::Write::write_all(&mut writer, &[1, 2, 3]).unwrap();
    writer.finish().unwrap();
    cpio::newc::trailer(&mut image).unwrap();
    assert_eq!(read(&image).unwrap().len(), 1);
    let at = image
        .windows(3)
        .position(|window| window == [1, 2, 3])
        .unwrap();
    image[at] = 9;
    assert!(read(&image).unwrap_err().to_string().contains("checksum"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(read(&bytes).map_or(true, |parts| !parts.is_empty()));
    }

    #[test]
    fn a_damaged_image_is_read_or_refused(
        form in 0..5_usize,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let forms = [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Xz, Compression::Lz4];
        let mut image = compress(forms[form], &archive(&[("a/b", "text"), ("c", "more text")])).unwrap();
        for (index, byte) in flips {
            let at = index.index(image.len());
            image[at] = byte;
        }
        let cut = cut.index(image.len()) + 1;
        if let Ok(parts) = read(&image[..cut]) {
            for part in &parts {
                prop_assert_eq!(part.contents().len(), part.entries.len());
            }
        }
    }

    #[test]
    fn any_file_comes_back(
        files in proptest::collection::btree_map("[a-z]{1,12}", proptest::collection::vec(any::<u8>(), 0..99), 1..9),
    ) {
        let mut tree = Tree::default();
        for (path, data) in &files {
            tree.insert(path, Node::File { mode: 0o644, data: data.clone() }).unwrap();
        }
        let image = tree.to_newc().unwrap();
        let parts = read(&image).unwrap();
        for (entry, (path, data)) in parts[0].entries.iter().zip(&files) {
            prop_assert_eq!(&entry.name, path.as_bytes());
            prop_assert_eq!(parts[0].data(entry), &data[..]);
        }
        prop_assert_eq!(parts[0].entries.len(), files.len());
    }
}
