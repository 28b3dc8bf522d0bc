//! Keeps what every server has, tells schemas whose level is missing, and lets fairness know of changes.
//!
//! Source: `pkg/registry/flowcontrol/ensurer` (which looks once a minute; this looks at each change),
//! `flowcontrol.presyncFlowSchemaStatus`.

use std::sync::Arc;
use std::time::Duration;

use coracle_core::{Gateway, GroupResource, Request, Resource, Status, Target, World};
use jiff::Timestamp;
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, FlowSchemaCondition, PriorityLevelConfiguration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Fairness;
use super::config::level_of;
use super::defaults::{self, AUTO_UPDATE, EXEMPT};

/// How soon what could not be written is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Follows the objects for as long as it lives. One task runs this. If it `keeps_defaults`, the objects that every server has
/// are made again when they are gone, and mended when they are changed but should not be.
pub async fn run(gateway: Arc<dyn Gateway>, fairness: Arc<Fairness>, keeps_defaults: bool) {
    loop {
        let feed = gateway.feed();
        let (_, mut schemas) = feed.follow(Some(&GroupResource::of::<FlowSchema>()));
        let (world, mut levels) = feed.follow(Some(&GroupResource::of::<PriorityLevelConfiguration>()));
        fairness.digest(&world);
        let mut requests = if keeps_defaults { defaults_to_keep(&world) } else { Vec::new() };
        requests.extend(news_of_levels(&world, gateway.clock().now()));
        let mut all_well = true;
        for answer in gateway.execute_all(requests).await {
            let Err(status) = answer else { continue };
            if !is_outdated(&status) {
                tracing::warn!(%status, "an object of priority and fairness could not be kept");
                all_well = false;
            }
        }
        let changed = async {
            tokio::select! {
                _schemas = schemas.next(usize::MAX) => {}
                _levels = levels.next(usize::MAX) => {}
            }
        };
        if all_well {
            changed.await;
        } else {
            drop(tokio::time::timeout(RETRY_DELAY, changed).await);
        }
    }
}

/// Somebody else came first: then there is a change to look at.
fn is_outdated(status: &Status) -> bool {
    status.is_already_exists() || status.is_not_found() || status.is_conflict()
}

/// What it takes for the objects to be there that every server has.
#[must_use]
pub fn defaults_to_keep(world: &World) -> Vec<Request> {
    let schemas = defaults::flow_schemas();
    let levels = defaults::priority_levels();
    wishes(world, levels.collect()).into_iter().chain(wishes(world, schemas.collect())).collect()
}

/// An object whose spec the server may keep.
trait Kept: Resource + Clone {
    /// With the spec of another, as far as it is not the operator's.
    fn with_spec_of(&self, wanted: &Self) -> Self;
    fn has_spec_of(&self, other: &Self) -> bool;
}

macro_rules! kept {
    ($kind:ty, $spec:expr) => {
        impl Kept for $kind {
            fn with_spec_of(&self, wanted: &Self) -> Self {
                let spec = $spec;
                Self { spec: spec(self, wanted), ..self.clone() }
            }

            fn has_spec_of(&self, other: &Self) -> bool {
                self.spec == other.spec
            }
        }
    };
}

kept!(FlowSchema, |_there: &Self, wanted: &Self| wanted.spec.clone());
kept!(PriorityLevelConfiguration, |there: &Self, wanted: &Self| {
    let mut spec = wanted.spec.clone();
    // How much the exempt level counts is the operator's to say.
    let said = there.spec.as_ref().and_then(|spec| spec.exempt.clone());
    if let (Some(spec), Some(said), Some(EXEMPT)) = (&mut spec, said, wanted.metadata.name.as_deref()) {
        spec.exempt = Some(said);
    }
    spec
});

/// What is missing is made, what is kept is mended, and what once was kept but is known no more goes.
fn wishes<K: Kept>(world: &World, wanted: Vec<(K, bool)>) -> Vec<Request> {
    let is_known = |there: &K| wanted.iter().any(|(known, _)| known.metadata().name == there.metadata().name);
    let unknown = world.list::<K>().filter(|there| !is_known(there) && says_keep(there.metadata()) == Some(true));
    let deletions: Vec<Request> = unknown.map(|there| Request::delete(&*there)).collect();
    let others = wanted.iter().filter_map(|(wanted, is_mandatory)| {
        match world.get::<K>("", wanted.metadata().name.as_deref().unwrap_or_default()) {
            None => Some(Request::create(wanted.clone())),
            Some(there) => mended(&*there, wanted, *is_mandatory).map(Request::update),
        }
    });
    others.chain(deletions).collect()
}

/// The object as it should be, if it is not. Source: `ensurer.strategy.ReviseIfNeeded`.
fn mended<K: Kept>(there: &K, wanted: &K, is_mandatory: bool) -> Option<K> {
    let says = says_keep(there.metadata());
    let is_untouched = there.metadata().generation == Some(1);
    let keeps = is_mandatory || says.unwrap_or(is_untouched);
    let mut mended = if keeps { there.with_spec_of(wanted) } else { there.clone() };
    if says == Some(keeps) && there.has_spec_of(&mended) {
        return None;
    }
    let annotations = mended.metadata_mut().annotations.get_or_insert_default();
    annotations.insert(AUTO_UPDATE.to_owned(), keeps.to_string());
    Some(mended)
}

