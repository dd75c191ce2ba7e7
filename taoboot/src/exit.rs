//! How the program ends, and the TPM that it asks unless another is named.

/// The TPM, through the kernel's resource manager.
pub const DEFAULT_TCTI: &str = "device:/dev/tpmrm0";

/// Something failed.
pub const EXIT_FAILURE: u8 = 2;

/// An error and its causes as one sentence; a cause that the text before it quotes already
/// is not said twice.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
