//! A page of metrics, and how it changed between two reads.

/// A process's metrics at a moment.
pub struct Page(pub String);

impl Page {
    /// The sum of all series of this name that have this label, e.g. `handler="/metrics"`; of all if it is empty.
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        self.series(name).filter(|(labels, _)| labels.contains(label)).map(|(_, value)| value).sum()
    }

    fn series(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        self.0.lines().filter_map(move |line| {
            let (series, value) = line.rsplit_once(' ')?;
            let labels = series.strip_prefix(name)?;
            if !labels.is_empty() && !labels.starts_with('{') {
                return None;
            }
            Some((labels, value.parse().ok()?))
        })
    }

    /// Upper bounds of a histogram's buckets, ascending, and the counts that do not exceed them.
    fn buckets(&self, histogram: &str) -> Vec<(f64, f64)> {
        let name = format!("{histogram}_bucket");
        let bound = |labels: &str| labels.split_once("le=\"")?.1.split_once('"')?.0.parse().ok();
        self.series(&name).filter_map(|(labels, count)| Some((bound(labels)?, count))).collect()
    }
}

/// What was counted between two reads of the same page.
pub struct Between<'a>(pub &'a Page, pub &'a Page);

impl Between<'_> {
    /// By how much the sum grew.
    pub fn grown(&self, name: &str, label: &str) -> f64 {
        self.1.sum(name, label) - self.0.sum(name, label)
    }

    /// The mean of a histogram's observations.
    pub fn mean(&self, histogram: &str) -> f64 {
        self.grown(&format!("{histogram}_sum"), "") / self.grown(&format!("{histogram}_count"), "").max(1.0)
    }

    /// The value that this share did not exceed, as PromQL's `histogram_quantile` computes it: interpolated within a
    /// bucket.
    pub fn percentile(&self, histogram: &str, share: f64) -> f64 {
        let (before, after) = (self.0.buckets(histogram), self.1.buckets(histogram));
        let grown = after.iter().zip(before).map(|((bound, after), (_, before))| (*bound, after - before));
        let grown: Vec<(f64, f64)> = grown.collect();
        let rank = share * grown.last().map_or(0.0, |(_, all)| *all);
        let mut below = (0.0, 0.0);
        for (bound, count) in grown {
            if count >= rank && count > below.1 {
                let part = (rank - below.1) / (count - below.1);
                // Beyond the last bound, all that is known is that it was exceeded.
                return if bound.is_finite() { below.0 + (bound - below.0) * part } else { below.0 };
            }
            below = (bound, count);
        }
        0.0
    }
}
