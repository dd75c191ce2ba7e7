//! What the fuzz targets of `tboot-policy` do with their bytes.

use std::io;

use commands::FileKind;
use tboot_policy::{
    diagnosis::{ErrorCode, LaunchLog},
    grub::{
        BootDirectory, Menu, Places, Readings, Variables, bls,
        boot_directory::{MAX_ENVIRONMENT, parse_environment},
    },
    log::{self, EventLog, heap, replay::compare},
    pcr_text,
    predict::Baseline,
    vlp::Policy,
};

use crate::target::FuzzTarget;

/// Names of the targets, with their functions.
pub const TARGETS: [FuzzTarget; 13] = [
    ("policy_vlp", vlp),
    ("policy_log_container", log_container),
    ("policy_log_stream", log_stream),
    ("policy_log_agile", log_agile),
    ("policy_log_text", log_text),
    ("policy_launch_log", launch_log),
    ("policy_file_kind", file_kind),
    ("policy_grub", grub),
    ("policy_grubenv", grubenv),
    ("policy_bls", bls),
    ("policy_pcr_text", pcr_text),
    ("policy_heap", txt_heap),
    ("policy_record", record),
];

/// A policy is written back as it was read; an element too.
pub fn vlp(bytes: &[u8]) {
    if let Ok((policy, len)) = Policy::parse_prefix(bytes) {
        assert_eq!(policy.to_bytes(), &bytes[..len]);
        policy.warnings();
        for module in 0..4 {
            policy.entry_for(module);
        }
    }
    if let Ok(policy) = Policy::from_element(bytes) {
        assert_eq!(Policy::parse(&policy.to_bytes()), Ok(policy));
    }
}

/// Whatever a log holds, it can be replayed, and written as JSON and read again.
fn use_log(log: &EventLog) {
    compare(log, &[]);
    for event in &log.events {
        let text = serde_json::to_string(event).unwrap();
        assert_eq!(
            &serde_json::from_str::<log::LogEvent>(&text).unwrap(),
            event
        );
    }
}

/// A log in the form of tboot's container.
pub fn log_container(bytes: &[u8]) {
    if let Ok(log) = log::container::parse(bytes) {
        use_log(&log);
    }
}

/// A log in the form of TPM 1.2.
pub fn log_stream(bytes: &[u8]) {
    if let Ok(log) = log::stream::parse(bytes) {
        use_log(&log);
    }
}

/// A crypto-agile log.
pub fn log_agile(bytes: &[u8]) {
    if let Ok(log) = log::crypto_agile::parse(bytes) {
        use_log(&log);
    }
}

/// The text of txt-stat; and the choice of the form.
pub fn log_text(bytes: &[u8]) {
    if let Ok(log) = log::text::parse(bytes) {
        use_log(&log);
    }
    if let Ok(log) = EventLog::parse(bytes) {
        use_log(&log);
    }
}

/// Whatever a text holds, nothing of it drives a terminal, and what is kept is bounded.
pub fn launch_log(bytes: &[u8]) {
    let Ok(log) = LaunchLog::parse(bytes) else {
        return;
    };
    assert!(log.sinit.len() <= 256 && log.notes.len() <= 256);
    let texts = log.sinit.iter().map(|module| &module.name);
    for text in texts.chain(log.notes.iter().map(|note| &note.text)) {
        assert!(!text.contains(char::is_control));
    }
    for register in log.registers.iter() {
        assert!(!register.to_string().is_empty());
    }
    serde_json::to_string(&log).unwrap();
}

/// Any bytes are of some kind, and each kind has its words.
pub fn file_kind(bytes: &[u8]) {
    let kind = FileKind::of(bytes);
    assert!(!kind.to_string().contains(char::is_control));
    assert_eq!(kind == FileKind::Empty, bytes.is_empty());
    let error = u32::from_le_bytes(*bytes.first_chunk().unwrap_or(&[0; 4]));
    assert!(!ErrorCode::from(error).to_string().is_empty());
}

