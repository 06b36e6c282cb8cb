//! Single values: whatever their name and type make plausible, odd spellings included.

use jiff::{SignedDuration, Timestamp};

use super::facts;
use super::kinds::kind;
use super::names::{hierarchy_ref, words};
use super::plan::MEANINGS;
use crate::catalogue::{EnumId, Field, Place, Scalar, Value, catalogue};
use crate::sim::dice::Dice;
use crate::sim::scene::{Row, Scene};
use crate::sim::times::{Rounding, spell};

/// Where in a thing's document a value is.
#[derive(Debug, Clone, Copy)]
pub struct Spot<'a> {
    pub row: &'a Row,
    /// Tells apart fields of one name in different places.
    pub trail: u64,
    /// The position in a list.
    pub item: usize,
    /// The thing's own element is 0.
    pub depth: usize,
}

/// The days of a schedule and the like: a list goes through them instead of throwing dice.
fn in_turn(values: &[&'static str], item: usize) -> Option<&'static str> {
    values.get(item % values.len().max(1)).copied()
}

impl Scene<'_> {
    /// The dice of one value.
    pub fn dice(self, spot: Spot<'_>, name: &str) -> Dice {
        let mut dice = Dice::from_id(spot.row.key);
        let (own, field) = (dice.next(), Dice::from_name(name).next());
        Dice::new(self.world.seed ^ own ^ field.rotate_left(21) ^ spot.trail.rotate_left(42))
    }

    /// A value, or nothing where EM would have none; `must` says that EM has one.
    pub fn scalar(self, spot: Spot<'_>, field: &Field, must: bool) -> Option<String> {
        let row = spot.row;
        // EM never gives these away.
        if matches!(field.name, "Password" | "VMwareSSOToken") {
            return None;
        }
        if spot.depth == 0 {
            match field.name {
                "CreationTimeUTC" | "CreationTimeUtc" | "BackupDateUTC" => {
                    return Some(self.time(facts::created(self, row), row, Rounding::Down));
                }
                "EndTimeUTC" => {
                    return facts::ended(self, row).map(|at| self.time(at, row, Rounding::Up));
                }
                "Name" | "RoleName" | "HierarchyRootName" if row.kind.owner.is_some() => {
                    return Some(self.name(row));
                }
                "VmName" | "VmDisplayName" | "VAppName" | "VAppDisplayName" => {
                    return Some(self.machine(row));
                }
                _ => {}
            }
            if let Some(value) = facts::value(self, row, field.name) {
                return Some(value);
            }
            if facts::has_state(row.kind) && matches!(field.name, "FailureMessage" | "Reason") {
                return None;
            }
        }
        let mut dice = self.dice(spot, field.name);
        let empty = (field.nillable || field.doubtful) && dice.below(2) == 0;
        if !empty && let Some(other) = self.meant(row, field) {
            return Some(other);
        }
        let optional = !must && !field.required && field.place == Place::Element;
        let known = matches!(field.value, Value::Enum(_)) || field.name.ends_with("Id");
        if optional && !known && dice.below(if field.doubtful { 2 } else { 7 }) == 0 {
            return None;
        }
        match field.value {
            Value::Type(_) => None,
            Value::Enum(id) => choose(id, spot, &mut dice).map(str::to_owned),
            Value::Scalar(scalar) => Some(self.of_type(spot, field, scalar, &mut dice)),
        }
    }

    /// The id or name of the other thing that a field names.
    fn meant(self, row: &Row, field: &Field) -> Option<String> {
        let (prefix, name) = match field.name {
            "BackupServer" => ("BackupServer", true),
            name => match name.strip_suffix("Name") {
                Some(prefix) => (prefix, true),
                None => (
                    name.strip_suffix("Uid").or_else(|| name.strip_suffix("UID"))?,
                    false,
                ),
            },
        };
        let (_, paths) = MEANINGS.iter().find(|(known, _)| *known == prefix)?;
        let kinds = || paths.iter().filter_map(|path| kind(path));
        let other = kinds()
            .find_map(|target| self.relation(row, target))
            .or_else(|| kinds().next().and_then(|target| self.related(row, target)))?;
        Some(match field.value {
            _ if name => self.name(&other),
            Value::Scalar(Scalar::Uuid) => other.id,
            _ => other.uid(),
        })
    }

    /// A moment as the thing spells its moments.
    pub fn time(self, at: Timestamp, row: &Row, rounding: Rounding) -> String {
        spell(at, row.key, rounding, self.world.options.plain)
    }

    fn of_type(self, spot: Spot<'_>, field: &Field, scalar: Scalar, dice: &mut Dice) -> String {
        let row = spot.row;
        match scalar {
            Scalar::String => text(field, dice),
            Scalar::Urn => hierarchy_ref(row, field.name),
            Scalar::Uuid if field.nillable && dice.below(3) == 0 => String::new(),
            Scalar::Uuid if spot.depth == 0 && row.id.len() == 36 && own_id(field.name) => row.id.clone(),
            Scalar::Uuid => dice.id().to_string(),
            Scalar::Url => self.href(&row.path()),
            Scalar::Time => format!("{:02}:{:02}:00.0000000-07:00", dice.below(24), dice.below(4) * 15),
            Scalar::Int => integer(spot, field, dice),
            Scalar::Long => long(field, dice),
            Scalar::Decimal => format!("{}.{}", 1 + dice.below(4), dice.below(1000)),
            Scalar::Boolean => if dice.below(2) == 0 { "false" } else { "true" }.to_owned(),
            Scalar::DateTime => self.moment(row, field, dice),
        }
    }

    fn moment(self, row: &Row, field: &Field, dice: &mut Dice) -> String {
        let minutes = i64::try_from(dice.below(30 * 24 * 60)).unwrap_or(0);
        let ahead = matches!(field.name, "NextRun" | "ExpirationDate" | "LeaseExpirationDate");
        if field.name == "LastActive" && dice.below(3) == 0 {
            return "1753-01-01T00:00:00Z".to_owned();
        }
        let distance = SignedDuration::from_mins(if ahead { minutes } else { -minutes });
        let at = self.world.born.checked_add(distance).unwrap_or(self.world.born);
        self.time(at, row, Rounding::Down)
    }
}

fn text(field: &Field, dice: &mut Dice) -> String {
    let number = dice.below(250) + 1;
    let name = field.name;
    match field.hint {
        Some("version") => return format!("13.0.1.{}", 1000 + number),
        Some("ipv4") => return format!("172.17.{number}.{}", dice.below(250)),
        Some("hour-mask") => {
            let hours = (0..24).map(|hour| if hour % 24 < number % 24 { "1" } else { "0" });
            return hours.collect::<Vec<_>>().join(",");
        }
        _ => {}
    }
    match name {
        "Description" if dice.below(6) == 0 => String::new(),
        "Description" => {
            let authors = ["SRV13\\Administrator", "O'Hara & \"Sons\" <ops>", "Jürgen Groß"];
            let author = in_turn(&authors, usize::try_from(number).unwrap_or(0)).unwrap_or("");
            format!("Created by {author} at 5/{}/2026 8:29:45 PM.", 1 + number % 28)
        }
        "Username" | "UserName" | "AccountName" | "Account" | "Login" | "DomainAccount" => {
            format!("LAB\\svc{number:03}")
        }
        "Version" | "AgentVersion" => format!("6.3.{}.{number}", dice.below(3)),
        "OsVersion" => "Microsoft Windows Server 2022 (10.0)".to_owned(),
        "LastResult" => "Success".to_owned(),
        "VbrCertificateThumbprint" | "CertSerialNumber" => {
            format!("{:016X}{:016X}", dice.next(), dice.next())
        }
        "UniqueId" | "FamilyGUID" | "BindingID" | "SwitchId" | "ClusterId" => dice.id().to_string(),
        "FilePath" | "CachePath" | "VolumePath" | "DataPath" | "StorageSnapshotPath" => {
            format!("D:\\Backup\\Job {number}\\disk #1.vbk")
        }
        "Path" | "FileOrFolder" | "RootPath" => format!("\\\\filer{number}\\share & more"),
        "Domain" | "DomainName" => "lab.example".to_owned(),
        "Extension" | "FlrExtentionRestrictions" => format!("*.x{number}"),
        "Tag" => format!("tag-{number}"),
        "ObjectType" | "HierarchyObjectType" => "Vm".to_owned(),
        "ObjectName" => facts::machine(usize::try_from(number).unwrap_or(0)),
        "DayNumberInMonth" => "First".to_owned(),
        "FullVersion" | "ProductVersion" => "16.0.1000.6".to_owned(),
        "RecoveryModel" => "SIMPLE".to_owned(),
        "ReadOnly" => "False".to_owned(),
        "Hint" => "the usual one".to_owned(),
        _ if name.ends_with("Link") => {
            format!("http://em.lab.example:9080/reports?id={number}&view=full")
        }
        _ if name.contains("Ip") && name.contains("Address") || name == "ExternalIP" => {
            format!("203.0.113.{number}")
        }
        _ if name == "DnsNameOrIpAddress" => format!("gate{number}.lab.example"),
        _ => format!("{} {number}", words(name)),
    }
}

/// A field that repeats the id of its own thing.
fn own_id(name: &str) -> bool {
    matches!(
        name,
        "Id" | "UID" | "ObjectInJobId" | "FailoverPlanVMId" | "HierarchyRootId"
    )
}

fn choose(id: EnumId, spot: Spot<'_>, dice: &mut Dice) -> Option<&'static str> {
    let values = &catalogue().enumeration(id).values;
    let known = if values.is_empty() {
        &catalogue().enumeration(id).observed
    } else {
        values
    };
    if spot.item > 0 {
        return in_turn(known, spot.item);
    }
    let at = dice.below(u64::try_from(known.len()).unwrap_or(1));
    known.get(usize::try_from(at).unwrap_or(0)).copied()
}

fn integer(spot: Spot<'_>, field: &Field, dice: &mut Dice) -> String {
    let name = field.name;
    let has = |part: &str| name.contains(part);
    let number = match name {
        _ if field.hint == Some("u16") || has("Port") => 1024 + dice.below(60_000),
        _ if field.hint == Some("timespan") => return "-25200".to_owned(),
        "Order" => u64::try_from(spot.item.max(spot.row.index)).unwrap_or(0),
        "CompressionLevel" => 5,
        "TimeZone" => return "-8".to_owned(),
        "DayOfMonth" => 1 + dice.below(28),
        _ if has("Percent") => dice.below(101),
        _ if has("Mb") || has("Mhz") => 512 * (1 + dice.below(4_000)),
        _ if has("Gb") => 10 * (1 + dice.below(200)),
        _ if has("Vlan") => 100 + dice.below(900),
        _ => dice.below(60),
    };
    number.to_string()
}

/// Sizes now and then lie beyond what a double can hold exactly.
fn long(field: &Field, dice: &mut Dice) -> String {
    if field.hint == Some("u64") {
        return (u64::MAX - dice.below(1 << 40)).to_string();
    }
    let name = field.name;
    let number = if name.contains("Gb") {
        dice.below(5_000)
    } else if name.contains("Hours") || name.contains("Minutes") || name.contains("Days") || name == "Port" {
        dice.below(60)
    } else if dice.below(4) == 0 {
        (1 << 53) + 1 + 2 * dice.below(1 << 50)
    } else {
        dice.below(1 << 44)
    };
    number.to_string()
}
