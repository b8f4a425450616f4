//! What a process has used so far, as the kernel counts it.

use std::fs;
use std::time::Duration;

use kanary_e2e::{Context, Error};

/// A process's use of the machine.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Time on a processor, user and system.
    pub cpu: Duration,
    /// The most memory it ever held, in KiB.
    pub peak_rss_kib: u64,
}

/// Linux has counted in hundredths of a second for user space on every architecture since 2.6.
const TICK: Duration = Duration::from_millis(10);

/// Reads it.
pub fn usage(pid: u32) -> Result<Usage, Error> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        fs::read_to_string(&path).context(|| format!("read {path}"))
    };
    // The name in parentheses may hold blanks; utime and stime are the 12th and 13th field after it.
    let stat = read("stat")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
    let ticks: u32 = fields.filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    let status = read("status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    Ok(Usage { cpu: TICK * ticks, peak_rss_kib: peak.unwrap_or_default() })
}

/// The value that this share of all does not exceed, by the nearest rank.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // a rank
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

/// In milliseconds, to a hundredth.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}
