//! Requests, replicas and Enterprise Manager as one state, and the steps between states.
//!
//! A step is one commit, one message or one fault; whatever the code does in one transaction is one step here. What a
//! replica knows is lost when it is killed, what the store holds is not. Time is a step as well: the limit of an answer
//! passes, and the limit for evidence, at any moment in which the code lets them. Requests for one plan compete by the
//! index on open operations. Requests whose outcome is not known keep their plan until they are `unknown`.

use stateright::{Model, Property};

/// How many requests and replicas a state has room for.
const MOST: usize = 3;

/// A request of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    pub plan: u8,
    /// How many approvals it needs.
    pub approvals: u8,
}

/// A world to be checked.
#[derive(Clone, Copy, Debug)]
pub struct World {
    pub replicas: usize,
    pub requests: &'static [Request],
    /// How often a replica is killed or removed while it is frozen.
    pub kills: u8,
    /// How often a message is lost, or a logon session or connection fails.
    pub faults: u8,
    pub mutation: Option<Mutation>,
}

/// A mistake, to see that the checker finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A lost answer is taken for a request that did not arrive.
    ResendAfterLostAnswer,
    /// A replica sends what it finds recorded and not answered.
    ResendAfterRestart,
    /// The approval is one commit, and the submission by whoever saw it complete another.
    ApproveThenSubmit,
    /// Whoever finds an approved operation sends it, without the mark that it may have been sent.
    SendWithoutMark,
    /// A replica that was removed sends what it had recorded.
    SendWithoutPermit,
    /// The caller is answered before the commit.
    AnswerBeforeCommit,
    /// The audit row is written after the commit.
    TellAfterwards,
    /// An operation is recorded although its plan has an open one.
    IgnoreBusy,
    /// An operation that was called unknown runs again although its plan has an open one.
    JoinWhileBusy,
    /// Nothing ends an operation whose outcome is not known.
    NeverExpire,
}

/// An operation's state in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    AwaitingApproval,
    Submitting,
    Running,
    Finished,
    Unknown,
}

/// What the store holds of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    state: State,
    approvals: u8,
    /// Approved, and provably not sent.
    unsent: bool,
    /// The replica that would get the answer.
    submitted_by: Option<usize>,
    /// Whether the time for the answer has passed.
    answer_due: bool,
    /// Whether it was given up as not sent: nothing may start it any more.
    given_up: bool,
}

/// What a replica does for a request, in its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    None,
    /// The operation is committed by this replica.
    Recorded,
    /// Its last approval is committed by this replica, and the mark is not.
    Approved,
    /// The request is on its way; the answer is awaited.
    Sent,
}

/// A request between a replica and EM, and what EM made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AtEm {
    /// Requests that were sent and have not arrived, 0 to 2.
    on_the_way: u8,
    /// How often EM started the plan for it.
    started: u8,
    answer: Answer,
    session: Session,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    None,
    Accepted,
    Refused,
    /// EM did not act, and the request may be sent once more: the logon session was gone, or no connection was made.
    NotTaken,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Session {
    None,
    Working,
    Ended,
}

/// Whether a replica runs, and whether the others count it among the living.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Replica {
    Alive,
    /// Killed; the others have not noticed.
    Killed,
    /// It was frozen, the others removed it, and it runs again with what it had in memory.
    Removed,
}

/// The whole world at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Moment {
    operations: [Option<Operation>; MOST],
    /// Whether the request has its audit row.
    told: [bool; MOST],
    acknowledged: [bool; MOST],
    em: [AtEm; MOST],
    work: [[Work; MOST]; MOST],
    /// Replicas that saw a request complete its approvals, and did not submit it yet (only with a mistake).
    saw_approved: [[bool; MOST]; MOST],
    replicas: [Replica; MOST],
    kills: u8,
    faults: u8,
}

