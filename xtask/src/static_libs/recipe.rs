//! How each library is configured and built. Every line of this file is part of the cache key.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context, Result, anyhow, bail};

use super::sources::Source;
use crate::step;

const CFLAGS: &str = "-Os -g0 -fPIC -ffunction-sections -fdata-sections";

const DEVMAPPER: &[&str] = &[
    "--enable-static_link",
    "--enable-pkgconfig",
    // The agent runs before udev: nodes are made by the library itself.
    "--disable-udev_sync",
    "--disable-udev_rules",
    "--disable-selinux",
    "--disable-readline",
    "--disable-blkid_wiping",
    "--disable-nls",
    "--disable-dmeventd",
    "--with-symvers=no",
    "--with-user=",
    "--with-group=",
];

const CRYPTSETUP: &[&str] = &[
    "--disable-shared",
    "--enable-static",
    "--disable-nls",
    "--disable-asciidoc",
    "--disable-udev",
    "--disable-selinux",
    "--disable-ssh-token",
    // External tokens are dlopened: there is nothing to open in an initramfs.
    "--disable-external-tokens",
    "--disable-cryptsetup",
    "--disable-veritysetup",
    "--disable-integritysetup",
    // The only backend with ciphers of its own; nettle's would need the kernel's AF_ALG.
    "--with-crypto_backend=openssl",
    "--disable-pwquality",
    "--disable-passwdqc",
];

const TSS: &[&str] = &[
    "--disable-shared",
    "--enable-static",
    // TCTIs are linked, not dlopened.
    "--enable-nodl",
    "--disable-fapi",
    "--disable-policy",
    "--disable-tcti-cmd",
    "--disable-tcti-pcap",
    "--disable-tcti-libtpms",
    "--disable-tcti-spi-helper",
    "--disable-tcti-spi-ltt2go",
    "--disable-tcti-spidev",
    "--disable-tcti-spi-ftdi",
    "--disable-tcti-i2c-helper",
    "--disable-tcti-i2c-ftdi",
    "--enable-tcti-device",
    "--enable-tcti-swtpm",
    "--enable-tcti-mssim",
    "--disable-doxygen-doc",
    "--disable-vendor",
    // Session crypto with mbedtls is several times faster than with OpenSSL 3 under emulation.
    "--with-crypto=mbed",
    // The library would print expected errors (no persistent key yet) to the console at boot.
    "--with-maxloglevel=none",
    "--disable-defaultflags",
];

/// The TCTIs that are linked in.
const TCTIS: [&str; 3] = ["device", "swtpm", "mssim"];

/// Builds all of them into `prefix`: devicemapper, then cryptsetup; tpm2-tss beside them.
pub fn build(sources: &[(&Source, PathBuf)], work: &Path, prefix: &Path) -> Result<()> {
    fs::create_dir_all(prefix.join("lib/pkgconfig"))?;
    fs::create_dir_all(prefix.join("include"))?;
    let tarball = |package: &str| {
        sources
            .iter()
            .find(|(source, _)| source.package == package)
            .with_context(|| format!("no source of {package}"))
    };
    let (lvm2, cryptsetup, tss) = (
        tarball("lvm2")?,
        tarball("cryptsetup")?,
        tarball("tpm2-tss")?,
    );
    thread::scope(|scope| {
        let disk = scope.spawn(|| {
            devmapper(&lvm2.1, work, prefix)
                .and_then(|()| self::cryptsetup(&cryptsetup.1, work, prefix))
        });
        let tpm = self::tss(tss.0, &tss.1, work, prefix);
        disk.join()
            .map_err(|_| anyhow!("the build of libcryptsetup stopped unexpectedly"))??;
        tpm
    })
}

fn devmapper(tarball: &Path, work: &Path, prefix: &Path) -> Result<()> {
    let tree = unpack("libdevmapper", tarball, work)?;
    configure("libdevmapper", &tree, prefix, DEVMAPPER)?;
    make("libdevmapper", &tree, &["-C", "include"])?;
    make(
        "libdevmapper",
        &tree,
        &["-C", "libdm", "ioctl/libdevmapper.a"],
    )?;
    for (from, to) in [
        ("libdm/ioctl/libdevmapper.a", "lib/libdevmapper.a"),
        ("libdm/libdevmapper.h", "include/libdevmapper.h"),
        ("libdm/libdevmapper.pc", "lib/pkgconfig/devmapper.pc"),
    ] {
        fs::copy(tree.join(from), prefix.join(to))
            .with_context(|| format!("libdevmapper: no {from} was built"))?;
    }
    Ok(())
}

fn cryptsetup(tarball: &Path, work: &Path, prefix: &Path) -> Result<()> {
    let tree = unpack("libcryptsetup", tarball, work)?;
    command(
        "libcryptsetup autogen",
        &tree,
        prefix,
        Command::new("./autogen.sh").env("NOCONFIGURE", "1"),
    )?;
    configure("libcryptsetup", &tree, prefix, CRYPTSETUP)?;
    make("libcryptsetup", &tree, &["-j2", "libcryptsetup.la"])?;
    make(
        "libcryptsetup",
        &tree,
        &[
            "install-libLTLIBRARIES",
            "install-includeHEADERS",
            "install-pkgconfigDATA",
        ],
    )
}

