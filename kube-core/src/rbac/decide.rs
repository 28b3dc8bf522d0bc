//! A user's grants, and the decision. Source: `plugin/pkg/auth/authorizer/rbac/rbac.go`, `pkg/registry/rbac/validation/rule.go`.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role, RoleRef, Subject};

use super::access::Access;
use super::bindings::{parts, service_account};
use super::rule::{allows, items};
use super::{GROUP, MASTERS};
use crate::kind::GroupResource;
use crate::object::{Object, ObjectKey};
use crate::request::User;
use crate::world::World;

/// An answer and why it is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A binding allows it; which.
    Allowed(String),
    /// Nothing allows it. The reason is empty unless a binding names a role that is not there.
    NotAllowed(String),
}

/// Whether the roles bound to a user allow what is asked. Members of `system:masters` may do everything.
#[must_use]
pub fn authorize(world: &World, user: &User, access: &Access<'_>) -> Verdict {
    if user.groups.iter().any(|group| group == MASTERS) {
        return Verdict::Allowed(String::new());
    }
    let mut broken = Vec::new();
    for binding in bindings(world, user, access.namespace()) {
        let Some((role, subjects)) = parts(binding) else { continue };
        match role_rules(world, role, binding.namespace()) {
            Ok(rules) if rules.iter().any(|rule| allows(rule, access)) => {
                return Verdict::Allowed(format!("RBAC: allowed by {}", describe(binding, role, subjects, user)));
            }
            Ok(_) => {}
            Err(why) if broken.contains(&why) => {}
            Err(why) => broken.push(why),
        }
    }
    Verdict::NotAllowed(match broken.as_slice() {
        [] => String::new(),
        [only] => format!("RBAC: {only}"),
        many => format!("RBAC: [{}]", many.join(", ")),
    })
}

/// Every rule that holds for a user in a namespace (cluster-wide ones if it is empty), and what could not be looked up.
#[must_use]
pub fn rules_of(world: &World, user: &User, namespace: &str) -> (Vec<PolicyRule>, Vec<String>) {
    let (mut rules, mut broken, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for binding in bindings(world, user, namespace) {
        if !seen.insert(binding.reference()) {
            continue;
        }
        let Some((role, _)) = parts(binding) else { continue };
        match role_rules(world, role, binding.namespace()) {
            Ok(found) => rules.extend_from_slice(found),
            Err(why) => broken.push(why),
        }
    }
    (rules, broken)
}

/// The rules of the role that a binding in a namespace refers to.
///
/// # Errors
/// That there is no such role, in upstream's words.
pub fn role_rules<'a>(world: &'a World, role: &RoleRef, namespace: &str) -> Result<&'a [PolicyRule], String> {
    let is_cluster_wide = role.kind == "ClusterRole";
    let (resource, singular, namespace) =
        if is_cluster_wide { ("clusterroles", "clusterrole", "") } else { ("roles", "role", namespace) };
    let key = ObjectKey::new(namespace, &role.name);
    let object = world.object(&GroupResource::new(GROUP, resource), key.as_str());
    let rules = object.and_then(|object| match is_cluster_wide {
        true => object.get::<ClusterRole>().map(|role| items(&role.rules)),
        false => object.get::<Role>().map(|role| items(&role.rules)),
    });
    rules.ok_or_else(|| format!("{singular}.{GROUP} {:?} not found", role.name))
}

/// Bindings of the user and their groups: those of the whole cluster, then those of the namespace.
fn bindings<'a>(world: &'a World, user: &'a User, namespace: &'a str) -> impl Iterator<Item = &'a Arc<Object>> {
    let index = world.bindings();
    let in_namespace = move |namespace: &'a str| {
        let of_groups = user.groups.iter().flat_map(move |group| index.of_group(namespace, group));
        index.of_user(namespace, &user.name).chain(of_groups)
    };
    let local = (!namespace.is_empty()).then_some(namespace);
    in_namespace("").chain(local.into_iter().flat_map(in_namespace))
}

/// `RoleBinding "viewers/shop" of ClusterRole "view" to Group "developers"`
fn describe(binding: &Object, role: &RoleRef, subjects: &[Subject], user: &User) -> String {
    let namespace = binding.namespace();
    let applies = |subject: &&Subject| match subject.kind.as_str() {
        "User" => subject.name == user.name,
        "Group" => user.groups.contains(&subject.name),
        _ => service_account(subject, namespace).is_some_and(|name| name == user.name),
    };
    let subject = subjects.iter().find(applies).map(|subject| match subject.kind.as_str() {
        "ServiceAccount" => {
            let own = subject.namespace.as_deref().filter(|own| !own.is_empty()).unwrap_or(namespace);
            format!("{} {:?}", subject.kind, format!("{}/{own}", subject.name))
        }
        kind => format!("{kind} {:?}", subject.name),
    });
    let (kind, name) = match namespace {
        "" => ("ClusterRoleBinding", binding.name().to_owned()),
        namespace => ("RoleBinding", format!("{}/{namespace}", binding.name())),
    };
    format!("{kind} {name:?} of {} {:?} to {}", role.kind, role.name, subject.unwrap_or_default())
}
