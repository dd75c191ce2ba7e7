//! The figures, as `cargo xtask bench` puts them into its table.

use serde_json::{Value, json};

/// Rows of the table.
#[derive(Default)]
pub struct Rows(Vec<Value>);

impl Rows {
    /// A figure without a target.
    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: &str, note: &str) {
        self.0
            .push(json!({"name": name.into(), "value": value, "unit": unit, "note": note}));
    }

    /// A figure that must not exceed `limit`.
    pub fn target(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: &str,
        limit: f64,
        note: &str,
    ) {
        self.0.push(json!({
            "name": name.into(), "value": value, "unit": unit, "limit": limit, "note": note,
        }));
    }

    /// A figure that must reach `limit`.
    pub fn at_least(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: &str,
        limit: f64,
        note: &str,
    ) {
        self.0.push(json!({
            "name": name.into(), "value": value, "unit": unit, "at_least": limit, "note": note,
        }));
    }

    /// All of them.
    pub fn json(self) -> Value {
        Value::Array(self.0)
    }
}
