//! Random command lines, run one after the other on a growing policy with the real `tb_polgen` and
//! with this program under its name: file, standard output and exit code must be the same.
//!
//! The real tool comes from Debian's tboot package among the downloaded assets; without it the test
//! says so and passes. `POLGEN_DIFFERENTIAL` is the number of command lines (default 2000, ten
//! times as many with TAOBOOT_THOROUGH=1), `POLGEN_DIFFERENTIAL_SEED` the seed of their choice.

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use test_support::required;

/// A small generator (SplitMix64): the same seed gives the same command lines everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// A number, now and then in another base, too large, or none.
    fn number(&mut self, usual: usize) -> String {
        let number = match self.below(40) {
            0 => self.below(300) as u64,
            1 => self.next(),
            _ => self.below(usual) as u64,
        };
        match self.below(40) {
            0 => format!("{number:#x}"),
            1 => format!("0{number:o}"),
            2 => format!("{number}x"),
            3 => format!("-{number}"),
            4 => format!(" +{number}"),
            _ => number.to_string(),
        }
    }
}

/// The directory of the real tool.
fn real_tool() -> Option<PathBuf> {
    let assets = std::env::var_os("TAOBOOT_ASSETS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/assets"),
        PathBuf::from,
    );
    let list = fs::read(assets.join("assets.json")).ok()?;
    let list: serde_json::Value = serde_json::from_slice(&list).expect("assets.json is JSON");
    let tool = PathBuf::from(list.get("tboot_tools")?.as_str()?).join("tb_polgen");
    tool.exists().then_some(tool)
}

