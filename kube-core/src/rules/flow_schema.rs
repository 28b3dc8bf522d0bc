//! FlowSchema. That those the server itself needs stay as they are is not checked.

use super::check::{is_repeated, items, text};
use super::{Ruled, fill, spec_and_status};
use crate::field::{Errors, Json, Path, format};
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, FlowSchemaSpec, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject,
};

const SPEC: Path<'static> = Path::new("spec");
const PRECEDENCE_MAX: i32 = 10_000;
const EXEMPT: &str = "exempt";
const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

impl Ruled for FlowSchema {
    spec_and_status!();

    fn fill_defaults(&mut self) {
        fill::number(&mut self.spec.get_or_insert_default().matching_precedence, 1000);
    }

    fn validate(&self, errors: &mut Errors) {
        let none = FlowSchemaSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        validate_precedence(spec.matching_precedence.unwrap_or(0), text(&self.metadata.name), errors);
        if let Some(method) = &spec.distinguisher_method
            && !["ByNamespace", "ByUser"].contains(&method.type_.as_str())
        {
            let path = SPEC.field("distinguisherMethod").field("type").to_string();
            errors.not_supported(&Path::new(&path), Json(method), &["ByNamespace", "ByUser"]);
        }
        let level = &spec.priority_level_configuration.name;
        let path = SPEC.field("priorityLevelConfiguration");
        match level.as_str() {
            "" => errors.required(&path.field("name"), "must reference a priority level"),
            level => errors.dns_subdomain(&path.field("name"), level),
        }
        for (index, rule) in items(&spec.rules).iter().enumerate() {
            validate_rule(rule, &SPEC.field("rules").index(index), errors);
        }
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        let conditions = self.status.as_ref().map_or(&[][..], |status| items(&status.conditions));
        for (index, condition) in conditions.iter().enumerate() {
            let path = Path::new("status.conditions");
            let path = path.index(index);
            if is_repeated(conditions, index, |condition| condition.type_.clone()) {
                errors.duplicate(&path.field("type"), text(&condition.type_));
            }
            if text(&condition.type_).is_empty() {
                errors.required(&path.field("type"), "must not be empty");
            }
        }
    }
}

