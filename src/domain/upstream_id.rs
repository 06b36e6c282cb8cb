//! Which EM a thing lives in.

/// The name of one EM among those that a gateway may serve. There is one today; the columns are there so that a second
/// one is no rewrite of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UpstreamId(&'static str);

impl UpstreamId {
    /// The one EM of a gateway that serves one.
    pub const MAIN: Self = Self("main");

    /// The word in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}