/// An option with its value, in one of the ways that getopt_long_only takes.
fn option(random: &mut Random, words: &mut Vec<String>, name: &str, value: &str) {
    let dashes = random.pick(&["--", "--", "-"]);
    if random.chance(20) {
        words.push(format!("{dashes}{name}={value}"));
    } else {
        words.extend([format!("{dashes}{name}"), value.to_owned()]);
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Images: plain, empty, gzip, several members, gzip with something behind it.
fn images() -> Vec<(&'static str, Vec<u8>)> {
    let mut members = gzip(b"one ");
    members.extend(gzip(b"two"));
    let mut trailing = gzip(b"initramfs");
    trailing.extend([0; 512]);
    let mut behind = b"070701 cpio".to_vec();
    behind.extend(gzip(b"more"));
    vec![
        ("plain", b"kernel \x00\xff\x1f".to_vec()),
        ("empty", Vec::new()),
        ("gz", gzip(&[7; 3000])),
        ("members", members),
        ("trailing", trailing),
        ("behind", behind),
    ]
}

/// A custom element of type 3 around a policy, as the original takes it; now and then a wrong one.
/// (What is not a policy the original writes out all the same; that is never done here.)
fn element(random: &mut Random, policy: &[u8]) -> Vec<u8> {
    let mut element = u32::try_from(28 + policy.len())
        .unwrap()
        .to_le_bytes()
        .to_vec();
    let kind = if random.chance(90) { 3u32 } else { 0x13 };
    element.extend(kind.to_le_bytes());
    element.extend(1u32.to_le_bytes());
    element.extend([0x41; 16]);
    element.extend(policy);
    if random.chance(10) {
        element.truncate(random.below(element.len()));
    }
    element
}

fn cmdline(random: &mut Random) -> String {
    let len = match random.below(20) {
        0 => 1015 + random.below(20),
        1..4 => 0,
        _ => random.below(120),
    };
    (0..len)
        .map(|_| char::from(b' ' + u8::try_from(random.below(94)).unwrap()))
        .collect()
}

/// The words of one command line; `p` is the policy.
fn words(random: &mut Random) -> Vec<String> {
    let mut words = Vec::new();
    if random.chance(30) {
        words.push("--verbose".to_owned());
    }
    match random.below(20) {
        0..2 => {
            words.push("--create".to_owned());
            let kind = random.pick(&["nonfatal", "continue", "halt", "Halt", "stop"]);
            option(random, &mut words, "type", kind);
            if random.chance(60) {
                let alg = random.pick(&["sha1", "sha256", "SHA384", "sha512", "sha512", "sm3"]);
                option(random, &mut words, "alg", alg);
            }
            if random.chance(30) {
                let number = random.number(2);
                option(random, &mut words, "ctrl", &number);
            }
        }
        2..13 => {
            words.push(random.pick(&["--add", "-add", "--ad"]).to_owned());
            let number = random.number(6);
            let number = if random.chance(15) { "any" } else { &number };
            option(random, &mut words, "num", number);
            if random.chance(98) {
                let number = random.number(24);
                let number = if random.chance(25) { "none" } else { &number };
                option(random, &mut words, "pcr", number);
            }
            let kind = random.pick(&["image", "image", "image", "any", "any", "some"]);
            option(random, &mut words, "hash", kind);
            if (kind == "image") != random.chance(3) {
                if random.chance(80) {
                    let text = cmdline(random);
                    option(random, &mut words, "cmdline", &text);
                }
                let image = random.pick(&["plain", "empty", "gz", "members", "trailing", "behind"]);
                let image = if random.chance(2) { "missing" } else { image };
                option(random, &mut words, "image", image);
            }
        }
        13..17 => {
            words.push("--del".to_owned());
            let number = random.number(6);
            let number = if random.chance(20) { "any" } else { &number };
            option(random, &mut words, "num", number);
            if random.chance(50) {
                // With a negative one the original deletes bytes in front of the entry.
                let number = random.below(4).to_string();
                option(random, &mut words, "pos", &number);
            }
        }
        17 => {
            words.push("--unwrap".to_owned());
            option(random, &mut words, "elt", "e");
        }
        18 => words.push("--show".to_owned()),
        _ => words.push(
            random
                .pick(&["--help", "--bogus", "--c", "--show", "-s", "--t"])
                .to_owned(),
        ),
    }
    if random.chance(3) {
        words.push(
            random
                .pick(&["--show", "--bogus", "--verbose=1", "--num", "--"])
                .to_owned(),
        );
    }
    if random.chance(98) {
        words.push("p".to_owned());
    }
    words
}

/// What a command did: exit code (`None` for a crash), output, the policy.
#[derive(PartialEq)]
struct Done {
    rc: Option<i32>,
    stdout: Vec<u8>,
    policy: Option<Vec<u8>>,
}

fn run(tool: &Path, directory: &Path, words: &[String], more: &[&str]) -> Done {
    let output = Command::new(tool)
        .args(more)
        .args(words)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Done {
        rc: output.status.code(),
        stdout: output.stdout,
        policy: fs::read(directory.join("p")).ok(),
    }
}

/// Brings a directory's policy into a state.
fn set(directory: &Path, policy: Option<&Vec<u8>>) {
    match policy {
        Some(bytes) => fs::write(directory.join("p"), bytes).unwrap(),
        None if directory.join("p").exists() => fs::remove_file(directory.join("p")).unwrap(),
        None => {}
    }
}

#[test]
fn random_command_lines_do_what_the_real_tb_polgen_does() {
    let found = required(
        real_tool(),
        "the real tb_polgen (cargo xtask setup downloads it)",
    );
    let Some(real) = found else {
        return;
    };
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let thorough = std::env::var_os("TAOBOOT_THOROUGH").is_some_and(|value| value == "1");
    let count = number("POLGEN_DIFFERENTIAL", if thorough { 20_000 } else { 2000 });
    let seed = number("POLGEN_DIFFERENTIAL_SEED", 1);
    println!("seed {seed}");
    let mut random = Random(seed);
    let (mine, theirs, link) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let ours = link.path().join("tb_polgen");
    symlink(env!("CARGO_BIN_EXE_tboot-policy"), &ours).unwrap();
    for directory in [mine.path(), theirs.path()] {
        for (name, content) in images() {
            fs::write(directory.join(name), content).unwrap();
        }
    }
    let (mut succeeded, mut crashed, mut longest) = (0, 0, 0);
    let mut wrong = Vec::new();
    let mut policy: Option<Vec<u8>> = None;
    for _ in 0..count {
        if random.chance(3) {
            policy = None;
        }
        let element = element(
            &mut random,
            policy
                .as_deref()
                .unwrap_or(b"\x02\x02\x0b\x01\0\0\0\0\0\0\0\0"),
        );
        for directory in [mine.path(), theirs.path()] {
            set(directory, policy.as_ref());
            fs::write(directory.join("e"), &element).unwrap();
        }
        let words = words(&mut random);
        let original = run(&real, theirs.path(), &words, &[]);
        if original.rc.is_none() {
            crashed += 1;
            continue;
        }
        let done = run(&ours, mine.path(), &words, &["--compat"]);
        // What a refused command line said before it was refused does not matter.
        let output = original.rc != Some(0) || original.stdout == done.stdout;
        if original.rc != done.rc || !output || original.policy != done.policy {
            let show = |done: &Done| {
                let policy = done.policy.as_ref().map(hex::encode);
                format!(
                    "{:?} {policy:?}\n{}",
                    done.rc,
                    String::from_utf8_lossy(&done.stdout)
                )
            };
            wrong.push(format!(
                "{words:?} on {:?}\n theirs {}\n ours {}",
                policy.as_ref().map(hex::encode),
                show(&original),
                show(&done)
            ));
            if wrong.len() == 10 {
                break;
            }
        }
        succeeded += u64::from(original.rc == Some(0));
        policy = original.policy;
        longest = longest.max(policy.as_ref().map_or(0, Vec::len));
    }
    println!(
        "{count} command lines, {succeeded} with exit code 0, {crashed} crashes of theirs, longest policy {longest} bytes"
    );
    assert!(
        wrong.is_empty(),
        "seed {seed}, {} wrong:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert!(succeeded > count * 2 / 5);
}
