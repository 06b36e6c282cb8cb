//! A recovery time beside those of the tests before, and a plan beside what it was.

use crate::domain::plan::Plan;
use crate::domain::words::words;

/// How many of the last tests make the median that a regression is measured by.
const RECENT: usize = 5;

/// A recovery time beside those before. Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trend {
    /// The one before.
    pub previous: Option<i64>,
    /// The median of all before.
    pub median: Option<i64>,
    /// The longest of all before.
    pub worst: Option<i64>,
    /// By how many percent it is longer than the one before.
    pub change_percent: Option<i64>,
    /// Whether it is more than 1.2 times the median of the last five.
    pub regression: Option<bool>,
}

impl Trend {
    /// `own` beside those `before`, newest first; none where a test has none.
    #[must_use]
    pub fn of(own: Option<i64>, before: &[Option<i64>]) -> Self {
        let previous = before.first().copied().flatten();
        let known: Vec<i64> = before.iter().filter_map(|one| *one).collect();
        let recent = median(known.iter().take(RECENT).copied());
        let change = own.zip(previous.filter(|previous| *previous > 0));
        Self {
            previous,
            median: median(known.iter().copied()),
            worst: known.iter().max().copied(),
            change_percent: change.map(|(own, previous)| percent_more(own, previous)),
            regression: own
                .zip(recent)
                .map(|(own, recent)| i128::from(own) * 10 > i128::from(recent) * 12),
        }
    }
}

fn percent_more(own: i64, previous: i64) -> i64 {
    let (own, previous) = (i128::from(own), i128::from(previous));
    let doubled = (own - previous) * 200;
    // Rounded half away from zero.
    let rounded = (doubled + doubled.signum() * previous) / (2 * previous);
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

fn median(values: impl Iterator<Item = i64>) -> Option<i64> {
    let mut values: Vec<i64> = values.collect();
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get(values.len() / 2 - 1)?;
    Some(lower + (upper - lower) / 2)
}

words! {
    /// What of a plan was changed.
    pub enum PlanChange {
        /// Machines came or went.
        Machines = "machines",
        /// The start order.
        Order = "order",
        /// The scripts before and after the failover.
        Scripts = "scripts",
        /// The description.
        Description = "description",
    }
}

/// What was changed of a plan.
#[must_use]
pub fn changes(before: &Plan, now: &Plan) -> Vec<PlanChange> {
    let names = |plan: &Plan| {
        let mut names: Vec<String> = plan.machines.iter().map(|machine| machine.name.clone()).collect();
        names.sort_unstable();
        names
    };
    let order = |plan: &Plan| {
        let mut order: Vec<(Option<i64>, String)> = plan
            .machines
            .iter()
            .map(|machine| (machine.order, machine.name.clone()))
            .collect();
        order.sort_unstable();
        order
    };
    let same_machines = names(before) == names(now);
    let scripts = |plan: &Plan| (plan.pre_command.clone(), plan.post_command.clone());
    let changed = [
        (PlanChange::Machines, !same_machines),
        (PlanChange::Order, same_machines && order(before) != order(now)),
        (PlanChange::Scripts, scripts(before) != scripts(now)),
        (PlanChange::Description, before.description != now.description),
    ];
    changed
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(change, _)| change)
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing_before(Some(100), &[], Trend::default())]
    #[case::faster(Some(90), &[Some(100)], Trend { previous: Some(100), median: Some(100), worst: Some(100), change_percent: Some(-10), regression: Some(false) })]
    #[case::just_within(Some(120), &[Some(100)], Trend { previous: Some(100), median: Some(100), worst: Some(100), change_percent: Some(20), regression: Some(false) })]
    #[case::longer(Some(121), &[Some(100)], Trend { previous: Some(100), median: Some(100), worst: Some(100), change_percent: Some(21), regression: Some(true) })]
    #[case::median_of_the_last_five(Some(130), &[Some(100), Some(100), Some(100), Some(200), Some(200), Some(900), Some(900)],
        Trend { previous: Some(100), median: Some(200), worst: Some(900), change_percent: Some(30), regression: Some(true) })]
    #[case::not_measured_before(Some(100), &[None, Some(50)], Trend { previous: None, median: Some(50), worst: Some(50), change_percent: None, regression: Some(true) })]
    #[case::not_measured(None, &[Some(100), Some(50)], Trend { previous: Some(100), median: Some(75), worst: Some(100), change_percent: None, regression: None })]
    fn a_recovery_time_is_told_beside_those_before(
        #[case] own: Option<i64>,
        #[case] before: &[Option<i64>],
        #[case] expected: Trend,
    ) {
        assert_eq!(Trend::of(own, before), expected);
    }
}
