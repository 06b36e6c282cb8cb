//! Pages of a list that is read again and again: one that comes as the same bytes is not decoded again.
//!
//! Kept are the pages of the last walk over the list alone, known by the hash of their bytes and of what was asked for.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use parking_lot::Mutex;

use super::types::PageRequest;

/// The most pages that are kept; a longer list is decoded anew.
const MOST: usize = 100;

/// What a page is known by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Print([u8; 32]);

impl Print {
    /// Of the bytes of a page, and of the place that it was asked for.
    pub fn of(kind: &str, asked: &PageRequest, body: &[u8]) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(kind.as_bytes());
        hash.update(&asked.page.to_be_bytes());
        hash.update(&asked.page_size.to_be_bytes());
        hash.update(body);
        let mut print = [0; 32];
        for (to, byte) in print.iter_mut().zip(hash.finish().as_ref()) {
            *to = *byte;
        }
        Self(print)
    }
}

/// The pages of the last walk.
#[derive(Default)]
pub(super) struct KnownPages(Mutex<HashMap<Print, Known>>);

struct Known {
    rows: Arc<dyn Any + Send + Sync>,
    /// Whether this walk met it.
    is_met: bool,
}

impl KnownPages {
    /// The rows of a page that came before, if they are of that type.
    pub fn get<T: Send + Sync + 'static>(&self, print: Print) -> Option<Arc<T>> {
        let mut pages = self.0.lock();
        let known = pages.get_mut(&print)?;
        known.is_met = true;
        known.rows.clone().downcast().ok()
    }

    /// Remembers the rows of a page.
    pub fn put<T: Send + Sync + 'static>(&self, print: Print, rows: Arc<T>) {
        let mut pages = self.0.lock();
        if pages.len() < 2 * MOST {
            pages.insert(print, Known { rows, is_met: true });
        }
    }

    /// A walk is over: what it did not meet is forgotten.
    pub fn end_walk(&self) {
        let mut pages = self.0.lock();
        pages.retain(|_, known| std::mem::take(&mut known.is_met));
        if pages.len() > MOST {
            pages.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(page: u32) -> PageRequest {
        PageRequest {
            page,
            page_size: 100,
            sort: None,
        }
    }

    #[test]
    fn a_page_is_known_by_its_bytes_and_its_place() {
        let pages = KnownPages::default();
        let print = Print::of("Session", &asked(1), b"<a/>");
        pages.put(print, Arc::new(vec![1_u8]));
        assert_eq!(*pages.get::<Vec<u8>>(print).expect("known"), [1]);
        assert!(pages.get::<u16>(print).is_none(), "rows of another type");
        for other in [
            Print::of("Session", &asked(1), b"<b/>"),
            Print::of("Session", &asked(2), b"<a/>"),
            Print::of("Plan", &asked(1), b"<a/>"),
        ] {
            assert!(pages.get::<Vec<u8>>(other).is_none());
        }
    }

    #[test]
    fn only_the_pages_of_the_last_walk_are_kept() {
        let pages = KnownPages::default();
        let [one, other] = [b"1", b"2"].map(|body| Print::of("Session", &asked(1), body));
        pages.put(one, Arc::new(vec![1_u8]));
        pages.put(other, Arc::new(vec![2_u8]));
        pages.end_walk();
        assert!(pages.get::<Vec<u8>>(one).is_some());
        pages.end_walk();
        assert!(pages.get::<Vec<u8>>(one).is_some() && pages.get::<Vec<u8>>(other).is_none());
        for page in 0..500 {
            pages.put(
                Print::of("Session", &asked(page), b""),
                Arc::new(Vec::<u8>::new()),
            );
        }
        pages.end_walk();
        assert!(
            pages.get::<Vec<u8>>(one).is_none(),
            "a list that is too long is not kept"
        );
    }
}
