//! `tb_polgen`'s options: which there are, what their values mean, what goes together.

use anyhow::{Context, Result, bail};
use original_options::{
    getopt::{self, Opt, Step, flag, with},
    strtoul::strtoul,
};
use tboot_policy::{
    module::MAX_CMDLINE,
    vlp::{Check, ModuleNumber, Object, PolicyType},
};
use tpm::pcr::PcrIndex;
use txt::hash::HashAlg;

/// The original's name.
pub const NAME: &str = "tb_polgen";

const OPTIONS: [Opt; 17] = [
    flag("help", 'H'),
    flag("create", 'C'),
    flag("add", 'A'),
    flag("del", 'D'),
    flag("unwrap", 'U'),
    flag("show", 'S'),
    with("type", 't'),
    with("alg", 'a'),
    with("ctrl", 'c'),
    with("num", 'n'),
    with("pcr", 'p'),
    with("hash", 'h'),
    with("pos", 'o'),
    with("cmdline", 'l'),
    with("image", 'i'),
    with("elt", 'e'),
    flag("verbose", 'v'),
];

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Help = 1,
    Create = 2,
    Add = 3,
    Del = 4,
    Unwrap = 5,
    Show = 6,
}

/// The command line, with the original's defaults.
#[derive(Debug)]
pub struct Params {
    pub command: Command,
    pub policy_type: Option<PolicyType>,
    /// `None`: not given.
    pub alg: Option<HashAlg>,
    pub control: u32,
    /// -1: not given.
    pub num: i32,
    /// -1: not given; 255: none.
    pub pcr: i32,
    pub check: Option<Check>,
    /// `None`: not given, where the original takes 0.
    pub pos: Option<i32>,
    pub cmdline: String,
    pub image: String,
    pub elt: String,
    pub policy: String,
    pub verbose: bool,
}

/// A number as the original reads it: the whole text, base 0, cut to 32 bits.
fn number(option: &str, text: &str) -> Result<i32> {
    let (value, used) = strtoul(text, 0);
    if used != text.len() {
        bail!("{option} {text}: expected a number");
    }
    // The original keeps the low 32 bits.
    let [a, b, c, d, ..] = value.to_le_bytes();
    Ok(i32::from_le_bytes([a, b, c, d]))
}

fn one_of<T: Copy>(option: &str, text: &str, words: &[(&str, T)]) -> Result<T> {
    let found = words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).with_context(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("{option} {text}: expected {}", known.join(" or "))
    })
}

/// Parses the command line and checks what the original checks.
pub fn parse(words: &[String]) -> Result<Params> {
    let mut command = None;
    let mut params = Params {
        command: Command::Help,
        policy_type: None,
        alg: None,
        control: 1,
        num: -1,
        pcr: -1,
        check: None,
        pos: None,
        cmdline: String::new(),
        image: String::new(),
        elt: String::new(),
        policy: String::new(),
        verbose: false,
    };
    let (steps, operands) = getopt::parse(words, &OPTIONS);
    for step in steps {
        match step {
            Step::Option(id, value) => match as_command(id) {
                Some(this) => {
                    if command.replace(this).is_some() {
                        bail!("only one command can be specified");
                    }
                    if this == Command::Help {
                        break;
                    }
                }
                None => params.set(id, value)?,
            },
            // The original says so and goes on.
            Step::Wrong(message) => eprintln!("{}: {message}", NAME),
        }
    }
    if command == Some(Command::Help) {
        return Ok(params);
    }
    params.policy = operands
        .into_iter()
        .next()
        .context("no policy file is named: give it behind the options")?;
    params.command = command.context("no command: --create, --add, --del, --unwrap or --show")?;
    params.check_together()?;
    Ok(params)
}

const fn as_command(id: char) -> Option<Command> {
    Some(match id {
        'H' => Command::Help,
        'C' => Command::Create,
        'A' => Command::Add,
        'D' => Command::Del,
        'U' => Command::Unwrap,
        'S' => Command::Show,
        _ => return None,
    })
}