/// A step. The first number is the replica where one acts, the second the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The operation, its audit row and the mark of its replica are committed; whether the commit was answered or had to be
    /// confirmed makes no difference to what follows.
    Record(usize, usize),
    /// The caller reads 202.
    Acknowledge(usize),
    /// What was recorded was confirmed too late: it ends without having been sent.
    CancelUnsent(usize, usize),
    /// An approval is committed; the last one together with the submission.
    TryApprove(usize, usize),
    /// Rejected or expired.
    EndWaiting(usize),
    /// The mark that the request may have been sent is committed.
    BeginSending(usize, usize),
    /// An approved operation that nobody sends any more ends as not sent.
    EndUnsent(usize),
    /// The request leaves, while the replica may still send.
    Send(usize, usize),
    /// EM gets it and starts the plan.
    EmStarts(usize),
    /// EM gets it and refuses.
    EmRefuses(usize),
    /// EM did not take it.
    EmDoesNotTake(usize),
    /// The answer is lost on its way back.
    LoseAnswer(usize),
    /// The request is lost on its way.
    LoseRequest(usize),
    /// The failover session ends.
    EmEnds(usize),
    /// The answer arrives and is recorded.
    RecordReply(usize, usize),
    /// No answer arrives, which is recorded; nothing is sent again.
    RecordUnknown(usize, usize),
    /// The time for the answer passes.
    AnswerDue(usize),
    /// The watcher joins the operation with its session.
    Join(usize),
    /// The watcher sees the session's end.
    SessionSeen(usize),
    /// The time for evidence passes without any.
    Expire(usize),
    Kill(usize),
    /// The others remove a replica that was killed, or is frozen.
    RemoveReplica(usize),
    /// A replica starts anew, or one that was removed registers again and keeps nothing.
    Restart(usize),
    /// A mistake: the store's record is taken up and sent.
    Resend(usize, usize),
    /// A mistake: the submission as a commit of its own.
    SubmitApproved(usize, usize),
    /// A mistake: the audit row as a commit of its own.
    Tell(usize, usize),
}

impl World {
    fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether another open operation has the plan of `request`; the index of the store.
    fn busy(&self, moment: &Moment, request: usize) -> bool {
        let plan = self.requests[request].plan;
        !self.has(Mutation::IgnoreBusy)
            && (0..self.requests.len()).any(|other| {
                other != request
                    && self.requests[other].plan == plan
                    && moment.operations[other].is_some_and(|one| is_open(one.state))
            })
    }

    fn submitted(&self, operation: &mut Operation, replica: usize) {
        operation.state = State::Submitting;
        operation.submitted_by = Some(replica);
    }
}

const fn is_open(state: State) -> bool {
    matches!(state, State::Submitting | State::Running)
}

const fn has_ended(state: State) -> bool {
    matches!(state, State::Finished | State::Unknown)
}

/// Whether the answer to the request may still come (the state of the watcher's knowledge).
fn awaits_answer(moment: &Moment, operation: &Operation) -> bool {
    let gone = operation
        .submitted_by
        .is_none_or(|replica| moment.replicas[replica] != Replica::Alive);
    operation.state == State::Submitting && !operation.answer_due && !gone
}

impl Model for World {
    type State = Moment;
    type Action = Step;

    fn init_states(&self) -> Vec<Moment> {
        let nothing = AtEm {
            on_the_way: 0,
            started: 0,
            answer: Answer::None,
            session: Session::None,
        };
        vec![Moment {
            operations: [None; MOST],
            told: [false; MOST],
            acknowledged: [false; MOST],
            em: [nothing; MOST],
            work: [[Work::None; MOST]; MOST],
            saw_approved: [[false; MOST]; MOST],
            replicas: [Replica::Alive; MOST],
            kills: self.kills,
            faults: self.faults,
        }]
    }

    fn actions(&self, _moment: &Moment, steps: &mut Vec<Step>) {
        let requests = 0..self.requests.len();
        for request in requests.clone() {
            steps.extend([
                Step::Acknowledge(request),
                Step::EndWaiting(request),
                Step::EndUnsent(request),
                Step::EmStarts(request),
                Step::EmRefuses(request),
                Step::EmDoesNotTake(request),
                Step::LoseAnswer(request),
                Step::LoseRequest(request),
                Step::EmEnds(request),
                Step::AnswerDue(request),
                Step::Join(request),
                Step::SessionSeen(request),
                Step::Expire(request),
            ]);
        }
        for replica in 0..self.replicas {
            steps.extend([
                Step::Kill(replica),
                Step::RemoveReplica(replica),
                Step::Restart(replica),
            ]);
            for request in requests.clone() {
                steps.extend([
                    Step::Record(replica, request),
                    Step::CancelUnsent(replica, request),
                    Step::TryApprove(replica, request),
                    Step::BeginSending(replica, request),
                    Step::Send(replica, request),
                    Step::RecordReply(replica, request),
                    Step::RecordUnknown(replica, request),
                    Step::Resend(replica, request),
                    Step::SubmitApproved(replica, request),
                    Step::Tell(replica, request),
                ]);
            }
        }
    }

