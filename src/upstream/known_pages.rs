//! Pages of a list that is read again and again: one that comes as the same bytes is not decoded again, nor is a row of it
//! that does (`known_rows`).
//!
//! Kept is what the last walk over the list met, known by the hash of its bytes; a page also by its place. Unlike `known_documents`
//! it holds no bytes and asks for no question: those of a long list are more than all that callers read, and where a walk begins
//! moves with the time.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use parking_lot::Mutex;

use super::types::PageRequest;

/// The most pages that are kept, and the most rows; a longer list is decoded anew.
const MOST: usize = 100;
const MOST_ROWS: usize = 100 * MOST;

/// What a page or a row is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of the bytes of a page, and of the place that it was asked for.
    pub fn of(kind: &str, asked: &PageRequest, body: &[u8]) -> Self {
        let (page, size) = (asked.page.to_be_bytes(), asked.page_size.to_be_bytes());
        Self::hash(&[kind.as_bytes(), &page, &size, body])
    }

    /// Of the bytes of a row, and of the tag that opens its document: what prefixes mean is said there.
    pub fn of_row(kind: &str, root: &[u8], row: &[u8]) -> Self {
        Self::hash(&[b"row", kind.as_bytes(), root, row])
    }

    fn hash(parts: &[&[u8]]) -> Self {
        let mut hash = Context::new(&SHA256);
        for part in parts {
            hash.update(part);
        }
        let mut fingerprint = [0; 32];
        for (to, byte) in fingerprint.iter_mut().zip(hash.finish().as_ref()) {
            *to = *byte;
        }
        Self(fingerprint)
    }
}

/// What the last walk met.
#[derive(Default)]
pub(super) struct KnownPages(Mutex<Known>);

#[derive(Default)]
struct Known {
    pages: HashMap<Fingerprint, Page>,
    rows: HashMap<Fingerprint, Row>,
}

struct Page {
    rows: Arc<dyn Any + Send + Sync>,
    /// What each of them is known by, where that is known.
    fingerprints: Vec<Fingerprint>,
    /// Whether this walk met it.
    is_met: bool,
}

struct Row {
    row: Box<dyn Any + Send + Sync>,
    is_met: bool,
}

impl KnownPages {
    /// The rows of a page that came before, if they are of that type.
    pub fn get<T: Send + Sync + 'static>(&self, fingerprint: Fingerprint) -> Option<Arc<T>> {
        let mut known = self.0.lock();
        let Known { pages, rows } = &mut *known;
        let page = pages.get_mut(&fingerprint)?;
        page.is_met = true;
        for fingerprint in &page.fingerprints {
            if let Some(row) = rows.get_mut(fingerprint) {
                row.is_met = true;
            }
        }
        page.rows.clone().downcast().ok()
    }

    /// Remembers the rows of a page, and by which `fingerprints` they are known.
    pub fn put<T: Send + Sync + 'static>(
        &self,
        fingerprint: Fingerprint,
        rows: Arc<T>,
        fingerprints: Vec<Fingerprint>,
    ) {
        let mut known = self.0.lock();
        if known.pages.len() < 2 * MOST {
            let page = Page {
                rows,
                fingerprints,
                is_met: true,
            };
            known.pages.insert(fingerprint, page);
        }
    }

    /// A row that came before, if it is of that type.
    pub fn row<R: Clone + Send + Sync + 'static>(&self, fingerprint: Fingerprint) -> Option<R> {
        let mut known = self.0.lock();
        let known = known.rows.get_mut(&fingerprint)?;
        known.is_met = true;
        known.row.downcast_ref::<R>().cloned()
    }

    /// Remembers a row.
    pub fn put_row<R: Clone + Send + Sync + 'static>(&self, fingerprint: Fingerprint, row: R) {
        let mut known = self.0.lock();
        if known.rows.len() < 2 * MOST_ROWS {
            let (row, is_met) = (Box::new(row), true);
            known.rows.insert(fingerprint, Row { row, is_met });
        }
    }

    /// A walk is over: what it did not meet is forgotten.
    pub fn end_walk(&self) {
        let mut known = self.0.lock();
        known.pages.retain(|_, page| std::mem::take(&mut page.is_met));
        known.rows.retain(|_, row| std::mem::take(&mut row.is_met));
        if known.pages.len() > MOST || known.rows.len() > MOST_ROWS {
            *known = Known::default();
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
        let fingerprint = Fingerprint::of("Session", &asked(1), b"<a/>");
        pages.put(fingerprint, Arc::new(vec![1_u8]), Vec::new());
        assert_eq!(*pages.get::<Vec<u8>>(fingerprint).expect("known"), [1]);
        assert!(pages.get::<u16>(fingerprint).is_none(), "rows of another type");
        for other in [
            Fingerprint::of("Session", &asked(1), b"<b/>"),
            Fingerprint::of("Session", &asked(2), b"<a/>"),
            Fingerprint::of("Plan", &asked(1), b"<a/>"),
        ] {
            assert!(pages.get::<Vec<u8>>(other).is_none());
        }
    }

    #[test]
    fn a_row_is_known_by_its_bytes_and_its_document() {
        let pages = KnownPages::default();
        let fingerprint = Fingerprint::of_row("Session", b"<r>", b"<a/>");
        pages.put_row(fingerprint, 1_u8);
        assert_eq!(pages.row::<u8>(fingerprint), Some(1));
        assert_eq!(pages.row::<u16>(fingerprint), None, "a row of another type");
        for other in [
            Fingerprint::of_row("Session", b"<r>", b"<b/>"),
            Fingerprint::of_row("Session", b"<r x='y'>", b"<a/>"),
            Fingerprint::of_row("Plan", b"<r>", b"<a/>"),
        ] {
            assert_eq!(pages.row::<u8>(other), None);
        }
    }

    #[test]
    fn only_what_the_last_walk_met_is_kept() {
        let pages = KnownPages::default();
        let [one, other] = [b"1", b"2"].map(|body| Fingerprint::of("Session", &asked(1), body));
        let [row, alone] = [b"1", b"2"].map(|row| Fingerprint::of_row("Session", b"", row));
        pages.put_row(row, 1_u8);
        pages.put_row(alone, 2_u8);
        pages.put(one, Arc::new(vec![1_u8]), vec![row]);
        pages.put(other, Arc::new(vec![2_u8]), Vec::new());
        pages.end_walk();
        assert!(pages.get::<Vec<u8>>(one).is_some());
        pages.end_walk();
        assert_eq!(pages.row::<u8>(row), Some(1), "its page was met");
        assert_eq!(pages.row::<u8>(alone), None);
        assert!(pages.get::<Vec<u8>>(one).is_some() && pages.get::<Vec<u8>>(other).is_none());
        for page in 0..500 {
            pages.put(
                Fingerprint::of("Session", &asked(page), b""),
                Arc::new(Vec::<u8>::new()),
                Vec::new(),
            );
        }
        pages.end_walk();
        assert!(
            pages.get::<Vec<u8>>(one).is_none(),
            "a list that is too long is not kept"
        );
    }
}
