//! The line on standard error that shows that something is going on.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the line, and what it looks at, is renewed.
const TICK: Duration = Duration::from_millis(100);
/// Work that is shorter needs no line.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counts seconds on the terminal until it is finished.
pub struct Progress {
    started: Instant,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins `text`; `detail` is asked ten times a second what is going on just now.
    pub fn start(text: &str, mut detail: impl FnMut() -> String + Send + 'static) -> Self {
        let started = Instant::now();
        let (stop, stopped) = channel();
        let text = text.to_owned();
        let spawned = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || {
                let mut line = Line {
                    text,
                    started,
                    shown: None,
                };
                while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    line.show(&detail());
                }
                line.end();
            });
        // Without a thread there is no line, and the work goes on.
        Self {
            started,
            stop: Some(stop),
            thread: spawned.ok(),
        }
    }

    /// Ends the line and says how long it took, in seconds.
    pub fn finish(mut self) -> f64 {
        self.stop();
        self.started.elapsed().as_secs_f64()
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the line is on standard error already, and changes no result.
            drop(thread.join());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Line {
    text: String,
    started: Instant,
    /// What was written last.
    shown: Option<String>,
}

impl Line {
    fn show(&mut self, detail: &str) {
        let elapsed = self.started.elapsed();
        if elapsed < PATIENCE {
            return;
        }
        let detail = if detail.is_empty() {
            String::new()
        } else {
            format!(": {detail}")
        };
        let terminal = std::io::stderr().is_terminal();
        // A log gets a line for each new detail, a terminal also one for each second.
        let line = if terminal {
            format!("\r\x1b[K  {} … {} s{detail}", self.text, elapsed.as_secs())
        } else {
            format!("  {} …{detail}\n", self.text)
        };
        if self.shown.as_ref() != Some(&line) {
            eprint!("{line}");
            // A terminal that is gone is no reason to stop.
            drop(std::io::stderr().flush());
            self.shown = Some(line);
        }
    }

    fn end(&self) {
        let seconds = self.started.elapsed().as_secs_f64();
        let erase = if std::io::stderr().is_terminal() {
            "\r\x1b[K"
        } else {
            ""
        };
        if self.shown.is_some() {
            eprintln!("{erase}  {}: {seconds:.1} s", self.text);
        }
    }
}
