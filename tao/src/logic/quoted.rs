//! Double-quoted strings, with the escapes of the Go language.

/// Reads the literal at the start of `text`; gives the bytes it stands for and its length.
pub(super) fn parse(text: &str) -> Option<(Vec<u8>, usize)> {
    let mut value = Vec::new();
    let mut chars = text.char_indices();
    if chars.next()?.1 != '"' {
        return None;
    }
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, at.saturating_add(1))),
            (_, '\n') => return None,
            (_, '\\') => escape(&mut chars, &mut value)?,
            (_, plain) => push(&mut value, plain),
        }
    }
}

fn push(value: &mut Vec<u8>, character: char) {
    let mut buffer = [0; 4];
    value.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
}

fn digits(
    chars: &mut std::str::CharIndices<'_>,
    count: u32,
    radix: u32,
    first: u32,
) -> Option<u32> {
    (0..count).try_fold(first, |number, _| {
        let digit = chars.next()?.1.to_digit(radix)?;
        number.checked_mul(radix)?.checked_add(digit)
    })
}

fn escape(chars: &mut std::str::CharIndices<'_>, value: &mut Vec<u8>) -> Option<()> {
    let byte = match chars.next()?.1 {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        'x' => u8::try_from(digits(chars, 2, 16, 0)?).ok()?,
        octal @ '0'..='7' => u8::try_from(digits(chars, 2, 8, octal.to_digit(8)?)?).ok()?,
        'u' => {
            push(value, char::from_u32(digits(chars, 4, 16, 0)?)?);
            return Some(());
        }
        'U' => {
            push(value, char::from_u32(digits(chars, 8, 16, 0)?)?);
            return Some(());
        }
        _ => return None,
    };
    value.push(byte);
    Some(())
}

/// Writes the literal for `bytes`, as Go's `%q` does.
pub(super) fn print(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            print_char(out, character);
        }
        for byte in chunk.invalid() {
            hex_escape(out, 'x', 2, u32::from(*byte));
        }
    }
    out.push('"');
}

fn print_char(out: &mut String, character: char) {
    let short = match character {
        '"' => '"',
        '\\' => '\\',
        '\u{07}' => 'a',
        '\u{08}' => 'b',
        '\u{0c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{0b}' => 'v',
        printable if is_printable(printable) => return out.push(printable),
        control if u32::from(control) <= 0x7f => {
            return hex_escape(out, 'x', 2, u32::from(control));
        }
        other if u32::from(other) < 0x1_0000 => return hex_escape(out, 'u', 4, u32::from(other)),
        other => return hex_escape(out, 'U', 8, u32::from(other)),
    };
    out.push('\\');
    out.push(short);
}

fn hex_escape(out: &mut String, kind: char, width: usize, value: u32) {
    out.push_str(&format!("\\{kind}{value:0width$x}"));
}

/// Letters, marks, numbers, punctuation, symbols and the space. The standard library
/// knows this set but shows it only through `escape_debug`, which treats a combining
/// mark as printable unless it comes first: hence the letter in front.
fn is_printable(character: char) -> bool {
    let mut text = [0; 5];
    let [first, rest @ ..] = &mut text;
    *first = b'a';
    let length = character.encode_utf8(rest).len().saturating_add(1);
    let text = text
        .get(..length)
        .and_then(|text| std::str::from_utf8(text).ok());
    text.is_some_and(|text| text.escape_debug().nth(1) == Some(character))
}
