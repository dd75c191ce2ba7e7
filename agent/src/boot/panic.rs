//! What a defect of the agent does: the same as any failure of the boot.
//!
//! A panic may come while libcryptsetup is at work or memory is being handed out, so its hook does
//! nothing but execute this same program again, with what it has to know as arguments. The new one
//! holds no lock, closes the volumes, and carries out the failure policy. (With panic=abort and no
//! hook the kernel would stop with nothing but "attempted to kill init".)

use std::{
    os::unix::process::CommandExt,
    process::Command,
    sync::{Mutex, PoisonError, TryLockError},
    time::Duration,
};

use super::{close, failure, progress::Progress};
use crate::config::OnFailure;

/// The first argument of the program that is executed after a panic.
pub const WORD: &str = "--after-panic";
const NONE: &str = "-";
/// Between names of mappings, which have none in them.
const AND: &str = ",";
/// A message longer than this is cut: it has to fit into arguments and a kernel log record.
const LONGEST: usize = 800;

/// What a failure has to let go of, and what it does then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The failure policy.
    pub on_failure: OnFailure,
    /// How long the sentence stays.
    pub delay: Duration,
    /// Names of the volumes' mappings, open or not.
    pub volumes: Vec<String>,
}

static HELD: Mutex<Held> = Mutex::new(Held {
    on_failure: OnFailure::Reboot,
    delay: Duration::from_secs(10),
    volumes: Vec::new(),
});

/// Changes what a panic would find.
pub(super) fn hold(change: impl FnOnce(&mut Held)) {
    change(&mut HELD.lock().unwrap_or_else(PoisonError::into_inner));
}

/// From now on a panic ends as a failure of the boot.
pub(super) fn install_hook() {
    hand_over_to("/proc/self/exe");
}

/// From now on a panic executes this program.
fn hand_over_to(program: &'static str) {
    std::panic::set_hook(Box::new(move |panic| {
        let held = match HELD.try_lock() {
            Ok(held) => held.clone(),
            Err(TryLockError::Poisoned(held)) => held.into_inner().clone(),
            // It panicked while it was changed: then the strictest there is.
            Err(TryLockError::WouldBlock) => Held {
                on_failure: OnFailure::Poweroff,
                delay: Duration::from_secs(10),
                volumes: Vec::new(),
            },
        };
        let message = panic.to_string();
        let error = Command::new(program).args(held.words(&message)).exec();
        after(&held, &format!("{message}; {program}: {error}"))
    }));
}

/// What the program does that was executed after a panic; `None` for other arguments.
pub fn run(words: &[&str]) -> Option<std::convert::Infallible> {
    let (held, message) = Held::parse(words)?;
    after(&held, message)
}

fn after(held: &Held, message: &str) -> ! {
    // A second panic must not start it all again.
    std::panic::set_hook(Box::new(|_| {
        failure::carry_out(
            OnFailure::Reboot,
            Duration::from_secs(10),
            &mut Progress::start(),
        )
    }));
    let mut progress = Progress::start();
    progress.open_kernel_log();
    progress.error(&format!(
        "this is a defect of taoboot, please report it: {message}"
    ));
    for warning in close::close(&held.volumes) {
        progress.warn(&warning);
    }
    failure::carry_out(held.on_failure, held.delay, &mut progress)
}

impl Held {
    fn words(&self, message: &str) -> Vec<String> {
        let message: String = message
            .chars()
            .filter(|character| *character != '\0')
            .take(LONGEST)
            .collect();
        vec![
            WORD.into(),
            self.on_failure.word().into(),
            self.delay.as_secs().to_string(),
            if self.volumes.is_empty() {
                NONE.into()
            } else {
                self.volumes.join(AND)
            },
            message,
        ]
    }

