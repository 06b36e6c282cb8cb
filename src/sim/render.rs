//! EM's documents, element by element in the order of its schema.

use jiff::Timestamp;
use uuid::Uuid;

use super::failover::{Failover, MachineSnapshot, Tempo};
use super::inventory::{Kind, Plan, PlanMachine};
use super::logon::{Logon, Task, TaskState, Work};
use super::scene::Scene;
use super::times::{Rounding, spell};
use super::world::World;
use super::xml::Element;

/// The two forms of a key resource (EM's manual, "Resource Representations").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Reference,
    Entity,
}

/// Writes documents about one world at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Documents<'a> {
    pub world: &'a World,
    pub now: Timestamp,
}

/// A link element; resources carry type and name, actions neither.
pub fn link(rel: &str, href: String, name: Option<&str>, kind: Option<&str>) -> Element {
    let mut element = Element::new("Link").attr("Rel", rel).attr("Href", href);
    if let Some(name) = name {
        element = element.attr("Name", name);
    }
    if let Some(kind) = kind {
        element = element.attr("Type", kind);
    }
    element
}

fn links(children: impl IntoIterator<Item = Element>) -> Element {
    Element::new("Links").children(children)
}

/// The identity attributes of an entity or reference.
fn identify(name: &'static str, kind: &str, href: String, title: &str, uid: String) -> Element {
    Element::new(name)
        .attr("Type", kind)
        .attr("Href", href)
        .attr("Name", title)
        .attr("UID", uid)
}

fn uid(kind: &str, id: Uuid) -> String {
    format!("urn:veeam:{kind}:{id}")
}

fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

