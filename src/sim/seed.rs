//! The plans, tenants, machines and servers that every simulated EM begins with.
//!
//! They are the same whatever the seed: scripts and readers can rely on the ids. The first cloud plan is the
//! one of the manual's examples.

use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use uuid::Uuid;

use super::dice::Dice;
use super::inventory::{BackupServer, Command, FIRST_PLAN, Kind, Plan, PlanMachine, Tenant};

const FIRST_SERVER: Uuid = Uuid::from_u128(0x4ceb_4e03_d23d_4c4e_be05_2158_0b26_0243);
const FIRST_POINTS: [Uuid; 2] = [
    Uuid::from_u128(0xc1be_ab6b_2b18_47f1_9e71_354a_b8a4_9fc2),
    Uuid::from_u128(0x796c_bc20_c2be_4acf_bc1a_4e1e_32d7_df46),
];
const TENANTS: [&str; 4] = [
    "ABC Company",
    "Nordwind Klinik",
    "R&D / site <B>",
    "O'Hara \"& Sons\"",
];

/// How far back the oldest replica point of any machine lies.
pub const OLDEST_REPLICA: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The backup servers.
pub fn servers() -> Vec<BackupServer> {
    let server = |id, name: &str| BackupServer {
        id,
        name: name.to_owned(),
        description: format!("Created by {name}\\Administrator"),
    };
    vec![
        server(FIRST_SERVER, "srv13.lab.example"),
        server(id("server 2"), "srv27.lab.example"),
    ]
}

/// So many plans of one kind, each with so many machines.
pub fn plans(kind: Kind, count: usize, machines: usize, servers: usize) -> Vec<Plan> {
    (0..count)
        .map(|index| {
            let (tenant, name) = match kind {
                Kind::Cloud => {
                    let tenant = tenant(index);
                    let name = match index / TENANTS.len() {
                        0 => format!("{} Failover Plan", tenant.name),
                        round => format!("{} Failover Plan {}", tenant.name, round + 1),
                    };
                    (Some(tenant), name)
                }
                Kind::OnPremises => (None, format!("Site {} Failover Plan", index + 1)),
            };
            let plan_id = match (kind, index) {
                (Kind::Cloud, 0) => FIRST_PLAN,
                _ => id(&format!("{kind:?} plan {index}")),
            };
            Plan {
                id: plan_id,
                kind,
                description: format!("Failover of {machines} machines"),
                tenant,
                server: index % servers.max(1),
                machines: (0..machines)
                    .map(|machine| plan_machine(kind, index, machine))
                    .collect(),
                name,
                before: Command::default(),
                after: Command::default(),
                busy_until: None,
                deleted_at: None,
            }
        })
        .collect()
}

fn tenant(index: usize) -> Tenant {
    let name = TENANTS
        .get(index % TENANTS.len())
        .copied()
        .unwrap_or("ABC Company");
    Tenant {
        id: id(&format!("tenant {name}")),
        name: name.to_owned(),
    }
}

fn plan_machine(kind: Kind, plan: usize, machine: usize) -> PlanMachine {
    let key = format!("{kind:?} plan {plan} machine {machine}");
    let first = if kind == Kind::Cloud && plan == 0 {
        FIRST_POINTS.get(machine).copied()
    } else {
        None
    };
    // The first plan's machines are called as in the manual (filesrv03, filesrv04).
    let name = match (kind, plan) {
        (Kind::Cloud, 0) => format!("filesrv{:02}", machine + 3),
        (Kind::Cloud, _) => format!(
            "{}{:02}",
            ["app", "db", "web"].get(plan % 3).unwrap_or(&"vm"),
            machine + 1
        ),
        (Kind::OnPremises, _) => format!("srv{}", 38 + 10 * plan + machine),
    };
    PlanMachine {
        id: id(&key),
        name,
        replica_point: first.unwrap_or_else(|| id(&format!("{key} point"))),
        replicated_at: None,
    }
}

/// The time of the replica point that a failover at that moment takes, as EM writes it into the point's name.
pub fn replica_time(machine: &PlanMachine, at: Timestamp) -> String {
    let mut dice = Dice::from_id(machine.id);
    let night = at
        .to_zoned(TimeZone::UTC)
        .start_of_day()
        .and_then(|day| {
            let minutes = i64::try_from(dice.below(180)).unwrap_or(0);
            let seconds = i64::try_from(dice.below(60)).unwrap_or(0);
            day.checked_sub(24.hours())?
                .checked_add((300 + minutes).minutes().seconds(seconds))
        })
        .map_or(at, |zoned| zoned.timestamp());
    night.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn id(name: &str) -> Uuid {
    Dice::from_name(name).id()
}
