//! What an administrator asks by the original's calls: to start, list, wait for, stop and kill
//! programs. Some answers take their time: the connection goes on meanwhile, or waits.

use std::{os::fd::OwnedFd, sync::Arc};

use nix::sys::signal::Signal;
use prost::Message;

use tao::{
    logic::SubPrin,
    wire::{
        messages::{AdminRequest, AdminResponse, RequestHeader},
        rpc,
        user_messages::UsersRequest,
    },
};

use crate::{
    administer::{
        admin::{AdminConnection, Came, write},
        error::Refused,
        operations::{list, output, pass_signal, signal},
        start_program::{start, take_stdio},
        user_calls::UserCall,
    },
    running::programs::{Wait, Waiter},
};

impl AdminConnection {
    /// Sends the answer to that request when it is known. An administrator who has gone needs
    /// none.
    pub(super) fn later<M: Message + 'static>(
        self: &Arc<Self>,
        header: &RequestHeader,
    ) -> Box<dyn FnOnce(Result<M, Refused>) + Send> {
        let (connection, header) = (Arc::downgrade(self), header.clone());
        Box::new(move |answer| {
            if let Some(connection) = connection.upgrade() {
                let mut out = Vec::new();
                write(&mut out, header, answer);
                connection.push(&out);
            }
        })
    }

    /// Has a call about users answered by other threads: it looks at many files.
    pub(super) fn users(
        self: &Arc<Self>,
        header: &RequestHeader,
        request: &UsersRequest,
    ) -> Result<(), Refused> {
        let call = UserCall::of(&header.op, request)?;
        self.peer.require(&self.host, call.operation())?;
        let (host, later) = (Arc::clone(&self.host), self.later(header));
        let job = move || later(call.answer(&host));
        let measuring = &self.host.measuring;
        Ok(measuring.submit(self.peer.uid.as_raw(), Box::new(job))?)
    }

    /// The answer to one of the original's calls; none yet to a wait and a start.
    pub(super) fn administer(
        self: &Arc<Self>,
        header: &RequestHeader,
        request: AdminRequest,
        came: Came<'_>,
    ) -> Result<Option<AdminResponse>, Refused> {
        let host = &*self.host;
        let may = |operation| self.peer.require(host, operation);
        match header.op.strip_prefix("LinuxHost.") {
            Some("StartHostedProgram") => {
                let stdio = take_stdio(&request, came.descriptors)?;
                may("Start")?;
                self.start(header, request, stdio)?;
                *came.starting = true;
                Ok(None)
            }
            Some("ListHostedPrograms") => {
                may("List")?;
                Ok(Some(list(host, request.all.unwrap_or(false))))
            }
            Some("WaitHostedProgram") => {
                may("Wait")?;
                self.wait(header, &request)
            }
            Some("StopHostedProgram") => {
                may("Stop")?;
                signal(host, &request, Signal::SIGTERM).map(Some)
            }
            Some("KillHostedProgram") => {
                may("Kill")?;
                signal(host, &request, Signal::SIGKILL).map(Some)
            }
            Some("Signal") => pass_signal(host, &self.peer, &request).map(Some),
            Some("Output") => {
                may("List")?;
                output(host, &request).map(Some)
            }
            Some("HostName") => Ok(Some(AdminResponse {
                prin: Some(host.service.host_name().encode()),
                ..AdminResponse::default()
            })),
            Some("Shutdown") => {
                may("Shutdown")?;
                host.shut_down();
                Ok(Some(AdminResponse::default()))
            }
            _ => {
                let sentence = rpc::unknown_method(&header.op, rpc::ADMIN_SERVICE);
                Err(Refused::Unknown(sentence))
            }
        }
    }

    /// Has the program measured and started by other threads.
    fn start(
        self: &Arc<Self>,
        header: &RequestHeader,
        request: AdminRequest,
        stdio: [Option<OwnedFd>; 3],
    ) -> Result<(), Refused> {
        let caller = self.caller.clone().map_err(Refused::Credentials)?;
        let (connection, header) = (Arc::clone(self), header.clone());
        let job = move || {
            let mut answer = Vec::new();
            let Self { host, peer, .. } = &*connection;
            let started = start(host, peer, &caller, &request, stdio);
            write(&mut answer, header, started.map_err(Refused::from));
            connection.started(&answer);
        };
        let measuring = &self.host.measuring;
        Ok(measuring.submit(self.peer.uid.as_raw(), Box::new(job))?)
    }

    /// The answer, or none yet.
    fn wait(
        self: &Arc<Self>,
        header: &RequestHeader,
        request: &AdminRequest,
    ) -> Result<Option<AdminResponse>, Refused> {
        let subprin = request.subprin.as_deref().map(SubPrin::decode).transpose();
        let subprin = subprin.map_err(Refused::SubPrin)?;
        let pid = request.pid.ok_or(Refused::NoSuchProgram)?;
        let ended = |status| AdminResponse {
            status: Some(status),
            ..AdminResponse::default()
        };
        let later = self.later(header);
        let waiter: Waiter = Box::new(move |status| later(Ok(ended(status))));
        match self.host.programs.wait(pid, subprin.as_ref(), waiter) {
            Wait::Registered => Ok(None),
            Wait::Ended(status) => Ok(Some(ended(status))),
            Wait::Unknown => Err(Refused::NoSuchProgram),
        }
    }
}
