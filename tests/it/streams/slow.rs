//! A caller that is not there any more, and what a stream costs while nothing happens.

use crate::support::TestGateway;
use crate::support::sse::Stream;
use crate::waiting::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_says_that_it_lives_while_nothing_happens() {
    let test = TestGateway::start().await;
    let mut stream = Stream::open(test.client.get("/api/v1/events/stream").into_inner()).await;
    stream.next().await.expect("a beginning");
    let comment = stream.next().await.expect("a comment");
    assert!(comment.comment.is_some() && comment.data.is_none(), "{comment:?}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_gone_is_not_counted_any_more() {
    let test = TestGateway::builder()
        .config(|config| config.server.limits.streams = 1)
        .start()
        .await;
    for _ in 0..5 {
        let open = async || {
            let request = test.client.get("/api/v1/events/stream").into_inner();
            Stream::try_open(request).await.is_ok()
        };
        eventually("a place", open, |opened| *opened).await;
    }
    test.stop().await;
}
