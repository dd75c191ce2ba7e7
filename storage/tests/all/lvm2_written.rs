//! Groups that lvm2 would not make: what an attacker writes, with checksums that are right.

use std::{collections::BTreeMap, io::Cursor};

use crate::written::{TEXT, disk};
use proptest::prelude::*;
use storage::{
    checksum,
    lvm2::{Candidate, GroupTextError, Node, group, mapping, read_text},
};

fn candidate(text: &str, place: usize) -> Candidate {
    let mut disk = Cursor::new(disk(text, place));
    Candidate::read("/dev/sda", &mut disk).unwrap().unwrap()
}

/// The table of root, or why there is none.
fn root(text: &str) -> Result<String, String> {
    let candidate = candidate(text, 512);
    if let Some(error) = candidate.damaged.first() {
        return Err(error.to_string());
    }
    let found = group("vg", &[candidate]).map_err(|error| error.to_string())?;
    let node = Node {
        major: 8,
        minor: 0,
        sectors: 8192,
    };
    let nodes = BTreeMap::from([("/dev/sda".to_owned(), node)]);
    let mapping = mapping(&found, "root", &nodes).map_err(|error| error.to_string())?;
    assert_eq!(mapping.name, "vg-root");
    let targets = mapping.targets.iter().map(ToString::to_string);
    Ok(targets.collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_text_is_found_wherever_the_ring_begins() {
    let expected = root(TEXT).unwrap();
    assert_eq!(
        expected,
        "0 256 linear 8:0 2688\n256 384 striped 2 16 8:0 3328 8:0 4608"
    );
    let whole = candidate(TEXT, 512).groups;
    for place in [
        513,
        40_000,
        65_536 - TEXT.len(),
        65_536 - TEXT.len() + 1,
        65_535,
    ] {
        assert_eq!(candidate(TEXT, place).groups, whole, "{place}");
    }
}

#[test]
fn what_the_group_may_not_say_is_refused_in_a_sentence() {
    let cases = [
        (
            "stripes = [\"pv0\", 14]",
            "stripes = [\"pv0\", 13]",
            "both have extent 13",
        ),
        ("\"pv0\", 40]", "\"pv0\", 22]", "both have extent 22"),
        ("\"pv0\", 40]", "\"pv0\", 88]", "goes beyond the end"),
        (
            "\"pv0\", 40]",
            "\"pv0\", 9223372036854775807]",
            "goes beyond the end",
        ),
        ("\"pv0\", 40]", "\"pv0\", -1]", "stripes"),
        ("\"pv0\", 40]", "\"pv1\", 40]", "is not in the group"),
        ("\"pv0\", 40]", "\"pv0\"]", "another number of stripes"),
        ("extent_count = 6", "extent_count = 7", "evenly"),
        (
            "extent_count = 6",
            "extent_count = 9223372036854775806",
            "goes beyond the end",
        ),
        (
            "start_extent = 4",
            "start_extent = 5",
            "does not begin where",
        ),
        (
            "start_extent = 4",
            "start_extent = 3",
            "does not begin where",
        ),
        ("stripe_size = 16", "stripe_size = 24", "power of two"),
        ("stripe_size = 16", "stripe_size = 128", "stripe_size"),
        ("segment_count = 2", "segment_count = 1", "segment_count"),
        ("segment_count = 2", "segment_count = 3", "segment_count"),
        ("segment2 {", "segment3 {", "segment_count"),
        ("pe_count = 90", "pe_count = 97", ""),
        ("pe_start = 2048", "pe_start = 7000", "goes to sector"),
        (
            "pe_start = 2048",
            "pe_start = 9223372036854775807",
            "goes to sector",
        ),
        ("extent_size = 64", "extent_size = 0", "extent_size"),
        (
            "extent_size = 64",
            "extent_size = 4294967296",
            "goes to sector",
        ),
        (
            "extent_size = 64",
            "extent_size = 4294967297",
            "extent_size",
        ),
        ("seqno = 2", "seqno = -2", "seqno"),
        (
            "\"RESIZEABLE\",",
            "\"SEALED\",",
            "\"SEALED\", which is not known",
        ),
        ("\"RESIZEABLE\",", "\"EXPORTED\",", "exported"),
        ("\"RESIZEABLE\",", "\"CLUSTERED\",", "shared"),
        (
            "flags = []\nextent_size",
            "lock_type=\"dlm\"\nextent_size",
            "shared",
        ),
        (
            "\"ALLOCATABLE\"",
            "\"ALLOCATABLE\", \"MISSING\"",
            "lacks its physical volume",
        ),
        (
            "status = [\"READ\", \"WRITE\", \"VISIBLE\"]",
            "status = [\"LOCKED\", \"VISIBLE\"]",
            "\"LOCKED\"",
        ),
        (
            "status = [\"READ\", \"WRITE\", \"VISIBLE\"]",
            "status = [\"READ\"]",
            "is a part of another",
        ),
        ("ynALiB", "xnALiB", "one UUID"),
        ("ynALiB", "ynALi/", "id"),
        ("swap {", "sw/ap {", "cannot be a name"),
        ("swap {", ".. {", "cannot be a name"),
        ("root {", "toor {", "no logical volume root"),
        ("vg {", "gv {", "no volume group vg"),
        ("version = 1", "version = 2", "format 1"),
        ("\nvg {", "\nother {}\nvg {", "one volume group"),
        (
            "type = \"striped\"\nstripe_count = 1\nstripes = [\"pv0\", 10]",
            "type = \"vdo\"",
            "type vdo",
        ),
        ("stripes = [\"pv0\", 14]", "stripes = [\"root\", 0]", ""),
        (
            "stripes = [\"pv0\", 10]",
            "stripes = [\"swap\", 0]",
            "striped on swap",
        ),
        (
            "stripes = [\"pv0\", 10]",
            "stripes = [\"root\", 0]",
            "consists of itself",
        ),
    ];
    for (before, after, wanted) in cases {
        assert!(TEXT.contains(before), "{before}");
        let answer = root(&TEXT.replacen(before, after, 1));
        match answer {
            Ok(_) => assert!(wanted.is_empty(), "{after} is accepted"),
            Err(error) => assert!(
                !wanted.is_empty() && error.contains(wanted),
                "{after}: {error}"
            ),
        }
    }
}

#[test]
fn volumes_that_consist_of_each_other_end() {
    let text = TEXT.replacen("stripes = [\"pv0\", 10]", "stripes = [\"swap\", 0]", 1);
    let text = text.replacen("stripes = [\"pv0\", 14]", "stripes = [\"root\", 0]", 1);
    let error = root(&text).unwrap_err();
    assert!(error.contains("consists of itself"), "{error}");
}

#[test]
fn an_origin_is_not_written_behind_its_snapshots_back() {
    let snapshot = "snapshot0 {\nid = \"wnALiB-qFJK-sQjH-V7pa-r26a-kgEA-DvyrNa\"\nstatus = [\"READ\"]\n\
        segment_count = 1\nsegment1 {\nstart_extent = 0\nextent_count = 10\ntype = \"snapshot\"\n\
        chunk_size = 8\norigin = \"root\"\ncow_store = \"swap\"\n}\n}\nswap {";
    let error = root(&TEXT.replacen("swap {", snapshot, 1)).unwrap_err();
    assert!(
        error.contains("is used by vg/snapshot0, of type snapshot"),
        "{error}"
    );
}

#[test]
fn headers_that_point_elsewhere_are_refused() {
    let sealed = |change: fn(&mut [u8])| {
        let mut disk = disk(TEXT, 512);
        change(&mut disk[4096..4608]);
        let sum = checksum::lvm(&disk[4100..4608]).to_le_bytes();
        disk[4096..4100].copy_from_slice(&sum);
        let candidate = Candidate::read("sda", &mut Cursor::new(disk))
            .unwrap()
            .unwrap();
        (
            candidate.groups.len(),
            candidate.damaged.first().map(ToString::to_string),
        )
    };
    let refused = |change, wanted: &str| {
        let (groups, damaged) = sealed(change);
        assert!(
            groups == 0 && damaged.as_ref().unwrap().contains(wanted),
            "{damaged:?}"
        );
    };
    assert_eq!(sealed(|_| {}), (1, None));
    refused(|header| header[24] ^= 1, "somewhere else");
    refused(|header| header[34] ^= 1, "somewhere else");
    refused(|header| header[20] = 2, "version 1");
    refused(
        |header| header[40..48].copy_from_slice(&511_u64.to_le_bytes()),
        "outside",
    );
    refused(
        |header| header[40..48].copy_from_slice(&65_536_u64.to_le_bytes()),
        "outside",
    );
    refused(|header| header[48..56].fill(0xff), "outside");
    refused(|header| header[48..56].fill(0), "outside");
    refused(|header| header[48] ^= 1, "text with a wrong checksum");
    // An area that the administrator took out, and a physical volume without a group.
    assert_eq!(sealed(|header| header[60] = 1), (0, None));
    assert_eq!(sealed(|header| header[40..48].fill(0)), (0, None));
}

#[test]
fn two_labels_are_one_too_many() {
    let mut disk = disk(TEXT, 512);
    let copy = disk[512..1024].to_vec();
    disk[1024..1536].copy_from_slice(&copy);
    // It says that it is in sector 1.
    assert!(
        Candidate::read("sda", &mut Cursor::new(disk.clone()))
            .unwrap()
            .is_some()
    );
    disk[1032] = 2;
    let error = Candidate::read("sda", &mut Cursor::new(disk)).unwrap_err();
    assert!(error.to_string().contains("another in sector 2"), "{error}");
}

#[test]
fn a_text_that_is_cut_anywhere_is_refused() {
    for length in 0..TEXT.trim_end().len() {
        assert!(read_text(&TEXT.as_bytes()[..length]).is_err(), "{length}");
    }
    read_text(TEXT.as_bytes()).unwrap();
}

#[test]
fn lists_without_end_are_refused() {
    let volumes: String = (0..8193)
        .map(|number| format!("v{number} {{}}\n"))
        .collect();
    let error = read_text(
        TEXT.replacen("swap {", &format!("{volumes}swap {{"), 1)
            .as_bytes(),
    );
    assert!(matches!(
        error,
        Err(GroupTextError::Many {
            what: "logical volumes",
            ..
        })
    ));
}

proptest! {
    #[test]
    fn a_table_never_leaves_its_device_and_never_overlaps(
        changes in prop::collection::vec((0_usize..40, 0_u64..200), 0..6)
    ) {
        // Some of the text's numbers are replaced.
        let mut text = String::new();
        let mut index = 0;
        for word in TEXT.split_inclusive(|letter: char| !letter.is_ascii_digit()) {
            let digits = word.trim_end_matches(|letter: char| !letter.is_ascii_digit());
            let change = changes.iter().find(|(place, _)| !digits.is_empty() && *place == index);
            index += usize::from(!digits.is_empty());
            match change {
                Some((_, number)) => text.push_str(&word.replacen(digits, &number.to_string(), 1)),
                None => text.push_str(word),
            }
        }
        if let Ok(table) = root(&text) {
            let mut next = 0;
            for line in table.lines() {
                let words: Vec<&str> = line.split(' ').collect();
                let number = |index: usize| words[index].parse::<u64>().unwrap();
                prop_assert_eq!(number(0), next);
                next += number(1);
                let (first, count) = if words[2] == "linear" { (4, 1) } else { (6, number(3)) };
                for stripe in 0..count {
                    let start = number(first + 2 * usize::try_from(stripe).unwrap());
                    prop_assert!(start + number(1) / count <= 8192, "{}", line);
                }
            }
        }
    }
}
