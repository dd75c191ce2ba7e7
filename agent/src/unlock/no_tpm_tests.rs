use std::collections::BTreeMap;

use super::*;

/// A machine as it looks without a TPM; each test adds one trace.
struct Board {
    directory: tempfile::TempDir,
    registers: BTreeMap<u64, Result<u32, i32>>,
    nothing: u32,
}

impl PhysicalMemory for Board {
    fn read(&self, address: u64) -> io::Result<u32> {
        match self.registers.get(&address) {
            Some(Ok(value)) => Ok(*value),
            Some(Err(errno)) => Err(io::Error::from_raw_os_error(*errno)),
            None => Ok(self.nothing),
        }
    }
}

impl Board {
    fn empty() -> Self {
        let board = Self {
            directory: tempfile::tempdir().unwrap(),
            registers: BTreeMap::new(),
            nothing: u32::MAX,
        };
        board.file("sys/kernel/boot_params/data", &[0; 4096]);
        board.file("sys/firmware/acpi/tables/FACP", b"");
        board.file("sys/bus/acpi/devices/PNP0C01:00/status", b"15\n");
        board
    }

    fn file(&self, path: &str, content: &[u8]) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn prove(&self) -> Result<NoTpm, NoTpmError> {
        self.prove_for(WithoutTpm::Prompt)
    }

    fn prove_for(&self, allowed: WithoutTpm) -> Result<NoTpm, NoTpmError> {
        let platform = Platform::new(self.directory.path(), self);
        NoTpm::of(allowed, &absent(), &platform)
    }
}

fn absent() -> TpmError {
    TpmError::Absent {
        tcti: "device:/dev/tpmrm0".into(),
        reason: "No such file or directory".into(),
    }
}

#[test]
fn a_machine_without_a_tpm_may_ask_where_that_is_allowed_and_only_there() {
    for nothing in [0, u32::MAX] {
        let board = Board {
            nothing,
            ..Board::empty()
        };
        board.prove().unwrap();
        assert_eq!(
            board.prove_for(WithoutTpm::Stop).unwrap_err(),
            NoTpmError::NotAllowed
        );
    }
}

#[test]
fn a_tpm_that_cannot_be_reached_is_none_that_is_absent() {
    let board = Board::empty();
    let platform = Platform::new(board.directory.path(), &board);
    for reason in [
        "Input/output error",
        "Device or resource busy",
        "No such device",
    ] {
        let opening = TpmError::Unreachable {
            tcti: "device:/dev/tpmrm0".into(),
            reason: reason.into(),
        };
        let error = NoTpm::of(WithoutTpm::Prompt, &opening, &platform).unwrap_err();
        assert_eq!(error, NoTpmError::Unusable);
    }
    let tpm12 = TpmError::Tpm12 { tcti: "x".into() };
    assert!(NoTpm::of(WithoutTpm::Prompt, &tpm12, &platform).is_err());
}

#[test]
fn each_trace_of_a_tpm_is_enough() {
    for (path, content) in [
        ("sys/class/tpm/tpm0/dev", ""),
        ("sys/firmware/acpi/tables/TPM2", ""),
        ("sys/firmware/acpi/tables/TCPA", ""),
        ("sys/firmware/acpi/tables/TPM21", ""),
        ("sys/bus/acpi/devices/MSFT0101:00/status", "15\n"),
        ("sys/bus/acpi/devices/MSFT0101:00/hid", "MSFT0101\n"),
        ("sys/bus/acpi/devices/PNP0C31:00/status", "1\n"),
    ] {
        let board = Board::empty();
        board.file(path, content.as_bytes());
        let error = board.prove().unwrap_err();
        assert!(matches!(error, NoTpmError::Present(_)), "{path}: {error}");
    }
    let board = Board::empty();
    board.file("sys/bus/acpi/devices/MSFT0101:00/status", b"0\n");
    board.prove().unwrap();
}

#[test]
fn a_tpm_hidden_from_linux_answers_at_its_registers() {
    for (register, value) in [
        (0xfed4_0000, 0x81),        // TPM_ACCESS_0 of a FIFO
        (0xfed4_0030, 0x4011),      // TPM_INTERFACE_ID of a CRB
        (0xfed4_0f00, 0x0001_1014), // TPM_DID_VID of QEMU's TIS
        (0xfed4_0f00, 0xff00_ffff),
    ] {
        let mut board = Board::empty();
        board.registers.insert(register, Ok(value));
        let error = board.prove().unwrap_err();
        assert!(matches!(error, NoTpmError::Present(_)), "{error}");
        assert!(error.to_string().contains("acpi"), "{error}");
    }
}

#[test]
fn a_launch_is_seen_in_txt_s_registers_and_by_what_tboot_leaves() {
    for status in [0x1, 0x2, 0x4003] {
        let mut board = Board::empty();
        board.registers.insert(0xfed3_0000, Ok(status));
        board.registers.insert(0xfed3_0110, Ok(0xb006_8086));
        let error = board.prove().unwrap_err();
        assert!(matches!(error, NoTpmError::Launched(_)), "{error}");
    }
    // A chipset that knows TXT, before any launch.
    let mut board = Board::empty();
    board.registers.insert(0xfed3_0000, Ok(0));
    board.registers.insert(0xfed3_0110, Ok(0xb006_8086));
    board.prove().unwrap();

    let board = Board::empty();
    let mut parameters = [0; 4096];
    parameters[0x59] = 1;
    board.file("sys/kernel/boot_params/data", &parameters);
    let error = board.prove().unwrap_err();
    assert!(matches!(error, NoTpmError::Launched(_)), "{error}");
}

#[test]
fn what_cannot_be_looked_at_counts_as_a_tpm() {
    for register in [
        0xfed3_0000,
        0xfed3_0110,
        0xfed4_0000,
        0xfed4_0030,
        0xfed4_0f00,
    ] {
        let mut board = Board::empty();
        board.registers.insert(register, Err(1)); // EPERM, as under lockdown
        let error = board.prove().unwrap_err();
        assert!(matches!(error, NoTpmError::Unknown { .. }), "{error}");
    }
    let board = Board::empty();
    fs::remove_file(board.directory.path().join("sys/kernel/boot_params/data")).unwrap();
    assert!(matches!(board.prove(), Err(NoTpmError::Unknown { .. })));
    board.file("sys/kernel/boot_params/data", &[0; 0x5f]);
    assert!(matches!(board.prove(), Err(NoTpmError::Unknown { .. })));
    board.file("sys/kernel/boot_params/data", &[0; 4096]);
    // A file where a directory should be.
    board.file("sys/class/tpm", b"");
    assert!(matches!(board.prove(), Err(NoTpmError::Unknown { .. })));
}
