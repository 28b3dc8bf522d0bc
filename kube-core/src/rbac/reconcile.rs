//! Default roles and bindings that are there already get what they lack, and keep what they have besides; unless they say no.
//! A binding to another role than the default is left alone (upstream replaces it). Source: `component-helpers/auth/rbac/reconciliation`.

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::missing;

/// Says `false` on what is to stay as it is.
pub(super) const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// A role with what it lacks of its default; `None` if it lacks nothing, or is to stay as it is.
#[must_use]
pub fn complete_role(there: &ClusterRole, default: &ClusterRole) -> Option<ClusterRole> {
    let mut role = there.clone();
    complete_metadata(&mut role.metadata, &default.metadata)?;
    match (&mut role.aggregation_rule, &default.aggregation_rule) {
        // The rules of such a role are gathered.
        (there @ None, Some(default)) => *there = Some(default.clone()),
        (Some(there), Some(default)) => {
            let selectors = there.cluster_role_selectors.get_or_insert_default();
            let lacking = default.cluster_role_selectors.iter().flatten();
            let lacking: Vec<_> = lacking.filter(|selector| !selectors.contains(selector)).cloned().collect();
            selectors.extend(lacking);
        }
        (_, None) => {
            let lacking =
                missing(there.rules.as_deref().unwrap_or_default(), default.rules.as_deref().unwrap_or_default());
            if !lacking.is_empty() {
                role.rules.get_or_insert_default().extend(lacking);
            }
        }
    }
    (role != *there).then_some(role)
}

/// A binding with what it lacks of its default; `None` if it lacks nothing, is to stay as it is, or binds another role.
#[must_use]
pub fn complete_binding(there: &ClusterRoleBinding, default: &ClusterRoleBinding) -> Option<ClusterRoleBinding> {
    let mut binding = there.clone();
    complete_metadata(&mut binding.metadata, &default.metadata)?;
    let held = there.subjects.as_deref().unwrap_or_default();
    let lacking: Vec<_> =
        default.subjects.iter().flatten().filter(|subject| !held.contains(subject)).cloned().collect();
    if !lacking.is_empty() {
        binding.subjects.get_or_insert_default().extend(lacking);
    }
    (there.role_ref == default.role_ref && binding != *there).then_some(binding)
}

/// `None` if the object is to stay as it is.
fn complete_metadata(there: &mut ObjectMeta, default: &ObjectMeta) -> Option<()> {
    let annotations = there.annotations.get_or_insert_default();
    if annotations.get(AUTOUPDATE).is_some_and(|wish| wish == "false") {
        return None;
    }
    for (have, want) in [(annotations, &default.annotations), (there.labels.get_or_insert_default(), &default.labels)] {
        for (key, value) in want.iter().flatten() {
            have.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::{default_bindings, default_roles};
    use super::*;

    fn role(name: &str) -> ClusterRole {
        let roles = default_roles();
        roles.into_iter().find(|role| role.metadata.name.as_deref() == Some(name)).unwrap()
    }

    #[test]
    fn roles_get_what_they_lack_and_keep_the_rest() {
        for role in default_roles() {
            assert_eq!(complete_role(&role, &role), None, "{:?}", role.metadata.name);
        }
        let default = role("system:basic-user");
        let mut there = default.clone();
        let own = role("cluster-admin").rules.unwrap().remove(1);
        there.rules = Some(vec![own.clone()]);
        there.metadata.labels = None;
        let completed = complete_role(&there, &default).unwrap();
        let rules = completed.rules.clone().unwrap();
        assert_eq!(rules.first(), Some(&own));
        assert!(missing(&rules, default.rules.as_deref().unwrap()).is_empty());
        assert_eq!(completed.metadata.labels, default.metadata.labels);
        assert_eq!(complete_role(&completed, &default), None);
        there.metadata.annotations = Some([(AUTOUPDATE.to_owned(), "false".to_owned())].into());
        assert_eq!(complete_role(&there, &default), None);
        let (mut gathered, default) = (role("view"), role("view"));
        gathered.rules = None;
        assert_eq!(complete_role(&gathered, &default), None, "its rules are gathered");
        gathered.aggregation_rule = None;
        assert_eq!(complete_role(&gathered, &default).unwrap().aggregation_rule, default.aggregation_rule);
    }

    #[test]
    fn bindings_get_back_their_subjects() {
        for binding in default_bindings() {
            assert_eq!(complete_binding(&binding, &binding), None);
            let mut there = binding.clone();
            there.subjects = None;
            let completed = complete_binding(&there, &binding);
            assert_eq!(completed, binding.subjects.is_some().then_some(binding.clone()));
            there.role_ref.name = "other".to_owned();
            assert_eq!(complete_binding(&there, &binding), None);
        }
    }
}
