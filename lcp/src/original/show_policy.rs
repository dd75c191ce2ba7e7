//! lcp2_crtpol --show.

use lcp::{list::ListVersion, policy_data::PolicyData};
use txt::policy::{DATA_SIGNATURE, Policy, PolicyType};

use super::{Outcome, read, show};

/// Shows a policy, and a data file against it; both in either order.
pub fn show_files(files: &[String], brief: bool) -> Outcome {
    let (first, second) = match files {
        [] => return Err("no policy or policy data file specified".to_owned()),
        [one] => (one, None),
        [one, two] => (one, Some(two)),
        _ => return Err("too many files specified".to_owned()),
    };
    let first_bytes = read(first)?;
    let data_first = first_bytes.starts_with(&DATA_SIGNATURE);
    let second_bytes = second.map(|path| read(path)).transpose()?;
    let (policy, data) = match (second, second_bytes) {
        (Some(path), Some(bytes)) if data_first => ((path, bytes), Some((first, first_bytes))),
        (Some(path), Some(bytes)) => ((first, first_bytes), Some((path, bytes))),
        _ if data_first => {
            return Err(format!("{first} is a data file: give its policy as well"));
        }
        _ => ((first, first_bytes), None),
    };
    let (path, bytes) = policy;
    println!("policy file: {path}");
    let policy = Policy::parse(&bytes).map_err(|error| format!("{path}: {error}"))?;
    print!("{}", show::policy("    ", &policy));
    let Some((path, bytes)) = data else {
        return Ok(());
    };
    println!("\npolicy data file: {path}");
    let data = PolicyData::parse(&bytes).map_err(|error| format!("{path}: {error}"))?;
    // The original looks at the first list only, and says it for each.
    let first = data.lists().first();
    if first.is_some_and(|list| list.version() == ListVersion::V3_0 && list.signature().is_none()) {
        for _ in data.lists() {
            println!("Verify TPM2.0 Policy List 2.1 success");
        }
    }
    print!("{}", show::data("    ", &data, brief));
    if policy.policy_type() == PolicyType::Any {
        return Err("the policy is of type any: it doesn't use the data file".to_owned());
    }
    let hash = data
        .hash(policy.policy_hash().alg())
        .map_err(|error| error.to_string())?;
    if &hash != policy.policy_hash() {
        return Err("policy data hash does not match policy hash".to_owned());
    }
    println!("\npolicy data hash matches policy hash");
    Ok(())
}
