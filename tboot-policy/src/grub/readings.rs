//! A grub.cfg read in two ways: by itself, and as GRUB reads it with the environment block beside it.
//!
//! What an entry measures is taken from the first reading, wherever that says it. The environment
//! block is outside of grub.cfg, programs rewrite it on their own, and nothing authenticates it: an
//! entry that can be followed only with it is followed, and marked.

use std::sync::Arc;

use super::{
    boot_directory::{BootDirectory, BootDirectoryError},
    default::NoDefault,
    entry::{BootEntry, EntryError},
    menu::Menu,
    menu_entry::MenuEntry,
    menu_error::MenuError,
    variables::Variables,
};

/// Both readings.
#[derive(Clone, Debug)]
pub struct Readings {
    plain: Menu,
    booting: Result<Menu, NotBooting>,
}

/// Why a grub.cfg cannot be read as GRUB reads it when it boots.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotBooting {
    /// What lies beside it is not known.
    #[error(transparent)]
    Directory(Arc<BootDirectoryError>),
    /// With what lies beside it, it is not a menu.
    #[error(transparent)]
    Menu(#[from] MenuError),
}

/// Why the entry that boots by itself cannot be told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DefaultError {
    /// The menu at boot is not known.
    #[error(transparent)]
    NotBooting(#[from] NotBooting),
    /// The menu does not say it.
    #[error(transparent)]
    NoDefault(#[from] NoDefault),
    /// grub.cfg by itself does not show the entry.
    #[error("{0:?} is there only with the environment block")]
    OnlyWithEnvironment(String),
}

/// What an entry boots, and where that is said.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The files and command lines.
    pub boot: BootEntry,
    /// Set where the environment block has a say in them: a sentence for the administrator.
    pub environment: Option<String>,
}

/// What is the same of an entry in both readings: its line, title and id.
fn identity(entry: &MenuEntry) -> (usize, &str, Option<&str>) {
    (entry.line, entry.title(), entry.id())
}

impl Readings {
    /// Reads a grub.cfg. `directory`: what lies beside it, or why that cannot be read.
    ///
    /// # Errors
    /// GRUB cannot read the script either.
    pub fn new(
        script: &[u8],
        variables: Variables,
        directory: Result<BootDirectory, BootDirectoryError>,
    ) -> Result<Self, MenuError> {
        Ok(Self {
            plain: Menu::parse(script, variables.clone())?,
            booting: match directory {
                Ok(directory) => {
                    Menu::parse(script, variables.booting(directory)).map_err(Into::into)
                }
                Err(error) => Err(NotBooting::Directory(Arc::new(error))),
            },
        })
    }

    /// The menu.
    pub fn menu(&self) -> &Menu {
        &self.plain
    }

    /// The entry of [`menu`](Self::menu) that boots when nobody chooses one.
    ///
    /// # Errors
    /// Why that cannot be told.
    pub fn default_entry(&self) -> Result<&MenuEntry, DefaultError> {
        let booting = self.booting.as_ref().map_err(Clone::clone)?;
        let default = booting.default_entry()?;
        let mut same = self.same(&self.plain, default);
        match (same.next(), same.next()) {
            (Some(entry), None) => Ok(entry),
            _ => Err(DefaultError::OnlyWithEnvironment(
                default.title().to_owned(),
            )),
        }
    }

    fn same<'a>(
        &self,
        menu: &'a Menu,
        entry: &MenuEntry,
    ) -> impl Iterator<Item = &'a MenuEntry> + use<'a> {
        let (line, title, id) = identity(entry);
        let (title, id) = (title.to_owned(), id.map(str::to_owned));
        let entries = menu.entries().iter();
        entries.filter(move |other| identity(other) == (line, title.as_str(), id.as_deref()))
    }

    /// Follows an entry of [`menu`](Self::menu).
    ///
    /// # Errors
    /// It loads no tboot, or what it measures is known to the booting machine only.
    pub fn boot(&self, entry: &MenuEntry) -> Result<Followed, EntryError> {
        let error = match entry.boot() {
            Ok(boot) => {
                let environment = None;
                return Ok(Followed { boot, environment });
            }
            Err(error) => error,
        };
        let what = match &error {
            EntryError::Variable { line, name } => format!("line {line}: ${name}"),
            EntryError::Conditional { line, command } => {
                format!("line {line}: whether {command} runs")
            }
            _ => return Err(error),
        };
        let Ok(booting) = &self.booting else {
            return Err(error);
        };
        let mut same = self.same(booting, entry);
        let (Some(found), None) = (same.next(), same.next()) else {
            return Err(error);
        };
        match found.boot() {
            Ok(boot) => Ok(Followed {
                boot,
                environment: Some(format!(
                    "{what} depends on GRUB's environment block (grubenv), which is taken as it is now: another one gives other PCRs"
                )),
            }),
            Err(EntryError::NoTboot { title }) => Err(EntryError::NoTboot { title }),
            Err(_) => Err(error),
        }
    }
}