fn tss(source: &Source, tarball: &Path, work: &Path, prefix: &Path) -> Result<()> {
    let tree = unpack("tpm2-tss", tarball, work)?;
    // The tarball is a git export without the version that `git describe` would have given.
    let version = source.version.split('-').next().unwrap_or(source.version);
    fs::write(tree.join("VERSION"), format!("{version}\n"))?;
    pad_ecdh_coordinates(&tree.join("src/tss2-esys/esys_crypto_mbed.c"))?;
    let bootstrap = tree.join("bootstrap");
    let script = fs::read_to_string(&bootstrap).context("tpm2-tss: no bootstrap script")?;
    let script: Vec<&str> = script
        .lines()
        .filter(|line| !line.starts_with("git describe"))
        .collect();
    fs::write(&bootstrap, script.join("\n") + "\n")?;
    command(
        "tpm2-tss bootstrap",
        &tree,
        prefix,
        &mut Command::new("./bootstrap"),
    )?;
    configure("tpm2-tss", &tree, prefix, TSS)?;
    // Not `make install`: as root it would create users and udev rules on this machine.
    make(
        "tpm2-tss",
        &tree,
        &[
            "-j2",
            "install-libLTLIBRARIES",
            "install-pkgconfigDATA",
            "install-tss2HEADERS",
        ],
    )?;
    for tcti in TCTIS {
        // Each TCTI defines this symbol for dlopen; linked together they would collide.
        let library = prefix.join(format!("lib/libtss2-tcti-{tcti}.a"));
        let mut objcopy = Command::new("objcopy");
        step::run(
            "tpm2-tss objcopy",
            objcopy.arg("--localize-symbol=Tss2_Tcti_Info").arg(library),
        )?;
    }
    // The loader calls the TCTIs directly, which its .pc file does not say.
    let pc = prefix.join("lib/pkgconfig/tss2-tctildr.pc");
    let text = fs::read_to_string(&pc).context("tpm2-tss: no tss2-tctildr.pc was installed")?;
    let needed = TCTIS.map(|tcti| format!("tss2-tcti-{tcti}")).join(" ");
    let (with, without): (Vec<&str>, Vec<&str>) = text
        .lines()
        .partition(|line| line.starts_with("Requires.private:"));
    let requires = with.first().copied().unwrap_or("Requires.private:");
    fs::write(
        &pc,
        format!("{}\n{requires} {needed}\n", without.join("\n")),
    )?;
    Ok(())
}

/// tpm2-tss 4.1.3 with Mbed TLS drops leading zero bytes of ECDH coordinates (its OpenSSL code
/// pads them), so that one salted session in about a hundred is refused with 0x9a2. TPM 2.0
/// Library, Part 1, C.6.1: coordinates in KDFe have the length of the curve's prime.
fn pad_ecdh_coordinates(source: &Path) -> Result<()> {
    let mut text =
        fs::read_to_string(source).with_context(|| format!("tpm2-tss: no {}", source.display()))?;
    let shortened = [
        "&ecp_Q.MBEDTLS_ACCESS(X)",
        "&ecp_Q.MBEDTLS_ACCESS(Y)",
        "&ecp_z",
    ];
    for value in shortened {
        let wrong = format!("= mbedtls_mpi_size({value});");
        if text.matches(&wrong).count() != 1 {
            bail!(
                "{}: expected one `{wrong}` to mend: review this version's esys_crypto_mbed.c",
                source.display()
            );
        }
        text = text.replace(&wrong, "= mbedtls_mpi_size(&ecp_group.P);");
    }
    fs::write(source, text).with_context(|| format!("cannot write {}", source.display()))
}

fn unpack(name: &str, tarball: &Path, work: &Path) -> Result<PathBuf> {
    let tree = work.join(name);
    fs::create_dir_all(&tree)?;
    let mut tar = Command::new("tar");
    step::run(
        &format!("{name} unpack"),
        tar.arg("xf")
            .arg(tarball)
            .args(["--strip-components=1", "-C"])
            .arg(&tree),
    )?;
    Ok(tree)
}

fn configure(name: &str, tree: &Path, prefix: &Path, options: &[&str]) -> Result<()> {
    let mut configure = Command::new("./configure");
    configure
        .arg(format!("--prefix={}", prefix.display()))
        .args(options);
    command(&format!("{name} configure"), tree, prefix, &mut configure)
}

fn make(name: &str, tree: &Path, arguments: &[&str]) -> Result<()> {
    step::run(
        &format!("{name} make"),
        Command::new("make").args(arguments).current_dir(tree),
    )
}

fn command(name: &str, tree: &Path, prefix: &Path, command: &mut Command) -> Result<()> {
    // tpm2-tss's configure looks for groupadd, which is not on an ordinary user's PATH.
    let path = format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    );
    command
        .current_dir(tree)
        .env("PATH", path)
        .env("CFLAGS", CFLAGS)
        .env("CPPFLAGS", format!("-I{}/include", prefix.display()))
        .env("LDFLAGS", format!("-L{}/lib", prefix.display()))
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    step::run(name, command)
}