/// What an object's annotation says. Source: Go's `strconv.ParseBool`.
fn says_keep(metadata: &ObjectMeta) -> Option<bool> {
    match &**metadata.annotations.as_ref()?.get(AUTO_UPDATE)? {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Says of each schema whether its level is there, where that is not said yet.
fn news_of_levels(world: &World, now: Timestamp) -> impl Iterator<Item = Request> {
    world.list::<FlowSchema>().filter_map(move |schema| {
        let is_there = world.get::<PriorityLevelConfiguration>("", level_of(&schema)).is_some();
        let condition = dangling(&schema, is_there, now)?;
        let edit = move |schema: &mut FlowSchema| {
            let conditions = schema.status.get_or_insert_default().conditions.get_or_insert_default();
            conditions.retain(|known| known.type_ != condition.type_);
            conditions.push(condition.clone());
            Ok(())
        };
        Some(Request::edit(Target::of(&*schema).below("status"), edit))
    })
}

/// The condition of a schema, if it is news.
fn dangling(schema: &FlowSchema, is_there: bool, now: Timestamp) -> Option<FlowSchemaCondition> {
    let (status, reason, end) = match is_there {
        true => ("False", "Found", "and it exists"),
        false => ("True", "NotFound", "but there is no such object"),
    };
    let level = level_of(schema);
    let message = format!("This FlowSchema references the PriorityLevelConfiguration object named {level:?} {end}");
    let condition = FlowSchemaCondition {
        type_: Some("Dangling".to_owned()),
        status: Some(status.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_transition_time: Some(coracle_core::time::whole_seconds(now)),
    };
    let mut conditions = schema.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_same = |known: &FlowSchemaCondition| {
        let told = |one: &FlowSchemaCondition| (one.status.clone(), one.reason.clone(), one.message.clone());
        known.type_ == condition.type_ && told(known) == told(&condition)
    };
    (!conditions.any(is_same)).then_some(condition)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn level(annotation: Option<&str>, generation: i64, shares: i32) -> PriorityLevelConfiguration {
        let annotations = annotation.map_or(json!({}), |said| json!({AUTO_UPDATE: said}));
        let spec = json!({"type": "Limited", "limited": {"nominalConcurrencyShares": shares}});
        let metadata = json!({"name": "a", "generation": generation, "annotations": annotations});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    /// `expected`: the shares and the annotation that are written; nothing if it stays as it is.
    fn check(there: PriorityLevelConfiguration, is_mandatory: bool, expected: Option<(i32, &str)>) {
        let mended = mended(&there, &level(Some("true"), 1, 5), is_mandatory);
        let told = mended.as_ref().map(|level| {
            let limited = level.spec.as_ref().unwrap().limited.as_ref().unwrap();
            let annotation = &*level.metadata.annotations.as_ref().unwrap()[AUTO_UPDATE];
            (limited.nominal_concurrency_shares.unwrap(), annotation)
        });
        assert_eq!(told, expected, "{there:?}");
    }

    #[test]
    fn suggested_objects_are_kept_unless_the_operator_says_no() {
        check(level(Some("true"), 1, 5), false, None);
        check(level(Some("true"), 2, 7), false, Some((5, "true")));
        check(level(Some("false"), 1, 7), false, None);
        check(level(None, 1, 7), false, Some((5, "true")));
        check(level(None, 2, 7), false, Some((7, "false")));
        check(level(Some("perhaps"), 2, 5), false, Some((5, "false")));
    }

    #[test]
    fn mandatory_objects_are_kept_in_any_case() {
        check(level(Some("true"), 3, 5), true, None);
        check(level(Some("false"), 3, 7), true, Some((5, "true")));
        check(level(None, 2, 5), true, Some((5, "true")));
    }

    #[test]
    fn the_exempt_level_s_shares_are_the_operator_s() {
        let (wanted, _) = defaults::priority_levels().last().unwrap();
        let mut there = wanted.clone();
        let exempt = there.spec.as_mut().unwrap().exempt.as_mut().unwrap();
        exempt.nominal_concurrency_shares = Some(9);
        assert!(mended(&there, &wanted, true).is_none());
    }

    #[test]
    fn defaults_are_made_once() {
        let mut world = World::new(coracle_core::Kinds::builtin());
        assert_eq!(defaults_to_keep(&world).len(), 8 + 11);
        defaults::flow_schemas().for_each(|(schema, _)| drop(world.insert(schema).unwrap()));
        defaults::priority_levels().for_each(|(level, _)| drop(world.insert(level).unwrap()));
        assert_eq!(defaults_to_keep(&world).len(), 0);
        world.insert(level(Some("true"), 1, 1)).unwrap();
        assert_eq!(defaults_to_keep(&world).len(), 1, "what a newer server kept goes");
    }

    #[test]
    fn schemas_are_told_whether_their_level_is_there() {
        let schema = |conditions: Value| -> FlowSchema {
            let spec = json!({"priorityLevelConfiguration": {"name": "x"}});
            let status = json!({"conditions": conditions});
            serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": spec, "status": status})).unwrap()
        };
        let news = |conditions, is_there| {
            let condition = dangling(&schema(conditions), is_there, Timestamp::UNIX_EPOCH)?;
            Some((condition.status.unwrap(), condition.reason.unwrap(), condition.message.unwrap()))
        };
        let message = "This FlowSchema references the PriorityLevelConfiguration object named \"x\" and it exists";
        let found = ("False".to_owned(), "Found".to_owned(), message.to_owned());
        assert_eq!(news(json!([]), true), Some(found));
        let told = json!([{"type": "Dangling", "status": "False", "reason": "Found", "message": message}]);
        assert_eq!(news(told.clone(), true), None);
        let message =
            "This FlowSchema references the PriorityLevelConfiguration object named \"x\" but there is no such object";
        assert_eq!(news(told, false), Some(("True".to_owned(), "NotFound".to_owned(), message.to_owned())));
    }
}
