//! What the commands of one menu entry load.

use std::sync::Arc;

use super::{
    cmdline::loader_cmdline,
    grub_commands::adds_entries,
    lex::Word,
    menu_entry::MenuEntry,
    script::{MenuKind, Statement, literal},
    variables::{Unknown, Variables},
    walk::Visitor,
};

/// An entry that loads no tboot, or whose measured parts only the booting machine knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// An unknown variable in what is measured.
    #[error(
        "line {line}: ${name} is set by the firmware or outside of this file: give its value with --set {name}=VALUE"
    )]
    Variable {
        /// The line, from 1.
        line: usize,
        /// The variable.
        name: String,
    },
    /// A measured file under a condition.
    #[error(
        "line {line}: {command} runs only under a condition that depends on the machine: take the condition out, or give its variables with --set NAME=VALUE"
    )]
    Conditional {
        /// The line, from 1.
        line: usize,
        /// The command.
        command: String,
    },
    /// A command without a file.
    #[error("line {line}: {command} names no file")]
    NoFile {
        /// The line, from 1.
        line: usize,
        /// The command.
        command: String,
    },
    /// A module before tboot.
    #[error("line {line}: {command} stands before multiboot2, GRUB refuses it")]
    NoLoader {
        /// The line, from 1.
        line: usize,
        /// The command.
        command: String,
    },
    /// Two tboots.
    #[error(
        "lines {first} and {second} both load a kernel with multiboot2, so that GRUB forgets the first and its modules: keep one"
    )]
    Twice {
        /// The first line, from 1.
        first: usize,
        /// The second line, from 1.
        second: usize,
    },
    /// An entry that boots something else.
    #[error("the entry {title:?} loads nothing with multiboot2, so that it boots without tboot")]
    NoTboot {
        /// Its title.
        title: String,
    },
    /// Functions that call each other.
    #[error(
        "line {line}: the entry's functions call each other too deep or too often to be followed"
    )]
    Endless {
        /// The line, from 1.
        line: usize,
    },
    /// Another script decides.
    #[error(
        "line {line}: {command} runs another script, which may load anything: name the entry of that script instead"
    )]
    Elsewhere {
        /// The line, from 1.
        line: usize,
        /// The command.
        command: String,
    },
}

/// A file that GRUB loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The line, from 1.
    pub line: usize,
    /// The path as GRUB sees it, `(device)` included.
    pub path: Vec<u8>,
    /// The command line that GRUB passes.
    pub cmdline: Vec<u8>,
    /// Does GRUB decompress it?
    pub decompress: bool,
}

/// What an entry boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEntry {
    /// The entry's title.
    pub title: String,
    /// tboot (or whatever stands in its place).
    pub loader: Loaded,
    /// The modules in order, SINIT and policy data included.
    pub modules: Vec<Loaded>,
    /// Is a decompressor other than gzip's loaded?
    pub xz: bool,
}

impl MenuEntry {
    /// Follows the entry's commands.
    pub fn boot(&self) -> Result<BootEntry, EntryError> {
        let mut loading = Loading::default();
        let mut walk = self.walk.in_entry(self.arguments.clone());
        walk.visit(&self.body, true, &mut loading)?;
        let title = self.title().to_owned();
        match loading.loader {
            Some(loader) => Ok(BootEntry {
                title,
                loader,
                modules: loading.modules,
                xz: loading.xz,
            }),
            None => Err(EntryError::NoTboot { title }),
        }
    }
}

#[derive(Default)]
struct Loading {
    loader: Option<Loaded>,
    modules: Vec<Loaded>,
    xz: bool,
}

impl Visitor for Loading {
    type Error = EntryError;

    fn too_long(&self, line: usize) -> EntryError {
        EntryError::Endless { line }
    }

    fn command(
        &mut self,
        line: usize,
        words: &[Word],
        variables: &Variables,
        certain: bool,
    ) -> Result<(), EntryError> {
        let Some((first, arguments)) = words.split_first() else {
            return Ok(());
        };
        let unknown = |Unknown(name)| EntryError::Variable { line, name };
        // A command whose name is a variable could be any.
        let command = match literal(first) {
            Some(command) => command,
            None => {
                let name = variables.expand(first).map_err(unknown)?;
                String::from_utf8_lossy(&name.concat()).into_owned()
            }
        };
        match command.as_str() {
            "multiboot" | "multiboot2" | "module" | "module2" => {}
            "insmod" => {
                let names = arguments.iter().filter_map(literal);
                self.xz |= names
                    .into_iter()
                    .any(|name| name == "xzio" || name == "lzopio");
                return Ok(());
            }
            _ if adds_entries(&command) => {
                return Err(EntryError::Elsewhere { line, command });
            }
            _ => return Ok(()),
        }
        if !certain {
            return Err(EntryError::Conditional { line, command });
        }
        let loaded = loaded(line, &command, arguments, variables)?;
        if command.starts_with("multiboot") {
            if let Some(before) = &self.loader {
                return Err(EntryError::Twice {
                    first: before.line,
                    second: line,
                });
            }
            self.loader = Some(loaded);
        } else if self.loader.is_none() {
            return Err(EntryError::NoLoader { line, command });
        } else {
            self.modules.push(loaded);
        }
        Ok(())
    }

