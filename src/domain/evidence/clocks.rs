//! Moments that know by whose clock they were taken, so that no duration is computed from two clocks without its saying so:
//! moments of one clock subtract, those of two do so by [`across`] alone.

use std::marker::PhantomData;

use jiff::{SignedDuration, Timestamp};

use crate::domain::words::words;

words! {
    /// By whose clock a figure was measured.
    pub enum Clocks {
        /// Enterprise Manager's.
        Em = "em",
        /// The gateway's.
        Gateway = "gateway",
        /// The caller's, as the caller says.
        Caller = "caller",
        /// Enterprise Manager's and the gateway's.
        EmAndGateway = "emAndGateway",
        /// Enterprise Manager's and the caller's.
        EmAndCaller = "emAndCaller",
        /// The gateway's and the caller's.
        GatewayAndCaller = "gatewayAndCaller",
        /// All three.
        All = "all",
    }
}

impl Clocks {
    const fn bits(self) -> u8 {
        match self {
            Self::Em => 1,
            Self::Gateway => 2,
            Self::EmAndGateway => 3,
            Self::Caller => 4,
            Self::EmAndCaller => 5,
            Self::GatewayAndCaller => 6,
            Self::All => 7,
        }
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match self.bits() | other.bits() {
            1 => Self::Em,
            2 => Self::Gateway,
            3 => Self::EmAndGateway,
            4 => Self::Caller,
            5 => Self::EmAndCaller,
            6 => Self::GatewayAndCaller,
            _ => Self::All,
        }
    }
}

/// One clock.
pub trait Clock: Copy {
    /// Its name in figures.
    const NAME: Clocks;
}

/// Enterprise Manager's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Em;

/// The gateway's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gateway;

/// The caller's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller;

impl Clock for Em {
    const NAME: Clocks = Clocks::Em;
}

impl Clock for Gateway {
    const NAME: Clocks = Clocks::Gateway;
}

impl Clock for Caller {
    const NAME: Clocks = Clocks::Caller;
}

/// A moment by the clock `C`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At<C>(Timestamp, PhantomData<C>);

impl<C: Clock> At<C> {
    /// A moment that this clock showed.
    #[must_use]
    pub const fn new(at: Timestamp) -> Self {
        Self(at, PhantomData)
    }

    /// How much later it is than `earlier`, by the same clock.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        across(self, earlier)
    }

    /// The later of two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self::new(self.0.max(other.0))
    }

    /// The moment without its clock.
    #[must_use]
    pub const fn timestamp(self) -> Timestamp {
        self.0
    }
}

/// How much later one moment is than another, whichever clocks showed them; the span names both.
#[must_use]
pub fn across<A: Clock, B: Clock>(later: At<A>, earlier: At<B>) -> Span {
    Span {
        length: later.0.duration_since(earlier.0),
        clocks: A::NAME.and(B::NAME),
    }
}

/// A duration, signed and unrounded, with the clocks it was measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    length: SignedDuration,
    clocks: Clocks,
}

impl Span {
    /// How long.
    #[must_use]
    pub const fn length(self) -> SignedDuration {
        self.length
    }

    /// By which clocks.
    #[must_use]
    pub const fn clocks(self) -> Clocks {
        self.clocks
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            length: self.length.saturating_add(other.length),
            clocks: self.clocks.and(other.clocks),
        }
    }

    /// The same, less what two clocks are apart.
    #[must_use]
    pub fn corrected(self, ahead: SignedDuration) -> Self {
        Self {
            length: self.length.saturating_sub(ahead),
            ..self
        }
    }

    /// The longer of two, which both clocks of both decide.
    #[must_use]
    pub fn longest(self, other: Self) -> Self {
        Self {
            length: self.length.max(other.length),
            clocks: self.clocks.and(other.clocks),
        }
    }

    /// Milliseconds, a begun one counted whole: as many seconds are exceeded by it as by the length itself.
    #[must_use]
    pub fn millis(self) -> i64 {
        let whole = self.length.as_millis();
        let begun =
            i128::from(self.length > SignedDuration::from_millis(i64::try_from(whole).unwrap_or(i64::MAX)));
        i64::try_from(whole + begun).unwrap_or(i64::MAX)
    }
}
