//! The Debian package, installed, upgraded, removed and purged by the real dpkg in a real Debian
//! root; and what its hooks and scripts do there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::assets::Assets;
use harness::debian::chroot;
use harness::programs;
use harness::swtpm::HostTpm;
use harness::workplace::workspace_root;
use mkinitramfs::dist::{CONFIGURATION, Source, deb::Package};

const EPOCH: u64 = 1_700_000_000;

fn source() -> Source {
    Source {
        checkout: workspace_root(),
        programs: programs::path("taoboot-image")
            .unwrap()
            .parent()
            .unwrap()
            .to_owned(),
        epoch: EPOCH,
    }
}

fn build(version: &str, directory: &Path) -> PathBuf {
    let package = Package {
        version: version.to_owned(),
        maintainer: None,
        compression: "none",
    };
    let file = directory.join(format!("taoboot_{version}_amd64.deb"));
    package.build(&source(), &file).unwrap();
    file
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_same_input_makes_the_same_package() {
    let directory = tempfile::tempdir().unwrap();
    let first = fs::read(build("0.1.0-1", directory.path())).unwrap();
    // Another directory, another time of day, other umask and owner are not part of it.
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    let second = fs::read(build("0.1.0-1", &other)).unwrap();
    assert!(first == second);
    let file = directory.path().join("taoboot_0.1.0-1_amd64.deb");
    let control = run(Command::new("dpkg-deb").arg("--field").arg(&file));
    assert!(control.contains("\nDepends: grub-common\n"), "{control}");
    assert!(
        control.contains("\nRecommends: tboot, grub-pc | grub-efi-amd64, kbd, console-setup\n"),
        "{control}"
    );
    let list = run(Command::new("dpkg-deb").arg("--contents").arg(&file));
    assert!(
        list.lines()
            .all(|line| line.contains(" root/root ") && line.contains(" 2023-11-14 ")),
        "{list}"
    );
    assert!(!list.contains("DEBIAN"));
    for (path, mode) in [
        ("usr/lib/taoboot/init", "-rwxr-xr-x"),
        ("usr/lib/taoboot/kernel", "-rwxr-xr-x"),
        ("etc/default/taoboot", "-rw-r--r--"),
        ("etc/grub.d/20_linux_taoboot", "-rwxr-xr-x"),
        ("usr/share/man/man8/taoboot-kernel.8.gz", "-rw-r--r--"),
        ("var/lib/taoboot/", "drwx------"),
        (
            "usr/lib/taoboot/original/tb_polgen -> ../../../sbin/tboot-policy",
            "lrwxrwxrwx",
        ),
        (
            "usr/lib/taoboot/original/lcp2_mlehash -> ../../../sbin/lcp",
            "lrwxrwxrwx",
        ),
    ] {
        let line = list
            .lines()
            .find(|line| line.ends_with(&format!(" ./{path}")));
        assert!(
            line.is_some_and(|line| line.starts_with(mode)),
            "{path}: {line:?}"
        );
    }
}

#[test]
fn a_directory_gets_the_same_files_and_a_missing_program_is_named() {
    let directory = tempfile::tempdir().unwrap();
    source().install(directory.path()).unwrap();
    for name in CONFIGURATION {
        assert!(directory.path().join(name).is_file(), "{name}");
    }
    let worker = directory.path().join("usr/lib/taoboot/kernel");
    assert_eq!(
        fs::metadata(worker).unwrap().permissions().mode() & 0o777,
        0o755
    );
    let error = Source {
        programs: directory.path().to_owned(),
        ..source()
    }
    .install(&directory.path().join("x"))
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("build it with `cargo xtask agent`"),
        "{error}"
    );
}

/// What is done in the Debian root. /files holds the packages, a kernel and a tboot.
const SCRIPT: &str = r#"
fail() { echo "FAILED: $*"; exit 1; }
has() { grep -q -- "$1" "$2" || { cat "$2"; fail "$2 has no $1"; }; }

# What made this root leaves documentation out; the example config is there.
rm -f /etc/dpkg/dpkg.cfg.d/99mmdebstrap

echo "== installed where nothing is set up: a word, no harm"
dpkg -i /files/taoboot_0.1.0-1_amd64.deb >log 2>&1 || { cat log; fail "dpkg -i"; }
has "is not set up here" log
[ "$(dpkg-query -W -f '${db:Status-Abbrev}' taoboot)" = "ii " ] || fail "not installed"
dpkg --verify taoboot >log; [ ! -s log ] || { cat log; fail "dpkg --verify"; }
for program in taoboot taoboot-image tboot-policy lcp tao; do
    "$program" --help >log 2>&1 || { cat log; fail "$program --help"; }
done
/usr/lib/taoboot/original/tb_polgen --help >log 2>&1 || true
has 'tb_polgen' log
[ -e /usr/lib/systemd/system/multi-user.target.wants/taoboot-booted.service ] || fail "no service"