    fn menu(
        &mut self,
        line: usize,
        _kind: MenuKind,
        _words: &[Word],
        _body: &Arc<[Statement]>,
        _variables: &Variables,
        _certain: bool,
    ) -> Result<(), EntryError> {
        let command = "menuentry".to_owned();
        Err(EntryError::Elsewhere { line, command })
    }
}

fn loaded(
    line: usize,
    command: &str,
    words: &[Word],
    variables: &Variables,
) -> Result<Loaded, EntryError> {
    let unknown = |Unknown(name)| EntryError::Variable { line, name };
    let mut words = words;
    let mut decompress = true;
    while let Some((first, rest)) = words.split_first() {
        match literal(first).as_deref() {
            Some("--nounzip") => decompress = false,
            Some(option) if option.starts_with("--quirk-") => {}
            _ => break,
        }
        words = rest;
    }
    let no_file = || EntryError::NoFile {
        line,
        command: command.to_owned(),
    };
    let (path, rest) = words.split_first().ok_or_else(no_file)?;
    // The device in front may be a variable ($root): the file is looked for by its path.
    let mut arguments = match device_end(path) {
        Some(behind) => variables.expand(&behind).map_err(unknown)?,
        None => variables.expand(path).map_err(unknown)?,
    };
    arguments.extend(variables.expand_all(rest).map_err(unknown)?);
    let mut arguments = arguments.into_iter();
    let path = arguments
        .next()
        .filter(|path| !path.is_empty())
        .ok_or_else(no_file)?;
    let arguments: Vec<Vec<u8>> = arguments.collect();
    Ok(Loaded {
        line,
        path,
        cmdline: loader_cmdline(&arguments),
        decompress,
    })
}

/// What follows `($variable)` in a path.
fn device_end(path: &Word) -> Option<Word> {
    use super::lex::Piece;
    match path.as_slice() {
        [
            Piece::Text(open),
            Piece::Variable { .. },
            Piece::Text(close),
            rest @ ..,
        ] if open == b"(" && close.starts_with(b")") => {
            let mut word = vec![Piece::Text(close.strip_prefix(b")")?.to_vec())];
            word.extend_from_slice(rest);
            Some(word)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::menu::Menu;
    use super::*;

    fn boot(body: &str) -> Result<BootEntry, EntryError> {
        let script = format!("set top='t u'\nmenuentry 'e' {{\n{body}\n}}\nset late=yes\n");
        let menu = Menu::parse(script.as_bytes(), Variables::default()).unwrap();
        menu.entries()[0].boot()
    }

    fn text(loaded: &Loaded) -> String {
        format!(
            "{}|{}",
            String::from_utf8_lossy(&loaded.path),
            String::from_utf8_lossy(&loaded.cmdline)
        )
    }

    #[test]
    fn files_and_command_lines_come_out_as_grub_passes_them() {
        let entry = boot(
            "insmod gzio\nsearch --set=root x\nif [ x$f = xy ]; then\n set root=a\nfi\n\
             multiboot2\t/tboot.gz   logging=serial,memory  \n\
             module2 ($root)/vmlinuz root=UUID=1 'dyndbg=file a +p' $top \"$top\" # comment\n\
             module2 --nounzip (hd0,msdos1)/initrd.img\nmodule2 /größe \\\n ende",
        )
        .unwrap();
        assert_eq!(text(&entry.loader), "/tboot.gz|logging=serial,memory");
        let modules: Vec<String> = entry.modules.iter().map(text).collect();
        assert_eq!(
            modules,
            [
                "/vmlinuz|root=UUID=1 \"dyndbg=file a +p\" t u \"t u\"",
                "(hd0,msdos1)/initrd.img|",
                "/größe|ende"
            ]
        );
        assert!(entry.modules[0].decompress && !entry.modules[1].decompress);
    }

    #[test]
    fn what_only_the_machine_knows_is_refused_by_name() {
        let refused = |body: &str| boot(body).unwrap_err().to_string();
        assert!(
            refused("multiboot2 /t\nmodule2 /v $kernelopts").contains("--set kernelopts=VALUE")
        );
        assert!(
            refused("multiboot2 /t\nif [ $x ]; then\nmodule2 /v\nfi")
                .contains("line 5: module2 runs only under")
        );
        assert!(refused("multiboot2 /t\nmultiboot2 /u").contains("lines 3 and 4"));
        assert!(refused("module2 /u").contains("before multiboot2"));
        assert!(refused("linux /u\ninitrd /v").contains("without tboot"));
        assert!(refused("multiboot2").contains("names no file"));
        assert!(refused("configfile /other.cfg").contains("another script"));
        assert!(refused("$cmd /u").contains("--set cmd=VALUE"));
    }

    #[test]
    fn the_menu_is_complete_before_an_entry_is_chosen() {
        let entry = boot("multiboot2 /t $late").unwrap();
        assert_eq!(text(&entry.loader), "/t|yes");
    }
}