    fn next_state(&self, moment: &Moment, step: Step) -> Option<Moment> {
        self.after(moment, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a request starts once at most", |_, moment: &Moment| {
                moment.em.iter().all(|at| at.started + at.on_the_way <= 1)
            }),
            Property::always("nothing acknowledged is forgotten", |_, moment: &Moment| {
                let mut pairs = moment.acknowledged.iter().zip(&moment.operations);
                pairs.all(|(acknowledged, operation)| !acknowledged || operation.is_some())
            }),
            Property::always(
                "an operation and its audit row are there together",
                |_, moment: &Moment| {
                    let mut pairs = moment.told.iter().zip(&moment.operations);
                    pairs.all(|(told, operation)| *told == operation.is_some())
                },
            ),
            Property::always(
                "a plan has one open operation at most",
                |world: &Self, moment: &Moment| {
                    (0..world.requests.len()).all(|request| {
                        let open = moment.operations[request].is_some_and(|one| is_open(one.state));
                        !open || !world.busy_in_fact(moment, request)
                    })
                },
            ),
            Property::always("what was given up is not sent", |_, moment: &Moment| {
                let mut pairs = moment.operations.iter().zip(&moment.em);
                pairs.all(|(operation, at)| {
                    !operation.is_some_and(|one| one.given_up) || at.started + at.on_the_way == 0
                })
            }),
            Property::always(
                "nothing starts without its approvals",
                |world: &Self, moment: &Moment| {
                    (0..world.requests.len()).all(|request| {
                        let given = moment.operations[request].map_or(0, |one| one.approvals);
                        moment.em[request].started == 0 || given >= world.requests[request].approvals
                    })
                },
            ),
            Property::always(
                "where nothing can happen, every operation has ended",
                |world: &Self, moment: &Moment| {
                    let ended = moment.all_ended(world);
                    ended || {
                        let mut steps = Vec::new();
                        world.actions(moment, &mut steps);
                        steps.iter().any(|step| world.after(moment, *step).is_some())
                    }
                },
            ),
            Property::eventually("every operation ends", |world: &Self, moment: &Moment| {
                moment.all_ended(world)
            }),
            Property::sometimes("a request succeeds", |_, moment: &Moment| {
                let mut pairs = moment.operations.iter().zip(&moment.em);
                pairs.any(|(operation, at)| {
                    operation.is_some_and(|one| one.state == State::Finished) && at.started == 1
                })
            }),
            Property::sometimes("an outcome stays unknown", |_, moment: &Moment| {
                moment
                    .operations
                    .iter()
                    .any(|one| one.is_some_and(|one| one.state == State::Unknown))
            }),
        ]
    }
}

impl Moment {
    /// Whether every request was recorded and has ended.
    fn all_ended(&self, world: &World) -> bool {
        let mut operations = self.operations.iter().take(world.requests.len());
        operations.all(|one| one.is_some_and(|one| has_ended(one.state)))
    }
}

impl World {
    /// As [`World::busy`], whatever the world's mistake.
    fn busy_in_fact(&self, moment: &Moment, request: usize) -> bool {
        let right = Self {
            mutation: None,
            ..*self
        };
        right.busy(moment, request)
    }

