//! Boots, the launches that the model makes of them, and event logs of those in every form.

use std::{collections::BTreeMap, fs, path::PathBuf};

use launch_model::{Boot, Event, Launch, Module, Platform, launch};
use tboot_policy::{
    log::LogEvent,
    platform::{BANKS, bank_alg},
    vlp::Policy,
};
use tpm::{Bank, PcrIndex, PcrValues};

/// A minimal tboot: one of the synthetic MLEs of crate lcp's tests.
pub fn tboot() -> Vec<u8> {
    let path = "../lcp/tests/vectors/mlehash/one-seg.elf.gz";
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

pub fn module(name: &str, cmdline: &str, bytes: &[u8]) -> Module {
    Module {
        name: name.to_owned(),
        cmdline: cmdline.into(),
        file: bytes.to_vec(),
    }
}

/// The files of a boot on the simulated platform.
pub fn files(tboot_cmdline: &str, vlp: Option<Policy>) -> Boot {
    Boot {
        tboot: tboot(),
        tboot_cmdline: tboot_cmdline.into(),
        modules: vec![
            module("vmlinuz-1", "root=/dev/sda1 ro", b"kernel 1"),
            module("initrd-1", "", b"070701 first"),
        ],
        vlp: vlp.map(|policy| policy.to_bytes()),
        platform: Platform::simulated(),
    }
}

/// The launch of these files.
pub fn played(boot: &Boot) -> Launch {
    launch(boot).unwrap()
}

/// The bank, as the model has it.
pub const fn in_model(bank: Bank) -> launch_model::Bank {
    match bank {
        Bank::Sha1 => launch_model::Bank::Sha1,
        Bank::Sha256 => launch_model::Bank::Sha256,
        Bank::Sha384 => launch_model::Bank::Sha384,
    }
}

/// PCR 17, 18 and 19 of every bank after the launch of these files.
pub fn pcrs(boot: &Boot) -> Vec<PcrValues> {
    let launch = played(boot);
    let of_bank = |bank| {
        let mut values = PcrValues::new(bank);
        for (pcr, value) in launch.pcrs(in_model(bank)).range(17..=19) {
            let pcr = PcrIndex::try_from(*pcr).unwrap();
            values.insert(pcr, value.clone()).unwrap();
        }
        values
    };
    BANKS.map(of_bank).into()
}

/// The same of one bank.
pub fn pcrs_of(boot: &Boot, bank: Bank) -> PcrValues {
    let mut all = pcrs(boot).into_iter();
    all.find(|values| values.bank() == bank).unwrap()
}

/// The events of a launch as a log has them.
pub fn log_events(boot: &Boot) -> Vec<LogEvent> {
    played(boot).events.iter().map(log_event).collect()
}

/// An event as a log has it.
pub fn log_event(event: &Event) -> LogEvent {
    let digest = |bank| Some((bank, event.digests.get(&in_model(bank))?.clone()));
    LogEvent {
        pcr: event.pcr.into(),
        event_type: event.number,
        digests: BANKS.into_iter().filter_map(digest).collect(),
        data: Vec::new(),
    }
}

fn put(out: &mut Vec<u8>, numbers: &[u32]) {
    for number in numbers {
        out.extend(number.to_le_bytes());
    }
}

/// One bank's events; those without a digest of it are left out.
fn stream_of(events: &[LogEvent], bank: Bank) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events {
        let Some(digest) = event.digests.get(&bank) else {
            continue;
        };
        put(&mut out, &[event.pcr, event.event_type]);
        out.extend(digest);
        put(&mut out, &[u32::try_from(event.data.len()).unwrap()]);
        out.extend(&event.data);
    }
    out
}

/// TPM 1.2: TXT event container.
pub fn container(events: &[LogEvent]) -> Vec<u8> {
    let stream = stream_of(events, Bank::Sha1);
    let mut out = b"TXT Event Container\0".to_vec();
    out.extend([0; 12]);
    out.extend([1, 0, 1, 0]);
    put(
        &mut out,
        &[0x5000, 48, 48 + u32::try_from(stream.len()).unwrap()],
    );
    out.extend(stream);
    out
}

