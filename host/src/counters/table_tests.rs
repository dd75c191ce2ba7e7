use prost::Message as _;

use crate::counters::{
    error::ChangeError,
    sealed_form::{CounterEntry, FormerEntry, OwnerEntry, ProgramEntry, Table},
    table::{Counters, Id, MOST_BYTES, MOST_BYTES_PER_PROGRAM, Owner, Stored, Target, id},
};

fn owner(number: usize) -> Owner {
    Owner {
        id: id(&number.to_be_bytes()),
        name: format!(".Program([{number}])"),
    }
}

fn make(
    counters: &mut Counters,
    program: Id,
    label: &str,
    owner: &Owner,
) -> Result<Stored, ChangeError> {
    let key = (program, label.to_owned());
    let made = counters.apply(&key, owner, Target::Next);
    made.map(|(stored, _)| stored)
}

fn again(counters: &Counters, date: u64) -> Counters {
    let bytes = counters.to_table(date).encode_to_vec();
    let (found, counters) = Counters::from_table(Table::decode(bytes.as_slice()).unwrap()).unwrap();
    assert_eq!(found, date);
    counters
}

#[test]
fn a_table_is_read_as_it_was_written() {
    let mut counters = Counters::default();
    let mut all = Vec::new();
    for program in 0..3 {
        let owner = owner(program);
        for name in [owner.id, id(b"extended"), id(&[7, program as u8])] {
            for label in ["", "a", "b"] {
                if let Ok(stored) = make(&mut counters, name, label, &owner) {
                    all.push(((name, label.to_owned()), stored));
                }
            }
        }
    }
    let read = again(&counters, 8);
    for (key, _) in &all {
        assert_eq!(read.get(key), counters.get(key));
        assert!(read.get(key).is_some());
    }
    assert!(read.uses().eq(counters.uses()));
    // Each has a number of its own, whatever it is called.
    let eras: std::collections::BTreeSet<u64> = all.iter().map(|(_, stored)| stored.era).collect();
    assert!(eras.len() > 20, "{}", eras.len());
}

/// As many programs as there are, each with all it may have.
#[test]
fn a_full_table_takes_no_more_and_loads_and_goes_on() {
    let mut counters = Counters::default();
    let label = |number: usize| format!("{number:0>1000}");
    let mut programs = 0;
    let refused = loop {
        let owner = owner(programs);
        let mut of_program = 0_usize;
        let error = loop {
            // Each under a name of its own.
            let name = id(&[programs.to_be_bytes(), of_program.to_be_bytes()].concat());
            match make(&mut counters, name, &label(of_program), &owner) {
                Ok(_) => of_program += 1,
                Err(error) => break error,
            }
            assert!(of_program < 2000);
        };
        if !error
            .to_string()
            .contains("this program, under all its names")
        {
            break error;
        }
        assert!(of_program * 1100 > MOST_BYTES_PER_PROGRAM);
        programs += 1;
        assert!(programs < 1000);
    };
    assert!(refused.to_string().contains("is full"), "{refused}");
    assert!(programs > 50, "{programs}");
    let length = counters.to_table(2).encoded_len();
    assert!(length <= MOST_BYTES && length > MOST_BYTES / 2, "{length}");
    let mut counters = again(&counters, 2);
    // What is there counts on; what is not comes only when there is room.
    let first = id(&[0_usize.to_be_bytes(), 0_usize.to_be_bytes()].concat());
    let stored = make(&mut counters, first, &label(0), &owner(0)).unwrap();
    assert_eq!(stored.value, 2);
    let newcomer = owner(5000);
    for length in [1000, 0] {
        // Whatever small room is left is taken.
        while make(&mut counters, id(b"more"), &"x".repeat(length), &newcomer).is_ok() {
            assert!(counters.uses().count() <= programs + 2);
            if length == 0 {
                break;
            }
        }
    }
    let key = (first, String::new());
    let (gone, _) = counters.apply(&key, &owner(0), Target::AllDeleted).unwrap();
    assert!(gone.value > 100);
    make(&mut counters, id(b"newcomer"), &label(1), &newcomer).unwrap();
    assert!(counters.apply(&key, &owner(0), Target::AllDeleted).is_err());
}

#[test]
fn what_was_written_before_programs_had_quotas_counts_on() {
    let former = |program: &[u8], label: &str, value| FormerEntry {
        program: program.to_vec(),
        label: label.to_owned(),
        value,
    };
    let table = Table {
        date: 6,
        former: vec![former(b"one", "a", 5), former(b"two", "a", 7)],
        era: Some(99),
        owners: Vec::new(),
    };
    let (date, counters) = Counters::from_table(table).unwrap();
    assert_eq!(date, 6);
    let stored = Stored { era: 99, value: 7 };
    assert_eq!(counters.get(&(id(b"two"), "a".to_owned())), Some(stored));
    let counters = again(&counters, 8);
    assert_eq!(counters.get(&(id(b"two"), "a".to_owned())), Some(stored));
}

#[test]
fn a_table_with_names_of_another_length_is_malformed() {
    let entry = |id: &[u8], program: Option<&[u8]>| Table {
        date: 0,
        former: Vec::new(),
        era: None,
        owners: vec![OwnerEntry {
            id: id.to_vec(),
            name: String::new(),
            programs: vec![ProgramEntry {
                id: program.map(<[u8]>::to_vec),
                counters: vec![CounterEntry {
                    label: "a".to_owned(),
                    value: 1,
                    era: 2,
                }],
            }],
        }],
    };
    assert!(Counters::from_table(entry(&[1; 32], Some(&[2; 32]))).is_ok());
    assert!(Counters::from_table(entry(&[1; 31], None)).is_err());
    assert!(Counters::from_table(entry(&[1; 32], Some(&[2; 33]))).is_err());
    let mut no_era = entry(&[1; 32], None);
    no_era.former.push(FormerEntry {
        program: Vec::new(),
        label: String::new(),
        value: 0,
    });
    assert!(Counters::from_table(no_era).is_err());
}
