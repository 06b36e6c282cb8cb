//! Many bytes at a time: the position of the first one wanted (eight, near as a rule), whether there is any
//! (thirty-two).
//!
//! Of a word the marks are high bits. One may be wrong behind the first true one (a borrow runs upwards), never before
//! it: only the first is used.

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

/// The position of the first byte that `marks` marks. It must not mark 0x7F, which fills the last word.
#[inline]
pub(super) fn find(bytes: &[u8], marks: impl Fn(u64) -> u64) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        if let Some(found) = first(marks(u64::from_le_bytes(*word))) {
            return Some(at + found);
        }
        at += 8;
    }
    first(marks(last_word(bytes.get(at..)?))).map(|found| at + found)
}

#[inline(never)]
fn last_word(bytes: &[u8]) -> u64 {
    let mut word = [0x7F; 8];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}

#[inline]
fn first(marks: u64) -> Option<usize> {
    (marks != 0).then(|| (marks.trailing_zeros() / 8) as usize)
}

/// Whether any byte is one of those; a space must be none.
#[inline]
pub(super) fn any(bytes: &[u8], is: impl Fn(u8) -> bool + Copy) -> bool {
    if let Some(tail) = bytes.last_chunk::<32>() {
        // The last bytes once more rather than one by one.
        let (chunks, _) = bytes.as_chunks::<32>();
        return chunks.iter().any(|chunk| any_of(chunk, is)) || any_of(tail, is);
    }
    let mut block = [b' '; 32];
    if let (Some(first), Some(last)) = (bytes.first_chunk::<16>(), bytes.last_chunk::<16>()) {
        block[..16].copy_from_slice(first);
        block[16..].copy_from_slice(last);
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        block[..8].copy_from_slice(first);
        block[8..16].copy_from_slice(last);
    } else {
        return bytes.iter().any(|b| is(*b));
    }
    any_of(&block, is)
}

/// Without branches, which the compiler turns into a few vector comparisons.
#[inline]
fn any_of(chunk: &[u8; 32], is: impl Fn(u8) -> bool) -> bool {
    let mut found = 0_u8;
    for b in chunk {
        found |= u8::from(is(*b));
    }
    found != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_is_found_at_every_offset() {
        for length in 0..80 {
            for at in 0..length {
                for fill in [b'z', b' ', 0x80, 0xFF] {
                    let mut bytes = vec![fill; length];
                    bytes[at] = b'"';
                    bytes.extend_from_slice(b"\"#!\x01\x1f>");
                    let quote = |word| equal(word, b'"') | below(word, 0x20);
                    assert_eq!(find(&bytes, quote), Some(at));
                    assert_eq!(find(&bytes[..at], quote), None);
                    assert!(any(&bytes[..length], |b| b == b'"'));
                    assert!(!any(&bytes[..at], |b| b == b'"'));
                }
            }
        }
    }
}
