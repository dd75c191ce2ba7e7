//! The floor of every call: the same bytes to and fro between two processes over the same kind
//! of pipes, and nothing else.

use std::{
    fs::File,
    io::{PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::AsFd as _,
    process::{Child, Command, Stdio},
};

use crate::pipes::pipe;

/// The other end: requests of `ask` bytes, answers of `answer` bytes.
pub fn answer(ask: usize, answer: usize) -> anyhow::Result<()> {
    let mut input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let (mut request, answer) = (vec![0; ask], vec![7; answer]);
    while input.read_exact(&mut request).is_ok() {
        output.write_all(&answer)?;
    }
    Ok(())
}

/// A process that answers.
pub struct Echo {
    child: Child,
    to: Option<PipeWriter>,
    from: PipeReader,
    request: Vec<u8>,
    back: Vec<u8>,
}

impl Echo {
    /// Starts one for requests and answers of these lengths.
    pub fn start((ask, answer): (usize, usize)) -> anyhow::Result<Self> {
        let (theirs, to) = pipe()?;
        let (from, writer) = pipe()?;
        let child = Command::new(std::env::current_exe()?)
            .args(["echo", &ask.to_string(), &answer.to_string()])
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::from(writer))
            .spawn()?;
        Ok(Self {
            child,
            to: Some(to),
            from,
            request: vec![1; ask],
            back: vec![0; answer],
        })
    }

    /// One request and its answer.
    pub fn call(&mut self) -> anyhow::Result<()> {
        if let Some(to) = &mut self.to {
            to.write_all(&self.request)?;
        }
        Ok(self.from.read_exact(&mut self.back)?)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // Its input ends: it ends too. Nothing depends on how.
        self.to = None;
        drop(self.child.wait());
    }
}
