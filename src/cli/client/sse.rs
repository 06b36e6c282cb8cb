//! Server-Sent Events as the gateway sends them (the HTML standard, section 9.2.6), read piece by piece.

/// The most bytes of an event; a plan of a thousand machines is about one megabyte.
const LONGEST: usize = 64 * 1024 * 1024;

/// What came between two empty lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) id: Option<String>,
    pub(super) event: Option<String>,
    pub(super) data: Option<String>,
    /// Milliseconds.
    pub(super) retry: Option<u64>,
}

/// Bytes on their way to blocks.
#[derive(Default)]
pub(super) struct Parser {
    bytes: Vec<u8>,
    /// How far `bytes` has no empty line.
    searched: usize,
}

impl Parser {
    /// Adds bytes; false when no end of an event comes.
    pub(super) fn add(&mut self, bytes: &[u8]) -> bool {
        self.bytes.extend_from_slice(bytes);
        self.bytes.len() <= LONGEST
    }

    /// The next whole block.
    pub(super) fn next(&mut self) -> Option<Block> {
        let unsearched = self.bytes.get(self.searched..)?;
        let Some(end) = unsearched.windows(2).position(|two| two == b"\n\n") else {
            self.searched = self.bytes.len().saturating_sub(1);
            return None;
        };
        let whole: Vec<u8> = self.bytes.drain(..self.searched + end + 2).collect();
        self.searched = 0;
        Some(block(&String::from_utf8_lossy(&whole)))
    }
}

fn block(text: &str) -> Block {
    let mut block = Block::default();
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => block.id = Some(value.to_owned()),
            "event" => block.event = Some(value.to_owned()),
            "retry" => block.retry = value.parse().ok(),
            "data" => match &mut block.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => block.data = Some(value.to_owned()),
            },
            // A comment, or what a later gateway may add.
            _ => {}
        }
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_however_the_bytes_are_cut() {
        let text = "retry: 2000\nid: evt_1\n\n:\n\nid: evt_2\nevent: a.b\ndata: {\"x\":\ndata:1}\n\n";
        let expected = [
            Block {
                id: Some("evt_1".to_owned()),
                retry: Some(2000),
                ..Block::default()
            },
            Block::default(),
            Block {
                id: Some("evt_2".to_owned()),
                event: Some("a.b".to_owned()),
                data: Some("{\"x\":\n1}".to_owned()),
                retry: None,
            },
        ];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let mut blocks = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                assert!(parser.add(piece));
                blocks.extend(std::iter::from_fn(|| parser.next()));
            }
            assert_eq!(blocks, expected, "in pieces of {size}");
        }
    }
}
