use std::collections::HashSet;
use std::fmt::Write as _;

use coracle_core::{ObjectRef, World};
use expect_test::{Expect, expect};
use k8s_openapi::api::core::v1::ConfigMap;
use proptest::prelude::*;

use super::{GarbageCollector, plan, wake};
use crate::erased::ErasedController as _;
use crate::testing::{Small, change};

/// A ConfigMap by `name`, with owners by name; `!` after an owner's name means that it blocks the owner's deletion.
fn config_map(name: &str, owners: &[&str], more: &str) -> String {
    let reference = |owner: &&str| {
        let (name, blocks) = (owner.trim_end_matches('!'), owner.ends_with('!'));
        format!(
            "{{apiVersion: v1, kind: ConfigMap, name: {name}, uid: configmap-{name}, blockOwnerDeletion: {blocks}}}"
        )
    };
    let owners: Vec<_> = owners.iter().map(reference).collect();
    format!("{{kind: ConfigMap, metadata: {{name: {name}, ownerReferences: [{}], {more}}}}}", owners.join(", "))
}

const DELETING: &str = "deletionTimestamp: '2030-01-01T11:59:59Z', finalizers: ";

/// Runs the collector from `all` until nothing is woken any more, and says what it did.
fn collect(small: &mut Small) -> String {
    let mut queue = Vec::new();
    GarbageCollector.all(&small.world, &mut queue);
    let mut lines = String::new();
    for _ in 0..1000 {
        queue.sort();
        queue.dedup();
        let Some(at) = queue.pop() else { break };
        let Some(object) = small.world.at(&at).cloned() else { continue };
        let before = small.world.clone();
        lines += &small.carry_out(plan(&object, &small.world));
        for place in changed(&before, &small.world) {
            wake(&change(&before, &small.world, &place), &small.world, &mut queue);
        }
    }
    lines
}

fn changed(before: &World, after: &World) -> Vec<ObjectRef> {
    let places = |world: &World| {
        let objects = world.resources().flat_map(|resource| world.objects(resource));
        objects.map(|object| (object.reference(), object.revision())).collect::<HashSet<_>>()
    };
    places(before).symmetric_difference(&places(after)).map(|(place, _)| place.clone()).collect()
}

fn check(objects: &[String], expected: Expect) {
    let mut small = Small::new(&objects.join("\n---\n"));
    expected.assert_eq(&collect(&mut small));
}

