//! Rows out of lines, for the bench that prints them alone: `name  value unit  remark; goal 25 MB or less`.

use super::Row;
use super::goals::Goal;

/// What a figure is followed by, and other numbers of a line are not.
const UNITS: &[&str] = &["MB", "GB", "KiB", "ms", "s", "us", "%"];

/// The row that a line is; none if it has no figure behind a name.
pub fn row(line: &str) -> Option<Row> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_figure = |place: usize| {
        let unit = words.get(place + 1).map_or("", |word| unit(word));
        words.get(place).is_some_and(|word| number(word).is_some()) && UNITS.contains(&unit)
    };
    let place = (1..words.len()).find(|place| is_figure(*place))?;
    let (name, remark) = (words.get(..place)?.join(" "), words.get(place + 2..)?);
    let mut row = Row::new(
        name,
        unit(words.get(place + 1)?),
        vec![number(words.get(place)?)?],
    );
    row.goal = goal(remark);
    Some(row.remark(remark.join(" ")))
}

fn unit(word: &str) -> &str {
    word.trim_end_matches([',', ';'])
}

/// `goal 25 MB or less` among these words.
fn goal(words: &[&str]) -> Option<Goal> {
    let place = words.iter().position(|word| *word == "goal")?;
    let wanted = number(words.get(place + 1)?)?;
    match words.get(place + 4)?.trim_end_matches([',', ';', '.']) {
        "less" => Some(Goal::AtMost(wanted)),
        "more" => Some(Goal::AtLeast(wanted)),
        _ => None,
    }
}

fn number(word: &str) -> Option<f64> {
    word.replace(',', "")
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}
