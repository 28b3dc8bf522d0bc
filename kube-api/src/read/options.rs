//! What a client says about a list or watch.

use std::time::Duration;

use coracle_core::field::{Errors, Path};
use coracle_core::selector::{FieldSelector, Selector};
use coracle_core::{Reason, Revision, Status};

/// How `resourceVersion` is meant. Source: apimachinery `metav1.ResourceVersionMatch`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VersionMatch {
    /// Not said: what it means then depends on the other options.
    #[default]
    Unset,
    /// At exactly that revision.
    Exact,
    /// At that revision or a newer one.
    NotOlderThan,
    /// Something else, which [`ListOptions::validate`] refuses.
    Unknown(String),
}

impl VersionMatch {
    fn as_str(&self) -> &str {
        match self {
            Self::Unset => "",
            Self::Exact => "Exact",
            Self::NotOlderThan => "NotOlderThan",
            Self::Unknown(text) => text,
        }
    }
}

impl From<&str> for VersionMatch {
    fn from(text: &str) -> Self {
        match text {
            "" => Self::Unset,
            "Exact" => Self::Exact,
            "NotOlderThan" => Self::NotOlderThan,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

/// The options of list, watch and delete of a collection. Source: apimachinery `metav1.ListOptions`.
#[derive(Clone, Debug)]
pub struct ListOptions {
    /// Chosen by labels. Default: all.
    pub labels: Selector,
    /// Chosen by fields. Default: all.
    pub fields: FieldSelector,
    /// Whether to watch. Default: no.
    pub watch: bool,
    /// At most so many objects. Default 0: no limit.
    pub limit: u64,
    /// Where an earlier page ended. Default: the beginning.
    pub continue_token: String,
    /// A revision, or empty, or `0`.
    pub resource_version: String,
    /// How [`ListOptions::resource_version`] is meant.
    pub version_match: VersionMatch,
    /// How long a watch lasts. Default: half an hour to an hour.
    pub timeout: Option<Duration>,
    /// Whether a watch tells from time to time how far it is. Default: no.
    pub bookmarks: bool,
    /// Whether a watch begins with what is there. Default: if no revision is given.
    pub send_initial_events: Option<bool>,
}

impl Default for ListOptions {
    fn default() -> Self {
        Self {
            labels: Selector::everything(),
            fields: FieldSelector::everything(),
            watch: false,
            limit: 0,
            continue_token: String::new(),
            resource_version: String::new(),
            version_match: VersionMatch::Unset,
            timeout: None,
            bookmarks: false,
            send_initial_events: None,
        }
    }
}

impl ListOptions {
    /// Whether the options agree with each other. Source: apimachinery `internalversion/validation.ValidateListOptions`.
    ///
    /// # Errors
    /// 422 in upstream's words.
    pub fn validate(&self) -> Result<(), Status> {
        let mut errors = Errors::new();
        if self.watch {
            self.validate_watch(&mut errors)
        } else {
            self.validate_list(&mut errors)
        }
        if errors.is_empty() { Ok(()) } else { Err(invalid_options("ListOptions", &errors)) }
    }

    fn validate_list(&self, errors: &mut Errors) {
        let path = Path::new("resourceVersionMatch");
        if self.version_match != VersionMatch::Unset {
            if self.resource_version.is_empty() {
                errors.forbidden(&path, "resourceVersionMatch is forbidden unless resourceVersion is provided");
            }
            self.forbid_match_with_continue(errors, &path);
            if let VersionMatch::Unknown(value) = &self.version_match {
                errors.not_supported(&path, value, &["Exact", "NotOlderThan", ""]);
            }
            if self.version_match == VersionMatch::Exact && self.resource_version == "0" {
                errors.forbidden(&path, r#"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#);
            }
        }
        if self.send_initial_events.is_some() {
            errors.forbidden(&Path::new("sendInitialEvents"), "sendInitialEvents is forbidden for list");
        }
    }

    fn validate_watch(&self, errors: &mut Errors) {
        let path = Path::new("resourceVersionMatch");
        let not_older = self.version_match == VersionMatch::NotOlderThan;
        if self.send_initial_events.is_some() && !not_older {
            errors.forbidden(&path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        }
        if self.version_match == VersionMatch::Unset {
            return;
        }
        if self.send_initial_events.is_none() {
            errors.forbidden(&path, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
        }
        if !not_older {
            errors.not_supported(&path, self.version_match.as_str(), &["NotOlderThan"]);
        }
        self.forbid_match_with_continue(errors, &path);
    }

    fn forbid_match_with_continue(&self, errors: &mut Errors, path: &Path) {
        if !self.continue_token.is_empty() {
            errors.forbidden(path, "resourceVersionMatch is forbidden when continue is provided");
        }
    }

    /// The revision asked for; `None` if none is, or any will do.
    ///
    /// # Errors
    /// 422 if it is no revision.
    pub fn revision(&self) -> Result<Option<Revision>, Status> {
        parse_revision(&self.resource_version)
    }
}

/// Reads a `resourceVersion`; `None` if it is empty or `0`.
///
/// # Errors
/// 422 if it is no revision. Source: apiserver `storage.APIObjectVersioner.ParseResourceVersion`.
pub fn parse_revision(text: &str) -> Result<Option<Revision>, Status> {
    if matches!(text, "" | "0") {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let mut errors = Errors::new();
        let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
        errors.invalid(&Path::new("resourceVersion"), text, why);
        let causes = errors.to_causes();
        let message = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Status::new(Reason::Invalid, format!("resourceVersion is invalid: {message}")).with_causes(causes)
    })
}

/// 422 about options: `ListOptions.meta.k8s.io "" is invalid: ...`.
#[must_use]
pub fn invalid_options(kind: &str, errors: &Errors) -> Status {
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let why = match texts.as_slice() {
        [only] => only.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    let about = coracle_core::GroupResource::new("meta.k8s.io", kind.to_owned());
    Status::new(Reason::Invalid, format!("{kind}.meta.k8s.io \"\" is invalid: {why}"))
        .about(&about, "")
        .with_causes(errors.to_causes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: ListOptions, message: Option<&str>) {
        let told = options.validate().err();
        assert_eq!(told.as_ref().map(Status::message), message, "{options:?}");
        assert!(told.is_none_or(|status| status.code() == 422));
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let list = |version: &str, how: &str| ListOptions {
            resource_version: version.into(),
            version_match: how.into(),
            ..ListOptions::default()
        };
        check(list("", ""), None);
        check(list("5", "Exact"), None);
        check(list("0", "NotOlderThan"), None);
        check(
            list("", "Exact"),
            Some(
                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is \
                 forbidden unless resourceVersion is provided",
            ),
        );
        check(
            list("0", "Exact"),
            Some(
                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch \
                 \"exact\" is forbidden for resourceVersion \"0\"",
            ),
        );
        let watch = |how: &str, initial| ListOptions { watch: true, send_initial_events: initial, ..list("", how) };
        check(watch("", None), None);
        check(watch("NotOlderThan", Some(true)), None);
        check(
            watch("", Some(true)),
            Some(
                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires \
                 setting resourceVersionMatch to NotOlderThan",
            ),
        );
        check(
            watch("NotOlderThan", None),
            Some(
                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is \
                 forbidden for watch unless sendInitialEvents is provided",
            ),
        );
        check(
            ListOptions { send_initial_events: Some(true), ..ListOptions::default() },
            Some(
                "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is \
                 forbidden for list",
            ),
        );
    }

    #[test]
    fn revisions() {
        assert_eq!(parse_revision("").unwrap(), None);
        assert_eq!(parse_revision("0").unwrap(), None);
        assert_eq!(parse_revision("17").unwrap(), Some(Revision(17)));
        assert_eq!(parse_revision("x").unwrap_err().code(), 422);
    }
}
