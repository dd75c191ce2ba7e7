//! A passphrase from a person, without echo: asked for on every console that the kernel has, and the
//! first answer counts.

use std::{
    fs,
    io::{self, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zeroize::Zeroizing;

use super::{
    console::{Console, nodes, write_all},
    keymap,
};

/// The names of the consoles that are in use (Documentation/ABI/testing/sysfs-tty).
const ACTIVE: &str = "/sys/class/tty/console/active";

/// Why nothing could be asked.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// No console, or none is a terminal.
    #[error("cannot ask for a passphrase: {0}")]
    Console(String),
    /// All of them hung up.
    #[error("the console was closed before a passphrase was typed")]
    Closed,
    /// Waiting for somebody to type.
    #[error("cannot wait for the consoles: {0}")]
    Wait(io::Error),
}

/// The consoles with echo off; echo comes back when it is dropped.
pub struct Prompt {
    consoles: Vec<Console>,
}

impl Prompt {
    /// Opens all consoles, the screen with the image's keymap. What was typed ahead is thrown away. With `stars`
    /// there is one for each character that is typed; else nothing is shown, and nobody sees how long it is.
    pub fn open(stars: bool) -> Result<Self, PromptError> {
        let keymap = keymap::load(Path::new(keymap::FILE), Path::new(keymap::SCREEN));
        // Without the file there is /dev/console itself.
        let active = fs::read_to_string(ACTIVE).unwrap_or_default();
        let mut prompt = Self::on(&nodes(&active), stars)?;
        if let Err(error) = keymap {
            prompt.say(&format!(
                "taoboot: {error}; the keys mean what they mean to the kernel"
            ))?;
        }
        Ok(prompt)
    }

    /// On these terminals, as far as they can be opened.
    fn on(paths: &[PathBuf], stars: bool) -> Result<Self, PromptError> {
        let mut consoles = Vec::with_capacity(paths.len());
        let mut failed = Vec::new();
        for path in paths {
            match Console::open(path, stars) {
                Ok(console) => consoles.push(console),
                // A screen that is not there is named by the kernel all the same.
                Err(error) => failed.push(format!("{}: {error}", path.display())),
            }
        }
        if consoles.is_empty() {
            return Err(PromptError::Console(failed.join("; ")));
        }
        Ok(Self { consoles })
    }

    /// Lets go of the consoles without switching their echo on: somebody may still be typing, and the machine
    /// stops.
    pub fn stay_quiet(mut self) {
        for console in &mut self.consoles {
            console.before = None;
        }
    }

    /// Shows a line of text.
    pub fn say(&mut self, text: &str) -> Result<(), PromptError> {
        self.write(&format!("{}\r\n", printable::line(text)))
    }

    /// Asks everywhere and reads one line, from wherever it is typed first. An empty one is not an answer.
    pub fn ask(&mut self, question: &str) -> Result<Zeroizing<Vec<u8>>, PromptError> {
        self.ask_for(question, false)
    }

    /// [`Self::ask`], where an empty line may be an answer.
    pub fn ask_for(
        &mut self,
        question: &str,
        empty_counts: bool,
    ) -> Result<Zeroizing<Vec<u8>>, PromptError> {
        self.write(&printable::line(question).to_string())?;
        loop {
            let ready = self.wait()?;
            let mut closed = Vec::new();
            for (number, console) in self.consoles.iter_mut().enumerate() {
                if !ready.contains(&number) {
                    continue;
                }
                match console.read() {
                    Ok(Some(line)) if line.is_empty() && !empty_counts => {}
                    Ok(Some(line)) => {
                        self.end_question(number);
                        return Ok(line);
                    }
                    Ok(None) => {}
                    Err(_) => closed.push(number),
                }
            }
            for number in closed.into_iter().rev() {
                drop(self.consoles.remove(number));
            }
            if self.consoles.is_empty() {
                return Err(PromptError::Closed);
            }
        }
    }

    /// The numbers of the consoles on which something was typed, or that hung up.
    fn wait(&self) -> Result<Vec<usize>, PromptError> {
        let consoles = self.consoles.iter();
        let mut polled: Vec<PollFd<'_>> = consoles
            .map(|console| PollFd::new(console.terminal.as_fd(), PollFlags::POLLIN))
            .collect();
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(PromptError::Wait(error.into())),
        }
        let ready = polled.iter().enumerate();
        Ok(ready
            .filter(|(_, polled)| polled.any().unwrap_or(true))
            .map(|(number, _)| number)
            .collect())
    }

    /// What was typed elsewhere is forgotten, and the question stands alone on its line there.
    fn end_question(&mut self, answered: usize) {
        for (number, console) in self.consoles.iter_mut().enumerate() {
            if number != answered {
                console.forget();
                // A console that cannot be written to has nobody in front of it.
                drop(console.terminal.write_all(b"\r\n"));
            }
        }
    }

    /// One that hangs up is left out from now on.
    fn write(&mut self, text: &str) -> Result<(), PromptError> {
        self.consoles
            .retain_mut(|console| write_all(&mut console.terminal, text.as_bytes()).is_ok());
        if self.consoles.is_empty() {
            return Err(PromptError::Closed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::Read,
        os::fd::{AsRawFd, OwnedFd},
        thread,
    };

    use nix::{
        pty::openpty,
        sys::termios::{LocalFlags, tcgetattr},
    };

    use super::*;
    use crate::boot::open::console::LONGEST;

    /// What a person has in front of it, and the terminal's node. The node stays open, so that it does not hang up.
    fn terminal() -> (File, PathBuf, OwnedFd) {
        let pty = openpty(None, None).unwrap();
        let node = fs::read_link(format!("/proc/self/fd/{}", pty.slave.as_raw_fd())).unwrap();
        (File::from(pty.master), node, pty.slave)
    }

    fn shown(screen: &mut File) -> String {
        let mut bytes = [0; 4096];
        let count = screen.read(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    #[test]
    fn the_first_answer_counts_and_what_was_typed_elsewhere_is_forgotten() {
        let (mut screen, screen_node, _open) = terminal();
        let (mut serial, serial_node, _open_too) = terminal();
        let gone = PathBuf::from("/dev/none-of-this-name");
        let mut prompt = Prompt::on(&[screen_node, gone, serial_node], false).unwrap();
        screen.write_all(b"half a pass").unwrap();
        let asked = thread::spawn(move || {
            let first = prompt.ask("Passphrase: ").unwrap();
            (prompt, first)
        });
        assert!(shown(&mut screen).contains("Passphrase: "));
        assert!(shown(&mut serial).contains("Passphrase: "));
        serial.write_all(b"of the seriak\x7fl line\n").unwrap();
        let (mut prompt, first) = asked.join().unwrap();
        assert_eq!(first.as_slice(), b"of the serial line");
        let asked = thread::spawn(move || prompt.ask("Again: ").unwrap());
        while !shown(&mut screen).contains("Again: ") {}
        screen.write_all(b"on the screen\n").unwrap();
        assert_eq!(asked.join().unwrap().as_slice(), b"on the screen");
        // No echo.
        assert!(!shown(&mut screen).contains("screen"));
    }

    #[test]
    fn a_console_that_hangs_up_leaves_the_others_and_the_last_one_ends_the_question() {
        let (screen, screen_node, open) = terminal();
        let (mut serial, serial_node, _open_too) = terminal();
        let mut prompt = Prompt::on(&[screen_node.clone(), serial_node], false).unwrap();
        drop((screen, open));
        serial.write_all(b"x\n").unwrap();
        assert_eq!(prompt.ask("?").unwrap().as_slice(), b"x");
        drop(serial);
        assert!(matches!(prompt.ask("?"), Err(PromptError::Closed)));
        assert!(matches!(
            Prompt::on(&[screen_node], false),
            Err(PromptError::Console(_))
        ));
    }

    #[test]
    fn an_empty_line_is_no_answer_and_after_the_last_question_nothing_is_echoed() {
        let (mut serial, node, open) = terminal();
        let mut prompt = Prompt::on(&[node], false).unwrap();
        serial.write_all(b"\n\nan answer\n\n").unwrap();
        assert_eq!(prompt.ask("?").unwrap().as_slice(), b"an answer");
        // Unless it is one.
        assert!(prompt.ask_for("?", true).unwrap().is_empty());
        prompt.stay_quiet();
        let flags = tcgetattr(&open).unwrap().local_flags;
        assert!(!flags.contains(LocalFlags::ECHO));
    }

    #[test]
    fn what_was_typed_is_taken_back_by_letter_word_and_line() {
        let (mut serial, node, _open) = terminal();
        let mut prompt = Prompt::on(&[node], false).unwrap();
        for (typed, answer) in [
            ("gr\u{fc}\x7fun\n", "grun"),
            ("correct horse\x17house\n", "correct house"),
            ("nonsense\x15right\n", "right"),
        ] {
            serial.write_all(typed.as_bytes()).unwrap();
            assert_eq!(prompt.ask("?").unwrap().as_slice(), answer.as_bytes());
        }
    }

    #[test]
    fn with_stars_there_is_one_for_each_character_and_they_go_with_what_is_taken_back() {
        let (mut serial, node, open) = terminal();
        let before = tcgetattr(&open).unwrap();
        let mut prompt = Prompt::on(&[node], true).unwrap();
        for (typed, answer, screen) in [
            ("abc\n", "abc", "***\r\n"),
            ("g\u{fc}\x7fr\r", "gr", "**\x08 \x08*\r\n"),
            ("\x7fa b \x17c\n", "a c", "****\x08 \x08\x08 \x08*\r\n"),
            ("ab\x15\x04d\n", "d", "**\x08 \x08\x08 \x08*\r\n"),
        ] {
            serial.write_all(typed.as_bytes()).unwrap();
            assert_eq!(prompt.ask("?").unwrap().as_slice(), answer.as_bytes());
            let mut seen = String::new();
            while !seen.ends_with('\n') {
                seen += &shown(&mut serial);
            }
            // The terminal puts a carriage return before a line's end itself.
            let seen = seen.replace("\r\r\n", "\r\n");
            assert_eq!(seen, format!("?{screen}"), "{typed:?}");
        }
        drop(prompt);
        assert_eq!(tcgetattr(&open).unwrap().local_flags, before.local_flags);
    }

    #[test]
    fn echo_comes_back_when_the_question_is_answered() {
        let (_serial, node, open) = terminal();
        let before = tcgetattr(&open).unwrap().local_flags;
        drop(Prompt::on(&[node], false).unwrap());
        assert_eq!(tcgetattr(&open).unwrap().local_flags, before);
        assert!(before.contains(LocalFlags::ECHO));
    }

    #[test]
    fn a_line_longer_than_any_passphrase_is_cut() {
        let (mut serial, node, _open) = terminal();
        let mut prompt = Prompt::on(&[node], false).unwrap();
        serial.write_all(&[b'a'; 3 * LONGEST]).unwrap();
        serial.write_all(b"\n").unwrap();
        assert_eq!(prompt.ask("?").unwrap().len(), LONGEST);
    }

    #[test]
    fn every_console_in_use_is_asked_and_the_kernels_own_where_none_is_named() {
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(nodes("tty0 ttyS0\n"), paths(&["/dev/tty0", "/dev/ttyS0"]));
        assert_eq!(nodes(""), paths(&["/dev/console"]));
        assert_eq!(nodes("tty/0"), paths(&["/dev/console"]));
    }
}
