//! `tao host users`.

use std::path::Path;

use anyhow::{Context as _, bail};
use argh::FromArgs;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tao::{
    admin::{Admin, ProgramUser},
    logic::SubPrin,
    wire::user_messages::UserOf,
};

use super::time;

/// List or delete the users that programs have of their own.
#[derive(FromArgs)]
#[argh(subcommand, name = "users")]
pub struct Users {
    #[argh(subcommand)]
    command: UsersCommand,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum UsersCommand {
    List(List),
    Delete(Delete),
}

/// Print each program's user, whether the program runs or when it was started last, and its name.
#[derive(FromArgs)]
#[argh(subcommand, name = "list")]
struct List {
    /// print JSON
    #[argh(switch)]
    json: bool,
}

/// Delete a program's user with its private directory. Nobody gets the number again.
#[derive(FromArgs)]
#[argh(subcommand, name = "delete")]
struct Delete {
    /// the user's number, or its program's name or hash, as tao host users list prints them
    #[argh(positional)]
    user: String,
}

pub fn users(socket: &Path, command: &Users) -> anyhow::Result<()> {
    match &command.command {
        UsersCommand::List(command) => list(socket, command.json),
        UsersCommand::Delete(Delete { user }) => {
            let deleted = Admin::connect(socket)?.delete_user(&which(user)?)?;
            println!("user deleted: {deleted}");
            Ok(())
        }
    }
}

fn which(text: &str) -> anyhow::Result<ProgramUser> {
    if text.ends_with("...") {
        bail!("{text} is the beginning of a name: give the user's number or the whole name");
    }
    if text.starts_with('.') {
        let name: SubPrin = text
            .parse()
            .with_context(|| format!("{text} is not a program's name"))?;
        return Ok(ProgramUser::Program(Sha256::digest(name.encode()).into()));
    }
    if let Ok(number) = text.parse() {
        return Ok(ProgramUser::Number(number));
    }
    let hash = hex::decode(text).ok().and_then(|hash| hash.try_into().ok());
    hash.map(ProgramUser::Program).with_context(|| {
        format!("{text} is not a number, name or hash as `tao host users list` prints them")
    })
}

fn list(socket: &Path, as_json: bool) -> anyhow::Result<()> {
    let all = Admin::connect(socket)?.users()?;
    if as_json {
        let list: Vec<_> = all
            .iter()
            .map(|user| {
                json!({
                    "uid": user.uid,
                    "program": user.program.as_ref().map(hex::encode),
                    "name": user.name,
                    "running": user.running,
                    "last_started": user.last_started,
                    "starter": user.starter,
                })
            })
            .collect();
        println!("{}", json!(list));
        return Ok(());
    }
    for user in all {
        println!("{:<10} {:<20}  {}", user.uid, state(&user), name(&user));
    }
    Ok(())
}

fn state(user: &UserOf) -> String {
    match (user.running, &user.program, user.last_started) {
        (true, _, _) => "running".to_owned(),
        (_, None, _) => "deleted".to_owned(),
        (_, _, Some(at)) => time::of_seconds(at),
        (_, _, None) => "-".to_owned(),
    }
}

fn name(user: &UserOf) -> String {
    match &user.program {
        None => "(its directory is left over)".to_owned(),
        Some(hash) if user.name.is_empty() => hex::encode(hash),
        Some(_) => printable::line(&user.name).to_string(),
    }
}
