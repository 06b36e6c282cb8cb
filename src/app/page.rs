//! Pages of lists that are read by cursor.

use super::Cursor;

/// A page of a log, in the list's order.
#[derive(Debug, Clone)]
pub struct LogPage<T, C> {
    /// The items on the page.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<C>,
    /// Where the page before begins, if there is one.
    pub previous: Option<C>,
}

impl<T, I: Copy> LogPage<T, Cursor<I>> {
    /// The page at `cursor`, cut from up to one item more than it holds; the additional item shows that there are more.
    pub(super) fn cut(
        mut items: Vec<T>,
        cursor: Option<Cursor<I>>,
        size: usize,
        id: impl Fn(&T) -> I,
    ) -> Self {
        let overflows = items.len() > size;
        let backwards = matches!(cursor, Some(Cursor::Before(_)));
        if overflows && backwards {
            items.remove(0);
        }
        items.truncate(size);
        let next = (backwards || overflows)
            .then(|| items.last().map(|last| Cursor::After(id(last))))
            .flatten();
        let goes_back = if backwards { overflows } else { cursor.is_some() };
        let previous = goes_back
            .then(|| items.first().map(|first| Cursor::Before(id(first))))
            .flatten();
        Self {
            items,
            next,
            previous,
        }
    }
}

/// How many items to read for a page of `size`.
pub(super) fn one_more(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1)
}
