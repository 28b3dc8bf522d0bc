//! ServiceAccount: upstream checks its metadata only.

use super::Ruled;
use k8s_openapi::api::core::v1::ServiceAccount;

impl Ruled for ServiceAccount {}
