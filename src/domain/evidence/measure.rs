//! A figure with its source and clock, or why there is none; and how a figure compares with its target.

use jiff::SignedDuration;

use super::clocks::Span;
use crate::domain::words::words;

words! {
    /// Why a figure is absent.
    pub enum Absence {
        /// Enterprise Manager gives no time for it.
        NoTime = "noTime",
        /// It had not ended.
        Running = "running",
        /// Not every machine recovered.
        NotRecovered = "notRecovered",
        /// Two machines of one name cannot be told apart, and not both recovered.
        AmbiguousName = "ambiguousName",
        /// No restore point is named.
        NoPoint = "noPoint",
        /// The restore point could not be read before it was removed.
        PointGone = "pointGone",
        /// Nothing held the request back.
        NoApproval = "noApproval",
        /// The difference between the two clocks is not known.
        NoClock = "noClock",
        /// There is no failover session.
        NoSession = "noSession",
        /// Enterprise Manager records no failover session for such a plan.
        EmHasNoSession = "emHasNoSession",
        /// It was not requested through the gateway.
        NoOperation = "noOperation",
        /// It was not sent to Enterprise Manager.
        NotSent = "notSent",
        /// The plan has no machine.
        NoMachines = "noMachines",
        /// No moment of an incident was given.
        NoIncident = "noIncident",
        /// No bound was given for the restore points.
        NoBound = "noBound",
        /// No check was recorded that passed.
        NoChecks = "noChecks",
        /// The failover was not undone.
        StillFailedOver = "stillFailedOver",
        /// Enterprise Manager cleans a test up by itself.
        TestOnly = "testOnly",
    }
}

words! {
    /// What a figure was computed from.
    pub enum Source {
        /// Times of the failover session.
        Session = "em.session",
        /// Times of the session's machines.
        Machines = "em.machines",
        /// Times of restore points.
        ReplicaPoints = "em.replicaPoints",
        /// The task at Enterprise Manager, as the gateway saw it.
        Task = "em.task",
        /// The operation's record.
        Operation = "gateway.operation",
        /// Both the operation's record and the session.
        OperationAndSession = "gateway.operation+em.session",
        /// Checks that were recorded.
        Checks = "checks",
    }
}

/// A figure, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    figure: Result<Span, Absence>,
    source: Source,
    precision: Option<SignedDuration>,
    estimated: bool,
}

impl Measure {
    /// A figure, or the reason for its absence.
    #[must_use]
    pub const fn new(figure: Result<Span, Absence>, source: Source) -> Self {
        Self {
            figure,
            source,
            precision: None,
            estimated: false,
        }
    }

    /// The same, known to so much either way.
    #[must_use]
    pub const fn within(mut self, precision: SignedDuration) -> Self {
        self.precision = Some(precision);
        self
    }

    /// The same, not measured at the thing itself.
    #[must_use]
    pub const fn estimated(mut self) -> Self {
        self.estimated = true;
        self
    }

    /// The figure, or why there is none.
    pub const fn figure(&self) -> Result<Span, Absence> {
        self.figure
    }

    /// What it was computed from.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// How far it may be off, where that is known.
    #[must_use]
    pub const fn precision(&self) -> Option<SignedDuration> {
        self.precision
    }

    /// Whether it was not measured at the thing itself.
    #[must_use]
    pub const fn is_estimated(&self) -> bool {
        self.estimated
    }
}

words! {
    /// How a figure compares with its target.
    pub enum Verdict {
        /// It is no more than the target.
        Met = "met",
        /// It is more than the target.
        Missed = "missed",
        /// There is no target.
        NoTarget = "noTarget",
        /// There is a target and no figure.
        NotMeasured = "notMeasured",
    }
}

/// A figure beside its target; the verdict follows from both and cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    measure: Measure,
    target: Option<u32>,
}

impl Judged {
    /// The figure against so many seconds, if there is a target.
    #[must_use]
    pub const fn new(measure: Measure, target: Option<u32>) -> Self {
        Self { measure, target }
    }

    /// The figure.
    #[must_use]
    pub const fn measure(&self) -> &Measure {
        &self.measure
    }

    /// Seconds that it may be, if there is a target.
    #[must_use]
    pub const fn target(&self) -> Option<u32> {
        self.target
    }

    /// How the two compare; the figure is not rounded before.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.target, self.measure.figure) {
            (None, _) => Verdict::NoTarget,
            (Some(_), Err(_)) => Verdict::NotMeasured,
            (Some(target), Ok(span)) if span.length() <= SignedDuration::from_secs(target.into()) => {
                Verdict::Met
            }
            (Some(_), Ok(_)) => Verdict::Missed,
        }
    }
}
