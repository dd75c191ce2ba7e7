//! A boot directory as Debian makes it.

use std::{fs, io::Write, path::PathBuf, process::Command};

/// The kernel's command line as GRUB passes it.
pub const CMDLINE: &str = "root=UUID=0815 ro quiet intel_iommu=on \"dyndbg=file a +p\"";

/// A boot directory with its grub.cfg, and the command that is run on it.
pub struct World {
    directory: tempfile::TempDir,
}

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub fn tboot() -> Vec<u8> {
    let path = "../lcp/tests/vectors/mlehash/one-seg.elf.gz";
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A file with the headers of a SINIT module.
fn sinit() -> Vec<u8> {
    let mut acm = vec![0u8; 1024];
    acm[0] = 2;
    acm[4..8].copy_from_slice(&161u32.to_le_bytes());
    acm[16..20].copy_from_slice(&0x8086u32.to_le_bytes());
    acm[24..28].copy_from_slice(&256u32.to_le_bytes());
    acm[124..128].copy_from_slice(&20u32.to_le_bytes());
    let uuid = hex::decode("aa3ac07fa746db182eac698f8d417f5a").unwrap();
    acm[724..740].copy_from_slice(&uuid);
    acm[740] = 1;
    acm
}

impl World {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let boot = directory.path().join("boot");
        fs::create_dir_all(boot.join("grub")).unwrap();
        let mut lcp_data = b"Intel(R) TXT LCP_POLICY_DATA\0\0\0\0".to_vec();
        lcp_data.extend([0; 4]);
        for (name, content) in [
            ("tboot.gz", tboot()),
            ("vmlinuz-6.1", b"MZ kernel".to_vec()),
            ("initrd.img-6.1", gzip(b"070701 cpio")),
            ("4th_gen_SINIT.bin", sinit()),
            ("list.data", lcp_data),
        ] {
            fs::write(boot.join(name), content).unwrap();
        }
        let world = Self { directory };
        world.write_config("");
        world
    }

    /// A grub.cfg in grub-mkconfig's style; `more` goes into the entry's end.
    pub fn write_config(&self, more: &str) {
        let config = format!(
            r#"if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ x"${{feature_menuentry_id}}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
export menuentry_id_option
function load_video {{
  insmod all_video
}}
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple' {{
	load_video
	linux	/boot/vmlinuz-6.1 root=UUID=0815 ro quiet
}}
submenu "tboot 1.10.5" {{
menuentry 'Debian GNU/Linux, with tboot 1.10.5 and Linux 6.1' --class tboot {{
	insmod multiboot2
	set root='hd0,msdos1'
	if [ x$feature_platform_search_hint = xy ]; then
	  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1  0815
	else
	  search --no-floppy --fs-uuid --set=root 0815
	fi
	echo	'Loading tboot 1.10.5 ...'
	multiboot2	/boot/tboot.gz logging=serial,memory
	echo	'Loading Linux 6.1 ...'
	module2 /boot/vmlinuz-6.1 root=UUID=0815  ro quiet   intel_iommu=on 'dyndbg=file a +p'
	module2 /boot/initrd.img-6.1
	module2 /boot/4th_gen_SINIT.bin
	module2 /boot/list.data
{more}
}}
}}
"#
        );
        fs::write(self.path("boot/grub/grub.cfg"), config).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_tboot-policy"))
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap();
        (code, text(&output.stdout), text(&output.stderr))
    }

    pub fn make_policy(&self, more: &[&str]) -> (i32, String, String) {
        let mut arguments = vec!["from-grub", "--root", ".", "--output", "p"];
        arguments.extend(more);
        arguments.push("1>0");
        self.run(&arguments)
    }

    pub fn verify(&self) -> (i32, String, String) {
        self.run(&["verify", "--root", ".", "--entry", "1>0", "p"])
    }
}
