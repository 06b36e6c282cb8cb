//! The collections that EM's query service can search, and the filter that confines one to its parent.

use crate::catalogue::filter::quoted;
use crate::catalogue::{Query, QueryField, Resource, Segment, Value, catalogue};
use crate::text::upper_first;

/// A collection that `/query` can search.
#[derive(Debug, Clone, Copy)]
pub struct Queryable {
    /// EM's query.
    pub query: &'static Query,
    /// The field that holds the id of the collection's parent (`JobUid` for `/jobs/{ID}/includes`).
    parent: Option<&'static QueryField>,
}

impl Queryable {
    /// Whether EM's result can hold whole entities; otherwise it holds references.
    #[must_use]
    pub fn has_entities(&self) -> bool {
        let entity = catalogue()
            .resources()
            .iter()
            .find(|resource| resource.path == self.query.resource)
            .and_then(|resource| resource.entity);
        let parts = ["EntitiesType", "ResourcesType"];
        let lists = parts.into_iter().filter_map(|part| catalogue().type_named(part));
        let mut lists = lists.flat_map(|part| &catalogue().ty(part).fields);
        entity.is_some_and(|entity| lists.any(|list| list.value == Value::Type(entity)))
    }

    /// Whether the collection has a parent.
    pub(super) const fn is_within(&self) -> bool {
        self.parent.is_some()
    }

    /// The condition that confines the query to the collection; `values` are the path's parameters.
    pub(super) fn within(&self, values: &[String]) -> Option<String> {
        let field = self.parent?;
        let id = quoted(values.first()?);
        Some(format!("{}=={id}", field.name))
    }
}

/// How `resource` is searched; `None` when EM has no query for it.
#[must_use]
pub fn of(resource: &Resource) -> Option<Queryable> {
    let query = catalogue()
        .queries()
        .iter()
        .find(|query| query.resource == resource.path)?;
    // Tasks live in logon sessions and are listed by the gateway itself.
    if query.name == "Task" {
        return None;
    }
    let parent = match resource.segments() {
        [
            ..,
            Segment::Literal(owner),
            Segment::Parameter(_),
            Segment::Literal(_),
        ] => {
            let field = format!("{}Uid", upper_first(owner.strip_suffix('s').unwrap_or(owner)));
            let named = |own: &&QueryField| ends_with(own.name, &field);
            // Without such a field the query would find the items of other parents.
            Some(query.fields.iter().find(named)?)
        }
        _ => None,
    };
    Some(Queryable { query, parent })
}

fn ends_with(name: &str, end: &str) -> bool {
    name.len()
        .checked_sub(end.len())
        .and_then(|at| name.get(at..))
        .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_but_that_of_tasks_belongs_to_a_collection_that_can_be_searched() {
        for query in catalogue().queries().iter().filter(|query| query.name != "Task") {
            let resource = catalogue()
                .resources()
                .iter()
                .find(|resource| resource.path == query.resource)
                .unwrap_or_else(|| panic!("{} has no resource", query.name));
            let found = of(resource).unwrap_or_else(|| panic!("{} cannot be searched", resource.path));
            assert_eq!(found.query.name, query.name);
            assert_eq!(
                found.parent.is_some(),
                resource.path.contains('{'),
                "{}",
                resource.path
            );
        }
    }

    #[test]
    fn a_collection_within_a_parent_is_confined_to_it() {
        for (path, condition) in [
            ("/jobs/{ID}/includes", "JobUid==\"a\"\"b\""),
            ("/backupServers/{ID}/credentials", "BackupServerUid==\"a\"\"b\""),
            ("/cloud/tenants/{ID}/subtenants", "CloudTenantUid==\"a\"\"b\""),
        ] {
            let resource = catalogue()
                .resources()
                .iter()
                .find(|resource| resource.path == path)
                .expect("a resource");
            let within = of(resource).expect("searchable").within(&["a\"b".to_owned()]);
            assert_eq!(within.as_deref(), Some(condition));
        }
    }
}