    /// The world after a step; none where the step cannot be made.
    fn after(&self, before: &Moment, step: Step) -> Option<Moment> {
        let mut now = before.clone();
        let possible = match step {
            Step::Record(replica, request) => self.record(&mut now, replica, request),
            Step::Acknowledge(request) => self.acknowledge(&mut now, request),
            Step::CancelUnsent(replica, request) => cancel_unsent(&mut now, replica, request),
            Step::TryApprove(replica, request) => self.try_approve(&mut now, replica, request),
            Step::EndWaiting(request) => end_waiting(&mut now, request),
            Step::BeginSending(replica, request) => self.begin_sending(&mut now, replica, request),
            Step::EndUnsent(request) => self.end_unsent(&mut now, request),
            Step::Send(replica, request) => self.send(&mut now, replica, request),
            Step::EmStarts(request) => em_gets(&mut now, request, Answer::Accepted),
            Step::EmRefuses(request) => em_gets(&mut now, request, Answer::Refused),
            Step::EmDoesNotTake(request) => fault(&mut now) && em_gets(&mut now, request, Answer::NotTaken),
            Step::LoseAnswer(request) => fault(&mut now) && lose_answer(&mut now, request),
            Step::LoseRequest(request) => fault(&mut now) && em_gets(&mut now, request, Answer::Lost),
            Step::EmEnds(request) => em_ends(&mut now, request),
            Step::RecordReply(replica, request) => record_reply(&mut now, replica, request),
            Step::RecordUnknown(replica, request) => self.record_unknown(&mut now, replica, request),
            Step::AnswerDue(request) => answer_due(&mut now, request),
            Step::Join(request) => self.join(&mut now, request),
            Step::SessionSeen(request) => session_seen(&mut now, request),
            Step::Expire(request) => self.expire(&mut now, request),
            Step::Kill(replica) => kill(&mut now, replica),
            Step::RemoveReplica(replica) => remove_replica(&mut now, replica),
            Step::Restart(replica) => restart(&mut now, replica),
            Step::Resend(replica, request) => self.resend(&mut now, replica, request),
            Step::SubmitApproved(replica, request) => self.submit_approved(&mut now, replica, request),
            Step::Tell(replica, request) => tell(&mut now, replica, request),
        };
        possible.then_some(now)
    }

    fn record(&self, now: &mut Moment, replica: usize, request: usize) -> bool {
        let approvals = self.requests[request].approvals;
        let free = approvals > 0 || !self.busy(now, request);
        if now.replicas[replica] != Replica::Alive || now.operations[request].is_some() || !free {
            return false;
        }
        let mut operation = Operation {
            state: State::AwaitingApproval,
            approvals: 0,
            unsent: false,
            submitted_by: None,
            answer_due: false,
            given_up: false,
        };
        if approvals == 0 {
            self.submitted(&mut operation, replica);
            now.work[replica][request] = Work::Recorded;
        }
        now.operations[request] = Some(operation);
        now.told[request] = !self.has(Mutation::TellAfterwards);
        true
    }

    fn acknowledge(&self, now: &mut Moment, request: usize) -> bool {
        let committed = now.operations[request].is_some();
        let may = committed || self.has(Mutation::AnswerBeforeCommit);
        may && !std::mem::replace(&mut now.acknowledged[request], true)
    }

    fn try_approve(&self, now: &mut Moment, replica: usize, request: usize) -> bool {
        let needed = self.requests[request].approvals;
        let busy = self.busy(now, request);
        let Some(operation) = now.operations[request].as_mut() else {
            return false;
        };
        if now.replicas[replica] != Replica::Alive || operation.state != State::AwaitingApproval {
            return false;
        }
        if self.has(Mutation::ApproveThenSubmit) {
            let last = operation.approvals + 1 >= needed;
            operation.approvals = needed.min(operation.approvals + 1);
            // Another replica that handles an approval at the same time sees it complete as well.
            return !last || !std::mem::replace(&mut now.saw_approved[replica][request], true);
        }
        let last = operation.approvals + 1 == needed;
        if last && busy {
            return false;
        }
        operation.approvals += 1;
        if last {
            operation.unsent = true;
            self.submitted(operation, replica);
            now.work[replica][request] = Work::Approved;
        }
        true
    }

    fn submit_approved(&self, now: &mut Moment, replica: usize, request: usize) -> bool {
        if !self.has(Mutation::ApproveThenSubmit) || now.replicas[replica] != Replica::Alive {
            return false;
        }
        if !std::mem::replace(&mut now.saw_approved[replica][request], false) {
            return false;
        }
        let Some(operation) = now.operations[request].as_mut() else {
            return false;
        };
        self.submitted(operation, replica);
        now.work[replica][request] = Work::Recorded;
        true
    }

    fn begin_sending(&self, now: &mut Moment, replica: usize, request: usize) -> bool {
        let Some(operation) = now.operations[request].as_mut() else {
            return false;
        };
        let approved = now.work[replica][request] == Work::Approved && operation.unsent;
        if !approved || !has_permit(now.replicas[replica], operation) {
            return false;
        }
        operation.unsent = self.has(Mutation::SendWithoutMark);
        now.work[replica][request] = Work::Recorded;
        true
    }

