//! The JSON under construction: appended to, handed on in pieces when streaming, rarely corrected in place.

use std::io::Write;

use super::error::DecodeError;

/// Bytes kept before a piece is handed to the sink.
const PIECE: usize = 256 * 1024;

/// JSON being written, to memory or through memory to a sink.
pub(super) struct Out<'w> {
    pub buf: Vec<u8>,
    /// Bytes already handed on.
    gone: u64,
    sink: Option<&'w mut dyn Write>,
    /// Bytes kept before something is done about them: a piece, or all that is allowed.
    keep: usize,
}

/// A place in the output, counted from its beginning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint(u64);

impl<'w> Out<'w> {
    /// Keeps everything in `buf`, up to `limit` bytes.
    pub(super) fn memory(mut buf: Vec<u8>, limit: usize) -> Self {
        buf.clear();
        Self {
            buf,
            gone: 0,
            sink: None,
            keep: limit,
        }
    }

    /// Hands pieces to `sink`.
    pub(super) fn sink(sink: &'w mut dyn Write) -> Self {
        Self {
            buf: Vec::with_capacity(2 * PIECE),
            gone: 0,
            sink: Some(sink),
            keep: PIECE,
        }
    }

    #[inline]
    pub(super) fn mark(&self) -> Checkpoint {
        Checkpoint(self.gone + self.buf.len() as u64)
    }

    /// Index of a mark in `buf`; none if that part is already handed on.
    fn index(&self, mark: Checkpoint) -> Option<usize> {
        usize::try_from(mark.0.checked_sub(self.gone)?).ok()
    }

    /// Called between elements: hands a full piece on, and refuses what outgrows the limit.
    #[inline]
    pub(super) fn breathe(&mut self) -> Result<(), DecodeError> {
        if self.buf.len() < self.keep {
            Ok(())
        } else {
            self.hand_on()
        }
    }

    #[cold]
    fn hand_on(&mut self) -> Result<(), DecodeError> {
        if self.sink.is_some() {
            self.flush()
        } else {
            Err(DecodeError::TooLarge {
                limit: self.keep as u64,
                what: "JSON",
            })
        }
    }

    /// Hands everything on; without a sink nothing happens.
    pub(super) fn flush(&mut self) -> Result<(), DecodeError> {
        if let Some(sink) = &mut self.sink {
            sink.write_all(&self.buf)
                .map_err(|e| DecodeError::Io(e.to_string()))?;
            self.gone += self.buf.len() as u64;
            self.buf.clear();
        }
        Ok(())
    }

    /// Takes back what was written since `mark`; false if it is handed on already.
    pub(super) fn rewind(&mut self, mark: Checkpoint) -> bool {
        match self.index(mark) {
            Some(index) => {
                self.buf.truncate(index);
                true
            }
            None => false,
        }
    }

    /// Renames a member of the object that begins at `object`; false if it is out of reach.
    pub(super) fn rename_member(&mut self, object: Checkpoint, key: &str, new: &str) -> bool {
        let Some(member) = self.member(object, key) else {
            return false;
        };
        let at = member.key + 1..member.key + 1 + key.len();
        self.buf.splice(at, new.bytes());
        true
    }

    /// Takes a member out of the object that begins at `object`; false if it is out of reach.
    pub(super) fn remove_member(&mut self, object: Checkpoint, key: &str) -> bool {
        let Some(member) = self.member(object, key) else {
            return false;
        };
        // With the comma before it, or behind it if it is the first.
        let first = self.buf.get(member.key.wrapping_sub(1)) == Some(&b'{');
        let (from, to) = match (first, self.buf.get(member.end)) {
            (true, Some(b',')) => (member.key, member.end + 1),
            (true, _) => (member.key, member.end),
            (false, _) => (member.key - 1, member.end),
        };
        self.buf.drain(from..to);
        true
    }

    /// Moves the items written since `tail` (comma-separated, no brackets) to the end of the array member `key`;
    /// false if that array is out of reach.
    pub(super) fn move_into_array(&mut self, object: Checkpoint, key: &str, tail: Checkpoint) -> bool {
        let (Some(member), Some(tail)) = (self.member(object, key), self.index(tail)) else {
            return false;
        };
        let Some(close) = member
            .end
            .checked_sub(1)
            .filter(|i| self.buf.get(*i) == Some(&b']'))
        else {
            return false;
        };
        let mut length = self.buf.len() - tail;
        if length == 0 {
            return true;
        }
        if self.buf.get(close.wrapping_sub(1)) != Some(&b'[') {
            self.buf.insert(tail, b',');
            length += 1;
        }
        if let Some(range) = self.buf.get_mut(close..) {
            range.rotate_right(length);
        }
        true
    }

