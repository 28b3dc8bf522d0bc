//! Settles definitions: their names are accepted, they are established, and when they go their objects go first.
//!
//! Part of the API server, as upstream's apiextensions controllers are: a server without any other controllers serves custom
//! kinds too. Source: apiextensions `pkg/controller/{status,establish,finalizer}`.

use std::time::Duration;

use coracle_core::custom::names::{self, FINALIZER, set_condition};
use coracle_core::custom::place_of;
use coracle_core::{Gateway, GroupResource, Request, Status, Target, World, any_changed};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;

/// How long a failed attempt is left alone.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Settles definitions for as long as it lives. One task runs this.
pub async fn run(gateway: &dyn Gateway) {
    let resource = GroupResource::of::<CustomResourceDefinition>();
    loop {
        let (world, changes) = gateway.feed().follow(Some(&resource));
        let mut awaited = vec![changes];
        let mut failed = false;
        for definition in world.list::<CustomResourceDefinition>() {
            let place = place_of(&definition);
            let is_leaving = definition.metadata.deletion_timestamp.is_some();
            if is_leaving {
                awaited.push(gateway.feed().follow(Some(&place)).1);
            }
            let settled =
                if is_leaving { clear(gateway, &definition).await } else { accept(gateway, &definition).await };
            if let Err(status) = unless_outdated(settled) {
                tracing::warn!(definition = %place, %status, "a custom resource definition could not be settled");
                failed = true;
            }
        }
        match failed {
            true => drop(tokio::time::timeout(RETRY_DELAY, any_changed(&mut awaited)).await),
            false => any_changed(&mut awaited).await,
        }
    }
}

/// Gone or changed meanwhile is no failure: the change wakes us again.
fn unless_outdated(settled: Result<(), Status>) -> Result<(), Status> {
    settled.or_else(|status| if status.is_not_found() || status.is_conflict() { Ok(()) } else { Err(status) })
}

fn status_of(definition: &CustomResourceDefinition) -> Target {
    Target::of(definition).below("status")
}

/// Gives a definition the names it may have, and establishes it when it has them all.
async fn accept(gateway: &dyn Gateway, definition: &CustomResourceDefinition) -> Result<(), Status> {
    let (world, now) = (gateway.feed().world(), gateway.clock().now());
    let settle = move |definition: &CustomResourceDefinition, world: &World| {
        let all: Vec<_> = world.list::<CustomResourceDefinition>().collect();
        names::status(definition, all.iter().map(AsRef::as_ref), now)
    };
    if definition.status.as_ref() == Some(&settle(definition, &world)) {
        return Ok(());
    }
    let edit = move |definition: &mut CustomResourceDefinition| {
        definition.status = Some(settle(definition, &world));
        Ok(())
    };
    gateway.execute(Request::edit(status_of(definition), edit)).await.map(drop)
}

/// Deletes the objects of a definition that goes; when there are none left, lets it go.
async fn clear(gateway: &dyn Gateway, definition: &CustomResourceDefinition) -> Result<(), Status> {
    if !definition.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER) {
        return Ok(());
    }
    let (world, now, place) = (gateway.feed().world(), gateway.clock().now(), place_of(definition));
    let objects: Vec<_> = world.objects(&place).filter(|object| !object.is_terminating()).cloned().collect();
    let deletions = objects.iter().map(|object| Request::delete_object(object, DeleteOptions::default())).collect();
    for answer in gateway.execute_all(deletions).await {
        unless_outdated(answer.map(drop))?;
    }
    let is_clear = gateway.feed().world().objects(&place).next().is_none();
    let (value, why) = match is_clear {
        true => ("False", ("InstanceDeletionCompleted", "removed all instances")),
        false => ("True", ("InstanceDeletionInProgress", "CustomResource deletion is in progress")),
    };
    let note = move |definition: &mut CustomResourceDefinition| {
        set_condition(definition.status.get_or_insert_default(), "Terminating", value, why, now);
        Ok(())
    };
    gateway.execute(Request::edit(status_of(definition), note)).await?;
    if !is_clear {
        return Ok(());
    }
    let release = |definition: &mut CustomResourceDefinition| {
        if let Some(finalizers) = &mut definition.metadata.finalizers {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        Ok(())
    };
    gateway.execute(Request::edit(Target::of(definition), release)).await.map(drop)
}
