//! The object being written: its type, what of it occurred, what is still open.

use super::out::Checkpoint;
use super::state::State;
use super::unknown::Members;
use crate::catalogue::{Field, Key, TypeDef};

/// The object being written.
pub(super) struct Frame {
    pub ty: &'static TypeDef,
    /// Where its `{` is.
    pub start: Checkpoint,
    /// Bit per field that occurred.
    pub seen: u64,
    /// The field behind the one that came last: EM keeps the schema's order, so it is tried first.
    pub next: usize,
    /// The repeated field whose array is open.
    pub open: Option<u8>,
    /// Nothing written after the `{`.
    pub first: bool,
    pub nil: bool,
    /// `id` was made from `uid`.
    pub made_id: bool,
    /// The child just begun belongs to a list that was closed before: where its items are written for the time being.
    pub late: Option<(Checkpoint, &'static Field)>,
    /// Unknown attributes and children.
    pub extra: Option<Box<Members>>,
}

impl Frame {
    #[expect(clippy::unnecessary_box_returns, reason = "see `State::frames`")]
    /// Writes the `{`. Frames are used again: moving one about costs more than what is in it.
    pub(super) fn new(st: &mut State<'_>, ty: &'static TypeDef) -> Box<Self> {
        let start = st.out.mark();
        st.out.buf.push(b'{');
        match st.frames.pop() {
            Some(mut frame) => {
                frame.ty = ty;
                frame.start = start;
                frame.seen = 0;
                frame.next = 0;
                frame.open = None;
                frame.first = true;
                frame.nil = false;
                frame.made_id = false;
                frame
            }
            None => Box::new(Self {
                ty,
                start,
                seen: 0,
                next: 0,
                open: None,
                first: true,
                nil: false,
                made_id: false,
                late: None,
                extra: None,
            }),
        }
    }

    /// Writes a key that begins with a comma, which the first one does not need.
    #[inline]
    pub(super) fn key(&mut self, key: &Key, out: &mut Vec<u8>) {
        if self.first {
            self.first = false;
            out.extend_from_slice(key.as_str().as_bytes().get(1..).unwrap_or_default());
        } else {
            key.write(out);
        }
    }

    /// The same for a key that is written once per document.
    pub(super) fn plain_key(&mut self, key: &str, out: &mut Vec<u8>) {
        let skip = usize::from(std::mem::replace(&mut self.first, false));
        out.extend_from_slice(key.as_bytes().get(skip..).unwrap_or_default());
    }

    pub(super) fn extra(&mut self) -> &mut Members {
        self.extra.get_or_insert_default()
    }
}