    /// Finds a direct member of the object whose `{` is at `object`.
    fn member(&self, object: Checkpoint, key: &str) -> Option<Member> {
        let mut at = self.index(object)? + 1;
        loop {
            let key_at = at;
            let after = skip_string(&self.buf, at)?;
            let name = self.buf.get(key_at + 1..after - 1)?;
            let end = skip_value(&self.buf, after + 1)?;
            if name == key.as_bytes() {
                return Some(Member { key: key_at, end });
            }
            if self.buf.get(end) != Some(&b',') {
                return None;
            }
            at = end + 1;
        }
    }
}

struct Member {
    /// Index of the key's opening quote.
    key: usize,
    /// Index behind the value.
    end: usize,
}

/// Index behind the string that begins at `at`.
fn skip_string(json: &[u8], at: usize) -> Option<usize> {
    let mut i = at + 1;
    (json.get(at) == Some(&b'"')).then_some(())?;
    loop {
        match json.get(i)? {
            b'"' => return Some(i + 1),
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
}

/// Index behind the value that begins at `at`.
fn skip_value(json: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut i = at;
    loop {
        match json.get(i)? {
            b'"' => i = skip_string(json, i)?,
            b'{' | b'[' => {
                depth += 1;
                i += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                i += 1;
            }
            b',' | b':' if depth > 0 => i += 1,
            _ => {
                // A number or a word.
                let rest = json.get(i..)?;
                i += rest
                    .iter()
                    .position(|b| matches!(b, b',' | b'}' | b']'))
                    .unwrap_or(rest.len())
                    .max(1);
            }
        }
        if depth == 0 {
            return Some(i);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(json: &str) -> (Out<'static>, Checkpoint) {
        let mut out = Out::memory(Vec::new(), usize::MAX);
        out.buf.extend_from_slice(b"[1,");
        let mark = out.mark();
        out.buf.extend_from_slice(json.as_bytes());
        (out, mark)
    }

    fn text(out: &Out<'_>) -> String {
        String::from_utf8(out.buf.get(3..).unwrap_or_default().to_vec()).unwrap_or_default()
    }

    #[test]
    fn a_member_is_renamed_in_place() {
        let (mut out, at) = with(r#"{"a":"x,\"name\":","name":"y","l":[{"name":1}]"#);
        assert!(out.rename_member(at, "name", "nameAttribute"));
        assert_eq!(
            text(&out),
            r#"{"a":"x,\"name\":","nameAttribute":"y","l":[{"name":1}]"#
        );
        assert!(!out.rename_member(at, "name", "other"));
    }

    #[test]
    fn a_member_is_removed_with_its_comma() {
        for (key, left) in [
            ("a", r#"{"b":[1],"c":null"#),
            ("b", r#"{"a":1,"c":null"#),
            ("c", r#"{"a":1,"b":[1]"#),
        ] {
            let (mut out, at) = with(r#"{"a":1,"b":[1],"c":null"#);
            assert!(out.remove_member(at, key));
            assert_eq!(text(&out), left);
        }
        let (mut out, at) = with(r#"{"a":1"#);
        assert!(out.remove_member(at, "a"));
        assert_eq!(text(&out), "{");
    }

    #[test]
    fn items_that_come_late_join_their_array() {
        for (before, after) in [
            (r#"{"l":[],"x":{"y":[2]}"#, r#"{"l":[7,8],"x":{"y":[2]}"#),
            (r#"{"l":[{"z":[]},5],"x":1"#, r#"{"l":[{"z":[]},5,7,8],"x":1"#),
            (r#"{"l":[6]"#, r#"{"l":[6,7,8]"#),
        ] {
            let (mut out, at) = with(before);
            let tail = out.mark();
            out.buf.extend_from_slice(b"7,8");
            assert!(out.move_into_array(at, "l", tail));
            assert_eq!(text(&out), after);
        }
    }
}
