//! What the claims of a verified token say: until when it is valid, whom it is for, and what a claim holds. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// The claims of a token whose signature is good.
pub(super) struct Claims(pub Map<String, Value>);

impl Claims {
    /// The claim at `path`: the one of this very name, else the one that dots lead to within objects.
    pub fn value(&self, path: &str) -> Option<&Value> {
        find(&self.0, path)
    }

    /// The claim at `path` when it is text.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.value(path)?.as_str()
    }

    /// The texts of a claim that is a text or an array of texts.
    pub fn words(&self, path: &str) -> impl Iterator<Item = &str> {
        let (one, many) = match self.value(path) {
            Some(Value::Array(many)) => (None, many.as_slice()),
            one => (one, [].as_slice()),
        };
        one.into_iter().chain(many).filter_map(Value::as_str)
    }

    /// Whom the claims are about: `claim`, else `client_id`, else `azp`.
    pub fn subject(&self, claim: &str) -> Result<Option<&str>, Refusal> {
        match self.value(claim) {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Null) | None => Ok(self.text("client_id").or_else(|| self.text("azp"))),
            // Another claim in its place would be another caller.
            Some(_) => Err(Refusal::UnreadableSubject),
        }
    }

    /// Whether one of `audiences` is in `aud`.
    pub fn is_for(&self, audiences: &[String]) -> bool {
        self.words("aud")
            .any(|word| audiences.iter().any(|audience| audience == word))
    }

    /// The moments between which the token is valid (RFC 7519 section 4.1).
    pub fn times(&self) -> Result<Times, Refusal> {
        let seconds = |claim: &str, unreadable: Refusal| match self.0.get(claim) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or(unreadable),
        };
        Ok(Times {
            expiry: seconds("exp", Refusal::UnreadableExpiry)?.ok_or(Refusal::NeverExpires)?,
            start: seconds("nbf", Refusal::UnreadableStart)?,
            issued: seconds("iat", Refusal::UnreadableIssueTime)?,
        })
    }
}

/// A longer name wins over a shorter one with a dot behind it.
fn find<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    claims.get(path).or_else(|| {
        path.rmatch_indices('.').find_map(|(at, _)| {
            let (name, rest) = path.split_at(at);
            find(claims.get(name)?.as_object()?, rest.strip_prefix('.')?)
        })
    })
}

/// `exp`, `nbf` and `iat`, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    expiry: f64,
    start: Option<f64>,
    issued: Option<f64>,
}

impl Times {
    /// Whether the token is valid at `now`, clocks being `leeway` apart at most.
    pub fn check(self, now: Timestamp, leeway: Duration) -> Result<(), Refusal> {
        let (now, leeway) = (now.as_duration().as_secs_f64(), leeway.as_secs_f64());
        if self.expiry + leeway <= now {
            return Err(Refusal::Expired);
        }
        if self.start.is_some_and(|start| start - leeway > now) {
            return Err(Refusal::NotYetValid);
        }
        if self.issued.is_some_and(|issued| issued - leeway > now) {
            return Err(Refusal::IssuedAhead);
        }
        Ok(())
    }

    /// `exp` as a moment.
    pub fn expires_at(self) -> Timestamp {
        moment(self.expiry)
    }

    /// `nbf` as a moment.
    pub fn starts_at(self) -> Option<Timestamp> {
        self.start.map(moment)
    }

    /// `iat` as a moment.
    pub fn issued_at(self) -> Option<Timestamp> {
        self.issued.map(moment)
    }
}

/// A moment in seconds since 1970, as near to it as moments go.
fn moment(seconds: f64) -> Timestamp {
    let nearest = if seconds < 0.0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    SignedDuration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|since| Timestamp::from_duration(since).ok())
        .unwrap_or(nearest)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("org", &["a"])]
    #[case("realm_access.roles", &["dr", "ops"])]
    #[case("a.b", &["by its own name"])]
    #[case("a.c", &["by its path"])]
    #[case("https://idp.example/claims.groups", &["g"])]
    #[case("x.y.z", &["a longer name wins"])]
    #[case("numbers", &["text"])]
    #[case("org.a", &[])]
    #[case("nothing", &[])]
    #[case("realm_access", &[])]
    #[case("", &[])]
    #[case(".", &[])]
    fn a_claim_is_found_by_its_name_or_by_its_path(#[case] path: &str, #[case] words: &[&str]) {
        let claims = json!({
            "org": "a",
            "realm_access": {"roles": ["dr", "ops"]},
            "a": {"b": "by its path", "c": "by its path"},
            "a.b": "by its own name",
            "https://idp.example/claims": {"groups": ["g"]},
            "x": {"y": {"z": "a shorter name"}},
            "x.y": {"z": "a longer name wins"},
            "numbers": [1, "text", null, ["nested"]],
        });
        let claims = Claims(claims.as_object().expect("an object").clone());
        assert_eq!(claims.words(path).collect::<Vec<_>>(), words);
    }
}
