//! The policy data file, which GRUB loads as a module: the lists behind a policy of type list.

use txt::{
    codec::{FormatError, Reader, value},
    hash::{Digest, HashAlg},
    policy::{DATA_SIGNATURE, MAX_DATA_LEN},
};

use crate::list::PolicyList;

/// Most lists that a file holds.
pub const MAX_LISTS: usize = 8;

/// The lists of a policy: 1 to 8, at most 64 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyData {
    lists: Vec<PolicyList>,
}

impl PolicyData {
    /// A file from its lists; refused when there are none or more than eight, or when it would be
    /// longer than tboot takes.
    pub fn new(lists: Vec<PolicyList>) -> Result<Self, FormatError> {
        let count = lists.len();
        if count == 0 || count > MAX_LISTS {
            return Err(FormatError::Parts(format!(
                "{count} lists: a policy holds 1 to 8"
            )));
        }
        let data = Self { lists };
        let len = data.to_bytes()?.len();
        if len > MAX_DATA_LEN {
            return Err(FormatError::Parts(format!(
                "the policy data would have {len} bytes, tboot takes at most {MAX_DATA_LEN}: use fewer hashes"
            )));
        }
        Ok(data)
    }

    /// The lists in the order of the file.
    pub fn lists(&self) -> &[PolicyList] {
        &self.lists
    }

    /// What a policy names of these lists.
    pub fn hash(&self, alg: HashAlg) -> Result<Digest, FormatError> {
        lists_hash(alg, &self.lists)
    }

    /// Reads a data file.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        if reader.array("file signature")? != DATA_SIGNATURE {
            return Err(FormatError::Parts(
                "not a policy data file: it does not begin with \"Intel(R) TXT LCP_POLICY_DATA\""
                    .to_owned(),
            ));
        }
        reader.zeros("reserved", 3)?;
        let offset = reader.offset();
        let count = reader.u8("num_lists")?;
        if count == 0 || usize::from(count) > MAX_LISTS {
            return Err(value("num_lists", offset, "1 to 8", count));
        }
        let lists = (0..count)
            .map(|_| PolicyList::read(&mut reader))
            .collect::<Result<_, _>>()?;
        reader.finish("the last list")?;
        Self::new(lists)
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        let mut out = DATA_SIGNATURE.to_vec();
        out.extend([0; 3]);
        out.push(u8::try_from(self.lists.len()).unwrap_or(u8::MAX));
        for list in &self.lists {
            out.extend(list.to_bytes()?);
        }
        Ok(out)
    }
}

/// The hash of lists in a policy: H( H(list 0) || H(list 1) ... ), also for a single list.
pub fn lists_hash(alg: HashAlg, lists: &[PolicyList]) -> Result<Digest, FormatError> {
    let hashes = lists
        .iter()
        .map(|list| list.hash(alg))
        .collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<&[u8]> = hashes.iter().map(Digest::as_bytes).collect();
    Ok(alg.digest_parts(&parts))
}
