//! `tao guard`: ask the host's guard, look at its rules, change them.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::ensure;
use argh::FromArgs;
use serde_json::{Value, json};
use tao::{admin::Admin, domain::Domain, guard::Explanation, logic::SubPrin};

use super::domain;

/// Ask the host's guard, look at its rules, or change them.
#[derive(FromArgs)]
#[argh(subcommand, name = "guard")]
pub struct Guard {
    /// the domain in this directory instead of the running host
    #[argh(option)]
    domain: Option<PathBuf>,
    /// with --domain, to add or retract: file with the policy key's password, - for standard
    /// input (default: ask)
    #[argh(option)]
    password_file: Option<PathBuf>,
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

/// Add a rule. The running host's guard must be a local one
/// (tao host start --guard local).
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
        let indent = "  ".repeat(step.depth.saturating_add(1));
        println!("{indent}{}", step.statement);
        println!("{indent}  because: {}", step.reason);
    }
}

/// The guard that is meant: the running host's, or a domain's.
enum Asked<'a> {
    Host(Box<Admin>),
    Domain(&'a Path, Option<&'a Path>),
}

impl Asked<'_> {
    fn change(&mut self, rule: &str, add: bool) -> anyhow::Result<()> {
        match self {
            Asked::Host(admin) if add => Ok(admin.guard_add(rule)?),
            Asked::Host(admin) => Ok(admin.guard_retract(rule)?),
            Asked::Domain(dir, password) => domain::change(dir, *password, |_, guard| {
                if add {
                    guard.add_rule(rule)?;
                } else {
                    guard.retract_rule(rule)?;
                }
                Ok(())
            }),
        }
    }

    fn query(&mut self, query: &str) -> anyhow::Result<bool> {
        Ok(match self {
            Asked::Host(admin) => admin.guard_query(query)?,
            Asked::Domain(dir, _) => Domain::load(dir)?.guard()?.query(&query.parse()?)?,
        })
    }

    fn why(&mut self, query: &str) -> anyhow::Result<Explanation> {
        Ok(match self {
            Asked::Host(admin) => admin.guard_why(query)?,
            Asked::Domain(dir, _) => Domain::load(dir)?.guard()?.why(&query.parse()?)?,
        })
    }

    fn show(&mut self) -> anyhow::Result<(SubPrin, Vec<String>)> {
        Ok(match self {
            Asked::Host(admin) => admin.guard_show()?,
            Asked::Domain(dir, _) => {
                let guard = Domain::load(dir)?.guard()?;
                (guard.subprincipal(), guard.rules())
            }
        })
    }
}

pub fn guard(socket: &Path, command: &Guard) -> anyhow::Result<ExitCode> {
    let changes = matches!(
        command.command,
        GuardCommand::Add(_) | GuardCommand::Retract(_)
    );
    ensure!(
        command.password_file.is_none() || (command.domain.is_some() && changes),
        "--password-file is for the key of a domain: it needs --domain, and add or retract"
    );
    let mut asked = match &command.domain {
        Some(dir) => Asked::Domain(dir, command.password_file.as_deref()),
        None => Asked::Host(Box::new(Admin::connect(socket)?)),
    };
    match &command.command {
        GuardCommand::Add(add) => asked.change(&add.rule, true)?,
        GuardCommand::Retract(retract) => asked.change(&retract.rule, false)?,
        GuardCommand::Query(query) => {
            let allowed = asked.query(&query.query)?;
            if query.json {
                println!("{}", json!({"query": query.query, "allowed": allowed}));
            } else {
                println!("{}", if allowed { "yes" } else { "no" });
            }
            return Ok(status(allowed));
        }
        GuardCommand::Why(why) => {
            let answer = asked.why(&why.query)?;
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
            let (name, rules) = asked.show()?;
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