impl Documents<'_> {
    fn href(self, path: &str) -> String {
        format!("{}{path}", self.world.options.href_base.trim_end_matches('/'))
    }

    fn up_to_server(self, index: usize) -> Option<Element> {
        let server = self.world.servers.get(index)?;
        let href = self.href(&format!("/backupServers/{}", server.id));
        Some(link(
            "Up",
            href,
            Some(&server.name),
            Some("BackupServerReference"),
        ))
    }

    /// An `EntityRef` (or, in lists, `Ref`) of anything that has an id and a name.
    fn reference(
        self,
        root: &'static str,
        kind: &str,
        path: &str,
        (id, name): (Uuid, &str),
        up: Option<Element>,
    ) -> Element {
        let href = self.href(&format!("{path}/{id}"));
        let alternate = link(
            "Alternate",
            format!("{href}?format=Entity"),
            Some(name),
            Some(kind),
        );
        identify(root, &format!("{kind}Reference"), href, name, uid(kind, id))
            .child(links(up.into_iter().chain([alternate])))
    }

    /// `EnterpriseManager`, the base document.
    pub fn base(self) -> Element {
        let versions = ["v1_5", "v1_6", "v1_7"].map(|version| {
            let href = self.href(&format!("/sessionMngr/?v={version}"));
            Element::new("SupportedVersion")
                .attr("Name", version)
                .child(links([link("Create", href, None, Some("LogonSession"))]))
        });
        Element::new("EnterpriseManager")
            .attr("Href", self.href("/"))
            .attr("Type", "EnterpriseManager")
            .child(links([link(
                "Create",
                self.href("/sessionMngr/?v=latest"),
                None,
                Some("LogonSession"),
            )]))
            .child(Element::new("SupportedVersions").children(versions))
    }

    /// `LogonSession`.
    pub fn logon(self, logon: &Logon) -> Element {
        let href = self.href(&format!("/logonSessions/{}", logon.id));
        let scene = Scene {
            world: self.world,
            now: self.now,
        };
        Element::new("LogonSession")
            .attr("Type", "LogonSession")
            .attr("Href", href.clone())
            .child(links(scene.services().into_iter().chain([link(
                "Delete",
                href,
                None,
                Some("LogonSession"),
            )])))
            .text_child(
                "UserName",
                logon
                    .tenant
                    .as_ref()
                    .map_or(self.world.options.user.as_str(), |tenant| tenant.name.as_str()),
            )
            .text_child("SessionId", logon.id.to_string())
    }

    /// A failover plan of either kind in either form.
    pub fn plan(self, plan: &Plan, form: Form, list: bool) -> Element {
        let (kind, path) = names(plan.kind);
        let up = self.up_to_server(plan.server);
        if form == Form::Reference {
            let root = if list { "Ref" } else { "EntityRef" };
            return self.reference(root, kind, path, (plan.id, &plan.name), up);
        }
        let href = self.href(&format!("{path}/{}", plan.id));
        let action = |rel: &str, action: &str| link(rel, format!("{href}?action={action}"), None, None);
        let mut all: Vec<Element> = up.into_iter().collect();
        all.push(link(
            "Alternate",
            href.clone(),
            Some(&plan.name),
            Some(&format!("{kind}Reference")),
        ));
        all.push(link("Edit", href.clone(), Some(&plan.name), Some(kind)));
        if plan.kind == Kind::Cloud {
            let includes = format!("{href}/includes");
            all.push(link("Down", includes, None, Some("CloudFailoveredVmList")));
        }
        all.push(action("Start", "start"));
        if plan.kind == Kind::Cloud {
            all.push(action("Test", "test"));
        }
        all.push(action("Undo", "undo"));
        if plan.kind == Kind::Cloud {
            all.push(link("Delete", href.clone(), Some(&plan.name), Some(kind)));
        }
        let entity = identify(
            kind,
            kind,
            format!("{href}?format=Entity"),
            &plan.name,
            uid(kind, plan.id),
        )
        .child(links(all));
        match &plan.tenant {
            None => entity.text_child("Description", plan.description.as_str()).child(
                Element::new("FailoverPlanInfo").child(
                    Element::new("Includes").children(
                        plan.machines
                            .iter()
                            .enumerate()
                            .map(|(order, machine)| Self::local_vm(machine, order)),
                    ),
                ),
            ),
            Some(tenant) => entity
                .text_child("TenantUid", uid("CloudTenant", tenant.id))
                .text_child("TenantName", tenant.name.as_str())
                .text_child("Description", plan.description.as_str())
                .child(
                    Element::new("CloudFailoverPlanOptions")
                        .text_child("PostFailoverPlanCommandEnabled", boolean(plan.after.enabled))
                        .text_child("PostFailoverPlanCommand", plan.after.command.as_str())
                        .text_child("PreFailoverPlanCommandEnabled", boolean(plan.before.enabled))
                        .text_child("PreFailoverPlanCommand", plan.before.command.as_str()),
                )
                .child(Element::new("CloudFailoverPlanInfo").child(
                    Element::new("Includes").children(
                        plan.machines.iter().enumerate().map(|(order, machine)| {
                            self.cloud_vm("CloudFailoverPlanVm", plan, machine, order)
                        }),
                    ),
                )),
        }
    }

    /// A machine of a cloud plan; EM calls it `CloudFailoverPlanVm` in the plan and `CloudFailoveredVm` alone.
    pub fn cloud_vm(self, root: &'static str, plan: &Plan, machine: &PlanMachine, order: usize) -> Element {
        let href = self.href(&format!(
            "{}/{}/includes/{}",
            names(plan.kind).1,
            plan.id,
            machine.id
        ));
        Element::new(root)
            .attr("Type", "CloudFailoveredVm")
            .attr("Href", href)
            .text_child("FailoverPlanVMId", machine.id.to_string())
            .text_child("Name", machine.name.as_str())
            .text_child("Order", order.to_string())
    }

    fn local_vm(machine: &PlanMachine, order: usize) -> Element {
        Element::new("FailoveredVm")
            .attr("Type", "FailoveredVm")
            .text_child("FailoveredVmId", machine.id.to_string())
            .text_child(
                "HierarchyObjRef",
                format!("urn:VMware:Vm:{}.vm-{}", machine.replica_point, 100 + order),
            )
            .text_child("Name", machine.name.as_str())
            .text_child("DisplayName", machine.name.as_str())
            .text_child("Order", order.to_string())
    }

    /// A failover session; rows of a query carry no links.
    pub fn session(self, failover: &Failover, form: Form, list: bool, with_links: bool) -> Element {
        const KIND: &str = "CloudFailoverSession";
        const PATH: &str = "/cloud/failoverSessions";
        let up = self.up_to_server(failover.server);
        if form == Form::Reference {
            let root = if list { "Ref" } else { "EntityRef" };
            return self.reference(root, KIND, PATH, (failover.id, &failover.plan_name), up);
        }
        let href = self.href(&format!("{PATH}/{}", failover.id));
        let snapshot = failover.at(self.now, self.world.tempo);
        let mut entity = identify(
            KIND,
            KIND,
            format!("{href}?format=Entity"),
            &failover.plan_name,
            uid(KIND, failover.id),
        );
        if with_links {
            let alternate = link(
                "Alternate",
                href,
                Some(&failover.plan_name),
                Some("CloudFailoverSessionReference"),
            );
            entity = entity.child(links(up.into_iter().chain([alternate])));
        }
        entity = entity.text_child("JobType", "FailoverPlan").text_child(
            "CreationTimeUTC",
            self.time(failover.started, failover.id, Rounding::Down),
        );
        if let Some(ended) = snapshot.ended {
            entity = entity.text_child("EndTimeUTC", self.time(ended, failover.id, Rounding::Up));
        }
        entity = entity
            .text_child("State", snapshot.state.name())
            .text_child("Result", snapshot.outcome.name())
            .text_child("Progress", snapshot.progress.to_string());
        if let Some(message) = snapshot.failure_message {
            entity = entity.text_child("FailureMessage", message);
        }
        entity.child(
            Element::new("CloudFailoverTasks").children(
                snapshot
                    .machines
                    .iter()
                    .map(|machine| self.session_machine(machine, failover.id)),
            ),
        )
    }

    fn session_machine(self, snapshot: &MachineSnapshot<'_>, session: Uuid) -> Element {
        let machine = snapshot.machine;
        let point = self.href(&format!("/cloud/vmReplicaPoints/{}", machine.replica_point));
        let mut element = Element::new("CloudFailoverTasks")
            .attr("VmName", machine.name.as_str())
            .child(
                Element::new("VmReplicaPointLink")
                    .attr("Rel", "Related")
                    .attr("Type", "CloudVmReplicaPointReference")
                    .attr("Href", point)
                    .attr("Name", machine.replica_point_name.as_str()),
            )
            .text_child(
                "CreationTimeUTC",
                self.time(snapshot.started, session, Rounding::Down),
            );
        if let Some(ended) = snapshot.ended {
            element = element.text_child("EndTimeUTC", self.time(ended, session, Rounding::Up));
        }
        element = element
            .text_child("State", snapshot.state.name())
            .text_child("Result", snapshot.outcome.name())
            .text_child("Progress", snapshot.progress.to_string());
        match snapshot.failure_message {
            Some(message) => element.text_child("FailureMessage", message),
            None => element,
        }
    }

    /// A task; only the finished one of a cloud test or start links its session.
    pub fn task(self, task: &Task) -> Element {
        let href = self.href(&format!("/tasks/{}", task.id()));
        let tempo: Tempo = self.world.tempo;
        let state = task.state(self.now, tempo, self.world.options.collect_delay);
        let mut all = vec![link("Delete", href.clone(), None, Some("Task"))];
        if let (TaskState::Finished, Work::Failover(id), None) = (state, task.work, &task.failure)
            && let Some(failover) = self.world.failovers.iter().find(|failover| failover.id == id)
        {
            let session = self.href(&format!("/cloud/failoverSessions/{id}?format=Entity"));
            all.push(link(
                "Related",
                session,
                Some(&failover.plan_name),
                Some("CloudFailoverSession"),
            ));
        }
        if state == TaskState::Finished && task.failure.is_none() {
            all.extend(task.links.iter().map(|related| {
                let href = self.href(&related.path);
                link(related.rel, href, related.name.as_deref(), related.kind)
            }));
        }
        let element = Element::new("Task")
            .attr("Type", "Task")
            .attr("Href", href)
            .child(links(all))
            .text_child("TaskId", task.id())
            .text_child("State", state.name())
            .text_child("Operation", task.operation);
        if state == TaskState::Running {
            return element;
        }
        element.child(
            Element::new("Result")
                .attr("Success", boolean(task.failure.is_none()))
                .text_child("Message", task.failure.as_deref().unwrap_or("Ok")),
        )
    }

    fn time(self, at: Timestamp, owner: Uuid, rounding: Rounding) -> String {
        spell(at, owner, rounding, self.world.options.plain)
    }
}

/// EM's type name and path of a plan kind.
pub fn names(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Cloud => ("CloudFailoverPlan", "/cloud/cloudFailoverPlans"),
        Kind::OnPremises => ("FailoverPlan", "/failoverPlans"),
    }
}
