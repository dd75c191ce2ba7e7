//! Random numbers and the command lines made of them.

use std::collections::BTreeMap;

/// A small generator (SplitMix64): the same seed gives the same command lines everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    pub fn hex(&mut self, bytes: usize, separator: &str) -> String {
        let pairs: Vec<String> = (0..bytes)
            .map(|_| format!("{:02x}", self.below(256)))
            .collect();
        pairs.join(separator)
    }

    pub fn number(&mut self) -> String {
        let number = match self.below(4) {
            0 => self.below(4) as u64,
            1 => self.below(256) as u64,
            2 => self.below(70_000) as u64,
            _ => self.next() >> 30,
        };
        match self.below(5) {
            0 => format!("{number:#x}"),
            1 => format!("0{number:o}"),
            2 if self.chance(20) => format!("{number}x"),
            _ => number.to_string(),
        }
    }
}

/// A command line: tool, words, and the files that it finds.
pub struct Line {
    pub tool: &'static str,
    pub words: Vec<String>,
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Line {
    /// Does it make a signature with fresh randomness?
    pub fn is_random(&self) -> bool {
        self.words.iter().any(|word| word.contains("pss"))
    }

    /// The files that it finds, but keys.
    pub fn inputs(&self) -> String {
        let files = self
            .files
            .iter()
            .filter(|(name, _)| !name.ends_with(".pem"));
        let files = files.map(|(name, bytes)| format!("{name}={}", hex::encode(bytes)));
        files.collect::<Vec<_>>().join(" ")
    }

    /// Does it only show a file?
    pub fn shows(&self) -> bool {
        self.words[0] == "--show"
    }
}

/// An option with its value, in one of the ways that getopt_long_only takes.
pub fn option(random: &mut Random, words: &mut Vec<String>, name: &str, value: &str) {
    let dashes = random.pick(&["--", "--", "-"]);
    if random.chance(20) {
        words.push(format!("{dashes}{name}={value}"));
    } else {
        words.extend([format!("{dashes}{name}"), value.to_owned()]);
    }
}
