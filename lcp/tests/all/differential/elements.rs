//! Command lines of lcp2_crtpolelt.

use std::collections::BTreeMap;

use crate::differential::random::{Line, Random, option};

fn digest_len(alg: &str) -> usize {
    match alg {
        "sha1" => 20,
        "sha384" => 48,
        "sha512" => 64,
        _ => 32,
    }
}

/// A text file of hashes, now and then a wrong one.
fn hash_file(random: &mut Random, len: usize, most: usize) -> Vec<u8> {
    let mut text = String::new();
    for _ in 0..random.below(most) {
        let separator = random.pick(&[" ", " ", " ", ":", ",", ", ", "\t", " 0x", "-"]);
        let bytes = if random.chance(3) { len - 1 } else { len };
        let line = random.hex(bytes, separator);
        let line = if random.chance(20) {
            line.to_uppercase()
        } else {
            line
        };
        let before = random.pick(&["", "", "", "  ", "0x"]);
        let behind = random.pick(&["", "", "", " ", " \r", "  \t"]);
        text.push_str(&format!("{before}{line}{behind}\n"));
    }
    if random.chance(20) && text.ends_with('\n') {
        text.pop();
    }
    if random.chance(3) {
        text.push_str(random.pick(&["\n", "# comment\n", "xyz\n", "1ff 00\n"]));
    }
    text.into_bytes()
}

pub fn element(random: &mut Random) -> Line {
    let mut words = vec![random.pick(&["--create", "-create", "--crea"]).to_owned()];
    let mut files = BTreeMap::new();
    let kinds = [
        "mle", "mle2", "stm", "sbios", "pconf", "pconf2", "custom", "mle2", "sbios",
    ];
    let kind = random.pick(&kinds);
    option(random, &mut words, "type", kind);
    if random.chance(40) {
        let number = random.number();
        option(random, &mut words, "ctrl", &number);
    }
    let mut len = 20;
    match kind {
        "mle" if random.chance(50) => {
            let number = random.number();
            option(random, &mut words, "minver", &number);
        }
        "mle2" | "stm" | "sbios" => {
            if random.chance(80) {
                let alg = random.pick(&["sha1", "sha256", "sha384", "sha512", "sm3"]);
                option(random, &mut words, "alg", alg);
                len = digest_len(alg);
            }
            if kind == "mle2" && random.chance(40) {
                let number = random.number();
                option(random, &mut words, "minver", &number);
            }
        }
        "pconf2" => {
            let alg = random.pick(&["sha1", "sha256", "sha384", "sha512", "sm3"]);
            option(random, &mut words, "alg", alg);
            // PCR 7 is not in the original's digest, but memory that nobody has written is.
            for pcr in 0..7 {
                if random.chance(30) {
                    let bytes = digest_len(alg) - usize::from(random.chance(2));
                    let value = random.hex(bytes, "");
                    let value = if random.chance(3) {
                        value.replace('a', "z")
                    } else {
                        value
                    };
                    option(random, &mut words, &format!("pcr{pcr}"), &value);
                }
            }
        }
        "custom" if random.chance(90) => {
            let bytes: Vec<String> = (0..10)
                .map(|_| format!("{:#x}", random.below(250)))
                .collect();
            let uuid = format!(
                "{{{}, {{{}}}}}",
                bytes[..4].join(", "),
                bytes[4..].join(", ")
            );
            let uuid = if random.chance(30) {
                "tboot".to_owned()
            } else {
                uuid
            };
            option(random, &mut words, "uuid", &uuid);
        }
        _ => {}
    }
    if kind != "pconf2" {
        let most = if kind == "custom" { 2 } else { 3 };
        for number in 0..random.below(most + 1) {
            let name = format!("in{number}");
            let content = match kind {
                "custom" => random.hex(random.0 as usize % 50, "").into_bytes(),
                "pconf" => pconf_file(random),
                _ => hash_file(random, len, 14),
            };
            words.push(name.clone());
            files.insert(name, content);
        }
        if random.chance(2) {
            words.push("missing".to_owned());
        }
    }
    if random.chance(98) {
        option(random, &mut words, "out", "out");
    }
    if random.chance(2) {
        words.push(
            random
                .pick(&["--bogus", "-c", "--al", "--show", "--out"])
                .to_owned(),
        );
    }
    Line {
        tool: "lcp2_crtpolelt",
        words,
        files,
    }
}

fn pconf_file(random: &mut Random) -> Vec<u8> {
    let mut text = String::new();
    if random.chance(95) {
        text.push_str(&format!("locality:{:x}\n", 1 + random.below(33)));
    }
    if random.chance(20) {
        text.push_str("# comment\n\n");
    }
    for pcr in 0..8 {
        if random.chance(40) {
            let bytes = 20 - usize::from(random.chance(2));
            text.push_str(&format!("{pcr}:{}\n", random.hex(bytes, "")));
        }
    }
    text.into_bytes()
}
