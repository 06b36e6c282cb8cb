//! What was seen, added up: types and their fields with counts, and each difference with how often it occurred.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// So many forms of a value are told of one field and kind; further ones are counted together.
const FORMS: usize = 8;

/// In what a document differs from the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A document element that the catalogue does not have.
    UnknownDocument,
    /// A `Type` that no type goes by.
    UnknownType,
    /// An element that its type does not have.
    UnknownElement,
    /// An attribute that its type does not have.
    UnknownAttribute,
    /// Text where the type has none.
    UnknownText,
    /// A relation of a link.
    UnknownLinkRelation,
    /// An address of a link that leads to no resource.
    UnknownAddress,
    /// A value that its enumeration does not list.
    UnknownEnumValue,
    /// A value that is none of its scalar.
    ValueDoesNotFit,
    /// An element before one that it should follow.
    WrongOrder,
    /// What has to be there is not.
    Missing,
    /// What may be there once is there again.
    Repeated,
    /// Another namespace than EM's, or none.
    OtherNamespace,
    /// A declared encoding that is not UTF-8.
    OtherEncoding,
    /// A `Content-Type` that is not XML.
    OtherContentType,
    /// The transcoder refuses the document.
    NotReadable,
    /// A resource of the catalogue that EM does not answer.
    NotServed,
}

impl Kind {
    /// The kind as a heading.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::UnknownDocument => "documents that the catalogue does not know",
            Self::UnknownType => "types that the catalogue does not know",
            Self::UnknownElement => "elements that the catalogue does not know",
            Self::UnknownAttribute => "attributes that the catalogue does not know",
            Self::UnknownText => "text where the catalogue has none",
            Self::UnknownLinkRelation => "relations of links that the catalogue does not know",
            Self::UnknownAddress => "addresses that the catalogue does not know",
            Self::UnknownEnumValue => "values that their enumeration does not list",
            Self::ValueDoesNotFit => "values that do not fit their type",
            Self::WrongOrder => "elements in another order",
            Self::Missing => "required, and not there",
            Self::Repeated => "once in the catalogue, and there again",
            Self::OtherNamespace => "another namespace",
            Self::OtherEncoding => "another encoding declared",
            Self::OtherContentType => "another content type",
            Self::NotReadable => "documents that cannot be transcoded",
            Self::NotServed => "resources that are not served",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    pub kind: Kind,
    /// EM's name of the type; the path of the resource where it is about no type.
    #[serde(rename = "type")]
    pub ty: String,
    /// The field; empty where it is about the whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What there is to tell of it without telling a value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// How often a type was seen, and which of its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeSums {
    pub seen: u64,
    pub fields: BTreeMap<String, u64>,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    pub types: BTreeMap<String, TypeSums>,
    #[serde(with = "listed")]
    pub findings: BTreeMap<Finding, u64>,
}

impl Sums {
    /// Adds a difference `count` times.
    pub(super) fn find(&mut self, finding: Finding, count: u64) {
        if let Some(known) = self.findings.get_mut(&finding) {
            *known += count;
            return;
        }
        let same = |other: &&Finding| {
            (other.kind, &other.ty, &other.field) == (finding.kind, &finding.ty, &finding.field)
        };
        let finding = if self.findings.keys().filter(same).count() >= FORMS {
            Finding {
                detail: "further forms".to_owned(),
                ..finding
            }
        } else {
            finding
        };
        *self.findings.entry(finding).or_default() += count;
    }

    /// Adds what another document had.
    pub(super) fn add(&mut self, other: &Self) {
        for (name, sums) in &other.types {
            let own = self.types.entry(name.clone()).or_default();
            own.seen += sums.seen;
            for (field, count) in &sums.fields {
                *own.fields.entry(field.clone()).or_default() += count;
            }
        }
        for (finding, count) in &other.findings {
            self.find(finding.clone(), *count);
        }
    }
}

/// JSON has no objects as keys: differences are a list there.
mod listed {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Finding;

    #[derive(Serialize, Deserialize)]
    struct Counted<F> {
        #[serde(flatten)]
        finding: F,
        count: u64,
    }

    pub(super) fn serialize<S: Serializer>(
        findings: &BTreeMap<Finding, u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let counted = findings.iter().map(|(finding, count)| Counted {
            finding,
            count: *count,
        });
        serializer.collect_seq(counted)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Finding, u64>, D::Error> {
        let counted: Vec<Counted<Finding>> = Vec::deserialize(deserializer)?;
        Ok(counted.into_iter().map(|one| (one.finding, one.count)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfit(detail: &str) -> Finding {
        Finding {
            kind: Kind::ValueDoesNotFit,
            ty: "JobType".to_owned(),
            field: "Retries".to_owned(),
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn many_forms_of_one_field_are_counted_together_in_the_end() {
        let mut sums = Sums::default();
        for number in 0..20 {
            sums.find(unfit(&number.to_string()), 1);
        }
        assert_eq!(sums.findings.len(), FORMS + 1);
        assert_eq!(sums.findings.get(&unfit("further forms")), Some(&12));
    }

    #[test]
    fn what_was_written_down_is_read_again_as_it_was() {
        let mut sums = Sums::default();
        sums.find(unfit("text"), 3);
        sums.types.entry("JobType".to_owned()).or_default().seen = 2;
        let text = serde_json::to_string(&sums).unwrap();
        assert_eq!(serde_json::from_str::<Sums>(&text).unwrap(), sums);
    }
}
