//! The series of recovery plans: whole families that are replaced at once, since the recorder forgets no series and plans come
//! and go.
//!
//! They are written as text when they change, not when they are asked for. Invariant: there are at most [`MOST_SERIES`],
//! whatever there is.

use std::fmt::{self, Write as _};

use parking_lot::RwLock;

use super::metrics::{METRICS, names};

/// How many plans are shown.
pub const MOST_PLANS: usize = 1_000;

/// How many series all plans have together; a plan that does not fit whole is not shown.
const MOST_SERIES: usize = 4_000;

/// What is shown of one plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanFigures {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whose it is; empty for nobody's.
    pub tenant: String,
    /// When the last test began, in seconds since 1970.
    pub last_test: Option<f64>,
    /// The recovery time of that test, in seconds.
    pub recovery_time: Option<f64>,
    /// The data loss of that test, in seconds.
    pub data_loss: Option<f64>,
    /// What is wanted of the plan, each by its name, in seconds.
    pub objectives: Vec<(&'static str, f64)>,
}

impl PlanFigures {
    /// Each of its series: the family, the objective that it is about, the value.
    fn series(&self) -> impl Iterator<Item = (&'static str, Option<&'static str>, f64)> {
        let measured = [
            (names::PLAN_LAST_TEST, Some(self.last_test.unwrap_or_default())),
            (names::PLAN_RECOVERY_TIME, self.recovery_time),
            (names::PLAN_DATA_LOSS, self.data_loss),
        ];
        let measured = measured
            .into_iter()
            .filter_map(|(name, value)| Some((name, None, value?)));
        let wanted = self.objectives.iter();
        measured.chain(wanted.map(|(objective, value)| (names::PLAN_OBJECTIVE, Some(*objective), *value)))
    }
}

/// The text of all families.
static SHOWN: RwLock<String> = RwLock::new(String::new());

/// Shows these plans instead of those before, in their order as far as they fit; how many are not shown.
pub fn show_plans(plans: &[PlanFigures]) -> usize {
    let (text, shown) = written(plans);
    *SHOWN.write() = text;
    plans.len() - shown
}

/// Adds the families to a scrape.
pub(super) fn render(scrape: &mut String) {
    scrape.push_str(&SHOWN.read());
}

/// The text of the plans that fit, and how many these are.
fn written(plans: &[PlanFigures]) -> (String, usize) {
    let mut series = 0;
    let fits = |plan: &&PlanFigures| {
        series += plan.series().count();
        series <= MOST_SERIES
    };
    let shown: Vec<&PlanFigures> = plans.iter().take(MOST_PLANS).take_while(fits).collect();
    let mut text = String::new();
    let families = [
        names::PLAN_LAST_TEST,
        names::PLAN_RECOVERY_TIME,
        names::PLAN_DATA_LOSS,
        names::PLAN_OBJECTIVE,
    ];
    for metric in METRICS.iter().filter(|metric| families.contains(&metric.name)) {
        let of_family = shown.iter().flat_map(|plan| {
            let series = plan.series().filter(|(name, ..)| *name == metric.name);
            series.map(|(_, objective, value)| (*plan, objective, value))
        });
        let mut of_family = of_family.peekable();
        if of_family.peek().is_none() {
            continue;
        }
        let name = metric.name;
        text.push_str(&format!("# HELP {name} {}\n# TYPE {name} gauge\n", metric.help));
        for (plan, objective, value) in of_family {
            let (id, of, tenant) = (Label(&plan.id), Label(&plan.name), Label(&plan.tenant));
            text.push_str(&format!(
                "{name}{{plan_id=\"{id}\",plan=\"{of}\",tenant=\"{tenant}\""
            ));
            if let Some(objective) = objective {
                text.push_str(&format!(",objective=\"{objective}\""));
            }
            text.push_str(&format!("}} {value}\n"));
        }
    }
    (text, shown.len())
}

/// The value of a label, as the text format of Prometheus quotes it.
struct Label<'t>(&'t str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(number: usize, objectives: &[(&'static str, f64)]) -> PlanFigures {
        PlanFigures {
            id: format!("id-{number}"),
            name: format!("Plan {number}"),
            last_test: Some(1_700_000_000.25),
            recovery_time: Some(61.5),
            data_loss: Some(3600.0),
            objectives: objectives.to_vec(),
            ..PlanFigures::default()
        }
    }

    fn samples(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn a_plan_has_its_figures_and_objectives_with_its_names() {
        let mut own = plan(1, &[("recovery_time", 14400.0)]);
        own.name = "ERP \"gold\"\\\nnight".to_owned();
        own.tenant = "ABC Company".to_owned();
        let (text, shown) = written(&[own]);
        assert_eq!(shown, 1);
        let labels = r#"plan_id="id-1",plan="ERP \"gold\"\\\nnight",tenant="ABC Company""#;
        let expected = [
            format!("emgate_plan_last_test_timestamp_seconds{{{labels}}} 1700000000.25"),
            format!("emgate_plan_recovery_time_seconds{{{labels}}} 61.5"),
            format!("emgate_plan_data_loss_seconds{{{labels}}} 3600"),
            format!("emgate_plan_objective_seconds{{{labels},objective=\"recovery_time\"}} 14400"),
        ];
        assert_eq!(samples(&text), expected);
        assert_eq!(text.matches("# HELP").count(), 4);
    }

    #[test]
    fn what_was_never_measured_has_no_series_and_a_plan_never_tested_says_zero() {
        let never = PlanFigures {
            id: "id-2".to_owned(),
            ..PlanFigures::default()
        };
        let (text, _) = written(&[never]);
        let expected = "emgate_plan_last_test_timestamp_seconds{plan_id=\"id-2\",plan=\"\",tenant=\"\"} 0";
        assert_eq!(samples(&text), [expected]);
    }

    #[test]
    fn the_number_of_series_is_bounded_and_plans_are_shown_whole() {
        let all = [("recovery_time", 1.0), ("data_loss", 1.0), ("test_interval", 1.0)];
        let many: Vec<PlanFigures> = (0..1_500).map(|number| plan(number, &all)).collect();
        let (text, shown) = written(&many);
        assert_eq!((samples(&text).len(), shown), (3_996, 666));
        let few: Vec<PlanFigures> = (0..1_500).map(|number| plan(number, &[])).collect();
        let (text, shown) = written(&few);
        assert_eq!((samples(&text).len(), shown), (3_000, 1_000));
    }
}
