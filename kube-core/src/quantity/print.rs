//! Quantity to its one canonical text: no fraction, the largest suffix that needs none.

use super::{Format, NANO, Quantity};
use std::fmt;

const DECIMAL_SUFFIXES: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY_SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return out.write_str("0");
        }
        match self.format {
            Format::BinarySi if prints_binary(self) => print_binary(self.nano / NANO, out),
            Format::DecimalExponent => print_exponent(self.nano, out),
            _ => print_decimal(self.nano, out),
        }
    }
}

/// Below 1024, and for fractions, binary suffixes would lose precision or say nothing.
fn prints_binary(quantity: &Quantity) -> bool {
    quantity.is_integer() && quantity.nano.abs() >= 1024 * NANO
}

/// Moves factors of `base` out of `mantissa`, at most `most` times.
fn reduce(mut mantissa: i128, base: i128, most: usize) -> (i128, usize) {
    let mut times = 0;
    while times < most && mantissa % base == 0 {
        mantissa /= base;
        times += 1;
    }
    (mantissa, times)
}

fn print_binary(units: i128, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (mantissa, times) = reduce(units, 1024, BINARY_SUFFIXES.len() - 1);
    write!(out, "{mantissa}{}", BINARY_SUFFIXES.get(times).unwrap_or(&""))
}

fn print_decimal(nano: i128, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (mantissa, times) = reduce(nano, 1000, DECIMAL_SUFFIXES.len() - 1);
    write!(out, "{mantissa}{}", DECIMAL_SUFFIXES.get(times).unwrap_or(&""))
}

fn print_exponent(nano: i128, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (mantissa, times) = reduce(nano, 1000, usize::MAX);
    match times as i64 * 3 - 9 {
        0 => write!(out, "{mantissa}"),
        exponent => write!(out, "{mantissa}e{exponent}"),
    }
}
