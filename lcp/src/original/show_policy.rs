//! lcp2_crtpol --show.

use anyhow::{Context, Result, bail};
use lcp::{list::ListVersion, policy_data::PolicyData};
use original_options::file::read;
use txt::policy::{DATA_SIGNATURE, Policy, PolicyType};

use super::show;

/// Shows a policy, and a data file against it; both in either order.
pub fn show_files(files: &[String], brief: bool) -> Result<()> {
    let (first, second) = match files {
        [] => bail!("no policy or policy data file specified"),
        [one] => (one, None),
        [one, two] => (one, Some(two)),
        _ => bail!("too many files specified"),
    };
    let first_bytes = read(first)?;
    let data_first = first_bytes.starts_with(&DATA_SIGNATURE);
    let second_bytes = second.map(|path| read(path)).transpose()?;
    let (policy, data) = match (second, second_bytes) {
        (Some(path), Some(bytes)) if data_first => ((path, bytes), Some((first, first_bytes))),
        (Some(path), Some(bytes)) => ((first, first_bytes), Some((path, bytes))),
        _ if data_first => {
            bail!("{first} is a data file: give its policy as well");
        }
        _ => ((first, first_bytes), None),
    };
    let (path, bytes) = policy;
    println!("policy file: {path}");
    let policy = Policy::parse(&bytes).with_context(|| path.to_owned())?;
    print!("{}", show::policy("    ", &policy));
    let Some((path, bytes)) = data else {
        return Ok(());
    };
    println!("\npolicy data file: {path}");
    let data = PolicyData::parse(&bytes).with_context(|| path.to_owned())?;
    // The original looks at the first list only, and says it for each.
    let first = data.lists().first();
    if first.is_some_and(|list| list.version() == ListVersion::V3_0 && list.signature().is_none()) {
        for _ in data.lists() {
            println!("Verify TPM2.0 Policy List 2.1 success");
        }
    }
    print!("{}", show::data("    ", &data, brief));
    if policy.policy_type() == PolicyType::Any {
        bail!("the policy is of type any: it doesn't use the data file");
    }
    let hash = data.hash(policy.policy_hash().alg())?;
    if &hash != policy.policy_hash() {
        bail!("policy data hash does not match policy hash");
    }
    println!("\npolicy data hash matches policy hash");
    Ok(())
}
