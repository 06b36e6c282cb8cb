//! What the passes over the data files share: the names seen so far, and the faults found.

use std::collections::BTreeMap;

use super::error::{Fault, FaultKind};
use super::model::{Scalar, TypeId, Value};

/// Names seen so far and the faults found.
pub(super) struct Loader {
    pub faults: Vec<Fault>,
    scalars: BTreeMap<&'static str, Value>,
}

impl Loader {
    /// A loader that knows the scalars.
    pub(super) fn new() -> Self {
        Self {
            faults: Vec::new(),
            scalars: Scalar::ALL
                .iter()
                .map(|(name, scalar)| (*name, Value::Scalar(*scalar)))
                .collect(),
        }
    }

    /// Gives a name its meaning; a fault when it has one.
    pub(super) fn name(&mut self, file: &'static str, name: &'static str, value: Value) {
        if self.scalars.insert(name, value).is_some() {
            self.fault(file, name, FaultKind::Duplicate);
        }
    }

    pub(super) fn fault(&mut self, file: &'static str, name: impl Into<String>, what: FaultKind) {
        self.faults.push(Fault {
            file,
            name: name.into(),
            what,
        });
    }

    /// Scalar, enumeration or type of this name.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        self.scalars.get(name).copied()
    }

    /// The type of this name, where one is given; a fault when there is none.
    pub(super) fn type_id(
        &mut self,
        file: &'static str,
        owner: &str,
        name: Option<&'static str>,
    ) -> Option<TypeId> {
        let name = name?;
        if let Some(Value::Type(id)) = self.value(name) {
            return Some(id);
        }
        self.fault(file, owner, FaultKind::UnknownType(name.to_owned()));
        None
    }
}

/// `cloud.toml` → `cloud`.
pub(super) fn area_of(file: &'static str) -> &'static str {
    file.strip_suffix(".toml").unwrap_or(file)
}
