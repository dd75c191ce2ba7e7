//! The report for a person.

use agent::boot::report::Outcome;
use agent::config::OnFailure;
use tao::attestation::Opened;

use super::examples;
use super::facts::{Agent, Attack, Boot, Check, Facts, Timed, Userland};
use super::paint::Paint;
use super::tables::{WIDTH, bars, duration, item, short_hex, size, wrapped};

/// What goes into each register, as the demo's launch policy has it.
const REGISTERS: [(u8, &str); 3] = [
    (17, "tboot, SINIT, policies"),
    (18, "kernel, command line"),
    (19, "initramfs"),
];
/// Shorter phases of /init share one line.
const SHORT_PHASE: f64 = 0.001;

/// All of it.
pub fn report(facts: &Facts, paint: Paint) -> String {
    let mut text = heading(
        "taoboot: a machine that unlocks itself, and only itself",
        paint,
    );
    text += &wrapped(
        "GRUB, tboot, Linux, the TPM 2.0 (swtpm), the encrypted Debian and every program of taoboot are \
         the real ones, in QEMU.",
        2,
    );
    text += &format!("  {}\n", paint.bold("The TXT launch is SIMULATED."));
    text += &wrapped(
        "SENTER and Intel's SINIT module run in no emulator. A proxy in front of the TPM plays what they \
         would do: it resets PCR 17-22 from locality 4 and extends them as tboot's rules demand, from the \
         very files on the boot disk. tboot itself finds no TXT here and starts the kernel unmeasured.",
        2,
    );
    text += &made(facts, paint);
    text += &heading("the approved machine boots", paint);
    text += &registers(facts, paint);
    text += &unlocked(&facts.boot, paint);
    text += &heading("where the time went", paint);
    text += &times(facts, paint);
    text += &attack(facts, paint);
    text += &heading("what was expected", paint);
    text += &facts
        .checks
        .iter()
        .map(|check| expected(check, paint))
        .collect::<String>();
    text + &end(facts, paint)
}

fn heading(title: &str, paint: Paint) -> String {
    let line = "─".repeat(WIDTH.saturating_sub(title.chars().count() + 4));
    format!(
        "\n{} {} {}\n",
        paint.dim("──"),
        paint.bold(title),
        paint.dim(&line)
    )
}

fn made(facts: &Facts, paint: Paint) -> String {
    let (image, disk, enrolment) = (&facts.image, &facts.disk, &facts.enrolment);
    let mut text = heading("what was made", paint);
    text += &item(
        "Image",
        &format!(
            "{} ({} {}), kernel {}, sha256 {}",
            size(image.size),
            image.compression,
            size(image.unpacked_size),
            image.kernel,
            short_hex(&image.sha256)
        ),
    );
    text += &item(
        "",
        &format!(
            "{} modules: {}",
            image.modules.len(),
            image.modules.join(", ")
        ),
    );
    text += &item(
        "Disk",
        &format!(
            "LUKS2 volume {} with Debian, {}",
            disk.uuid,
            size(disk.size)
        ),
    );
    text += &item(
        "Swap",
        &format!(
            "{}, empty; each boot encrypts it with a new random key",
            size(disk.swap_size)
        ),
    );
    let number = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
    text + &item(
        "Enrolment",
        &format!(
            "taoboot enroll: record {}, keyslot {}; sealed to PCR 17, 18, 19 as predicted, and to the open latch",
            number(enrolment.record),
            number(enrolment.keyslot)
        ),
    )
}

fn registers(facts: &Facts, paint: Paint) -> String {
    let title = format!(
        "  {:4}{:26}{:29}{}",
        "PCR", "holds", "predicted before the boot", "seen in the machine"
    );
    let mut text = format!("{}\n", paint.dim(&title));
    for (pcr, holds) in REGISTERS {
        let predicted = facts
            .enrolment
            .predicted
            .get(&pcr)
            .map_or("?", String::as_str);
        let seen = facts
            .boot
            .agent
            .as_ref()
            .and_then(|agent| agent.pcrs.get(&pcr))
            .map_or("not reported", String::as_str);
        let mark = paint.mark(predicted == seen);
        text.push_str(&format!(
            "  {pcr:<4}{holds:26}{:29}{:27}{mark}\n",
            short_hex(predicted),
            short_hex(seen)
        ));
    }
    text + "\n"
}

