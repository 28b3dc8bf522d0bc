//! The cluster's numbers in the text format of Prometheus, under upstream's names where there is one.

use std::fmt::Write as _;
use std::sync::Arc;

use coracle_api::http::Metrics;
use coracle_core::Gateway;

use crate::driver::Driver;

/// What `/metrics` tells.
pub(crate) struct Numbers {
    gateway: Arc<dyn Gateway>,
    driver: Driver,
}

impl Numbers {
    pub(crate) fn new(gateway: Arc<dyn Gateway>, driver: Driver) -> Self {
        Self { gateway, driver }
    }
}

impl Metrics for Numbers {
    fn text(&self) -> String {
        let mut text = String::new();
        let world = self.gateway.feed().world();
        let objects =
            world.resources().map(|resource| (format!("resource=\"{resource}\""), world.count(resource) as u64));
        write(&mut text, "apiserver_resource_objects", "gauge", "Objects by collection.", objects);
        let revision = std::iter::once((String::new(), world.revision().0));
        write(&mut text, "coracle_revision", "counter", "The newest revision.", revision);
        let controllers = self.driver.metrics();
        let depth = controllers.iter().map(|one| (format!("name=\"{}\"", one.controller), one.waiting as u64));
        write(&mut text, "workqueue_depth", "gauge", "Objects that wait for a controller.", depth);
        let reconciled = controllers.iter().flat_map(|one| {
            let labels = |result| format!("controller=\"{}\",result=\"{result}\"", one.controller);
            [(labels("success"), one.good), (labels("stale"), one.stale), (labels("error"), one.failed)]
        });
        write(&mut text, "coracle_reconciliations_total", "counter", "Calls of controllers by result.", reconciled);
        text
    }
}

fn write(text: &mut String, name: &str, kind: &str, help: &str, rows: impl Iterator<Item = (String, u64)>) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in rows {
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let _infallible = writeln!(text, "{name}{labels} {value}");
    }
}
