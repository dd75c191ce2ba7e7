//! Goes through every state that [`crate::anchored`] can get into: all points at which it may be
//! killed, all files that were ever on the disk put back in any order, and steps of the anchor by
//! somebody else at any moment.
//!
//! States are compared up to what makes no difference (where the anchor stands, what everybody was
//! told long ago), so that there are finitely many, and the exploration ends when there are no new
//! ones: it is not bounded by a number of runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::anchored::{Medium, Refused, Settled, change, open};

/// A history: the changes that went into a file, each with a number of its own.
type History = Vec<u16>;

/// What outlives a kill.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    anchor: Option<u64>,
    /// Every file that ever was, by its date: copies are kept.
    files: BTreeSet<(u64, History)>,
    /// The file that is there if nobody exchanges it.
    current: Option<(u64, History)>,
    /// What somebody was told last: it may not be taken back.
    told: History,
}

#[derive(Debug, PartialEq, Eq)]
enum Stop {
    Killed,
}

/// A disk and an anchor that fail after so many operations.
struct Simulated<'a> {
    state: &'a mut State,
    left: u32,
    /// Before which operations, counted backwards, somebody else moves the anchor.
    intrusions: [Option<u32>; 2],
    /// What `create` begins with.
    begin: u64,
}

impl Simulated<'_> {
    fn operation(&mut self) -> Result<(), Stop> {
        for _ in self.intrusions.iter().filter(|at| **at == Some(self.left)) {
            self.state.anchor = self.state.anchor.map(|value| value + 1);
        }
        self.left = self.left.checked_sub(1).ok_or(Stop::Killed)?;
        Ok(())
    }
}

impl Medium for Simulated<'_> {
    type Contents = History;
    type Error = Stop;

    fn value(&mut self) -> Result<Option<u64>, Stop> {
        self.operation()?;
        Ok(self.state.anchor)
    }

    fn create(&mut self) -> Result<u64, Stop> {
        self.operation()?;
        self.state.anchor = Some(self.begin);
        Ok(self.begin)
    }

    fn increment(&mut self) -> Result<u64, Stop> {
        self.operation()?;
        let next = self.state.anchor.unwrap() + 1;
        self.state.anchor = Some(next);
        Ok(next)
    }

    fn write(&mut self, date: u64, contents: &History) -> Result<(), Stop> {
        self.operation()?;
        self.state.files.insert((date, contents.clone()));
        self.state.current = Some((date, contents.clone()));
        Ok(())
    }
}

/// How a host opens the file that it finds: [`open`], or what was wrong before.
type Open = fn(&mut Simulated<'_>, Option<u64>, &History) -> Result<Settled, Refused<Stop>>;

fn ours(
    medium: &mut Simulated<'_>,
    found: Option<u64>,
    contents: &History,
) -> Result<Settled, Refused<Stop>> {
    open(medium, found, contents)
}

/// As it was: the write that another began is finished under the date that it had.
fn finishing_anothers(
    medium: &mut Simulated<'_>,
    found: Option<u64>,
    contents: &History,
) -> Result<Settled, Refused<Stop>> {
    let (value, date) = (medium.value()?, found.unwrap_or(0));
    let Some(value) = value else {
        return match found {
            None => Ok(Settled::Unmade),
            Some(_) => Err(Refused::Gone),
        };
    };
    if value % 2 == 0 && date == value {
        return Ok(Settled::At(value));
    }
    if value % 2 == 1 && date.abs_diff(value) == 1 {
        medium.write(value + 1, contents)?;
        return Ok(Settled::At(medium.increment()?));
    }
    Err(Refused::RolledBack {
        found: date,
        expected: value,
    })
}

/// Somebody was told of `history`: it must follow what was told before.
fn tell(state: &mut State, history: &History) -> Result<(), String> {
    if !history.starts_with(&state.told) {
        return Err(format!("{:?} was told, then {history:?}", state.told));
    }
    state.told.clone_from(history);
    Ok(())
}

/// One life of a host: it finds a file, reads a counter to a program, and makes a change. It is
/// killed after `left` operations; true if it lived on.
fn live(
    state: &mut State,
    found: Option<&(u64, History)>,
    open: Open,
    (left, intrusions, begin): (u32, [Option<u32>; 2], u64),
) -> Result<Result<(), Refused<Stop>>, String> {
    let used = state.files.iter().flat_map(|(_, history)| history);
    let unused = used.chain(&state.told).max().map_or(0, |last| last + 1);
    let history = found
        .map(|(_, history)| history.clone())
        .unwrap_or_default();
    let mut medium = Simulated {
        state,
        left,
        intrusions,
        begin,
    };
    let settled = match open(&mut medium, found.map(|(date, _)| *date), &history) {
        Ok(settled) => settled,
        Err(refused) => return Ok(Err(refused)),
    };
    tell(medium.state, &history)?;
    let changed = [history, vec![unused]].concat();
    if let Err(refused) = change(&mut medium, settled, &changed) {
        return Ok(Err(refused));
    }
    tell(medium.state, &changed)?;
    Ok(Ok(()))
}

/// The same state in as few words as possible.
fn canonical(mut state: State) -> State {
    // What can never be accepted any more is forgotten, and where the anchor stands matters only by
    // parity (and at its beginning).
    if let Some(anchor) = state.anchor {
        let shift = (anchor / 2).saturating_sub(2) * 2;
        let forgotten = |date: u64| date + 1 < anchor;
        state.files.retain(|(date, _)| !forgotten(*date));
        state.anchor = Some(anchor - shift);
        let moved = |(date, history): (u64, History)| (date.saturating_sub(shift), history);
        state.files = state.files.into_iter().map(moved).collect();
        state.current = state.current.map(moved);
    }
    // What all have in common, and how changes are numbered.
    let told = state.told.len();
    let follows = |(_, history): &(u64, History)| history.starts_with(&state.told);
    if state.files.iter().chain(&state.current).all(follows) {
        let rest = |(date, history): (u64, History)| (date, history[told..].to_vec());
        state.files = state.files.into_iter().map(rest).collect();
        state.current = state.current.map(rest);
        state.told.clear();
    }
    let mut names = BTreeMap::new();
    let mut name = |history: History| -> History {
        let mut named = Vec::new();
        for change in history {
            let next = names.len() as u16;
            named.push(*names.entry(change).or_insert(next));
        }
        named
    };
    state.told = name(state.told);
    state.current = state.current.map(|(date, history)| (date, name(history)));
    state.files = state
        .files
        .into_iter()
        .map(|(date, history)| (date, name(history)))
        .collect();
    state
}

/// Operations of one life, at most: three of a start, three of a change, and one to spare.
const MOST: u32 = 12;

/// Who does what between lives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    /// Puts back any copy, or none, and may move the anchor.
    Hostile,
    /// Is left alone.
    Honest,
}

