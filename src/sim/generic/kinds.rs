//! The kinds of things that EM shows one by one, read off the catalogue: `/jobs/{ID}` makes jobs a kind.

use std::sync::LazyLock;

use super::plan::{DEFAULT, PLANS, Plan};
use crate::catalogue::{Method, Resource, TypeDef, catalogue};

/// One kind.
#[derive(Debug)]
pub struct Kind {
    /// Its collection, such as `/jobs` or `/jobs/{ID}/includes`.
    pub path: &'static str,
    /// There is one, and its path is its id.
    pub single: bool,
    pub item: &'static Resource,
    pub entity: &'static TypeDef,
    /// The name in URNs and `Type` attributes.
    pub label: &'static str,
    /// The collection of the kind that things of this kind belong to by their path.
    pub owner: Option<&'static str>,
    /// There is an `EntityRef` form, and things have a name and a UID.
    pub key: bool,
    /// Shown for thirty days only.
    pub window: bool,
    pub plan: &'static Plan,
    pub links: Vec<LinkPlan>,
}

/// A link that every thing of a kind carries.
#[derive(Debug)]
pub struct LinkPlan {
    pub rel: &'static str,
    pub target: Target,
    /// The `Type` attribute; actions have none.
    pub kind: Option<String>,
}

/// Where a link leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// The other form of the same thing.
    Alternate,
    /// Below the thing itself, or the thing itself: `/includes`, `?action=start`, nothing.
    Own(String),
    /// The thing of that kind that this one has to do with.
    Related(&'static str),
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    catalogue()
        .resources()
        .iter()
        .filter_map(Kind::of_resource)
        .collect()
});

/// Resources that there is one of: services, reports, the settings below a thing.
static SINGLES: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    catalogue()
        .resources()
        .iter()
        .filter_map(|resource| Kind::new(resource.path, resource))
        .map(|kind| Kind { single: true, ..kind })
        .collect()
});

/// The kind of a resource that there is one of.
pub fn single(resource: &Resource) -> Option<&'static Kind> {
    SINGLES.iter().find(|kind| kind.path == resource.path)
}

/// Every kind, in the order of the catalogue.
pub fn kinds() -> &'static [Kind] {
    &KINDS
}

/// The kind of that collection's path, in any letter case.
pub fn kind(path: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.path.eq_ignore_ascii_case(path))
}

/// Where things of that type have their home; kinds of their own come before those below an owner.
pub fn kind_of(entity: &TypeDef) -> Option<&'static Kind> {
    let of_type = |kind: &&Kind| kind.entity.name == entity.name;
    KINDS
        .iter()
        .filter(of_type)
        .find(|kind| kind.owner.is_none())
        .or_else(|| KINDS.iter().find(of_type))
}

