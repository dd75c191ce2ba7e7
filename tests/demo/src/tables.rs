//! Bars, abbreviated hex, wrapped lines: what the report is drawn with.

use super::facts::Timed;
use super::paint::Paint;

/// Columns that the report uses.
pub const WIDTH: usize = 98;
/// Columns of the longest bar.
const BAR: usize = 48;
/// Columns of a bar's name.
const NAME: usize = 24;
/// A bar's last column, in eighths.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A line for each of `rows`: its name, its time, and a bar as long as its share of the longest.
pub fn bars(rows: &[Timed], paint: Paint) -> String {
    let longest = rows.iter().map(|row| row.seconds).fold(0.0, f64::max);
    let line = |row: &Timed| {
        let share = if longest > 0.0 {
            row.seconds / longest
        } else {
            0.0
        };
        let name = format!("{:NAME$}", row.name);
        format!(
            "  {name} {:>10}  {}\n",
            duration(row.seconds),
            paint.accent(&bar(share))
        )
    };
    rows.iter().map(line).collect()
}

/// At least a sliver, so that every row has a bar.
fn bar(share: f64) -> String {
    let eighths = (share.clamp(0.0, 1.0) * BAR as f64 * 8.0).round().max(1.0) as usize;
    let rest = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    format!("{}{rest}", "█".repeat(eighths / 8))
}

/// `12.3 s`, or `4.56 ms` of what takes less than a second.
pub fn duration(seconds: f64) -> String {
    if seconds >= 1.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.1} ms", seconds * 1000.0)
    }
}

/// `3.9 MiB`.
pub fn size(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 10.0 {
        format!("{mebibytes:.1} MiB")
    } else {
        format!("{mebibytes:.0} MiB")
    }
}

/// The first and last digits: enough for a person to compare.
pub fn short_hex(digits: &str) -> String {
    match (
        digits.get(..16),
        digits.get(digits.len().saturating_sub(8)..),
    ) {
        (Some(start), Some(end)) if digits.len() > 32 => format!("{start}…{end}"),
        _ => digits.to_owned(),
    }
}

/// `text` in lines of at most [`WIDTH`] columns behind `indent` spaces. Words that are longer
/// than a line, as Tao names are, are cut.
pub fn wrapped(text: &str, indent: usize) -> String {
    let room = WIDTH.saturating_sub(indent).max(1);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut letters: Vec<char> = word.chars().collect();
        let used = lines.last().map_or(0, |line| line.chars().count());
        let fits = used == 0 || used + 1 + letters.len() <= room;
        if !fits {
            lines.push(String::new());
        }
        while let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            let rest = letters.split_off(letters.len().min(room));
            line.extend(letters);
            if rest.is_empty() {
                break;
            }
            letters = rest;
            lines.push(String::new());
        }
    }
    let margin = " ".repeat(indent);
    lines
        .iter()
        .map(|line| format!("{margin}{line}\n"))
        .collect()
}

/// One line of a list: `  Name      value`.
pub fn item(name: &str, value: &str) -> String {
    let value = wrapped(value, 16);
    format!("  {name:14}{}", value.get(16..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_report() {
        let long = format!(
            "a name: {} and more words {}",
            "x".repeat(300),
            "y ".repeat(200)
        );
        for indent in [0, 4, 90] {
            assert!(
                wrapped(&long, indent)
                    .lines()
                    .all(|line| line.chars().count() <= WIDTH)
            );
        }
        assert_eq!(wrapped("one two", 2), "  one two\n");
        let rows = [
            Timed::new("short", 0.0001),
            Timed::new("a name of its own", 312.5),
        ];
        let drawn = bars(&rows, Paint::plain());
        assert!(
            drawn.lines().all(|line| line.chars().count() <= WIDTH),
            "{drawn}"
        );
        assert!(drawn.contains('▏'));
    }

    #[test]
    fn words_are_kept_when_lines_are_cut() {
        let text = format!("{}end", "z".repeat(200));
        assert_eq!(
            wrapped(&text, 4).split_whitespace().collect::<String>(),
            text
        );
    }

    #[test]
    fn digests_keep_both_ends() {
        assert_eq!(
            short_hex(&format!("0123456789abcdef{}89abcdef", "0".repeat(40))),
            "0123456789abcdef…89abcdef"
        );
        assert_eq!(short_hex("00"), "00");
    }
}
