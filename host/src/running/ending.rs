//! The end of a program, and that of the host.

use std::{
    os::fd::AsFd as _,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    running::programs::{Program, Stage},
    serve::reactor::{Host, Interest, Token},
    start::child_process::ChildProcess,
};
use tao::wire::{messages::AdminResponse, rpc};

/// How long programs may take to end when the host shuts down, as in the original.
const PATIENCE: Duration = Duration::from_secs(10);
/// Stack of the thread that waits for them.
const STACK: usize = 512 * 1024;

impl Host {
    fn watch(&self, process: &ChildProcess, token: Token) {
        if let Err(error) = self.arm(process.pidfd.as_fd(), token, Interest::Read) {
            log::error!("process {} can't be watched: {error}", process.pid);
        }
    }

    pub(crate) fn program_event(&self, program: &Program, token: Token) {
        let process = &program.process;
        let stage = program.reap();
        let status = match (stage, &process.init) {
            (Stage::Ended(status), _) => status,
            (Stage::Ending, Some(init)) => {
                program.channel.close(self);
                return self.watch(init, token);
            }
            _ => return self.watch(&process.program, token),
        };
        self.forget(token);
        program.channel.close(self);
        self.spawner.clean_up(process);
        let waiters = self.programs.ended(program, status);
        let response = AdminResponse {
            status: Some(status),
            ..AdminResponse::default()
        };
        for waiter in waiters {
            // A connection that has gone needs no answer.
            if let Some(connection) = waiter.connection.upgrade() {
                let mut answer = Vec::new();
                rpc::write_response(&mut answer, waiter.request, &response);
                connection.push(self, &answer);
            }
        }
    }

    /// Ends all programs, then the host. Returns at once.
    pub(crate) fn shut_down(self: &Arc<Self>) {
        if self.stopping.swap(true, Ordering::SeqCst) {
            return;
        }
        let host = Arc::clone(self);
        let ending = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || host.end());
        if let Err(error) = ending {
            log::error!("no thread to wait for the programs' end: {error}");
            self.stop_workers();
        }
    }

    fn end(&self) {
        self.programs.end_all(PATIENCE);
        self.stop_workers();
    }

    fn stop_workers(&self) {
        if let Err(error) = self.stop.write(1) {
            log::error!("the host can't be stopped: {error}");
        }
    }
}
