//! The options of writes, read from query, headers and body.

use bytes::Bytes;
use coracle_core::field::{Errors, Path};
use coracle_core::{FieldValidation, Options, Status};
use http::HeaderMap;
use http::header::USER_AGENT;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, Preconditions};

use super::query::Query;
use crate::read::options::invalid_options;

/// Characters of a field manager's name. Source: apimachinery `FieldManagerMaxLength`.
const MANAGER_LENGTH_MAX: usize = 128;

/// Which options a request has; each has its own name in refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionsKind {
    /// Of `create`.
    Create,
    /// Of `update`.
    Update,
    /// Of `patch`; for an apply the manager must be named.
    Patch {
        /// Whether the patch is a server-side apply.
        apply: bool,
    },
}

impl OptionsKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
            Self::Patch { .. } => "PatchOptions",
        }
    }
}

/// The options of a write, and whether an apply takes fields that others own.
///
/// # Errors
/// 422 in upstream's words. Source: apimachinery `apis/meta/v1/validation`.
pub fn write_options(kind: OptionsKind, query: &Query, headers: &HeaderMap) -> Result<(Options, bool), Status> {
    let mut errors = Errors::new();
    let dry_run: Vec<&str> = query.all("dryRun").filter(|value| !value.is_empty()).collect();
    let manager = query.text("fieldManager");
    let apply = kind == OptionsKind::Patch { apply: true };
    if matches!(kind, OptionsKind::Patch { .. }) {
        if apply && manager.is_empty() {
            errors.required(&Path::new("fieldManager"), "is required for apply patch");
        }
        if !apply && query.flag("force").is_some() {
            errors.forbidden(&Path::new("force"), "may not be specified for non-apply patch");
        }
    }
    validate_manager(manager, &mut errors);
    validate_dry_run(&dry_run, &mut errors);
    let field_validation = field_validation(query.text("fieldValidation"), &mut errors);
    if !errors.is_empty() {
        return Err(invalid_options(kind.name(), &errors));
    }
    let manager = if manager.is_empty() { manager_of_client(headers) } else { manager.to_owned() };
    let options = Options {
        dry_run: !dry_run.is_empty(),
        field_manager: manager.into(),
        field_validation,
        create_missing: true,
        ..Options::default()
    };
    Ok((options, query.flag("force").unwrap_or(false)))
}

fn validate_manager(manager: &str, errors: &mut Errors) {
    let path = Path::new("fieldManager");
    if manager.len() > MANAGER_LENGTH_MAX {
        errors.too_long(&path, MANAGER_LENGTH_MAX);
    }
    if manager.chars().any(char::is_control) {
        errors.invalid(&path, manager, "should only contain printable characters");
    }
}

fn validate_dry_run(values: &[&str], errors: &mut Errors) {
    if values.iter().any(|value| *value != "All") {
        errors.not_supported(&Path::new("dryRun"), coracle_core::field::Json(values), &["All"]);
    }
}

fn field_validation(text: &str, errors: &mut Errors) -> FieldValidation {
    match text {
        "" | "Warn" => FieldValidation::Warn,
        "Ignore" => FieldValidation::Ignore,
        "Strict" => FieldValidation::Strict,
        unknown => {
            errors.not_supported(&Path::new("fieldValidation"), unknown, &["", "Ignore", "Strict", "Warn"]);
            FieldValidation::Warn
        }
    }
}

/// The client's name up to the slash. Source: apiserver `handlers.prefixFromUserAgent`.
fn manager_of_client(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let name = agent.as_deref().and_then(|agent| agent.split('/').next()).unwrap_or_default();
    let mut manager = String::new();
    for character in name.chars().filter(|character| !character.is_control()) {
        if manager.len() + character.len_utf8() > MANAGER_LENGTH_MAX {
            break;
        }
        manager.push(character);
    }
    manager
}

