//! The first line of a script: `#!INTERPRETER [ARGUMENT]`, as Linux reads it (execve(2)).

/// Longest first line that the kernel takes.
const LONGEST: usize = 255;

/// Who is to read a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Its file.
    pub path: String,
    /// One argument, which may have white space inside.
    pub argument: Option<String>,
}

/// Why a script's first line cannot be used; a sentence for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// Nothing behind `#!`.
    #[error("the script names no interpreter after #!")]
    None,
    /// The kernel would cut it off.
    #[error(
        "the script's first line is longer than {LONGEST} bytes, which the kernel does not read"
    )]
    Long,
    /// Not text.
    #[error("the script's first line is not text")]
    Text,
    /// Looked for from wherever the program happens to be.
    #[error("the script's interpreter must be an absolute path")]
    Relative,
    /// A program that starts another one, which would not be measured.
    #[error(
        "the script's interpreter is env, which starts another program that would not be measured; name that program after #!"
    )]
    Env,
}

/// Is it a script?
pub fn is_script(file: &[u8]) -> bool {
    file.starts_with(b"#!")
}

/// Reads the first line of a script; `start` is the script, or its first 256 bytes at least.
///
/// # Errors
///
/// If the kernel would not take the line, or what it names would start something else.
pub fn interpreter(start: &[u8]) -> Result<Interpreter, ScriptError> {
    let start = start.strip_prefix(b"#!").ok_or(ScriptError::None)?;
    // Without a line end it is all one line.
    let end = start.iter().position(|byte| *byte == b'\n');
    let line = end.and_then(|end| start.get(..end)).unwrap_or(start);
    if line.len().saturating_add(2) > LONGEST {
        return Err(ScriptError::Long);
    }
    let line = std::str::from_utf8(line).map_err(|_| ScriptError::Text)?;
    if line.contains('\0') {
        return Err(ScriptError::Text);
    }
    let line = line.trim_matches([' ', '\t']);
    let (path, argument) = match line.split_once([' ', '\t']) {
        Some((path, argument)) => (path, argument.trim_start_matches([' ', '\t'])),
        None => (line, ""),
    };
    if path.is_empty() {
        return Err(ScriptError::None);
    }
    if !path.starts_with('/') {
        return Err(ScriptError::Relative);
    }
    if path.rsplit('/').next() == Some("env") {
        return Err(ScriptError::Env);
    }
    Ok(Interpreter {
        path: path.to_owned(),
        argument: Some(argument.to_owned()).filter(|argument| !argument.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_and_its_one_argument_are_found() {
        let read = |line: &str| {
            let found = interpreter(line.as_bytes()).unwrap();
            (found.path, found.argument)
        };
        let path = "/bin/sh".to_owned();
        assert_eq!(read("#!/bin/sh\necho"), (path.clone(), None));
        assert_eq!(read("#! \t/bin/sh \n"), (path.clone(), None));
        assert_eq!(read("#!/bin/sh -e -u \n"), (path, Some("-e -u".to_owned())));
    }

    #[test]
    fn what_would_start_something_else_is_refused() {
        let long = format!("#!/bin/{}\n", "x".repeat(300));
        for (line, expected) in [
            ("#!\n", ScriptError::None),
            ("#! \n/bin/sh", ScriptError::None),
            ("no", ScriptError::None),
            ("#!sh\n", ScriptError::Relative),
            ("#!/usr/bin/env python3\n", ScriptError::Env),
            ("#!/bin/s\0h\n", ScriptError::Text),
            (long.as_str(), ScriptError::Long),
        ] {
            assert_eq!(interpreter(line.as_bytes()), Err(expected), "{line}");
        }
        assert_eq!(interpreter(b"#!/bin/\xff\n"), Err(ScriptError::Text));
    }
}
