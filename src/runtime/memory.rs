//! Memories of what was made, bounded by their bytes: in a full one, what is asked for least makes room.

use std::hash::Hash;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// How many values are expected.
const EXPECTED: usize = 1024;

/// A memory is in so many parts, which are locked apart; each has its share of the bytes. The library's own number grows with the
/// processors, until a part has no room for a large value.
const PARTS: usize = 4;

/// A memory of `most` bytes, as `weighter` counts them. What takes a quarter of them or more is not kept.
#[must_use]
pub fn memory<K: Eq + Hash, V: Clone, W: Weighter<K, V> + Clone>(most: u64, weighter: W) -> Cache<K, V, W> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(EXPECTED)
        .weight_capacity(most)
        .shards(PARTS)
        .build();
    match options {
        Ok(options) => Cache::with_options(
            options,
            weighter,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        ),
        // The options above are complete.
        Err(_) => Cache::with_weighter(EXPECTED, most, weighter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Itself;

    impl Weighter<u64, u64> for Itself {
        fn weight(&self, _: &u64, value: &u64) -> u64 {
            *value
        }
    }

    #[test]
    fn less_than_a_quarter_has_room_whatever_the_processors() {
        let kept = memory(4_000, Itself);
        kept.insert(1, 900);
        assert_eq!(kept.get(&1), Some(900));
        assert_eq!(kept.shard_capacity(), 1_000);
        for key in 0..100 {
            kept.insert(key, 300);
        }
        assert!(kept.weight() <= 4_000, "{}", kept.weight());
        kept.insert(1, 1_001);
        assert_eq!(kept.get(&1), None);
    }
}