/// The options of a delete: the body if there is one, else the query.
///
/// # Errors
/// 400 if the body is no `DeleteOptions`, 422 if the options contradict each other.
pub fn delete_options(query: &Query, body: &Bytes) -> Result<DeleteOptions, Status> {
    let options = if body.is_empty() { delete_options_of_query(query)? } else { delete_options_of_body(body)? };
    let mut errors = Errors::new();
    let policy = options.propagation_policy.as_deref();
    if options.orphan_dependents.is_some()
        && let Some(policy) = policy
    {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        errors.invalid(&Path::new("propagationPolicy"), policy, why);
    }
    if let Some(policy) = policy.filter(|policy| !matches!(*policy, "Foreground" | "Background" | "Orphan")) {
        let supported = ["Foreground", "Background", "Orphan", "nil"];
        errors.not_supported(&Path::new("propagationPolicy"), policy, &supported);
    }
    let dry_run: Vec<&str> = options.dry_run.iter().flatten().map(String::as_str).collect();
    validate_dry_run(&dry_run, &mut errors);
    if errors.is_empty() { Ok(options) } else { Err(invalid_options("DeleteOptions", &errors)) }
}

fn delete_options_of_body(body: &Bytes) -> Result<DeleteOptions, Status> {
    let options: DeleteOptions = serde_json::from_slice(body)
        .map_err(|error| Status::bad_request(format!("couldn't decode the body as DeleteOptions: {error}")))?;
    match options.kind.as_deref() {
        None | Some("" | "DeleteOptions") => Ok(options),
        Some(other) => Err(Status::bad_request(format!("the body is a {other}, not DeleteOptions"))),
    }
}

fn delete_options_of_query(query: &Query) -> Result<DeleteOptions, Status> {
    let owned = |name| query.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let (uid, resource_version) = (owned("preconditions.uid"), owned("preconditions.resourceVersion"));
    let has_preconditions = uid.is_some() || resource_version.is_some();
    let dry_run: Vec<String> = query.all("dryRun").filter(|value| !value.is_empty()).map(str::to_owned).collect();
    Ok(DeleteOptions {
        dry_run: (!dry_run.is_empty()).then_some(dry_run),
        grace_period_seconds: query.number("gracePeriodSeconds")?,
        orphan_dependents: query.flag("orphanDependents"),
        propagation_policy: owned("propagationPolicy"),
        preconditions: has_preconditions.then_some(Preconditions { uid, resource_version }),
        ..DeleteOptions::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: OptionsKind, query: &str, expected: Result<(bool, &str, bool), &str>) {
        let headers = [(USER_AGENT, "kubectl/v1.36.0 (linux/amd64)".parse().unwrap())].into_iter().collect();
        let told = write_options(kind, &Query::parse(query), &headers);
        let told = told.as_ref().map(|(options, force)| (options.dry_run, &*options.field_manager, *force));
        assert_eq!(told.map_err(Status::message), expected, "{query}");
    }

    #[test]
    fn writes() {
        let apply = OptionsKind::Patch { apply: true };
        let patch = OptionsKind::Patch { apply: false };
        check(OptionsKind::Create, "", Ok((false, "kubectl", false)));
        check(OptionsKind::Create, "dryRun=All&fieldManager=me", Ok((true, "me", false)));
        check(apply, "fieldManager=me&force=true", Ok((false, "me", true)));
        check(
            apply,
            "",
            Err("PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"),
        );
        check(
            patch,
            "force=true",
            Err("PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"),
        );
        check(
            OptionsKind::Update,
            "fieldValidation=Loud",
            Err("UpdateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Loud\": supported \
                 values: \"\", \"Ignore\", \"Strict\", \"Warn\""),
        );
        assert!(write_options(OptionsKind::Create, &Query::parse("dryRun=Some"), &HeaderMap::new()).is_err());
    }

    #[test]
    fn deletes() {
        let query = Query::parse("gracePeriodSeconds=0&propagationPolicy=Orphan&dryRun=All");
        let options = delete_options(&query, &Bytes::new()).unwrap();
        assert_eq!(options.grace_period_seconds, Some(0));
        assert_eq!(options.propagation_policy.as_deref(), Some("Orphan"));
        let body = Bytes::from_static(br#"{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u"}}"#);
        let options = delete_options(&query, &body).unwrap();
        assert_eq!(options.preconditions.unwrap().uid.as_deref(), Some("u"));
        assert_eq!(options.grace_period_seconds, None);
        let both = Bytes::from_static(br#"{"orphanDependents":true,"propagationPolicy":"Orphan"}"#);
        assert_eq!(delete_options(&query, &both).unwrap_err().code(), 422);
        assert_eq!(delete_options(&query, &Bytes::from_static(br#"{"kind":"Pod"}"#)).unwrap_err().code(), 400);
    }
}
