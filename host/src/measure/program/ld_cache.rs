//! /etc/ld.so.cache: where glibc's loader finds libraries by name (glibc, dl-cache.h; the
//! format since version 2.32, and the same behind the older one's entries).

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
const HEADER: usize = 48;
const ENTRY: usize = 24;
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;
/// Longest name or path.
const LONGEST: usize = 4096;

/// Libraries for this processor, for glibc.
#[cfg(target_arch = "x86_64")]
const FLAGS: u32 = 0x0303;
#[cfg(target_arch = "aarch64")]
const FLAGS: u32 = 0x0a03;

/// Why a cache is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("/etc/ld.so.cache is not a cache of glibc's loader (run ldconfig)")]
pub struct CacheError;

/// The cache's entries for this processor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cache(Vec<(String, String)>);

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let field: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(field)).ok()
}

fn text(bytes: &[u8], at: usize) -> Option<&str> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().take(LONGEST).position(|byte| *byte == 0)?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

impl Cache {
    /// Reads a cache.
    ///
    /// # Errors
    ///
    /// If it is not a cache.
    pub fn parse(file: &[u8]) -> Result<Self, CacheError> {
        let entries = |file: &[u8]| -> Option<Vec<(String, String)>> {
            let start = if file.starts_with(OLD_MAGIC) {
                let old = word(file, 12)?.checked_mul(OLD_ENTRY)?;
                old.checked_add(OLD_HEADER)?.checked_next_multiple_of(8)?
            } else {
                0
            };
            // Offsets count from the beginning of this format.
            let file = file.get(start..)?;
            if !file.starts_with(MAGIC) {
                return None;
            }
            let count = word(file, MAGIC.len())?;
            let table = file.get(HEADER..HEADER.checked_add(count.checked_mul(ENTRY)?)?)?;
            let mut entries = Vec::new();
            for entry in table.chunks_exact(ENTRY) {
                if word(entry, 0)? == FLAGS as usize {
                    let name = text(file, word(entry, 4)?)?;
                    let path = text(file, word(entry, 8)?)?;
                    entries.push((name.to_owned(), path.to_owned()));
                }
            }
            Some(entries)
        };
        entries(file).map(Cache).ok_or(CacheError)
    }

    /// Where a library of that name may be: one place for each kind of processor that there
    /// is a special one for, and one for all.
    pub fn find<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(found, _)| found == name);
        named.map(|(_, path)| path.as_str())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A cache as ldconfig would write it.
    pub fn cache(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut table = Vec::new();
        let start = HEADER + entries.len() * ENTRY;
        for (name, path) in entries {
            table.extend(FLAGS.to_le_bytes());
            for text in [name, path] {
                table.extend(u32::try_from(start + strings.len()).unwrap().to_le_bytes());
                strings.extend(text.as_bytes());
                strings.push(0);
            }
            table.extend([0; 12]);
        }
        let mut file = MAGIC.to_vec();
        file.extend(u32::try_from(entries.len()).unwrap().to_le_bytes());
        file.extend(u32::try_from(strings.len()).unwrap().to_le_bytes());
        file.resize(HEADER, 0);
        file.extend(table);
        file.extend(strings);
        file
    }

    #[test]
    fn the_systems_cache_knows_the_c_library() {
        let cache = Cache::parse(&std::fs::read("/etc/ld.so.cache").unwrap()).unwrap();
        assert!(cache.find("libc.so.6").next().unwrap().starts_with('/'));
        assert_eq!(cache.find("absent").next(), None);
    }

    #[test]
    fn all_places_of_a_library_are_found() {
        let file = cache(&[("a", "/x/v3/a"), ("b", "/x/b"), ("a", "/x/a")]);
        let parsed = Cache::parse(&file).unwrap();
        assert_eq!(parsed.find("a").collect::<Vec<_>>(), ["/x/v3/a", "/x/a"]);
        let mut old = OLD_MAGIC.to_vec();
        old.resize(OLD_HEADER + OLD_ENTRY, 0);
        old[12] = 1;
        old.resize((OLD_HEADER + OLD_ENTRY).next_multiple_of(8), 0);
        old.extend(&file);
        assert_eq!(Cache::parse(&old).unwrap(), parsed);
    }

    #[test]
    fn a_damaged_cache_is_refused() {
        let file = cache(&[("a", "/x/a")]);
        for length in 0..file.len() {
            assert_eq!(Cache::parse(&file[..length]), Err(CacheError), "{length}");
        }
        let mut many = file.clone();
        many[20..24].copy_from_slice(&[0xff; 4]);
        assert_eq!(Cache::parse(&many), Err(CacheError));
    }
}
