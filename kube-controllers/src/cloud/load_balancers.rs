//! Services of type LoadBalancer get their addresses from the cloud. Source: cloud-provider `controllers/service`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::{Event, ObjectKey, Request, Severity, Target, World};
use k8s_openapi::api::core::v1::{LoadBalancerStatus, Node, Service};

use super::autoscaler::TO_BE_DELETED;
use super::{Cloud, is_ready};
use crate::context::Context;
use crate::controller::{Controller, Error, Next};
use crate::watches::Watches;

/// Holds a Service until the cloud has taken back what it gave.
const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";
/// Keeps a node out.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Keeps the load balancers of Services.
pub struct LoadBalancers(Arc<dyn Cloud>);

impl LoadBalancers {
    /// The load balancers of a cloud.
    #[must_use]
    pub fn new(cloud: Arc<dyn Cloud>) -> Self {
        Self(cloud)
    }

    async fn ensure(&self, service: &Service, context: &Context) -> Result<(), Error> {
        if !has_finalizer(service) {
            context.event(service, Severity::Normal, "EnsuringLoadBalancer", "Ensuring load balancer");
            context.execute(edit_finalizer(service, true)).await?;
        }
        let nodes: Vec<_> = context.world().list::<Node>().filter(|node| takes_traffic(node)).collect();
        let balancer = match self.0.balance(service, &nodes).await {
            Ok(balancer) => balancer,
            Err(status) => {
                let why = format!("Error syncing load balancer: failed to ensure load balancer: {}", status.message());
                context.event(service, Severity::Warning, "SyncLoadBalancerFailed", why);
                return Err(Error::other(status));
            }
        };
        if write_status(service, balancer, context).await? {
            context.event(service, Severity::Normal, "EnsuredLoadBalancer", "Ensured load balancer");
        }
        Ok(())
    }

    async fn give_back(&self, service: &Service, context: &Context) -> Result<(), Error> {
        context.event(service, Severity::Normal, "DeletingLoadBalancer", "Deleting load balancer");
        if let Err(status) = self.0.release(service).await {
            let why = format!("Error syncing load balancer: failed to delete load balancer: {}", status.message());
            context.event(service, Severity::Warning, "SyncLoadBalancerFailed", why);
            return Err(Error::other(status));
        }
        write_status(service, LoadBalancerStatus::default(), context).await?;
        context.execute(edit_finalizer(service, false)).await?;
        context.event(service, Severity::Normal, "DeletedLoadBalancer", "Deleted load balancer");
        Ok(())
    }
}

#[async_trait]
impl Controller for LoadBalancers {
    type Kind = Service;

    fn name(&self) -> &'static str {
        "service-controller"
    }

    fn watches(&self, on: &mut Watches<Service>) {
        on.changes::<Node>(services_of_nodes);
    }

    async fn reconcile(&self, service: Arc<Service>, context: &Context) -> Result<Next, Error> {
        if wants_balancer(&service) {
            self.ensure(&service, context).await?;
        } else if has_finalizer(&service) {
            self.give_back(&service, context).await?;
        }
        Ok(Next::on_change())
    }
}

fn wants_balancer(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    service.metadata.deletion_timestamp.is_none()
        && spec.is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer") && spec.load_balancer_class.is_none())
}

fn has_finalizer(service: &Service) -> bool {
    service.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

fn edit_finalizer(service: &Service, holds: bool) -> Request {
    Request::edit(Target::of(service), move |service: &mut Service| {
        let mut finalizers = service.metadata.finalizers.take().unwrap_or_default();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        finalizers.extend(holds.then(|| FINALIZER.to_owned()));
        service.metadata.finalizers = (!finalizers.is_empty()).then_some(finalizers);
        Ok(())
    })
}

/// Says whether there was something to write.
async fn write_status(service: &Service, mut balancer: LoadBalancerStatus, context: &Context) -> Result<bool, Error> {
    for ingress in balancer.ingress.iter_mut().flatten().filter(|ingress| ingress.ip.is_some()) {
        ingress.ip_mode.get_or_insert_with(|| "VIP".to_owned());
    }
    let known = service.status.as_ref().and_then(|status| status.load_balancer.clone()).unwrap_or_default();
    let ingress = |balancer: &LoadBalancerStatus| {
        let ingress = balancer.ingress.iter().flatten();
        ingress.map(|one| (one.ip.clone(), one.hostname.clone())).collect::<Vec<_>>()
    };
    if ingress(&known) == ingress(&balancer) {
        return Ok(false);
    }
    let edit = move |service: &mut Service| {
        service.status.get_or_insert_default().load_balancer = Some(balancer.clone());
        Ok(())
    };
    context.execute(Request::edit(Target::of(service).below("status"), edit)).await?;
    Ok(true)
}

/// Source: `NodeConditionPredicate`.
fn takes_traffic(node: &Node) -> bool {
    let excluded = node.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(EXCLUDED));
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let leaving = taints.into_iter().any(|taint| taint.key == TO_BE_DELETED);
    !excluded && !leaving && is_ready(node) && node.metadata.deletion_timestamp.is_none()
}

/// Every balanced Service, if a node begins or ceases to take traffic.
fn services_of_nodes(event: &Event, world: &World) -> Vec<ObjectKey> {
    let takes = |object: &coracle_core::Object| object.get::<Node>().is_some_and(takes_traffic);
    let before = event.previous.as_deref().is_some_and(takes);
    if before == (!event.deleted && takes(&event.object)) {
        return Vec::new();
    }
    let services = world.list::<Service>().filter(|service| wants_balancer(service));
    services.map(|service| ObjectKey::of(&service.metadata)).collect()
}

impl fmt::Debug for LoadBalancers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LoadBalancers of {}", self.0.name())
    }
}
