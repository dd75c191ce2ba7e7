//! Command lines of lcp2_crtpol and lcp2_mlehash.

use std::{collections::BTreeMap, fs, path::Path};

use crate::differential::random::{Line, Random, option};

pub fn policy(random: &mut Random, lists: &[Vec<u8>]) -> Line {
    let mut words = vec!["--create".to_owned()];
    let mut files = BTreeMap::new();
    let any = random.chance(50);
    option(random, &mut words, "type", if any { "any" } else { "list" });
    if random.chance(80) {
        let versions = [
            "2.0", "2.1", "2.2", "2.3", "2.4", "3.0", "3.1", "3.2", "3.3",
        ];
        let version = random.pick(&versions);
        option(random, &mut words, "polver", version);
    }
    if random.chance(90) {
        let alg = random.pick(&["sha1", "sha256", "sha384", "sha512", "sm3", "md5"]);
        option(random, &mut words, "alg", alg);
    }
    for _ in 0..random.below(3) {
        let signs = [
            "rsa-2048-sha256",
            "rsa-3072-sha384",
            "ecdsa-p256",
            "sm2",
            "0x8",
            "12",
            "0",
        ];
        let sign = random.pick(&signs);
        option(random, &mut words, "sign", sign);
    }
    for name in ["minver", "max_sinit_min", "ctrl"] {
        if random.chance(30) {
            let number = random.number();
            option(random, &mut words, name, &number);
        }
    }
    if random.chance(30) {
        let counters: Vec<String> = (0..1 + random.below(10)).map(|_| random.number()).collect();
        option(random, &mut words, "rev", &counters.join(","));
    }
    for name in ["mask", "auxalg"] {
        if random.chance(25) {
            let mask = random.pick(&["sha1", "sha256", "sha384", "0x49", "8", "sm3"]);
            option(random, &mut words, name, mask);
        }
    }
    option(random, &mut words, "pol", "out");
    if !any {
        if random.chance(98) {
            option(random, &mut words, "data", "data");
        }
        for number in 0..random.below(5) {
            let name = format!("{number}.lst");
            words.push(name.clone());
            files.insert(name, lists[random.below(lists.len())].clone());
        }
    }
    Line {
        tool: "lcp2_crtpol",
        words,
        files,
    }
}

/// Small executables with an MLE header.
pub fn images() -> Vec<Vec<u8>> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/mlehash");
    ["one-seg", "bss", "cmd16", "two-seg-rev", "note-seg"]
        .iter()
        .map(|name| fs::read(vectors.join(format!("{name}.elf.gz"))).unwrap())
        .map(|file| txt::gunzip::gunzip(&file, 1 << 20).unwrap().into_owned())
        .collect()
}

pub fn mle_hash(random: &mut Random, images: &[Vec<u8>]) -> Line {
    let mut words = vec!["--create".to_owned()];
    let mut files = BTreeMap::new();
    let mut image = images[random.below(images.len())].clone();
    if random.chance(10) {
        // The fields that say what file it is. The original does not look at class and version in
        // e_ident, and behind these fields it reads what is not there.
        let at = [0, 1, 2, 3, 5, 0x10, 0x11, 0x12, 0x13][random.below(9)];
        image[at] ^= 1 << random.below(8);
    }
    files.insert("tboot".to_owned(), image);
    if random.chance(80) {
        let len = if random.chance(20) {
            500 + random.below(30)
        } else {
            random.below(80)
        };
        let text: String = (0..len)
            .map(|_| char::from(b' ' + u8::try_from(random.below(94)).unwrap()))
            .collect();
        option(random, &mut words, "cmdline", &text);
    }
    if random.chance(80) {
        let alg = random.pick(&["sha1", "sha256", "sha384", "sha512", "sm3", "md5"]);
        option(random, &mut words, "alg", alg);
    }
    words.push("tboot".to_owned());
    Line {
        tool: "lcp2_mlehash",
        words,
        files,
    }
}
