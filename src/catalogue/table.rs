//! A tiny hash table from names to field indexes, built once per type.
//!
//! EM's names of one type differ in length, first, middle or last byte nearly always, so the hash looks at
//! nothing else; a multiplier is searched that keeps the names of one type apart. Lookups compare the name
//! itself, so the hash decides about speed only.

/// Names of one type → index of the field.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    slots: Box<[u8]>,
    multiplier: u32,
    shift: u32,
}

const EMPTY: u8 = u8::MAX;

impl NameTable {
    /// Builds the table of `(name, index)`; indexes are below 64.
    pub(super) fn new(names: &[(&str, usize)]) -> Self {
        if names.is_empty() {
            return Self::default();
        }
        let bits = (names.len() * 2).next_power_of_two().trailing_zeros().max(1);
        let mut best: Option<(usize, Self)> = None;
        for seed in 1..200_u32 {
            let candidate = Self {
                slots: vec![EMPTY; 1 << bits].into(),
                multiplier: seed.wrapping_mul(0x9E37_79B1) | 1,
                shift: 32 - bits,
            };
            let (collisions, table) = candidate.filled(names);
            if best.as_ref().is_none_or(|(fewest, _)| collisions < *fewest) {
                let done = collisions == 0;
                best = Some((collisions, table));
                if done {
                    break;
                }
            }
        }
        best.map(|(_, table)| table).unwrap_or_default()
    }

    fn filled(mut self, names: &[(&str, usize)]) -> (usize, Self) {
        let mut collisions = 0;
        for (name, index) in names {
            let mut at = self.home(name.as_bytes());
            while self.slots.get(at).is_some_and(|s| *s != EMPTY) {
                collisions += 1;
                at = (at + 1) & (self.slots.len() - 1);
            }
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = u8::try_from(*index).unwrap_or(EMPTY);
            }
        }
        (collisions, self)
    }

    #[inline]
    fn home(&self, name: &[u8]) -> usize {
        let (first, last) = match name {
            [] => (0, 0),
            [one] => (*one, *one),
            [first, .., last] => (*first, *last),
        };
        let middle = name.get(name.len() / 2).copied().unwrap_or(0);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a hash needs no more than the low bits"
        )]
        let mix = u32::from(first)
            | u32::from(last) << 8
            | u32::from(middle) << 16
            | u32::from(name.len() as u8) << 24;
        (mix.wrapping_mul(self.multiplier) >> self.shift) as usize
    }

    /// The entry of this name: `get` gives an entry by index, `name_of` its name.
    #[inline]
    pub(super) fn find<'a, T>(
        &self,
        name: &[u8],
        get: impl Fn(usize) -> Option<&'a T>,
        name_of: impl Fn(&'a T) -> &'a str,
    ) -> Option<(usize, &'a T)> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.home(name);
        loop {
            let index = usize::from(*self.slots.get(at)?);
            if index == usize::from(EMPTY) {
                return None;
            }
            let entry = get(index)?;
            if name_of(entry).as_bytes() == name {
                return Some((index, entry));
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}
