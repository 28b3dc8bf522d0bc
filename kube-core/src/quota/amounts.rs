//! Amounts by resource name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::quantity::{Quantity, QuantityText};

type Name = Cow<'static, str>;

/// Amounts by resource name. A name that is missing is not the same as nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts(BTreeMap<Name, Quantity>);

impl Amounts {
    /// The amounts of a list; what is no quantity is left out.
    #[must_use]
    pub fn of(list: Option<&BTreeMap<String, QuantityText>>) -> Self {
        let amounts = list.into_iter().flatten();
        let amounts = amounts.filter_map(|(name, text)| Some((name.clone().into(), Quantity::try_from(text).ok()?)));
        Self(amounts.collect())
    }

    /// The amount of a resource.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Quantity> {
        self.0.get(name).copied()
    }

    /// Sets an amount.
    pub fn set(&mut self, name: impl Into<Name>, amount: Quantity) {
        self.0.insert(name.into(), amount);
    }

    /// Sets so many of something.
    pub fn set_count(&mut self, name: impl Into<Name>, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.set(name, Quantity::new(count, crate::quantity::Format::DecimalSi));
    }

    /// Every resource and its amount, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Quantity)> {
        self.0.iter().map(|(name, amount)| (&**name, *amount))
    }

    /// Whether there is no resource.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds amounts; new names are taken over.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            *self.0.entry(name.clone()).or_default() += *amount;
        }
    }

    /// Takes amounts away; new names become negative.
    pub fn subtract(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            *self.0.entry(name.clone()).or_default() -= *amount;
        }
    }

    /// Raises every amount to at least these.
    pub fn raise_to(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let held = self.0.entry(name.clone()).or_insert(*amount);
            *held = (*held).max(*amount);
        }
    }

    /// Only the resources that are wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&str, Quantity) -> bool) {
        self.0.retain(|name, amount| wanted(name, *amount));
    }

    /// As API objects have it.
    #[must_use]
    pub fn to_list(&self) -> BTreeMap<String, QuantityText> {
        self.0.iter().map(|(name, amount)| (name.clone().into_owned(), (*amount).into())).collect()
    }
}

impl fmt::Display for Amounts {
    /// `cpu=1,memory=1Gi`, as messages show it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, amount)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(formatter, "{comma}{name}={amount}")?;
        }
        Ok(())
    }
}
