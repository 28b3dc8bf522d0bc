//! ServiceCIDR.

use super::check::items;
use super::{Ruled, status_apart};
use crate::field::{Errors, Json, Path};
use k8s_openapi::api::networking::v1::ServiceCIDR;

const CIDRS: Path<'static> = Path::new("spec.cidrs");
const IMMUTABLE: &str = "field is immutable";

impl Ruled for ServiceCIDR {
    status_apart!();

    fn validate(&self, errors: &mut Errors) {
        let ranges = ranges_of(self);
        match ranges {
            [] => return errors.required(&CIDRS, "at least one CIDR required"),
            [_] | [_, _] => {}
            _ => return errors.invalid(&CIDRS, Json(&self.spec), "may only hold up to 2 values"),
        }
        let before = errors.len();
        for (index, range) in ranges.iter().enumerate() {
            errors.canonical_cidr(&CIDRS.index(index), range);
        }
        if let [one, other] = ranges
            && errors.len() == before
            && one.contains(':') == other.contains(':')
        {
            let message = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
            errors.invalid(&CIDRS, Json(ranges), message);
        }
    }

    /// Ranges stand; a second one, of the other family, may be added.
    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        let (new, old) = (ranges_of(self), ranges_of(old));
        if new.len() != old.len() && !(old.len() == 1 && new.len() == 2) {
            return errors.invalid(&CIDRS, Json(new), IMMUTABLE);
        }
        for (index, (range, _)) in new.iter().zip(old).enumerate().filter(|(_, (new, old))| new != old) {
            errors.invalid(&CIDRS.index(index), range, IMMUTABLE);
        }
        if new.len() > old.len() {
            self.validate(errors);
        }
    }
}

fn ranges_of(cidr: &ServiceCIDR) -> &[String] {
    cidr.spec.as_ref().map_or(&[], |spec| items(&spec.cidrs))
}
