//! A guard with many facts beside a guard with one.

use std::time::Instant;

use tao::guard::{DatalogGuard, Guard as _};

use crate::rows::Rows;

const FACTS: u32 = 100_000;
const QUERIES: u32 = 2000;
/// Seconds.
const LOADING: f64 = 2.0;
const SLOWER: f64 = 100.0;
const RULE: &str = "forall P: forall H: forall E: \
    Host(H) and Hash(E) and Subprin(P, H, E) implies Authorized(P, \"Execute\")";

/// Measures loading and asking.
pub fn measure(rows: &mut Rows) -> anyhow::Result<()> {
    let (_, one, _) = guard_with(1)?;
    let (loaded, p50, p99) = guard_with(FACTS)?;
    rows.target(
        format!("guard of {FACTS} facts: loading"),
        loaded,
        "s",
        LOADING,
        "",
    );
    let note = format!("{p99:.1} us / {one:.1} us; p50 {p50:.1} us");
    let name = format!("guard: p99 of {FACTS} facts / p50 of one");
    rows.target(name, p99 / one, "", SLOWER, &note);
    Ok(())
}

/// Seconds of loading; microseconds of a query: the middle one, and the 99th of a hundred.
fn guard_with(facts: u32) -> anyhow::Result<(f64, f64, f64)> {
    let mut source = DatalogGuard::new();
    source.add_rule(RULE)?;
    source.add_rule("Host(key([aa]))")?;
    for number in 0..facts {
        let hash = hex::encode(number.to_be_bytes());
        source.add_rule(&format!("Hash(ext.Program([{hash}]))"))?;
    }
    let file = source.serialized().unwrap_or_default();
    let started = Instant::now();
    let guard = DatalogGuard::from_serialized(&file)?;
    let loaded = started.elapsed().as_secs_f64();
    let mut times = Vec::new();
    for number in 0..QUERIES {
        let hash = hex::encode((number % facts).to_be_bytes());
        let query = format!("Authorized(key([aa]).Program([{hash}]), \"Execute\")").parse()?;
        let started = Instant::now();
        anyhow::ensure!(guard.query(&query)?, "{query} does not hold");
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .copied()
            .unwrap_or(f64::NAN)
    };
    Ok((loaded, at(50), at(99)))
}
