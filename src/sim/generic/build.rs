//! Documents: an item's fields in the order of its type, nested types included.

use super::facts;
use super::kinds::{Kind, kinds};
use super::values::Spot;
use crate::catalogue::{Field, Form as TypeForm, Place, Shape, TypeDef, TypeId, Value, catalogue};
use crate::sim::dice::Dice;
use crate::sim::inventory::Kind as PlanKind;
use crate::sim::render::{Documents, Form};
use crate::sim::scene::{Row, Scene};
use crate::sim::xml::{Element, Node};

/// Deeper than any type of EM's nests.
const MAX_DEPTH: usize = 12;

impl Scene<'_> {
    /// The beginning of every URL of this EM, and the path below it.
    pub fn href(self, path: &str) -> String {
        format!("{}{path}", self.world.options.href_base.trim_end_matches('/'))
    }

    /// A thing in that form, under that name; rows of a query carry no links.
    pub fn document(self, row: &Row, form: Form, name: &'static str, links: bool) -> Element {
        if let Some(own) = self.own_document(row, form, name, links) {
            return own;
        }
        let key = row.kind.key;
        if form == Form::Reference {
            return self.reference(row, name, links);
        }
        let mut element = Element::new(name);
        for field in row
            .kind
            .entity
            .fields
            .iter()
            .filter(|f| f.place == Place::Attribute)
        {
            let value = match field.name {
                "Type" => row.kind.link_type().map(str::to_owned),
                "Href" if key => Some(self.href(&format!("{}?format=Entity", row.path()))),
                "Href" => Some(self.href(&row.path())),
                "Name" => Some(self.name(row)),
                "UID" if field.value == Value::Scalar(crate::catalogue::Scalar::Uuid) => Some(row.id.clone()),
                "UID" => Some(row.uid()),
                _ => self.scalar(Spot::of(row), field, true),
            };
            if let Some(value) = value {
                element = element.attr(field.name, value);
            }
        }
        if links {
            let all = self.links(row, Form::Entity);
            element = element.child(Element::new("Links").children(all));
        }
        self.content(element, row.kind.entity, Spot::of(row))
    }

    /// An `EntityRef` or `Ref`.
    fn reference(self, row: &Row, name: &'static str, links: bool) -> Element {
        let kind = row.kind.link_type().unwrap_or(row.kind.label);
        let element = Element::new(name)
            .attr("UID", row.uid())
            .attr("Name", self.name(row))
            .attr("Href", self.href(&row.path()))
            .attr("Type", format!("{kind}Reference"));
        if !links {
            return element;
        }
        element.child(Element::new("Links").children(self.links(row, Form::Reference)))
    }

    /// What the hand-made part of the world shows itself.
    fn own_document(self, row: &Row, form: Form, name: &str, links: bool) -> Option<Element> {
        let documents = Documents {
            world: self.world,
            now: self.now,
        };
        let list = name == "Ref";
        let plan = |kind| self.world.plan(kind, row.key, self.now);
        match row.kind.path {
            "/cloud/cloudFailoverPlans" => Some(documents.plan(plan(PlanKind::Cloud)?, form, list)),
            "/failoverPlans" => Some(documents.plan(plan(PlanKind::OnPremises)?, form, list)),
            "/cloud/failoverSessions" => {
                let mut sessions = self.world.sessions(self.now);
                let session = sessions.find(|session| session.id == row.key)?;
                Some(documents.session(session, form, list, links))
            }
            _ => None,
        }
    }

    /// A resource that is no thing of a kind: a service, a report, the settings below a thing.
    pub fn single(self, name: &'static str, ty: &'static TypeDef, row: &Row, links: Vec<Element>) -> Element {
        let mut element = Element::new(name);
        for field in ty.fields.iter().filter(|f| f.place == Place::Attribute) {
            let value = match field.name {
                "Type" => ty.link_types.first().map(|kind| (*kind).to_owned()),
                "Href" => Some(self.href(&row.path())),
                _ => self.scalar(Spot::of(row), field, true),
            };
            if let Some(value) = value {
                element = element.attr(field.name, value);
            }
        }
        if ty.element(b"Links").is_some() && !links.is_empty() {
            element = element.child(Element::new("Links").children(links));
        }
        self.content(element, ty, Spot::of(row))
    }

    /// The children and the text of an element of that type, its links left out.
    fn content(self, mut element: Element, ty: &'static TypeDef, spot: Spot<'_>) -> Element {
        for (at, field) in ty.fields.iter().enumerate() {
            if field.name == "Links" || !self.chosen(ty, at, spot) {
                continue;
            }
            match field.place {
                Place::Attribute => {}
                Place::Text => {
                    if let Some(text) = self.scalar(spot, field, true) {
                        element = element.text(text);
                    }
                }
                Place::Element => {
                    let edited = (spot.depth == 0).then(|| self.edited(spot.row, field)).flatten();
                    element = match edited {
                        Some(children) => element.children(children),
                        None => self.child(element, field, spot),
                    };
                }
            }
        }
        element
    }

    fn child(self, element: Element, field: &'static Field, spot: Spot<'_>) -> Element {
        let inner = Spot {
            trail: spot.trail.rotate_left(7) ^ Dice::from_name(field.name).next(),
            item: 0,
            depth: spot.depth + 1,
            ..spot
        };
        match field.shape {
            Shape::One => match field.value {
                Value::Type(ty) => {
                    // Whole structures are absent now and then, but for what a thing is about.
                    let absent = field.doubtful && self.dice(spot, field.name).below(2) == 0;
                    if absent || spot.depth > MAX_DEPTH {
                        element
                    } else {
                        element.children(self.nested(field.name, ty, inner))
                    }
                }
                _ => match self.scalar(spot, field, false) {
                    Some(text) => element.text_child(field.name, text),
                    None => element,
                },
            },
            Shape::Wrapped => {
                let name = field.items.first().copied().unwrap_or(field.name);
                let items = self.items(name, field, spot, inner);
                element.child(Element::new(field.name).children(items))
            }
            Shape::Repeated => element.children(self.items(field.name, field, spot, inner)),
        }
    }

    fn items(
        self,
        name: &'static str,
        field: &'static Field,
        spot: Spot<'_>,
        inner: Spot<'_>,
    ) -> Vec<Element> {
        if let Value::Type(ty) = field.value
            && catalogue().ty(ty).name == "DirectoryEntryType"
        {
            return self.roots(name, spot.row);
        }
        if let Value::Type(ty) = field.value
            && let Some(rows) = self.owned(spot.row, ty)
        {
            return rows
                .iter()
                .map(|row| self.document(row, Form::Entity, name, true))
                .collect();
        }
        if spot.depth > MAX_DEPTH {
            return Vec::new();
        }
        // A schedule has all days, everything else none, one or a few.
        let count = match (field.name, name) {
            (_, "Day") => 7,
            ("SupportedVersions", _) => 3,
            _ => usize::try_from(self.dice(spot, field.name).below(4)).unwrap_or(0),
        };
        (0..count)
            .flat_map(|item| {
                let here = Spot { item, ..inner };
                match field.value {
                    Value::Type(ty) => self.nested(name, ty, here),
                    _ => self
                        .scalar(here, field, true)
                        .map(|text| Element::leaf(name, text))
                        .into_iter()
                        .collect(),
                }
            })
            .collect()
    }

    /// The things of a type that belong to this one by path, so that a list inside agrees with the list beside.
    fn owned(self, row: &Row, ty: TypeId) -> Option<Vec<Row>> {
        let name = catalogue().ty(ty).name;
        if let Some(roles) = roles(row, name) {
            return Some(self.rows(roles, None).into_iter().take(2).collect());
        }
        let below = |kind: &&'static Kind| kind.entity.name == name && kind.owner == Some(row.kind.path);
        let kind = kinds().iter().find(below)?;
        Some(self.rows(kind, Some(&std::sync::Arc::new(row.clone()))))
    }

    /// An element of a type, as one element or, where the thing has nothing to say, none.
    fn nested(self, name: &'static str, ty: TypeId, spot: Spot<'_>) -> Vec<Element> {
        let ty = catalogue().ty(ty);
        if ty.name == "EntityReferenceType" {
            return vec![self.reference(spot.row, name, false)];
        }
        if matches!(ty.form, TypeForm::Page) {
            return Vec::new();
        }
        let mut element = Element::new(name);
        for field in ty.fields.iter().filter(|f| f.place == Place::Attribute) {
            if matches!(field.name, "Href" | "Type") {
                continue;
            }
            if let Some(value) = self.scalar(spot, field, true) {
                element = element.attr(field.name, value);
            }
        }
        vec![self.content(element, ty, spot)]
    }

    /// A field as a request left it. Things that belong to this one stay what they are.
    fn edited(self, row: &Row, field: &'static Field) -> Option<Vec<Element>> {
        let nodes = self.world.changes.edited(row.key, field.name)?;
        Some(
            nodes
                .into_iter()
                .map(|node| self.copy(node, field.name, field, row))
                .collect(),
        )
    }

    fn copy(self, node: &Node, name: &'static str, field: &'static Field, row: &Row) -> Element {
        if field.shape != Shape::Wrapped {
            return self.copy_one(node, name, field, row);
        }
        let item = field.items.first().copied().unwrap_or(name);
        let own = match field.value {
            Value::Type(ty) => self.owned(row, ty),
            _ => None,
        };
        Element::new(name).children(match own {
            Some(rows) => rows
                .iter()
                .map(|row| self.document(row, Form::Entity, item, true))
                .collect::<Vec<_>>(),
            None => node
                .children
                .iter()
                .map(|child| self.copy_one(child, item, field, row))
                .collect(),
        })
    }

    fn copy_one(self, node: &Node, name: &'static str, field: &'static Field, row: &Row) -> Element {
        let Value::Type(ty) = field.value else {
            return Element::leaf(name, node.text.as_str());
        };
        let ty = catalogue().ty(ty);
        let mut element = Element::new(name);
        for (attribute, value) in &node.attributes {
            if let Some((_, field)) = ty.attribute(attribute.as_bytes()) {
                element = element.attr(field.name, value.as_str());
            }
        }
        for child in &node.children {
            if let Some((_, field)) = ty.element(child.name.as_bytes()) {
                element = element.child(self.copy(child, field.name, field, row));
            }
        }
        if ty.fields.iter().any(|field| field.place == Place::Text) {
            element.text(node.text.as_str())
        } else {
            element
        }
    }

    /// Whether a field is the one of its choice that the thing has; fields without a choice always are.
    fn chosen(self, ty: &TypeDef, at: usize, spot: Spot<'_>) -> bool {
        let inside = |group: &[u8]| group.iter().any(|member| usize::from(*member) == at);
        let Some(group) = ty.choices.iter().find(|group| inside(group)) else {
            return true;
        };
        let name = |member: &u8| ty.fields.get(usize::from(*member)).map_or("", |f| f.name);
        let wanted = preferred(ty.name, spot.row);
        let position = wanted
            .and_then(|wanted| group.iter().position(|member| name(member) == wanted))
            .unwrap_or_else(|| {
                let count = u64::try_from(group.len()).unwrap_or(1);
                usize::try_from(self.dice(spot, ty.name).below(count)).unwrap_or(0)
            });
        group
            .get(position)
            .is_some_and(|member| usize::from(*member) == at)
    }
}

