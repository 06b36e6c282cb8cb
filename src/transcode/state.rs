//! What decoding keeps from one element to the next: the output, the limits, the anomalies, the habits of the document.

use super::error::{DecodeError, excerpt};
use super::frame::Frame;
use super::out::Out;
use super::unknown;
use super::{Anomalies, AnomalyKind};
use crate::catalogue::{Catalogue, TypeDef};

/// Elements may nest this deep.
const MAX_DEPTH: u32 = 64;

/// So many types are remembered with the order of their attributes; a document seldom has more.
const HABITS: usize = 32;

/// The order of a type's attributes in this document.
#[derive(Clone, Copy, Default)]
struct Habit {
    /// Index of the type plus one; 0 is none.
    of: usize,
    /// The field that was the n-th attribute last time.
    fields: [u8; 8],
}

/// Everything but the source.
pub(super) struct State<'w> {
    pub catalogue: &'static Catalogue,
    /// What EM's `/api` becomes in addresses.
    pub mirror: &'w str,
    pub out: Out<'w>,
    pub anomalies: Anomalies,
    /// Reused for the text of scalars.
    pub scratch: String,
    habits: [Habit; HABITS],
    /// Frames to use again; their `extra` is empty.
    #[expect(
        clippy::vec_box,
        reason = "they move between here and the stack of calls without being copied"
    )]
    pub frames: Vec<Box<Frame>>,
    depth: u32,
    /// Bytes of unknown elements held.
    held: usize,
}

impl<'w> State<'w> {
    pub(super) fn new(catalogue: &'static Catalogue, mirror: &'w str, out: Out<'w>) -> Self {
        let (anomalies, scratch) = (Anomalies::default(), String::new());
        let habits = [Habit::default(); HABITS];
        Self {
            catalogue,
            mirror,
            out,
            anomalies,
            scratch,
            habits,
            frames: Vec::new(),
            depth: 0,
            held: 0,
        }
    }

    /// The field that is the n-th attribute of this type as a rule.
    #[inline]
    pub(super) fn habit(&self, ty: &TypeDef, nth: usize) -> usize {
        let known = self.habits.get(ty.id.index() % HABITS);
        let known = known.filter(|habit| habit.of == ty.id.index() + 1);
        // The catalogue has attributes in EM's order, so without better knowledge the first one comes first.
        known
            .and_then(|habit| habit.fields.get(nth))
            .map_or(nth, |field| usize::from(*field))
    }

    #[inline]
    pub(super) fn learn(&mut self, ty: &TypeDef, nth: usize, index: usize) {
        let of = ty.id.index() + 1;
        let Some(habit) = self.habits.get_mut(ty.id.index() % HABITS) else {
            return;
        };
        if habit.of != of {
            *habit = Habit {
                of,
                fields: [0, 1, 2, 3, 4, 5, 6, 7],
            };
        }
        if let Some(field) = habit.fields.get_mut(nth) {
            *field = u8::try_from(index).unwrap_or(u8::MAX);
        }
    }

    #[inline]
    pub(super) fn enter(&mut self, at: u64) -> Result<(), DecodeError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(DecodeError::TooDeep { limit: MAX_DEPTH, at });
        }
        Ok(())
    }

    #[inline]
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Takes bytes from the budget of unknown elements.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.held += bytes;
        if self.held > unknown::BUDGET {
            let (limit, what) = (
                unknown::BUDGET as u64,
                "elements that the catalogue does not know",
            );
            return Err(DecodeError::TooLarge { limit, what });
        }
        Ok(())
    }

    pub(super) fn give_back(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }

    #[cold]
    pub(super) fn note(&mut self, kind: AnomalyKind, ty: &'static str, name: &str) {
        self.anomalies.note(kind, ty, &excerpt(name));
    }
}
