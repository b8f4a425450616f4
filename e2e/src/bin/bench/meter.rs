//! What a process has used so far, as the kernel counts it; the controller's requests to the API server; and
//! arithmetic.

use std::{collections::BTreeMap, fs, time::Duration};

use kanary_e2e::{
    Context, Error,
    audit::{Audit, Call, Mark},
};

/// A process's use of the machine.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// CPU time, user and system.
    pub cpu: Duration,
    /// The memory it holds, in KiB.
    pub rss_kib: u64,
    /// The most memory that it ever held, in KiB.
    pub peak_rss_kib: u64,
}

/// Linux has counted in hundredths of a second for user space on every architecture since 2.6.
const TICK: Duration = Duration::from_millis(10);

/// Reads the usage of a process.
pub fn usage(pid: u32) -> Result<Usage, Error> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        fs::read_to_string(&path).context(|| format!("read {path}"))
    };
    // The name in parentheses may contain blanks; utime and stime are the 12th and 13th field after it.
    let stat = read("stat")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
    let ticks: u32 = fields.filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    let status = read("status")?;
    let kib = |key: &str| {
        let value = |line: &str| line.strip_prefix(key)?.trim().strip_suffix(" kB")?.parse().ok();
        status.lines().find_map(value).unwrap_or_default()
    };
    Ok(Usage { cpu: TICK * ticks, rss_kib: kib("VmRSS:"), peak_rss_kib: kib("VmHWM:") })
}

/// The controller's requests since then, without watches and the Lease, which go on indefinitely.
pub fn requests(audit: &Audit, mark: Mark) -> Result<Vec<Call>, Error> {
    let calls = audit.since(mark, ":kanary")?.into_iter();
    Ok(calls.filter(|call| !call.is_watch() && !call.is_lease()).collect())
}

/// The number of each kind, for each of `canaries` canaries.
pub fn by_kind(calls: &[Call], canaries: usize) -> BTreeMap<String, f64> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        *kinds.entry(format!("{} {}", call.verb, call.resource)).or_default() += 1;
    }
    kinds.into_iter().map(|(kind, count)| (kind, per(count as f64, canaries))).collect()
}

/// The value that this share does not exceed, by the nearest rank.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // a rank
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

/// In milliseconds, to a hundredth.
pub fn millis(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64() * 1000.0)
}

/// The average.
pub fn per(total: f64, count: usize) -> f64 {
    rounded(total / count as f64)
}

/// To a hundredth.
pub fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// In MiB, to a hundredth.
pub fn mebibytes(kib: u64) -> f64 {
    rounded(kib as f64 / 1024.0)
}