    fn parse<'a>(words: &[&'a str]) -> Option<(Self, &'a str)> {
        let [WORD, on_failure, delay, volumes, message] = words else {
            return None;
        };
        let held = Self {
            on_failure: on_failure.parse().ok()?,
            delay: Duration::from_secs(delay.parse().ok()?),
            volumes: volumes
                .split(AND)
                .filter(|name| *name != NONE)
                .map(str::to_owned)
                .collect(),
        };
        Some((held, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        boot::{
            config::{Settings, cmdline::CommandLine},
            state::Boot,
        },
        config::Config,
    };

    #[test]
    fn what_is_held_arrives_after_the_exec() {
        for on_failure in [OnFailure::Reboot, OnFailure::Poweroff, OnFailure::Prompt] {
            for volumes in [&[] as &[&str], &["root"], &["root", "luks-0b5b"]] {
                let held = Held {
                    on_failure,
                    delay: Duration::from_secs(7),
                    volumes: volumes.iter().map(|name| (*name).to_owned()).collect(),
                };
                let words = held.words("panicked at x.rs:\nno\0nsense");
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let (arrived, message) = Held::parse(&words).unwrap();
                assert_eq!(arrived, held);
                assert_eq!(message, "panicked at x.rs:\nnonsense");
            }
        }
        assert!(Held::parse(&["--check-config", "x"]).is_none());
    }

    #[test]
    fn the_words_of_the_boot_decide_what_a_panic_does() {
        let mut boot = Boot::start();
        let held = || HELD.lock().unwrap().clone();
        // Before the configuration is read.
        let words = "taoboot.on_failure=poweroff taoboot.failure_delay=7 volume";
        boot.take_failure_words(&CommandLine::failure_words(words));
        assert_eq!(held().on_failure, OnFailure::Poweroff);
        assert_eq!(held().delay, Duration::from_secs(7));
        assert!(held().volumes.is_empty());
        // And then.
        let line = CommandLine::parse("taoboot.on_failure=prompt").unwrap();
        let text = "failure_delay = 8\n[[volume]]\ndevice = \"/dev/sda3\"\nname = \"held\"\n\
                    [[volume]]\ndevice = \"UUID=0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11\"\n";
        let config = Config::parse(text, "x").unwrap();
        boot.take_settings(Settings::merge(line, config).unwrap());
        let last = Held {
            on_failure: OnFailure::Prompt,
            delay: Duration::from_secs(8),
            volumes: vec![
                "held".into(),
                "luks-0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11".into(),
            ],
        };
        assert_eq!(held(), last);
        assert_eq!(
            last.words("x")[3],
            "held,luks-0b5bbd4a-6d7a-4b4b-9d5d-0f5a2d4f7b11"
        );
    }

    /// Not a test: the process that the next one starts. /bin/echo shows what is handed over.
    #[test]
    #[ignore = "it is the process that panics"]
    fn a_process_that_panics() {
        hold(|held| {
            held.on_failure = OnFailure::Poweroff;
            held.delay = Duration::from_secs(3600);
            held.volumes = vec!["none-of-this-name".into()];
        });
        hand_over_to("/bin/echo");
        panic!("boom");
    }

    /// Not a test either: a boot whose first phase panics, in a program that is not /init.
    #[test]
    #[ignore = "it is the process that panics"]
    fn a_boot_that_panics() {
        super::super::begin(|boot| {
            boot.take_failure_words(&CommandLine::failure_words("taoboot.failure_delay=3600"));
            panic!("boom")
        });
    }

    /// This program does not know the arguments that it is executed again with, and says so.
    #[test]
    fn a_boot_executes_itself_again_after_a_panic() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("boot::panic::tests::a_boot_that_panics")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(said.contains(WORD.trim_start_matches('-')), "{said}");
    }

    #[test]
    fn a_panic_executes_what_carries_out_the_policy() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("boot::panic::tests::a_process_that_panics")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let words = format!("{WORD} poweroff 3600 none-of-this-name ");
        assert!(output.status.success(), "{said}");
        assert!(said.contains(&words) && said.contains("boom"), "{said}");
    }
}
