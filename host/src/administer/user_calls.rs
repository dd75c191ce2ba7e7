//! What administrators ask about the users that programs have of their own, and that they may delete
//! them: those of programs that are no longer used take room that others need.

use std::{io, time::SystemTime};

use nix::unistd::Uid;
use tao::wire::{
    rpc,
    user_messages::{UserOf, UsersRequest, UsersResponse},
};

use crate::{
    administer::{error::Refused, host::Host},
    confine::{
        own_directory::{directory_of, users_with_directory},
        removal::remove_all,
        started,
        user_table::{FIRST, TEMPORARY},
        users::{DeleteError, Which},
    },
};

/// A call about users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UserCall {
    List,
    Delete(Which),
}

impl UserCall {
    /// Which one is asked for.
    pub(crate) fn of(op: &str, request: &UsersRequest) -> Result<Self, Refused> {
        let service = rpc::USERS_SERVICE;
        let method = op.strip_prefix(service);
        match method.and_then(|op| op.strip_prefix('.')) {
            Some("List") => Ok(Self::List),
            Some("Delete") => which(request).map(UserCall::Delete),
            _ => Err(Refused::Unknown(rpc::unknown_method(op, service))),
        }
    }

    /// What the guard is asked for.
    pub(crate) const fn operation(&self) -> &'static str {
        match self {
            Self::List => "ListUsers",
            Self::Delete(_) => "DeleteUsers",
        }
    }

    /// The answer. It may take as long as there are files.
    pub(crate) fn answer(&self, host: &Host) -> Result<UsersResponse, Refused> {
        match self {
            Self::List => list(host),
            Self::Delete(which) => delete(host, which),
        }
    }
}

fn which(request: &UsersRequest) -> Result<Which, Refused> {
    match (request.uid, request.program.as_deref()) {
        (Some(uid), None) => Ok(Which::Number(uid)),
        (None, Some(program)) => Ok(Which::Program(
            program
                .try_into()
                .map_err(|_| Refused::Hash(program.len()))?,
        )),
        _ => Err(Refused::WhichUser),
    }
}

fn list(host: &Host) -> Result<UsersResponse, Refused> {
    let kept = host.spawner.users().list().map_err(DeleteError::from)?;
    let state = host.spawner.state();
    let mut users = Vec::new();
    for (user, running) in kept {
        let uid = Uid::from_raw(user.number);
        let last = match state.map(|state| started::last(state, uid)).transpose() {
            Ok(last) => last.flatten(),
            Err(error) => {
                log::warn!("what is known of user {uid}: {error}");
                None
            }
        };
        users.push(UserOf {
            uid: user.number,
            program: hex::decode(&user.program).ok(),
            name: last
                .as_ref()
                .map_or_else(String::new, |last| last.name.clone()),
            running,
            last_started: last.and_then(|last| seconds(last.at)),
            starter: user.starter,
        });
    }
    // What is left of users whose deletion was interrupted, or failed.
    let directories = state.map(users_with_directory).transpose();
    // A host without state keeps no directories.
    let directories = directories.map_err(Refused::State)?.unwrap_or_default();
    let left: Vec<u32> = directories
        .into_iter()
        .filter(|uid| (FIRST..TEMPORARY).contains(uid))
        .filter(|uid| users.binary_search_by_key(uid, |user| user.uid).is_err())
        .collect();
    users.extend(left.into_iter().map(|uid| UserOf {
        uid,
        program: None,
        name: String::new(),
        running: false,
        last_started: None,
        starter: None,
    }));
    Ok(UsersResponse {
        users,
        deleted: None,
    })
}

fn seconds(at: SystemTime) -> Option<u64> {
    // A clock before 1970 says nothing.
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// First the user, whose number is given to nobody again; then what it leaves here. A kill in between
/// leaves a directory without a user, which is listed and can be deleted.
fn delete(host: &Host, which: &Which) -> Result<UsersResponse, Refused> {
    let number = host.spawner.users().forget(which)?;
    log::info!("user {number} is deleted");
    if let Some(state) = host.spawner.state() {
        let uid = Uid::from_raw(number);
        let path = directory_of(state, uid);
        let failed = |source: io::Error| DeleteError::Directory {
            number,
            path: path.clone(),
            source,
        };
        remove_all(&path).map_err(failed)?;
        if let Err(error) = started::forget(state, uid) {
            log::warn!("what is known of user {uid} is left over: {error}");
        }
    }
    Ok(UsersResponse {
        users: Vec::new(),
        deleted: Some(number),
    })
}
