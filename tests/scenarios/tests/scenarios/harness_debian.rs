//! The harness' Debian userland: boots to multi-user, runs the orders, reports.

use std::time::Instant;

use guest::orders::{End, Orders};
use harness::assets::Assets;
use harness::busybox;
use harness::debian::overlay::Overlay;
use harness::debian::{Base, debian_base, debian_root};
use harness::disk::Disk;
use harness::disk::cache::copy;
use harness::disk::luks::{self, LuksVolume};
use harness::disk::orders::{orders_disk, shell};
use harness::disk::swap::make_swap_disk;
use harness::guest::guest_probe;
use harness::launch::Launch;
use harness::machine::{DirectKernel, Ending, Machine, Outcome, Tpm};

const CMDLINE: &str = "console=ttyS0 panic=-1 loglevel=4 systemd.show_status=no";
/// Waits for the disk, which virtio finds a moment after its driver is loaded.
const MOUNT_AND_SWITCH: &str = r#"
disk() { for d in /sys/block/vd*; do [ "$(cat $d/serial)" = $1 ] && echo /dev/${d##*/}; done; }
mkdir /new
mount -t ext4 $(disk root) /new
mount --move /dev /new/dev; mount --move /proc /new/proc; mount --move /sys /new/sys
exec switch_root /new /sbin/init
"#;

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    println!("{what}: {:.2} s", started.elapsed().as_secs_f32());
    result
}

fn machine(name: &str, orders: &[Orders]) -> Machine {
    let assets = Assets::load().unwrap();
    let machine = Machine::new(name).unwrap();
    let directory = machine.directory().to_path_buf();
    let modules = [busybox::VIRTIO_BLOCK, busybox::DM_CRYPT].concat();
    let initramfs = directory.join("initramfs");
    busybox::initramfs(&assets, &modules, MOUNT_AND_SWITCH, &initramfs).unwrap();
    timed("debian base", || debian_base(Base::Plain)).unwrap();
    let probe = timed("guest probe", guest_probe).unwrap();
    let root = timed("debian root", || {
        debian_root(Base::Plain, &probe, &Overlay::default())
    })
    .unwrap();
    let image = directory.join("root.img");
    timed("copy", || copy(&root, &image)).unwrap();
    let orders = orders_disk(&directory.join("orders.img"), orders).unwrap();
    let launch = Launch {
        hash_data: b"acm".to_vec(),
        extends: vec![],
    };
    machine
        .direct_kernel(DirectKernel {
            kernel: assets.kernel.vmlinuz,
            initramfs,
            cmdline: CMDLINE.to_owned(),
        })
        .disk(Disk::new(image, "root"))
        .disk(orders)
        .tpm(Tpm::new(directory.join("tpm"), Some(launch)))
}

fn say(outcome: &Outcome) {
    let seconds = outcome.elapsed.as_secs_f32();
    println!(
        "{:?} after {seconds:.1} s, {:?}",
        outcome.ending, outcome.tpm
    );
}

#[test]
fn debian_reaches_multi_user_and_reports() {
    let orders = Orders {
        commands: vec![
            shell("hello", "echo hello; echo trouble >&2; exit 3"),
            shell("pcrs", "tpm2_pcrread sha256:17"),
        ],
        end: End::Poweroff,
    };
    let outcome = machine("harness-debian", &[orders]).run().unwrap();
    say(&outcome);
    let report = outcome.report_of("probe").unwrap();
    println!("{report:#}");
    assert_eq!(report["systemd"]["state"], "running", "{report:#}");
    assert_eq!(report["systemd"]["multi_user"], "active");
    assert_eq!(report["commands"]["hello"]["code"], 3);
    assert_eq!(report["commands"]["hello"]["stdout"], "hello\n");
    assert_eq!(report["commands"]["hello"]["stderr"], "trouble\n");
    assert_eq!(report["commands"]["pcrs"]["code"], 0, "{report:#}");
    assert_eq!(report["pcrs"]["18"], "0".repeat(64));
    assert_eq!(outcome.ending, Ending::PowerOff);
}

#[test]
fn debian_reboots_and_finds_other_orders() {
    let orders = [End::Reboot, End::Poweroff].map(|end| Orders {
        commands: vec![],
        end,
    });
    let outcome = machine("harness-debian-reboot", &orders)
        .boots(2)
        .run()
        .unwrap();
    say(&outcome);
    let reports = outcome.reports_of("probe");
    assert_eq!(reports.len(), 2, "{}", outcome.console_end());
    assert_eq!(reports[0]["boot"], 1);
    assert_eq!(reports[1]["boot"], 2);
    assert_eq!(outcome.ending, Ending::PowerOff);
    assert_eq!(outcome.resets, 1);
    assert_eq!(outcome.tpm.as_ref().unwrap().launches, 2);
}

#[test]
fn the_guests_kernel_reads_the_volumes_that_we_encrypt() {
    let orders = Orders {
        commands: [512, 4096]
            .map(|size| {
                let disk = format!("/dev/disk/by-id/virtio-luks{size}");
                let script = format!(
                    "set -e; printf secret | cryptsetup open --key-file - {disk} v{size}; \
                     mount -o ro /dev/mapper/v{size} /mnt; cat /mnt/etc/hostname; \
                     cat /mnt/usr/bin/* | wc -c; umount /mnt; cryptsetup close v{size}"
                );
                let mut order = shell(&format!("luks{size}"), &script);
                order.seconds = 120;
                order
            })
            .into(),
        end: End::Poweroff,
    };
    let mut machine = machine("harness-luks", &[orders]);
    let directory = machine.directory().to_path_buf();
    for size in [512, 4096] {
        let volume = LuksVolume {
            uuid: "7a0b0002-0002-4002-8002-000000000002",
            sector_size: size,
            volume_key: [0x5a; 64],
            passphrase: b"secret",
        };
        let image = directory.join(format!("luks{size}.img"));
        timed("encrypt", || {
            luks::make(&image, &volume, &directory.join("root.img"))
        })
        .unwrap();
        machine = machine.disk(Disk::new(image, &format!("luks{size}")));
    }
    let swap = directory.join("swap.img");
    make_swap_disk(&swap, 64 << 20).unwrap();
    let outcome = machine.disk(Disk::new(swap, "swap")).run().unwrap();
    say(&outcome);
    let report = outcome.report_of("probe").unwrap();
    for size in ["luks512", "luks4096"] {
        let command = &report["commands"][size];
        assert_eq!(command["code"], 0, "{command:#}");
        assert!(
            command["stdout"].as_str().unwrap().starts_with("guest\n"),
            "{command:#}"
        );
    }
    let swap = &report["swap_partitions"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap()["zeros"];
    assert_eq!(*swap, 1 << 20);
}