/// When somebody else may move the anchor while a host lives: never, once, or twice.
fn intrusions(disk: Disk, left: u32) -> Vec<[Option<u32>; 2]> {
    if disk == Disk::Honest {
        return vec![[None; 2]];
    }
    let times = || (0..=left).map(Some).chain([None]);
    times()
        .flat_map(|one| times().map(move |other| [one, other]))
        .collect()
}

/// All states that can be reached from `first`, or what went wrong.
fn explore(first: State, open: Open, disk: Disk) -> Result<usize, String> {
    let mut seen = BTreeSet::new();
    let mut todo = vec![canonical(first)];
    while let Some(state) = todo.pop() {
        if !seen.insert(state.clone()) {
            continue;
        }
        assert!(seen.len() < 200_000, "no end of states");
        let found: Vec<Option<(u64, History)>> = match disk {
            Disk::Honest => vec![state.current.clone()],
            Disk::Hostile => {
                let all = state.files.iter().cloned().map(Some);
                all.chain([None]).collect()
            }
        };
        let mut reach = |next: State| todo.push(canonical(next));
        for found in &found {
            for left in 0..=MOST {
                for intrusions in intrusions(disk, left) {
                    for begin in [6, 7] {
                        let mut next = state.clone();
                        let lived =
                            live(&mut next, found.as_ref(), open, (left, intrusions, begin))
                                .map_err(|wrong| {
                                    format!("{wrong}, from {state:?} with {found:?}")
                                })?;
                        if disk == Disk::Honest
                            && !matches!(lived, Ok(()) | Err(Refused::Medium(_)))
                        {
                            return Err(format!("{lived:?} from {state:?}"));
                        }
                        if left == MOST && intrusions == [None; 2] {
                            assert!(
                                lived != Err(Refused::Medium(Stop::Killed)),
                                "{MOST} is too few"
                            );
                        }
                        reach(next);
                    }
                }
            }
        }
        if let (Disk::Hostile, Some(anchor)) = (disk, state.anchor) {
            reach(State {
                anchor: Some(anchor + 1),
                ..state
            });
        }
    }
    Ok(seen.len())
}

fn first(anchor: Option<u64>) -> State {
    State {
        anchor,
        files: BTreeSet::new(),
        current: None,
        told: Vec::new(),
    }
}

/// A host that has stored something and ended.
fn stored() -> State {
    let mut state = first(None);
    live(&mut state, None, ours, (MOST, [None; 2], 6))
        .unwrap()
        .unwrap();
    state
}

#[test]
fn nothing_that_was_told_is_taken_back_in_any_state_that_kills_and_copies_lead_to() {
    for anchor in [None, Some(0)] {
        let states = explore(first(anchor), ours, Disk::Hostile).unwrap();
        println!("{states} states from {anchor:?}");
        assert!(states > 20, "{states}");
    }
}

#[test]
fn a_disk_that_is_left_alone_is_accepted_after_any_kill() {
    for first in [first(Some(0)), stored()] {
        let states = explore(first, ours, Disk::Honest).unwrap();
        println!("{states} states");
        assert!(states > 5, "{states}");
    }
}

#[test]
fn the_exploration_finds_what_was_wrong_before() {
    let wrong = explore(first(Some(0)), finishing_anothers, Disk::Hostile).unwrap_err();
    println!("{wrong}");
    assert!(wrong.contains("was told"), "{wrong}");
}

#[test]
fn an_old_copy_and_none_and_a_missing_anchor_are_told_apart() {
    let mut state = stored();
    let old = state.current.clone();
    for _ in 0..2 {
        let current = state.current.clone();
        live(&mut state, current.as_ref(), ours, (MOST, [None; 2], 6))
            .unwrap()
            .unwrap();
    }
    let anchor = state.anchor.unwrap();
    let mut refused = |found: Option<&(u64, History)>, anchor| {
        state.anchor = anchor;
        live(&mut state, found, ours, (MOST, [None; 2], 6))
            .unwrap()
            .unwrap_err()
    };
    let rolled_back = |found| Refused::RolledBack {
        found,
        expected: anchor,
    };
    assert_eq!(
        refused(old.as_ref(), Some(anchor)),
        rolled_back(old.clone().unwrap().0)
    );
    assert_eq!(refused(None, Some(anchor)), rolled_back(0));
    assert_eq!(refused(old.as_ref(), None), Refused::Gone);
}
