//! What machine this is. Read once when a node is made; what cannot be read is left empty.

use std::collections::BTreeMap;
use std::fs;

use k8s_openapi::api::core::v1::NodeSystemInfo;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Pods that a node takes unless it says otherwise. Source: kubelet `maxPods`.
const PODS_MAX: &str = "110";

/// The machine a node runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Processors that this process may use.
    pub cpus: usize,
    /// Memory in KiB.
    pub memory_kib: u64,
    /// Version of the kernel.
    pub kernel: String,
    /// Name of the operating system's release.
    pub os_image: String,
    /// The machine's own id.
    pub machine_id: String,
    /// Changes with each start of the machine.
    pub boot_id: String,
}

impl Machine {
    /// Reads `/proc` and `/etc`.
    #[must_use]
    pub fn detect() -> Self {
        Self {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_kib: memory_kib(&read("/proc/meminfo")),
            kernel: read("/proc/sys/kernel/osrelease"),
            os_image: os_image(&read("/etc/os-release")),
            machine_id: read("/etc/machine-id"),
            boot_id: read("/proc/sys/kernel/random/boot_id"),
        }
    }

    /// As a node's capacity.
    #[must_use]
    pub fn capacity(&self) -> BTreeMap<String, Quantity> {
        let all = [
            ("cpu", self.cpus.to_string()),
            ("memory", format!("{}Ki", self.memory_kib)),
            ("pods", PODS_MAX.to_owned()),
            ("ephemeral-storage", "100Gi".to_owned()),
        ];
        all.into_iter().map(|(name, amount)| (name.to_owned(), Quantity(amount))).collect()
    }

    /// As a node's info.
    #[must_use]
    pub fn info(&self, runtime: &str) -> NodeSystemInfo {
        NodeSystemInfo {
            architecture: architecture().to_owned(),
            boot_id: self.boot_id.clone(),
            container_runtime_version: format!("{runtime}://{}", env!("CARGO_PKG_VERSION")),
            kernel_version: self.kernel.clone(),
            kube_proxy_version: String::new(),
            kubelet_version: "v1.36.0".to_owned(),
            machine_id: self.machine_id.clone(),
            operating_system: std::env::consts::OS.to_owned(),
            os_image: self.os_image.clone(),
            swap: None,
            system_uuid: self.machine_id.clone(),
        }
    }
}

/// The architecture as Go names it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn memory_kib(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn os_image(release: &str) -> String {
    let line = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.map(|name| name.trim_matches('"').to_owned()).unwrap_or_default()
}
