//! lcp_mlehash of tboot 1.8: SHA-1 only, short options.

use anyhow::{Context, Result, anyhow};
use txt::{hash::HashAlg, mlehash::Mle};

const HELP: &str = "\
mhash [-h] [-v] [-c cmdline] mle_file
\t-h Help: will print out this help message.
\t-v Verbose: display progress indications.
\t-c cmdline Command line: specify quote-delimited command line.
\tmle_file: file name of MLE binary (gzip or not) to hash.
";

/// What -v prints before the hash.
const PROGRESS: &str = "\
checking whether the file exists or not ... : existed!
trying to uncompress the file ... : succeeded!
creating a temporary file to uncompress ... : succeeded!
opening the decompressed file ... : succeeded!
testing decompression is ... : succeeded!
reading the decompressed file ... : succeeded!
checking whether image is an elf image ... : succeeded!
expanding elf image ... : succeeded!.
";

/// Runs the tool.
pub fn run(words: &[String], compat: bool) -> Result<()> {
    let usage = |text: String| {
        print!("{HELP}");
        Err(anyhow!(text))
    };
    let (mut verbose, mut cmdline, mut file) = (false, None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-h" => {
                print!("{HELP}");
                return Ok(());
            }
            "-v" => verbose = true,
            "-c" => match words.next() {
                Some(text) => cmdline = Some(text.clone()),
                None => return usage("option -c needs the command line behind it".to_owned()),
            },
            "--" => file = words.next().or(file),
            option if option.starts_with("-c") => {
                cmdline = option.get(2..).map(str::to_owned);
            }
            option if option.starts_with('-') && option.len() > 1 => {
                return usage(format!("option {option} is unknown"));
            }
            _ => file = file.or(Some(word)),
        }
    }
    let Some(path) = file else {
        return usage("no file was given".to_owned());
    };
    let limit = txt::mlehash::MAX_IMAGE_LEN as u64;
    let bytes = commands::file::read_at_most(std::path::Path::new(path), limit)?;
    let mle = Mle::parse(&bytes).with_context(|| path.to_owned())?;
    // Without -c the command line is empty.
    let cmdline = cmdline.unwrap_or_default();
    let hash = if compat {
        mle.hash_as_original(HashAlg::Sha1, cmdline.as_bytes())
    } else {
        mle.hash(HashAlg::Sha1, cmdline.as_bytes())
    };
    let hash = hash.with_context(|| path.to_owned())?;
    let pairs: Vec<String> = hash
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if verbose {
        print!("{PROGRESS}SHA-1 = ");
    }
    println!("{}", pairs.join(" "));
    Ok(())
}
