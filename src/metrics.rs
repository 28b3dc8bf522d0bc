//! The cluster's numbers in `/metrics`, under upstream's names where there is one.

use std::sync::Arc;

use coracle_api::http::Metrics;
use coracle_api::http::exposition::Exposition;
use coracle_core::Gateway;

use crate::driver::Driver;

/// What `/metrics` tells beside the requests.
pub(crate) struct Numbers {
    gateway: Arc<dyn Gateway>,
    driver: Driver,
}

impl Numbers {
    pub(crate) fn new(gateway: Arc<dyn Gateway>, driver: Driver) -> Self {
        Self { gateway, driver }
    }

    fn tell_storage(&self, text: &mut Exposition) {
        let world = self.gateway.feed().world();
        let counts: Vec<_> = world.resources().map(|resource| (resource, world.count(resource))).collect();
        text.family("apiserver_storage_objects", "gauge", "Stored objects by resource.");
        for (resource, count) in &counts {
            text.sample(&[("resource", &resource.to_string())], count);
        }
        text.family("apiserver_resource_objects", "gauge", "Stored objects by group and resource.");
        for (resource, count) in &counts {
            text.sample(&[("group", &resource.group), ("resource", &resource.resource)], count);
        }
        text.family("coracle_revision", "counter", "The newest revision.").sample(&[], world.revision());
    }

    fn tell_controllers(&self, text: &mut Exposition) {
        let controllers = self.driver.metrics();
        text.family("workqueue_depth", "gauge", "Objects that wait for a controller.");
        for one in &controllers {
            text.sample(&[("name", one.controller)], one.waiting);
        }
        text.family("workqueue_retries_total", "counter", "Calls of controllers that are repeated.");
        for one in &controllers {
            text.sample(&[("name", one.controller)], one.stale + one.failed);
        }
        text.family("coracle_reconciliations_total", "counter", "Calls of controllers by result.");
        for one in &controllers {
            for (result, count) in [("success", one.good), ("stale", one.stale), ("error", one.failed)] {
                text.sample(&[("controller", one.controller), ("result", result)], count);
            }
        }
    }
}

impl Metrics for Numbers {
    fn tell(&self, text: &mut Exposition) {
        self.tell_storage(text);
        self.tell_controllers(text);
    }
}