/// Which alternative agrees with what else is known of the thing.
fn preferred(ty: &str, row: &Row) -> Option<&'static str> {
    let job = (row.kind.path == "/jobs").then(|| facts::job_type(row.index));
    match (ty, job) {
        ("JobEntityTypeNestedJobInfo", Some("Replica")) => Some("ReplicaJobInfo"),
        ("JobEntityTypeNestedJobInfo", Some("BackupCopy")) => Some("BackupCopyJobInfo"),
        ("JobEntityTypeNestedJobInfo", Some("ImmediateBackupCopy")) => Some("ImmediateBackupCopyJobInfo"),
        ("JobEntityTypeNestedJobInfo", _) => Some("BackupJobInfo"),
        ("ScheduleOptionsInfoType", Some("ImmediateBackupCopy")) => Some("ImmediateCopyMode"),
        ("ScheduleOptionsInfoType", _) => Some("Standart"),
        ("CloudTenantTypeInfoType", _) => Some(match facts::tenant_type(row.index) {
            "vCD" => "vCloudTenant",
            "ActiveDirectory" => "ADTenantType",
            _ => "StandaloneTenant",
        }),
        _ => None,
    }
}

/// An account's roles are things of their own.
fn roles(row: &Row, ty: &str) -> Option<&'static Kind> {
    (row.kind.path == "/security/accounts" && ty == "EnterpriseRoleEntityType")
        .then(|| super::kinds::kind("/security/roles"))
        .flatten()
}

impl<'a> Spot<'a> {
    /// The thing's own element.
    pub fn of(row: &'a Row) -> Self {
        Self {
            row,
            trail: 0,
            item: 0,
            depth: 0,
        }
    }
}
