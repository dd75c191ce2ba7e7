//! Command lines of lcp2_crtpollist.

use std::{collections::BTreeMap, fs, path::Path};

use crate::differential::random::{Line, Random, option};

pub fn list(random: &mut Random, elements: &[Vec<u8>]) -> Line {
    let mut words = vec!["--create".to_owned()];
    let mut files = BTreeMap::new();
    let versions = [
        "0x100", "0x200", "0x201", "0x300", "200", "300", "0x101", "0x400", "2.0", "0",
    ];
    let version = if random.chance(90) {
        random.below(6)
    } else {
        random.below(versions.len())
    };
    option(random, &mut words, "listver", versions[version]);
    for number in 0..random.below(6) {
        let name = format!("{number}.elt");
        let mut content = elements[random.below(elements.len())].clone();
        if random.chance(3) {
            content.pop();
        }
        words.push(name.clone());
        files.insert(name, content);
    }
    if random.chance(98) {
        option(random, &mut words, "out", "out");
    }
    Line {
        tool: "lcp2_crtpollist",
        words,
        files,
    }
}

pub fn sign(random: &mut Random, lists: &[Vec<u8>]) -> Line {
    let mut words = vec!["--sign".to_owned()];
    let mut files = BTreeMap::new();
    // Whether the original signs a signed list of version 3.0 again, cannot be foreseen.
    let fresh = |list: &&Vec<u8>| list[1] != 3 || list[2..4] == [0, 0];
    let lists: Vec<&Vec<u8>> = lists.iter().filter(fresh).collect();
    let list = lists[random.below(lists.len())].clone();
    // The original signs lists of version 1.0 with 1024 bits, and then cannot read them.
    let v3 = list[1] == 3;
    let first = usize::from(list[1] == 1 || v3);
    files.insert("out".to_owned(), list);
    for key in ["rsa1024", "rsa2048", "rsa3072"] {
        for name in [format!("{key}.pem"), format!("{key}.pub.pem")] {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys");
            files.insert(name.clone(), fs::read(directory.join(name)).unwrap());
        }
    }
    let key = random.pick(&["rsa1024", "rsa2048", "rsa2048", "rsa3072"][first..]);
    // Now and then a scheme that does not go with the list.
    let pss = v3 != random.chance(10);
    let scheme = if pss {
        random.pick(&["rsapss", "rsa-pss"])
    } else {
        random.pick(&["rsa", "rsassa", "rsa-ssa", "rsa-pkcs15"])
    };
    option(random, &mut words, "sigalg", scheme);
    if random.chance(50) {
        // The original signs with PSS and SHA-1, but does not verify that itself.
        let hashes = ["sha1", "sha256", "sha384"];
        let hash = random.pick(&hashes[usize::from(pss)..]);
        option(random, &mut words, "hashalg", hash);
    }
    if random.chance(50) {
        let counter = random.below(65_536).to_string();
        option(random, &mut words, "rev", &counter);
    }
    option(random, &mut words, "pub", &format!("{key}.pub.pem"));
    option(random, &mut words, "priv", &format!("{key}.pem"));
    option(random, &mut words, "out", "out");
    Line {
        tool: "lcp2_crtpollist",
        words,
        files,
    }
}
