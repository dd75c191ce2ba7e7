//! A binary keymap, as `loadkeys --bkeymap` (kbd) writes and busybox's loadkmap reads it.
//!
//! `bkeymap`, then 256 bytes that say for each table of the kernel's (one for every combination of modifiers)
//! whether it follows, 1 or 0, and then those tables in their order: 128 keys of 16 bits, little-endian
//! (`struct kbentry` of linux/kd.h has a byte for the table, a byte for the key and the 16 bits).

/// How such a file begins.
const MAGIC: &[u8] = b"bkeymap";
/// The kernel's tables (MAX_NR_KEYMAPS of linux/keyboard.h).
const TABLES: usize = 256;
/// Keys of a table (NR_KEYS is 256; both programs write the first half).
const KEYS: usize = 128;
/// Bytes of a table.
const TABLE: usize = 2 * KEYS;

/// Before the tables.
const HEAD: usize = MAGIC.len() + TABLES;

/// Largest file: every table is there.
pub const LONGEST: usize = HEAD + TABLES * TABLE;

/// What the keys mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    entries: Vec<Entry>,
}

/// What a key means with some modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The table: a bit for each modifier.
    pub table: u8,
    /// The key's code.
    pub key: u8,
    /// The kernel's number of what it means.
    pub value: u16,
}

/// Not a keymap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// Another file.
    #[error("it is not a binary keymap: it does not begin with \"bkeymap\"")]
    Magic,
    /// Neither 0 nor 1.
    #[error("it is not a binary keymap: table {0} is neither there nor not there")]
    Flag(usize),
    /// The tables do not fill it.
    #[error("it is not a binary keymap: {found} bytes where its tables take {expected}")]
    Length {
        /// The file's.
        found: usize,
        /// By the tables that it says it has.
        expected: usize,
    },
    /// No table at all, or not the one without modifiers.
    #[error("it is a binary keymap without the table of the keys alone")]
    Plain,
}

impl Keymap {
    /// Reads it.
    ///
    /// # Errors
    /// It is not one, or not whole.
    pub fn read(bytes: &[u8]) -> Result<Self, KeymapError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(KeymapError::Magic)?;
        let expected = |tables: usize| {
            let tables = tables.saturating_mul(TABLE);
            tables.saturating_add(HEAD)
        };
        let (flags, tables) = rest.split_at_checked(TABLES).ok_or(KeymapError::Length {
            found: bytes.len(),
            expected: expected(1),
        })?;
        let mut present = Vec::new();
        for (number, flag) in (0..=u8::MAX).zip(flags) {
            match flag {
                0 => {}
                1 => present.push(number),
                _ => return Err(KeymapError::Flag(number.into())),
            }
        }
        if present.len().saturating_mul(TABLE) != tables.len() {
            return Err(KeymapError::Length {
                found: bytes.len(),
                expected: expected(present.len()),
            });
        }
        if present.first() != Some(&0) {
            return Err(KeymapError::Plain);
        }
        let mut entries = Vec::with_capacity(present.len().saturating_mul(KEYS));
        for (table, keys) in present.into_iter().zip(tables.chunks_exact(TABLE)) {
            let (values, _) = keys.as_chunks::<2>();
            entries.extend((0..=u8::MAX).zip(values).map(|(key, value)| Entry {
                table,
                key,
                value: u16::from_le_bytes(*value),
            }));
        }
        Ok(Self { entries })
    }

    /// What each key means, table by table.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What ckbcomp and loadkeys made of a German keyboard without dead keys (tests/vectors/keymap).
    const GERMAN: &[u8] = include_bytes!("../tests/vectors/keymap/de-nodeadkeys");

    fn meaning(keymap: &Keymap, table: u8, key: u8) -> u16 {
        let mut entries = keymap.entries().iter();
        let found = entries.find(|entry| (entry.table, entry.key) == (table, key));
        found.unwrap().value
    }

    #[test]
    fn a_german_keyboard_has_z_where_an_american_one_has_y() {
        let keymap = Keymap::read(GERMAN).unwrap();
        assert_eq!(keymap.entries().len(), 10 * KEYS);
        // Letters have type 11 (KT_LETTER); key 21 is y's place, 44 is z's.
        assert_eq!(meaning(&keymap, 0, 21), 0x0b00 | u16::from(b'z'));
        assert_eq!(meaning(&keymap, 0, 44), 0x0b00 | u16::from(b'y'));
        assert_eq!(meaning(&keymap, 1, 44), 0x0b00 | u16::from(b'Y'));
    }

    #[test]
    fn a_keymap_that_is_cut_or_longer_is_refused() {
        for length in 0..GERMAN.len() {
            assert!(Keymap::read(&GERMAN[..length]).is_err(), "{length}");
        }
        assert!(Keymap::read(&[GERMAN, &[0]].concat()).is_err());
        assert!(Keymap::read(&[GERMAN, &[0; TABLE]].concat()).is_err());
    }

    #[test]
    fn what_is_no_keymap_is_refused_with_its_reason() {
        assert_eq!(Keymap::read(b"keymaps 0-127\n"), Err(KeymapError::Magic));
        let mut flags = GERMAN.to_vec();
        flags[7 + 5] = 2;
        assert_eq!(Keymap::read(&flags), Err(KeymapError::Flag(5)));
        let none = [MAGIC, &[0; TABLES]].concat();
        assert_eq!(Keymap::read(&none), Err(KeymapError::Plain));
        let mut all = [MAGIC, &[1; TABLES]].concat();
        all.resize(LONGEST, 0);
        assert_eq!(Keymap::read(&all).unwrap().entries().len(), TABLES * KEYS);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..1200), begins: bool) {
            let bytes = if begins { [MAGIC, &bytes].concat() } else { bytes };
            if let Ok(keymap) = Keymap::read(&bytes) {
                prop_assert!(keymap.entries().len() <= bytes.len());
            }
        }
    }
}
