//! How good the news is: the sign and the colour of a message, which every service shows in its own way.

/// How good the news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::webhooks::formats) enum Tone {
    /// It succeeded.
    Good,
    /// It goes on.
    Info,
    /// Somebody has to decide.
    Waiting,
    /// It ended, not quite well.
    Warning,
    /// It failed.
    Bad,
}

impl Tone {
    /// The sign before the title.
    pub(in crate::webhooks::formats) const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✅",
            Self::Info => "🔵",
            Self::Waiting => "⏳",
            Self::Warning => "⚠️",
            Self::Bad => "❌",
        }
    }

    /// The colour, as red, green and blue.
    pub(in crate::webhooks::formats) const fn rgb(self) -> u32 {
        match self {
            Self::Good => 0x0010_7c10,
            Self::Info => 0x0000_78d4,
            Self::Waiting => 0x0087_64b8,
            Self::Warning => 0x00ca_5010,
            Self::Bad => 0x00d1_3438,
        }
    }
}