    /// The clock of approvals, on any replica that lives, once no answer is awaited; or the replica itself, which may not
    /// send any more.
    fn end_unsent(&self, now: &mut Moment, request: usize) -> bool {
        let Some(operation) = now.operations[request] else {
            return false;
        };
        let mistaken = self.has(Mutation::SendWithoutMark);
        if !someone_lives(now, self.replicas)
            || operation.state != State::Submitting
            || !operation.unsent
            || awaits_answer(now, &operation)
            || mistaken
        {
            return false;
        }
        now.operations[request] = Some(Operation {
            state: State::Finished,
            given_up: true,
            ..operation
        });
        true
    }

    fn send(&self, now: &mut Moment, replica: usize, request: usize) -> bool {
        let Some(operation) = now.operations[request] else {
            return false;
        };
        let may = has_permit(now.replicas[replica], &operation) || self.has(Mutation::SendWithoutPermit);
        let runs = now.replicas[replica] != Replica::Killed;
        if now.work[replica][request] != Work::Recorded || !may || !runs {
            return false;
        }
        now.work[replica][request] = Work::Sent;
        now.em[request].on_the_way += 1;
        true
    }

    /// The end of a request whose answer did not come, by a broken connection or the limit of the answer.
    fn record_unknown(&self, now: &mut Moment, replica: usize, request: usize) -> bool {
        let Some(operation) = now.operations[request].as_mut() else {
            return false;
        };
        let over = now.em[request].answer == Answer::Lost || operation.answer_due;
        if now.work[replica][request] != Work::Sent || now.replicas[replica] == Replica::Killed || !over {
            return false;
        }
        if self.has(Mutation::ResendAfterLostAnswer) && now.em[request].answer == Answer::Lost {
            now.em[request].answer = Answer::None;
            now.work[replica][request] = Work::Recorded;
            return true;
        }
        operation.answer_due = true;
        now.work[replica][request] = Work::None;
        true
    }

    fn expire(&self, now: &mut Moment, request: usize) -> bool {
        let Some(operation) = now.operations[request] else {
            return false;
        };
        let evidence = now.em[request].session != Session::None;
        if !someone_lives(now, self.replicas)
            || operation.state != State::Submitting
            || operation.unsent
            || awaits_answer(now, &operation)
            || evidence
            || self.has(Mutation::NeverExpire)
        {
            return false;
        }
        now.operations[request] = Some(Operation {
            state: State::Unknown,
            // Nothing was sent by now, so nothing may be sent later: the limit for evidence is longer than that of an answer.
            given_up: now.em[request].started + now.em[request].on_the_way == 0,
            ..operation
        });
        true
    }

    /// One that was called unknown would keep its plan busy again, and waits while another one does.
    fn join(&self, now: &mut Moment, request: usize) -> bool {
        let Some(operation) = now.operations[request] else {
            return false;
        };
        let waits = operation.state == State::Submitting
            || (operation.state == State::Unknown
                && (self.has(Mutation::JoinWhileBusy) || !self.busy(now, request)));
        if !waits || awaits_answer(now, &operation) || now.em[request].session == Session::None {
            return false;
        }
        now.operations[request] = Some(Operation {
            state: State::Running,
            ..operation
        });
        true
    }

    fn resend(&self, now: &mut Moment, replica: usize, request: usize) -> bool {
        let Some(operation) = now.operations[request] else {
            return false;
        };
        let unanswered = operation.state == State::Submitting
            && now.replicas[replica] == Replica::Alive
            && now.work[replica][request] == Work::None
            && !awaits_answer(now, &operation);
        let mistaken = self.has(Mutation::ResendAfterRestart)
            || (self.has(Mutation::SendWithoutMark) && operation.unsent);
        if !unanswered || !mistaken || now.em[request].started + now.em[request].on_the_way > 1 {
            return false;
        }
        now.operations[request] = Some(Operation {
            submitted_by: Some(replica),
            answer_due: false,
            ..operation
        });
        now.work[replica][request] = Work::Recorded;
        true
    }
}

/// Whether a replica may still send: it was registered all the time, and the answer would be in time.
fn has_permit(replica: Replica, operation: &Operation) -> bool {
    replica == Replica::Alive && !operation.answer_due
}

fn someone_lives(now: &Moment, replicas: usize) -> bool {
    now.replicas
        .iter()
        .take(replicas)
        .any(|one| *one == Replica::Alive)
}

fn fault(now: &mut Moment) -> bool {
    let left = now.faults.checked_sub(1);
    now.faults = left.unwrap_or_default();
    left.is_some()
}

fn tell(now: &mut Moment, replica: usize, request: usize) -> bool {
    let alive = now.replicas[replica] == Replica::Alive;
    alive && now.operations[request].is_some() && !std::mem::replace(&mut now.told[request], true)
}

