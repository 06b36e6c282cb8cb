//! What all replicas together may have only so many of, and how it is shared out.
//!
//! Each live replica has an equal share, the remainder going to the first by id, and never less than one. A share that
//! shrinks is kept to at once; one that grows is claimed in the replica's row before it is used, and only as far as the
//! claims of the others leave room. So what is there is never more than the total, unless there are more replicas than
//! that, or one cannot give back what it has: tasks hold it, or the process is gone and EM does not know yet.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sqlx::{Any, Executor};

use super::super::Error;
use super::super::row::Columns as _;

/// Claims of a replica that has none yet.
pub(super) const NO_CLAIMS: &str = "{}";

/// How long a replica that has nothing yet waits for the others to make room. Then it takes one all the same: it would
/// be of no use otherwise.
const GRACE: Duration = Duration::from_secs(3);

/// How much of what, by name.
type Claims = BTreeMap<String, usize>;

/// Something that there is only so much of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedLimit {
    /// Its name, the same in every replica.
    pub name: String,
    /// How much all replicas together may have.
    pub total: usize,
    /// How much this one has.
    pub held: usize,
    /// How much it may have.
    pub allowed: usize,
}

/// What knows the limits, and keeps to its share.
pub trait LimitSource: Send + Sync + 'static {
    /// What there is.
    fn limits(&self) -> Vec<SharedLimit>;
    /// From now on this replica may have so much of it.
    fn allow(&self, name: &str, most: usize);
}

/// Nothing to share out.
impl LimitSource for () {
    fn limits(&self) -> Vec<SharedLimit> {
        Vec::new()
    }

    fn allow(&self, _: &str, _: usize) {}
}

/// A replica as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    id: String,
    claims: Claims,
}

/// All that are in the list, by id. One that is silent stays in it until it is taken for dead.
pub(super) async fn peers<'c>(database: impl Executor<'c, Database = Any>) -> Result<Vec<Peer>, Error> {
    let rows = sqlx::query("select id, claims from replicas order by id")
        .fetch_all(database)
        .await?;
    rows.iter()
        .map(|row| {
            let claims = serde_json::from_str(&row.text("claims")?).unwrap_or_default();
            Ok(Peer {
                id: row.text("id")?,
                claims,
            })
        })
        .collect()
}

/// The share of the one at `rank` of so many replicas.
fn share(total: usize, replicas: usize, rank: usize) -> usize {
    let replicas = replicas.max(1);
    let one_more = rank < total % replicas;
    (total / replicas + usize::from(one_more)).max(1)
}

/// The shares of this replica.
pub(super) struct Shares {
    id: String,
    quota: Box<dyn LimitSource>,
    begun: Instant,
}

impl Shares {
    pub fn new(id: String, quota: Box<dyn LimitSource>) -> Self {
        Self {
            id,
            quota,
            begun: Instant::now(),
        }
    }

    /// What this replica has or may take, to be written to its row.
    pub fn claims(&self) -> String {
        let limits = self.quota.limits().into_iter();
        text(
            &limits
                .map(|limit| (limit.name, limit.held.max(limit.allowed)))
                .collect(),
        )
    }

    /// Gives up what is more than the share. True when it could have more than it has.
    pub fn settle(&self, peers: &[Peer]) -> bool {
        let mut wishes = false;
        for limit in self.quota.limits() {
            let Some(share) = self.share(&limit, peers) else {
                continue;
            };
            if share < limit.allowed {
                self.quota.allow(&limit.name, share);
            }
            wishes |= share > limit.allowed;
        }
        wishes
    }

    /// What this replica may claim by what the others have left; none when that is no more than it has.
    pub fn raised(&self, peers: &[Peer]) -> Option<Claims> {
        let mut claims = Claims::new();
        let mut more = false;
        for limit in self.quota.limits() {
            let others = peers.iter().filter(|peer| peer.id != self.id);
            let claimed: usize = others.filter_map(|peer| peer.claims.get(&limit.name)).sum();
            let room = limit.total.max(peers.len()).saturating_sub(claimed);
            let share = self.share(&limit, peers).unwrap_or_default();
            let grown = share.min(room).max(limit.allowed);
            more |= grown > limit.allowed;
            claims.insert(limit.name, grown);
        }
        more.then_some(claims)
    }

    /// What the row has to say while this is claimed: what cannot be given back yet stays claimed as well.
    pub fn with_what_is_held(&self, claims: &Claims) -> String {
        let mut covering = claims.clone();
        for limit in self.quota.limits() {
            let claimed = covering.entry(limit.name).or_default();
            *claimed = limit.held.max(*claimed);
        }
        text(&covering)
    }

    /// Uses what was claimed.
    pub fn take(&self, claims: &Claims) {
        for (name, most) in claims {
            self.quota.allow(name, *most);
        }
    }

    /// One of each, for a replica that has none after [`GRACE`].
    pub fn take_one(&self) {
        if self.begun.elapsed() >= GRACE {
            self.confine(|allowed| allowed.max(1));
        }
    }

    /// No more than one of each: what others may take for free.
    pub fn keep_one(&self) {
        self.confine(|allowed| allowed.min(1));
    }

    fn confine(&self, to: impl Fn(usize) -> usize) {
        for limit in self.quota.limits() {
            self.quota.allow(&limit.name, to(limit.allowed));
        }
    }

    fn share(&self, limit: &SharedLimit, peers: &[Peer]) -> Option<usize> {
        let rank = peers.iter().position(|peer| peer.id == self.id)?;
        Some(share(limit.total, peers.len(), rank))
    }
}

/// Claims as they are stored.
fn text(claims: &Claims) -> String {
    serde_json::to_string(claims).unwrap_or_else(|_| NO_CLAIMS.to_owned())
}

#[cfg(test)]
#[path = "shares_tests.rs"]
mod tests;
