//! A tiny hash table from names to indexes, built once per type.
//!
//! A name is compared as three words of eight bytes and its length, which distinguish names of up to 24 bytes
//! completely; longer ones are compared as text after that. Looking a name up costs a few loads, one multiplication
//! and as good as never a second probe: a multiplier is searched that keeps the names of one type apart.

/// A name in a form that compares and hashes quickly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Print {
    words: [u64; 3],
    len: u32,
}

impl Print {
    /// Names up to this long are distinguished by their prints alone.
    pub(super) const WHOLE: usize = 24;

    #[inline]
    pub(super) fn of(name: &[u8]) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "no name is that long; the text is compared as well"
        )]
        let len = name.len() as u32;
        let words = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            (Some(first), Some(last)) => {
                let middle = name
                    .get(8..16)
                    .and_then(|m| <[u8; 8]>::try_from(m).ok())
                    .unwrap_or(*last);
                [
                    u64::from_le_bytes(*first),
                    u64::from_le_bytes(middle),
                    u64::from_le_bytes(*last),
                ]
            }
            _ => [short(name), 0, 0],
        };
        Self { words, len }
    }

    #[inline]
    fn hash(&self) -> u64 {
        let [first, middle, last] = self.words;
        (first ^ middle.rotate_left(21) ^ last.rotate_left(42)).wrapping_add(u64::from(self.len))
    }
}

/// Up to seven bytes as one word.
#[inline]
fn short(name: &[u8]) -> u64 {
    match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
        }
        _ => name.iter().fold(0, |word, b| word << 8 | u64::from(*b)),
    }
}

/// Names → indexes.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    slots: Box<[Slot]>,
    multiplier: u64,
    shift: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    print: Print,
    /// Index plus one; 0 is an empty slot.
    index: u32,
}

impl NameTable {
    /// Builds the table of `(name, index)`.
    pub(super) fn new(names: &[(&str, usize)]) -> Self {
        if names.is_empty() {
            return Self::default();
        }
        let bits = (names.len() * 2).next_power_of_two().trailing_zeros().max(1);
        let mut best: Option<(usize, Self)> = None;
        for seed in 1..100_u64 {
            let candidate = Self {
                slots: vec![Slot::default(); 1 << bits].into(),
                multiplier: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
                shift: 64 - bits,
            };
            let (collisions, table) = candidate.filled(names);
            if best.as_ref().is_none_or(|(fewest, _)| collisions < *fewest) {
                best = Some((collisions, table));
                if collisions == 0 {
                    break;
                }
            }
        }
        best.map(|(_, table)| table).unwrap_or_default()
    }

    fn filled(mut self, names: &[(&str, usize)]) -> (usize, Self) {
        let mut collisions = 0;
        for (name, index) in names {
            let print = Print::of(name.as_bytes());
            let mut at = self.home(&print);
            while self.slots.get(at).is_some_and(|s| s.index != 0) {
                collisions += 1;
                at = (at + 1) & (self.slots.len() - 1);
            }
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = Slot {
                    print,
                    index: u32::try_from(*index + 1).unwrap_or_default(),
                };
            }
        }
        (collisions, self)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "shifted down to an index")]
    fn home(&self, print: &Print) -> usize {
        (print.hash().wrapping_mul(self.multiplier) >> self.shift) as usize
    }

    /// The entry of this name: `get` gives an entry by index, `name_of` its name.
    #[inline]
    pub(super) fn find<'a, T>(
        &self,
        name: &[u8],
        get: impl Fn(usize) -> Option<&'a T>,
        name_of: impl Fn(&'a T) -> &'a str,
    ) -> Option<(usize, &'a T)> {
        self.find_print(&Print::of(name), name, get, name_of)
    }

    /// The same where the print is known already.
    #[inline]
    pub(super) fn find_print<'a, T>(
        &self,
        print: &Print,
        name: &[u8],
        get: impl Fn(usize) -> Option<&'a T>,
        name_of: impl Fn(&'a T) -> &'a str,
    ) -> Option<(usize, &'a T)> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.home(print);
        loop {
            let slot = self.slots.get(at)?;
            let index = (slot.index as usize).checked_sub(1)?;
            if slot.print == *print {
                let entry = get(index)?;
                if name.len() <= Print::WHOLE || name_of(entry).as_bytes() == name {
                    return Some((index, entry));
                }
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_found_at_every_length() {
        let names: Vec<String> = (1..60).map(|n| "abcdefghij".repeat(6)[..n].to_owned()).collect();
        let entries: Vec<(&str, usize)> = names.iter().enumerate().map(|(i, n)| (n.as_str(), i)).collect();
        let table = NameTable::new(&entries);
        let find = |name: &str| {
            table
                .find(name.as_bytes(), |i| names.get(i), |n| n)
                .map(|(i, _)| i)
        };
        for (i, name) in names.iter().enumerate() {
            assert_eq!(find(name), Some(i), "{name}");
            for at in 0..name.len() {
                let mut other = name.clone().into_bytes();
                other[at] ^= 1;
                let other = String::from_utf8(other).unwrap_or_default();
                assert_eq!(find(&other), names.iter().position(|n| *n == other), "{other}");
            }
        }
        assert_eq!(find(""), None);
        assert_eq!(NameTable::default().find(b"a", |i| names.get(i), |n| n), None);
    }
}