fn cancel_unsent(now: &mut Moment, replica: usize, request: usize) -> bool {
    let Some(operation) = now.operations[request].as_mut() else {
        return false;
    };
    let recorded = matches!(now.work[replica][request], Work::Recorded | Work::Approved);
    if !recorded || now.replicas[replica] == Replica::Killed || operation.state != State::Submitting {
        return false;
    }
    operation.state = State::Finished;
    operation.given_up = true;
    now.work[replica][request] = Work::None;
    true
}

fn end_waiting(now: &mut Moment, request: usize) -> bool {
    let Some(operation) = now.operations[request].as_mut() else {
        return false;
    };
    if operation.state != State::AwaitingApproval {
        return false;
    }
    operation.state = State::Finished;
    operation.given_up = true;
    true
}

/// EM gets a request that is on its way, or the way ends.
fn em_gets(now: &mut Moment, request: usize, answer: Answer) -> bool {
    let at = &mut now.em[request];
    let Some(left) = at.on_the_way.checked_sub(1) else {
        return false;
    };
    at.on_the_way = left;
    at.answer = answer;
    if answer == Answer::Accepted {
        at.started += 1;
        at.session = Session::Working;
    }
    true
}

fn lose_answer(now: &mut Moment, request: usize) -> bool {
    let answer = &mut now.em[request].answer;
    let under_way = matches!(answer, Answer::Accepted | Answer::Refused);
    if under_way {
        *answer = Answer::Lost;
    }
    under_way
}

fn em_ends(now: &mut Moment, request: usize) -> bool {
    let at = &mut now.em[request];
    let works = at.session == Session::Working;
    if works {
        at.session = Session::Ended;
    }
    works
}

fn record_reply(now: &mut Moment, replica: usize, request: usize) -> bool {
    let Some(operation) = now.operations[request].as_mut() else {
        return false;
    };
    if now.work[replica][request] != Work::Sent || now.replicas[replica] == Replica::Killed {
        return false;
    }
    let at = &mut now.em[request];
    let submitting = operation.state == State::Submitting;
    now.work[replica][request] = Work::None;
    match at.answer {
        Answer::Accepted if submitting => operation.state = State::Running,
        Answer::Refused if submitting => operation.state = State::Finished,
        Answer::Accepted | Answer::Refused => {}
        Answer::NotTaken => {
            // EM did not act, which its answer proves, so the request is sent once more.
            now.work[replica][request] = Work::Recorded;
        }
        Answer::None | Answer::Lost => return false,
    }
    at.answer = Answer::None;
    true
}

fn answer_due(now: &mut Moment, request: usize) -> bool {
    let Some(operation) = now.operations[request].as_mut() else {
        return false;
    };
    operation.state == State::Submitting && !std::mem::replace(&mut operation.answer_due, true)
}

fn session_seen(now: &mut Moment, request: usize) -> bool {
    let Some(operation) = now.operations[request].as_mut() else {
        return false;
    };
    let ended = operation.state == State::Running && now.em[request].session == Session::Ended;
    if ended {
        operation.state = State::Finished;
    }
    ended
}

fn kill(now: &mut Moment, replica: usize) -> bool {
    if now.replicas[replica] == Replica::Killed || now.kills == 0 {
        return false;
    }
    now.kills -= 1;
    now.replicas[replica] = Replica::Killed;
    now.work[replica] = [Work::None; MOST];
    now.saw_approved[replica] = [false; MOST];
    true
}

/// The others take the replica for dead although it is frozen only; it goes on with what it has in memory.
fn remove_replica(now: &mut Moment, replica: usize) -> bool {
    if now.replicas[replica] != Replica::Alive || now.kills == 0 {
        return false;
    }
    now.kills -= 1;
    now.replicas[replica] = Replica::Removed;
    true
}

/// It is there again, under another id: no answer is awaited for what it had recorded.
fn restart(now: &mut Moment, replica: usize) -> bool {
    if now.replicas[replica] == Replica::Alive {
        return false;
    }
    now.replicas[replica] = Replica::Alive;
    now.work[replica] = [Work::None; MOST];
    now.saw_approved[replica] = [false; MOST];
    for operation in now.operations.iter_mut().flatten() {
        if operation.submitted_by == Some(replica) {
            operation.submitted_by = None;
        }
    }
    true
}
