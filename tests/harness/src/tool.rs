//! Runs the tools of the host (mkfs.ext4, grub-mkimage, cryptsetup, ...) and turns their
//! failures into errors that say what was asked of which tool.

use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, anyhow, bail};

/// Debian package that holds each tool which the tests call.
const PACKAGES: &[(&str, &str)] = &[
    ("cp", "coreutils"),
    ("cryptsetup", "cryptsetup-bin"),
    ("debugfs", "e2fsprogs"),
    ("fakeroot", "fakeroot"),
    ("grub-mkimage", "grub-common"),
    ("mcopy", "mtools"),
    ("mformat", "mtools"),
    ("mke2fs", "e2fsprogs"),
    ("mmd", "mtools"),
    ("mmdebstrap", "mmdebstrap"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("swtpm", "swtpm"),
];

/// How much of a failed tool's messages an error repeats, in bytes.
const MESSAGE_LIMIT: usize = 2000;

/// One call of a tool.
#[derive(Debug)]
pub struct Tool {
    name: String,
    command: Command,
    input: Vec<u8>,
}

impl Tool {
    /// A call of `name` as it is found on PATH or in the sbin directories, which ordinary
    /// users do not have on theirs.
    pub fn new(name: &str) -> Self {
        let mut command = Command::new(name);
        command.env("PATH", search_path()).env("LC_ALL", "C");
        Self {
            name: name.to_owned(),
            command,
            input: Vec::new(),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, arguments: I) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets one variable of the tool's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What the tool reads from its standard input.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Runs the tool and returns what it wrote to standard output.
    ///
    /// # Errors
    /// The tool is not installed, or it ended with anything but success; its messages are
    /// part of the error.
    pub fn run(self) -> Result<Vec<u8>> {
        let line = format!("{:?}", self.command);
        let name = self.name.clone();
        let output = self.output()?;
        if !output.status.success() {
            bail!(
                "{name} failed ({}): {}\ncommand: {line}",
                output.status,
                tail(&output)
            );
        }
        Ok(output.stdout)
    }

    /// Runs the tool and returns everything, whatever its exit status.
    pub fn output(mut self) -> Result<Output> {
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(|error| self.missing(&error))?;
        let mut stdin = child.stdin.take().context("the tool has no input pipe")?;
        let input = std::mem::take(&mut self.input);
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child
            .wait_with_output()
            .with_context(|| format!("cannot wait for {}", self.name))?;
        match writer.join() {
            // A tool that ends without reading all of its input says so by its exit status.
            Ok(Err(error)) if error.kind() != ErrorKind::BrokenPipe => {
                Err(error).with_context(|| format!("cannot write to {}", self.name))
            }
            Ok(_) => Ok(output),
            Err(_) => bail!("the thread that writes to {} ended early", self.name),
        }
    }

    fn missing(&self, error: &std::io::Error) -> anyhow::Error {
        if error.kind() != ErrorKind::NotFound {
            return anyhow!("cannot start {}: {error}", self.name);
        }
        let package = package_of(&self.name).unwrap_or("the package of that name");
        anyhow!(
            "{} is not installed: run `cargo xtask setup`, or install the Debian package {package}",
            self.name
        )
    }
}

/// Debian package of `tool`, if the tests know it.
pub fn package_of(tool: &str) -> Option<&'static str> {
    PACKAGES
        .iter()
        .find(|(name, _)| *name == tool)
        .map(|(_, package)| *package)
}

/// PATH with the sbin directories.
pub fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    format!("{path}:/usr/sbin:/sbin")
}

fn tail(output: &Output) -> String {
    let text = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    let start = text.len().saturating_sub(MESSAGE_LIMIT);
    String::from_utf8_lossy(text.get(start..).unwrap_or_default())
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_tool_is_an_error_with_its_messages() {
        let error = Tool::new("sh")
            .args(["-c", "echo broken >&2; exit 3"])
            .run()
            .unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }

    #[test]
    fn a_missing_tool_says_how_to_get_it() {
        let error = Tool::new("taoboot-no-such-tool").run().unwrap_err();
        assert!(error.to_string().contains("cargo xtask setup"), "{error}");
    }

    #[test]
    fn input_reaches_the_tool() {
        let output = Tool::new("cat").input("hello").run().unwrap();
        assert_eq!(output, b"hello");
    }
}