#[test]
fn dependents_of_what_is_gone_go_in_the_background() {
    check(
        &[config_map("b", &["a"], ""), config_map("c", &["b!"], ""), config_map("free", &[], "")],
        expect![[r#"
        delete configmap default/b Background
        delete configmap default/c Background
    "#]],
    );
}

#[test]
fn one_living_owner_is_enough() {
    check(
        &[config_map("a", &[], ""), config_map("b", &["a", "gone"], "")],
        expect![[r#"
        edit configmap default/b ownerReferences.1.apiVersion=- ownerReferences.1.blockOwnerDeletion=- ownerReferences.1.kind=- ownerReferences.1.name=- ownerReferences.1.uid=-
    "#]],
    );
}

#[test]
fn another_uid_is_another_owner() {
    check(
        &[config_map("a", &[], "uid: other"), config_map("b", &["a"], "")],
        expect![[r#"
        delete configmap default/b Background
    "#]],
    );
}

#[test]
fn in_the_foreground_the_owner_waits_for_those_that_block() {
    let owner = config_map("a", &[], &format!("{DELETING} [foregroundDeletion]"));
    check(
        &[owner, config_map("b", &["a!"], ""), config_map("c", &["b!"], ""), config_map("free", &["a"], "")],
        expect![[r#"
            delete configmap default/free Background
            delete configmap default/b Foreground
            delete configmap default/c Background
            edit configmap default/b finalizers.0=-
            edit configmap default/a finalizers.0=-
        "#]],
    );
}

#[test]
fn a_dependent_with_another_owner_loses_only_the_one_that_waits() {
    let owner = config_map("a", &[], &format!("{DELETING} [foregroundDeletion]"));
    check(
        &[owner, config_map("b", &[], ""), config_map("c", &["a!", "b!"], "")],
        expect![[r#"
        edit configmap default/c ownerReferences.0.name=b ownerReferences.0.uid=configmap-b ownerReferences.1.apiVersion=- ownerReferences.1.blockOwnerDeletion=- ownerReferences.1.kind=- ownerReferences.1.name=- ownerReferences.1.uid=-
        edit configmap default/a finalizers.0=-
    "#]],
    );
}

#[test]
fn orphans_are_set_free_before_the_owner_goes() {
    let owner = config_map("a", &[], &format!("{DELETING} [orphan]"));
    check(
        &[owner, config_map("b", &["a!"], ""), config_map("c", &["b"], "")],
        expect![[r#"
        edit configmap default/b ownerReferences.0.apiVersion=- ownerReferences.0.blockOwnerDeletion=- ownerReferences.0.kind=- ownerReferences.0.name=- ownerReferences.0.uid=-
        edit configmap default/a finalizers.0=-
    "#]],
    );
}

#[test]
fn circles_come_to_an_end() {
    let owner = config_map("a", &["c!"], &format!("{DELETING} [foregroundDeletion]"));
    check(
        &[owner, config_map("b", &["a!"], ""), config_map("c", &["b!"], "")],
        expect![[r#"
        delete configmap default/b Foreground
        edit configmap default/c ownerReferences.0.blockOwnerDeletion=false
        delete configmap default/c Foreground
        edit configmap default/b finalizers.0=-
        edit configmap default/a finalizers.0=-
        edit configmap default/c finalizers.0=-
    "#]],
    );
}

#[test]
fn owners_must_be_in_reach() {
    let namespaced = "ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: a, uid: configmap-a}]";
    let cluster = format!("{{kind: Node, metadata: {{name: one, {namespaced}}}}}");
    let foreign = format!("{{kind: Secret, metadata: {{name: s, namespace: other, {namespaced}}}}}");
    let unknown = "{kind: Secret, metadata: {name: u, ownerReferences: [{apiVersion: x/v1, kind: X, name: x, uid: x}, \
                   {apiVersion: v1, kind: ConfigMap, name: gone, uid: gone}]}}";
    let by_node = "{kind: Secret, metadata: {name: v, ownerReferences: [{apiVersion: v1, kind: Node, name: one, uid: node-one}]}}";
    check(
        &[config_map("a", &[], ""), cluster, foreign, unknown.to_owned(), by_node.to_owned()],
        expect![[r#"
        event OwnerRefInvalidNamespace: ownerRef [v1/ConfigMap, namespace: other, name: a, uid: configmap-a] does not exist in namespace "other"
        delete secret other/s Background
        event OwnerRefInvalidNamespace: ownerRef [v1/ConfigMap, namespace: , name: a, uid: configmap-a] does not exist in namespace ""
    "#]],
    );
}

#[test]
fn an_owner_that_waits_wakes_all_its_dependents() {
    let objects = [config_map("a", &[], ""), config_map("b", &["a!"], ""), config_map("free", &["a"], "")];
    let mut small = Small::new(&objects.join("\n---\n"));
    let before = small.world.clone();
    small.add(&config_map("a", &[], &format!("{DELETING} [foregroundDeletion]")));
    let (mut woken, place) = (Vec::new(), ObjectRef::of(&*small.get::<ConfigMap>("a")));
    wake(&change(&before, &small.world, &place), &small.world, &mut woken);
    let names: Vec<_> = woken.iter().map(|place| place.key.name()).collect();
    assert_eq!(names, ["a", "b", "free"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever owns whom: in the end exactly those are left that are owned by nobody, or, over any number of owners, by them.
    #[test]
    fn exactly_the_orphans_are_collected(edges in prop::collection::vec((0..12usize, 0..12usize, any::<bool>()), 0..24), deleted in 0..12usize) {
        let mut yaml = String::new();
        let mut owners = vec![Vec::new(); 12];
        for (owner, dependent, blocks) in edges.iter().filter(|(owner, dependent, _)| owner != dependent) {
            if !owners[*dependent].iter().any(|(known, _)| known == owner) {
                owners[*dependent].push((*owner, *blocks));
            }
        }
        for (index, owners) in owners.iter().enumerate() {
            let names: Vec<_> = owners.iter().map(|(owner, blocks)| format!("o{owner}{}", if *blocks { "!" } else { "" })).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let more = if index == deleted { format!("{DELETING} [foregroundDeletion]") } else { String::new() };
            write!(yaml, "{}\n---\n", config_map(&format!("o{index}"), &names, &more)).unwrap();
        }
        let mut small = Small::new(&yaml);
        collect(&mut small);
        let graph = super::owner_graph(&small.world);
        for object in small.world.objects(&coracle_core::GroupResource::new("", "configmaps")) {
            prop_assert!(!object.is_terminating(), "{object:?} is still there");
            let owned = object.metadata().owner_references.iter().flatten().count();
            prop_assert!(owned == 0 || graph.node_weights().any(|place| *place == object.reference()), "{object:?} is orphaned");
        }
        // Nothing that a root holds without the deleted object is lost.
        let mut alive: HashSet<usize> = (0..12).filter(|index| owners[*index].is_empty() && *index != deleted).collect();
        for _ in 0..12 {
            let more = (0..12).filter(|index| *index != deleted && owners[*index].iter().any(|(owner, _)| alive.contains(owner)));
            alive.extend(more.collect::<Vec<_>>());
        }
        for index in alive {
            prop_assert!(small.world.by_uid(&format!("configmap-o{index}")).is_some(), "o{index} is lost");
        }
    }
}
