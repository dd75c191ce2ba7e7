//! The example programs on the booted machine: what they are told, and what came of it.

use std::collections::BTreeMap;

use ::guest::orders::Order;
use ::harness::disk::orders::shell;

use super::command_result::CommandResult;
use super::facts::Examples;
use super::tables::{item, wrapped};

/// Starts the sealed counter, which has a user of its own, and asks it.
const COUNT: &str = "mkdir -p -m 1777 /var/lib/counted /run/counted && \
    tao run --detach /usr/bin/sealed-counter serve /var/lib/counted/count /run/counted/sock \
    >/dev/null && sealed-counter ask /run/counted/sock";
/// Starts the attested hello, and its client, which believes nobody but that program under the
/// host's name: it verifies the chain up to the TPM's quote over the three PCRs.
const HELLO: &str = "p=$(tao run --detach /usr/bin/attested-hello serve 127.0.0.1:7000) && \
    attested-hello ask 127.0.0.1:7000 \"$(tao host show | head -n 1)\" \"${p#*  }\"";

/// The commands; of the boot after the attack only the counter's.
pub fn orders(again: bool) -> Vec<Order> {
    let count = shell("count", COUNT);
    if again {
        return vec![count];
    }
    vec![count, shell("hello", HELLO)]
}

/// What they printed.
pub fn examples(commands: &BTreeMap<String, CommandResult>) -> Examples {
    let printed = |name: &str| {
        let result = commands.get(name)?;
        Some(match result.code {
            Some(0) => Ok(result.stdout.trim().to_owned()),
            _ => Err(result.said()),
        })
    };
    let (count, hello) = (printed("count"), printed("hello"));
    let error = [&count, &hello]
        .into_iter()
        .flatten()
        .find_map(|result| result.as_ref().err().cloned());
    let count = count
        .and_then(Result::ok)
        .and_then(|text| text.parse().ok());
    let hello = hello.and_then(Result::ok);
    Examples {
        count,
        hello: hello
            .map(|text| text.lines().map(str::to_owned).collect())
            .unwrap_or_default(),
        error,
    }
}

/// What a person reads of it.
pub fn text(examples: &Examples) -> String {
    let mut text = String::new();
    if let Some(count) = examples.count {
        text += &item("Counter", &format!("sealed-counter counts {count}"));
    }
    if let [greeting, proof] = examples.hello.as_slice() {
        text += &item(
            "Hello",
            "attested-hello's client verified the chain and read",
        );
        text += &wrapped(greeting, 16);
        text += &wrapped(proof, 16);
    }
    if let Some(error) = &examples.error {
        text += &item("", &format!("failed: {error}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_that_failed_says_why() {
        let mut commands = BTreeMap::new();
        let mut result = CommandResult {
            code: Some(0),
            stdout: "7\n".to_owned(),
            ..CommandResult::default()
        };
        commands.insert("count".to_owned(), result.clone());
        result.code = Some(1);
        result.stderr = "no answer".to_owned();
        commands.insert("hello".to_owned(), result);
        let found = examples(&commands);
        assert_eq!(
            (found.count, found.error.as_deref()),
            (Some(7), Some("no answer"))
        );
        assert!(found.hello.is_empty());
    }
}
