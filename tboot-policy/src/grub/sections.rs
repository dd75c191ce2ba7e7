//! Which script of `/etc/grub.d` wrote which lines of a grub.cfg.
//!
//! grub-mkconfig writes a line before and behind what each script printed. A script may print what
//! strangers say: os-prober passes on texts of other disks' file systems. Such a text can hold these
//! lines as well, so that they are believed only where all of them are as grub-mkconfig alone writes
//! them: each script once, none within another. Whoever writes within one section cannot leave it
//! that way: he would have to begin it again, because its own end is still to come.

use std::{collections::HashSet, sync::Arc};

const BEGIN: &str = "### BEGIN ";
const END: &str = "### END ";
const CLOSE: &str = " ###";

/// What one script wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The script's path, as grub-mkconfig names it.
    pub script: Arc<str>,
    first: usize,
    last: usize,
}

impl Section {
    /// Is this line, from 1, between its first and its last one?
    pub fn holds(&self, line: usize) -> bool {
        self.first < line && line < self.last
    }
}

/// The sections of a grub.cfg: none where one of the lines is not as grub-mkconfig writes them.
#[derive(Clone, Debug, Default)]
pub struct Sections(Vec<Section>);

impl Sections {
    /// Finds them.
    pub fn of(grub_config: &[u8]) -> Self {
        // Where somebody else wrote such lines as well, no section is believed.
        Self(find(grub_config).unwrap_or_default())
    }

    /// The section that a line, from 1, is in.
    pub fn at(&self, line: usize) -> Option<&Section> {
        self.0.iter().find(|section| section.holds(line))
    }
}

/// `None`: not all of these lines are as grub-mkconfig alone writes them.
fn find(grub_config: &[u8]) -> Option<Vec<Section>> {
    let mut sections = Vec::new();
    let mut seen = HashSet::new();
    let mut open: Option<(&str, usize)> = None;
    for (at, line) in grub_config.split(|byte| *byte == b'\n').enumerate() {
        // A line that is not text names no script.
        let Ok(line) = std::str::from_utf8(line) else {
            continue;
        };
        let number = at.saturating_add(1);
        let name = |start| line.strip_prefix(start)?.strip_suffix(CLOSE);
        if let Some(script) = name(BEGIN) {
            if open.is_some() || !seen.insert(script) {
                return None;
            }
            open = Some((script, number));
        } else if let Some(script) = name(END) {
            let (opened, first) = open.take()?;
            if opened != script {
                return None;
            }
            sections.push(Section {
                script: script.into(),
                first,
                last: number,
            });
        }
    }
    open.is_none().then_some(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "/etc/grub.d/20_linux_taoboot";

    fn section(script: &str, text: &str) -> String {
        format!("### BEGIN {script} ###\n{text}\n### END {script} ###\n\n")
    }

    #[test]
    fn a_line_is_in_the_section_of_the_script_that_wrote_it() {
        let text = section("/etc/grub.d/00_header", "a") + &section(OWN, "b\nc");
        let sections = Sections::of(text.as_bytes());
        let script = |line| sections.at(line).map(|section| &*section.script);
        let found: Vec<_> = (1..=9).map(script).collect();
        let header = Some("/etc/grub.d/00_header");
        let own = Some(OWN);
        assert_eq!(
            found,
            [None, header, None, None, None, own, own, None, None]
        );
    }

    #[test]
    fn whoever_writes_in_one_section_cannot_make_another() {
        let forged = section(OWN, "menuentry x { }");
        let other = "/etc/grub.d/30_os-prober";
        let (begin, end) = (
            format!("### BEGIN {other} ###\n"),
            format!("### END {other} ###\n"),
        );
        let another = "### BEGIN /etc/grub.d/40_custom ###\n";
        for text in [
            forged.clone(),
            format!("{end}{forged}"),
            format!("{end}{forged}{begin}"),
            format!("{end}{forged}{another}"),
            format!("### BEGIN {OWN} ###\nmenuentry x {{ }}\n"),
            format!("### END {OWN} ###\n"),
            format!("{end}### BEGIN {OWN} ###\nmenuentry x {{ }}\n### END {OWN} ###\n{begin}"),
        ] {
            for before in [String::new(), section(OWN, "menuentry own { }")] {
                let menu = before + &section(other, &text) + &section("/etc/grub.d/40_custom", "");
                assert!(Sections::of(menu.as_bytes()).0.is_empty(), "{menu}");
            }
        }
    }
}
