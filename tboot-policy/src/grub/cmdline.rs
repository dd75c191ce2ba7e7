//! The command line that GRUB builds of a command's arguments (its `grub_create_loader_cmdline`).

/// The arguments as one text: blanks between them, backslashes and quotes escaped, arguments with
/// blanks in double quotes. tboot measures exactly this.
pub fn loader_cmdline(arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut line = Vec::new();
    for (position, argument) in arguments.iter().enumerate() {
        if position > 0 {
            line.push(b' ');
        }
        let blank = argument.contains(&b' ');
        if blank {
            line.push(b'"');
        }
        let mut rest = argument.as_slice();
        while let Some((first, behind)) = rest.split_first() {
            if let Some((escape, behind)) = hex_escape(rest) {
                line.extend_from_slice(escape);
                rest = behind;
                continue;
            }
            if matches!(first, b'\\' | b'\'' | b'"') {
                line.push(b'\\');
            }
            line.push(*first);
            rest = behind;
        }
        if blank {
            line.push(b'"');
        }
    }
    line
}

/// `\xHH` at the begin, which GRUB leaves as it is, and what follows.
fn hex_escape(text: &[u8]) -> Option<(&[u8], &[u8])> {
    match text {
        [b'\\', b'x', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
            text.split_at_checked(4)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arguments: &[&str]) -> String {
        let arguments: Vec<Vec<u8>> = arguments.iter().map(|a| a.as_bytes().to_vec()).collect();
        String::from_utf8(loader_cmdline(&arguments)).unwrap()
    }

    #[test]
    fn arguments_are_joined_quoted_and_escaped_as_grub_does() {
        assert_eq!(line(&[]), "");
        assert_eq!(line(&["root=/dev/sda1", "ro"]), "root=/dev/sda1 ro");
        assert_eq!(
            line(&["dyndbg=file a.c +p", "x"]),
            "\"dyndbg=file a.c +p\" x"
        );
        assert_eq!(line(&["a\"b", "c'd", "e\\f"]), "a\\\"b c\\'d e\\\\f");
        assert_eq!(line(&["g\\x20h", "i\\x2"]), "g\\x20h i\\\\x2");
        assert_eq!(line(&["", "x"]), " x");
    }
}
