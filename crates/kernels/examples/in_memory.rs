//! Profiles and normalises a raw file of little-endian f64 in memory, and prints what it took, one JSON line a round.
//!
//! `in_memory FILE [core|full] [THREADS] [ROUNDS]`; the peers' table of `bench/` runs it.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark prints and reads the clock")]

use std::time::Instant;

use caudal_kernels::{
    InMemory, Method, PERCENTILES, Parameters, Profile, ProfileOptions, Sample, apply, huge_column,
    profile_column,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let file = words.next().ok_or("usage: in_memory FILE [core|full] [THREADS] [ROUNDS]")?;
    let distinct = words.next().is_some_and(|level| level == "full");
    let threads = words.next().map_or(Ok(0), |n| n.parse())?;
    let rounds: usize = words.next().map_or(Ok(3), |n| n.parse())?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let bytes = std::fs::read(file)?;
    let mut values = huge_column(bytes.len() / 8);
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *value = f64::from_le_bytes(*bytes);
    }
    drop(bytes);
    for _ in 0..rounds {
        let (wall, cpu) = (Instant::now(), cpu_seconds());
        let (found, parameters, _written) = work(&values, distinct);
        let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        println!("{{\"wall\":{wall:.6},\"cpu\":{cpu:.6},\"profile\":{}}}", json(&found, &parameters));
    }
    Ok(())
}

/// Everything of the contract's statistics, and the z-score column, freshly allocated.
fn work(values: &[f64], distinct: bool) -> (Profile, Parameters, Vec<f64>) {
    let options = ProfileOptions { distinct, ..ProfileOptions::default() };
    let Ok(found) = profile_column(&InMemory(values), &Sample::of(values), options);
    let (parameters, _) = Parameters::fitted(Method::Zscore, &found.moments, None, &found.quartiles);
    let mut written = huge_column(values.len());
    apply(&parameters, values, &mut written);
    (found, parameters, written)
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call fills the structure that it is given, which zeros are a valid value of.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// The profile in the names of the contract.
fn json(found: &Profile, parameters: &Parameters) -> String {
    let (m, q) = (&found.moments, &found.quartiles);
    let (mode, frequency) = found.mode.unzip();
    let percentiles = PERCENTILES.iter().zip(found.percentiles);
    let percentiles: Vec<_> = percentiles.map(|(p, x)| format!("\"p{p}\":{}", number(x))).collect();
    let quartiles = object(&[("q1", number(q.q1)), ("q3", number(q.q3)), ("iqr", number(q.iqr))]);
    let fences = [("lower_bound", number(q.lower_fence)), ("upper_bound", number(q.upper_fence))];
    let outliers = object(&[fences[0].clone(), fences[1].clone(), ("count", found.outliers.to_string())]);
    let mode = object(&[("value", number(mode)), ("frequency", frequency.unwrap_or(0).to_string())]);
    let edges: Vec<_> = found.histogram.edges.iter().map(|x| number(Some(*x))).collect();
    let histogram = object(&[
        ("edges", format!("[{}]", edges.join(","))),
        ("counts", format!("{:?}", found.histogram.counts)),
    ]);
    object(&[
        ("rows", m.rows.to_string()),
        ("missing", m.missing.to_string()),
        ("infinite", (m.positive_infinite + m.negative_infinite).to_string()),
        ("count", m.count.to_string()),
        ("sum", number(m.sum)),
        ("mean", number(m.mean)),
        ("variance", number(m.variance)),
        ("std_dev", number(m.std_dev)),
        ("variance_sample", number(m.variance_sample)),
        ("std_dev_sample", number(m.std_dev_sample)),
        ("min", number(m.min)),
        ("max", number(m.max)),
        ("range", number(m.range)),
        ("skewness", number(m.skewness)),
        ("kurtosis", number(m.kurtosis)),
        ("percentiles", format!("{{{}}}", percentiles.join(","))),
        ("median", number(found.percentiles[3])),
        ("quartiles", quartiles),
        ("mode", mode),
        ("outliers", outliers),
        ("zscore_outliers", found.zscore.outliers.to_string()),
        ("zeros", found.zeros.to_string()),
        ("negatives", found.negatives.to_string()),
        ("distinct", found.distinct.map_or("null".into(), |n| n.to_string())),
        ("histogram", histogram),
        ("scale", number(parameters.scale)),
    ])
}

/// The shortest text that reads back to the same number.
fn number(x: Option<f64>) -> String {
    x.map_or("null".into(), |x| format!("{x:?}"))
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}
