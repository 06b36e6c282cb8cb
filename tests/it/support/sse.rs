//! A reader of Server-Sent Events of the tests' own, by the HTML standard's rules, without what it does not need.

use std::time::Duration;

use serde_json::Value;

use crate::waiting::PATIENCE;

/// A stream that is being read.
pub struct Stream {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

/// What came between two blank lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    pub id: Option<String>,
    pub event: Option<String>,
    pub data: Option<String>,
    pub retry: Option<String>,
    pub comment: Option<String>,
}

impl Block {
    /// Its data as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(self.data.as_deref().expect("data")).expect("JSON")
    }

    fn read(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = Some(value.strip_prefix(' ').unwrap_or(value).to_owned());
            match name {
                "" => block.comment = value,
                "id" => block.id = value,
                "event" => block.event = value,
                "data" => block.data = value,
                "retry" => block.retry = value,
                other => panic!("the field `{other}`"),
            }
        }
        block
    }
}

impl Stream {
    /// Opens it and checks what every stream's answer has.
    pub async fn open(request: reqwest::RequestBuilder) -> Self {
        let response = Self::try_open(request).await;
        response.unwrap_or_else(|(status, text)| panic!("no stream: {status} {text}"))
    }

    /// The same, or status and body of another answer.
    pub async fn try_open(request: reqwest::RequestBuilder) -> Result<Self, (u16, String)> {
        let request = request.timeout(Duration::from_mins(20));
        let response = request
            .header("accept-encoding", "gzip")
            .send()
            .await
            .map_err(|error| (0, error.to_string()))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err((status, response.text().await.expect("a body")));
        }
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map_or("", |value| value.to_str().expect("text")).to_owned()
        };
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!(header("cache-control"), "no-store, no-transform");
        assert_eq!(header("x-accel-buffering"), "no");
        assert_eq!(header("content-encoding"), "", "never compressed");
        assert!(!header("x-request-id").is_empty());
        Ok(Self {
            response,
            buffer: Vec::new(),
        })
    }

    /// The next block; none when the stream has ended, or its connection broke.
    pub async fn next(&mut self) -> Option<Block> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Some(Block::read(&String::from_utf8(block).expect("UTF-8")));
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            match chunk.await.expect("a stream says something in time") {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// The next event; none when the stream has ended. Comments alone are waited with for so long.
    pub async fn event(&mut self) -> Option<Block> {
        let event = async {
            loop {
                let block = self.next().await?;
                if block.data.is_some() {
                    return Some(block);
                }
            }
        };
        let event = tokio::time::timeout(PATIENCE, event);
        event.await.expect("an event comes in time")
    }

    /// The next so many events.
    pub async fn events(&mut self, count: usize) -> Vec<Block> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.event().await.expect("an event"));
        }
        events
    }

    /// Everything up to the end of the stream, without comments.
    pub async fn rest(&mut self) -> Vec<Block> {
        let mut rest = Vec::new();
        while let Some(block) = self.next().await {
            if block.comment.is_none() {
                rest.push(block);
            }
        }
        rest
    }
}

/// The ids of events, in their order.
pub fn ids(blocks: &[Block]) -> Vec<String> {
    let ids = blocks.iter().filter(|block| block.data.is_some());
    ids.filter_map(|block| block.id.clone()).collect()
}

/// The types of events, in their order.
pub fn kinds(blocks: &[Block]) -> Vec<&str> {
    blocks.iter().filter_map(|block| block.event.as_deref()).collect()
}
