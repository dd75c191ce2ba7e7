//! The counters as they are sealed into their file, and as they were before programs had quotas.

use std::collections::BTreeMap;

use prost::Message;

use crate::counters::{
    error::CounterError,
    table::{Counter, Counters, Id, Owner, Stored, id},
};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CounterEntry {
    #[prost(string, required, tag = "1")]
    pub label: String,
    #[prost(int64, required, tag = "2")]
    pub value: i64,
    #[prost(fixed64, required, tag = "3")]
    pub era: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ProgramEntry {
    /// None: the name that its owner was started under.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub id: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "2")]
    pub counters: Vec<CounterEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OwnerEntry {
    #[prost(bytes = "vec", required, tag = "1")]
    pub id: Vec<u8>,
    #[prost(string, required, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "3")]
    pub programs: Vec<ProgramEntry>,
}

/// An entry as it was written before programs had quotas.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FormerEntry {
    #[prost(bytes = "vec", required, tag = "1")]
    pub program: Vec<u8>,
    #[prost(string, required, tag = "2")]
    pub label: String,
    #[prost(int64, required, tag = "3")]
    pub value: i64,
}

/// The table as it is sealed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Table {
    #[prost(uint64, required, tag = "1")]
    pub date: u64,
    #[prost(message, repeated, tag = "2")]
    pub former: Vec<FormerEntry>,
    #[prost(fixed64, optional, tag = "3")]
    pub era: Option<u64>,
    #[prost(message, repeated, tag = "4")]
    pub owners: Vec<OwnerEntry>,
}

impl Counters {
    /// The table as it is written, with its date.
    pub(crate) fn to_table(&self, date: u64) -> Table {
        let mut of_owners: BTreeMap<Id, BTreeMap<Id, Vec<CounterEntry>>> = BTreeMap::new();
        for ((program, label), Counter { owner, stored }) in &self.values {
            let entry = CounterEntry {
                label: label.clone(),
                value: stored.value,
                era: stored.era,
            };
            let programs = of_owners.entry(*owner).or_default();
            programs.entry(*program).or_default().push(entry);
        }
        let owners = self.owners.iter().map(|(owner, has)| {
            let programs = of_owners.remove(owner).into_iter().flatten();
            let programs = programs.map(|(program, counters)| ProgramEntry {
                id: (program != *owner).then(|| program.to_vec()),
                counters,
            });
            OwnerEntry {
                id: owner.to_vec(),
                name: has.name.clone(),
                programs: programs.collect(),
            }
        });
        let owners = owners.collect();
        Table {
            date,
            former: Vec::new(),
            era: None,
            owners,
        }
    }

    /// Reads a table; its date, and what is in it.
    pub(crate) fn from_table(table: Table) -> Result<(u64, Self), CounterError> {
        let mut counters = Self::default();
        // As it was written before: one era for all, and each name its own owner.
        for FormerEntry {
            program,
            label,
            value,
        } in table.former
        {
            let id = id(&program);
            let owner = Owner {
                id,
                name: format!("[{}]", hex::encode(id)),
            };
            let era = table.era.ok_or(CounterError::Contents("no era"))?;
            counters.insert((id, label), &owner, Stored { era, value });
        }
        let wrong = |_| CounterError::Contents("a name's hash is not one of 32 bytes");
        for OwnerEntry { id, name, programs } in table.owners {
            let id = Id::try_from(id).map_err(wrong)?;
            let owner = Owner { id, name };
            for ProgramEntry {
                id: program,
                counters: list,
            } in programs
            {
                let program = program.map_or(Ok(id), Id::try_from).map_err(wrong)?;
                for CounterEntry { label, value, era } in list {
                    counters.insert((program, label), &owner, Stored { era, value });
                }
            }
        }
        Ok((table.date, counters))
    }
}
