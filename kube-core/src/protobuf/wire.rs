//! Varints, tags, lengths. Source: the protocol buffers encoding.

use super::Error;

/// How often groups may be nested in a field that is skipped.
const GROUPS_MAX: usize = 64;

pub(super) const VARINT: u8 = 0;
pub(super) const FIXED64: u8 = 1;
pub(super) const BYTES: u8 = 2;
const GROUP: u8 = 3;
const GROUP_END: u8 = 4;
const FIXED32: u8 = 5;

/// A field's value as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// What no field of the API uses.
    Other(u8),
}

impl Wire<'_> {
    /// The number of its wire type.
    pub(super) const fn kind(self) -> u8 {
        match self {
            Self::Varint(_) => VARINT,
            Self::Fixed64(_) => FIXED64,
            Self::Bytes(_) => BYTES,
            Self::Other(kind) => kind,
        }
    }
}

/// Takes a message apart, field by field.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next field's number and value; `None` at the end.
    pub(super) fn field(&mut self) -> Result<Option<(u32, Wire<'a>)>, Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (number, kind) = self.tag()?;
        Ok(Some((number, self.value(kind, number, 0)?)))
    }

    pub(super) fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::Overflow)
    }

    fn tag(&mut self) -> Result<(u32, u8), Error> {
        let tag = self.varint()?;
        let (number, wire) = (tag >> 3, (tag & 7) as u8);
        match u32::try_from(number) {
            Ok(known @ 1..=0x1fff_ffff) if wire != GROUP_END => Ok((known, wire)),
            _ => Err(Error::IllegalTag { number, wire }),
        }
    }

    fn value(&mut self, kind: u8, number: u32, depth: usize) -> Result<Wire<'a>, Error> {
        match kind {
            VARINT => Ok(Wire::Varint(self.varint()?)),
            FIXED64 => Ok(Wire::Fixed64(u64::from_le_bytes(self.take()?))),
            BYTES => {
                let length = usize::try_from(self.varint()?).map_err(|_| Error::UnexpectedEnd)?;
                let (value, rest) = self.0.split_at_checked(length).ok_or(Error::UnexpectedEnd)?;
                self.0 = rest;
                Ok(Wire::Bytes(value))
            }
            GROUP => self.skip_group(depth).map(|()| Wire::Other(kind)),
            FIXED32 => self.take::<4>().map(|_| Wire::Other(kind)),
            _ => Err(Error::IllegalTag { number: number.into(), wire: kind }),
        }
    }

    fn skip_group(&mut self, depth: usize) -> Result<(), Error> {
        if depth == GROUPS_MAX {
            return Err(Error::TooDeep);
        }
        loop {
            let before = self.0;
            if self.varint()? & 7 == u64::from(GROUP_END) {
                return Ok(());
            }
            self.0 = before;
            let (number, kind) = self.tag()?;
            self.value(kind, number, depth + 1)?;
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Error::UnexpectedEnd)?;
        self.0 = rest;
        Ok(*taken)
    }
}

/// Appends a number.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field's number and wire type.
pub(super) fn put_tag(out: &mut Vec<u8>, number: u32, kind: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(kind));
}

/// Appends a field that is a number.
pub(super) fn put_int(out: &mut Vec<u8>, number: u32, value: i64) {
    put_tag(out, number, VARINT);
    put_varint(out, value.cast_unsigned());
}

/// Appends a field that is a string or bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    put_tag(out, number, BYTES);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a field that is a message, which `body` appends.
pub(super) fn put_message<E>(
    out: &mut Vec<u8>,
    number: u32,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = open(out, number);
    body(out)?;
    close(out, start);
    Ok(())
}

/// Begins a message of unknown length. [`close`] wants to know where it begins.
pub(super) fn open(out: &mut Vec<u8>, number: u32) -> usize {
    put_tag(out, number, BYTES);
    out.push(0);
    out.len()
}

/// Ends a message: writes its length before it. One byte is there already, and is enough for most messages.
pub(super) fn close(out: &mut Vec<u8>, start: usize) {
    let (end, length) = (out.len(), out.len().saturating_sub(start));
    put_varint(out, length as u64);
    let more = out.len() - end - 1;
    // ..., 0, message, length -> ..., length, message
    let mut bytes = [0; 10];
    for (place, byte) in bytes.iter_mut().zip(out.drain(end..)) {
        *place = byte;
    }
    out.resize(end + more, 0);
    out.copy_within(start..end, start + more);
    if let Some(place) = out.get_mut(start - 1..start + more) {
        place.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    }
}
