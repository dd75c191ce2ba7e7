//! Random command lines, run with the real tools of tboot and with this program under their names:
//! files, standard output and exit codes must be the same.
//!
//! The real tools come from Debian's package among the assets that `cargo xtask setup` downloads;
//! a plain `cargo test` without them says so and passes. `LCP_DIFFERENTIAL` is the number of command
//! lines (default 2000; 20000 when `TAOBOOT_THOROUGH` is set), `LCP_DIFFERENTIAL_SEED` the seed of
//! their choice.

mod elements;
mod lists;
mod policies;
mod random;
mod signatures;
mod tools;

use std::path::Path;

use random::{Line, Random};
use test_support::required;
use tools::{Done, ours, real_tools, run, shown};

/// What the command lines before have made, for those behind to use.
#[derive(Default)]
struct Made {
    elements: Vec<Vec<u8>>,
    lists: Vec<Vec<u8>>,
}

impl Made {
    /// The next command line: elements until there are some, then lists, then anything.
    fn next(&self, random: &mut Random, images: &[Vec<u8>]) -> Line {
        let kind = if self.elements.len() < 20 {
            0
        } else if self.lists.len() < 10 {
            1
        } else {
            random.below(6)
        };
        match kind {
            0 | 5 => elements::element(random),
            1 => lists::list(random, &self.elements),
            2 => lists::sign(random, &self.lists),
            3 => policies::policy(random, &self.lists),
            _ => policies::mle_hash(random, images),
        }
    }

    /// Keeps what a command line made.
    fn keep(&mut self, line: &Line, done: &Done) {
        match (line.tool, done.files.get("out")) {
            ("lcp2_crtpolelt", Some(out)) => self.elements.push(out.clone()),
            ("lcp2_crtpollist", Some(out)) => self.lists.push(out.clone()),
            _ => {}
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Lengths of the files that were made.
fn lengths(done: &Done) -> Vec<(&String, usize)> {
    let files = done.files.iter();
    files.map(|(name, bytes)| (name, bytes.len())).collect()
}

/// What differs, as a sentence; `None` when both did the same.
fn difference(line: &Line, theirs: &Done, mine: &Done) -> Option<String> {
    let succeeded = theirs.rc == Some(0);
    let files = if line.is_random() {
        lengths(theirs) == lengths(mine)
    } else {
        theirs.files == mine.files
    };
    let same = theirs.rc == mine.rc && (!succeeded || (theirs.stdout == mine.stdout && files));
    (!same).then(|| {
        format!(
            "{} {:?}\n of {}\n theirs {theirs}\n ours {mine}",
            line.tool,
            line.words,
            line.inputs()
        )
    })
}

#[test]
fn random_command_lines_do_what_the_real_tools_do() {
    let found = required(real_tools(), "the real tools (cargo xtask setup)");
    let Some(real) = found else {
        return;
    };
    let thorough = std::env::var_os("TAOBOOT_THOROUGH").is_some();
    let count = number("LCP_DIFFERENTIAL", if thorough { 20_000 } else { 2000 });
    let seed = number("LCP_DIFFERENTIAL_SEED", 1);
    let mut random = Random(seed);
    let ours = ours();
    let images = policies::images();
    let mut made = Made::default();
    let (mut done, mut succeeded, mut crashed) = (0u64, 0, 0);
    let mut wrong = Vec::new();
    while done < count && wrong.len() < 10 {
        let line = made.next(&mut random, &images);
        let mut next = Some(line);
        while let Some(line) = next.take() {
            let (theirs, mine) = both(&real, ours.path(), &line);
            done += 1;
            if theirs.rc.is_none() {
                crashed += 1;
            } else if let Some(sentence) = difference(&line, &theirs, &mine) {
                wrong.push(sentence);
            } else if theirs.rc == Some(0) {
                succeeded += 1;
                if !line.shows() {
                    made.keep(&line, &theirs);
                    next = shown(&line, &theirs, &mut random);
                }
            }
        }
    }
    println!(
        "seed {seed}: {done} command lines, {succeeded} with exit code 0, {crashed} crashes of theirs"
    );
    assert!(
        wrong.is_empty(),
        "seed {seed}, {} wrong:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert!(succeeded > done / 2);
}

/// Runs a command line with the real tool and with ours (`--compat`), at the same time.
fn both(real: &Path, ours: &Path, line: &Line) -> (Done, Done) {
    let mut words = line.words.clone();
    words.push("--compat".to_owned());
    std::thread::scope(|scope| {
        let theirs = scope.spawn(|| run(real, line, &line.words));
        let mine = run(ours, line, &words);
        (theirs.join().unwrap(), mine)
    })
}
