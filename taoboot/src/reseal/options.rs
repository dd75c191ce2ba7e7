//! The options of `taoboot reseal`.

use std::path::{Path, PathBuf};

use argh::FromArgs;

use crate::next_boot::{menu::Menu, predictions::Source};

/// Seal the boot secret for the launches that GRUB's menu offers, before they happen. Records
/// of other launches stay. Only files that are known on the encrypted root are sealed for
/// (`taoboot trust`). The resident agent does it without a passphrase; where there is none, a
/// passphrase or the recovery key does. Exit code 0: every entry that boots tboot has a record,
/// 1: some have none, 2: it failed.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "reseal",
    example = "After a kernel, initramfs, tboot or command line was changed:\n  taoboot reseal",
    example = "Where the machine asked for the recovery key:\n  taoboot reseal --recovery-key"
)]
pub struct Reseal {
    /// the LUKS2 volume (default: the one under the root file system)
    #[argh(option, arg_name = "device")]
    pub volume: Option<PathBuf>,
    /// what `tboot-policy predict --all --json` printed, - for standard input (default: run it)
    #[argh(option, arg_name = "file")]
    pub predictions: Option<PathBuf>,
    /// record of the platform (default /var/lib/taoboot/platform.json)
    #[argh(option, arg_name = "file")]
    pub platform: Option<PathBuf>,
    /// tboot's policy in the TPM (default /etc/taoboot/vlp.pol, or the built-in one)
    #[argh(option, arg_name = "file")]
    pub policy: Option<PathBuf>,
    /// grub.cfg, which must not be the one in /boot (default: the menu that the kernel hook kept,
    /// or one that is generated now)
    #[argh(option, arg_name = "file")]
    pub grub_config: Option<PathBuf>,
    /// the menu that GRUB reads, whose records stay (default /boot/grub/grub.cfg)
    #[argh(option, arg_name = "file")]
    pub boot_menu: Option<PathBuf>,
    /// where the root file system is mounted (default /)
    #[argh(option, arg_name = "directory")]
    pub root: Option<PathBuf>,
    /// PATH=FILE: what will stand at PATH lies at FILE now; may be repeated
    #[argh(option, arg_name = "path=file")]
    pub replace: Vec<String>,
    /// only this entry, by place, id or title; may be repeated
    #[argh(option, arg_name = "entry")]
    pub entry: Vec<String>,
    /// remove records that no entry of the menu and not the running launch needs, except for the
    /// newest N
    #[argh(option, arg_name = "n")]
    pub keep: Option<usize>,
    /// pass over entries with unknown files, unless they load a file of --replace (kernel hook)
    #[argh(switch)]
    pub skip_unknown: bool,
    /// note which records are made, for --take-back (kernel hook)
    #[argh(switch)]
    pub pending: bool,
    /// remove the records that a run with --pending made before it failed and that the menu in
    /// /boot does not need; nothing else is done (kernel hook)
    #[argh(switch)]
    pub take_back: bool,
    /// let the approvals end when the TPM's rollback counter is raised (`taoboot retire`); the
    /// counter is made if there is none
    #[argh(switch)]
    pub rollback_counter: bool,
    /// file with the password of the TPM's owner, if it has one, for making the counter
    #[argh(option, arg_name = "file")]
    pub owner_password_file: Option<PathBuf>,
    /// do it with a passphrase of the volume, from this file
    #[argh(option, arg_name = "file")]
    pub passphrase_file: Option<PathBuf>,
    /// do it with the recovery key or another passphrase, which is asked for
    #[argh(switch)]
    pub recovery_key: bool,
    /// with a passphrase: make a new secret for the Tao host, which only the TPM and the resident
    /// agent know. In these launches the host has other keys, and what hosted programs sealed is
    /// lost to them
    #[argh(switch)]
    pub new_host_secret: bool,
    /// with a passphrase: let the TPM ask for a PIN as well, which is typed here twice. The resident
    /// agent takes the one that was typed at boot
    #[argh(switch)]
    pub pin: bool,
    /// the same with the PIN in this file
    #[argh(option, arg_name = "file")]
    pub pin_file: Option<PathBuf>,
    /// the resident agent's socket (default /run/tao/reseal.sock)
    #[argh(option, default = "agent::reseal::SOCKET.into()", arg_name = "path")]
    pub socket: PathBuf,
    /// the TPM (default device:/dev/tpmrm0)
    #[argh(option, default = "crate::exit::DEFAULT_TCTI.into()")]
    pub tcti: String,
    /// print the result as JSON
    #[argh(switch)]
    pub json: bool,
}

impl Reseal {
    pub fn root(&self) -> &Path {
        self.root.as_deref().unwrap_or_else(|| Path::new("/"))
    }

    pub fn source(&self, menu: Option<&Menu>) -> Source {
        Source {
            root: self.root.clone(),
            predictions: self.predictions.clone(),
            platform: self.platform.clone(),
            policy: self.policy.clone(),
            grub_config: menu.map(|menu| menu.path.clone()),
            replace: self.replace.clone(),
        }
    }

    /// What is in /boot now: it decides only about which records stay.
    pub fn in_place(&self) -> Source {
        Source {
            grub_config: self.boot_menu.clone(),
            replace: Vec::new(),
            ..self.source(None)
        }
    }
}