echo "== a kernel is installed: the hooks run in Debian's order"
# grub-probe wants a real disk under /.
cat >/usr/sbin/grub-probe <<'PROBE'
#!/bin/sh
case "$*" in
*target=device*) echo /dev/sda1;;
*fs_uuid*) echo 0815-4711;;
*partmap*) echo msdos;;
*compatibility_hint*) echo hd0;;
*target=fs*) echo ext2;;
esac
PROBE
printf '#!/bin/sh\nprintf "%%s\\n" "$1"\n' >/usr/bin/grub-mkrelpath
mkdir -p /boot/grub
cp /files/boot/* /boot/
version=$(cat /files/version)
hooks() {
    # As linux-image's scripts do.
    DEB_MAINT_PARAMS="'$2' ''" run-parts --report --exit-on-error --arg="$version" \
        --arg="/boot/vmlinuz-$version" "/etc/kernel/$1.d" >log 2>&1 || { cat log; fail "$1.d"; }
}
[ "$(run-parts --list /etc/kernel/postinst.d | tail -n 2 | tr '\n' ' ')" \
    = "/etc/kernel/postinst.d/zy-taoboot /etc/kernel/postinst.d/zz-update-grub " ] || fail "order"
update-grub >log 2>&1 || { cat log; fail "update-grub"; }
hooks postinst configure
has "is not set up here" log
! grep -q taoboot-tboot /boot/grub/grub.cfg || fail "an entry without image"

echo "== a dry run of setup changes nothing"
# Nor could an image be made for it.
echo "TAOBOOT_IMAGE_OPTIONS=--generic" >>/etc/default/taoboot
taoboot trust "/boot/vmlinuz-$version" --sha256 "$(sha256sum </boot/vmlinuz-$version | cut -d' ' -f1)" >/dev/null
setup() {
    code=0
    taoboot setup --volume /files/disk.img --tcti "$(cat /files/tcti)" "$@" >log 2>&1 || code=$?
}
everything() { find /etc /boot /var/lib/taoboot /files/disk.img -type f -exec sha256sum {} + | sort; }
everything >before
setup --dry-run --without-txt
# The tree in memory is no machine that a configuration could be made for.
[ $code = 2 ] && has "image.toml by hand" log || { cat log; fail "no machine: $code"; }
everything | cmp before - || fail "a dry run changed something"
cp /usr/share/doc/taoboot/examples/image.toml /etc/taoboot/image.toml
everything >before
setup --dry-run --without-txt
[ $code = 1 ] || { cat log; fail "dry run: $code"; }
has "run .*kernel refresh" log
has "lcp nv apply" log
has "nothing was changed" log
everything | cmp before - || fail "a dry run changed something"

echo "== set up, step by step"
setup --yes
# There is a processor without TXT below the tests.
grep -qw smx /proc/cpuinfo || { [ $code = 1 ] && has "MISSING  processor" log; }
everything | cmp before - || fail "something was done without TXT"
setup --yes --without-txt --passphrase-file /files/passphrase --recovery-key-file /root/recovery
[ $code = 1 ] || { cat log; fail "setup: $code"; }
has "next: first-boot: restart" log
has "nothing is sealed" log
[ -f /etc/taoboot/vlp.pol ] || fail "no policy"
[ -s /root/recovery ] || fail "no recovery key"
has "menuentry_id_option 'taoboot-tboot-$version'" /boot/grub/grub.cfg
[ -f "/boot/initrd-taoboot-$version" ] || fail "no image"
taoboot-image cat "/boot/initrd-taoboot-$version" /etc/taoboot.toml >log
cmp log /etc/taoboot/image.toml || fail "another config in the image"
# zz-update-grub ran after ours; ours alone makes the same menu.
cp /boot/grub/grub.cfg before
/usr/lib/taoboot/kernel refresh >log 2>&1 || { cat log; fail refresh; }
cmp before /boot/grub/grub.cfg || fail "another menu"

echo "== what setup did is undone, and done again"
everything >before
for step in recovery-key policy images config; do
    setup --undo --yes
    [ $code = 0 ] && has "^$step: undone" log || { cat log; fail "undo $step"; }
done
! grep -q taoboot-tboot /boot/grub/grub.cfg || fail "an entry without image"
[ ! -e "/boot/initrd-taoboot-$version" ] || fail "the image is still there"
[ ! -e /etc/taoboot/image.toml ] || fail "the config is still there"
rm /root/recovery
mv /etc/taoboot/image.toml.undone /etc/taoboot/image.toml
setup --yes --without-txt --passphrase-file /files/passphrase --recovery-key-file /root/recovery
[ $code = 1 ] || { cat log; fail "setup: $code"; }
has "next: first-boot: restart" log
everything | grep -v disk.img >after
grep -v disk.img before | cmp - after || fail "another machine than before"

echo "== upgraded: changed configuration stays"
echo "TAOBOOT_KEEP=7" >>/etc/default/taoboot
dpkg -i /files/taoboot_0.1.0-2_amd64.deb >log 2>&1 || { cat log; fail "upgrade"; }
has "TAOBOOT_KEEP=7" /etc/default/taoboot
[ ! -e /etc/default/taoboot.dpkg-dist ] || fail "a question where nothing changed"
dpkg --force-confdef --force-confold -i /files/changed.deb >log 2>&1 || { cat log; fail "upgrade"; }
has "TAOBOOT_KEEP=7" /etc/default/taoboot
has "a new line" /etc/default/taoboot.dpkg-dist

echo "== a new tboot makes the hooks run"
dpkg -i /files/tboot.deb >log 2>&1 || { cat log; fail "tboot"; }
has "no launch has been recorded yet" log

echo "== the kernel goes"
rm "/boot/vmlinuz-$version"
hooks postrm remove
[ ! -e "/boot/initrd-taoboot-$version" ] || fail "the image is still there"
! grep -q taoboot-tboot /boot/grub/grub.cfg || fail "the entry is still there"
cp /files/boot/vmlinuz-* /boot/
hooks postinst configure
[ -f "/boot/initrd-taoboot-$version" ] || fail "no image"

echo "== removed: programs go, what boots and what was changed stays"
dpkg -r taoboot >log 2>&1 || { cat log; fail "remove"; }
[ ! -e /usr/lib/taoboot ] || fail "/usr/lib/taoboot is still there"
[ -f "/boot/initrd-taoboot-$version" ] || fail "the image is gone"
has "TAOBOOT_KEEP=7" /etc/default/taoboot
# The hooks that are left do no harm.
hooks postinst configure
has "taoboot-tboot-$version" /boot/grub/grub.cfg

echo "== purged"
dpkg -P taoboot >log 2>&1 || { cat log; fail "purge"; }
has "stays, because the menu boots it" log
for file in /etc/default/taoboot /etc/default/grub-taoboot /etc/grub.d/20_linux_taoboot \
    /etc/kernel/postinst.d/zy-taoboot /etc/kernel/postrm.d/zy-taoboot /var/lib/taoboot; do
    [ ! -e "$file" ] || fail "$file is still there"
done
[ -f /etc/taoboot/image.toml ] || fail "the administrator's config is gone"
echo "== done"
"#;

#[test]
fn dpkg_installs_upgrades_removes_and_purges_it() {
    let assets = Assets::load().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let files = directory.path();
    build("0.1.0-1", files);
    let second = build("0.1.0-2", files);
    // The next version has another default.
    let tree = files.join("tree");
    run(Command::new("dpkg-deb").arg("-R").arg(&second).arg(&tree));
    let edit = |name: &str, change: &dyn Fn(String) -> String| {
        let path = tree.join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, change(text)).unwrap();
    };
    edit("etc/default/taoboot", &|text| {
        format!("{text}# a new line\n")
    });
    edit("DEBIAN/control", &|text| text.replace("0.1.0-2", "0.1.0-3"));
    run(Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Znone", "-b"])
        .arg(&tree)
        .arg(files.join("changed.deb")));
    fs::remove_dir_all(&tree).unwrap();
    // A package with a tboot.
    fs::create_dir_all(tree.join("boot")).unwrap();
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    fs::copy(&assets.tboot, tree.join("boot/tboot.gz")).unwrap();
    let control = "Package: tboot\nVersion: 9\nArchitecture: all\nMaintainer: nobody <n@example.invalid>\nDescription: a tboot\n";
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    run(Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Znone", "-b"])
        .arg(&tree)
        .arg(files.join("tboot.deb")));
    fs::remove_dir_all(&tree).unwrap();

    let version = &assets.kernel.version;
    fs::create_dir(files.join("boot")).unwrap();
    fs::write(files.join("version"), version).unwrap();
    fs::copy(
        &assets.kernel.vmlinuz,
        files.join(format!("boot/vmlinuz-{version}")),
    )
    .unwrap();
    fs::copy(
        &assets.kernel.config,
        files.join(format!("boot/config-{version}")),
    )
    .unwrap();
    fs::copy(&assets.tboot, files.join("boot/tboot.gz")).unwrap();
    // The encrypted volume that setup is told, and a TPM.
    let disk = files.join("disk.img");
    fs::File::create(&disk).unwrap().set_len(20 << 20).unwrap();
    fs::write(files.join("passphrase"), "correct horse").unwrap();
    run(Command::new("cryptsetup")
        .args(["luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2"])
        .args(["--pbkdf-force-iterations", "1000"])
        .arg(&disk)
        .arg(files.join("passphrase")));
    let state = tempfile::tempdir().unwrap();
    let directory_of_tpm = state.path().join("tpm");
    fs::create_dir(&directory_of_tpm).unwrap();
    let tpm = HostTpm::start(&directory_of_tpm).unwrap();
    fs::write(files.join("tcti"), tpm.tcti()).unwrap();
    let modules = assets.kernel.modules.parent().unwrap();
    let output = chroot::run(files, modules, SCRIPT).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{said}");
    assert!(
        output.status.success() && said.ends_with("== done\n"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
