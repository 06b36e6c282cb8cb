//! What a PUT changes on a failover plan. The body is the whole plan as it was read: a missing member is a fault and
//! never filled in, since a caller who sends less has not read the plan, or has lost a part of it.

use serde_json::{Map, Value};

use super::evidence::PlanSettings;
use super::{Error, FieldError};
use crate::api_types;
use crate::domain::links::Links;
use crate::domain::plan::{Plan, PlanCommand, PlanEdit, PlanKind};
use crate::text::json_pointer;
use crate::transcode;

/// Members of a plan that are not EM's: one who knows EM's plan alone has read it whole.
const KEPT_ELSEWHERE: &[&str] = &["objectives", "schedule"];

/// What `body` changes on `plan`: it must hold every member, and those that may not change as they were read.
pub(super) fn edit_of(
    links: &Links,
    plan: &Plan,
    settings: &PlanSettings,
    body: &Value,
) -> Result<PlanEdit, Error> {
    let Value::Object(fields) = body else {
        return Err(Error::invalid(
            "",
            "must be an object: the plan as it was read, with the changes applied",
        ));
    };
    let current = serde_json::to_value(api_types::plans::Plan::new(
        links,
        plan,
        &settings.objectives(&plan.id),
        settings.schedule(&plan.id),
    ))
    .map_err(|_| Error::Internal("a plan could not be represented"))?;
    let editable: &'static [&'static str] = match plan.kind {
        PlanKind::Cloud => &["preFailoverCommand", "postFailoverCommand"],
        PlanKind::OnPremises => &["description"],
    };
    let mut comparison = Comparison {
        editable,
        faults: Vec::new(),
    };
    if let Value::Object(current) = &current {
        comparison.members("", current, fields);
    }
    let mut faults = comparison.faults;
    let edit = match plan.kind {
        PlanKind::Cloud => {
            let mut one = |name: &str| match fields.get(name) {
                Some(given) => command(given, &format!("/{name}"), &mut faults),
                None => PlanCommand::default(),
            };
            PlanEdit::Cloud {
                pre_command: one("preFailoverCommand"),
                post_command: one("postFailoverCommand"),
            }
        }
        PlanKind::OnPremises => PlanEdit::OnPremises {
            description: match fields.get("description") {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => {
                    check_text(text, "/description", &mut faults);
                    text.clone()
                }
                Some(_) => {
                    faults.push(FieldError::new("/description", "must be a string or null"));
                    String::new()
                }
            },
        },
    };
    if faults.is_empty() {
        Ok(edit)
    } else {
        Err(Error::Invalid(faults))
    }
}

/// A plan as it was read beside the plan that was sent.
struct Comparison {
    editable: &'static [&'static str],
    faults: Vec<FieldError>,
}

impl Comparison {
    /// Every member of `current` must be in `given`, and none besides.
    fn members(&mut self, pointer: &str, current: &Map<String, Value>, given: &Map<String, Value>) {
        for (name, is) in current {
            let place = json_pointer(pointer, name);
            let may_change = pointer.is_empty() && self.editable.contains(&name.as_str());
            match given.get(name) {
                None if pointer.is_empty() && KEPT_ELSEWHERE.contains(&name.as_str()) => {}
                None => self.faults.push(FieldError::new(
                    place,
                    "is missing: send the whole plan as it was read",
                )),
                Some(_) if may_change => {}
                Some(value) => self.value(place, is, value),
            }
        }
        for name in given.keys().filter(|name| !current.contains_key(*name)) {
            let place = json_pointer(pointer, name);
            self.faults
                .push(FieldError::new(place, "a plan has no such member"));
        }
    }

    /// What may not change must be as it was read.
    fn value(&mut self, pointer: String, is: &Value, given: &Value) {
        match (is, given) {
            (Value::Object(is), Value::Object(given)) => self.members(&pointer, is, given),
            (Value::Array(is), Value::Array(given)) if is.len() == given.len() => {
                for (index, (is, given)) in is.iter().zip(given).enumerate() {
                    self.value(format!("{pointer}/{index}"), is, given);
                }
            }
            (is, given) if is == given => {}
            _ => self.faults.push(FieldError::new(
                pointer,
                format!("cannot be changed here; {} can", self.editable.join(" and ")),
            )),
        }
    }
}

/// Text becomes part of an XML document.
fn check_text(text: &str, pointer: &str, faults: &mut Vec<FieldError>) {
    if !transcode::is_xml_text(text) {
        faults.push(FieldError::new(
            pointer,
            "holds a character that XML does not allow",
        ));
    }
}

/// A command as it was sent; null means none.
fn command(given: &Value, pointer: &str, faults: &mut Vec<FieldError>) -> PlanCommand {
    let mut command = PlanCommand::default();
    let fields = match given {
        Value::Object(fields) => fields,
        Value::Null => return command,
        _ => {
            faults.push(FieldError::new(
                pointer,
                "must be an object with enabled and command",
            ));
            return command;
        }
    };
    if let Some(Value::String(text)) = fields.get("command") {
        check_text(text, &json_pointer(pointer, "command"), faults);
    }
    let mut fault =
        |name: &str, detail: &str| faults.push(FieldError::new(json_pointer(pointer, name), detail));
    match fields.get("enabled") {
        Some(Value::Bool(enabled)) => command.enabled = *enabled,
        Some(_) => fault("enabled", "must be true or false"),
        None => fault("enabled", "is missing: a command has enabled and command"),
    }
    match fields.get("command") {
        Some(Value::String(text)) if !text.is_empty() || !command.enabled => {
            command.command = Some(text.clone());
        }
        Some(Value::Null) if !command.enabled => {}
        Some(Value::String(_) | Value::Null) => fault("command", "is needed when the command is enabled"),
        Some(_) => fault("command", "must be a string or null"),
        None => fault("command", "is missing: a command has enabled and command"),
    }
    for name in fields.keys() {
        if !matches!(name.as_str(), "enabled" | "command") {
            fault(name, "a command has no such member; it has enabled and command");
        }
    }
    command
}
