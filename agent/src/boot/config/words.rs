//! The words of a kernel command line.

/// Splits as the kernel does (lib/cmdline.c, next_arg): at white space outside double quotes;
/// quotes around a word or a value are dropped.
pub fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    let mut started = false;
    for character in text.trim_end_matches(['\n', '\0']).chars() {
        if character == '"' {
            quoted = !quoted;
            started = true;
        } else if character.is_ascii_whitespace() && !quoted {
            if started {
                words.push(std::mem::take(&mut word));
            }
            started = false;
        } else {
            word.push(character);
            started = true;
        }
    }
    if started {
        words.push(word);
    }
    words
}
