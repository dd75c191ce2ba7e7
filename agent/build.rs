//! How /init is linked: it is most of the initramfs, so every byte of it is loaded, measured and
//! unpacked at each boot.

use std::{env, path::Path, process::Command};

fn main() -> Result<(), env::VarError> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=init.ld");
    let features = env::var("CARGO_CFG_TARGET_FEATURE")?;
    let is_static = features.split(',').any(|feature| feature == "crt-static");
    if env::var("PROFILE")? != "release" || !is_static {
        return Ok(());
    }
    let script = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("init.ld");
    // rustc's own linker, lld, does not obey the script.
    for argument in ["-fuse-ld=bfd", &format!("-Wl,-T,{}", script.display())] {
        println!("cargo::rustc-link-arg-bin=init={argument}");
    }
    if glibc_knows_relr() {
        println!("cargo::rustc-link-arg-bin=init=-Wl,-z,pack-relative-relocs");
    }
    Ok(())
}

/// Relative relocations as a bitmap: half a megabyte less to unpack. The start-up code of a static
/// program must know them, and that of glibc does from 2.36 on.
fn glibc_knows_relr() -> bool {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    let version = text
        .as_deref()
        .map(|text| text.trim().split_once("glibc 2."));
    matches!(version, Ok(Some(("", minor))) if minor.parse::<u32>().is_ok_and(|minor| minor >= 36))
}
