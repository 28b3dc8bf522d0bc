//! Namespaces: when one is deleted, everything in it goes first. Source: `pkg/controller/namespace`.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::request::Target;
use coracle_core::time::whole_seconds;
use coracle_core::{Action, Body, Event, GroupResource, Object, ObjectKey, Request, Status, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;

use crate::plan::Plan;
use crate::planner::Planner;
use crate::watches::Watches;

/// The finalizer in `spec.finalizers` that stands for this controller.
const FINALIZER: &str = "kubernetes";

/// What is in a namespace, by collection; only filled if it is being deleted.
pub type Content = BTreeMap<GroupResource, Vec<Arc<Object>>>;

/// Empties namespaces that are being deleted, then lets them go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Namespaces;

impl Planner for Namespaces {
    type Kind = Namespace;
    type Observed = Content;

    fn name(&self) -> &'static str {
        "namespace-controller"
    }

    fn watches(&self, on: &mut Watches<Namespace>) {
        on.any(emptied);
    }

    fn observe(&self, namespace: &Namespace, world: &World) -> Self::Observed {
        let name = namespace.metadata.name.as_deref().filter(|_| namespace.metadata.deletion_timestamp.is_some());
        let Some(name) = name else { return BTreeMap::new() };
        let content = |resource| world.objects_in(resource, name).cloned().collect::<Vec<_>>();
        let collections = world.resources().map(|resource| (resource.clone(), content(resource)));
        collections.filter(|(_, objects)| !objects.is_empty()).collect()
    }

    fn plan(&self, namespace: &Namespace, content: Self::Observed, now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        if namespace.metadata.deletion_timestamp.is_none() {
            return plan;
        }
        let first = first_to_go(content);
        let present = first.values().flatten().filter(|object| !object.is_terminating());
        let deletions: Vec<_> = present.map(|object| Request::delete_object(object, background())).collect();
        if !deletions.is_empty() {
            // What goes wakes this namespace, and only then is it known what remains.
            plan.together(deletions);
            let namespace = namespace.clone();
            plan.if_failed(move |refusal| {
                let conditions = conditions_of(&first, Some(refusal).filter(|refusal| !refusal.is_not_found()));
                told(&namespace, conditions, now)
            });
            return plan;
        }
        plan.together(told(namespace, conditions_of(&first, None), now));
        if first.is_empty() {
            plan.together(finalization(namespace));
        }
        plan
    }
}

/// The namespace that came closer to being empty.
fn emptied(event: &Event, world: &World) -> Vec<ObjectKey> {
    let name = event.object.namespace();
    let moved = !name.is_empty() && (event.deleted || event.object.is_terminating());
    let ending = || world.get::<Namespace>("", name).is_some_and(|it| it.metadata.deletion_timestamp.is_some());
    if moved && ending() { vec![ObjectKey::new("", name)] } else { Vec::new() }
}

/// Pods first, so that nothing they rely on, such as a network policy, goes before them. Nobody looks at the rest until then.
/// Source: `deleteAllContent`.
fn first_to_go(mut content: Content) -> Content {
    match content.remove_entry(&GroupResource::of::<Pod>()) {
        Some(pods) => BTreeMap::from([pods]),
        None => content,
    }
}

fn background() -> DeleteOptions {
    DeleteOptions { propagation_policy: Some("Background".to_owned()), ..DeleteOptions::default() }
}

/// The namespace with these conditions, if they are news.
fn told(namespace: &Namespace, conditions: [Told; 5], now: Timestamp) -> Option<Request> {
    let mut after = namespace.clone();
    let status = after.status.get_or_insert_default();
    status.phase = Some("Terminating".to_owned());
    let known = status.conditions.get_or_insert_default();
    conditions.into_iter().for_each(|condition| set_condition(known, condition, now));
    (after.status != namespace.status).then(|| Request::update_status(after))
}

/// Type, whether it is true, reason and message.
type Told = (&'static str, bool, &'static str, String);

