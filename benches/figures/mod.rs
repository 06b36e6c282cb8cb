//! What `make bench` says: figures with one value for each round, their yardsticks of the same rounds, and their goals.
//!
//! Each bench program writes its rows into a file of its own below `target/bench`; `benches/table.rs` makes one table of all.

pub mod comparison;
pub mod goals;
pub mod lines;
pub mod machine;
pub mod statistics;
pub mod text;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::goals::Goal;
use self::statistics::Spread;

/// One line of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    pub group: String,
    pub name: String,
    pub unit: String,
    /// One for each round.
    pub values: Vec<f64>,
    pub beside: Option<Yardstick>,
    /// Where the program that measures says it itself; all others are in [`goals`].
    pub goal: Option<Goal>,
    pub remark: String,
}

/// What a figure is held against: the same work by something else, in the same rounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Yardstick {
    pub name: String,
    pub values: Vec<f64>,
}

impl Row {
    pub fn new(name: impl Into<String>, unit: &str, values: Vec<f64>) -> Self {
        Self {
            group: String::new(),
            name: name.into(),
            unit: unit.to_owned(),
            values,
            beside: None,
            goal: None,
            remark: String::new(),
        }
    }

    pub fn beside(mut self, name: &str, values: Vec<f64>) -> Self {
        let name = name.to_owned();
        self.beside = Some(Yardstick { name, values });
        self
    }

    pub fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = remark.into();
        self
    }

    pub fn spread(&self) -> Spread {
        Spread::of(&self.values)
    }

    /// The figure divided by its yardstick, round by round.
    pub fn share(&self) -> Option<Spread> {
        Some(self.paired(|value, beside| value / beside)?.spread())
    }

    /// How far the figure is beyond its yardstick, round by round.
    pub fn beyond(&self) -> Option<Spread> {
        Some(self.paired(|value, beside| value - beside)?.spread())
    }

    /// What it is to reach.
    pub fn goal(&self) -> Option<Goal> {
        self.goal.or_else(|| goals::of(&self.group, &self.name))
    }

    /// Whether its median reaches its goal; nothing without one.
    pub fn is_met(&self) -> Option<bool> {
        Some(self.goal()?.is_met(self))
    }

    /// A row of the values and their yardstick's, taken together round by round.
    pub fn paired(&self, of: impl Fn(f64, f64) -> f64) -> Option<Self> {
        let beside = &self.beside.as_ref()?.values;
        let values = self.values.iter().zip(beside);
        let values = values.map(|(value, beside)| of(*value, *beside)).collect();
        Some(Self::new(self.name.clone(), &self.unit, values))
    }
}

/// What one bench program has measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// The groups that ran: what each is called, what it is about, the seconds it took.
    pub groups: Vec<Group>,
    pub rows: Vec<Row>,
    /// Processes that waited for a processor when it began and when it ended.
    pub load: (f64, f64),
    /// The bench that measured them.
    #[serde(skip)]
    pub program: &'static str,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    pub about: String,
}

impl Figures {
    /// For the bench of that name; what it had measured before is forgotten.
    pub fn new(program: &'static str) -> Self {
        let load = machine::load();
        let figures = Self {
            load: (load, load),
            program,
            ..Self::default()
        };
        figures.keep();
        figures
    }

    /// Rows from here on belong to this group.
    pub fn begin(&mut self, name: &str, about: impl Into<String>) {
        let about = about.into();
        println!("\n{name}: {about}");
        let name = name.to_owned();
        self.groups.push(Group { name, about });
    }

    /// Says a row at once and keeps it for the table.
    pub fn add(&mut self, mut row: Row) {
        let beside = row.beside.as_ref().map_or(&row.values, |beside| &beside.values);
        assert_eq!(
            row.values.len(),
            beside.len(),
            "{}: rounds without a yardstick",
            row.name
        );
        let mut all = row.values.iter().chain(beside);
        assert!(
            all.all(|value| value.is_finite()),
            "{}: no numbers: {:?}",
            row.name,
            row.values
        );
        assert!(!row.values.is_empty(), "{}: no rounds", row.name);
        row.group = self
            .groups
            .last()
            .map(|group| group.name.clone())
            .unwrap_or_default();
        println!("  {}", text::sentence(&row));
        self.rows.push(row);
        self.load.1 = machine::load();
        self.keep();
    }

    /// Writes all there is, so that what was measured is not lost with a later group.
    fn keep(&self) {
        let path = file(self.program);
        let folder = path.parent().expect("a folder");
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(&path, serde_json::to_vec_pretty(self).expect("JSON")).expect("written");
    }

    /// What the bench of that name left; none if it did not run.
    pub fn read(program: &str) -> Option<Self> {
        let text = std::fs::read(file(program)).ok()?;
        Some(serde_json::from_slice(&text).expect("figures"))
    }
}

/// Where the figures of a bench are between its end and the table.
fn file(program: &str) -> PathBuf {
    folder().join(format!("{program}.json"))
}

/// Where benches keep what they leave.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench")
}
