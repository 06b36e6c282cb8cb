//! The arithmetic of the table: medians with their spread, percentiles, and the exponent with which a figure grows.

/// The least, the median and the most of some values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    /// Of no values, all three are no number.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self {
            least: sorted.first().copied().unwrap_or(f64::NAN),
            median: median(&sorted),
            most: sorted.last().copied().unwrap_or(f64::NAN),
        }
    }
}

/// The middle of sorted values, between the two middle ones where their number is even.
fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match (sorted.get(half.wrapping_sub(1)), sorted.get(half)) {
        (Some(below), Some(above)) if sorted.len().is_multiple_of(2) => f64::midpoint(*below, *above),
        (_, Some(middle)) => *middle,
        (_, None) => f64::NAN,
    }
}

/// The value below which a share of sorted values is.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = (last as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// The exponent `e` of the power `cost = c * work^e` that fits best: 0 does not grow, 1 grows with the work, 2 with its square.
pub fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(work, cost)| (work.ln(), cost.ln())).collect();
    let count = logs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
    let (work, cost) = (mean(|point| point.0), mean(|point| point.1));
    let along: f64 = logs.iter().map(|(x, y)| (x - work) * (y - cost)).sum();
    let across: f64 = logs.iter().map(|(x, _)| (x - work).powi(2)).sum();
    along / across
}
