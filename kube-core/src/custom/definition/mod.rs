//! The rules of custom resource definitions. Source: apiextensions `validation.go`, `strategy.go`, `defaults.go`.
//!
//! - this file: names, versions, approval, what may change
//! - `version`: what stands beside a version's schema
//! - `schema`: what a schema may say
//! - `rules`: CEL rules
//! - `structure`: what makes a schema structural

mod rules;
mod schema;
mod structure;
mod version;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::is_established;
use crate::field::{Errors, Json, Path, format};
use crate::rules::Ruled;

const SPEC: Path<'static> = Path::new("spec");
const APPROVAL: &str = "api-approved.kubernetes.io";

impl Ruled for CustomResourceDefinition {
    const HAS_GENERATION: bool = true;

    fn fill_defaults(&mut self) {
        let names = &mut self.spec.names;
        let is_missing = |name: &Option<String>| name.as_deref().unwrap_or("").is_empty();
        if is_missing(&names.singular) {
            names.singular = Some(names.kind.to_lowercase());
        }
        if is_missing(&names.list_kind) && !names.kind.is_empty() {
            names.list_kind = Some(format!("{}List", names.kind));
        }
        let none = || CustomResourceConversion { strategy: "None".to_owned(), webhook: None };
        let conversion = self.spec.conversion.get_or_insert_with(none);
        let service = conversion.webhook.as_mut().and_then(|webhook| webhook.client_config.as_mut()?.service.as_mut());
        if let Some(service) = service {
            service.port.get_or_insert(443);
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let name = self.metadata.name.as_deref().unwrap_or("");
        if !name.is_empty() && name != format!("{}.{}", self.spec.names.plural, self.spec.group) {
            errors.invalid(&Path::new("metadata.name"), name, "must be spec.names.plural+\".\"+spec.group");
        }
        validate_spec(&self.spec, errors);
        if is_protected(&self.spec.group) {
            check_approval(&self.metadata, errors);
        }
        if self.spec.preserve_unknown_fields == Some(true) {
            let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
            errors.invalid(&SPEC.field("preserveUnknownFields"), true, why);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        validate_spec(&self.spec, errors);
        if is_established(old) {
            check_same(&SPEC.field("scope"), &self.spec.scope, &old.spec.scope, errors);
            check_same(&SPEC.field("names.kind"), &self.spec.names.kind, &old.spec.names.kind, errors);
        }
        check_same(&SPEC.field("group"), &self.spec.group, &old.spec.group, errors);
        check_same(&SPEC.field("names.plural"), &self.spec.names.plural, &old.spec.names.plural, errors);
        check_stored_versions(self, errors);
        if is_protected(&self.spec.group) && approval(&self.metadata) != approval(&old.metadata) {
            check_approval(&self.metadata, errors);
        }
        if self.spec.preserve_unknown_fields == Some(true) && old.spec.preserve_unknown_fields != Some(true) {
            let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
            errors.invalid(&SPEC.field("preserveUnknownFields"), true, why);
        }
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        let names = self.status.as_ref().and_then(|status| status.accepted_names.as_ref());
        if let Some(names) = names {
            check_names(names, &Path::new("status.acceptedNames"), errors);
        }
        check_stored_versions(self, errors);
    }

    fn prepare_create(&mut self) {
        self.status = None;
        note_storage_version(self);
    }

    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
        note_storage_version(self);
    }

    fn prepare_status_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
    }

    fn spec_changed(&self, old: &Self) -> bool {
        self.spec != old.spec
    }
}

/// Objects may be kept in every version that ever was the storage version.
fn note_storage_version(definition: &mut CustomResourceDefinition) {
    let Some(storage) = definition.spec.versions.iter().find(|version| version.storage) else { return };
    let stored = definition.status.get_or_insert_default().stored_versions.get_or_insert_default();
    if !stored.contains(&storage.name) {
        stored.push(storage.name.clone());
    }
}

fn check_stored_versions(definition: &CustomResourceDefinition, errors: &mut Errors) {
    let path = Path::new("status.storedVersions");
    let none = Vec::new();
    let stored = definition.status.as_ref().and_then(|status| status.stored_versions.as_ref()).unwrap_or(&none);
    if stored.is_empty() {
        return errors.invalid(&path, Json(stored), "must have at least one stored version");
    }
    let versions = &definition.spec.versions;
    if let Some(missing) = versions.iter().find(|version| version.storage && !stored.contains(&version.name)) {
        errors.invalid(&path, Json(stored), format!("must have the storage version {}", missing.name));
    }
    for (index, name) in stored.iter().enumerate() {
        if !versions.iter().any(|version| version.name == *name) {
            let why = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until \
                 a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            errors.invalid(&path.index(index), name, why);
        }
    }
}

fn check_same(path: &Path, new: &str, old: &str, errors: &mut Errors) {
    if new != old {
        errors.invalid(path, new, "field is immutable");
    }
}

