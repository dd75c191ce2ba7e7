//! What tboot does after SINIT has started it (`verify_all_modules`, then the list is extended).

use std::collections::BTreeMap;

use crate::{
    Bank, Event, ModelError, file,
    policy::{Complaint, Policy},
};

/// Extends that tboot's list holds; what comes after them is dropped.
const LIST_LEN: usize = 32;

/// A module: the kernel, the initramfs, ...
#[derive(Clone, Debug)]
pub struct Module {
    /// A name for it.
    pub name: String,
    /// The text after the file name.
    pub cmdline: Vec<u8>,
    /// The file, gzip or not.
    pub file: Vec<u8>,
}

/// A module's hash in each bank that tboot extends.
pub type Hashes = BTreeMap<Bank, Vec<u8>>;

impl Module {
    /// Its hash: that of its command line's hash and its content's hash.
    ///
    /// # Errors
    /// GRUB could not load it.
    pub fn hashes(&self, banks: &[Bank]) -> Result<Hashes, ModelError> {
        let content = file::content(&self.file)?;
        let of = |bank: &Bank| {
            let both = [bank.hash(&self.cmdline), bank.hash(&content)].concat();
            (*bank, bank.hash(&both))
        };
        Ok(banks.iter().map(of).collect())
    }
}

/// tboot's option `extpol=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extending {
    /// The banks that tboot extends.
    pub banks: Vec<Bank>,
    /// The bank in which it hashes the policy.
    pub own: Bank,
    /// Does it compare modules with the policy?
    pub compares: bool,
}

impl Extending {
    /// Of a command line; of an option that is given twice the last counts.
    ///
    /// # Errors
    /// A value that tboot does not document.
    pub fn of(tboot_cmdline: &[u8]) -> Result<Self, ModelError> {
        let text = String::from_utf8_lossy(tboot_cmdline);
        let words = text.split_ascii_whitespace();
        let mut values = words.filter_map(|word| word.strip_prefix("extpol="));
        match values.next_back() {
            None | Some("sha256") => Ok(Self::fixed(Bank::Sha256)),
            Some("sha1") => Ok(Self::fixed(Bank::Sha1)),
            Some("sha384") => Ok(Self::fixed(Bank::Sha384)),
            Some("embedded") => Ok(Self {
                banks: Bank::ALL.into(),
                own: Bank::Sha256,
                compares: false,
            }),
            Some(other) => Err(ModelError::Extpol(other.to_owned())),
        }
    }

    /// One bank, and the modules compared in it. TPM 1.2 is the same with SHA-1.
    pub fn fixed(bank: Bank) -> Self {
        Self {
            banks: vec![bank],
            own: bank,
            compares: true,
        }
    }
}

/// Which registers tboot uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registers {
    /// TPM 2.0, and TPM 1.2 with pcr_map=da.
    DetailsAuthorities,
    /// TPM 1.2 otherwise.
    Legacy,
}

/// What tboot extends.
pub fn events(
    policy: &Policy,
    modules: &[Hashes],
    how: &Extending,
    registers: Registers,
) -> Vec<Event> {
    let of_policy = policy.extended(|bytes| how.own.hash(bytes));
    let of_policy: Hashes = how
        .banks
        .iter()
        .map(|bank| (*bank, bank.hash(&of_policy)))
        .collect();
    let legacy = registers == Registers::Legacy;
    let mut list = vec![(17, "tboot policy".to_owned(), of_policy.clone())];
    if !legacy {
        list.push((18, "tboot policy".to_owned(), of_policy));
    }
    // Module 0 in any case, whatever the policy says of it.
    let first = if legacy { 18 } else { 17 };
    list.extend(
        modules
            .first()
            .map(|hashes| (first, "module 0".to_owned(), hashes.clone())),
    );
    for (number, hashes) in modules.iter().enumerate() {
        let register = policy.entry(number).and_then(|entry| entry.register());
        list.extend(register.map(|pcr| (pcr, format!("module {number}"), hashes.clone())));
    }
    list.truncate(LIST_LEN);
    let event = |(pcr, name, digests)| Event {
        pcr,
        locality: 2,
        number: 0x501,
        name,
        digests,
    };
    list.into_iter().map(event).collect()
}

/// Where the modules are not as the policy wants them.
///
/// # Errors
/// The policy has digests of another algorithm than tboot's.
pub fn complaints(
    policy: &Policy,
    modules: &[Hashes],
    how: &Extending,
) -> Result<Vec<Complaint>, ModelError> {
    let extended = how.own.number();
    if how.compares && policy.compares() && u16::from(policy.hash_alg) != extended {
        let policy = policy.hash_alg;
        return Err(ModelError::OtherAlgorithm { policy, extended });
    }
    let complaint = |(number, hashes): (usize, &Hashes)| match policy.entry(number) {
        None => Some(Complaint::NotNamed(number)),
        Some(entry)
            if how.compares && !hashes.get(&how.own).is_some_and(|hash| entry.allows(hash)) =>
        {
            Some(Complaint::NotAllowed(number))
        }
        Some(_) => None,
    };
    Ok(modules.iter().enumerate().filter_map(complaint).collect())
}
