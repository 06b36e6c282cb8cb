//! The items themselves: their ids, and how each relates to the others.
//!
//! Nothing is stored. A thing is a kind and a number; its id, its owner and everything it belongs to are
//! computed from these, so that two answers never contradict each other. Ids do not depend on the seed.

use std::sync::Arc;

use uuid::Uuid;

use super::facts;
use super::kinds::{Kind, kind};
use super::plan::SERVERS;
use crate::sim::dice::Dice;
use crate::sim::inventory::Kind as PlanKind;
use crate::sim::scene::{Row, Scene, collection_path, hash};

fn below(number: u64, bound: usize) -> usize {
    usize::try_from(number % u64::try_from(bound.max(1)).unwrap_or(1)).unwrap_or(0)
}

impl<'a> Scene<'a> {
    /// What the world itself has of a kind: ids and names.
    fn fixed(self, path: &str) -> Vec<(Uuid, &'a str)> {
        let plans = |kind| {
            self.world
                .plans
                .iter()
                .filter(move |plan| plan.kind == kind)
                .map(|plan| (plan.id, plan.name.as_str()))
        };
        match path {
            SERVERS => self
                .world
                .servers
                .iter()
                .map(|server| (server.id, server.name.as_str()))
                .collect(),
            "/cloud/cloudFailoverPlans" => plans(PlanKind::Cloud).collect(),
            "/failoverPlans" => plans(PlanKind::OnPremises).collect(),
            "/cloud/failoverSessions" => self
                .world
                .sessions(self.now)
                .map(|session| (session.id, session.plan_name.as_str()))
                .collect(),
            "/cloud/tenants" => {
                let mut tenants: Vec<(Uuid, &str)> = Vec::new();
                for tenant in self.world.plans.iter().filter_map(|plan| plan.tenant.as_ref()) {
                    if tenants.iter().all(|(id, _)| *id != tenant.id) {
                        tenants.push((tenant.id, &tenant.name));
                    }
                }
                tenants
            }
            "/cloud/vmReplicaPoints" => self
                .world
                .plans
                .iter()
                .filter(|plan| plan.kind == PlanKind::Cloud)
                .flat_map(|plan| &plan.machines)
                .map(|machine| (machine.replica_point, machine.name.as_str()))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The name that the world itself gives to a thing.
    pub fn fixed_name(self, row: &Row) -> Option<&'a str> {
        self.fixed(row.kind.path)
            .get(row.index)
            .map(|(_, name)| *name)
            .filter(|_| row.owner.is_none())
    }

    /// How many things a kind without owner has, those created by requests left out: what relations count on.
    fn base(self, kind: &Kind) -> usize {
        self.fixed(kind.path).len() + kind.plan.count
    }

    /// How many things there are in a collection.
    fn count(self, kind: &Kind, owner: Option<&Row>) -> usize {
        let base = match owner {
            None => self.base(kind),
            // The first owner has many, so that nothing is without an example.
            Some(owner) if owner.index == 0 => kind.plan.count,
            Some(owner) => {
                let least = usize::from(kind.path.ends_with("/mounts"));
                let random = hash(&[kind.path, &owner.id, "count"]);
                least + below(random, kind.plan.count + 1 - least)
            }
        };
        base + self.world.changes.created(&collection_path(kind, owner))
    }

    /// The number of the thing that is created next in a collection.
    pub fn next(self, kind: &Kind, owner: Option<&Row>) -> usize {
        self.count(kind, owner)
    }

    /// The thing of that number, whether it is still there or not.
    pub fn nth(self, kind: &'static Kind, index: usize, owner: Option<&Arc<Row>>) -> Row {
        let fixed = if owner.is_none() {
            self.fixed(kind.path).get(index).map(|(id, _)| *id)
        } else {
            None
        };
        Self::thing(kind, index, owner, fixed)
    }

    /// The thing of that number, with the id that the world itself gives to it.
    fn thing(kind: &'static Kind, index: usize, owner: Option<&Arc<Row>>, fixed: Option<Uuid>) -> Row {
        let above = owner.map_or("", |owner| owner.id.as_str());
        let key = fixed.unwrap_or_else(|| Dice::from_name(&format!("{} {above} {index}", kind.path)).id());
        let id = facts::id(kind, index).unwrap_or_else(|| key.to_string());
        Row {
            kind,
            index,
            id,
            key,
            owner: owner.map(Arc::clone),
        }
    }

    /// Every thing of a collection, in the order of its number.
    pub fn rows(self, kind: &'static Kind, owner: Option<&Arc<Row>>) -> Vec<Row> {
        let fixed = owner.map_or_else(|| self.fixed(kind.path), |_| Vec::new());
        (0..self.count(kind, owner.map(Arc::as_ref)))
            .map(|index| Self::thing(kind, index, owner, fixed.get(index).map(|(id, _)| *id)))
            .filter(|row| self.exists(row))
            .collect()
    }

    fn exists(self, row: &Row) -> bool {
        !self.world.changes.removed(row.key) && (!row.kind.window || self.in_window(row))
    }

    /// Every item of a kind, whichever its owner.
    pub fn all(self, kind: &'static Kind) -> Vec<Row> {
        match kind.owner.and_then(super::kinds::kind) {
            None => self.rows(kind, None),
            Some(above) => self
                .all(above)
                .into_iter()
                .flat_map(|owner| self.rows(kind, Some(&Arc::new(owner))))
                .collect(),
        }
    }

    /// The thing of that id in a collection.
    pub fn find(self, kind: &'static Kind, owner: Option<&Arc<Row>>, id: &str) -> Option<Row> {
        let id = if kind.key && id.starts_with("urn:") {
            id.rsplit(':').next().unwrap_or(id)
        } else {
            id
        };
        self.rows(kind, owner)
            .into_iter()
            .find(|row| row.id.eq_ignore_ascii_case(id))
    }

    /// What a thing has to do with, strictly: by its owners, by what it belongs to, by what belongs to it alone.
    pub fn relation(self, row: &Row, target: &'static Kind) -> Option<Row> {
        if row.kind.path == target.path {
            return Some(row.clone());
        }
        let found = match &row.owner {
            Some(owner) => self.relation(owner, target)?,
            None => {
                let index = self.strict(row.kind, row.index, target)?;
                self.nth(target, index, None)
            }
        };
        self.exists(&found).then_some(found)
    }

    /// The same, else the first thing that has to do with this one, else any, always the same.
    pub fn related(self, row: &Row, target: &'static Kind) -> Option<Row> {
        self.relation(row, target)
            .or_else(|| {
                let back = |other: &Row| {
                    self.strict(target, other.index, row.kind) == Some(row.index) && row.owner.is_none()
                };
                self.rows(target, None).into_iter().find(back)
            })
            .or_else(|| {
                let server = kind(SERVERS)?;
                let at = self.relation(row, server).map(|server| server.index);
                let all = self.rows(target, None);
                let mine = |other: &&Row| self.strict(target, other.index, server) == at;
                let near: Vec<&Row> = all.iter().filter(mine).collect();
                let number = hash(&[row.kind.path, &row.id, target.path]);
                match near.len() {
                    0 => all.get(below(number, all.len())).cloned(),
                    many => near.get(below(number, many)).map(|found| (*found).clone()),
                }
            })
    }

    /// Whether two things of kinds without owner belong together, in either direction.
    pub fn belongs(self, row: &Row, other: &Row) -> bool {
        self.strict(row.kind, row.index, other.kind) == Some(other.index)
            || self.strict(other.kind, other.index, row.kind) == Some(row.index)
    }

    /// The number of the thing that another one belongs to, both of kinds without owner.
    pub fn strict(self, from: &'static Kind, index: usize, target: &'static Kind) -> Option<usize> {
        if from.path == target.path {
            return Some(index);
        }
        if let Some((above, at)) = self.above(from, index) {
            if above.path == target.path {
                return Some(at);
            }
            if let Some(found) = self.strict(above, at, target) {
                return Some(found);
            }
        }
        if from.plan.beside.contains(&target.path) {
            return self.pick(from, index, target, false);
        }
        None
    }

    /// What a thing belongs to first of all.
    pub fn above(self, from: &'static Kind, index: usize) -> Option<(&'static Kind, usize)> {
        let under = from.plan.under;
        let path = under.get(facts::variant(from.path, index) % under.len().max(1))?;
        let above = kind(path)?;
        Some((above, self.pick(from, index, above, true)?))
    }

    fn pick(self, from: &'static Kind, index: usize, target: &'static Kind, above: bool) -> Option<usize> {
        let count = self.base(target);
        if count == 0 {
            return None;
        }
        if above && (target.path == SERVERS || facts::one_to_one(from.path)) {
            return Some(index % count);
        }
        let servers = kind(SERVERS)?;
        let here = if above {
            None
        } else {
            self.strict(from, index, servers)
        };
        let first = below(hash(&[from.path, &index.to_string(), target.path]), count);
        (0..count)
            .map(|step| (first + step) % count)
            .filter(|at| above || self.strict(target, *at, servers) == here)
            .find(|at| facts::fits(self, from, index, target, *at))
    }
}