fn validate_spec(spec: &CustomResourceDefinitionSpec, errors: &mut Errors) {
    check_group(&spec.group, errors);
    match spec.scope.as_str() {
        "Cluster" | "Namespaced" => {}
        "" => errors.required(&SPEC.field("scope"), ""),
        other => errors.not_supported(&SPEC.field("scope"), other, &["Cluster", "Namespaced"]),
    }
    version::check_versions(spec, errors);
    let names = &spec.names;
    let text = |name: &Option<String>| name.clone().unwrap_or_default();
    let required = [
        ("names.plural", names.plural.clone()),
        ("names.singular", text(&names.singular)),
        ("names.kind", names.kind.clone()),
        ("names.listKind", text(&names.list_kind)),
    ];
    for (field, _) in required.iter().filter(|(_, name)| name.is_empty()) {
        errors.required(&SPEC.field(field), "");
    }
    check_names(names, &SPEC.field("names"), errors);
    version::check_schemas(spec, errors);
    check_conversion(spec, errors);
}

fn check_group(group: &str, errors: &mut Errors) {
    let path = SPEC.field("group");
    let messages = format::dns1123_subdomain(group);
    if group.is_empty() {
        errors.required(&path, "");
    } else if !messages.is_empty() {
        errors.invalid(&path, group, messages.join(","));
    } else if !group.contains('.') {
        errors.invalid(&path, group, "should be a domain with at least one dot");
    }
}

fn check_names(names: &CustomResourceDefinitionNames, path: &Path, errors: &mut Errors) {
    let mut check = |path: &Path, name: &str, is_kind: bool| {
        let messages = format::dns1035_label(&if is_kind { name.to_lowercase() } else { name.to_owned() });
        if !name.is_empty() && !messages.is_empty() {
            let prefix = if is_kind { "may have mixed case, but should otherwise match: " } else { "" };
            errors.invalid(path, name, format!("{prefix}{}", messages.join(",")));
        }
    };
    let list_kind = names.list_kind.as_deref().unwrap_or("");
    check(&path.field("plural"), &names.plural, false);
    check(&path.field("singular"), names.singular.as_deref().unwrap_or(""), false);
    check(&path.field("kind"), &names.kind, true);
    check(&path.field("listKind"), list_kind, true);
    for (index, name) in names.short_names.iter().flatten().enumerate() {
        check(&path.field("shortNames").index(index), name, false);
    }
    for (index, name) in names.categories.iter().flatten().enumerate() {
        check(&path.field("categories").index(index), name, false);
    }
    if !names.kind.is_empty() && names.kind == list_kind {
        errors.invalid(&path.field("listKind"), list_kind, "kind and listKind may not be the same");
    }
}

fn check_conversion(spec: &CustomResourceDefinitionSpec, errors: &mut Errors) {
    let Some(conversion) = &spec.conversion else { return };
    let path = SPEC.field("conversion");
    let has_client = conversion.webhook.as_ref().is_some_and(|webhook| webhook.client_config.is_some());
    match conversion.strategy.as_str() {
        "None" => {
            if has_client {
                let why = "should not be set when strategy is not set to Webhook";
                errors.forbidden(&path.field("webhookClientConfig"), why);
            }
        }
        "Webhook" => {
            if !has_client {
                errors.required(&path.field("webhookClientConfig"), "required when strategy is set to Webhook");
            }
            let versions = conversion.webhook.as_ref().map(|webhook| webhook.conversion_review_versions.as_slice());
            let versions = versions.unwrap_or_default();
            let field = path.field("conversionReviewVersions");
            if versions.is_empty() {
                errors.required(&field, "");
            } else if !versions.iter().any(|version| version == "v1" || version == "v1beta1") {
                errors.invalid(&field, Json(versions), "must include at least one of v1, v1beta1");
            }
        }
        "" => errors.required(&path.field("strategy"), ""),
        other => errors.not_supported(&path.field("strategy"), other, &["None", "Webhook"]),
    }
}

fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|owner| group.strip_suffix(owner).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

fn approval(metadata: &ObjectMeta) -> &str {
    let annotations = metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(APPROVAL)).map_or("", String::as_str)
}

/// Source: apiextensions `apihelpers.GetAPIApprovalState`.
fn check_approval(metadata: &ObjectMeta, errors: &mut Errors) {
    let metadata_path = Path::new("metadata.annotations");
    let path = metadata_path.key(APPROVAL);
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    let value = approval(metadata);
    let is_url = value.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
    if value.is_empty() {
        errors.required(&path, format!("protected groups must have approval annotation \"{APPROVAL}\", {see}"));
    } else if !value.starts_with("unapproved") && !is_url {
        let forms = "with either a URL or a reason starting with \"unapproved\"";
        errors.invalid(
            &path,
            value,
            format!("protected groups must have approval annotation \"{APPROVAL}\" {forms}, {see}"),
        );
    }
}
