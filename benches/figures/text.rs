//! The rows as text: one after the other while it is measured, then all in one table.

use super::comparison::Compared;
use super::goals::{GOALS, Goal};
use super::statistics::Spread;
use super::{Figures, Group, Row};

/// A row by itself.
pub fn sentence(row: &Row) -> String {
    let mut cells = cells(row).into_iter();
    let mut line = format!("{:<44}", cells.next().unwrap_or_default());
    for cell in cells.filter(|cell| !cell.is_empty()) {
        line.push_str("  ");
        line.push_str(&cell);
    }
    line
}

/// All rows by group, the columns aligned, and the goals for which a group has no row.
pub fn table(all: &[Figures]) -> String {
    let groups: Vec<&Group> = all.iter().flat_map(|figures| &figures.groups).collect();
    let rows: Vec<&Row> = all.iter().flat_map(|figures| &figures.rows).collect();
    let mut lines = vec![
        [
            "",
            "median (least to most)",
            "beside",
            "share (least to most)",
            "goal",
            "",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let mut headings = Vec::new();
    for group in groups {
        headings.push((lines.len(), format!("{}: {}", group.name, group.about)));
        let own = rows.iter().filter(|row| row.group == group.name);
        lines.extend(own.map(|row| cells(row)));
        let missing = GOALS.iter().filter(|(of, name, _)| {
            *of == group.name && !rows.iter().any(|row| row.group == *of && row.name == *name)
        });
        lines.extend(missing.map(|(_, name, _)| vec![(*name).to_owned(), "NOT MEASURED".to_owned()]));
    }
    let mut text = String::new();
    for (place, line) in aligned(&lines).into_iter().enumerate() {
        for (_, heading) in headings.iter().filter(|heading| heading.0 == place) {
            text.push_str(&format!("\n{heading}\n"));
        }
        text.push_str(&format!("  {line}\n"));
    }
    text
}

/// What a change did, and how many figures it made better and worse.
pub fn comparison(rows: &[Compared]) -> String {
    let head = [
        "",
        "base",
        "now",
        "now / base (least to most)",
        "base / itself",
        "",
    ]
    .map(str::to_owned)
    .to_vec();
    let lines = rows.iter().map(|row| {
        let [base, now, again] = [&row.base, &row.now, &row.again].map(|values| Spread::of(values).median);
        vec![
            row.name.clone(),
            format!("{} {}", number(base), row.unit),
            format!("{} {}", number(now), row.unit),
            spread(row.ratio()),
            number(again / base),
            row.verdict().word().to_owned(),
        ]
    });
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(lines).collect();
    aligned(&lines).join("\n")
}

/// Name, figure, yardstick, share, goal, remark.
fn cells(row: &Row) -> Vec<String> {
    let share = match row.goal() {
        Some(Goal::BeyondAtMost(_)) => row
            .beyond()
            .map(|beyond| format!("{:+} more", Signed(beyond.median))),
        _ => row.share().map(spread),
    };
    vec![
        row.name.clone(),
        format!("{} {}", spread(row.spread()), row.unit),
        row.beside.as_ref().map_or_else(String::new, |beside| {
            format!("{} {}", beside.name, number(Spread::of(&beside.values).median))
        }),
        share.unwrap_or_default(),
        row.goal().map_or_else(String::new, |goal| verdict(goal, row)),
        row.remark.clone(),
    ]
}

fn verdict(goal: Goal, row: &Row) -> String {
    let (wanted, direction) = match goal {
        Goal::AtMost(wanted) | Goal::ShareAtMost(wanted) | Goal::BeyondAtMost(wanted) => (wanted, "or less"),
        Goal::AtLeast(wanted) | Goal::ShareAtLeast(wanted) => (wanted, "or more"),
    };
    let met = if goal.is_met(row) { "met" } else { "NOT MET" };
    format!("{} {direction}: {met}", number(wanted))
}

struct Signed(f64);

impl std::fmt::Display for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0.0 { "-" } else { "+" };
        write!(f, "{sign}{}", number(self.0.abs()))
    }
}

fn spread(spread: Spread) -> String {
    let Spread { least, median, most } = spread;
    if least.to_bits() == most.to_bits() {
        return number(median);
    }
    format!("{} ({} to {})", number(median), number(least), number(most))
}

/// Three digits or more, thousands apart.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "?".to_owned();
    }
    if size < 99.95 {
        let digits = if size < 0.9995 {
            3
        } else if size < 9.995 {
            2
        } else {
            1
        };
        return format!("{value:.digits$}");
    }
    let whole = format!("{size:.0}");
    let mut text = if value < 0.0 {
        "-".to_owned()
    } else {
        String::new()
    };
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Lines whose columns begin below each other; the last is as long as it likes.
fn aligned(lines: &[Vec<String>]) -> Vec<String> {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let joined = lines.iter().map(|line| {
        let cells = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    joined.collect()
}
