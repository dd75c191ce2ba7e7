//! Event logs written in every form, from a launch that this crate computes.

use std::{collections::BTreeMap, fs, path::PathBuf};

use tboot_policy::{
    launch::{Event, LaunchInput, launch},
    log::LogEvent,
    module::Module,
    platform::{PlatformRecord, bank_alg},
    vlp::Policy,
};
use tpm::Bank;

/// A minimal tboot: one of the synthetic MLEs of crate lcp's tests.
pub fn tboot() -> Vec<u8> {
    let path = "../lcp/tests/vectors/mlehash/one-seg.elf.gz";
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

pub fn module(name: &str, cmdline: &str, bytes: &[u8]) -> Module {
    Module::new(name, cmdline, bytes)
}

/// The files of a boot on the simulated platform.
pub fn files(tboot_cmdline: &str, vlp: Option<Policy>) -> LaunchInput {
    LaunchInput {
        tboot: tboot(),
        tboot_cmdline: tboot_cmdline.into(),
        modules: vec![
            module("vmlinuz-1", "root=/dev/sda1 ro", b"kernel 1"),
            module("initrd-1", "", b"070701 first"),
        ],
        vlp,
        platform: platform(),
    }
}

/// The simulated platform; its capabilities are those that this tboot's header leads to.
pub fn platform() -> PlatformRecord {
    let mle = txt::mlehash::Mle::parse(&tboot()).unwrap();
    let caps = (mle.header().capabilities & !0x227) | 0x201;
    PlatformRecord {
        ossinitdata_cap_hash: tboot_policy::platform::Measured::Data(caps.to_le_bytes().to_vec()),
        ..PlatformRecord::simulated()
    }
}

/// The events of a launch as a log has them.
pub fn log_events(input: &LaunchInput) -> Vec<LogEvent> {
    launch(input)
        .unwrap()
        .events
        .iter()
        .map(log_event)
        .collect()
}

fn log_event(event: &Event) -> LogEvent {
    LogEvent {
        pcr: event.pcr.get().into(),
        event_type: event.event_type,
        digests: event.digests.clone(),
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
