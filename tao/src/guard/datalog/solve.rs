//! Answers a query by asking only what the rules need for it (tabled, goal by goal).
//!
//! A goal is a predicate with what is known of its arguments. Each goal is asked once;
//! those who need its answers ([`Frame`]s) are told of each new one. Rules that go round
//! in circles so come to an end, and nothing is on the stack: all work waits in a queue.
//! Within a rule the condition of which most is known comes first, whatever the order in
//! which it is written, so that facts are looked up and not searched through.

use std::collections::{HashMap, VecDeque};

use super::{
    facts::{Facts, Pattern, PredKey},
    rule::{Literal, Rule, SUBPRIN},
    subprin::{Known, evaluate},
    symbols::{Id, QuerySymbols},
    table::{Answer, Derivation, Frame, Goal, Nearest, instance, unify},
};
use crate::{
    guard::error::GuardError,
    logic::{Ident, Pred, Term, ident},
};

/// Most steps for one query.
pub(super) const MOST_STEPS: u32 = 2_000_000;

/// The rules and facts that a query is asked of.
pub(super) struct Base<'a> {
    pub facts: &'a Facts,
    /// Rules with conditions, by the predicate of their goal.
    pub rules: &'a HashMap<PredKey, Vec<(usize, Rule<Id>)>>,
}

pub(super) struct Solver<'a> {
    base: Base<'a>,
    pub symbols: QuerySymbols<'a>,
    pub goals: Vec<Goal>,
    places: HashMap<(PredKey, Pattern), usize>,
    queue: VecDeque<Frame>,
    longest: usize,
    steps: u32,
    pub nearest: Option<Nearest>,
}

impl<'a> Solver<'a> {
    /// Asks. `longest` bounds the principals that rules may build.
    pub(super) fn ask(
        base: Base<'a>,
        symbols: QuerySymbols<'a>,
        query: &Pred,
        longest: usize,
    ) -> Result<Self, GuardError> {
        let mut solver = Solver {
            base,
            symbols,
            goals: Vec::new(),
            places: HashMap::new(),
            queue: VecDeque::new(),
            longest,
            steps: 0,
            nearest: None,
        };
        let pattern = query
            .args
            .iter()
            .map(|term| solver.symbols.id(term).map(Some))
            .collect::<Result<_, _>>()?;
        solver.goal(&query.name, pattern);
        while let Some(frame) = solver.queue.pop_front() {
            solver.advance(frame)?;
            // A yes needs nothing more.
            if solver.answered() {
                break;
            }
        }
        Ok(solver)
    }

    pub(super) fn answered(&self) -> bool {
        self.goals
            .first()
            .is_some_and(|goal| !goal.answers.is_empty())
    }

    fn spend(&mut self) -> Result<(), GuardError> {
        self.steps = self.steps.saturating_add(1);
        if self.steps > MOST_STEPS {
            return Err(GuardError::TooMuch(MOST_STEPS));
        }
        Ok(())
    }

    /// The goal's place; a new goal gets its facts at once and its rules queued.
    fn goal(&mut self, name: &Ident, pattern: Pattern) -> usize {
        let key = (name.clone(), pattern.len());
        if let Some(place) = self.places.get(&(key.clone(), pattern.clone())) {
            return *place;
        }
        let place = self.goals.len();
        let facts = self.base.facts.matching(&key, &pattern);
        let known = facts.iter().map(|tuple| tuple.to_vec()).collect();
        let answers = facts
            .iter()
            .map(|tuple| Answer {
                tuple: tuple.to_vec(),
                derivation: Derivation::default(),
            })
            .collect();
        for (number, (_, rule)) in self.base.rules.get(&key).into_iter().flatten().enumerate() {
            let mut bound = vec![None; rule.variables.len()];
            let fits =
                rule.goal.args.iter().zip(&pattern).all(|(arg, wanted)| {
                    wanted.is_none_or(|wanted| unify(arg, wanted, &mut bound))
                });
            if fits {
                self.queue.push_back(Frame {
                    goal: place,
                    rule: (key.clone(), number),
                    done: 0,
                    bound,
                    derivation: Derivation::default(),
                });
            }
        }
        self.places.insert((key, pattern.clone()), place);
        self.goals.push(Goal {
            name: name.clone(),
            pattern,
            answers,
            known,
            waiting: Vec::new(),
        });
        place
    }

    fn rule(&self, frame: &Frame) -> Option<(usize, &'a Rule<Id>)> {
        let (place, rule) = self.base.rules.get(&frame.rule.0)?.get(frame.rule.1)?;
        Some((*place, rule))
    }

    /// Takes a rule as far as it goes without new answers.
    fn advance(&mut self, mut frame: Frame) -> Result<(), GuardError> {
        let Some((place, rule)) = self.rule(&frame) else {
            return Ok(());
        };
        frame.derivation.rule = Some(place);
        loop {
            self.spend()?;
            let Some((number, condition)) = self.next_condition(rule, &frame) else {
                return self.conclude(rule, frame);
            };
            let pattern = instance(condition, &frame.bound);
            if frame.goal == 0 {
                self.note(place, &frame, condition, &pattern);
            }
            if condition.name != *SUBPRIN {
                let goal = self.goal(&condition.name, pattern);
                return self.join(frame, number, goal);
            }
            let mut ways = self.built_in(&pattern)?.into_iter().filter_map(|triple| {
                let mut next = frame.clone();
                let mut args = condition.args.iter().zip(triple);
                let fits = args.all(|(arg, id)| unify(arg, id, &mut next.bound));
                next.derivation.built_in.push(triple);
                next.done |= 1 << number;
                fits.then_some(next)
            });
            let Some(first) = ways.next() else {
                return Ok(());
            };
            self.queue.extend(ways);
            frame = first;
        }
    }

