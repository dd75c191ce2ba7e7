//! The command line of `cargo xtask image` and `taoboot-image`.

use std::path::PathBuf;

use argh::FromArgs;

use super::compress::Compression;

/// Build an initramfs with the static agent as /init, or look inside one.
///
/// Neither --generic nor --host-only gives a minimal image: device mapper, the
/// cipher of LUKS2, the TPM, ext4, and what --module names.
#[derive(FromArgs, Debug, Default)]
#[argh(subcommand, name = "image")]
pub struct ImageCommand {
    /// look inside an image instead of building one
    #[argh(subcommand)]
    pub look: Option<Look>,
    /// kernel version (default: the running kernel)
    #[argh(option, arg_name = "version")]
    pub kernel: Option<String>,
    /// directory with modules.dep (default: /lib/modules/VERSION)
    #[argh(option, arg_name = "dir")]
    pub modules_dir: Option<PathBuf>,
    /// directory with firmware files (default: /lib/firmware)
    #[argh(option, arg_name = "dir")]
    pub firmware_dir: Option<PathBuf>,
    /// config of the agent, measured as /etc/taoboot.toml (default of taoboot-image:
    /// /etc/taoboot/image.toml)
    #[argh(option, arg_name = "file")]
    pub config: Option<PathBuf>,
    /// FILE:PATH, a file to put into the image at the absolute PATH; repeatable
    #[argh(option, arg_name = "file:path")]
    pub add: Vec<String>,
    /// a module to load at start; a root file system's name replaces ext4;
    /// repeatable
    #[argh(option, arg_name = "name")]
    pub module: Vec<String>,
    /// all drivers that a root disk, a TPM or a keyboard may need, loaded by
    /// device
    #[argh(switch)]
    pub generic: bool,
    /// of these, only the drivers that this machine's devices ask for; the volumes and arrays that
    /// this machine needs are added to the config (see explain)
    #[argh(switch)]
    pub host_only: bool,
    /// leave out what `taoboot enroll` pinned for this machine (pins.toml beside the config): for an
    /// image that another machine boots
    #[argh(switch)]
    pub no_pins: bool,
    /// sysfs to look at for --host-only (default: /sys)
    #[argh(option, arg_name = "dir")]
    pub sysfs: Option<PathBuf>,
    /// CPU microcode put before the main archive: raw as its vendor ships it, or a ready-made
    /// early archive such as intel-ucode.img
    #[argh(option, arg_name = "file")]
    pub microcode: Option<PathBuf>,
    /// zstd (default, where the kernel unpacks it), gzip, xz, lz4 or none
    #[argh(option, arg_name = "form")]
    pub compress: Option<Compression>,

    /// the kernel's configuration, which says what it unpacks (default: config beside the
    /// modules, or /boot/config-VERSION)
    #[argh(option, arg_name = "file")]
    pub kernel_config: Option<PathBuf>,
    /// static program to put in as /init (default: the agent, built by xtask;
    /// of taoboot-image: /usr/lib/taoboot/init)
    #[argh(option, arg_name = "file")]
    pub agent: Option<PathBuf>,
    /// image to write; an existing one is replaced as a whole
    #[argh(option, arg_name = "file")]
    pub output: Option<PathBuf>,
    /// print the summary as JSON
    #[argh(switch)]
    pub json: bool,
    /// say more, such as which firmware was not found
    #[argh(switch, short = 'v')]
    pub verbose: bool,
}

/// Also a command of its own: `taoboot-image`.
impl argh::TopLevelCommand for ImageCommand {}

/// What to do with an existing image.
#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub enum Look {
    /// List.
    List(List),
    /// Print a file.
    Cat(Cat),
    /// Unpack.
    Extract(Extract),
    /// Compare.
    Diff(Diff),
    /// Print the configuration.
    Explain(Explain),
}

/// Print the configuration that --host-only puts into an image: the config file, and what this machine
/// needs, with what enrolment pinned, each line with its reason. Builds nothing.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "explain")]
pub struct Explain {
    /// config of the agent (default of taoboot-image: /etc/taoboot/image.toml)
    #[argh(option, arg_name = "file")]
    pub config: Option<PathBuf>,
}

/// List the entries of an image: any tool's, with microcode and any compression.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "ls")]
pub struct List {
    /// the image
    #[argh(positional)]
    pub image: PathBuf,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// Print a file of an image.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "cat")]
pub struct Cat {
    /// the image
    #[argh(positional)]
    pub image: PathBuf,
    /// path of the file inside it
    #[argh(positional)]
    pub path: String,
}

/// Unpack an image into a new or empty directory.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "extract")]
pub struct Extract {
    /// the image
    #[argh(positional)]
    pub image: PathBuf,
    /// directory to unpack to (default: the image's name with .d)
    #[argh(option, arg_name = "dir")]
    pub to: Option<PathBuf>,
}

/// Compare two images entry by entry; exit code 1 when they differ.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "diff")]
pub struct Diff {
    /// the first image
    #[argh(positional)]
    pub old: PathBuf,
    /// the second image
    #[argh(positional)]
    pub new: PathBuf,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}
