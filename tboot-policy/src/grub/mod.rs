//! The boot that a GRUB menu entry describes: which files GRUB loads for tboot, in which order, and
//! the command lines that it passes.
//!
//! tboot measures each module with its command line, so the command lines must be known to the
//! byte. GRUB's script is read as GRUB 2.06 reads it (its yylex.l and cmdline.c): quoting,
//! variables, blanks, the escapes that it adds itself. What depends on the machine at boot time (an
//! unknown variable in a measured command line, a module loaded under a condition) is refused by
//! name, never guessed.
//!
//! * [`script`]: words and statements.
//! * [`variables`]: expansion, and conditions as far as they can be decided.
//! * [`walk`]: statements in order, with what is certain to run.
//! * [`menu`]: entries and their names.
//! * [`entry`]: the commands of one entry.
//! * [`default`]: which entry boots when nobody chooses one.
//! * [`boot_directory`]: what GRUB reads beside grub.cfg.
//! * [`bls`]: entries outside of grub.cfg, in the order of [`version`].
//! * [`firmware`]: what is known of this machine.
//! * [`readings`]: the menu with and without what lies beside grub.cfg.
//! * [`cmdline`]: the text that the loaded module sees.
//! * [`places`]: GRUB's paths as files.
//! * [`files`]: what tboot does with them.

pub mod bls;
pub mod boot_directory;
pub mod cmdline;
mod collect;
pub mod default;
pub mod entry;
mod error;
pub mod files;
pub mod firmware;
mod grub_commands;
mod lex;
pub mod menu;
mod menu_entry;
mod menu_error;
pub mod places;
pub mod readings;
pub mod script;
mod sections;
mod title;
pub mod variables;
pub mod version;
pub mod walk;

pub use bls::BlsPlace;
pub use boot_directory::BootDirectory;
pub use default::NoDefault;
pub use entry::{BootEntry, Loaded};
pub use error::ScriptError;
pub use files::{BootFiles, FileError};
pub use menu::Menu;
pub use menu_entry::{Key, MenuEntry};
pub use menu_error::MenuError;
pub use places::{PlaceError, Places};
pub use readings::{Followed, Readings};
pub use sections::Section;
pub use variables::Variables;

/// Longest grub.cfg that is read, in bytes.
pub const MAX_LEN: usize = 4 << 20;