    /// The condition of which most is known. The built-in one comes as soon as it can be
    /// evaluated, first of all where it takes a principal apart.
    fn next_condition<'r>(
        &self,
        rule: &'r Rule<Id>,
        frame: &Frame,
    ) -> Option<(usize, &'r Literal<Id>)> {
        let cost = |(_, condition): &(usize, &Literal<Id>)| {
            let pattern = instance(condition, &frame.bound);
            let unknown = pattern.iter().filter(|id| id.is_none()).count();
            if condition.name == *SUBPRIN {
                let whole = pattern.first().copied().flatten().is_some();
                let ready = whole || unknown <= 1;
                return if ready { (0, 0) } else { (usize::MAX, 0) };
            }
            let key = (condition.name.clone(), pattern.len());
            (unknown, self.base.facts.count(&key))
        };
        rule.conditions
            .iter()
            .enumerate()
            .filter(|(number, _)| frame.done & (1 << number) == 0)
            .min_by_key(cost)
    }

    /// Remembers how far the rules for the question itself have come. Of two that came equally far
    /// it is the later one: the first rules of a domain let hosts execute before programs, and
    /// whoever asks about a program must not be told how to make it a trusted host.
    fn note(&mut self, place: usize, frame: &Frame, missing: &Literal<Id>, pattern: &Pattern) {
        let held = frame.done.count_ones();
        let nearer = |best: &Nearest| (best.held, best.rule) < (held, place);
        if self.nearest.as_ref().is_none_or(nearer) {
            self.nearest = Some(Nearest {
                rule: place,
                held,
                missing: (missing.name.clone(), pattern.clone()),
            });
        }
    }

    fn built_in(&mut self, pattern: &[Option<Id>]) -> Result<Vec<[Id; 3]>, GuardError> {
        let [whole, outer, extension] = pattern else {
            return Ok(Vec::new());
        };
        let term = |id: &Option<Id>| id.and_then(|id| self.symbols.term(id));
        let known = Known {
            whole: term(whole),
            outer: term(outer),
            extension: term(extension),
        };
        let found = evaluate(&known, self.longest);
        let symbols = &mut self.symbols;
        found
            .iter()
            .map(|(p, o, e)| Ok([symbols.id(p)?, symbols.id(o)?, symbols.id(e)?]))
            .collect()
    }

    /// Lets the rule wait for the goal's answers, and go on with those there are.
    fn join(&mut self, frame: Frame, number: usize, goal: usize) -> Result<(), GuardError> {
        let count = self.goals.get(goal).map_or(0, |goal| goal.answers.len());
        for answer in 0..count {
            self.resume(&frame, number, goal, answer)?;
        }
        if let Some(goal) = self.goals.get_mut(goal) {
            goal.waiting.push((frame, number));
        }
        Ok(())
    }

    fn resume(
        &mut self,
        frame: &Frame,
        number: usize,
        goal: usize,
        answer: usize,
    ) -> Result<(), GuardError> {
        self.spend()?;
        let Some((_, rule)) = self.rule(frame) else {
            return Ok(());
        };
        let tuple = self
            .goals
            .get(goal)
            .and_then(|goal| goal.answers.get(answer))
            .map(|answer| &answer.tuple);
        let (Some(condition), Some(tuple)) = (rule.conditions.get(number), tuple) else {
            return Ok(());
        };
        let mut next = frame.clone();
        let mut args = condition.args.iter().zip(tuple);
        if args.all(|(arg, id)| unify(arg, *id, &mut next.bound)) {
            next.done |= 1 << number;
            next.derivation.support.push((goal, answer));
            self.queue.push_back(next);
        }
        Ok(())
    }

    /// All conditions hold: the goal has an answer.
    fn conclude(&mut self, rule: &Rule<Id>, frame: Frame) -> Result<(), GuardError> {
        let tuple: Option<Vec<Id>> = instance(&rule.goal, &frame.bound).into_iter().collect();
        let (Some(tuple), Some(goal)) = (tuple, self.goals.get_mut(frame.goal)) else {
            return Ok(());
        };
        let wanted = tuple
            .iter()
            .zip(&goal.pattern)
            .all(|(id, wanted)| wanted.is_none_or(|wanted| wanted == *id));
        if !wanted || !goal.known.insert(tuple.clone()) {
            return Ok(());
        }
        let answer = goal.answers.len();
        goal.answers.push(Answer {
            tuple,
            derivation: frame.derivation,
        });
        let waiting = goal.waiting.clone();
        for (other, number) in &waiting {
            self.resume(other, *number, frame.goal, answer)?;
        }
        Ok(())
    }

    /// A statement in words.
    pub(super) fn statement(&self, name: &Ident, pattern: &[Option<Id>]) -> String {
        let term = |id: &Option<Id>| match id.and_then(|id| self.symbols.term(id)) {
            Some(term) => term.clone(),
            None => Term::Var(ident!("X")),
        };
        let args = pattern.iter().map(term).collect();
        Pred {
            name: name.clone(),
            args,
        }
        .to_string()
    }
}
