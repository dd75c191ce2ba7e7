//! What a run tells: a person as it goes, a machine at its end.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    action::Action,
    finding::Finding,
    plan::{Planned, State},
    step::Step,
};

/// Filled while steps are done.
pub struct Report {
    json: bool,
    dry_run: bool,
    lacking: Vec<Finding>,
    planned: Vec<Planned>,
    would: Vec<Value>,
    done: Vec<Step>,
    undone: Option<Step>,
}

impl Report {
    pub fn new(json: bool, dry_run: bool) -> Self {
        Self {
            json,
            dry_run,
            lacking: Vec::new(),
            planned: Vec::new(),
            would: Vec::new(),
            done: Vec::new(),
            undone: None,
        }
    }

    /// What no step brings.
    pub fn lacking(&mut self, lacking: Vec<Finding>) {
        self.lacking = lacking;
    }

    /// A step that is about to be done.
    pub fn step(&mut self, next: &Planned, actions: &[Action]) {
        self.say(&format!(
            "{}: {} ({})",
            next.step,
            next.step.does(),
            printable::line(&next.why)
        ));
        self.actions(next.step, actions);
    }

    pub fn undo(&mut self, step: Step, actions: &[Action]) {
        self.say(&format!("undo {step} ({})", step.does()));
        self.actions(step, actions);
    }

    fn actions(&mut self, step: Step, actions: &[Action]) {
        let texts: Vec<String> = actions.iter().map(ToString::to_string).collect();
        for text in &texts {
            self.say(&format!("  {text}"));
        }
        self.would.push(json!({ "step": step, "actions": texts }));
    }

    pub fn done(&mut self, step: Step) {
        self.say(&format!("{step}: done\n"));
        self.done.push(step);
    }

    pub fn undone(&mut self, step: Step, remains: Option<&str>) {
        self.say(&format!("{step}: undone"));
        if let Some(remains) = remains {
            self.say(&format!("  {remains}"));
        }
        self.undone = Some(step);
    }

    /// Where the steps stand at the end.
    pub fn plan(&mut self, planned: Vec<Planned>) {
        self.planned = planned;
    }

    pub fn finish(self, code: ExitCode) -> Result<ExitCode> {
        let waiting = self
            .planned
            .iter()
            .find(|planned| planned.state != State::Done);
        if self.json {
            let ready = self.lacking.is_empty() && waiting.is_none();
            let all = json!({
                "ready": ready,
                "dry_run": self.dry_run,
                "lacking": self.lacking,
                "steps": self.planned,
                "actions": self.would,
                "done": self.done,
                "undone": self.undone,
            });
            println!("{}", serde_json::to_string_pretty(&all)?);
            return Ok(code);
        }
        for finding in &self.lacking {
            print!("{finding}");
        }
        for planned in &self.planned {
            let state = match planned.state {
                State::Done => "done",
                State::Now => "to do",
                State::Reboot => "restart",
                State::Hand => "by hand",
                State::Later => "later",
            };
            println!(
                "{state:<8} {:<13} {}",
                planned.step,
                printable::line(&planned.why)
            );
        }
        match (self.lacking.is_empty(), waiting) {
            (false, _) => println!("nothing was done: no step of setup brings what is missing"),
            (true, _) if self.dry_run => println!("nothing was changed (--dry-run)"),
            (true, Some(next)) => println!("next: {}: {}", next.step, printable::line(&next.why)),
            (true, None) => println!(
                "all steps are done; `taoboot check-next-boot` says what the next boot will do, and enrol-the-first-machine which entry and on_failure to choose from now on"
            ),
        }
        Ok(code)
    }

    /// In a run for a machine, standard output is the JSON's.
    fn say(&self, line: &str) {
        if self.json {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    }
}
