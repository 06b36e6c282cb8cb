use parking_lot::Mutex;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const GOOD: &str = "operators";

/// The one good of a replica, its share as it was told.
#[derive(Clone)]
struct Store(Arc<Mutex<SharedLimit>>);

impl LimitSource for Store {
    fn limits(&self) -> Vec<SharedLimit> {
        vec![self.0.lock().clone()]
    }

    fn allow(&self, _: &str, most: usize) {
        self.0.lock().allowed = most;
    }
}

/// A replica that takes whatever it may have, and gives back only when it is made to.
struct Greedy {
    store: Store,
    shares: Shares,
    /// What is in its row.
    row: Claims,
}

impl Greedy {
    fn new(id: usize, total: usize) -> Self {
        let limit = SharedLimit {
            name: GOOD.to_owned(),
            total,
            held: 0,
            allowed: 0,
        };
        let store = Store(Arc::new(Mutex::new(limit)));
        Self {
            shares: Shares::new(format!("replica {id}"), Box::new(store.clone())),
            store,
            row: Claims::new(),
        }
    }

    fn held(&self) -> usize {
        self.store.0.lock().held
    }

    fn allowed(&self) -> usize {
        self.store.0.lock().allowed
    }

    fn peer(&self) -> Peer {
        Peer {
            id: self.shares.id.clone(),
            claims: self.row.clone(),
        }
    }
}

fn peers_of(replicas: &[Greedy]) -> Vec<Peer> {
    let mut peers: Vec<Peer> = replicas.iter().map(Greedy::peer).collect();
    peers.sort_by(|one, other| one.id.cmp(&other.id));
    peers
}

fn beat(replicas: &mut [Greedy], at: usize) {
    replicas[at].row = serde_json::from_str(&replicas[at].shares.claims()).expect("claims");
    let peers = peers_of(replicas);
    let replica = &mut replicas[at];
    if replica.shares.settle(&peers)
        && let Some(claims) = replica.shares.raised(&peers)
    {
        replica.row = serde_json::from_str(&replica.shares.with_what_is_held(&claims)).expect("claims");
        replica.shares.take(&claims);
    }
}

fn held_by_all(replicas: &[Greedy]) -> usize {
    replicas.iter().map(Greedy::held).sum()
}

/// What can happen next to one of the replicas.
#[derive(Debug, Clone)]
enum Step {
    Beat(usize),
    Take(usize),
    GiveBack(usize),
    Join,
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..8_usize).prop_map(Step::Beat),
        4 => (0..8_usize).prop_map(Step::Take),
        2 => (0..8_usize).prop_map(Step::GiveBack),
        1 => Just(Step::Join),
        1 => (0..8_usize).prop_map(Step::Leave),
    ]
}

#[test]
fn four_sessions_for_three_replicas_are_two_one_and_one() {
    let shares: Vec<usize> = (0..3).map(|rank| share(4, 3, rank)).collect();
    assert_eq!(shares, [2, 1, 1]);
    assert_eq!((share(2, 1, 0), share(1, 3, 2), share(0, 0, 0)), (2, 1, 1));
}

#[test]
fn a_replica_that_is_in_no_list_changes_nothing() {
    let replica = Greedy::new(1, 4);
    assert!(!replica.shares.settle(&[]));
    assert_eq!(replica.shares.raised(&[]), None);
}

#[test]
fn the_share_of_a_dead_replica_is_given_to_the_others() {
    let mut replicas: Vec<Greedy> = (0..2).map(|id| Greedy::new(id, 4)).collect();
    beat(&mut replicas[..1], 0);
    assert_eq!(replicas[0].allowed(), 4);
    replicas[0].store.0.lock().held = 4;
    beat(&mut replicas, 1);
    assert_eq!(replicas[1].allowed(), 0, "there is no room yet");
    beat(&mut replicas, 0);
    assert_eq!(replicas[0].allowed(), 2);
    beat(&mut replicas, 0);
    beat(&mut replicas, 1);
    assert_eq!(replicas[1].allowed(), 0, "tasks hold all four");
    replicas[0].store.0.lock().held = 3;
    beat(&mut replicas, 0);
    beat(&mut replicas, 1);
    assert_eq!(replicas[1].allowed(), 1);
    replicas.remove(0);
    beat(&mut replicas, 0);
    assert_eq!(replicas[0].allowed(), 4);
}

#[test]
fn a_silent_replicas_share_is_reused_after_the_grace_period_only() {
    let mut replica = Greedy::new(0, 4);
    replica.shares.take_one();
    assert_eq!(replica.allowed(), 0);
    replica.shares.begun = Instant::now().checked_sub(GRACE).expect("a time");
    replica.shares.take_one();
    assert_eq!(replica.allowed(), 1);
    beat(std::slice::from_mut(&mut replica), 0);
    assert_eq!(replica.allowed(), 4);
    replica.shares.keep_one();
    assert_eq!(replica.allowed(), 1);
}

proptest! {
    #[test]
    fn shares_are_even_within_the_total(total in 0..120_usize, replicas in 1..20_usize) {
        let shares: Vec<usize> = (0..replicas).map(|rank| share(total, replicas, rank)).collect();
        prop_assert_eq!(shares.iter().sum::<usize>(), total.max(replicas));
        prop_assert!(shares.is_sorted_by(|one, next| one >= next));
        prop_assert!(shares.iter().all(|one| *one >= 1 && one.abs_diff(shares[0]) <= 1));
    }

    #[test]
    fn shares_never_exceed_the_total_in_any_order_of_beats(
        total in 1..9_usize,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut replicas = vec![Greedy::new(0, total)];
        let mut most = total;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Beat(at) => {
                    let at = at % replicas.len();
                    beat(&mut replicas, at);
                }
                Step::Take(at) => {
                    let replica = &replicas[at % replicas.len()];
                    let mut limit = replica.store.0.lock();
                    limit.held = limit.held.max(limit.allowed.min(limit.held + 1));
                }
                Step::GiveBack(at) => {
                    let replica = &replicas[at % replicas.len()];
                    let mut limit = replica.store.0.lock();
                    limit.held = limit.held.saturating_sub(1);
                }
                // Ids are not given in the order of joining.
                Step::Join if replicas.len() < 12 => {
                    replicas.push(Greedy::new((number + 1) * 7919 % 1000, total));
                    most = most.max(replicas.len());
                }
                Step::Leave(at) if replicas.len() > 1 => {
                    replicas.remove(at % replicas.len());
                }
                Step::Join | Step::Leave(_) => {}
            }
            prop_assert!(held_by_all(&replicas) <= most, "{} of {most}", held_by_all(&replicas));
        }
        // Left alone, each has its share in the end.
        for replica in &replicas {
            replica.store.0.lock().held = 0;
        }
        for _ in 0..3 {
            for at in 0..replicas.len() {
                beat(&mut replicas, at);
            }
        }
        let allowed: usize = replicas.iter().map(Greedy::allowed).sum();
        prop_assert_eq!(allowed, total.max(replicas.len()));
    }
}
