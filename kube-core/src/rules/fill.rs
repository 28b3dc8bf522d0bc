//! The vocabulary of defaults. An empty string and a zero count as absent where upstream's types cannot tell.

use crate::quantity::{Quantity, QuantityText};
use k8s_openapi::api::core::v1::AzureDiskVolumeSource;
use std::collections::BTreeMap;

/// A list of amounts by resource name.
pub(super) type ResourceList = BTreeMap<String, QuantityText>;

/// Sets a text that is absent or empty.
pub(super) fn text(slot: &mut Option<String>, default: &str) {
    if slot.as_deref().is_none_or(str::is_empty) {
        *slot = Some(default.to_owned());
    }
}

/// Sets a number that is absent or zero.
pub(super) fn number(slot: &mut Option<i32>, default: i32) {
    if slot.is_none_or(|number| number == 0) {
        *slot = Some(default);
    }
}

/// Sets a value that is absent.
pub(super) fn value<T>(slot: &mut Option<T>, default: T) {
    slot.get_or_insert(default);
}

/// Copies the entries that `list` lacks from `defaults`.
pub(super) fn missing_amounts(list: &mut Option<ResourceList>, defaults: Option<&ResourceList>) {
    let Some(defaults) = defaults else { return };
    let list = list.get_or_insert_default();
    for (name, amount) in defaults {
        if !list.contains_key(name) {
            list.insert(name.clone(), amount.clone());
        }
    }
}

/// Writes amounts canonically, and no finer than a thousandth, as upstream does on reading them.
pub(super) fn canonical_amounts(list: Option<&mut ResourceList>) {
    list.into_iter().flatten().for_each(|(_, amount)| canonical_amount(amount));
}

/// Writes an amount canonically.
pub(super) fn canonical_amount(amount: &mut QuantityText) {
    let Ok(quantity) = Quantity::try_from(&*amount) else { return };
    let rounded = quantity.round_up_to_milli();
    if rounded.nano() != quantity.nano() {
        *amount = rounded.into();
    } else if let Ok(std::borrow::Cow::Owned(text)) = crate::quantity::canonical(&amount.0) {
        amount.0 = text;
    }
}

/// Fills in what a disk of Azure leaves out.
pub(super) fn azure_disk(disk: &mut AzureDiskVolumeSource) {
    value(&mut disk.caching_mode, "ReadWrite".to_owned());
    value(&mut disk.kind, "Shared".to_owned());
    value(&mut disk.fs_type, "ext4".to_owned());
    value(&mut disk.read_only, false);
}
