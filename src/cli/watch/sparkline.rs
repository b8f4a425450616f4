//! The values of an item in one line.

use std::collections::VecDeque;

/// From the lowest to the highest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last values, as many as there is room for, each as a bar between the bounds. Without bounds, between the values.
#[must_use]
pub fn draw(values: &VecDeque<f64>, bounds: Option<(f64, f64)>, room: usize) -> String {
    let all = || values.iter().copied().chain(bounds.into_iter().flat_map(|(low, high)| [low, high]));
    let low = all().filter(|value| value.is_finite()).fold(f64::INFINITY, f64::min);
    let high = all().filter(|value| value.is_finite()).fold(f64::NEG_INFINITY, f64::max);
    let shown = values.iter().skip(values.len().saturating_sub(room));
    shown.map(|value| bar((value - low) / (high - low))).collect()
}

/// The bar of a share of the height.
fn bar(share: f64) -> char {
    let steps = [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875];
    // Of equal values the share is not a number; they are in the middle.
    let index = if share.is_nan() { 3 } else { steps.iter().filter(|step| share >= **step).count() };
    BARS[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bars() {
        let line = |values: &[f64], bounds, room| draw(&values.iter().copied().collect(), bounds, room);
        assert_eq!(line(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], None, 20), "▁▂▃▄▅▆▇█");
        assert_eq!(line(&[1.0, 2.0], Some((0.0, 4.0)), 20), "▃▅");
        assert_eq!(line(&[9.0], Some((0.0, 4.0)), 20), "█", "above the bound");
        assert_eq!(line(&[1.0, 1.0], None, 20), "▄▄");
        assert_eq!(line(&[1.0, 2.0, 3.0], None, 2), "▅█");
        assert_eq!(line(&[1.0], None, 0), "");
        assert_eq!(line(&[], None, 5), "");
    }
}