/// `/jobs/{ID}` gives `/jobs`.
fn collection(item: &'static str) -> Option<&'static str> {
    let (front, last) = item.rsplit_once('/')?;
    (last.starts_with('{') && last != "{filepath}" && !front.is_empty()).then_some(front)
}

impl Kind {
    fn of_resource(item: &'static Resource) -> Option<Self> {
        let path = collection(item.path)?;
        // These two live by themselves.
        if matches!(path, "/tasks" | "/logonSessions") {
            return None;
        }
        let mut kind = Self::new(path, item)?;
        kind.links = kind.plan_links();
        Some(kind)
    }

    fn new(path: &'static str, item: &'static Resource) -> Option<Self> {
        let entity = catalogue().ty(item.entity?);
        let label = entity
            .roots
            .first()
            .copied()
            .unwrap_or_else(|| entity.name.trim_end_matches("Type"));
        Some(Self {
            path,
            single: false,
            item,
            entity,
            label,
            owner: path.rfind('}').and_then(|at| collection(path.get(..=at)?)),
            key: entity.attribute(b"UID").is_some(),
            window: catalogue()
                .resource(path)
                .is_some_and(|found| found.resource.window_days.is_some()),
            plan: PLANS.iter().find(|plan| plan.path == path).unwrap_or(&DEFAULT),
            links: Vec::new(),
        })
    }

    /// The value of `Type` on the thing itself.
    pub fn link_type(&self) -> Option<&'static str> {
        self.entity.link_types.first().copied()
    }

    fn plan_links(&self) -> Vec<LinkPlan> {
        let mut links: Vec<LinkPlan> = self
            .item
            .links
            .iter()
            .filter_map(|(rel, target)| {
                let target = self.target(rel, target)?;
                Some(self.link(rel, target))
            })
            .collect();
        // What hangs below the thing though its page forgets to link it.
        for resource in catalogue().resources() {
            let tail = resource
                .path
                .strip_prefix(self.item.path)
                .filter(|tail| tail.rfind('/') == Some(0) && !tail.contains('{'));
            if let Some(tail) = tail {
                let target = Target::Own(tail.to_owned());
                if !links.iter().any(|link| link.target == target) {
                    links.push(self.link("Down", target));
                }
            }
        }
        links
    }

    /// Reads a target as the manual's pages write it; they are careless about whose path it is.
    fn target(&self, rel: &str, written: &str) -> Option<Target> {
        let operation = |method| self.item.operations.iter().any(|o| o.method == method);
        match rel {
            "Alternate" => return self.key.then_some(Target::Alternate),
            "Edit" => return operation(Method::Put).then(|| Target::Own(String::new())),
            "Delete" => return operation(Method::Delete).then(|| Target::Own(String::new())),
            _ => {}
        }
        let Some(path) = written.trim_end_matches('/').strip_prefix('/') else {
            // A type's name instead of a path.
            let label = written.trim_end_matches("Reference");
            let item = catalogue().resources().iter().find(|resource| {
                resource
                    .entity
                    .is_some_and(|entity| catalogue().ty(entity).roots.contains(&label))
                    && collection(resource.path).is_some_and(|path| !path.contains('{'))
            })?;
            return collection(item.path).map(Target::Related);
        };
        let path = format!("/{}", path.replace("//", "/")).replace("/cdpReplicas/vApps", "/cdpReplica/vApps");
        if let Some((_, action)) = path.split_once("?action=") {
            let known = self.item.operations.iter().find_map(|o| {
                o.action
                    .filter(|known| known.eq_ignore_ascii_case(action) && !o.action_in_path)
            })?;
            return Some(Target::Own(format!("?action={known}")));
        }
        let item = catalogue()
            .resources()
            .iter()
            .find(|resource| resource.path.eq_ignore_ascii_case(&path))
            .and_then(|resource| collection(resource.path));
        if let Some(home) = item {
            return Some(Target::Related(home));
        }
        // What follows the last parameter is below the thing itself, if EM has that at all.
        let tail = match path.rsplit_once('}') {
            Some((_, tail)) => tail.to_owned(),
            None => format!("/{}", path.rsplit_once('/')?.1),
        };
        let own = format!("{}{tail}", self.item.path);
        let exists = catalogue()
            .resources()
            .iter()
            .any(|resource| resource.path.eq_ignore_ascii_case(&own));
        let action = self.item.operations.iter().any(|o| {
            o.action_in_path
                && o.action
                    .is_some_and(|a| a.eq_ignore_ascii_case(tail.trim_start_matches('/')))
        });
        (exists || action).then_some(Target::Own(tail))
    }

    fn link(&self, rel: &'static str, target: Target) -> LinkPlan {
        let kind = match &target {
            Target::Alternate => None,
            Target::Own(tail) if tail.is_empty() => self.link_type().map(str::to_owned),
            Target::Own(tail) if tail.starts_with('/') => {
                link_type_of(&format!("{}{tail}", self.item.path)).filter(|_| rel != "Create")
            }
            Target::Own(_) => None,
            Target::Related(path) => catalogue()
                .resources()
                .iter()
                .find(|resource| collection(resource.path) == Some(path))
                .and_then(|resource| link_type_of(resource.path)),
        };
        LinkPlan { rel, target, kind }
    }
}

/// What a link to that resource says about its type.
pub fn link_type_of(path: &str) -> Option<String> {
    let resource = catalogue()
        .resources()
        .iter()
        .find(|resource| resource.path.eq_ignore_ascii_case(path))?;
    let get = resource.operations.iter().find(|o| o.method == Method::Get)?;
    let answer = catalogue().ty(get.answer?);
    let plain = answer.link_types.first()?;
    if get.reference.is_none() {
        return Some((*plain).to_owned());
    }
    Some(match plain.strip_suffix("List") {
        Some(item) => format!("{item}ReferenceList"),
        None => format!("{plain}Reference"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_table_names_is_a_kind() {
        for plan in PLANS {
            assert!(kind(plan.path).is_some(), "{}", plan.path);
            for other in plan.under.iter().chain(plan.beside) {
                assert!(kind(other).is_some(), "{} names {other}", plan.path);
            }
        }
        for (_, paths) in super::super::plan::MEANINGS {
            assert!(paths.iter().all(|path| kind(path).is_some()), "{paths:?}");
        }
    }

    #[test]
    fn every_owner_is_a_kind() {
        for kind in kinds() {
            if let Some(owner) = kind.owner {
                assert!(super::kind(owner).is_some(), "{} below {owner}", kind.path);
            }
        }
    }
}
