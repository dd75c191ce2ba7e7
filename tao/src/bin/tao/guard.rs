//! `tao guard`: ask the host's guard, look at its rules, change them.

use std::{path::Path, process::ExitCode};

use argh::FromArgs;
use serde_json::{Value, json};
use tao::{admin::Admin, guard::Explanation};

/// Ask the host's guard, look at its rules, or change them.
#[derive(FromArgs)]
#[argh(subcommand, name = "guard")]
pub struct Guard {
    #[argh(subcommand)]
    command: GuardCommand,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum GuardCommand {
    Add(Add),
    Retract(Retract),
    Query(Query),
    Why(Why),
    Show(Show),
}

/// Add a rule. Only a local guard can be changed so; see tao-host.
#[derive(FromArgs)]
#[argh(subcommand, name = "add")]
struct Add {
    /// the rule, for example 'TrustedProgramHash(ext.Program([0a1b]))'
    #[argh(positional)]
    rule: String,
}

/// Take a rule away. What followed from it is not allowed any more.
#[derive(FromArgs)]
#[argh(subcommand, name = "retract")]
struct Retract {
    /// the rule as tao guard show prints it
    #[argh(positional)]
    rule: String,
}

/// Ask whether a statement holds. Exit status 0 if it does, 1 if not.
#[derive(FromArgs)]
#[argh(subcommand, name = "query")]
struct Query {
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the statement, for example 'Authorized(key([0a]), "Execute")'
    #[argh(positional)]
    query: String,
}

/// Ask whether a statement holds and why: the rules and facts it follows from, or the
/// nearest rule and what it misses. Exit status 0 if it holds, 1 if not.
#[derive(FromArgs)]
#[argh(subcommand, name = "why")]
struct Why {
    /// print JSON
    #[argh(switch)]
    json: bool,
    /// the statement
    #[argh(positional)]
    query: String,
}

/// Print the guard's name and its rules.
#[derive(FromArgs)]
#[argh(subcommand, name = "show")]
struct Show {
    /// print JSON
    #[argh(switch)]
    json: bool,
}

fn status(allowed: bool) -> ExitCode {
    ExitCode::from(u8::from(!allowed))
}

/// The explanation as JSON.
pub fn steps(explanation: &Explanation) -> Vec<Value> {
    explanation
        .steps
        .iter()
        .map(
            |step| json!({"depth": step.depth, "statement": step.statement, "reason": step.reason}),
        )
        .collect()
}

/// Prints an explanation for a person.
pub fn print(explanation: &Explanation) {
    println!("{}", if explanation.allowed { "yes" } else { "no" });
    for step in &explanation.steps {
        let indent = "  ".repeat(step.depth + 1);
        println!("{indent}{}", step.statement);
        println!("{indent}  because: {}", step.reason);
    }
}

pub fn guard(socket: &Path, command: &Guard) -> anyhow::Result<ExitCode> {
    let mut admin = Admin::connect(socket)?;
    match &command.command {
        GuardCommand::Add(add) => admin.guard_add(&add.rule)?,
        GuardCommand::Retract(retract) => admin.guard_retract(&retract.rule)?,
        GuardCommand::Query(query) => {
            let allowed = admin.guard_query(&query.query)?;
            if query.json {
                println!("{}", json!({"query": query.query, "allowed": allowed}));
            } else {
                println!("{}", if allowed { "yes" } else { "no" });
            }
            return Ok(status(allowed));
        }
        GuardCommand::Why(why) => {
            let answer = admin.guard_why(&why.query)?;
            if why.json {
                let steps = steps(&answer);
                println!(
                    "{}",
                    json!({"query": why.query, "allowed": answer.allowed, "why": steps})
                );
            } else {
                print(&answer);
            }
            return Ok(status(answer.allowed));
        }
        GuardCommand::Show(show) => {
            let (name, rules) = admin.guard_show()?;
            if show.json {
                println!("{}", json!({"guard": name.to_string(), "rules": rules}));
            } else {
                println!("{name}");
                rules.iter().for_each(|rule| println!("{rule}"));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
