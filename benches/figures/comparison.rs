//! What a change did to a figure: its rounds beside those of the revision before, and those of that revision beside itself.

use super::statistics::Spread;

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    More,
    Less,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Better,
    Worse,
    Same,
}

impl Verdict {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "same",
        }
    }
}

/// One figure of both programs; the rounds of all three were interleaved.
#[derive(Debug)]
pub struct Compared {
    pub name: String,
    pub unit: &'static str,
    pub better: Better,
    pub base: Vec<f64>,
    /// The same program as `base`, started a second time.
    pub again: Vec<f64>,
    pub now: Vec<f64>,
}

impl Compared {
    /// The figure now divided by that of before, round by round.
    pub fn ratio(&self) -> Spread {
        Spread::of(&ratios(&self.now, &self.base))
    }

    /// Better or worse only if all rounds say so, beside both runs of the base, and the median by more than the base ever differed
    /// from itself.
    pub fn verdict(&self) -> Verdict {
        let Spread { least, median, most } = self.ratio();
        let other = Spread::of(&ratios(&self.now, &self.again));
        let noise = ratios(&self.again, &self.base)
            .iter()
            .fold(0.0_f64, |noise, ratio| noise.max(ratio.ln().abs()));
        let agree = least.min(other.least) > 1.0 || most.max(other.most) < 1.0;
        // What is no number agrees with nothing.
        if !agree || median.ln().abs() <= noise {
            return Verdict::Same;
        }
        match (self.better, median > 1.0) {
            (Better::More, true) | (Better::Less, false) => Verdict::Better,
            (Better::More, false) | (Better::Less, true) => Verdict::Worse,
        }
    }
}

fn ratios(these: &[f64], those: &[f64]) -> Vec<f64> {
    these.iter().zip(those).map(|(this, that)| this / that).collect()
}