fn unlocked(boot: &Boot, paint: Paint) -> String {
    let nothing = (Agent::default(), Userland::default());
    let agent = boot.agent.as_ref().unwrap_or(&nothing.0);
    let userland = boot.userland.as_ref().unwrap_or(&nothing.1);
    let cipher = |name: &str| {
        userland
            .ciphers
            .get(name)
            .map_or("no dm-crypt", String::as_str)
            .to_owned()
    };
    let mut text = match (agent.unlocked_by, &agent.reason) {
        (Some(by), _) => item(
            "Root",
            &format!(
                "opened by the {}, {} on {}",
                name_of(by),
                cipher("root"),
                userland.root
            ),
        ),
        (None, Some(reason)) => item("Root", &format!("not opened: {reason}")),
        (None, None) => item("Root", "not opened: taoboot did not report"),
    };
    let swap = userland.swap.first().map_or("off".to_owned(), |line| {
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    let mapping = userland.ciphers.iter().find(|(name, _)| *name != "root");
    text += &item(
        "Swap",
        &match mapping {
            Some((_, cipher)) => format!("{swap} ({cipher}, a key that nobody keeps)"),
            None => swap,
        },
    );
    let latch = if agent.latched { "closed" } else { "OPEN" };
    text += &item(
        "Latch",
        &format!(
            "{latch}; PCR 15 is {}: no key again before the next reset",
            short_hex(&userland.latch_pcr)
        ),
    );
    text += &item(
        "Debian",
        &format!(
            "systemd is {}, multi-user.target is {}",
            or_silent(&userland.systemd),
            or_silent(&userland.multi_user)
        ),
    );
    text += &match userland.tao_hosts.first() {
        Some(host) => item(
            "Tao host",
            &format!(
                "process {}, {:.1} MiB resident",
                host.pid,
                host.resident_kib as f64 / 1024.0
            ),
        ),
        None => item("Tao host", &paint.bad("not there")),
    };
    let hosted = &userland.hosted;
    match &hosted.name {
        Some(name) => {
            text += &item("Hosted", &format!("{} calls itself", hosted.command));
            text += &wrapped(name, 16);
        }
        None => text += &item("Hosted", &format!("{}: no name", hosted.command)),
    }
    if let Some(error) = &hosted.error {
        text += &item("", &format!("failed: {error}"));
    }
    text += &examples::text(&userland.examples);
    for warning in &agent.warnings {
        text += &item("Warning", warning);
    }
    text
}

fn or_silent(text: &str) -> &str {
    if text.is_empty() { "silent" } else { text }
}

fn name_of(by: Opened) -> &'static str {
    match by {
        Opened::Tpm => "TPM",
        by => by.word(),
    }
}

fn times(facts: &Facts, paint: Paint) -> String {
    let mut text = bars(&facts.steps, paint);
    text += &format!(
        "\n  {}\n",
        paint.dim("the boot (an emulated processor: a real one is far quicker)")
    );
    text += &bars(&facts.boot.stages, paint);
    if let Some(agent) = &facts.boot.agent {
        let title = format!(
            "taoboot as /init: {} from its start to Debian's",
            duration(agent.seconds)
        );
        text += &format!("\n  {}\n", paint.dim(&title));
        let (short, mut rows): (Vec<Timed>, Vec<Timed>) = agent
            .phases
            .iter()
            .cloned()
            .partition(|phase| phase.seconds < SHORT_PHASE);
        if !short.is_empty() {
            let sum = short.iter().map(|phase| phase.seconds).sum();
            rows.push(Timed::new(format!("{} shorter ones", short.len()), sum));
        }
        text += &bars(&rows, paint);
    }
    text
}

fn attack(facts: &Facts, paint: Paint) -> String {
    let Attack {
        change,
        pcr_18,
        boot,
    } = &facts.attack;
    let mut text = heading("the attack: one byte of the kernel is another", paint);
    text += &item("Changed", change);
    text += &item(
        "Unchanged",
        "TPM, encrypted disk, initramfs, command line; the kernel runs as before",
    );
    let approved = facts
        .enrolment
        .predicted
        .get(&18)
        .map_or("?", String::as_str);
    text += &item(
        "PCR 18",
        &format!("{} instead of {}", short_hex(pcr_18), short_hex(approved)),
    );
    // A boot that did not report reads as an empty report, which does not count as refused.
    let agent = boot.agent.clone().unwrap_or_default();
    let said = agent.reason.unwrap_or_else(|| "nothing".to_owned());
    text += &item("It said", &format!("“{said}”"));
    let held = agent.outcome == Some(Outcome::Failed)
        && agent.unlocked_by.is_none()
        && boot.userland.is_none();
    let action = agent.action.map_or("nothing", OnFailure::word);
    text += &item(
        "It did",
        &format!(
            "{action}, after {}; QEMU saw: {}",
            duration(boot.seconds),
            boot.ending
        ),
    );
    let verdict = if held {
        paint.good("REFUSED: the key stayed in the TPM")
    } else {
        paint.bad("NOT REFUSED")
    };
    text + &format!("  {:14}{verdict}\n", "Verdict")
}

fn expected(check: &Check, paint: Paint) -> String {
    let mut text = format!("  {} {}\n", paint.mark(check.passed), check.name);
    if let Some(found) = &check.found {
        text += &wrapped(
            &format!(
                "found: {}",
                if found.is_empty() { "nothing" } else { found }
            ),
            6,
        );
    }
    text
}

fn end(facts: &Facts, paint: Paint) -> String {
    let passed = facts.checks.iter().filter(|check| check.passed).count();
    let sum = format!(
        "{passed} of {} as expected, {} in all",
        facts.checks.len(),
        duration(facts.total_seconds)
    );
    let sum = if facts.passed {
        paint.good(&sum)
    } else {
        paint.bad(&sum)
    };
    let mut text = format!("\n  {sum}\n");
    if let Some(place) = &facts.left_in {
        text += &if facts.kept {
            format!(
                "\n  The machine is kept in {place}.\n  {} boots it with its console on this terminal.\n",
                paint.bold("cargo xtask demo --attach")
            ) + &wrapped(
                "The root shell you get there needs no password: a unit in this demo's Debian logs root in on the \
                     serial port. Nothing else has it, and taoboot has no part in it.",
                2,
            )
        } else {
            format!("\n  The logs of both boots are in {place}.\n")
        };
    }
    text += &heading("where to go next", paint);
    let next = [
        (
            "cargo xtask demo --keep",
            "leaves this machine, for a console on it with --attach",
        ),
        (
            "cargo xtask test",
            "all attacks: initramfs, command line, record, keyslot, swap, latch, ...",
        ),
        (
            "cargo xtask bench",
            "how it compares with other initramfs images",
        ),
        (
            "taoboot enroll --help",
            "your own disk; ARCHITECTURE.md and SECURITY.md say how and why",
        ),
    ];
    for (command, what) in next {
        text += &format!("  {}  {what}\n", paint.bold(&format!("{command:24}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_a_demo_that_found_nothing_fits_the_page_and_claims_nothing() {
        let mut facts = Facts::default();
        facts.checks = super::super::checks::checks(&facts);
        let text = report(&facts, Paint::plain());
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
        assert!(text.contains("SIMULATED"));
        assert!(text.contains("NOT REFUSED"));
        assert!(!text.contains("opened by the TPM"));
        assert!(!text.contains('\x1b'));
    }
}
