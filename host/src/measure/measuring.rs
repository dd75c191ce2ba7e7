//! Who measures programs: threads of their own, so that the calls of running programs never
//! wait for a file to be read and hashed. Callers take turns, by user: whoever asks for a
//! hundred starts waits for them alone.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::error::HostError;

/// Stack of a thread.
const STACK: usize = 512 * 1024;
/// The work is reading and computation; what is beyond the processors may wait for a disk.
const THREADS: usize = 4;
/// One user's files may be on a disk that does not answer: others still get their turn.
const OF_ONE_USER: usize = 2;
/// Most that wait, of one user and of all.
const WAITING_OF_ONE_USER: usize = 64;
const WAITING: usize = 256;
/// How long the end of the host waits for what is being measured.
const PATIENCE: Duration = Duration::from_secs(5);

type User = u32;
/// Why a start is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueueError {
    /// The host ends.
    #[error("the host is shutting down")]
    Closed,
    /// Too many wait.
    #[error(
        "the host has {all} programs to start already, {own} of them for user {user}; try again when some have been started"
    )]
    Full {
        /// How many wait.
        all: usize,
        /// How many of the same user.
        own: usize,
        /// Whose.
        user: User,
    },
}

/// A start.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

struct State {
    /// Who waits, the next one first; nobody is in it without a job.
    waiting: VecDeque<(User, VecDeque<Job>)>,
    running: HashMap<User, usize>,
    closed: bool,
}

/// Jobs that wait, and those that are done now.
pub(crate) struct Measuring {
    state: Mutex<State>,
    changed: Condvar,
}

impl Default for Measuring {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                running: HashMap::new(),
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }
}

impl State {
    /// The next job: of the user who has waited longest, if that one is not busy.
    fn next(&mut self) -> Option<(User, Job)> {
        let running = &self.running;
        let free = |user: &User| running.get(user).is_none_or(|count| *count < OF_ONE_USER);
        let place = self.waiting.iter().position(|(user, _)| free(user))?;
        let (user, mut jobs) = self.waiting.remove(place)?;
        let job = jobs.pop_front()?;
        if !jobs.is_empty() {
            self.waiting.push_back((user, jobs));
        }
        let running = self.running.entry(user).or_insert(0);
        *running = running.saturating_add(1);
        Some((user, job))
    }

    fn done(&mut self, user: User) {
        if let Some(count) = self.running.get_mut(&user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.running.remove(&user);
            }
        }
    }
}

/// Also by a panic of the job.
struct Done<'a>(&'a Measuring, User);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.state().done(self.1);
        self.0.changed.notify_all();
    }
}

impl Measuring {
    /// Jobs are put in and taken out as a whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a job done when it is its turn.
    pub(crate) fn submit(&self, user: User, job: Job) -> Result<(), QueueError> {
        let mut state = self.state();
        if state.closed {
            return Err(QueueError::Closed);
        }
        let all: usize = state.waiting.iter().map(|(_, jobs)| jobs.len()).sum();
        let own = state.waiting.iter_mut().find(|(whose, _)| *whose == user);
        let count = own.as_ref().map_or(0, |(_, jobs)| jobs.len());
        if count >= WAITING_OF_ONE_USER || all >= WAITING {
            return Err(QueueError::Full {
                all,
                own: count,
                user,
            });
        }
        match own {
            Some((_, jobs)) => jobs.push_back(job),
            None => state.waiting.push_back((user, VecDeque::from([job]))),
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Does jobs until there will be no more.
    fn work(&self) {
        loop {
            let mut state = self.state();
            let (user, job) = loop {
                if state.closed {
                    return;
                }
                match state.next() {
                    Some(next) => break next,
                    None => {
                        let waited = self.changed.wait(state);
                        state = waited.unwrap_or_else(PoisonError::into_inner);
                    }
                }
            };
            drop(state);
            let done = Done(self, user);
            // The others go on; the connection of this one has no answer.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                log::error!("a start of user {user} panicked");
            }
            drop(done);
        }
    }

    /// No more jobs; waits a while for those that are being done.
    pub(crate) fn close(&self) {
        let begin = Instant::now();
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
        self.changed.notify_all();
        while !state.running.is_empty() {
            let left = PATIENCE.saturating_sub(begin.elapsed());
            if left.is_zero() {
                log::warn!("a program is still being measured while the host ends");
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Starts the threads.
pub(crate) fn start(measuring: &Arc<Measuring>) -> Result<(), HostError> {
    for number in 1..=THREADS {
        let measuring = Arc::clone(measuring);
        thread::Builder::new()
            .name(format!("tao-start-{number}"))
            .stack_size(STACK)
            .spawn(move || measuring.work())
            .map_err(HostError::system("start a thread"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn at_work(threads: usize) -> Arc<Measuring> {
        let measuring = Arc::new(Measuring::default());
        for _ in 0..threads {
            let measuring = Arc::clone(&measuring);
            thread::spawn(move || measuring.work());
        }
        measuring
    }

    /// A job that tells its name, and waits until it is let go.
    fn held(told: &mpsc::Sender<&'static str>, name: &'static str) -> (Job, mpsc::Sender<()>) {
        let (release, released) = mpsc::channel();
        let told = told.clone();
        let job = move || {
            told.send(name).unwrap();
            released.recv().unwrap_err();
        };
        (Box::new(job), release)
    }

    #[test]
    fn a_user_whose_files_hang_holds_nobody_else_up() {
        let measuring = at_work(THREADS);
        let (told, started) = mpsc::channel();
        let mut held_up = Vec::new();
        for _ in 0..10 {
            let (job, release) = held(&told, "one");
            measuring.submit(1, job).unwrap();
            held_up.push(release);
        }
        for _ in 0..OF_ONE_USER {
            assert_eq!(started.recv().unwrap(), "one");
        }
        let (job, release) = held(&told, "two");
        measuring.submit(2, job).unwrap();
        assert_eq!(started.recv().unwrap(), "two");
        drop(release);
        held_up.clear();
        for _ in OF_ONE_USER..10 {
            assert_eq!(started.recv().unwrap(), "one");
        }
        measuring.close();
    }

    #[test]
    fn users_take_turns_and_one_that_asks_for_too_much_is_refused() {
        let measuring = Measuring::default();
        let (told, started) = mpsc::channel();
        for _ in 0..WAITING_OF_ONE_USER {
            drop(measuring.submit(1, held(&told, "one").0));
        }
        let refused = measuring.submit(1, held(&told, "one").0).unwrap_err();
        assert!(
            refused.to_string().contains("64 of them for user 1"),
            "{refused}"
        );
        measuring.submit(2, held(&told, "two").0).unwrap();
        let mut state = measuring.state();
        for expected in ["one", "two", "one"] {
            let (user, job) = state.next().unwrap();
            job();
            assert_eq!(started.recv().unwrap(), expected);
            state.done(user);
        }
    }

    #[test]
    fn a_job_that_panics_takes_no_thread_with_it() {
        let measuring = at_work(1);
        measuring
            .submit(1, Box::new(|| panic!("as asked")))
            .unwrap();
        let (told, started) = mpsc::channel();
        measuring.submit(1, held(&told, "next").0).unwrap();
        assert_eq!(started.recv().unwrap(), "next");
        measuring.close();
        assert!(measuring.submit(1, held(&told, "late").0).is_err());
    }
}
