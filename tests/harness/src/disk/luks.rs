//! A LUKS2 volume with content, made without device-mapper.
//!
//! cryptsetup writes the header around a volume key that we chose; the content is encrypted
//! here as dm-crypt would: AES-256-XTS, the tweak being the sector's number in units of 512
//! bytes from the beginning of the segment ("plain64"), also when encryption sectors are
//! larger. The guest's kernel is what decrypts it, so a mistake here shows at once.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use aes::Aes256;
use aes::cipher::KeyInit;
use anyhow::{Context, Result, ensure};
use xts_mode::{Xts128, get_tweak_default};

use crate::tool::Tool;

/// Where the encrypted segment begins, in bytes: cryptsetup's default for LUKS2.
const SEGMENT_OFFSET: u64 = 16 << 20;
/// Bytes that are encrypted at a time.
const CHUNK: usize = 1 << 20;
/// The unit of the tweak, whatever the size of an encryption sector.
const TWEAK_UNIT: u64 = 512;

/// How a volume is made.
#[derive(Clone, Debug)]
pub struct LuksVolume<'a> {
    /// UUID of the LUKS header.
    pub uuid: &'a str,
    /// Size of an encryption sector: 512 or 4096 bytes.
    pub sector_size: u32,
    /// The volume key: 64 bytes, for two AES-256 keys.
    pub volume_key: [u8; 64],
    /// Passphrase of keyslot 0.
    pub passphrase: &'a [u8],
}

/// Writes to `image` a volume that holds `content` (a file system image).
pub fn make(image: &Path, volume: &LuksVolume<'_>, content: &Path) -> Result<()> {
    let size = fs::metadata(content)
        .with_context(|| format!("cannot read {}", content.display()))?
        .len();
    ensure!(
        size.is_multiple_of(u64::from(volume.sector_size)),
        "{} is not whole sectors of {} bytes",
        content.display(),
        volume.sector_size
    );
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .read(true)
        .open(image)
        .with_context(|| format!("cannot create {}", image.display()))?;
    file.set_len(SEGMENT_OFFSET + size)
        .with_context(|| format!("cannot size {}", image.display()))?;
    format(image, volume)?;
    encrypt(&file, volume, content)
}

/// Writes the header and keyslot 0.
fn format(image: &Path, volume: &LuksVolume<'_>) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a directory")?;
    let key = scratch.path().join("volume-key");
    fs::write(&key, volume.volume_key).context("cannot write the volume key")?;
    Tool::new("cryptsetup")
        .args(["luksFormat", "--type", "luks2", "--batch-mode"])
        .args(["--cipher", "aes-xts-plain64", "--key-size", "512"])
        .args(["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"])
        .args(["--sector-size", &volume.sector_size.to_string()])
        .args(["--offset", &(SEGMENT_OFFSET / 512).to_string()])
        .args([
            "--uuid",
            volume.uuid,
            "--key-file",
            "-",
            "--volume-key-file",
        ])
        .arg(&key)
        .arg(image)
        .input(volume.passphrase)
        .run()
        .context("cannot write the LUKS2 header")?;
    Ok(())
}

fn encrypt(file: &File, volume: &LuksVolume<'_>, content: &Path) -> Result<()> {
    let (first, second) = volume.volume_key.split_at(32);
    let xts = Xts128::new(
        Aes256::new_from_slice(first).context("the volume key is too short")?,
        Aes256::new_from_slice(second).context("the volume key is too short")?,
    );
    let mut source =
        File::open(content).with_context(|| format!("cannot open {}", content.display()))?;
    let mut buffer = vec![0; CHUNK];
    let mut position = 0;
    loop {
        let count = fill(&mut source, &mut buffer)?;
        let Some(chunk) = buffer.get_mut(..count).filter(|chunk| !chunk.is_empty()) else {
            return Ok(());
        };
        for (number, sector) in chunk.chunks_mut(volume.sector_size as usize).enumerate() {
            let offset = position + number as u64 * u64::from(volume.sector_size);
            xts.encrypt_sector(sector, get_tweak_default(u128::from(offset / TWEAK_UNIT)));
        }
        file.write_all_at(chunk, SEGMENT_OFFSET + position)
            .context("cannot write the encrypted volume")?;
        position += count as u64;
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(source: &mut File, buffer: &mut [u8]) -> Result<usize> {
    let mut length = 0;
    while let Some(free) = buffer.get_mut(length..).filter(|free| !free.is_empty()) {
        match source.read(free).context("cannot read the file system")? {
            0 => break,
            count => length += count,
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(sector_size: u32) -> LuksVolume<'static> {
        let mut volume_key = [0; 64];
        for (number, byte) in volume_key.iter_mut().enumerate() {
            *byte = number as u8;
        }
        LuksVolume {
            uuid: "7a0b0002-0002-4002-8002-000000000002",
            sector_size,
            volume_key,
            passphrase: b"first passphrase",
        }
    }

    #[test]
    fn cryptsetup_accepts_the_header_and_its_passphrase() {
        let directory = tempfile::tempdir().unwrap();
        let (image, content) = (directory.path().join("i"), directory.path().join("c"));
        fs::write(&content, vec![7; 1 << 20]).unwrap();
        make(&image, &volume(4096), &content).unwrap();
        let open = |passphrase: &[u8]| {
            Tool::new("cryptsetup")
                .args(["open", "--test-passphrase", "--key-file", "-"])
                .arg(&image)
                .input(passphrase)
                .run()
        };
        open(b"first passphrase").unwrap();
        open(b"another").unwrap_err();
        // Constant plaintext must not show through, neither within nor across sectors.
        let bytes = fs::read(&image).unwrap();
        let segment = &bytes[SEGMENT_OFFSET as usize..];
        assert_ne!(segment[..16], segment[16..32]);
        assert_ne!(segment[..4096], segment[4096..8192]);
    }
}
