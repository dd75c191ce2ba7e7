//! The figures as a table for a person and as JSON for a machine.

use std::fmt;

use serde_json::{Value, json};

/// One figure.
struct Row {
    part: &'static str,
    name: String,
    value: f64,
    unit: &'static str,
    target: Option<Target>,
    /// What the figure is good for, or how it came about.
    note: String,
}

/// Values that meet the target.
#[derive(Clone, Copy)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Row {
    fn met(&self) -> Option<bool> {
        self.target.map(|target| match target {
            Target::AtMost(limit) => self.value <= limit,
            Target::AtLeast(limit) => self.value >= limit,
        })
    }
}

/// All figures of a run, in order.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// A figure without target.
    pub fn figure(
        &mut self,
        part: &'static str,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        note: &str,
    ) {
        self.rows.push(Row {
            part,
            name: name.into(),
            value,
            unit,
            target: None,
            note: note.to_owned(),
        });
    }

    /// A figure that must not exceed `limit`.
    pub fn target(
        &mut self,
        part: &'static str,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        limit: f64,
        note: &str,
    ) {
        self.rows.push(Row {
            part,
            name: name.into(),
            value,
            unit,
            target: Some(Target::AtMost(limit)),
            note: note.to_owned(),
        });
    }

    /// A figure that must reach `limit`.
    pub fn at_least(
        &mut self,
        part: &'static str,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        limit: f64,
        note: &str,
    ) {
        self.rows.push(Row {
            part,
            name: name.into(),
            value,
            unit,
            target: Some(Target::AtLeast(limit)),
            note: note.to_owned(),
        });
    }

    /// Was every target met?
    pub fn all_met(&self) -> bool {
        self.rows.iter().all(|row| row.met().unwrap_or(true))
    }

    /// The same for machines.
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let (limit, at_least) = match row.target {
                Some(Target::AtMost(limit)) => (Some(limit), None),
                Some(Target::AtLeast(limit)) => (None, Some(limit)),
                None => (None, None),
            };
            json!({
                "part": row.part, "name": row.name, "value": row.value, "unit": row.unit,
                "limit": limit, "at_least": at_least, "met": row.met(), "note": row.note,
            })
        });
        json!({ "bench": 1, "figures": rows.collect::<Vec<_>>() })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .rows
            .iter()
            .map(|row| row.name.chars().count())
            .max()
            .unwrap_or(0);
        let mut part = "";
        for row in &self.rows {
            if row.part != part {
                part = row.part;
                writeln!(f, "\n{part}")?;
            }
            let verdict = if row.met() == Some(true) {
                "pass"
            } else {
                "MISS"
            };
            let target = match row.target {
                Some(Target::AtMost(limit)) => format!("<= {limit:<7} {verdict}"),
                Some(Target::AtLeast(limit)) => format!(">= {limit:<7} {verdict}"),
                None => String::new(),
            };
            let line = format!(
                "  {:width$}  {:>9.3} {:3}  {target:15} {}",
                row.name, row.value, row.unit, row.note
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_is_told_from_a_met_one() {
        let mut table = Table::default();
        table.target("boot", "ours / script", 0.5, "", 0.5, "");
        table.figure("boot", "whole boot", 9.0, "s", "");
        assert!(table.all_met());
        table.target("boot", "ours / floor", 0.51, "", 0.5, "");
        assert!(!table.all_met());
        assert!(table.to_string().contains("MISS"));
        assert_eq!(table.json()["figures"][2]["met"], false);
    }

    #[test]
    fn a_rate_must_reach_its_target() {
        let mut table = Table::default();
        table.at_least("tao", "many / one", 20.0, "", 20.0, "");
        assert!(table.all_met());
        table.at_least("tao", "many / one", 19.9, "", 20.0, "");
        assert!(!table.all_met());
        assert!(table.to_string().contains(">= 20"));
    }
}
