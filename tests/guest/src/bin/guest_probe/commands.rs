//! Runs the ordered commands and keeps what they said.

use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use guest::orders::Order;

/// Most that is reported of one command's output, in bytes.
const OUTPUT_LIMIT: usize = 64 << 10;

/// The results by name: exit code (`null` when killed by a signal), output, seconds.
pub fn run(orders: &[Order]) -> Value {
    let results = orders
        .iter()
        .map(|order| (order.name.clone(), run_one(order)));
    Value::Object(results.collect())
}

fn run_one(order: &Order) -> Value {
    let started = Instant::now();
    let seconds = order.seconds.to_string();
    let result = Command::new("timeout")
        .args(["-k", "2", &seconds])
        .args(&order.argv)
        .stdin(Stdio::null())
        .output();
    match result {
        Err(error) => json!({ "code": Value::Null, "error": error.to_string() }),
        Ok(output) => json!({
            "code": output.status.code(),
            "stdout": text(&output.stdout),
            "stderr": text(&output.stderr),
            "seconds": started.elapsed().as_secs_f64(),
        }),
    }
}

fn text(bytes: &[u8]) -> String {
    let kept = bytes.get(..OUTPUT_LIMIT).unwrap_or(bytes);
    String::from_utf8_lossy(kept).into_owned()
}
