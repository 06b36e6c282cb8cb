//! A page some rows of which came before, as the same bytes: they are taken out before it is decoded, and put back into their
//! places.
//!
//! Invariant: the rows are those that the whole page would give. Where that is not certain, the whole page is decoded.

use bytes::Bytes;
use memchr::memchr;

use super::known_pages::{Fingerprint, KnownPages};
use crate::transcode;

/// A page that was cut into its rows.
pub(super) struct Cut<R> {
    /// The page without the rows that are known.
    pub rest: Bytes,
    /// Each row in its place: by what it is known, and what it is where that is known already.
    rows: Vec<(Fingerprint, Option<R>)>,
}

impl<R: Clone + Send + Sync + 'static> Cut<R> {
    /// Cuts a page of rows called `row`; none where it cannot be told for certain where they begin and end.
    pub fn of(row: &'static str, page: &Bytes, known: &KnownPages) -> Option<Self> {
        let ranges = transcode::rows_within(page, row)?;
        let root = root(page)?;
        let mut rows = Vec::with_capacity(ranges.len());
        let (mut rest, mut done) = (Vec::new(), 0);
        for range in ranges {
            let bytes = page.get(range.clone())?;
            let fingerprint = Fingerprint::of_row(row, root, bytes);
            let came_before = known.row::<R>(fingerprint);
            if came_before.is_some() {
                rest.extend_from_slice(page.get(done..range.start)?);
                done = range.end;
            }
            rows.push((fingerprint, came_before));
        }
        let rest = if done == 0 {
            page.clone()
        } else {
            rest.extend_from_slice(page.get(done..)?);
            rest.into()
        };
        Some(Self { rest, rows })
    }

    /// Whether no row of it came before, so that the rest is the page.
    pub fn is_new(&self) -> bool {
        self.rows.iter().all(|(_, row)| row.is_none())
    }

    /// The rows of the page with what each is known by, `new` being those of the rest, which are remembered; none where it has
    /// not as many of them as were left in it.
    pub fn whole(&self, new: &[R], known: &KnownPages) -> Option<(Vec<R>, Vec<Fingerprint>)> {
        let left = self.rows.iter().filter(|(_, row)| row.is_none()).count();
        if left != new.len() {
            return None;
        }
        let mut new = new.iter();
        let mut all = Vec::with_capacity(self.rows.len());
        for (fingerprint, row) in &self.rows {
            let row = match row {
                Some(row) => row.clone(),
                None => {
                    let row = new.next()?;
                    known.put_row(*fingerprint, row.clone());
                    row.clone()
                }
            };
            all.push((row, *fingerprint));
        }
        Some(all.into_iter().unzip())
    }
}

/// The tag that opens the document.
fn root(page: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        at += memchr(b'<', page.get(at..)?)?;
        let rest = page.get(at..)?;
        if !matches!(rest.get(1)?, b'?' | b'!') {
            return rest.get(..=memchr(b'>', rest)?);
        }
        at += 1;
    }
}