fn validate_precedence(precedence: i32, name: &str, errors: &mut Errors) {
    let path = SPEC.field("matchingPrecedence");
    if precedence <= 0 {
        errors.invalid(&path, precedence, "must be a positive value");
    }
    if precedence > PRECEDENCE_MAX {
        errors.invalid(&path, precedence, std::format!("must not be greater than {PRECEDENCE_MAX}"));
    }
    if precedence == 1 && name != EXEMPT {
        errors.invalid(&path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1");
    }
}

fn validate_rule(rule: &PolicyRulesWithSubjects, path: &Path, errors: &mut Errors) {
    if rule.subjects.is_empty() {
        errors.required(&path.field("subjects"), "subjects must contain at least one value");
    }
    for (index, subject) in rule.subjects.iter().enumerate() {
        validate_subject(subject, &path.field("subjects").index(index), errors);
    }
    let (resources, urls) = (items(&rule.resource_rules), items(&rule.non_resource_rules));
    if resources.is_empty() && urls.is_empty() {
        errors.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
    for (index, rule) in resources.iter().enumerate() {
        validate_resource_rule(rule, &path.field("resourceRules").index(index), errors);
    }
    for (index, rule) in urls.iter().enumerate() {
        validate_url_rule(rule, &path.field("nonResourceRules").index(index), errors);
    }
}

fn validate_subject(subject: &Subject, path: &Path, errors: &mut Errors) {
    let members = [
        ("ServiceAccount", "serviceAccount", subject.service_account.is_some()),
        ("User", "user", subject.user.is_some()),
        ("Group", "group", subject.group.is_some()),
    ];
    let kind = subject.kind.as_str();
    if !members.iter().any(|(name, ..)| *name == kind) {
        return errors.not_supported(&path.field("kind"), kind, &["Group", "ServiceAccount", "User"]);
    }
    for (name, field, given) in members {
        let path = path.field(field);
        match (name == kind, given) {
            (true, false) => errors.required(&path, std::format!("{field} is required when subject kind is '{name}'")),
            (true, true) => validate_subject_of(subject, kind, &path, errors),
            (false, _) => {}
        }
    }
    for (name, field, _) in members.iter().filter(|(name, _, given)| *given && *name != kind) {
        let message = std::format!("{field} is forbidden when subject kind is not '{name}'");
        errors.forbidden(&path.field(field), message);
    }
}

fn validate_subject_of(subject: &Subject, kind: &str, path: &Path, errors: &mut Errors) {
    let name = path.field("name");
    match (kind, &subject.service_account, &subject.user, &subject.group) {
        ("ServiceAccount", Some(account), ..) => {
            if errors.given(&name, &account.name) && account.name != "*" {
                errors.dns_subdomain(&name, &account.name);
            }
            match account.namespace.as_str() {
                "" => errors.required(&path.field("namespace"), "must specify namespace for service account"),
                namespace => errors.dns_label(&path.field("namespace"), namespace),
            }
        }
        ("User", _, Some(user), _) => drop(errors.given(&name, &user.name)),
        ("Group", .., Some(group)) => drop(errors.given(&name, &group.name)),
        _ => {}
    }
}

fn has_wildcard(list: &[String]) -> bool {
    list.iter().any(|item| item == "*")
}

fn validate_verbs(verbs: &[String], path: &Path, errors: &mut Errors) {
    if verbs.is_empty() {
        errors.required(path, "verbs must contain at least one value");
    } else if has_wildcard(verbs) {
        if verbs.len() > 1 {
            errors.invalid(path, Json(verbs), "if '*' is present, must not specify other verbs");
        }
    } else if !verbs.iter().all(|verb| VERBS.contains(&verb.as_str())) {
        errors.not_supported(path, Json(verbs), VERBS);
    }
}

fn validate_resource_rule(rule: &ResourcePolicyRule, path: &Path, errors: &mut Errors) {
    validate_verbs(&rule.verbs, &path.field("verbs"), errors);
    for (field, list, one, many) in [
        ("apiGroups", &rule.api_groups, "api group", "api groups"),
        ("resources", &rule.resources, "resource", "resources"),
    ] {
        if list.is_empty() {
            let message = std::format!("resource rules must supply at least one {one}");
            errors.required(&path.field(field), message);
        } else if list.len() > 1 && has_wildcard(list) {
            let message = std::format!("if '*' is present, must not specify other {many}");
            errors.invalid(&path.field(field), Json(list), message);
        }
    }
    let (path, namespaces) = (path.field("namespaces"), items(&rule.namespaces));
    if namespaces.is_empty() && rule.cluster_scope != Some(true) {
        let message = "resource rules that are not cluster scoped must supply at least one namespace";
        errors.required(&path, message);
    } else if has_wildcard(namespaces) {
        if namespaces.len() > 1 {
            errors.invalid(&path, Json(namespaces), "if '*' is present, must not specify other namespaces");
        }
    } else {
        for (index, namespace) in namespaces.iter().enumerate() {
            for message in format::dns1123_label(namespace) {
                let message = std::format!("each member of this list must be '*' or a DNS-1123 label; {message}");
                errors.invalid(&path.index(index), namespace, message);
            }
        }
    }
}

fn validate_url_rule(rule: &NonResourcePolicyRule, path: &Path, errors: &mut Errors) {
    validate_verbs(&rule.verbs, &path.field("verbs"), errors);
    let (path, urls) = (path.field("nonResourceURLs"), &rule.non_resource_urls);
    if urls.is_empty() {
        errors.required(&path, "nonResourceURLs must contain at least one value");
    } else if has_wildcard(urls) {
        if urls.len() > 1 {
            errors.invalid(&path, Json(urls), "if '*' is present, must not specify other non-resource URLs");
        }
    } else {
        for (index, url) in urls.iter().enumerate() {
            if let Some(message) = what_is_wrong_with(url) {
                errors.invalid(&path.index(index), url, message);
            }
        }
    }
}

fn what_is_wrong_with(url: &str) -> Option<&'static str> {
    let wildcards = url.matches('*').count();
    match url {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !url.starts_with('/') => Some("must start with slash"),
        _ if url.contains(' ') => Some("must not contain white-space"),
        _ if url.contains("//") => Some("must not contain double slash"),
        _ if wildcards > 1 || (wildcards == 1 && !url.ends_with("/*")) => Some("wildcard can only do suffix matching"),
        _ => None,
    }
}
