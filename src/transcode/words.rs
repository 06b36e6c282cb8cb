//! Eight bytes at a time: which of them are the ones looked for, as a word whose high bits tell.
//!
//! A mark may be wrong behind the first true one (a borrow runs upwards), never before it: only the first is to be
//! used.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The bytes equal to `byte`.
#[inline]
pub(super) fn equal(word: u64, byte: u8) -> u64 {
    let x = word ^ (LOW * u64::from(byte));
    x.wrapping_sub(LOW) & !x & HIGH
}

/// The bytes below `limit`, which is at most 0x80.
#[inline]
pub(super) fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(LOW * u64::from(limit)) & !word & HIGH
}

/// Position of the first byte that is marked.
#[inline]
pub(super) fn first(marks: u64) -> Option<usize> {
    (marks != 0).then(|| (marks.trailing_zeros() / 8) as usize)
}