/// TPM 2.0: TXT's legacy log of one bank.
pub fn legacy(events: &[LogEvent], bank: Bank) -> Vec<u8> {
    let mut out = Vec::new();
    if bank != Bank::Sha1 {
        put(&mut out, &[0, 3]);
        out.extend([0; 20]);
        put(&mut out, &[28]);
        out.extend(*b"TCG log of a TPM");
        let alg = bank_alg(bank);
        put(
            &mut out,
            &[
                1,
                alg.tpm_alg().into(),
                u32::try_from(alg.digest_len()).unwrap(),
            ],
        );
    }
    out.extend(stream_of(events, bank));
    out
}

/// TCG's crypto-agile log.
pub fn agile(events: &[LogEvent], banks: &[Bank]) -> Vec<u8> {
    let mut data = b"Spec ID Event03\0".to_vec();
    data.extend([0, 0, 0, 0, 0, 2, 0, 2]);
    put(&mut data, &[u32::try_from(banks.len()).unwrap()]);
    for bank in banks {
        data.extend(bank_alg(*bank).tpm_alg().to_le_bytes());
        data.extend(u16::try_from(bank.digest_len()).unwrap().to_le_bytes());
    }
    data.push(0);
    let mut out = Vec::new();
    put(&mut out, &[0, 3]);
    out.extend([0; 20]);
    put(&mut out, &[u32::try_from(data.len()).unwrap()]);
    out.extend(data);
    for event in events {
        let digests: Vec<_> = event
            .digests
            .iter()
            .filter(|(b, _)| banks.contains(b))
            .collect();
        put(
            &mut out,
            &[
                event.pcr,
                event.event_type,
                u32::try_from(digests.len()).unwrap(),
            ],
        );
        for (bank, digest) in digests {
            out.extend(bank_alg(*bank).tpm_alg().to_le_bytes());
            out.extend(digest);
        }
        put(&mut out, &[u32::try_from(event.data.len()).unwrap()]);
        out.extend(&event.data);
    }
    out
}

fn hex_line(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x} ")).collect()
}

/// An event of one bank as tboot prints it.
pub fn printed(event: &LogEvent, bank: Bank) -> String {
    let digest = &event.digests[&bank];
    let data = if event.data.is_empty() {
        "\n".to_owned()
    } else {
        format!("\n\t\t\t         {}\n", hex_line(&event.data))
    };
    format!(
        "\t\t\t Event:\n\t\t\t     PCRIndex: {}\n\t\t\t         Type: 0x{:x}\n\t\t\t       Digest: {}\n\t\t\t         Data: {} bytes{data}",
        event.pcr,
        event.event_type,
        hex_line(digest),
        event.data.len()
    )
}

/// A listing of one bank as tboot prints it.
pub fn listing(events: &[LogEvent], bank: Bank) -> String {
    let mut out = format!(
        "\t\t\t Log Descrption:\n\t\t\t             Alg: {}\n\t\t\t            Size: 4096\n\t\t\t    EventsOffset: [0,600]\n",
        bank_alg(bank).tpm_alg()
    );
    if bank != Bank::Sha1 {
        let first = LogEvent {
            pcr: 0,
            event_type: 3,
            digests: BTreeMap::from([(Bank::Sha1, vec![0; 20])]),
            data: vec![7; 28],
        };
        out.push_str(&printed(&first, Bank::Sha1));
    }
    for event in events
        .iter()
        .filter(|event| event.digests.contains_key(&bank))
    {
        out.push_str(&printed(event, bank));
    }
    out
}

/// A crypto-agile log as tboot prints it.
pub fn agile_listing(events: &[LogEvent]) -> String {
    let mut out = String::from(
        "\t TCG Event Log Header:\n\t\t       pcr_index: 0\n\t\t      event_type: 3\n\t\t          digest: \n",
    );
    for event in events {
        out.push_str(&format!(
            "\t\t\t TCG Event:\n\t\t\t      pcr_index: {}\n\t\t\t     event_type: 0x{:x}\n\t\t\t          count: {}\n",
            event.pcr,
            event.event_type,
            event.digests.len()
        ));
        for (bank, digest) in &event.digests {
            let name = bank.to_string().to_uppercase();
            out.push_str(&format!("{name}: \n{}\n", hex_line(digest)));
        }
        out.push_str("\t\t\t     event_data: 0 bytes\n");
    }
    out
}

/// Only some banks of the events.
pub fn only(events: &[LogEvent], banks: &[Bank]) -> Vec<LogEvent> {
    let mut events = events.to_vec();
    for event in &mut events {
        event.digests.retain(|bank, _| banks.contains(bank));
    }
    events.retain(|event| !event.digests.is_empty());
    events
}