impl Params {
    fn set(&mut self, id: char, value: String) -> Result<()> {
        if self.verbose && matches!(id, 't' | 'a' | 'n' | 'p' | 'h') {
            println!("optarg = {value}");
        }
        match id {
            't' => {
                let words = [
                    ("nonfatal", PolicyType::NonFatal),
                    ("continue", PolicyType::Continue),
                    ("halt", PolicyType::Halt),
                ];
                self.policy_type = Some(one_of("--type", &value, &words)?);
            }
            'a' => {
                let words = [
                    ("sha1", HashAlg::Sha1),
                    ("sha256", HashAlg::Sha256),
                    ("sha384", HashAlg::Sha384),
                    ("sha512", HashAlg::Sha512),
                ];
                self.alg = Some(one_of("--alg", &value, &words)?);
            }
            'c' => match number("--ctrl", &value)? {
                control @ (0 | 1) => self.control = control.unsigned_abs(),
                _ => bail!("--ctrl {value}: expected 0 or 1"),
            },
            'n' if value.eq_ignore_ascii_case("any") => self.num = 129,
            'n' => self.num = number("--num", &value)?,
            'p' if value.eq_ignore_ascii_case("none") => self.pcr = 255,
            'p' => self.pcr = number("--pcr", &value)?,
            'h' => {
                let words = [("any", Check::Any), ("image", Check::Image)];
                self.check = Some(one_of("--hash", &value, &words)?);
            }
            'o' => self.pos = Some(number("--pos", &value)?),
            'l' => {
                let len = value.len();
                if len > MAX_CMDLINE {
                    bail!(
                        "the command line has {len} bytes, tboot hashes at most {MAX_CMDLINE}: shorten it"
                    );
                }
                self.cmdline = value;
            }
            'i' => self.image = value,
            'e' => self.elt = value,
            'v' => self.verbose = true,
            _ => {}
        }
        Ok(())
    }

    /// What each command needs.
    fn check_together(&self) -> Result<()> {
        let need = |holds: bool, sentence: &'static str| holds.then_some(()).context(sentence);
        need(!self.policy.is_empty(), "the policy file has no name")?;
        match self.command {
            Command::Help | Command::Show => Ok(()),
            Command::Create => need(
                self.policy_type.is_some(),
                "--create needs --type nonfatal, continue or halt",
            ),
            Command::Add => {
                let image = !self.image.is_empty();
                let any = self.check == Some(Check::Any);
                need(
                    any || image,
                    "--add needs --hash any, or --hash image with --image FILE",
                )?;
                need(!(any && image), "--hash any takes no --image")?;
                need(self.object().is_some(), "--add needs --num 0 to 127 or any")?;
                need(
                    self.register().is_some(),
                    "--add needs --pcr 0 to 23 or none",
                )?;
                need(self.check.is_some(), "--add needs --hash any or image")
            }
            Command::Del => need(self.object().is_some(), "--del needs --num 0 to 127 or any"),
            Command::Unwrap => need(!self.elt.is_empty(), "--unwrap needs --elt FILE"),
        }
    }

    /// The module of `--num`.
    pub fn object(&self) -> Option<Object> {
        match u8::try_from(self.num).ok()? {
            129 => Some(Object::AnyModule),
            number => ModuleNumber::new(number).map(Object::Module),
        }
    }

    /// The register of `--pcr`; the inner `None` is "none".
    pub fn register(&self) -> Option<Option<PcrIndex>> {
        match u8::try_from(self.pcr).ok()? {
            255 => Some(None),
            number => PcrIndex::try_from(number).ok().map(Some),
        }
    }

    /// The listing that `--verbose` begins with.
    pub fn print(&self) {
        let kind = self.policy_type.map_or(-1, |kind| kind as i32);
        let check = self.check.map_or(-1, |check| check as i32);
        let alg = self.alg.unwrap_or(HashAlg::Sha256).tpm_alg();
        println!("params:\n\t cmd = {}", self.command as i32);
        println!("\t policy_type = {kind}\n\t hash_alg = {alg}");
        println!(
            "\t policy_control = {}\n\t mod_num = {}",
            self.control, self.num
        );
        println!("\t pcr = {}\n\t hash_type = {check}", self.pcr);
        println!("\t pos = {}", self.pos.unwrap_or(0));
        println!("\t cmdline length = {}", self.cmdline.len());
        println!(
            "\t cmdline = {}\n\t image_file = {}",
            self.cmdline, self.image
        );
        println!(
            "\t elt_file = {}\n\t policy_file = {}",
            self.elt, self.policy
        );
    }
}