/// What is told about the end of a namespace. Source: `status_condition_utils.go`.
fn conditions_of(content: &Content, refusal: Option<&Status>) -> [Told; 5] {
    let fine = |kind, reason, message: &str| (kind, false, reason, message.to_owned());
    [
        fine("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
        fine(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        deleted_content(refusal),
        remaining_content(content),
        remaining_finalizers(content),
    ]
}

fn deleted_content(refusal: Option<&Status>) -> Told {
    const KIND: &str = "NamespaceDeletionContentFailure";
    match refusal {
        None => {
            let message = "All content successfully deleted, may be waiting on finalization";
            (KIND, false, "ContentDeleted", message.to_owned())
        }
        Some(why) => {
            let message = format!("Failed to delete all resource types, 1 remaining: {}", why.message());
            (KIND, true, "ContentDeletionFailed", message)
        }
    }
}

fn remaining_content(content: &Content) -> Told {
    const KIND: &str = "NamespaceContentRemaining";
    if content.is_empty() {
        return (KIND, false, "ContentRemoved", "All content successfully removed".to_owned());
    }
    let count = |(resource, objects): (&GroupResource, &Vec<_>)| {
        format!("{}.{} has {} resource instances", resource.resource, resource.group, objects.len())
    };
    let mut counts: Vec<_> = content.iter().map(count).collect();
    counts.sort_unstable();
    (KIND, true, "SomeResourcesRemain", format!("Some resources are remaining: {}", counts.join(", ")))
}

fn remaining_finalizers(content: &Content) -> Told {
    const KIND: &str = "NamespaceFinalizersRemaining";
    let mut counts = BTreeMap::<&str, usize>::new();
    for finalizer in content.values().flatten().flat_map(|object| object.metadata().finalizers.iter().flatten()) {
        *counts.entry(finalizer).or_default() += 1;
    }
    if counts.is_empty() {
        return (KIND, false, "ContentHasNoFinalizers", "All content-preserving finalizers finished".to_owned());
    }
    let counts: Vec<_> =
        counts.into_iter().map(|(finalizer, count)| format!("{finalizer} in {count} resource instances")).collect();
    let message = format!("Some content in the namespace has finalizers remaining: {}", counts.join(", "));
    (KIND, true, "SomeFinalizersRemain", message)
}

fn set_condition(conditions: &mut Vec<NamespaceCondition>, (kind, holds, reason, message): Told, now: Timestamp) {
    let status = if holds { "True" } else { "False" };
    let known = conditions.iter_mut().find(|condition| condition.type_ == kind);
    let since = known.as_deref().filter(|known| known.status == status);
    let last_transition_time = since.map_or(Some(whole_seconds(now)), |known| known.last_transition_time.clone());
    let told = NamespaceCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        last_transition_time,
        reason: Some(reason.to_owned()),
        message: Some(message),
    };
    match known {
        Some(known) => *known = told,
        None => conditions.push(told),
    }
}

/// Takes this controller's finalizer out, which lets the namespace go unless others have theirs in.
fn finalization(namespace: &Namespace) -> Option<Request> {
    let mut after = namespace.clone();
    let finalizers = after.spec.as_mut()?.finalizers.as_mut()?;
    let before = finalizers.len();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    if finalizers.len() == before {
        return None;
    }
    // The status may just have been written: any version will do.
    after.metadata.resource_version = None;
    let target = Target::of(&after).below("finalize");
    Some(Request::new(target, Action::Update(Body::Value(Box::new(after)))))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::Small;

    const ENDING: &str = "{kind: Namespace, metadata: {name: shop, deletionTimestamp: '2030-01-01T11:59:59Z'}, \
                          spec: {finalizers: [kubernetes]}, status: {phase: Active}}";

    #[test]
    fn pods_go_first_then_the_rest_then_the_namespace() {
        let mut small = Small::new(ENDING);
        small.add("{kind: ConfigMap, metadata: {name: a, namespace: shop}}");
        small.add("{kind: Secret, metadata: {name: s, namespace: shop, finalizers: [example.com/hold]}}");
        small.add("{kind: Pod, metadata: {name: p, namespace: shop}}\n---\n{kind: Pod, metadata: {name: p}}");
        expect![[r#"
            delete pod shop/p Background
        "#]]
        .assert_eq(&small.step(&Namespaces, "shop"));
        expect![[r#"
            delete secret shop/s Background
            delete configmap shop/a Background
        "#]]
        .assert_eq(&small.step(&Namespaces, "shop"));
        expect![[r#"
            update namespace/status shop NamespaceContentRemaining=True/SomeResourcesRemain NamespaceDeletionContentFailure=False/ContentDeleted NamespaceDeletionDiscoveryFailure=False/ResourcesDiscovered NamespaceDeletionGroupVersionParsingFailure=False/ParsedGroupVersions NamespaceFinalizersRemaining=True/SomeFinalizersRemain phase=Terminating
        "#]]
        .assert_eq(&small.step(&Namespaces, "shop"));
        let secret = ObjectKey::new("shop", "s");
        small.world.remove(&GroupResource::new("", "secrets"), &secret, small.world.revision().next());
        expect![[r#"
            update namespace/status shop NamespaceContentRemaining=False/ContentRemoved NamespaceFinalizersRemaining=False/ContentHasNoFinalizers
            update namespace/finalize shop NamespaceContentRemaining=True/SomeResourcesRemain NamespaceFinalizersRemaining=True/SomeFinalizersRemain finalizers.0=-
        "#]].assert_eq(&small.step(&Namespaces, "shop"));
        assert!(small.world.get::<Namespace>("", "shop").is_none());
        assert!(small.world.get::<Pod>("default", "p").is_some());
    }

    #[test]
    fn what_cannot_be_deleted_is_told_without_a_new_time_for_the_rest() {
        let mut small = Small::new(ENDING);
        small.add("{kind: Secret, metadata: {name: s, namespace: shop}}");
        let told = |small: &Small| small.get::<Namespace>("shop").status.clone().unwrap().conditions.unwrap();
        let mut refuse = |why: &str| {
            let failed = small.plan(&Namespaces, "shop").on_failure.unwrap().request(&Status::internal(why));
            let mut plan = Plan::nothing();
            plan.together(failed);
            small.carry_out(plan);
            small.now += jiff::SignedDuration::from_secs(5);
            told(&small)
        };
        let (first, second) = (refuse("no"), refuse("never"));
        let texts: Vec<_> = second.iter().filter(|told| told.status == "True").flat_map(|told| &told.message).collect();
        expect![[r#"
            [
                "Failed to delete all resource types, 1 remaining: Internal error occurred: never",
                "Some resources are remaining: secrets. has 1 resource instances",
            ]"#]]
        .assert_eq(&format!("{texts:#?}"));
        assert!(first.iter().zip(&second).all(|(one, other)| one.last_transition_time == other.last_transition_time));
    }

    #[test]
    fn a_namespace_in_use_is_left_alone() {
        let mut small = Small::new("{kind: Namespace, metadata: {name: shop}, spec: {finalizers: [kubernetes]}}");
        assert_eq!(small.step(&Namespaces, "shop"), "");
    }
}