/// A block that is read says nothing that is not in it.
pub fn grubenv(bytes: &[u8]) {
    let Ok(variables) = parse_environment(bytes) else {
        return;
    };
    assert!(bytes.len() <= MAX_ENVIRONMENT);
    let len = |(name, value): (&String, &Vec<u8>)| name.chars().count() + value.len() + 1;
    assert!(variables.iter().map(len).sum::<usize>() <= bytes.len());
}

/// An entry says nothing that is not in its file. The two orders of names, the first line's and the
/// second's, are the same from both sides.
pub fn bls(bytes: &[u8]) {
    if let Ok(Some(entry)) = bls::parse("id", bytes) {
        let text = String::from_utf8_lossy(bytes);
        assert!(text.contains(&entry.title) && text.contains(&entry.linux));
    }
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    if let (Some(a), Some(b)) = (lines.next(), lines.next()) {
        use tboot_policy::grub::version::{file_order, package_order};
        assert_eq!(file_order(a, b), file_order(b, a).reverse());
        assert_eq!(package_order(a, b), package_order(b, a).reverse());
    }
}

/// Every entry of a menu is followed; no file is there.
pub fn grub(bytes: &[u8]) {
    let directory = BootDirectory::read("/nonexistent".as_ref()).unwrap();
    if let Ok(menu) = Menu::parse(bytes, Variables::default().booting(directory.clone())) {
        // What only some machines have is nowhere the default.
        assert!(!menu.default_entry().is_ok_and(|entry| entry.conditional));
    }
    if let Ok(readings) = Readings::new(bytes, Variables::default(), Ok(directory)) {
        for entry in readings.menu().entries().iter().take(8) {
            // What grub.cfg says by itself has no need of another reading.
            if let Ok(followed) = readings.boot(entry) {
                assert_eq!(followed.environment.is_none(), entry.boot().is_ok());
            }
        }
    }
    let Ok(menu) = Menu::parse(bytes, Variables::default()) else {
        return;
    };
    let places = Places::below("/nonexistent".as_ref());
    let looks_like_a_place = |name: &str| name.bytes().all(|b| b.is_ascii_digit() || b == b'>');
    let mut keys = menu.entries().iter().flat_map(|entry| &entry.path);
    let places_count = !keys.any(|key| {
        looks_like_a_place(&key.title) || key.id.as_deref().is_some_and(looks_like_a_place)
    });
    for entry in menu.entries().iter().take(8) {
        // An entry is found again by its place, unless something else is called so.
        if let (Some(place), true) = (entry.place(), places_count) {
            assert_eq!(menu.find(&place).unwrap().line, entry.line);
        }
        if let Ok(boot) = entry.boot() {
            assert!(places.find(&boot.loader).is_err());
        }
    }
}

/// PCR values as other programs write them.
pub fn pcr_text(bytes: &[u8]) {
    if let Ok(values) = pcr_text::parse(&String::from_utf8_lossy(bytes)) {
        assert!(!values.is_empty());
    }
}

/// The bytes are a machine's memory, from the registers on.
struct Memory<'a>(&'a [u8]);

impl heap::Memory for Memory<'_> {
    fn read(&self, address: u64, len: usize) -> io::Result<Vec<u8>> {
        let at = match address {
            0xfed3_0300.. => address - 0xfed3_0300,
            _ => address,
        };
        let at = usize::try_from(at).map_err(io::Error::other)?;
        let end = at.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
        let found = self.0.get(at..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(found.to_vec())
    }
}

/// TXT's heap in memory.
pub fn txt_heap(bytes: &[u8]) {
    if let Ok(log) = heap::read(&Memory(bytes)) {
        use_log(&log);
    }
}

/// A platform record is written back as it was read.
pub fn record(bytes: &[u8]) {
    if let Ok(record) = serde_json::from_slice::<Baseline>(bytes) {
        record.banks();
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Baseline>(&text).unwrap(), record);
    }
}
