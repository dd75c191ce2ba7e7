//! What administrators ask and change of a host itself: its name, its counters, its guard.

use super::{
    connection::{Admin, admin},
    error::AdminError,
};
use crate::{
    guard::{Explanation, Step},
    logic::{Prin, SubPrin},
    wire::{
        counter_messages::{CountersOf, CountersRequest, CountersResponse},
        guard_messages::{GuardRequest, GuardResponse, GuardStep, HostDescription},
        messages::AdminRequest,
        rpc,
        user_messages::{UserOf, UsersRequest, UsersResponse},
    },
};

/// A user that a program has of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramUser {
    /// By its number.
    Number(u32),
    /// By its program: SHA-256 of the binary form of the name that it is started under.
    Program([u8; 32]),
}

impl Admin {
    /// The host's name.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn host_name(&mut self) -> Result<Prin, AdminError> {
        let response = self.call("HostName", &AdminRequest::default())?;
        let name = response
            .prin
            .ok_or(AdminError::Incomplete("it has no name"))?;
        Ok(Prin::decode(&name)?)
    }

    /// What the host says about itself.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn describe(&mut self) -> Result<HostDescription, AdminError> {
        self.send(&admin("Describe"), &AdminRequest::default(), &[])?;
        self.receive()
    }

    fn counters_call(
        &mut self,
        op: &str,
        program: Option<&[u8]>,
    ) -> Result<CountersResponse, AdminError> {
        let request = CountersRequest {
            program: program.map(<[u8]>::to_vec),
        };
        self.send(&format!("{}.{op}", rpc::COUNTERS_SERVICE), &request, &[])?;
        self.receive()
    }

    /// How many counters programs have.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn counters(&mut self) -> Result<Vec<CountersOf>, AdminError> {
        Ok(self.counters_call("List", None)?.programs)
    }

    /// Deletes all counters of a program, by the hash that [`Admin::counters`] gives. What it has sealed
    /// against rollback opens no more. Gives how many there were.
    ///
    /// # Errors
    /// When the connection breaks, or the program has no counters.
    pub fn delete_counters(&mut self, program: &[u8]) -> Result<u64, AdminError> {
        self.counters_call("Delete", Some(program))?
            .deleted
            .ok_or(AdminError::Incomplete("it does not say how many"))
    }

    fn users_call(
        &mut self,
        op: &str,
        request: &UsersRequest,
    ) -> Result<UsersResponse, AdminError> {
        self.send(&format!("{}.{op}", rpc::USERS_SERVICE), request, &[])?;
        self.receive()
    }

    /// The users that programs have of their own.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn users(&mut self) -> Result<Vec<UserOf>, AdminError> {
        Ok(self.users_call("List", &UsersRequest::default())?.users)
    }

    /// Deletes a program's user with its private directory; gives its number, which no program gets
    /// again.
    ///
    /// # Errors
    /// When the connection breaks, there is no such user, something runs as it, or its directory could
    /// not be removed.
    pub fn delete_user(&mut self, which: &ProgramUser) -> Result<u32, AdminError> {
        let request = match which {
            ProgramUser::Number(uid) => UsersRequest {
                uid: Some(*uid),
                program: None,
            },
            ProgramUser::Program(hash) => UsersRequest {
                uid: None,
                program: Some(hash.to_vec()),
            },
        };
        self.users_call("Delete", &request)?
            .deleted
            .ok_or(AdminError::Incomplete("it does not say which"))
    }

    fn guard(&mut self, op: &str, text: Option<&str>) -> Result<GuardResponse, AdminError> {
        let request = GuardRequest {
            text: text.map(str::to_owned),
        };
        self.send(&format!("{}.{op}", rpc::GUARD_SERVICE), &request, &[])?;
        self.receive()
    }

    /// Adds a rule to the host's guard, if it is one that administrators change.
    ///
    /// # Errors
    /// When the connection breaks, the rule is not one, or administrators may not change the guard.
    pub fn guard_add(&mut self, rule: &str) -> Result<(), AdminError> {
        self.guard("Add", Some(rule)).map(drop)
    }

    /// Takes a rule away from the host's guard, if it is one that administrators change.
    ///
    /// # Errors
    /// When the connection breaks, there is no such rule, or administrators may not change the
    /// guard.
    pub fn guard_retract(&mut self, rule: &str) -> Result<(), AdminError> {
        self.guard("Retract", Some(rule)).map(drop)
    }

    /// Asks the host's guard.
    ///
    /// # Errors
    /// When the connection breaks, or the query is not one.
    pub fn guard_query(&mut self, query: &str) -> Result<bool, AdminError> {
        self.guard("Query", Some(query))?
            .allowed
            .ok_or(AdminError::Incomplete("it has no answer"))
    }

    /// Asks the host's guard, and why it answers so.
    ///
    /// # Errors
    /// When the connection breaks, or the query is not one.
    pub fn guard_why(&mut self, query: &str) -> Result<Explanation, AdminError> {
        let response = self.guard("Why", Some(query))?;
        let step = |step: GuardStep| {
            Ok(Step {
                depth: usize::try_from(step.depth)
                    .map_err(|_| AdminError::Incomplete("a step of it is too deep"))?,
                statement: step.statement,
                reason: step.reason,
            })
        };
        Ok(Explanation {
            allowed: response
                .allowed
                .ok_or(AdminError::Incomplete("it has no answer"))?,
            steps: response
                .step
                .into_iter()
                .map(step)
                .collect::<Result<_, AdminError>>()?,
        })
    }

    /// The guard's part of the host's name, and its rules.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn guard_show(&mut self) -> Result<(SubPrin, Vec<String>), AdminError> {
        let response = self.guard("Show", None)?;
        let subprin = response
            .subprin
            .ok_or(AdminError::Incomplete("the guard has no name"))?;
        let subprin = SubPrin::decode(&subprin)?;
        Ok((subprin, response.rule))
    }

    /// Ends the host and all its programs.
    ///
    /// # Errors
    /// When the connection breaks, or the host refuses.
    pub fn shutdown(&mut self) -> Result<(), AdminError> {
        self.call("Shutdown", &AdminRequest::default()).map(drop)
    }
}
