//! Times of calls that are measured in turns with what they are compared with: other work on
//! the machine hits both.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// How long one turn lasts.
pub const TURN: Duration = Duration::from_millis(40);
/// How many turns each side gets.
pub const TURNS: usize = 15;

/// Microseconds of one call, on average over one turn.
pub fn turn<T>(mut call: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut calls = 0_u32;
    loop {
        for _ in 0..4 {
            black_box(call()?);
        }
        calls += 4;
        let elapsed = started.elapsed();
        if elapsed >= TURN {
            return Ok(elapsed.as_secs_f64() * 1e6 / f64::from(calls));
        }
    }
}

/// Of an odd number of values the middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Two sides, measured in turns.
pub struct Pair {
    /// Microseconds, the median of all turns.
    pub ours: f64,
    /// The other side's.
    pub floor: f64,
    /// Ours to the floor's: the median of the ratios of neighbouring turns.
    pub ratio: f64,
}

/// Measures two sides in turns.
pub fn in_turns(
    mut ours: impl FnMut() -> anyhow::Result<f64>,
    mut floor: impl FnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<Pair> {
    let (mut all_ours, mut all_floor, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let (our, its) = (ours()?, floor()?);
        // The first turn warms the caches.
        if turn > 0 {
            all_ours.push(our);
            all_floor.push(its);
            ratios.push(our / its);
        }
    }
    Ok(Pair {
        ours: median(all_ours),
        floor: median(all_floor),
        ratio: median(ratios),
    })
}
